/*
 * Question: can a control domain make a domain, let it run, and end it; and in which order is it refused?
 *
 * A toolstack's way, step by step, with the smallest guest there can be: seven frames (four page tables, code, data, stack).  It
 * writes a word, yields until it is told to stop, and shuts down with the reason that it finds.  After each step the
 * questions that have one exact answer: how many pages, which flags, what is refused and how.
 *
 * Who lacks the control role gets -EPERM for all of it.
 */
#define __XEN_TOOLS__ 1

#include "event.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/domctl.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>

COVERS(memory_op, XENMEM_claim_pages);
COVERS(memory_op, XENMEM_acquire_resource);

#define NOWHERE  ((void *)0x1000) /* nothing is mapped there */
#define NOBODY   77
#define PATIENCE 1000000u /* rounds of waiting, each a yield */

static struct xen_domctl op;
static domid_t child;

static long domctl(uint32_t cmd, domid_t domain)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = domain;
    return HYPERCALL1(__HYPERVISOR_domctl, &op);
}

static long simple(uint32_t cmd, domid_t domain)
{
    memset(&op, 0, sizeof(op));
    return domctl(cmd, domain);
}

/* The answer's fields mean something only to who got one. */
static void field(uint64_t got, uint64_t expected, const char *what)
{
    if (guest_is_first())
        tap_is((long)got, (long)expected, "%s", what);
}

static const struct xen_domctl_getdomaininfo *info(domid_t domain)
{
    return simple(XEN_DOMCTL_getdomaininfo, domain) || op.domain != domain ? NULL
                                                                           : &op.u.getdomaininfo;
}

static uint32_t flags_of(domid_t domain)
{
    const struct xen_domctl_getdomaininfo *i = info(domain);

    return i ? i->flags & ~XEN_DOMINF_running & ~XEN_DOMINF_blocked : ~0u;
}

/* --- making ------------------------------------------------------------------------------------ */

static void ask_for_two_vcpus(void)
{
    memset(&op, 0, sizeof(op));
    op.u.createdomain = (struct xen_domctl_createdomain){
        .handle = {1, 2, 3, 4},
        .max_vcpus = 2,
        .max_evtchn_port = 10,
        .max_grant_frames = 4,
        .max_maptrack_frames = -1,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
    };
}

static long create(domid_t number)
{
    return domctl(XEN_DOMCTL_createdomain, number);
}

#define REFUSED(errno, what, ...)                                      \
    do {                                                               \
        ask_for_two_vcpus();                                           \
        struct xen_domctl_createdomain *c = &op.u.createdomain;        \
        (void)c;                                                       \
        __VA_ARGS__;                                                   \
        tap_is(create(0), guest_role(-(errno)), "create: %s", (what)); \
    } while (0)

static void test_refusals(void)
{
    REFUSED(XEN_EINVAL, "an unknown flag", c->flags = 1u << 20);
    REFUSED(XEN_EINVAL, "no vCPU", c->max_vcpus = 0);
    REFUSED(XEN_EINVAL, "9,000 vCPUs", c->max_vcpus = 9000);
    REFUSED(XEN_EINVAL, "an unknown grant option", c->grant_opts |= 0x100);
    REFUSED(XEN_EINVAL, "grant tables of version 0", c->grant_opts = 0);
    REFUSED(XEN_EINVAL, "grant tables of version 3", c->grant_opts = 3);
    REFUSED(XEN_EINVAL, "no grant frame", c->max_grant_frames = 0);
    REFUSED(XEN_EINVAL, "too many grant frames", c->max_grant_frames = 100000);
    REFUSED(XEN_EINVAL, "too many maptrack frames", c->max_maptrack_frames = 1000000);
    REFUSED(XEN_EINVAL, "IOMMU options", c->iommu_opts = 1);
    REFUSED(XEN_EINVAL, "an unknown option of the processor", c->arch.misc_flags = 2);
    REFUSED(XEN_EINVAL, "unknown emulated devices", c->arch.emulation_flags = 1u << 20);
    REFUSED(XEN_EOPNOTSUPP, "an emulated HPET", c->arch.emulation_flags = XEN_X86_EMU_HPET);
    REFUSED(XEN_ESRCH, "a second pool of CPUs", c->cpupool_id = 9);
    op.interface_version = 0x14;
    tap_is(HYPERCALL1(__HYPERVISOR_domctl, &op), -XEN_EACCES, "create: another interface version");
    tap_is(HYPERCALL1(__HYPERVISOR_domctl, NOWHERE), -XEN_EFAULT, "create: no memory there");
}

static void test_create(void)
{
    ask_for_two_vcpus();
    tap_is(create(0), guest_role(0), "create");
    child = op.domain;
    if (!guest_is_first())
        child = NOBODY;
    field(child > 0 && child < DOMID_FIRST_RESERVED, 1, "create: a number");
    ask_for_two_vcpus();
    tap_is(create(child), guest_role(-XEN_EEXIST), "create: the number is taken");

    const struct xen_domctl_getdomaininfo *i = info(child);
    if (!i)
        return;
    tap_is_hex(i->flags & 0xffffff, XEN_DOMINF_paused | 0xff0000, "created: paused");
    tap_is(i->tot_pages, 0, "created: no memory");
    tap_is(i->max_pages, 0, "created: and none allowed");
    tap_is(i->nr_online_vcpus, 0, "created: no vCPU");
    tap_is(i->max_vcpu_id, XEN_INVALID_MAX_VCPU_ID, "created: no highest vCPU");
    tap_is(i->handle[2], 3, "created: its handle");
    tap_is(i->cpu_time, 0, "created: it has not run");
}

