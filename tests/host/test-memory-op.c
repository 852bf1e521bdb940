/*
 * memory_op: how many extents were done, what the answers are, and that an exchange that fails
 * leaves every frame as it was.
 */
#include "suite.h"

#include <xen/memory.h>

static struct guest g;

static void start(void)
{
    world_start(2, 2048);
    guest_create(&g, 1, 96, 2);
    g.d->max_pages = 200;
    machine_enter(g.v);
}

static void finish(void)
{
    machine_tlb_fill_all();
    world_check();
    guest_destroy(&g);
    world_check_empty();
}

TestSuite(memory_op, .init = start, .fini = finish);

#define AT_LIST 0x10000u
#define AT_OUT  0x18000u

static long reservation(unsigned cmd, const uint64_t *list, unsigned count, unsigned order,
                        unsigned start_at)
{
    struct xen_memory_reservation r = {
        .nr_extents = count, .extent_order = order, .domid = DOMID_SELF};
    set_xen_guest_handle(r.extent_start,
                         (void *)machine_put(AT_LIST, list, count * sizeof(*list)).va);
    return guest_op(g.v, __HYPERVISOR_memory_op, cmd | start_at << 6, &r, sizeof(r));
}

/* Let go of the mapping of @pfn, so that the frame has no reference but the domain's. */
static void unmap(unsigned pfn)
{
    assert_ok(guest_protect(&g, pfn, 0));
}

/* --- decrease, populate, increase
 * ----------------------------------------------------------------------------- */

Test(memory_op, growing_leaves_the_hypervisor_something)
{
    static uint64_t list[2048];

    g.d->max_pages = 1 << 20;
    long done = reservation(XENMEM_increase_reservation, list, 2048, 0, 0);
    cr_assert(done > 0 && done < 2048, "%ld extents", done);
    assert_eq_long(page_free_count(), 256);
    assert_eq_long(reservation(XENMEM_increase_reservation, list, 1, 0, 0), 0);
    cr_assert(last_rule(g.v) == RULE_DOMAIN_MEMORY_LIMIT);
}

Test(memory_op, decrease_gives_frames_back)
{
    uint64_t list[10], free = page_free_count();
    uint32_t total = g.d->tot_pages;

    for (unsigned i = 0; i < 10; i++) {
        list[i] = g.mfn[20 + i];
        unmap(20 + i);
    }
    assert_eq_long(reservation(XENMEM_decrease_reservation, list, 10, 0, 0), 10);
    assert_eq_long(page_free_count(), free + 10);
    assert_eq_long(g.d->tot_pages, total - 10);
    for (unsigned i = 0; i < 10; i++)
        assert_eq_long(machine_to_phys[list[i]], M2P_INVALID);
    /* They are gone: not once more. */
    assert_eq_long(reservation(XENMEM_decrease_reservation, list, 10, 0, 0), 0);
}

Test(memory_op, decrease_stops_at_the_first_frame_that_is_not_ours)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    const uint64_t bad[] = {other.mfn[9], machine.hole_first,         max_mfn,
                            ~0ull,        virt_to_mfn(g.d->shared).n, 1};
    uint32_t total = g.d->tot_pages;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t list[3] = {g.mfn[20 + 2 * i], bad[i], g.mfn[21 + 2 * i]};
        unmap(20 + 2 * i);
        assert_eq_long(reservation(XENMEM_decrease_reservation, list, 3, 0, 0), 1);
        assert_eq_long(g.d->tot_pages, --total);
    }
    guest_destroy(&other);
}

Test(memory_op, mapped_frame_stays_until_it_is_unmapped)
{
    uint64_t frame = g.mfn[20], free = page_free_count();

    assert_eq_long(reservation(XENMEM_decrease_reservation, &frame, 1, 0, 0), 1);
    assert_eq_long(page_free_count(), free);
    assert_eq_long(mfn_to_page(mfn(frame))->owner, 1);
    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 20), 0));
    assert_eq_long(page_free_count(), free + 1);
}

Test(memory_op, page_tables_given_back_stay_while_used)
{
    uint64_t list[4] = {g.mfn[0], g.mfn[1], g.mfn[2], g.mfn[3]};

    assert_eq_long(reservation(XENMEM_decrease_reservation, list, 4, 0, 0), 4);
    assert_eq_long(mfn_to_page(mfn(list[0]))->owner, 1);
    world_check();
    assert_ok(
        guest_mmu_update(&g, guest_l1_entry(&g, 30), guest_pte(&g, 30, RO))); /* and still work */
}

