/* What a toolstack asks of the machine: memory, processors, nodes, features, pools, the scheduler, clock and sleep. */
#define __XEN_TOOLS__ 1

#include "suite.h"
#include "control.h"
#include "sched.h"

#include <xen/platform.h>

static struct guest g, other;

static void start(void)
{
    world_start(2, 2048);
    guest_create(&g, 1, 64, 2);
    guest_create(&other, 7, 32, 1);
    g.d->roles = ROLE_CONTROL;
    machine_enter(g.v);
}

static void finish(void)
{
    world_check();
    guest_destroy(&other);
    guest_destroy(&g);
    world_check_empty();
}

TestSuite(toolstack, .init = start, .fini = finish);

#define AT            0x8000u /* the structure */
#define ARRAY         0x9000u /* what it points to */
#define POINT(handle) ((handle).p = (void *)(WINDOW_VA + ARRAY))
#define LOSE(handle)  ((handle).p = (void *)(1ull << 46)) /* nothing is mapped there */

static long sysctl(struct xen_sysctl *op, uint32_t cmd)
{
    op->cmd = cmd;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    long rc = hypercall(&g, sysctl, machine_put(AT, op, sizeof(*op)).va);
    machine_get(op, AT, sizeof(*op));
    return rc;
}

static long domctl(struct xen_domctl *op, uint32_t cmd, domid_t domain)
{
    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = domain;
    long rc = hypercall(&g, domctl, machine_put(AT, op, sizeof(*op)).va);
    machine_get(op, AT, sizeof(*op));
    return rc;
}

static long platform(struct xen_platform_op *op, uint32_t cmd)
{
    op->cmd = cmd;
    op->interface_version = XENPF_INTERFACE_VERSION;
    long rc = hypercall(&g, platform_op, machine_put(AT, op, sizeof(*op)).va);
    machine_get(op, AT, sizeof(*op));
    return rc;
}

Test(toolstack, version_comes_before_role_and_both_before_the_rest)
{
    struct xen_sysctl op = {.cmd = 999, .interface_version = 1};
    const uint64_t at = machine_put(AT, &op, sizeof(op)).va;

    assert_refused(&g, hypercall(&g, sysctl, at), INTERFACE_VERSION_OTHER);
    assert_refused(&g, hypercall(&g, domctl, at), INTERFACE_VERSION_OTHER);
    assert_refused(&g, hypercall(&g, platform_op, at), INTERFACE_VERSION_OTHER);
    assert_refused(&g, hypercall(&g, sysctl, 1ull << 46), ARGUMENT_UNREADABLE);
    assert_refused(&g, sysctl(&op, 999), CONTROL_OP_UNKNOWN);
    assert_refused(&g, domctl(&(struct xen_domctl){0}, 999, 7), CONTROL_OP_UNKNOWN);
    assert_refused(&g, platform(&(struct xen_platform_op){0}, 999), CONTROL_OP_UNKNOWN);
    g.d->roles = 0;
    assert_refused(&g, sysctl(&op, 999), ROLE_MISSING);
    assert_refused(&g, platform(&(struct xen_platform_op){0}, 999), ROLE_MISSING);
}

Test(toolstack, physinfo_counts_what_there_is)
{
    struct xen_sysctl op = {0};

    assert_ok(sysctl(&op, XEN_SYSCTL_physinfo));
    assert_eq_long(op.u.physinfo.nr_cpus, 2);
    assert_eq_long(op.u.physinfo.max_cpu_id, 1);
    assert_eq_long(op.u.physinfo.nr_nodes, 1);
    assert_eq_long(op.u.physinfo.threads_per_core, 1);
    assert_eq_long(op.u.physinfo.cpu_khz, 2600000);
    assert_eq_long(op.u.physinfo.free_pages, page_free_count());
    assert_eq_long(op.u.physinfo.total_pages, machine.frames - machine.hole_count);
    assert_eq_long(op.u.physinfo.max_mfn, machine.frames - 1);
    assert_ok(sysctl(&op, XEN_SYSCTL_sched_id));
    assert_eq_long(op.u.sched_id.sched_id, XEN_SCHEDULER_CREDIT2);
    op.u.cpu_levelling_caps.caps = 77;
    assert_ok(sysctl(&op, XEN_SYSCTL_get_cpu_levelling_caps));
    assert_eq_long(op.u.cpu_levelling_caps.caps, 0);
}