static void test_vcpus(void)
{
    memset(&op, 0, sizeof(op));
    op.u.max_vcpus.max = 3;
    tap_is(domctl(XEN_DOMCTL_max_vcpus, child), guest_role(-XEN_EINVAL), "vCPUs: not the number");
    op.u.max_vcpus.max = 1;
    tap_is(domctl(XEN_DOMCTL_max_vcpus, 0), guest_role(-XEN_EINVAL), "vCPUs: not one's own");
    op.u.max_vcpus.max = 2;
    tap_is(domctl(XEN_DOMCTL_max_vcpus, NOBODY), guest_role(-XEN_ESRCH), "vCPUs: of nobody");
    tap_is(domctl(XEN_DOMCTL_max_vcpus, child), guest_role(0), "vCPUs");
    tap_is(domctl(XEN_DOMCTL_max_vcpus, child), guest_role(0), "vCPUs: again");
    const struct xen_domctl_getdomaininfo *i = info(child);
    field(i ? i->max_vcpu_id : 0, 1, "vCPUs: two");
    field(i ? i->nr_online_vcpus : 9, 0, "vCPUs: none online");
    memset(&op, 0, sizeof(op));
    op.u.getvcpuinfo.vcpu = 1;
    tap_is(domctl(XEN_DOMCTL_getvcpuinfo, child), guest_role(0), "vCPUs: the second is there");
    field(op.u.getvcpuinfo.online, 0, "vCPUs: and not online");
}

static void test_limits(void)
{
    static uint8_t nodes[8];

    memset(&op, 0, sizeof(op));
    op.u.max_mem.max_memkb = 40;
    tap_is(domctl(XEN_DOMCTL_max_mem, child), guest_role(0), "memory limit");
    const struct xen_domctl_getdomaininfo *i = info(child);
    field(i ? i->max_pages : 0, 10, "memory limit: in pages");

    memset(&op, 0, sizeof(op));
    memset(op.u.setdomainhandle.handle, 7, 16);
    tap_is(domctl(XEN_DOMCTL_setdomainhandle, child), guest_role(0), "handle");
    i = info(child);
    field(i ? i->handle[15] : 0, 7, "handle: another one");

    memset(&op, 0, sizeof(op));
    nodes[0] = 1;
    op.u.nodeaffinity.nodemap.bitmap.p = nodes;
    op.u.nodeaffinity.nodemap.nr_bits = 64;
    tap_is(domctl(XEN_DOMCTL_setnodeaffinity, child), guest_role(0), "nodes");
    nodes[0] = 2;
    tap_is(domctl(XEN_DOMCTL_setnodeaffinity, child), guest_role(-XEN_EINVAL),
           "nodes: there is no second");
    tap_is(domctl(XEN_DOMCTL_getnodeaffinity, child), guest_role(0), "nodes: asked");
    field(nodes[0], 1, "nodes: the first");

    memset(&op, 0, sizeof(op));
    tap_is(domctl(XEN_DOMCTL_settscinfo, child), guest_role(0), "TSC: as is fit");
    op.u.tsc_info.tsc_mode = 2;
    tap_is(domctl(XEN_DOMCTL_settscinfo, child), guest_role(0), "TSC: the processor's");
    op.u.tsc_info.tsc_mode = 9;
    tap_is(domctl(XEN_DOMCTL_settscinfo, child), guest_role(-XEN_EINVAL), "TSC: no mode 9");
    op.u.tsc_info.tsc_mode = 2;
    tap_is(domctl(XEN_DOMCTL_settscinfo, 0), guest_role(-XEN_EINVAL), "TSC: not one's own");
    tap_is(simple(XEN_DOMCTL_gettscinfo, 0), guest_role(-XEN_EINVAL), "TSC: not asked of oneself");
    tap_is(simple(XEN_DOMCTL_gettscinfo, child), guest_role(0), "TSC: asked");
}

/* --- memory ------------------------------------------------------------------------------------ */

enum { L4, L3, L2, L1, CODE, DATA, STACK, FRAMES };
static xen_pfn_t frame[FRAMES];

static long reserve(unsigned cmd, domid_t domain, xen_pfn_t *list, uint64_t n, unsigned order)
{
    struct xen_memory_reservation r = {
        .extent_start = {list}, .nr_extents = n, .extent_order = order, .domid = domain};

    return hypercall_memory_op(cmd, &r);
}

static long claim(domid_t domain, uint64_t n)
{
    return reserve(XENMEM_claim_pages, domain, NULL, n, 0);
}

static uint64_t claimed(void)
{
    const struct xen_domctl_getdomaininfo *i = info(child);

    return i ? i->outstanding_pages : ~0ull;
}

static void test_claims(void)
{
    tap_is(claim(NOBODY, 1), guest_role(-XEN_EINVAL), "claim: for nobody");
    tap_is(reserve(XENMEM_claim_pages, child, NULL, 1, 1), guest_role(-XEN_EINVAL),
           "claim: of large extents");
    tap_is(claim(child, 11), guest_role(-XEN_EINVAL), "claim: more than the limit");
    tap_is(claim(child, 9), guest_role(0), "claim");
    field(claimed(), 9, "claim: all of it is outstanding");
    tap_is(claim(child, 10), guest_role(-XEN_EINVAL), "claim: a second one");
    tap_is(hypercall_memory_op(XENMEM_claim_pages, NOWHERE), -XEN_EFAULT, "claim: unreadable");
    tap_is(hypercall_memory_op(XENMEM_claim_pages | 1 << 6, NOWHERE), -XEN_EINVAL,
           "claim: from an extent on");
}

static void test_memory(void)
{
    for (unsigned i = 0; i < FRAMES; i++)
        frame[i] = i;
    tap_is(reserve(XENMEM_populate_physmap, child, frame, FRAMES, 0), guest_role(FRAMES),
           "memory: seven frames");
    const struct xen_domctl_getdomaininfo *i = info(child);
    field(i ? i->tot_pages : 0, FRAMES, "memory: counted");
    field(claimed(), 9 - FRAMES, "memory: taken from the claim");
    tap_is(claim(child, FRAMES), guest_role(-XEN_EINVAL), "claim: while there is one");
    tap_is(claim(child, 0), guest_role(0), "claim: ended");
    field(claimed(), 0, "claim: none is left");
    tap_is(claim(child, FRAMES), guest_role(-XEN_EINVAL), "claim: what it has already");

    xen_pfn_t more[4] = {7, 8, 9, 10};
    tap_is(reserve(XENMEM_populate_physmap, child, more, 4, 0), guest_role(3),
           "memory: no more than its limit");
    tap_is(reserve(XENMEM_decrease_reservation, child, more, 3, 0), guest_role(3),
           "memory: given back");
}

