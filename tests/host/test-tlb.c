/*
 * Invariant I6: no CPU still knows a translation that has become dangerous.
 *
 * Removing an entry flushes nothing; the frame is stamped, and the flush comes when the frame
 * changes role or owner (tlb.h).  Here two CPUs run the same guest and remember everything they
 * could have seen; the guest never asks for a flush.  Each test would fail if the stamps, the clock
 * or the flushes were left out.
 */
#include "suite.h"
#include "tlb.h"

static struct guest g;

static void start(void)
{
    world_start(2, 2048);
    guest_create(&g, 1, 96, 2); /* vCPU 0 on CPU 0, vCPU 1 on CPU 1 */
    machine_tlb_fill_all();
    cr_assert(machine_tlb_knows(0, guest_mfn(&g, 30), true));
    cr_assert(machine_tlb_knows(1, guest_mfn(&g, 30), true));
}

static void finish(void)
{
    world_check();
}

TestSuite(tlb, .init = start, .fini = finish);

Test(tlb, removal_alone_flushes_nobody)
{
    unsigned zero = machine.cpu[0].flushes, one = machine.cpu[1].flushes;

    assert_ok(guest_protect(&g, 30, 0));
    assert_eq_long(machine.cpu[0].flushes, zero);
    assert_eq_long(machine.cpu[1].flushes, one);
    cr_assert(machine_tlb_knows(1, guest_mfn(&g, 30), true), "the other CPU may still write");
    assert_eq_long(machine_tlb_check(),
                   0); /* to a frame that is still the guest's own, and plain */
}

Test(tlb, promotion_flushes_the_cpus_that_may_know)
{
    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    assert_ok(guest_protect(&g, 30, RO));
    cr_assert(machine_tlb_knows(1, guest_mfn(&g, 30), true));
    assert_ok(guest_pin(&g, 30, 1));
    cr_assert(!machine_tlb_knows(0, guest_mfn(&g, 30), true));
    cr_assert(!machine_tlb_knows(1, guest_mfn(&g, 30), true));
}

Test(tlb, promotion_through_an_upper_table_flushes)
{
    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    assert_ok(guest_protect(&g, 30, 0));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 2, 100), guest_pte(&g, 30, RW)));
    cr_assert(!machine_tlb_knows(1, guest_mfn(&g, 30), true));
}

Test(tlb, descriptor_table_flushes)
{
    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    assert_ok(guest_protect(&g, 30, 0));
    assert_ok(machine_hold_segment(g.v, guest_mfn(&g, 30)));
    cr_assert(!machine_tlb_knows(1, guest_mfn(&g, 30), true));
}

Test(tlb, freed_frame_is_forgotten_first)
{
    page_release(g.d, guest_info(&g, 30));
    assert_ok(guest_protect(&g, 30, 0));
    assert_eq_long(guest_info(&g, 30)->owner, OWNER_NONE);
    cr_assert(!machine_tlb_knows(0, guest_mfn(&g, 30), false));
    cr_assert(!machine_tlb_knows(1, guest_mfn(&g, 30), false));
}

Test(tlb, cpu_that_flushed_since_is_left_alone)
{
    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    assert_ok(guest_protect(&g, 30, RO));
    assert_ok(guest_mmuext(&g, MMUEXT_TLB_FLUSH_LOCAL, 0, 0)); /* CPU 0 */
    unsigned zero = machine.cpu[0].flushes, one = machine.cpu[1].flushes;
    assert_ok(guest_pin(&g, 30, 1));
    assert_eq_long(machine.cpu[0].flushes, zero);
    assert_eq_long(machine.cpu[1].flushes, one + 1);
}

Test(tlb, flush_before_the_removal_does_not_count)
{
    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    assert_ok(guest_mmuext(&g, MMUEXT_TLB_FLUSH_ALL, 0, 0));
    machine_tlb_fill_all(); /* and sees the page again before it is removed */
    assert_ok(guest_protect(&g, 30, RO));
    assert_ok(guest_pin(&g, 30, 1));
    cr_assert(!machine_tlb_knows(0, guest_mfn(&g, 30), true));
    cr_assert(!machine_tlb_knows(1, guest_mfn(&g, 30), true));
}

