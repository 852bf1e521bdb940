/*
 * Question: what do sysctl and domctl tell a toolstack, and in which order do they refuse?
 *
 * Each question has one exact answer, a result and the fields that cannot differ between two machines that are alike; who
 * lacks the control role gets -EPERM for all of them.  A structure that cannot be written back, a bitmap longer or shorter than
 * there are CPUs, a buffer too small are questions, too.
 */
#define __XEN_TOOLS__ 1

#include "guest.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/domctl.h>
#include <xen/sched.h>
#include <xen/sysctl.h>

COVERS_CALL(sysctl);
COVERS_CALL(domctl);

#define NOWHERE ((void *)0x1000) /* nothing is mapped there */
#define FILL    0xa5

static union {
    struct xen_sysctl sysctl;
    struct xen_domctl domctl;
} op;
static struct xen_sysctl *const s = &op.sysctl;
static struct xen_domctl *const d = &op.domctl;

static long sysctl(uint32_t cmd)
{
    s->cmd = cmd;
    s->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return HYPERCALL1(__HYPERVISOR_sysctl, s);
}

static long domctl(uint32_t cmd, domid_t domain)
{
    d->cmd = cmd;
    d->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    d->domain = domain;
    return HYPERCALL1(__HYPERVISOR_domctl, d);
}

/* The answer's fields mean something only to who got one. */
static void field(uint64_t got, uint64_t expected, const char *what)
{
    if (guest_is_first())
        tap_is((long)got, (long)expected, "%s", what);
}

static void test_machine(void)
{
    memset(&op, FILL, sizeof(op));
    tap_is(sysctl(XEN_SYSCTL_physinfo), guest_role(0), "physinfo");
    field(s->u.physinfo.nr_cpus, 1, "physinfo: CPUs");
    field(s->u.physinfo.max_cpu_id, 0, "physinfo: the highest CPU");
    field(s->u.physinfo.nr_nodes, 1, "physinfo: nodes");
    field(s->u.physinfo.max_node_id, 63, "physinfo: the highest node there can be");
    field(s->u.physinfo.threads_per_core, 1, "physinfo: threads of a core");
    field(s->u.physinfo.cores_per_socket, 1, "physinfo: cores of a socket");
    field(s->u.physinfo.scrub_pages, 0, "physinfo: nothing to scrub");
    field(s->u.physinfo.outstanding_pages, 0, "physinfo: no claims");
    field(s->u.physinfo.capabilities & XEN_SYSCTL_PHYSCAP_pv, XEN_SYSCTL_PHYSCAP_pv,
          "physinfo: paravirtualized guests");
    field(s->u.physinfo.free_pages < s->u.physinfo.total_pages, 1,
          "physinfo: less is free than there is");
    field(s->u.physinfo.max_mfn + 1 >= s->u.physinfo.total_pages, 1,
          "physinfo: each frame has a number");

    tap_is(sysctl(XEN_SYSCTL_sched_id), guest_role(0), "sched_id");
    field(s->u.sched_id.sched_id, XEN_SCHEDULER_CREDIT2, "sched_id: credit2");
    tap_is(sysctl(77), guest_role(-XEN_ENOSYS), "sysctl: no operation 77");
    tap_is(sysctl(0), guest_role(-XEN_ENOSYS), "sysctl: no operation 0");
}