static void test_map(void)
{
    static struct {
        uint64_t start, size;
        uint32_t type;
    } __attribute__((packed)) entry[2] = {{0, 0x4000, 1}, {0x4000, 0x6000, 2}};
    struct xen_foreign_memory_map map = {
        .domid = child, .map.nr_entries = 2, .map.buffer.p = entry};

    tap_is(hypercall_memory_op(XENMEM_set_memory_map, &map), guest_role(0), "memory map");
    tap_is(hypercall_memory_op(XENMEM_set_memory_map, &map), guest_role(0), "memory map: again");
    map.map.nr_entries = 1025;
    tap_is(hypercall_memory_op(XENMEM_set_memory_map, &map), -XEN_EINVAL, "memory map: too long");
    map.map.nr_entries = 2;
    map.map.buffer.p = NOWHERE;
    tap_is(hypercall_memory_op(XENMEM_set_memory_map, &map), guest_role(-XEN_EFAULT),
           "memory map: unreadable");
}

/* A frame of the child's, mapped by us; NULL: refused. */
static void *map_of(domid_t owner, unsigned long mfn, uint64_t flags)
{
    static unsigned long next = 0x0000600000000000;
    void *own = page_alloc();
    const unsigned long va = next;

    next += PAGE_SIZE;
    if (memory_map_at(va, pte_of(page_mfn(own), PTE_RW)))
        tap_bail_out("no page table for a foreign frame");
    return hypercall_update_va_mapping_otherdomain(va, pte_of(mfn, flags), UVMF_INVLPG, owner)
               ? NULL
               : (void *)va;
}

static void unmap(void *at)
{
    if (hypercall_update_va_mapping((unsigned long)at, 0, UVMF_INVLPG))
        tap_bail_out("a foreign frame cannot be unmapped");
}

static long acquire(domid_t domain, uint32_t type, uint32_t id, uint64_t from, uint32_t n,
                    xen_pfn_t *list, uint32_t *told)
{
    struct xen_mem_acquire_resource r = {.domid = domain,
                                         .type = type,
                                         .id = id,
                                         .nr_frames = n,
                                         .frame = from,
                                         .frame_list.p = list};
    const long rc = hypercall_memory_op(XENMEM_acquire_resource, &r);

    if (told)
        *told = r.nr_frames;
    return rc;
}

static void test_grant_table(void)
{
    enum { TABLE = XENMEM_resource_grant_table, STATUS = XENMEM_resource_grant_table_id_status };
    xen_pfn_t list[2] = {0};
    uint32_t told = 0;

    tap_is(acquire(child, TABLE, 0, 0, 0, NULL, &told), guest_role(0), "grant table: its size");
    field(told, 4, "grant table: as was said");
    tap_is(acquire(child, TABLE, 0, 0, 1, NULL, NULL), guest_role(-XEN_EINVAL),
           "grant table: frames, and no list");
    tap_is(acquire(child, 9, 0, 0, 1, list, NULL), guest_role(-XEN_EOPNOTSUPP), "no resource 9");
    tap_is(acquire(child, TABLE, 9, 0, 1, list, NULL), guest_role(-XEN_EINVAL),
           "grant table: no part 9");
    tap_is(acquire(child, TABLE, 0, 4, 1, list, NULL), guest_role(-XEN_EINVAL),
           "grant table: beyond its limit");
    tap_is(acquire(child, TABLE, STATUS, 0, 1, list, NULL), guest_role(-XEN_EINVAL),
           "grant table: version 1 has no status");
    tap_is(acquire(NOBODY, TABLE, 0, 0, 1, list, NULL), guest_role(-XEN_ESRCH),
           "grant table: nobody's");
    tap_is(acquire(child, TABLE, 0, 0, 1, NOWHERE, NULL), guest_role(-XEN_EFAULT),
           "grant table: an unwritable list");
    tap_is(acquire(0, TABLE, 0, 0, 1, list, NULL), -XEN_EPERM, "grant table: not one's own");
    struct xen_mem_acquire_resource padded = {.domid = child, .pad = 1};
    tap_is(hypercall_memory_op(XENMEM_acquire_resource, &padded), -XEN_EINVAL, "resource: padding");
    tap_is(acquire(child, TABLE, 0, 0, 2, list, NULL), guest_role(0), "grant table: two frames");
    if (!guest_is_first())
        return;
    volatile grant_entry_v1_t *e = map_of(child, list[0], PTE_RW);
    tap_ok(e != NULL, "grant table: mapped");
    if (!e)
        return;
    tap_is(e[0].flags, 0, "grant table: empty");
    e[0] = (grant_entry_v1_t){GTF_permit_access, 0, (uint32_t)frame[DATA]};
    unmap((void *)(uintptr_t)e);

    struct gnttab_map_grant_ref map = {
        .flags = GNTMAP_device_map | GNTMAP_readonly, .dom = child, .ref = 0};
    tap_is(HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, &map, 1), 0,
           "a grant that the toolstack has made");
    tap_is(map.status, GNTST_okay, "is mapped");
    tap_is((long)(map.dev_bus_addr >> PAGE_SHIFT), (long)frame[DATA], "and is that frame");
    struct gnttab_unmap_grant_ref back = {.dev_bus_addr = map.dev_bus_addr, .handle = map.handle};
    tap_is(HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, &back, 1), 0,
           "and given back");
}

/* --- contents ---------------------------------------------------------------------------------- */

#define CHILD_VA 0x10000000ul /* code, data, stack, one after the other */

/* What the child finds in its data page, and what it writes there. */
struct talk {
    volatile uint32_t alive; /* counts */
    volatile uint32_t stop;
    uint32_t reason; /* struct sched_shutdown */
};

/* At any address: writes, yields, looks. */
extern const char child_code[], child_code_end[];
__asm__(".pushsection .rodata\n"
        "child_code:\n"
        "    mov $0x10001000, %ebx\n"
        "1:  incl (%rbx)\n"
        "    mov $29, %eax\n" /* sched_op(SCHEDOP_yield) */
        "    xor %edi, %edi\n"
        "    xor %esi, %esi\n"
        "    syscall\n"
        "    cmpl $0, 4(%rbx)\n"
        "    je 1b\n"
        "    mov $29, %eax\n" /* sched_op(SCHEDOP_shutdown, &reason) */
        "    mov $2, %edi\n"
        "    lea 8(%rbx), %rsi\n"
        "    syscall\n"
        "    ud2\n"
        "child_code_end:\n"
        "    .popsection\n");
