/*
 * Question: does memory_op give and take frames exactly, and describe memory
 * truly?
 *
 * A frame that was given back must be gone from every table first; one that
 * is still mapped is only marked and goes with its last mapping.  Each call
 * reports how many extents it did.  XENMEM_exchange is the delicate one: it
 * checks everything, then swaps, and its pointers have been a way into the hypervisor
 * (XSA-29, XSA-212).
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/memory.h>

COVERS_CALL(memory_op);
COVERS(memory_op, XENMEM_increase_reservation);
COVERS(memory_op, XENMEM_decrease_reservation);
COVERS(memory_op, XENMEM_populate_physmap);
COVERS(memory_op, XENMEM_exchange);
COVERS(memory_op, XENMEM_maximum_ram_page);
COVERS(memory_op, XENMEM_current_reservation);
COVERS(memory_op, XENMEM_maximum_reservation);
COVERS(memory_op, XENMEM_maximum_gpfn);
COVERS(memory_op, XENMEM_machphys_mfn_list);
COVERS(memory_op, XENMEM_machphys_mapping);
COVERS(memory_op, XENMEM_memory_map);
COVERS(memory_op, XENMEM_machine_memory_map);
COVERS(memory_op, XENMEM_set_memory_map);
COVERS(memory_op, XENMEM_add_to_physmap);
COVERS(memory_op, XENMEM_add_to_physmap_batch);
COVERS(memory_op, XENMEM_remove_from_physmap);
COVERS(memory_op, XENMEM_get_vnumainfo);

#define UNMAPPED   ((void *)0x1000)
#define HYPERVISOR ((void *)0xffff830000000000)

static long reserve(unsigned cmd, xen_pfn_t *list, unsigned long n, unsigned order, domid_t domain)
{
    struct xen_memory_reservation r = {
        .extent_start = {list}, .nr_extents = n, .extent_order = order, .domid = domain};
    return hypercall_memory_op(cmd, &r);
}

static long current_pages(void)
{
    domid_t self = DOMID_SELF;
    return hypercall_memory_op(XENMEM_current_reservation, &self);
}

static void test_information(void)
{
    domid_t self = DOMID_SELF, nobody = 77;
    long current = current_pages();
    long maximum = hypercall_memory_op(XENMEM_maximum_reservation, &self);
    long ram = hypercall_memory_op(XENMEM_maximum_ram_page, NULL);

    tap_ok(current >= (long)guest_info->nr_pages, "current_reservation");
    tap_ok(maximum >= current || maximum == -1, "maximum_reservation");
    tap_is(hypercall_memory_op(XENMEM_current_reservation, &nobody), guest_role(-XEN_ESRCH),
           "current_reservation: no such domain");
    tap_is(hypercall_memory_op(XENMEM_maximum_reservation, &nobody), guest_role(-XEN_ESRCH),
           "maximum_reservation: no such domain");
    tap_is(hypercall_memory_op(XENMEM_current_reservation, UNMAPPED), -XEN_EFAULT,
           "current_reservation: an unmapped argument");
    tap_is(hypercall_memory_op(XENMEM_maximum_gpfn, &nobody), guest_role(-XEN_ESRCH),
           "maximum_gpfn: no such domain");
    tap_ok(hypercall_memory_op(XENMEM_maximum_gpfn, &self) >= 0, "maximum_gpfn");

    unsigned long highest = 0;
    const unsigned long *p2m = (const unsigned long *)guest_info->mfn_list;
    for (unsigned long pfn = 0; pfn < guest_info->nr_pages; pfn++)
        if (p2m[pfn] > highest)
            highest = p2m[pfn];
    tap_ok(ram >= (long)highest && ram < 1l << 36, "maximum_ram_page is no lower than our frames");

    struct xen_machphys_mapping m = {0};
    tap_is(hypercall_memory_op(XENMEM_machphys_mapping, &m), 0, "machphys_mapping");
    tap_is_hex(m.v_start, MACH2PHYS_VIRT_START, "machphys_mapping: start");
    tap_is_hex(m.v_end, MACH2PHYS_VIRT_END, "machphys_mapping: end");
    tap_ok(m.max_mfn >= highest, "machphys_mapping: max_mfn");
    tap_is(hypercall_memory_op(XENMEM_machphys_mapping, UNMAPPED), -XEN_EFAULT,
           "machphys_mapping: an unmapped argument");

    xen_pfn_t frames[4] = {0};
    struct xen_machphys_mfn_list l = {.max_extents = 4, .extent_start = {frames}};
    tap_is(hypercall_memory_op(XENMEM_machphys_mfn_list, &l), 0, "machphys_mfn_list");
    tap_ok(l.nr_extents >= 1 && l.nr_extents <= 4 && frames[0], "machphys_mfn_list: extents");
    l = (struct xen_machphys_mfn_list){.max_extents = 1, .extent_start = {(void *)UNMAPPED}};
    tap_is(hypercall_memory_op(XENMEM_machphys_mfn_list, &l), -XEN_EFAULT,
           "machphys_mfn_list: an unmapped list");
}

static void test_memory_map(void)
{
    struct entry {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) entries[32];
    struct xen_memory_map map = {.nr_entries = 32, .buffer = {entries}};

    long rc = hypercall_memory_op(XENMEM_memory_map, &map);
    tap_ok(rc == 0 || rc == -XEN_ENOSYS, "memory_map: a map, or none");
    map = (struct xen_memory_map){.nr_entries = 32, .buffer = {entries}};
    rc = hypercall_memory_op(XENMEM_machine_memory_map, &map);
    if (!guest_is_first()) {
        tap_is(rc, -XEN_EPERM, "machine_memory_map: for the first domain only");
        return;
    }
    tap_is(rc, 0, "machine_memory_map");
    tap_ok(map.nr_entries > 0 && map.nr_entries <= 32, "machine_memory_map: entries");
    unsigned ram = 0;
    for (unsigned i = 0; i < map.nr_entries; i++)
        ram += entries[i].type == 1 && entries[i].size;
    tap_ok(ram > 0, "machine_memory_map: some are RAM");
    map = (struct xen_memory_map){.nr_entries = 32, .buffer = {UNMAPPED}};
    tap_is(hypercall_memory_op(XENMEM_machine_memory_map, &map), -XEN_EFAULT,
           "machine_memory_map: an unmapped buffer");
    map = (struct xen_memory_map){.nr_entries = 1, .buffer = {entries}};
    tap_is(hypercall_memory_op(XENMEM_machine_memory_map, &map), -XEN_EINVAL,
           "machine_memory_map: no room for all");
}

static void test_decrease_populate(void)
{
    char *page = page_alloc();
    xen_pfn_t list[4];
    unsigned long mfn = page_mfn(page), pfn = page_pfn(page);
    long before = current_pages();

    page_protect(page, 0);
    list[0] = mfn;
    tap_is(reserve(XENMEM_decrease_reservation, list, 1, 0, DOMID_SELF), 1, "decrease: one frame");
    tap_is(current_pages(), before - 1, "decrease: the count fell");
    tap_ok(machine_to_phys_mapping[mfn] != pfn, "decrease: m2p forgot it");
    tap_is(hypercall_update_va_mapping((unsigned long)page, pte_of(mfn, PTE_RW), UVMF_INVLPG),
           -XEN_EBUSY, "decrease: the frame cannot be mapped");
    tap_is(reserve(XENMEM_decrease_reservation, list, 1, 0, DOMID_SELF), 0, "decrease: not twice");

    list[0] = pfn;
    tap_is(reserve(XENMEM_populate_physmap, list, 1, 0, DOMID_SELF), 1, "populate: one frame");
    tap_ok(list[0] != pfn || list[0] == mfn, "populate: the list holds the frame");
    tap_is_hex(machine_to_phys_mapping[list[0]], pfn, "populate: m2p knows it");
    tap_is(current_pages(), before, "populate: the count is back");
    tap_is(hypercall_update_va_mapping((unsigned long)page, pte_of(list[0], PTE_RW), UVMF_INVLPG),
           0, "populate: the frame can be mapped");
    ((unsigned long *)guest_info->mfn_list)[pfn] = list[0];
    tap_ok(page_protect(page, PTE_RW) == 0, "populate: and used");

    /* A batch whose second frame is bad. */
    unsigned long a = frame_alloc(), b = frame_alloc();
    list[0] = a, list[1] = 0xffffffffff, list[2] = b;
    tap_is(reserve(XENMEM_decrease_reservation, list, 3, 0, DOMID_SELF), 1,
           "decrease: stops at a bad frame");
    list[0] = memory_root_mfn();
    tap_is(reserve(XENMEM_decrease_reservation, list, 0, 0, DOMID_SELF), 0, "decrease: none");
}