Test(memory_op, populate_numbers_what_it_gives)
{
    uint64_t list[5] = {500, 501, 502, 600, 700};

    assert_eq_long(reservation(XENMEM_populate_physmap, list, 5, 0, 0), 5);
    uint64_t got[5];
    machine_get(got, AT_LIST, sizeof(got));
    for (unsigned i = 0; i < 5; i++) {
        assert_eq_long(machine_to_phys[got[i]], list[i]);
        assert_eq_long(mfn_to_page(mfn(got[i]))->owner, 1);
        const uint64_t *page = mfn_to_virt(mfn(got[i]));
        for (unsigned k = 0; k < PT_ENTRIES; k++)
            cr_assert(page[k] == 0, "word %u of a new frame: %lx", k, (unsigned long)page[k]);
    }
    assert_eq_long(g.d->tot_pages, 101);
}

Test(memory_op, populate_ends_at_the_limit)
{
    uint64_t list[20];
    g.d->max_pages = g.d->tot_pages + 7;
    for (unsigned i = 0; i < 20; i++)
        list[i] = 300 + i;
    assert_eq_long(reservation(XENMEM_populate_physmap, list, 20, 0, 0), 7);
    assert_eq_long(g.d->tot_pages, g.d->max_pages);
}

Test(memory_op, populate_ends_where_the_list_cannot_be_read_or_written)
{
    uint64_t list[20] = {0};
    machine_window(AT_LIST + 6 * 8, WINDOW_BYTES);
    assert_eq_long(reservation(XENMEM_populate_physmap, list, 20, 0, 0), 6);
    machine_window(WINDOW_BYTES, AT_LIST + 4 * 8);
    assert_eq_long(reservation(XENMEM_populate_physmap, list, 20, 0, 0), 4);
    machine_window(WINDOW_BYTES, WINDOW_BYTES);
}

Test(memory_op, extents_of_higher_order)
{
    uint64_t list[2] = {512, 520};

    assert_eq_long(reservation(XENMEM_populate_physmap, list, 2, 3, 0), 2);
    uint64_t got[2];
    machine_get(got, AT_LIST, sizeof(got));
    assert_eq_long(got[0] % 8, 0);
    for (unsigned i = 0; i < 8; i++)
        assert_eq_long(machine_to_phys[got[1] + i], 520 + i);
    assert_eq_long(reservation(XENMEM_decrease_reservation, got, 2, 3, 0), 2);
    assert_eq_long(g.d->tot_pages, 96);
    /* Larger than this domain may ask for. */
    assert_eq_long(reservation(XENMEM_populate_physmap, list, 2, 10, 0), 0);
    assert_eq_long(reservation(XENMEM_populate_physmap, list, 2, 64, 0), 0);
    assert_eq_long(reservation(XENMEM_decrease_reservation, list, 2, 200, 0), 0);
}

Test(memory_op, start_in_the_middle_as_a_continued_call)
{
    uint64_t list[10];
    for (unsigned i = 0; i < 10; i++)
        list[i] = 300 + i;
    assert_eq_long(reservation(XENMEM_populate_physmap, list, 10, 0, 4), 10);
    assert_eq_long(g.d->tot_pages, 96 + 6);
    assert_eq_long(reservation(XENMEM_populate_physmap, list, 10, 0, 10), 10);
    assert_eq_long(reservation(XENMEM_populate_physmap, list, 10, 0, 1000), 1000);
}

Test(memory_op, lists_in_forbidden_places)
{
    static const uint64_t bad[] = {HYPERVISOR_VIRT_START_, 0x00007ffffffffff8ull, ~0ull - 7};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct xen_memory_reservation r = {.nr_extents = 10, .domid = DOMID_SELF};
        set_xen_guest_handle(r.extent_start, (void *)bad[i]);
        assert_eq_long(
            guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &r, sizeof(r)), 0);
        assert_eq_long(
            guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, &r, sizeof(r)), 0);
    }
    assert_eq_long(hypercall(&g, memory_op, XENMEM_populate_physmap, 0x1000), 0);
}