_Static_assert(__HYPERVISOR_sched_op == 29 && SCHEDOP_yield == 0 && SCHEDOP_shutdown == 2 &&
                   CHILD_VA + PAGE_SIZE == 0x10001000,
               "child_code");

static void *child_page(unsigned which)
{
    void *at = map_of(child, frame[which], PTE_RW);

    if (!at)
        tap_bail_out("a frame of the child's cannot be mapped");
    return at;
}

static void table_fill(unsigned table, unsigned slot, unsigned which, uint64_t flags)
{
    uint64_t *t = child_page(table);

    t[slot] = pte_of(frame[which], flags);
    unmap(t);
}

static long pin(unsigned cmd, domid_t domain, unsigned long mfn)
{
    struct mmuext_op pin = {.cmd = cmd, .arg1.mfn = mfn};

    return hypercall_mmuext_op(&pin, 1, NULL, domain);
}

static void fill(void)
{
    for (unsigned i = L4; i <= L1; i++) { /* Xen does not clear what it has not given away before */
        void *table = child_page(i);
        memset(table, 0, PAGE_SIZE);
        unmap(table);
    }
    char *code = child_page(CODE);

    memcpy(code, child_code, (size_t)(child_code_end - child_code));
    unmap(code);
    table_fill(L4, CHILD_VA >> 39 & 511, L3, PTE_TABLE);
    table_fill(L3, CHILD_VA >> 30 & 511, L2, PTE_TABLE);
    table_fill(L2, CHILD_VA >> 21 & 511, L1, PTE_TABLE);
    table_fill(L1, CHILD_VA >> 12 & 511, CODE, PTE_RO);
    table_fill(L1, (CHILD_VA >> 12 & 511) + 1, DATA, PTE_RW);
    table_fill(L1, (CHILD_VA >> 12 & 511) + 2, STACK, PTE_RW);
}

static void test_tables(void)
{
    fill();
    tap_is(pin(MMUEXT_PIN_L4_TABLE, 0, frame[L4]), -XEN_ESRCH, "pin: not in our own name");
    tap_is(pin(MMUEXT_PIN_L4_TABLE, NOBODY, frame[L4]), -XEN_ESRCH, "pin: nor in nobody's");
    tap_is(pin(MMUEXT_PIN_L4_TABLE, child, frame[L4]), 0, "pin: the child's root");
    tap_ok(!map_of(child, frame[L1], PTE_RW), "a table is not mapped writable any more");

    const unsigned both = (child + 1u) << 16 | child; /* its tables, for its frames */
    mmu_update_t u = {.ptr = ((uint64_t)frame[L1] << PAGE_SHIFT) + 511 * 8 + MMU_NORMAL_PT_UPDATE,
                      .val = pte_of(frame[L4], PTE_RW)};
    tap_is(HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, NULL, both), -XEN_EBUSY,
           "an entry of the child's that names a table writable");
    u.val = pte_of(frame[DATA], PTE_RW);
    tap_is(HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, NULL, both), 0,
           "an entry of the child's that names its data");
    u.val = 0;
    tap_is(HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, NULL, both), 0, "and is taken back");
}

static void test_hypercall_page(void)
{
    memset(&op, 0, sizeof(op));
    op.u.hypercall_init.gmfn = frame[L1];
    tap_is(domctl(XEN_DOMCTL_hypercall_init, child), -XEN_EPERM, "hypercall page: in a table");
    op.u.hypercall_init.gmfn = page_mfn(page_alloc());
    tap_is(domctl(XEN_DOMCTL_hypercall_init, child), -XEN_EINVAL, "hypercall page: in ours");
    op.u.hypercall_init.gmfn = frame[STACK];
    tap_is(domctl(XEN_DOMCTL_hypercall_init, child), 0, "hypercall page");
}

/* --- the processor ----------------------------------------------------------------------------- */

static void test_policy(void)
{
    static xen_cpuid_leaf_t leaves[200];
    xen_cpuid_leaf_t odd = {.leaf = 0x12345678, .subleaf = XEN_CPUID_NO_SUBLEAF};

    memset(&op, 0, sizeof(op));
    op.u.cpu_policy.leaves.p = leaves;
    tap_is(domctl(XEN_DOMCTL_get_cpu_policy, child), guest_role(-XEN_ENOBUFS),
           "policy: no room for it");
    op.u.cpu_policy.nr_leaves = 200;
    static xen_msr_entry_t msrs[16];
    op.u.cpu_policy.msrs.p = msrs;
    op.u.cpu_policy.nr_msrs = 16;
    tap_is(domctl(XEN_DOMCTL_get_cpu_policy, child), guest_role(0), "policy: asked");
    field(leaves[0].leaf, 0, "policy: the first leaf");
    field(leaves[1].leaf, 1, "policy: the second leaf");
    op.u.cpu_policy.nr_msrs = 0;
    tap_is(domctl(XEN_DOMCTL_set_cpu_policy, child), guest_role(0), "policy: set to what it is");
    op.u.cpu_policy.nr_leaves = 1;
    op.u.cpu_policy.leaves.p = &odd;
    tap_is(domctl(XEN_DOMCTL_set_cpu_policy, child), guest_role(-XEN_ERANGE),
           "policy: an unknown leaf");
    field(op.u.cpu_policy.err_leaf, 0x12345678, "policy: which is told");
    tap_is(domctl(XEN_DOMCTL_set_cpu_policy, 0), guest_role(-XEN_EINVAL), "policy: not one's own");
    op.u.cpu_policy.leaves.p = NOWHERE;
    tap_is(domctl(XEN_DOMCTL_set_cpu_policy, child), guest_role(-XEN_EFAULT),
           "policy: no memory there");
}