static void test_errors(void)
{
    xen_pfn_t list[2] = {0};
    long before = current_pages();
    static const unsigned cmds[] = {XENMEM_increase_reservation, XENMEM_decrease_reservation,
                                    XENMEM_populate_physmap};
    static const char *const names[] = {"increase", "decrease", "populate"};

    for (unsigned i = 0; i < 3; i++) {
        tap_is(hypercall_memory_op(cmds[i], UNMAPPED), 0, "%s: an unmapped argument does nothing",
               names[i]);
        tap_is(reserve(cmds[i], list, 1, 0, 77), guest_role(0), "%s: no such domain: nothing",
               names[i]);
        tap_is(reserve(cmds[i], list, ~0ul, 0, DOMID_SELF), 0, "%s: ~0 extents: nothing", names[i]);
        tap_is(reserve(cmds[i], list, 1, 63, DOMID_SELF), 0, "%s: order 63: nothing", names[i]);
        tap_is(reserve(cmds[i], list, 1, ~0u, DOMID_SELF), 0, "%s: order ~0: nothing", names[i]);
        tap_is(reserve(cmds[i], (xen_pfn_t *)UNMAPPED, 1, 0, DOMID_SELF), 0,
               "%s: an unmapped list: nothing", names[i]);
        tap_is(reserve(cmds[i], (xen_pfn_t *)HYPERVISOR, 1, 0, DOMID_SELF), 0,
               "%s: a list of the hypervisor's: nothing", names[i]);
    }
    /* The increase that could not write its list has given a frame all the same. */
    tap_ok(current_pages() >= before, "no frame was lost");
}