Test(tlb, same_role_again_needs_no_flush)
{
    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    assert_ok(guest_protect(&g, 30, RO));
    assert_ok(guest_pin(&g, 30, 1));
    assert_ok(guest_unpin(&g, 30));
    unsigned zero = machine.cpu[0].flushes, one = machine.cpu[1].flushes;
    assert_ok(guest_pin(&g, 30, 1));
    assert_eq_long(machine.cpu[0].flushes, zero);
    assert_eq_long(machine.cpu[1].flushes, one);
}

/* A cached L2 entry still leads to a table that is plain memory by now: whoever writes there makes
 * translations. */
Test(tlb, table_that_becomes_plain_memory_is_forgotten_as_a_table)
{
    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    assert_ok(guest_protect(&g, 30, RO));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 2, 100), guest_pte(&g, 30, RW)));
    machine_tlb_fill_all();
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 2, 100), 0));
    assert_ok(guest_protect(&g, 30, RW));
    assert_eq_long(machine_tlb_check(), 0);
}

/* A table that is refused when it is to be one again, as an entry of its names a table by then, keeps its role: without a
 * role it would need no flush for the next. */
Test(tlb, table_that_is_refused_as_one_keeps_its_role)
{
    const struct page_info *pg = mfn_to_page(guest_mfn(&g, 30));

    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    memset(guest_page(&g, 31), 0, PAGE_SIZE);
    ((pte_t *)guest_page(&g, 30))[0] = pte(guest_pte(&g, 31, RW));
    assert_ok(guest_protect(&g, 30, RO));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 2, 100), guest_pte(&g, 30, RW)));
    machine_tlb_fill_all();
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 2, 100), 0));
    assert_ok(guest_protect(&g, 31, RO));
    assert_ok(guest_pin(&g, 31, 1));
    assert_refused(&g, guest_pin(&g, 30, 1), ROLE_CONFLICT);
    cr_assert(page_state_type(pg->state) == PAGE_TYPE_L1 && page_state_count(pg->state) == 0);
    assert_ok(guest_protect(&g, 30, RW));
    assert_eq_long(machine_tlb_check(), 0);
}

Test(tlb, unpinned_tree_becomes_plain_memory)
{
    for (unsigned i = 20; i <= 23; i++) {
        memset(guest_page(&g, i), 0, PAGE_SIZE);
        assert_ok(guest_protect(&g, i, RO));
    }
    guest_page(&g, 20)[0] = guest_pte(&g, 21, RW);
    guest_page(&g, 21)[0] = guest_pte(&g, 22, RW);
    guest_page(&g, 22)[0] = guest_pte(&g, 23, RW);
    guest_page(&g, 20)[272] = guest_page(&g, 0)[272];
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_BASEPTR, g.mfn[20], 0));
    machine_tlb_fill_all();
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_BASEPTR, g.mfn[0], 0));
    for (unsigned i = 20; i <= 23; i++) {
        assert_ok(guest_protect(&g, i, RW));
        assert_eq_long(machine_tlb_check(), 0);
    }
}

Test(tlb, foreign_mapping_is_forgotten_before_the_owner_frees)
{
    struct guest control;
    guest_create(&control, 2, 32, 1);
    control.d->roles = ROLE_CONTROL;
    mmu_update_t r = {guest_l1_entry(&control, 200), guest_pte(&g, 40, RW)};
    assert_ok(hypercall(&control, mmu_update, machine_put(0x8000, &r, sizeof(r)).va, 1, 0, 1));
    machine_tlb_fill_all();
    page_release(g.d, guest_info(&g, 40));
    assert_ok(guest_protect(&g, 40, 0));
    assert_eq_long(guest_info(&g, 40)->owner, 1); /* the foreign mapping keeps it */
    r.val = 0;
    assert_ok(
        hypercall(&control, mmu_update, machine_put(0x8000, &r, sizeof(r)).va, 1, 0, DOMID_SELF));
    assert_eq_long(guest_info(&g, 40)->owner, OWNER_NONE);
    assert_eq_long(machine_tlb_check(), 0);
}