static long system_policy(struct xen_sysctl *s, uint32_t index, xen_cpuid_leaf_t *leaves,
                          uint32_t n)
{
    memset(s, 0, sizeof(*s));
    s->cmd = XEN_SYSCTL_get_cpu_policy;
    s->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    s->u.cpu_policy.index = index;
    s->u.cpu_policy.nr_leaves = n;
    s->u.cpu_policy.leaves.p = leaves;
    return HYPERCALL1(__HYPERVISOR_sysctl, s);
}

static void test_system_policy(void)
{
    static struct xen_sysctl s;
    static xen_cpuid_leaf_t leaves[200];

    tap_is(system_policy(&s, XEN_SYSCTL_cpu_policy_raw, NULL, 0), guest_role(0),
           "machine's policy: how long");
    field(s.u.cpu_policy.nr_leaves > 40, 1, "machine's policy: not short");
    for (unsigned i = 0; i <= XEN_SYSCTL_cpu_policy_pv_max; i++)
        tap_is(system_policy(&s, i, leaves, 200), guest_role(0), "machine's policy %u", i);
    tap_is(system_policy(&s, XEN_SYSCTL_cpu_policy_pv_default, leaves, 200), guest_role(0),
           "machine's policy 4");
    field(leaves[1].d & 0x61, 0x61, "machine's policy: FPU, MSR, PAE");
    tap_is(system_policy(&s, 6, leaves, 200), guest_role(-XEN_EINVAL),
           "machine's policy: no sixth");
    tap_is(system_policy(&s, 4, leaves, 1), guest_role(-XEN_ENOBUFS), "machine's policy: no room");
    tap_is(system_policy(&s, 4, NOWHERE, 200), guest_role(-XEN_EFAULT),
           "machine's policy: no memory there");
}

static struct vcpu_guest_context context;

static long set_context(domid_t domain, uint32_t vcpu, void *from)
{
    memset(&op, 0, sizeof(op));
    op.u.vcpucontext.vcpu = vcpu;
    op.u.vcpucontext.ctxt.p = from;
    return domctl(XEN_DOMCTL_setvcpucontext, domain);
}

static void test_context(void)
{
    context = (struct vcpu_guest_context){
        .flags = VGCF_in_kernel | VGCF_online,
        .user_regs = {.rip = CHILD_VA,
                      .rsp = CHILD_VA + 3 * PAGE_SIZE,
                      .cs = FLAT_KERNEL_CS,
                      .ss = FLAT_KERNEL_SS,
                      .ds = FLAT_KERNEL_DS,
                      .es = FLAT_KERNEL_DS},
        .kernel_ss = FLAT_KERNEL_SS,
        .kernel_sp = CHILD_VA + 3 * PAGE_SIZE,
        .ctrlreg[3] = (uint64_t)frame[L1] << PAGE_SHIFT,
    };
    tap_is(set_context(child, 0, &context), guest_role(-XEN_EINVAL),
           "registers: a root of level 1");
    context.ctrlreg[3] = (uint64_t)frame[L4] << PAGE_SHIFT;
    tap_is(set_context(child, 2, &context), guest_role(-XEN_EINVAL), "registers: of a third vCPU");
    tap_is(set_context(0, 0, &context), guest_role(-XEN_EINVAL), "registers: not one's own");
    tap_is(set_context(child, 0, NOWHERE), guest_role(-XEN_EFAULT), "registers: unreadable");
    tap_is(set_context(child, 0, &context), guest_role(0), "registers");
    context.ctrlreg[3] = page_mfn(&context) << PAGE_SHIFT;
    tap_is(set_context(child, 0, &context), guest_role(-XEN_EOPNOTSUPP),
           "registers: another root, later");
    const struct xen_domctl_getdomaininfo *i = info(child);
    field(i ? i->nr_online_vcpus : 0, 1, "registers: the vCPU is online");
}

/* --- what it has become: for a dump, or to be saved ------------------------------------------------ */

static struct vcpu_guest_context saved;

static long get_context(domid_t domain, uint32_t vcpu, void *to)
{
    memset(&op, 0, sizeof(op));
    op.u.vcpucontext.vcpu = vcpu;
    op.u.vcpucontext.ctxt.p = to;
    return domctl(XEN_DOMCTL_getvcpucontext, domain);
}

/* It stands still, in the middle of a yield or at its code; the numbers are those that it was given. */
static void test_saved_context(void)
{
    memset(&saved, 0x77, sizeof(saved));
    tap_is(get_context(child, 2, &saved), guest_role(-XEN_EINVAL), "saved: of a third vCPU");
    tap_is(get_context(NOBODY, 0, &saved), guest_role(-XEN_ESRCH), "saved: of nobody");
    tap_is(get_context(0, 0, &saved), guest_role(-XEN_EINVAL), "saved: not one's own");
    tap_is(get_context(child, 1, &saved), guest_role(-XEN_ENODATA), "saved: it never began");
    tap_is(get_context(child, 0, NOWHERE), guest_role(-XEN_EFAULT), "saved: unwritable");
    tap_is(get_context(child, 0, &saved), guest_role(0), "saved: registers");
    if (!guest_is_first())
        return;
    tap_ok(saved.user_regs.rip >= CHILD_VA && saved.user_regs.rip < CHILD_VA + PAGE_SIZE,
           "saved: it is in its code");
    tap_is_hex(saved.user_regs.rbx, CHILD_VA + PAGE_SIZE, "saved: rbx");
    tap_is_hex(saved.user_regs.rsp, CHILD_VA + 3 * PAGE_SIZE, "saved: rsp");
    tap_is_hex(saved.user_regs.cs, FLAT_KERNEL_CS, "saved: cs");
    tap_is_hex(saved.user_regs.ss, FLAT_KERNEL_SS, "saved: ss");
    tap_is_hex(saved.user_regs.rflags & 0x3200, 0x200, "saved: interrupts on, no I/O privilege");
    tap_is_hex(saved.kernel_sp, CHILD_VA + 3 * PAGE_SIZE, "saved: kernel stack");
    tap_is_hex(saved.kernel_ss, FLAT_KERNEL_SS, "saved: and its selector");
    tap_is_hex(saved.ctrlreg[3], (uint64_t)frame[L4] << PAGE_SHIFT, "saved: its root");
    tap_is_hex(saved.ctrlreg[1], 0, "saved: none of its programs'");
    tap_is_hex(saved.flags & ~VGCF_i387_valid, VGCF_in_kernel | VGCF_online, "saved: flags");
    tap_is_hex(saved.trap_ctxt[14].address, 0, "saved: no handler");
    tap_is_hex(saved.gdt_ents, 0, "saved: no GDT");
    tap_is_hex(saved.debugreg[6], 0xffff0ff0, "saved: DR6");
    tap_is_hex(saved.debugreg[7], 0x400, "saved: DR7");
}