Test(memory_op, other_domains_need_the_control_role)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = 2};
    uint64_t list = other.mfn[9];
    set_xen_guest_handle(r.extent_start, (void *)machine_put(AT_LIST, &list, sizeof(list)).va);

    assert_refused(
        &g, guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, &r, sizeof(r)),
        MEMORY_DOMAIN_NOT_ALLOWED);
    struct xen_memory_domain about = {.domid = 2};
    assert_refused(
        &g,
        guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_current_reservation, &about, sizeof(about)),
        MEMORY_DOMAIN_NOT_ALLOWED);
    about.domid = 99; /* whether it exists or not */
    assert_refused(
        &g,
        guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_current_reservation, &about, sizeof(about)),
        MEMORY_DOMAIN_NOT_ALLOWED);
    g.d->roles = ROLE_CONTROL;
    about.domid = 2;
    assert_eq_long(
        guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_current_reservation, &about, sizeof(about)),
        16);
    about.domid = 99;
    assert_refused(
        &g,
        guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_current_reservation, &about, sizeof(about)),
        MEMORY_DOMAIN_MISSING);
    guest_destroy(&other);
}

/* --- exchange
 * ------------------------------------------------------------------------------------------------------
 */

static struct xen_memory_exchange exchange_of(const uint64_t *in, unsigned ins, unsigned in_order,
                                              const uint64_t *out, unsigned outs,
                                              unsigned out_order)
{
    struct xen_memory_exchange e = {
        .in = {.nr_extents = ins, .extent_order = in_order, .domid = DOMID_SELF},
        .out = {.nr_extents = outs, .extent_order = out_order, .domid = DOMID_SELF},
    };
    set_xen_guest_handle(e.in.extent_start, (void *)machine_put(AT_LIST, in, ins * sizeof(*in)).va);
    set_xen_guest_handle(e.out.extent_start,
                         (void *)machine_put(AT_OUT, out, outs * sizeof(*out)).va);
    return e;
}

static long exchange(struct xen_memory_exchange *e)
{
    return guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_exchange, e, sizeof(*e));
}

Test(memory_op, exchange_of_singles_for_a_block)
{
    uint64_t in[8], out = 400, got, free = page_free_count();
    for (unsigned i = 0; i < 8; i++) {
        in[i] = g.mfn[20 + i];
        unmap(20 + i);
    }
    struct xen_memory_exchange e = exchange_of(in, 8, 0, &out, 1, 3);
    assert_ok(exchange(&e));
    assert_eq_long(e.nr_exchanged, 8);
    machine_get(&got, AT_OUT, sizeof(got));
    assert_eq_long(got % 8, 0);
    for (unsigned i = 0; i < 8; i++) {
        assert_eq_long(machine_to_phys[got + i], 400 + i);
        assert_eq_long(mfn_to_page(mfn(got + i))->owner, 1);
    }
    assert_eq_long(g.d->tot_pages, 96);
    assert_eq_long(page_free_count(), free);
    for (unsigned i = 0; i < PT_ENTRIES; i++)
        assert_eq_long(((uint64_t *)mfn_to_virt(mfn(got)))[i], 0);
}

Test(memory_op, failed_exchange_rolls_its_chunk_back)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    const uint64_t bad[] = {other.mfn[9], machine.hole_first,         max_mfn,
                            ~0ull,        virt_to_mfn(g.d->shared).n, g.mfn[40] /* mapped */,
                            g.mfn[0] /* a table */};

    for (unsigned i = 20; i < 28; i++) {
        unmap(i);
        memset(guest_page(&g, i), (int)i, PAGE_SIZE);
    }
    for (unsigned k = 0; k < ARRAY_SIZE(bad) + 1; k++) {
        uint64_t in[8], out = 400;
        for (unsigned i = 0; i < 8; i++)
            in[i] = g.mfn[20 + i];
        in[6] = k < ARRAY_SIZE(bad) ? bad[k] : in[2]; /* or the same frame twice */
        struct xen_memory_exchange e = exchange_of(in, 8, 0, &out, 1, 3);
        struct page_info *before = frames_snapshot();
        assert_refused(&g, exchange(&e), EXCHANGE_FRAME_IN_USE);
        assert_eq_long(frames_differ(before), 0);
        assert_eq_long(e.nr_exchanged, 0);
        for (unsigned i = 20; i < 28; i++)
            assert_eq_long(*(uint8_t *)guest_page(&g, i), i);
        world_check();
    }
    guest_destroy(&other);
}