Test(tlb, clock_wrap_loses_nothing)
{
    /* Just before the wrap a removal is stamped; then one CPU flushes often enough to wrap the
     * clock. */
    for (uint32_t lead = 1; lead < 6; lead++) {
        for (unsigned flushes = 1; flushes < 8; flushes++) {
            unsigned pfn = 40 + flushes;
            tlb_clock = (uint32_t)-lead;
            arch_tlb_flush(3, true, 0);
            memset(guest_page(&g, pfn), 0, PAGE_SIZE);
            assert_ok(guest_protect(&g, pfn, RW));
            machine_tlb_fill_all();
            assert_ok(guest_protect(&g, pfn, RO));
            for (unsigned i = 0; i < flushes; i++)
                arch_tlb_flush_local();
            machine_tlb_fill(0);
            assert_ok(guest_pin(&g, pfn, 1));
            cr_assert(!machine_tlb_knows(1, guest_mfn(&g, pfn), true), "lead %u, %u flushes", lead,
                      flushes);
            assert_ok(guest_unpin(&g, pfn));
        }
    }
}

/* A CPU that flushed last just before the wrap has a high number; stamps from after it are low. */
Test(tlb, removal_after_the_wrap_of_the_clock_is_flushed)
{
    tlb_clock = ~0u - 3;
    machine_on_cpu(1);
    arch_tlb_flush_local();
    machine_tlb_fill_all();
    machine_on_cpu(0);
    for (unsigned i = 0; i < 8; i++)
        arch_tlb_flush_local();
    machine_tlb_fill_all();
    memset(guest_page(&g, 40), 0, PAGE_SIZE);
    assert_ok(guest_protect(&g, 40, RO));
    cr_assert(machine_tlb_knows(1, guest_mfn(&g, 40), true));
    assert_ok(guest_pin(&g, 40, 1));
    cr_assert(!machine_tlb_knows(1, guest_mfn(&g, 40), true));
}

/* CPU 1 does not flush of its own accord for longer than numbers can be compared. */
Test(tlb, cpu_that_never_flushes_is_flushed_once_a_round)
{
    const uint32_t start = tlb_clock;

    for (unsigned round = 0; round < 18; round++) {
        tlb_clock = start / TLB_CLOCK_ROUND * TLB_CLOCK_ROUND +
                    (uint32_t)((round + 1) * TLB_CLOCK_ROUND) - 1;
        unsigned one = machine.cpu[1].flushes;
        arch_tlb_flush_local();
        assert_eq_long(machine.cpu[1].flushes, one + 1);
        /* a stamp from before the next round, of any age */
        for (unsigned pfn = 40; pfn < 42; pfn++) {
            memset(guest_page(&g, pfn), 0, PAGE_SIZE);
            assert_ok(guest_protect(&g, pfn, RW));
            machine_tlb_fill_all();
            assert_ok(guest_protect(&g, pfn, RO));
            arch_tlb_flush_local();
            assert_ok(guest_pin(&g, pfn, 1));
            cr_assert(!machine_tlb_knows(1, guest_mfn(&g, pfn), true), "round %u", round);
            assert_ok(guest_unpin(&g, pfn));
        }
    }
}

Test(tlb, domains_cpus_are_known)
{
    assert_eq_long(g.d->tlb_cpus, 3);
    struct guest other;
    guest_create(&other, 2, 16, 1); /* takes CPU 0 */
    assert_eq_long(g.d->tlb_cpus, 2);
    assert_eq_long(other.d->tlb_cpus, 1);
}