static long extended(uint32_t cmd, domid_t domain, uint32_t vcpu)
{
    op.u.ext_vcpucontext.vcpu = vcpu;
    return domctl(cmd, domain);
}

static void test_saved_extended(void)
{
    memset(&op, 0, sizeof(op));
    tap_is(extended(XEN_DOMCTL_get_ext_vcpucontext, child, 2), guest_role(-XEN_ESRCH),
           "extended: of a third vCPU");
    tap_is(extended(XEN_DOMCTL_get_ext_vcpucontext, 0, 0), guest_role(-XEN_EINVAL),
           "extended: not one's own");
    tap_is(extended(XEN_DOMCTL_get_ext_vcpucontext, child, 0), guest_role(0), "extended");
    field(op.u.ext_vcpucontext.size, sizeof(op.u.ext_vcpucontext), "extended: its size");
    field(op.u.ext_vcpucontext.syscall32_callback_eip, 0, "extended: no callback");
    op.u.ext_vcpucontext.sysenter_callback_eip = CHILD_VA + 8;
    op.u.ext_vcpucontext.sysenter_disables_events = 1;
    tap_is(extended(XEN_DOMCTL_set_ext_vcpucontext, child, 0), guest_role(0), "extended: set");
    op.u.ext_vcpucontext.sysenter_callback_eip = 0;
    tap_is(extended(XEN_DOMCTL_get_ext_vcpucontext, child, 0), guest_role(0), "extended: again");
    field(op.u.ext_vcpucontext.sysenter_callback_eip, CHILD_VA + 8, "extended: as was set");
    field(op.u.ext_vcpucontext.sysenter_disables_events, 1, "extended: and how");
    op.u.ext_vcpucontext.sysenter_callback_eip = 1ull << 60;
    tap_is(extended(XEN_DOMCTL_set_ext_vcpucontext, child, 0), guest_role(-XEN_EINVAL),
           "extended: no address");
    op.u.ext_vcpucontext.sysenter_callback_eip = 0;
    op.u.ext_vcpucontext.size = 8;
    tap_is(extended(XEN_DOMCTL_set_ext_vcpucontext, child, 0), guest_role(-XEN_EINVAL),
           "extended: too short");
}

static void test_saved_fpu(void)
{
    static uint64_t image[512];
    struct xen_domctl_vcpuextstate *x = &op.u.vcpuextstate;

    memset(&op, 0, sizeof(op));
    tap_is(domctl(XEN_DOMCTL_getvcpuextstate, 0), guest_role(-XEN_EINVAL), "FPU: not one's own");
    x->vcpu = 2;
    tap_is(domctl(XEN_DOMCTL_getvcpuextstate, child), guest_role(-XEN_ESRCH),
           "FPU: of a third vCPU");
    x->vcpu = 0;
    tap_is(domctl(XEN_DOMCTL_getvcpuextstate, child), guest_role(0), "FPU: how much");
    const uint64_t size = x->size, mask = x->xfeature_mask;
    x->buffer.p = image;
    x->size = size + 8;
    x->xfeature_mask = mask | 1;
    tap_is(domctl(XEN_DOMCTL_getvcpuextstate, child), guest_role(-XEN_EINVAL), "FPU: not so much");
    x->size = 8;
    tap_is(domctl(XEN_DOMCTL_setvcpuextstate, child), guest_role(-XEN_EINVAL), "FPU: too little");
    x->size = 1 << 20;
    tap_is(domctl(XEN_DOMCTL_setvcpuextstate, child), guest_role(-XEN_EINVAL), "FPU: too much");
    if (!guest_is_first() || !mask)
        return;
    x->size = size;
    x->xfeature_mask = mask;
    tap_is(domctl(XEN_DOMCTL_getvcpuextstate, child), 0, "FPU: asked");
    tap_is_hex(image[0] & 1, 1, "FPU: XCR0 has the x87");
    tap_is_hex(image[2] & 0xffff, 0x37f, "FPU: the control word");
    tap_is(domctl(XEN_DOMCTL_setvcpuextstate, child), 0, "FPU: set as it is");
    image[2 + 65] = 1;
    tap_is(domctl(XEN_DOMCTL_setvcpuextstate, child), -XEN_EINVAL, "FPU: a bit of the future");
    image[2 + 65] = 0;
    image[0] = 2;
    tap_is(domctl(XEN_DOMCTL_setvcpuextstate, child), -XEN_EINVAL, "FPU: XCR0 without the x87");
}

static void test_saved_msrs(void)
{
    static struct xen_domctl_vcpu_msr msrs[16];
    struct xen_domctl_vcpu_msrs *m = &op.u.vcpu_msrs;

    memset(&op, 0, sizeof(op));
    tap_is(domctl(XEN_DOMCTL_get_vcpu_msrs, 0), guest_role(-XEN_EINVAL), "MSRs: not one's own");
    m->vcpu = 2;
    tap_is(domctl(XEN_DOMCTL_get_vcpu_msrs, child), guest_role(-XEN_ESRCH),
           "MSRs: of a third vCPU");
    m->vcpu = 0;
    tap_is(domctl(XEN_DOMCTL_get_vcpu_msrs, child), guest_role(0), "MSRs: how many");
    field(m->msr_count > 0, 1, "MSRs: some");
    m->msrs.p = msrs;
    tap_is(domctl(XEN_DOMCTL_get_vcpu_msrs, child), guest_role(0), "MSRs: asked");
    field(m->msr_count, 0, "MSRs: none is used");
    msrs[0].index = 0x10; /* the TSC */
    m->msr_count = 1;
    tap_is(domctl(XEN_DOMCTL_set_vcpu_msrs, child), guest_role(-XEN_EINVAL), "MSRs: not that one");
    field(m->msr_count, 0, "MSRs: which is told");
    m->msr_count = 1000;
    tap_is(domctl(XEN_DOMCTL_set_vcpu_msrs, child), guest_role(-XEN_EINVAL), "MSRs: too many");
}