static void test_increase(void)
{
    xen_pfn_t list[1] = {0};
    long before = current_pages();

    /* A domain may be at its maximum: then the answer is no. */
    long rc = reserve(XENMEM_increase_reservation, list, 1, 0, DOMID_SELF);
    tap_ok(rc == 0 || rc == 1, "increase: a frame, or none at the maximum");
    tap_is(current_pages(), before + rc, "increase: the count says the same");
    tap_is(rc ? reserve(XENMEM_decrease_reservation, list, 1, 0, DOMID_SELF) : 0, rc,
           "increase: give it back");
    tap_is(current_pages(), before, "increase: the count is back");
}

static void test_addresses(void)
{
    void *page = page_alloc();
    unsigned long pfn = page_pfn(page);
    xen_pfn_t list[1] = {page_mfn(page)};
    struct xen_memory_reservation r = {
        .extent_start = {list}, .nr_extents = 1, .domid = DOMID_SELF};
    domid_t self = DOMID_SELF;

    /* Give one back first: a domain at its maximum gets nothing anyway. */
    page_protect(page, 0);
    reserve(XENMEM_decrease_reservation, list, 1, 0, DOMID_SELF);
    list[0] = pfn;
    r.mem_flags = XENMEMF_address_bits(12);
    tap_ok(hypercall_memory_op(XENMEM_populate_physmap, &r) <= 0,
           "populate: 12 address bits hold no frame");
    r.mem_flags = XENMEMF_address_bits(16);
    tap_is(hypercall_memory_op(XENMEM_populate_physmap, &r), 0,
           "populate: below 64 KiB nothing is free");
    r.mem_flags = XENMEMF_address_bits(60);
    tap_is(hypercall_memory_op(XENMEM_populate_physmap, &r), 1, "populate: below 2^60 there is");
    ((unsigned long *)guest_info->mfn_list)[pfn] = list[0];
    tap_is(page_protect(page, PTE_RW), 0, "populate: it can be mapped");
    tap_is(hypercall_memory_op(XENMEM_current_reservation | 1 << 6, &self), -XEN_EINVAL,
           "current_reservation: nothing to continue");
}