static void test_topology(void)
{
    static struct xen_sysctl_cputopo cpu[4];
    static struct xen_sysctl_meminfo memory[2];
    static uint32_t distance[2];

    memset(&op, 0, sizeof(op));
    tap_is(sysctl(XEN_SYSCTL_cputopoinfo), guest_role(0), "cputopoinfo: how many");
    field(s->u.cputopoinfo.num_cpus, 1, "cputopoinfo: one");
    s->u.cputopoinfo.num_cpus = 4;
    s->u.cputopoinfo.cputopo.p = cpu;
    tap_is(sysctl(XEN_SYSCTL_cputopoinfo), guest_role(0), "cputopoinfo: room for more");
    field(s->u.cputopoinfo.num_cpus, 1, "cputopoinfo: one is told");
    s->u.cputopoinfo.num_cpus = 1;
    s->u.cputopoinfo.cputopo.p = NOWHERE;
    tap_is(sysctl(XEN_SYSCTL_cputopoinfo), guest_role(-XEN_EFAULT), "cputopoinfo: no memory there");
    s->u.cputopoinfo.num_cpus = 0;
    tap_is(sysctl(XEN_SYSCTL_cputopoinfo), guest_role(0), "cputopoinfo: no room");
    field(s->u.cputopoinfo.num_cpus, 0, "cputopoinfo: none is told");

    memset(&op, 0, sizeof(op));
    tap_is(sysctl(XEN_SYSCTL_numainfo), guest_role(0), "numainfo: how many");
    field(s->u.numainfo.num_nodes, 1, "numainfo: one");
    s->u.numainfo.num_nodes = 2;
    s->u.numainfo.meminfo.p = memory;
    s->u.numainfo.distance.p = distance;
    tap_is(sysctl(XEN_SYSCTL_numainfo), guest_role(0), "numainfo: room for more");
    field(s->u.numainfo.num_nodes, 1, "numainfo: one is told");
    field(distance[0], 10, "numainfo: its distance from itself");
    field(memory[0].memfree < memory[0].memsize, 1, "numainfo: less is free than there is");
    s->u.numainfo.meminfo.p = NOWHERE;
    tap_is(sysctl(XEN_SYSCTL_numainfo), guest_role(-XEN_EFAULT), "numainfo: no memory there");
    s->u.numainfo.meminfo.p = NULL;
    s->u.numainfo.distance.p = NOWHERE;
    tap_is(sysctl(XEN_SYSCTL_numainfo), guest_role(-XEN_EFAULT), "numainfo: none for distances");
}

static void test_features(void)
{
    static uint32_t words[64];

    memset(&op, 0, sizeof(op));
    tap_is(sysctl(XEN_SYSCTL_get_cpu_featureset), guest_role(0), "featureset: how many");
    const uint32_t n = s->u.cpu_featureset.nr_features;
    field(n, 19, "featureset: words");
    s->u.cpu_featureset.features.p = words;
    s->u.cpu_featureset.nr_features = 64;
    s->u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_host;
    tap_is(sysctl(XEN_SYSCTL_get_cpu_featureset), guest_role(0), "featureset: the host's");
    field(s->u.cpu_featureset.nr_features, n, "featureset: all are told");
    field(words[0] & 0x61, 0x61, "featureset: FPU, MSR, PAE");
    s->u.cpu_featureset.nr_features = 2;
    tap_is(sysctl(XEN_SYSCTL_get_cpu_featureset), guest_role(-XEN_ENOBUFS),
           "featureset: room for two");
    field(s->u.cpu_featureset.nr_features, 2, "featureset: two are told");
    s->u.cpu_featureset.nr_features = 64;
    s->u.cpu_featureset.index = 6;
    tap_is(sysctl(XEN_SYSCTL_get_cpu_featureset), guest_role(-XEN_EINVAL),
           "featureset: there is no sixth");
    s->u.cpu_featureset.nr_features = 64;
    s->u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_pv;
    s->u.cpu_featureset.features.p = NOWHERE;
    tap_is(sysctl(XEN_SYSCTL_get_cpu_featureset), guest_role(-XEN_EFAULT),
           "featureset: no memory there");
    tap_is(sysctl(XEN_SYSCTL_get_cpu_levelling_caps), guest_role(0), "levelling capabilities");
}

static long cpupool(uint32_t cmd, uint32_t pool, uint8_t *map, unsigned bits)
{
    memset(&op, 0, sizeof(op));
    s->u.cpupool_op.op = cmd;
    s->u.cpupool_op.cpupool_id = pool;
    s->u.cpupool_op.cpumap.bitmap.p = map;
    s->u.cpupool_op.cpumap.nr_bits = bits;
    return sysctl(XEN_SYSCTL_cpupool_op);
}

static void test_pools(void)
{
    static uint8_t map[16];

    memset(map, FILL, sizeof(map));
    tap_is(cpupool(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, map, 20), guest_role(0), "pool info");
    field(s->u.cpupool_op.cpupool_id, 0, "pool info: number");
    field(s->u.cpupool_op.sched_id, XEN_SCHEDULER_CREDIT2, "pool info: scheduler");
    field(s->u.cpupool_op.n_dom, 1, "pool info: domains");
    field(map[0], 1, "pool info: its CPU");
    field(map[1], 0, "pool info: a second byte is zero");
    field(map[2], 0, "pool info: the rest of 20 bits, too");
    field(map[3], FILL, "pool info: no more is written");
    tap_is(cpupool(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, NOWHERE, 0), guest_role(0),
           "pool info: a bitmap of no bits");
    tap_is(cpupool(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, NOWHERE, 1), guest_role(-XEN_EFAULT),
           "pool info: no memory there");
    tap_is(cpupool(XEN_SYSCTL_CPUPOOL_OP_INFO, 1, map, 8), guest_role(-XEN_ENOENT),
           "pool info: no second pool");
    map[0] = FILL;
    tap_is(cpupool(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 9, map, 8), guest_role(0), "free CPUs");
    field(map[0], 0, "free CPUs: none");
    tap_is(cpupool(99, 0, map, 8), guest_role(-XEN_ENOSYS), "pools: no operation 99");
}