static long types(domid_t domain, xen_pfn_t *list, uint64_t n)
{
    memset(&op, 0, sizeof(op));
    op.u.getpageframeinfo3.array.p = list;
    op.u.getpageframeinfo3.num = n;
    return domctl(XEN_DOMCTL_getpageframeinfo3, domain);
}

static void test_frame_types(void)
{
    xen_pfn_t list[FRAMES + 2];

    memcpy(list, frame, sizeof(frame));
    list[FRAMES] = page_mfn(list);
    list[FRAMES + 1] = ~0ul;
    tap_is(types(child, list, 1025), guest_role(-XEN_E2BIG), "frames: too many");
    tap_is(types(child, NOWHERE, 1), guest_role(-XEN_EFAULT), "frames: unreadable");
    tap_is(types(child, list, FRAMES + 2), guest_role(0), "frames: asked");
    if (!guest_is_first())
        return;
    tap_is_hex(list[L4], XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB, "frames: the root");
    tap_is_hex(list[L3], XEN_DOMCTL_PFINFO_L3TAB, "frames: level 3");
    tap_is_hex(list[L2], XEN_DOMCTL_PFINFO_L2TAB, "frames: level 2");
    tap_is_hex(list[L1], XEN_DOMCTL_PFINFO_L1TAB, "frames: level 1");
    tap_is_hex(list[CODE], XEN_DOMCTL_PFINFO_NOTAB, "frames: code");
    tap_is_hex(list[DATA], XEN_DOMCTL_PFINFO_NOTAB, "frames: data");
    tap_is_hex(list[FRAMES], XEN_DOMCTL_PFINFO_XTAB, "frames: one of ours");
    tap_is_hex(list[FRAMES + 1], XEN_DOMCTL_PFINFO_XTAB, "frames: none");
}

/* The machine-to-phys table's own frames, as libxc maps them: in the name of DOMID_XEN, to read. */
static void test_machphys(void)
{
    static xen_pfn_t pieces[4];
    struct xen_machphys_mfn_list l = {.max_extents = 4, .extent_start = {pieces}};

    tap_is(hypercall_memory_op(XENMEM_machphys_mfn_list, &l), 0, "machphys: its frames");
    if (!guest_is_first()) {
        tap_ok(!map_of(DOMID_XEN, pieces[0], PTE_RO), "machphys: not for everybody");
        return;
    }
    const unsigned long own = page_mfn(pieces), per_page = PAGE_SIZE / 8;
    tap_ok(!map_of(DOMID_XEN, pieces[0], PTE_RW), "machphys: not to write");
    const unsigned long *map = map_of(DOMID_XEN, pieces[0] + own / per_page, PTE_RO);
    tap_ok(map != NULL, "machphys: mapped");
    if (!map)
        return;
    tap_is_hex(map[own % per_page], ((const unsigned long *)0xffff800000000000)[own],
               "machphys: it is that table");
    unmap((void *)(uintptr_t)map);
    tap_ok(!map_of(child, pieces[0], PTE_RO), "machphys: it is not the child's");
}

static long trigger(uint32_t which, uint32_t vcpu)
{
    memset(&op, 0, sizeof(op));
    op.u.sendtrigger.trigger = which;
    op.u.sendtrigger.vcpu = vcpu;
    return domctl(XEN_DOMCTL_sendtrigger, child);
}

static void test_triggers(void)
{
    tap_is(trigger(XEN_DOMCTL_SENDTRIGGER_POWER, 0), guest_role(-XEN_EINVAL), "trigger: power");
    tap_is(trigger(XEN_DOMCTL_SENDTRIGGER_SLEEP, 0), guest_role(-XEN_EINVAL), "trigger: sleep");
    tap_is(trigger(XEN_DOMCTL_SENDTRIGGER_RESET, 0), guest_role(-XEN_ENOSYS), "trigger: reset");
    tap_is(trigger(99, 0), guest_role(-XEN_ENOSYS), "trigger: unknown");
    tap_is(trigger(XEN_DOMCTL_SENDTRIGGER_NMI, 2), guest_role(-XEN_ESRCH),
           "trigger: of a third vCPU");
    /* The vCPU that never runs: the other one has no handler. */
    tap_is(trigger(XEN_DOMCTL_SENDTRIGGER_NMI, 1), guest_role(0), "trigger: NMI");
}

static void test_saved(void)
{
    test_saved_context();
    test_saved_extended();
    test_saved_fpu();
    test_saved_msrs();
    test_frame_types();
    test_machphys();
    test_triggers();
}

/* --- running ----------------------------------------------------------------------------------- */

static struct talk *talk;

static bool counts(void)
{
    const uint32_t seen = talk->alive;

    for (unsigned i = 0; i < PATIENCE; i++) {
        hypercall_sched_op(SCHEDOP_yield, NULL);
        if (talk->alive != seen)
            return true;
    }
    return false;
}

static void test_run(void)
{
    talk = child_page(DATA);
    tap_is(talk->alive, 0, "not started: it has not run");
    tap_is(simple(XEN_DOMCTL_unpausedomain, child), 0, "started");
    tap_ok(counts(), "it runs");
    tap_is(simple(XEN_DOMCTL_unpausedomain, child), -XEN_EINVAL, "it is not paused");
    tap_is_hex(flags_of(child) & 0xffff, 0, "no flag is set");

    tap_is(simple(XEN_DOMCTL_pausedomain, child), 0, "paused");
    const uint32_t before = talk->alive;
    for (unsigned i = 0; i < 100; i++)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    tap_is(talk->alive, before, "it stands still");
    tap_is_hex(flags_of(child) & 0xffff, XEN_DOMINF_paused, "it is paused");
    tap_is(simple(XEN_DOMCTL_pausedomain, child), 0, "paused again");
    tap_is(simple(XEN_DOMCTL_unpausedomain, child), 0, "unpaused once");
    for (unsigned i = 0; i < 100; i++)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    tap_is(talk->alive, before, "it still stands still");
    tap_is(simple(XEN_DOMCTL_unpausedomain, child), 0, "unpaused twice");
    tap_ok(counts(), "it runs on");

    tap_is(simple(XEN_DOMCTL_pausedomain, 0), -XEN_EINVAL, "one does not pause oneself");
    tap_is(simple(XEN_DOMCTL_unpausedomain, 0), -XEN_EINVAL, "nor unpause");
    tap_is(simple(XEN_DOMCTL_destroydomain, 0), -XEN_EINVAL, "nor end");
    memset(&op, 0, sizeof(op));
    tap_is(domctl(XEN_DOMCTL_set_cpu_policy, child), -XEN_EEXIST, "its processor is fixed");
}