/* Without a buffer the answer is how many there are. */
Test(toolstack, topology_of_processors)
{
    struct xen_sysctl op = {0};
    struct xen_sysctl_cputopo cpu[3];

    assert_ok(sysctl(&op, XEN_SYSCTL_cputopoinfo));
    assert_eq_long(op.u.cputopoinfo.num_cpus, 2);
    memset(cpu, 0x77, sizeof(cpu));
    machine_put(ARRAY, cpu, sizeof(cpu));
    POINT(op.u.cputopoinfo.cputopo);
    op.u.cputopoinfo.num_cpus = 3;
    assert_ok(sysctl(&op, XEN_SYSCTL_cputopoinfo));
    assert_eq_long(op.u.cputopoinfo.num_cpus, 2);
    machine_get(cpu, ARRAY, sizeof(cpu));
    assert_eq_long(cpu[1].socket, 1);
    assert_eq_long(cpu[1].core, 0);
    assert_eq_long(cpu[2].core, 0x77777777);
    op.u.cputopoinfo.num_cpus = 1;
    assert_ok(sysctl(&op, XEN_SYSCTL_cputopoinfo));
    assert_eq_long(op.u.cputopoinfo.num_cpus, 1);
    LOSE(op.u.cputopoinfo.cputopo);
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_cputopoinfo), ARGUMENT_UNREADABLE);
}

Test(toolstack, there_is_one_node)
{
    struct xen_sysctl op = {0};
    struct xen_sysctl_meminfo memory = {0};
    uint32_t distance;

    assert_ok(sysctl(&op, XEN_SYSCTL_numainfo));
    assert_eq_long(op.u.numainfo.num_nodes, 1);
    POINT(op.u.numainfo.meminfo);
    op.u.numainfo.num_nodes = 5;
    assert_ok(sysctl(&op, XEN_SYSCTL_numainfo));
    assert_eq_long(op.u.numainfo.num_nodes, 1);
    machine_get(&memory, ARRAY, sizeof(memory));
    assert_eq_long(memory.memfree, page_free_count() << PAGE_SHIFT);
    assert_eq_long(memory.memsize, machine.frames << PAGE_SHIFT);
    op.u.numainfo.meminfo.p = NULL;
    POINT(op.u.numainfo.distance);
    assert_ok(sysctl(&op, XEN_SYSCTL_numainfo));
    machine_get(&distance, ARRAY, sizeof(distance));
    assert_eq_long(distance, 10);
    op.u.numainfo.num_nodes = 0; /* no room */
    assert_ok(sysctl(&op, XEN_SYSCTL_numainfo));
    assert_eq_long(op.u.numainfo.num_nodes, 0);
    op.u.numainfo.num_nodes = 1;
    LOSE(op.u.numainfo.distance);
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_numainfo), ARGUMENT_UNREADABLE);
    LOSE(op.u.numainfo.meminfo);
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_numainfo), ARGUMENT_UNREADABLE);
}

Test(toolstack, features_of_the_machine_and_of_guests)
{
    struct xen_sysctl op = {0};
    struct xen_sysctl_cpu_featureset *f = &op.u.cpu_featureset;
    uint32_t words[19];

    assert_ok(sysctl(&op, XEN_SYSCTL_get_cpu_featureset));
    assert_eq_long(f->nr_features, 19);
    POINT(f->features);
    f->nr_features = 100;
    assert_ok(sysctl(&op, XEN_SYSCTL_get_cpu_featureset));
    assert_eq_long(f->nr_features, 19);
    machine_get(words, ARRAY, sizeof(words));
    assert_eq_long(words[18], 18 << 8); /* the machine's: the fake one says whose */
    f->index = XEN_SYSCTL_cpu_featureset_pv;
    assert_ok(sysctl(&op, XEN_SYSCTL_get_cpu_featureset));
    machine_get(words, ARRAY, sizeof(words));
    assert_eq_long(words[18], 18 << 8 | 1);
    f->nr_features = 4; /* what there is room for, and the number */
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_get_cpu_featureset), FEATURESET_NO_ROOM);
    assert_eq_long(f->nr_features, 4);
    f->nr_features = 0;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_get_cpu_featureset), FEATURESET_NO_ROOM);
    f->nr_features = 19;
    f->index = XEN_SYSCTL_cpu_featureset_hvm;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_get_cpu_featureset), FEATURESET_UNKNOWN);
    f->index = 99;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_get_cpu_featureset), FEATURESET_UNKNOWN);
    f->index = XEN_SYSCTL_cpu_featureset_raw;
    LOSE(f->features);
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_get_cpu_featureset), ARGUMENT_UNREADABLE);
}