static long scheduler(uint32_t cmd, uint32_t pool, uint32_t id)
{
    memset(&op, 0, sizeof(op));
    s->u.scheduler_op.cmd = cmd;
    s->u.scheduler_op.cpupool_id = pool;
    s->u.scheduler_op.sched_id = id;
    return sysctl(XEN_SYSCTL_scheduler_op);
}

static long scheduler_of(uint32_t cmd, uint32_t id)
{
    memset(&op, 0, sizeof(op));
    d->u.scheduler_op.cmd = cmd;
    d->u.scheduler_op.sched_id = id;
    return domctl(XEN_DOMCTL_scheduler_op, 0);
}

static void test_scheduler(void)
{
    tap_is(scheduler(XEN_SYSCTL_SCHEDOP_getinfo, 0, XEN_SCHEDULER_CREDIT2), guest_role(0),
           "scheduler");
    field(s->u.scheduler_op.u.sched_credit2.ratelimit_us, 1000, "scheduler: rate limit");
    tap_is(scheduler(9, 0, XEN_SCHEDULER_CREDIT2), guest_role(-XEN_EINVAL),
           "scheduler: no operation 9");
    tap_is(scheduler(XEN_SYSCTL_SCHEDOP_getinfo, 5, XEN_SCHEDULER_CREDIT2), guest_role(-XEN_ESRCH),
           "scheduler: no pool 5");
    tap_is(scheduler(XEN_SYSCTL_SCHEDOP_getinfo, 0, XEN_SCHEDULER_RTDS), guest_role(-XEN_EINVAL),
           "scheduler: another");
    tap_is(scheduler(9, 5, XEN_SCHEDULER_RTDS), guest_role(-XEN_EINVAL),
           "scheduler: the operation is looked at first");

    tap_is(scheduler_of(XEN_DOMCTL_SCHEDOP_getinfo, XEN_SCHEDULER_CREDIT2), guest_role(0),
           "domain's parameters");
    field(d->u.scheduler_op.u.credit2.weight, 256, "domain's weight");
    field(d->u.scheduler_op.u.credit2.cap, 0, "domain's cap");
    tap_is(scheduler_of(XEN_DOMCTL_SCHEDOP_getinfo, XEN_SCHEDULER_CREDIT), guest_role(-XEN_EINVAL),
           "of another scheduler");
    tap_is(scheduler_of(XEN_DOMCTL_SCHEDOP_getvcpuinfo, XEN_SCHEDULER_CREDIT2),
           guest_role(-XEN_EINVAL), "of a single vCPU");
    tap_is(scheduler_of(17, XEN_SCHEDULER_CREDIT2), guest_role(-XEN_EINVAL),
           "parameters: no operation 17");
}

static uint32_t cpuid_eax(uint32_t leaf)
{
    uint32_t a = leaf, b, c = 0, d_;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d_));
    return a;
}

static void check_domain(const struct xen_domctl_getdomaininfo *i)
{
    field(i->domain, 0, "domain info: number");
    field(i->flags, XEN_DOMINF_running | 0xffu << 24 | 0xffu << 16,
          "domain info: it runs, and has not shut down");
    field(i->nr_online_vcpus, 1, "domain info: online vCPUs");
    field(i->max_vcpu_id, 0, "domain info: the highest vCPU");
    field(i->tot_pages, guest_info->nr_pages, "domain info: pages");
    field(i->outstanding_pages + i->shr_pages + i->paged_pages, 0,
          "domain info: none claimed, shared, paged out");
    field(i->shared_info_frame, guest_info->shared_info >> 12, "domain info: shared_info");
    field(i->cpu_time > 0, 1, "domain info: it has run");
    field(i->cpupool, 0, "domain info: pool");
    field(i->ssidref, 0, "domain info: no label");
    field(i->gpaddr_bits, cpuid_eax(0x80000008) & 0xff, "domain info: bits of an address");
}