/* A frame that is mapped, or is a page table, while it is given back. */
static void test_in_use(void)
{
    char *page = page_alloc();
    xen_pfn_t list[1] = {page_mfn(page)};
    uint64_t *table = table_alloc();

    *page = 'x';
    tap_is(reserve(XENMEM_decrease_reservation, list, 1, 0, DOMID_SELF), 1,
           "decrease: a mapped frame");
    tap_is(*(volatile char *)page, 'x', "decrease: it stays as long as its mapping");
    page_protect(page, 0);

    mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(table));
    list[0] = page_mfn(table);
    tap_is(reserve(XENMEM_decrease_reservation, list, 1, 0, DOMID_SELF), 1,
           "decrease: a pinned page table (XSA-252)");
    long rc = mmuext(MMUEXT_UNPIN_TABLE, page_mfn(table));
    tap_ok(rc == 0 || rc == -XEN_EINVAL, "decrease: its pin can be dropped, or was");
    page_protect(table, 0);
}

static long exchange(struct xen_memory_exchange *e)
{
    return hypercall_memory_op(XENMEM_exchange, e);
}

static void test_exchange(void)
{
    char *page = page_alloc();
    unsigned long pfn = page_pfn(page), old = page_mfn(page);
    xen_pfn_t in[1] = {old}, out[1] = {pfn};
    struct xen_memory_exchange e = {
        .in = {.extent_start = {in}, .nr_extents = 1, .domid = DOMID_SELF},
        .out = {.extent_start = {out}, .nr_extents = 1, .domid = DOMID_SELF},
    };
    struct xen_memory_exchange good = e;
    long before = current_pages();

    *page = 'm';
    tap_is(exchange(&e), -XEN_EINVAL, "exchange: a mapped frame is refused");
    tap_is(e.nr_exchanged, 0, "exchange: none was exchanged");
    tap_is(*(volatile char *)page, 'm', "exchange: it is still there");

    page_protect(page, 0);
    e = good, out[0] = pfn;
    tap_is(exchange(&e), 0, "exchange: one frame");
    tap_is(e.nr_exchanged, 1, "exchange: nr_exchanged");
    tap_is_hex(machine_to_phys_mapping[out[0]], pfn, "exchange: m2p knows the new frame");
    ((unsigned long *)guest_info->mfn_list)[pfn] = out[0];
    tap_is(page_protect(page, PTE_RW), 0, "exchange: the new frame can be mapped");
    if (out[0] != old)
        tap_is(hypercall_update_va_mapping((unsigned long)page, pte_of(old, PTE_RW), UVMF_INVLPG),
               -XEN_EBUSY, "exchange: the old one cannot");
    else
        tap_skip("it was the same frame", "exchange: the old one cannot");
    tap_is(current_pages(), before, "exchange: the count is the same");

    page_protect(page, 0);
    in[0] = page_mfn(page), out[0] = pfn;
    e = good, e.nr_exchanged = 2;
    tap_is(exchange(&e), -XEN_EINVAL, "exchange: nr_exchanged too high");
    e = good, e.out.nr_extents = 2;
    tap_is(exchange(&e), -XEN_EINVAL, "exchange: sizes differ");
    e = good, e.in.domid = 77, e.out.domid = 77;
    tap_is(exchange(&e), guest_role(-XEN_ESRCH), "exchange: no such domain");
    e = good, e.out.domid = 77;
    tap_is(exchange(&e), -XEN_EINVAL, "exchange: two domains");
    e = good, e.in.extent_order = 63, e.out.extent_order = 63;
    tap_is(exchange(&e), -XEN_EPERM, "exchange: order 63");
    e = good, e.out.mem_flags = XENMEMF_address_bits(16);
    tap_is(exchange(&e), -XEN_ENOMEM, "exchange: below 64 KiB nothing is free");
    e = good, e.in.extent_start.p = (xen_pfn_t *)UNMAPPED;
    tap_is(exchange(&e), -XEN_EFAULT, "exchange: an unmapped input list");
    e = good, e.in.extent_start.p = (xen_pfn_t *)HYPERVISOR;
    tap_is(exchange(&e), -XEN_EFAULT, "exchange: an input list of the hypervisor's");
    e = good, e.out.extent_start.p = (xen_pfn_t *)HYPERVISOR;
    tap_is(exchange(&e), -XEN_EFAULT, "exchange: an output list of the hypervisor's");
    tap_is(hypercall_memory_op(XENMEM_exchange, UNMAPPED), -XEN_EFAULT,
           "exchange: an unmapped argument");
    tap_is(page_protect(page, PTE_RW), 0, "exchange: after all refusals the frame is still ours");
    tap_is(current_pages(), before, "exchange: and the count unchanged");
}