static void test_many_pauses(void)
{
    long rc = 0;
    unsigned n = 0;

    for (; !rc && n < 300; n++)
        rc = simple(XEN_DOMCTL_pausedomain, child);
    tap_is(rc, -XEN_EOVERFLOW, "pauses are counted");
    tap_is(n, 256, "up to 255");
    for (rc = 0, n = 0; !rc && n < 300; n++)
        rc = simple(XEN_DOMCTL_unpausedomain, child);
    tap_is(n, 256, "and undone");
    tap_ok(counts(), "it runs on after that");
}

static void test_weight(void)
{
    memset(&op, 0, sizeof(op));
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    op.u.scheduler_op.u.credit2.weight = 512;
    op.u.scheduler_op.u.credit2.cap = 50;
    tap_is(domctl(XEN_DOMCTL_scheduler_op, child), 0, "another weight and cap");
    op.u.scheduler_op.u.credit2.weight = 0;
    op.u.scheduler_op.u.credit2.cap = 0;
    tap_is(domctl(XEN_DOMCTL_scheduler_op, child), 0, "no cap");
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    tap_is(domctl(XEN_DOMCTL_scheduler_op, child), 0, "asked");
    tap_is(op.u.scheduler_op.u.credit2.weight, 512, "the weight stays");
    tap_is(op.u.scheduler_op.u.credit2.cap, 0, "the cap is gone");
    tap_ok(counts(), "it runs with them");
}

static void wait_for_event(evtchn_port_t port, const char *what)
{
    evtchn_port_t ports[1] = {port};
    struct sched_poll poll = {.nr_ports = 1, .ports = {ports}};

    tap_is(hypercall_sched_op(SCHEDOP_poll, &poll), 0, "%s", what);
    event_clear(port);
}

static bool is_gone(void)
{
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (!info(child))
            return true;
        hypercall_sched_op(SCHEDOP_yield, NULL);
    }
    return false;
}

static void test_end(void)
{
    evtchn_port_t port;

    tap_is(event_bind_virq(VIRQ_DOM_EXC, 0, &port), 0, "VIRQ_DOM_EXC");
    event_mask(port);
    event_clear(port);
    talk->reason = SHUTDOWN_suspend + 40;
    talk->stop = 1;
    wait_for_event(port, "its end is told");
    tap_is_hex(flags_of(child), XEN_DOMINF_shutdown | 42u << XEN_DOMINF_shutdownshift,
               "it has shut down, for the reason that it gave");
    tap_is(simple(XEN_DOMCTL_destroydomain, child), 0, "destroyed");
    wait_for_event(port, "that is told, too");
    tap_is(flags_of(child) & XEN_DOMINF_dying, XEN_DOMINF_dying,
           "we have a frame of it: it is dying");
    const struct xen_domctl_getdomaininfo *i = info(child);
    tap_is(i ? i->tot_pages : 0, 1, "with that one frame");
    tap_is(simple(XEN_DOMCTL_destroydomain, child), 0, "destroyed again");
    xen_pfn_t more[1] = {7};
    tap_is(reserve(XENMEM_populate_physmap, child, more, 1, 0), 0, "it gets nothing any more");
    tap_is(claim(child, 9), -XEN_EINVAL, "nor a claim");
    event_clear(port);
    unmap(talk);
    tap_ok(is_gone(), "without the frame it is gone");
    wait_for_event(port, "that it is gone is told");
    tap_is(simple(XEN_DOMCTL_destroydomain, child), -XEN_ESRCH, "nobody is left to destroy");
    tap_is(event_close(port), 0, "VIRQ_DOM_EXC closed");
}

/* One that never ran, at each stage of being made. */
static void test_unborn(void)
{
    for (unsigned stage = 0; stage < 3; stage++) {
        ask_for_two_vcpus();
        tap_is(create(40), 0, "unborn %u: created with a number of our choice", stage);
        child = op.domain;
        tap_is(child, 40, "unborn %u: it has that number", stage);
        memset(&op, 0, sizeof(op));
        op.u.max_vcpus.max = 2;
        if (stage > 0)
            tap_is(domctl(XEN_DOMCTL_max_vcpus, child), 0, "unborn %u: vCPUs", stage);
        op.u.max_mem.max_memkb = 40;
        if (stage > 1) {
            tap_is(domctl(XEN_DOMCTL_max_mem, child), 0, "unborn %u: memory limit", stage);
            tap_is(claim(child, 10), 0, "unborn %u: claim", stage);
            frame[0] = 0;
            tap_is(reserve(XENMEM_populate_physmap, child, frame, 1, 0), 1, "unborn %u: memory",
                   stage);
        }
        tap_is(simple(XEN_DOMCTL_destroydomain, child), 0, "unborn %u: destroyed", stage);
        tap_ok(is_gone(), "unborn %u: gone", stage);
    }
}

void guest_main(void)
{
    test_refusals();
    test_create();
    test_vcpus();
    test_limits();
    test_claims();
    test_memory();
    test_map();
    test_grant_table();
    test_system_policy();
    test_policy();
    if (guest_is_first())
        test_tables();
    test_context();
    if (!guest_is_first()) {
        test_saved();
        return;
    }
    test_hypercall_page();
    test_run();
    test_saved();
    tap_ok(counts(), "it runs on after it was looked at");
    test_many_pauses();
    test_weight();
    test_end();
    test_unborn();
}