Test(toolstack, there_is_one_pool)
{
    struct xen_sysctl op = {0};
    struct xen_sysctl_cpupool_op *p = &op.u.cpupool_op;
    uint8_t map[9];

    memset(map, 0xff, sizeof(map));
    machine_put(ARRAY, map, sizeof(map));
    p->op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    p->cpumap.nr_bits = 61;
    POINT(p->cpumap.bitmap);
    assert_ok(sysctl(&op, XEN_SYSCTL_cpupool_op));
    assert_eq_long(p->n_dom, 3); /* with the world's own */
    assert_eq_long(p->sched_id, XEN_SCHEDULER_CREDIT2);
    machine_get(map, ARRAY, sizeof(map));
    assert_eq_long(map[0], 3);
    assert_eq_long(map[7], 0);
    assert_eq_long(map[8], 0xff);
    p->op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO;
    assert_ok(sysctl(&op, XEN_SYSCTL_cpupool_op));
    machine_get(map, ARRAY, sizeof(map));
    assert_eq_long(map[0], 0);
    LOSE(p->cpumap.bitmap);
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_cpupool_op), ARGUMENT_UNREADABLE);
    p->cpumap.nr_bits = 0; /* no room: nothing to write */
    assert_ok(sysctl(&op, XEN_SYSCTL_cpupool_op));
    p->op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    p->cpupool_id = 1;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_cpupool_op), POOL_MISSING);
    p->op = XEN_SYSCTL_CPUPOOL_OP_CREATE;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_cpupool_op), POOL_OP_UNKNOWN);
}

Test(toolstack, the_schedulers_parameters)
{
    struct xen_sysctl op = {0};
    struct xen_sysctl_scheduler_op *s = &op.u.scheduler_op;

    s->cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    s->sched_id = XEN_SCHEDULER_CREDIT2;
    assert_ok(sysctl(&op, XEN_SYSCTL_scheduler_op));
    assert_eq_long(s->u.sched_credit2.ratelimit_us, 1000);
    s->cmd = XEN_SYSCTL_SCHEDOP_putinfo;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_scheduler_op), SCHEDULER_FIXED);
    s->sched_id = XEN_SCHEDULER_CREDIT;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_scheduler_op), SCHEDULER_OTHER);
    s->cpupool_id = 1;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_scheduler_op), SCHEDULER_POOL_MISSING);
    s->cmd = 77;
    assert_refused(&g, sysctl(&op, XEN_SYSCTL_scheduler_op), SCHEDULER_OP_UNKNOWN);

    struct xen_domctl of = {.u.scheduler_op = {.sched_id = XEN_SCHEDULER_CREDIT}};
    assert_refused(&g, domctl(&of, XEN_DOMCTL_scheduler_op, 7), SCHEDULER_OTHER);
    of.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    of.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getvcpuinfo;
    assert_refused(&g, domctl(&of, XEN_DOMCTL_scheduler_op, 7), SCHEDULER_OP_UNKNOWN);
}