static void test_not_for_us(void)
{
    struct xen_add_to_physmap add = {.domid = DOMID_SELF, .space = XENMAPSPACE_gmfn, .gpfn = 5};
    struct xen_remove_from_physmap remove = {.domid = DOMID_SELF, .gpfn = 5};
    struct xen_add_to_physmap_batch batch = {.domid = DOMID_SELF, .space = XENMAPSPACE_gmfn};
    struct xen_vnuma_topology_info vnuma = {.domid = DOMID_SELF};
    struct xen_foreign_memory_map map = {.domid = DOMID_SELF};

    tap_is(hypercall_memory_op(XENMEM_add_to_physmap, &add), -XEN_EACCES,
           "add_to_physmap is refused");
    tap_is(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), -XEN_EACCES,
           "remove_from_physmap is refused");
    tap_is(hypercall_memory_op(XENMEM_add_to_physmap_batch, &batch), -XEN_EACCES,
           "add_to_physmap_batch is refused");
    tap_is(hypercall_memory_op(XENMEM_add_to_physmap, UNMAPPED), -XEN_EFAULT,
           "add_to_physmap: an unmapped argument");
    add.domid = 77;
    tap_is(hypercall_memory_op(XENMEM_add_to_physmap, &add), guest_role(-XEN_ESRCH),
           "add_to_physmap: no such domain");
    tap_is(hypercall_memory_op(XENMEM_get_vnumainfo, &vnuma), -XEN_EOPNOTSUPP, "get_vnumainfo");
    map.domid = 77;
    tap_is(hypercall_memory_op(XENMEM_set_memory_map, &map), guest_role(-XEN_ESRCH),
           "set_memory_map: no such domain");
    tap_is(hypercall_memory_op(29, &map), -XEN_ENOSYS, "no operation 29");
    tap_is(hypercall_memory_op(63, &map), -XEN_ENOSYS, "no operation 63");
}

/* Up to the maximum, which is grow= frames away, and back.  Most domains start with all they may
 * have. */
static void test_growth(void)
{
    static xen_pfn_t frames[8192];
    struct {
        uint64_t start, size;
        uint32_t type;
    } __attribute__((packed)) all = {0};
    struct xen_memory_map map = {.nr_entries = 1, .buffer = {&all}};
    domid_t self = DOMID_SELF;

    if (!guest_option("grow", 0) || guest_option("grow", 0) > sizeof(frames) / sizeof(frames[0]))
        return;
    const long start = current_pages(),
               most = hypercall_memory_op(XENMEM_maximum_reservation, &self);
    const unsigned long room = (unsigned long)(most - start);
    if (!tap_is((long)room, (long)guest_option("grow", 0),
                "the domain may grow by what it was told"))
        return;
    tap_is(hypercall_memory_op(XENMEM_memory_map, &map), 0, "memory_map");
    tap_is((long)(all.size >> 12), most, "memory_map: all that it may have");
    for (unsigned i = 0; i < room; i++)
        frames[i] = guest_info->nr_pages + i;
    tap_is(reserve(XENMEM_populate_physmap, frames, room, 0, DOMID_SELF), (long)room,
           "populate_physmap up to the maximum");
    tap_is(current_pages(), most, "current_reservation is the maximum");
    unsigned wrong = 0;
    for (unsigned i = 0; i < room; i++)
        wrong += machine_to_phys_mapping[frames[i]] != guest_info->nr_pages + i;
    tap_is(wrong, 0, "each frame has its number");
    xen_pfn_t one = guest_info->nr_pages + room;
    tap_is(reserve(XENMEM_populate_physmap, &one, 1, 0, DOMID_SELF), 0, "no further");
    volatile uint64_t *page = memory_map_frame(frames[room - 1], PTE_RW);
    tap_is((long)page[511], 0, "a new frame is empty");
    page[511] = 1;
    tap_is((long)page[511], 1, "and holds what is written");
    memory_unmap_frame((void *)page);
    tap_is(reserve(XENMEM_decrease_reservation, frames, room, 0, DOMID_SELF), (long)room,
           "decrease_reservation of all of it");
    tap_is(current_pages(), start, "current_reservation as at the start");
}

void guest_main(void)
{
    test_growth();
    test_information();
    test_memory_map();
    test_decrease_populate();
    test_errors();
    test_increase();
    test_addresses();
    test_in_use();
    test_exchange();
    test_not_for_us();
}