static void test_domains(void)
{
    static struct xen_domctl_getdomaininfo list[3];

    memset(&op, FILL, sizeof(op));
    tap_is(domctl(XEN_DOMCTL_getdomaininfo, 0), guest_role(0), "domain info");
    check_domain(&d->u.getdomaininfo);
    tap_is(domctl(XEN_DOMCTL_getdomaininfo, 1), guest_role(-XEN_ESRCH),
           "domain info: none from 1 up");
    tap_is(domctl(XEN_DOMCTL_getdomaininfo, DOMID_FIRST_RESERVED), guest_role(-XEN_EINVAL),
           "domain info: a reserved number");
    tap_is(domctl(XEN_DOMCTL_getdomaininfo, DOMID_SELF), guest_role(-XEN_EINVAL),
           "domain info: not of DOMID_SELF");

    memset(&op, 0, sizeof(op));
    s->u.getdomaininfolist.max_domains = 3;
    s->u.getdomaininfolist.buffer.p = list;
    tap_is(sysctl(XEN_SYSCTL_getdomaininfolist), guest_role(0), "list of domains");
    field(s->u.getdomaininfolist.num_domains, 1, "list of domains: one");
    check_domain(&list[0]);
    s->u.getdomaininfolist.first_domain = 1;
    tap_is(sysctl(XEN_SYSCTL_getdomaininfolist), guest_role(0), "list of domains from 1 up");
    field(s->u.getdomaininfolist.num_domains, 0, "list of domains from 1 up: none");
    s->u.getdomaininfolist.first_domain = 0;
    s->u.getdomaininfolist.buffer.p = NOWHERE;
    tap_is(sysctl(XEN_SYSCTL_getdomaininfolist), guest_role(-XEN_EFAULT),
           "list of domains: no memory there");
    s->u.getdomaininfolist.max_domains = 0;
    tap_is(sysctl(XEN_SYSCTL_getdomaininfolist), guest_role(0), "list of domains: no room");
    field(s->u.getdomaininfolist.num_domains, 0, "list of domains: no room, none");
}

static long affinity(uint32_t cmd, uint32_t vcpu, uint32_t flags, void *hard, void *soft)
{
    memset(&op, 0, sizeof(op));
    d->u.vcpuaffinity.vcpu = vcpu;
    d->u.vcpuaffinity.flags = flags;
    d->u.vcpuaffinity.cpumap_hard.bitmap.p = hard;
    d->u.vcpuaffinity.cpumap_hard.nr_bits = 16;
    d->u.vcpuaffinity.cpumap_soft.bitmap.p = soft;
    d->u.vcpuaffinity.cpumap_soft.nr_bits = 16;
    return domctl(cmd, 0);
}

static void test_affinity(void)
{
    enum {
        GET = XEN_DOMCTL_getvcpuaffinity,
        SET = XEN_DOMCTL_setvcpuaffinity,
        HARD = XEN_VCPUAFFINITY_HARD,
        SOFT = XEN_VCPUAFFINITY_SOFT
    };
    static uint8_t hard[4], soft[4];
    struct sched_pin_override pin = {.pcpu = 0};

    memset(hard, FILL, sizeof(hard));
    memset(soft, FILL, sizeof(soft));
    tap_is(affinity(GET, 0, HARD | SOFT, hard, soft), guest_role(0), "affinity");
    field(hard[0], 1, "affinity: its CPUs");
    field(hard[1], 0, "affinity: no others");
    field(soft[0], 1, "affinity: the soft one");
    field(hard[2], FILL, "affinity: no more is written");
    tap_is(affinity(GET, 1, HARD, hard, NULL), guest_role(-XEN_EINVAL), "affinity of vCPU 1 of 1");
    tap_is(affinity(GET, 0, 0, hard, soft), guest_role(-XEN_EINVAL), "affinity: none is named");
    tap_is(affinity(GET, 0, HARD, NULL, soft), guest_role(-XEN_EINVAL),
           "affinity: without a bitmap");
    tap_is(affinity(GET, 0, HARD | SOFT, hard, NULL), guest_role(-XEN_EINVAL),
           "affinity: without a soft bitmap");
    tap_is(affinity(GET, 0, HARD, NOWHERE, NULL), guest_role(-XEN_EFAULT),
           "affinity: no memory there");

    hard[0] = 0xff, hard[1] = 0xff;
    tap_is(affinity(SET, 0, HARD, hard, NULL), guest_role(0), "affinity set to all");
    field(hard[0], 1, "affinity set: what of it there is");
    hard[0] = 2, hard[1] = 0;
    tap_is(affinity(SET, 0, HARD, hard, NULL), guest_role(-XEN_EINVAL),
           "affinity set: no such CPU");
    tap_is(affinity(SET, 0, HARD, NOWHERE, NULL), guest_role(-XEN_EFAULT),
           "affinity set: no memory there");
    tap_is(affinity(SET, 0, 0, hard, NULL), guest_role(-XEN_EINVAL), "affinity set: none is named");
    tap_is(affinity(SET, 7, HARD, hard, NULL), guest_role(-XEN_EINVAL), "affinity set: no vCPU 7");
    if (!guest_is_first())
        return;
    hard[0] = 1;
    tap_is(hypercall_sched_op(SCHEDOP_pin_override, &pin), 0, "a pin override");
    tap_is(affinity(SET, 0, HARD, hard, NULL), -XEN_EBUSY,
           "affinity set: not under a pin override");
    pin.pcpu = -1;
    tap_is(hypercall_sched_op(SCHEDOP_pin_override, &pin), 0, "the pin override is over");
    tap_is(affinity(SET, 0, HARD, hard, NULL), 0, "affinity set again");
}