/* The soft affinity is all CPUs; what is set of it is told back cut to the hard one. */
Test(toolstack, affinities_are_told_and_set)
{
    struct xen_domctl op = {0};
    struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;
    uint8_t map[2] = {0};

    a->flags = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
    a->cpumap_hard.nr_bits = a->cpumap_soft.nr_bits = 8;
    POINT(a->cpumap_hard.bitmap);
    a->cpumap_soft.bitmap.p = (void *)(WINDOW_VA + ARRAY + 1);
    vcpu_set_affinity(other.v, 2);
    assert_ok(domctl(&op, XEN_DOMCTL_getvcpuaffinity, 7));
    machine_get(map, ARRAY, 2);
    assert_eq_long(map[0], 2);
    assert_eq_long(map[1], 3);
    assert_ok(domctl(&op, XEN_DOMCTL_setvcpuaffinity, 7));
    machine_get(map, ARRAY, 2);
    assert_eq_long(map[0], 2);
    assert_eq_long(map[1], 2);

    LOSE(a->cpumap_soft.bitmap); /* nothing is changed then */
    machine_put(ARRAY, &(uint8_t){1}, 1);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuaffinity, 7), ARGUMENT_UNREADABLE);
    assert_eq_long(other.v->affinity, 2);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpuaffinity, 7), ARGUMENT_UNREADABLE);
    a->cpumap_soft.bitmap.p = NULL;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuaffinity, 7), AFFINITY_NOT_NAMED);
    a->flags = XEN_VCPUAFFINITY_HARD;
    other.v->pin_affinity = 1;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuaffinity, 7), AFFINITY_OVERRIDDEN);
    other.v->pin_affinity = 0;
    a->cpumap_hard.bitmap.p = NULL;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuaffinity, 7), AFFINITY_NOT_NAMED);
    a->flags = 0;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpuaffinity, 7), AFFINITY_NOT_NAMED);
    a->vcpu = 1;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpuaffinity, 7), CONTROL_VCPU_RANGE);
}

Test(toolstack, addresses_have_64_bits)
{
    struct xen_domctl op = {0};

    assert_ok(domctl(&op, XEN_DOMCTL_get_address_size, 7));
    assert_eq_long(op.u.address_size.size, 64);
    assert_ok(domctl(&op, XEN_DOMCTL_set_address_size, 7));
    op.u.address_size.size = 32;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_set_address_size, 7), ADDRESS_SIZE_OTHER);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_get_address_size, 8), CONTROL_DOMAIN_MISSING);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getdomaininfo, DOMID_FIRST_RESERVED),
                   DOMAIN_NUMBER_RESERVED);
}

Test(toolstack, processors_by_number)
{
    struct xen_platform_op op = {0};

    op.u.pcpu_info.xen_cpuid = 1;
    assert_ok(platform(&op, XENPF_get_cpuinfo));
    assert_eq_long(op.u.pcpu_info.max_present, 1);
    assert_eq_long(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_ONLINE);
    assert_eq_long(op.u.pcpu_info.apic_id, 2);
    assert_eq_long(op.u.pcpu_info.acpi_id, 101);
    for (unsigned cpu = 2; cpu < 100; cpu += 90) {
        op.u.pcpu_info.xen_cpuid = cpu;
        assert_ok(platform(&op, XENPF_get_cpuinfo));
        assert_eq_long(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_INVALID);
    }
    assert_refused(&g, platform(&op, XENPF_firmware_info), FIRMWARE_INFO_MISSING);
}

Test(toolstack, the_clock_is_set)
{
    struct xen_platform_op op = {0};

    op.u.settime64.secs = 1234567890;
    op.u.settime64.nsecs = 5;
    assert_ok(platform(&op, XENPF_settime64));
    assert_eq_long(other.d->shared->wc_sec, 1234567890);
    op.u.settime64.mbz = 1;
    assert_refused(&g, platform(&op, XENPF_settime64), RESERVED_FIELD_SET);
    op = (struct xen_platform_op){.u.settime32 = {.secs = 1234567891}};
    assert_ok(platform(&op, XENPF_settime32));
    assert_eq_long(other.d->shared->wc_sec, 1234567891);
}

Test(toolstack, the_only_sleep_is_the_end)
{
    struct xen_platform_op op = {.u.enter_acpi_sleep = {.sleep_state = 3}};

    assert_refused(&g, platform(&op, XENPF_enter_acpi_sleep), SLEEP_STATE_UNKNOWN);
    op.u.enter_acpi_sleep.flags = 1;
    assert_refused(&g, platform(&op, XENPF_enter_acpi_sleep), SLEEP_FLAGS);
    op = (struct xen_platform_op){.u.enter_acpi_sleep = {.sleep_state = 5}};
    assert_ok(platform(&op, XENPF_enter_acpi_sleep));
    cr_assert(g.d->shut_down);
    assert_eq_long(g.d->shutdown_code, SHUTDOWN_poweroff);
}