Test(memory_op, exchange_without_memory_rolls_back)
{
    uint64_t in[8], out = 400;
    for (unsigned i = 0; i < 8; i++) {
        in[i] = g.mfn[20 + i];
        unmap(20 + i);
    }
    /* No block of 8 left, but pages for the lists of the exchange itself. */
    struct page_info *held[512], *single[16];
    unsigned n = 0;
    for (unsigned i = 0; i < 16; i++)
        single[i] = page_alloc(0);
    while ((held[n] = page_alloc(3)))
        n++;
    for (unsigned i = 0; i < 16; i += 2)
        page_free(single[i], 0);
    struct xen_memory_exchange e = exchange_of(in, 8, 0, &out, 1, 3);
    struct page_info *before = frames_snapshot();
    assert_refused(&g, exchange(&e), EXCHANGE_NO_MEMORY);
    assert_eq_long(frames_differ(before), 0);
    for (unsigned i = 1; i < 16; i += 2)
        page_free(single[i], 0);
    while (n-- > 0)
        page_free(held[n], 3);
}

/* However many of its vCPUs are in the middle of an exchange, a domain has one chunk more than it may have. */
Test(memory_op, exchange_counts_its_new_frames)
{
    uint64_t in[8], out = 400;
    for (unsigned i = 0; i < 8; i++) {
        in[i] = g.mfn[20 + i];
        unmap(20 + i);
    }
    struct xen_memory_exchange e = exchange_of(in, 8, 0, &out, 1, 3);
    const uint32_t total = g.d->tot_pages;

    g.d->max_pages = total;
    g.d->tot_pages += 8; /* another's, put aside in the middle */
    assert_refused(&g, exchange(&e), EXCHANGE_NO_MEMORY);
    assert_eq_long(g.d->tot_pages, total + 8);
    g.d->tot_pages -= 8;
    assert_ok(exchange(&e));
    assert_eq_long(g.d->tot_pages, total);
}

/* Exchanges leave the hypervisor what growing domains leave it. */
Test(memory_op, exchange_leaves_the_hypervisor_something)
{
    static uint64_t list[2048];
    uint64_t in[8], out = 400;
    for (unsigned i = 0; i < 8; i++) {
        in[i] = g.mfn[20 + i];
        unmap(20 + i);
    }
    g.d->max_pages = 1 << 20;
    cr_assert(reservation(XENMEM_increase_reservation, list, 2048, 0, 0) > 0);
    assert_eq_long(page_free_count(), 256);
    struct xen_memory_exchange e = exchange_of(in, 8, 0, &out, 1, 3);
    assert_refused(&g, exchange(&e), EXCHANGE_NO_MEMORY);
    assert_eq_long(page_free_count(), 256);
}

/* Some of the new blocks could be had, but not all. */
Test(memory_op, exchange_that_runs_out_half_way_rolls_back)
{
    uint64_t list = 512, out[8], block;
    struct page_info *held[2048];

    assert_eq_long(reservation(XENMEM_populate_physmap, &list, 1, 3, 0), 1);
    machine_get(&block, AT_LIST, sizeof(block));
    for (unsigned spare = 2; spare < 10; spare++) {
        unsigned n = 0;
        while ((held[n] = page_alloc(0)))
            n++;
        for (unsigned i = 0; i < spare; i++) /* the exchange needs one or two for its own lists */
            page_free(held[--n], 0);
        for (unsigned i = 0; i < 8; i++)
            out[i] = 400 + i;
        struct xen_memory_exchange e = exchange_of(&block, 1, 3, out, 8, 0);
        struct page_info *before = frames_snapshot();
        long rc = exchange(&e);
        if (rc) {
            assert_refused(&g, rc, EXCHANGE_NO_MEMORY);
            assert_eq_long(frames_differ(before), 0);
            assert_eq_long(page_free_count(), spare);
        } else {
            cr_assert(spare >= 8);
            free(before);
            while (n-- > 0)
                page_free(held[n], 0);
            return;
        }
        while (n-- > 0)
            page_free(held[n], 0);
    }
}