static void test_domain(void)
{
    memset(&op, 0, sizeof(op));
    tap_is(domctl(XEN_DOMCTL_getvcpuinfo, 0), guest_role(0), "vCPU info");
    field(d->u.getvcpuinfo.online, 1, "vCPU info: online");
    field(d->u.getvcpuinfo.blocked, 0, "vCPU info: not blocked");
    field(d->u.getvcpuinfo.running, 1, "vCPU info: it runs");
    field(d->u.getvcpuinfo.cpu, 0, "vCPU info: on CPU 0");
    field(d->u.getvcpuinfo.cpu_time > 0, 1, "vCPU info: it has run");
    d->u.getvcpuinfo.vcpu = 1;
    tap_is(domctl(XEN_DOMCTL_getvcpuinfo, 0), guest_role(-XEN_EINVAL), "vCPU info: vCPU 1 of 1");
    tap_is(domctl(XEN_DOMCTL_getvcpuinfo, 3), guest_role(-XEN_ESRCH), "vCPU info: no domain 3");
    tap_is(domctl(XEN_DOMCTL_getvcpuinfo, DOMID_SELF), guest_role(-XEN_ESRCH),
           "vCPU info: not of DOMID_SELF");

    tap_is(domctl(XEN_DOMCTL_get_address_size, 0), guest_role(0), "address size");
    field(d->u.address_size.size, 64, "address size: 64");
    d->u.address_size.size = 64;
    tap_is(domctl(XEN_DOMCTL_set_address_size, 0), guest_role(0), "address size set to what it is");
    d->u.address_size.size = 48;
    tap_is(domctl(XEN_DOMCTL_set_address_size, 0), guest_role(-XEN_EINVAL),
           "address size set to 48");
    tap_is(domctl(999, 0), guest_role(-XEN_ENOSYS), "domctl: no operation 999");
    tap_is(domctl(999, 3), guest_role(-XEN_ESRCH), "domctl: the domain is looked for first");
}

static void test_log(void)
{
    static char text[256];

    memset(&op, 0, sizeof(op));
    s->u.readconsole.buffer.p = text;
    s->u.readconsole.count = sizeof(text);
    tap_is(sysctl(XEN_SYSCTL_readconsole), guest_role(0), "read the log");
    field(s->u.readconsole.count, sizeof(text), "read the log: as much as there is room for");
    const uint32_t index = s->u.readconsole.index;
    s->u.readconsole.incremental = 1;
    s->u.readconsole.count = 1;
    tap_is(sysctl(XEN_SYSCTL_readconsole), guest_role(0), "read on");
    field(s->u.readconsole.index - index, 1, "read on: behind what was read");
    s->u.readconsole.count = 1;
    s->u.readconsole.buffer.p = NOWHERE;
    tap_is(sysctl(XEN_SYSCTL_readconsole), guest_role(-XEN_EFAULT),
           "read the log: no memory there");
}

void guest_main(void)
{
    test_machine();
    test_topology();
    test_features();
    test_pools();
    test_scheduler();
    test_domains();
    test_affinity();
    test_domain();
    test_log();
}