/* --- what a domain has become ------------------------------------------------------------------- */

Test(toolstack, registers_of_one_that_stands_still)
{
    struct xen_domctl op = {.u.vcpucontext.vcpu = 1};
    struct vcpu_guest_context *c = calloc(1, sizeof(*c));

    POINT(op.u.vcpucontext.ctxt);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpucontext, 7), STATE_OF_VCPU);
    op.u.vcpucontext.vcpu = 0;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpucontext, 1), STATE_OF_VCPU);
    other.v->initialised = VCPU_UNINITIALISED;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpucontext, 7), STATE_NONE);
    other.v->initialised = VCPU_INITIALISED;
    arch_vcpu_set_entry(other.v, 0x1234, 0x5678, 0x9abc);
    other.d->vm_assist = 4;
    assert_ok(domctl(&op, XEN_DOMCTL_getvcpucontext, 7));
    machine_get(c, ARRAY, sizeof(*c));
    assert_eq_long(c->user_regs.rip, 0x1234);
    assert_eq_long(c->user_regs.rsi, 0x9abc);
    assert_eq_long(c->vm_assist, 4);
    LOSE(op.u.vcpucontext.ctxt);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpucontext, 7), ARGUMENT_UNREADABLE);
    other.d->holds = 255;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpucontext, 7), PAUSED_TOO_OFTEN);
    other.d->holds = 0;
    free(c);
}

/* Who reads a domain's state holds it, and another toolstack pauses and unpauses it meanwhile. */
Test(toolstack, a_hold_is_no_pause)
{
    struct xen_domctl op = {0};

    assert_eq_long(domain_control_hold(other.d), 0);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_unpausedomain, 7), NOT_PAUSED);
    cr_assert(other.v->pause & PAUSE_CONTROL);
    assert_ok(domctl(&op, XEN_DOMCTL_pausedomain, 7));
    assert_ok(domctl(&op, XEN_DOMCTL_unpausedomain, 7));
    cr_assert(other.v->pause & PAUSE_CONTROL, "it is still held");
    assert_ok(domctl(&op, XEN_DOMCTL_pausedomain, 7));
    domain_control_release(other.d);
    cr_assert(other.v->pause & PAUSE_CONTROL, "it is still paused");
    assert_ok(domctl(&op, XEN_DOMCTL_unpausedomain, 7));
    cr_assert(!(other.v->pause & PAUSE_CONTROL));
}

Test(toolstack, registers_that_a_context_has_no_room_for)
{
    struct xen_domctl op = {.u.ext_vcpucontext.vcpu = 9};

    assert_refused(&g, domctl(&op, XEN_DOMCTL_get_ext_vcpucontext, 7), CONTROL_VCPU_MISSING);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_set_ext_vcpucontext, 7), CONTROL_VCPU_MISSING);
    op.u.ext_vcpucontext.vcpu = 0;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_get_ext_vcpucontext, 1), STATE_OF_SELF);
    assert_ok(domctl(&op, XEN_DOMCTL_get_ext_vcpucontext, 7));
    op.u.ext_vcpucontext.syscall32_callback_eip = 0x4242;
    assert_ok(domctl(&op, XEN_DOMCTL_set_ext_vcpucontext, 7));
    op.u.ext_vcpucontext.syscall32_callback_eip = 0;
    assert_ok(domctl(&op, XEN_DOMCTL_get_ext_vcpucontext, 7));
    assert_eq_long(op.u.ext_vcpucontext.syscall32_callback_eip, 0x4242);
}