/* Between taking frames and giving them back no memory of what they were may be lost: a CPU may
 * still know a writable translation, and a frame that forgot its role would become a page table
 * without a flush. */
Test(memory_op, frames_of_a_failed_exchange_still_need_a_flush)
{
    uint64_t in[2] = {g.mfn[20], g.mfn[0]}, out = 400;

    memset(guest_page(&g, 20), 0, PAGE_SIZE);
    machine_tlb_fill_all();
    unmap(20);
    cr_assert(machine_tlb_knows(1, guest_mfn(&g, 20), true));
    struct xen_memory_exchange e = exchange_of(in, 2, 0, &out, 1, 1);
    assert_refused(&g, exchange(&e), EXCHANGE_FRAME_IN_USE);
    assert_ok(guest_pin(&g, 20, 1));
    assert_eq_long(machine_tlb_check(), 0);
}

Test(memory_op, exchange_that_does_not_add_up_is_refused)
{
    uint64_t in[8] = {0}, out[8] = {0};
    const struct {
        uint64_t ins;
        unsigned in_order;
        uint64_t outs;
        unsigned out_order;
        uint64_t exchanged;
    } bad[] = {{8, 0, 2, 3, 0},
               {8, 0, 1, 2, 0},
               {~0ull, 1, ~0ull, 1, 0},
               {1ull << 62, 3, 1, 1, 0},
               {1, 0, 1, 0, 2}};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct xen_memory_exchange e =
            exchange_of(in, 8, bad[i].in_order, out, 8, bad[i].out_order);
        e.in.nr_extents = bad[i].ins;
        e.out.nr_extents = bad[i].outs;
        e.nr_exchanged = bad[i].exchanged;
        struct page_info *before = frames_snapshot();
        assert_refused(&g, exchange(&e), EXCHANGE_UNEVEN);
        assert_eq_long(frames_differ(before), 0);
    }
    struct xen_memory_exchange e = exchange_of(in, 1, 0, out, 1, 0);
    e.in.extent_order = e.out.extent_order = 10;
    assert_refused(&g, exchange(&e), EXCHANGE_ORDER_NOT_ALLOWED);
    e.in.extent_order = e.out.extent_order = 63;
    assert_refused(&g, exchange(&e), EXCHANGE_ORDER_NOT_ALLOWED);
    e.in.extent_order = e.out.extent_order = ~0u;
    assert_refused(&g, exchange(&e), EXCHANGE_ORDER_NOT_ALLOWED);
}

/* --- questions
 * --------------------------------------------------------------------------------------------------------
 */

Test(memory_op, answers_about_the_machine_and_the_domain)
{
    struct xen_memory_domain about = {.domid = DOMID_SELF};

    assert_eq_long(
        guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_current_reservation, &about, sizeof(about)),
        96);
    assert_eq_long(
        guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_maximum_reservation, &about, sizeof(about)),
        200);
    cr_assert(hypercall(&g, memory_op, XENMEM_maximum_ram_page, 0) > 0);
    struct xen_machphys_mapping where;
    assert_ok(
        guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_machphys_mapping, &where, sizeof(where)));
    assert_eq_long(where.v_start, MACH2PHYS_VIRT_START);
    for (unsigned op = 0; op < 64; op++)
        (void)hypercall(&g, memory_op, op, 0x1000); /* no argument there */
    for (unsigned op = 29; op < 64; op++)
        assert_refused(&g, hypercall(&g, memory_op, op, WINDOW_VA), MEMORY_OP_UNKNOWN);
}

/* Frames above what the guest can reach are given back. */
Test(memory_op, populate_within_address_bits)
{
    uint64_t list[2] = {500, 501};
    struct xen_memory_reservation r = {
        .nr_extents = 2, .domid = DOMID_SELF, .mem_flags = XENMEMF_address_bits(13)};
    const uint64_t free = page_free_count();

    set_xen_guest_handle(r.extent_start, (void *)machine_put(AT_LIST, list, sizeof(list)).va);
    assert_eq_long(guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &r, sizeof(r)),
                   0);
    assert_eq_long(last_rule(g.v), RULE_ADDRESS_LIMIT_UNMET);
    assert_eq_long(page_free_count(), free);
    r.mem_flags = XENMEMF_address_bits(40);
    assert_eq_long(guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &r, sizeof(r)),
                   2);
}