Test(toolstack, extensions_of_the_fpu)
{
    struct xen_domctl op = {0};
    struct xen_domctl_vcpuextstate *x = &op.u.vcpuextstate;
    uint64_t image[10] = {3, 3, 5, 6};

    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpuextstate, 1), STATE_OF_SELF);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuextstate, 1), STATE_OF_SELF);
    assert_ok(domctl(&op, XEN_DOMCTL_getvcpuextstate, 7));
    assert_eq_long(x->size, sizeof(image));
    assert_eq_long(x->xfeature_mask, 3);
    machine_put(ARRAY, image, sizeof(image));
    POINT(x->buffer);
    assert_ok(domctl(&op, XEN_DOMCTL_setvcpuextstate, 7));
    memset(image, 0, sizeof(image));
    machine_put(ARRAY, image, sizeof(image));
    assert_ok(domctl(&op, XEN_DOMCTL_getvcpuextstate, 7));
    machine_get(image, ARRAY, sizeof(image));
    assert_eq_long(image[0], 3);
    assert_eq_long(image[3], 6);
    x->size--;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpuextstate, 7), STATE_SIZE);
    x->size = 16;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuextstate, 7), STATE_SIZE);
    x->size = sizeof(image) + 8;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuextstate, 7), STATE_SIZE);
    x->size = sizeof(image);
    image[1] = 7;
    machine_put(ARRAY, image, sizeof(image));
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuextstate, 7), STATE_XCR0);
    image[1] = 1;
    machine_put(ARRAY, image, sizeof(image));
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuextstate, 7), STATE_XCR0);
    LOSE(x->buffer);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuextstate, 7), ARGUMENT_UNREADABLE);
    x->xfeature_mask = 3;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpuextstate, 7), ARGUMENT_UNREADABLE);
}

Test(toolstack, msrs_of_a_guest)
{
    struct xen_domctl op = {0};
    struct xen_domctl_vcpu_msrs *m = &op.u.vcpu_msrs;
    struct xen_domctl_vcpu_msr msr = {.index = 1, .value = 77};

    assert_ok(domctl(&op, XEN_DOMCTL_get_vcpu_msrs, 7));
    assert_eq_long(m->msr_count, 1);
    machine_put(ARRAY, &msr, sizeof(msr));
    POINT(m->msrs);
    assert_ok(domctl(&op, XEN_DOMCTL_set_vcpu_msrs, 7));
    m->msr_count = 0;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_get_vcpu_msrs, 7), STATE_MSR_ROOM);
    assert_eq_long(m->msr_count, 1);
    assert_ok(domctl(&op, XEN_DOMCTL_get_vcpu_msrs, 7));
    machine_get(&msr, ARRAY, sizeof(msr));
    assert_eq_long(msr.value, 77);
    m->msr_count = 2;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_set_vcpu_msrs, 7), STATE_SIZE);
    LOSE(m->msrs);
    m->msr_count = 1;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_set_vcpu_msrs, 7), ARGUMENT_UNREADABLE);
    assert_eq_long(m->msr_count, 0);
    m->msr_count = 1;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_get_vcpu_msrs, 7), ARGUMENT_UNREADABLE);
}

Test(toolstack, roles_of_frames)
{
    struct xen_domctl op = {.u.getpageframeinfo3.num = 1025};
    xen_pfn_t list[3] = {guest_mfn(&other, 1).n, guest_mfn(&other, 20).n, ~0ul};

    assert_refused(&g, domctl(&op, XEN_DOMCTL_getpageframeinfo3, 7), FRAMES_TOO_MANY);
    op.u.getpageframeinfo3.num = 3;
    machine_put(ARRAY, list, sizeof(list));
    POINT(op.u.getpageframeinfo3.array);
    assert_ok(domctl(&op, XEN_DOMCTL_getpageframeinfo3, 7));
    machine_get(list, ARRAY, sizeof(list));
    assert_eq_long(list[0], XEN_DOMCTL_PFINFO_L3TAB);
    assert_eq_long(list[1], XEN_DOMCTL_PFINFO_NOTAB);
    assert_eq_long(list[2], XEN_DOMCTL_PFINFO_XTAB);
    LOSE(op.u.getpageframeinfo3.array);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getpageframeinfo3, 7), ARGUMENT_UNREADABLE);
}

Test(toolstack, triggers)
{
    struct xen_domctl op = {.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_NMI};

    assert_ok(domctl(&op, XEN_DOMCTL_sendtrigger, 7));
    assert_eq_long(other.v->exit_work & EXIT_NMI, EXIT_NMI);
    other.v->exit_work = 0;
    op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_POWER;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_sendtrigger, 7), TRIGGER_ASSISTED);
    op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_RESET;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_sendtrigger, 7), TRIGGER_UNKNOWN);
    op.u.sendtrigger.vcpu = 5;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_sendtrigger, 7), CONTROL_VCPU_MISSING);
}
