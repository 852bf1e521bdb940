/*
 * Frames: owners, the two counts, and the audit that recounts them.
 *
 * The first half breaks each invariant of struct page_info on purpose, by writing to the frame
 * table or a page table behind core's back, and wants page_audit() (I1-I5) or the TLB model (I6) to
 * see it.  An audit that is blind would make every other test here worthless.
 */
#include "suite.h"

static struct guest g;

static void start(void)
{
    world_start(2, 2048);
    guest_create(&g, 1, 64, 1);
}

TestSuite(page, .init = start);

/* --- fast path and twin: one subtraction and one test, against every field looked at by itself -------- */

static bool may_take(uint64_t state, uint16_t owner, bool writable)
{
    const uint32_t refs = page_state_refs(state);

    return (state & PAGE_ALLOCATED) && refs >= 1 && refs <= PAGE_COUNT_MASK / 2 + 1 && owner == 1 &&
           (!writable || page_state_type(state) == PAGE_TYPE_WRITABLE);
}

Test(page, a_mapped_frame_is_taken_by_one_look_exactly_when_every_field_allows_it)
{
    static const uint32_t refs[] = {0,        1,        2,          0x7ffffe,   0x7fffff, 0x800000,
                                    0x800001, 0xffffff, 0x7fffffff, 0x80000000, ~0u};
    static const uint32_t counts[] = {0, 1, 0x7fffff, 0xffffff};
    static const uint16_t owners[] = {1, 0, 2, OWNER_NONE, OWNER_IO, OWNER_HYPERVISOR};
    struct page_info *pg = guest_info(&g, 20), kept = *pg;
    unsigned taken = 0;

    for (unsigned bits = 0; bits < 0x100; bits++) /* 16 roles, 16 sets of flags */
        for (unsigned r = 0; r < ARRAY_SIZE(refs); r++)
            for (unsigned c = 0; c < ARRAY_SIZE(counts); c++)
                for (unsigned o = 0; o < ARRAY_SIZE(owners); o++)
                    for (unsigned writable = 0; writable < 2; writable++) {
                        const uint64_t state =
                            (uint64_t)refs[r] << 32 | (uint64_t)bits << PAGE_TYPE_SHIFT | counts[c];
                        const bool want = may_take(state, owners[o], writable);
                        pg->state = state;
                        pg->owner = owners[o];
                        const bool got = page_try_get_owned(pg, 1, page_take(writable));
                        cr_assert(got == want, "state %lx owner %u: %d", (unsigned long)state,
                                  owners[o], got);
                        cr_assert(pg->state == (got ? state + PAGE_REF_ONE + writable : state));
                        taken += got;
                    }
    cr_assert(taken > 0);
    *pg = kept;
    world_check();
}

/* --- the audit sees what is broken
 * ------------------------------------------------------------------- */

static void audit_says(const char *what)
{
    machine_log_clear();
    unsigned found = page_audit();
    cr_assert(found > 0, "the audit finds nothing wrong");
    cr_assert(machine_logged(what), "\"%s\" is not in what the audit says:\n%s", what, machine.log);
}

Test(page, audit_of_a_sound_world_is_clean)
{
    assert_eq_long(page_audit(), 0);
    world_check();
}

Test(page, audit_sees_I1_type_without_reference)
{
    struct page_info *pg = guest_info(&g, 20);
    pg->state = (pg->state & ~(0xffffffffull << 32));
    audit_says("I1");
}

Test(page, audit_sees_I2_writable_entry_to_a_page_table)
{
    guest_page(&g, 3)[0] |= PTE_RW; /* the L1 entry that maps the L4 table */
    audit_says("I2");
}

Test(page, audit_sees_I2_writable_entry_to_a_descriptor_table)
{
    assert_ok(guest_protect(&g, 20, RO));
    assert_ok(machine_hold_segment(g.v, guest_mfn(&g, 20)));
    assert_eq_long(page_audit(), 0);
    guest_page(&g, 3)[20] |= PTE_RW;
    audit_says("I2");
}

Test(page, audit_sees_I3_reference_nobody_holds)
{
    guest_info(&g, 20)->state += PAGE_REF_ONE;
    audit_says("I3");
}

Test(page, audit_sees_I3_entry_without_reference)
{
    guest_page(&g, 3)[40] = guest_pte(&g, 41, RO); /* 40's entry gone, 41's one more */
    audit_says("I3");
}

Test(page, audit_sees_I3_lost_pin)
{
    guest_info(&g, 0)->state &= ~PAGE_PINNED;
    audit_says("I3");
}

Test(page, audit_sees_I4_type_nobody_needs)
{
    guest_info(&g, 20)->state += 1;
    audit_says("I4");
}

Test(page, audit_sees_I4_entry_without_type)
{
    assert_ok(guest_protect(&g, 20, RO));
    guest_page(&g, 3)[20] |= PTE_RW;
    audit_says("I4");
}

Test(page, audit_sees_I5_validated_without_type)
{
    assert_ok(guest_protect(&g, 20, 0));
    guest_info(&g, 20)->state |= PAGE_VALIDATED;
    audit_says("I5");
}

Test(page, audit_sees_reference_to_a_free_frame)
{
    struct page_info *pg = page_alloc(0);
    mfn_t m = page_to_mfn(pg);
    page_free(pg, 0);
    guest_page(&g, 3)[100] = pte_make(m, RO).v;
    audit_says("no domain's");
}

Test(page, audit_sees_I7_reference_to_a_frame_under_construction)
{
    struct page_info *pg = page_prepare(g.d, 0, 0);
    pg->state += PAGE_REF_ONE;
    g.d->tot_pages--;
    audit_says("I7");
}

/* Pages 20 to 22 become tables of @level, the last of which names the one before. */
static void make_table(unsigned pfn, int level, unsigned slot, uint64_t entry)
{
    memset(guest_page(&g, pfn), 0, PAGE_SIZE);
    guest_page(&g, pfn)[slot] = entry;
    assert_ok(guest_protect(&g, pfn, RO));
    assert_ok(guest_pin(&g, pfn, level));
}

Test(page, audit_sees_I2_writable_linear_entries_of_every_level)
{
    for (int level = 2; level <= 4; level++) {
        const unsigned named = 20 + 2 * (unsigned)level, naming = named + 1;
        make_table(named, level, 0, 0);
        make_table(naming, level, 5, guest_pte(&g, named, RO));
        assert_eq_long(page_audit(), 0);
        guest_page(&g, naming)[5] |= PTE_RW;
        audit_says("I2: the write bit");
        guest_page(&g, naming)[5] &= ~(uint64_t)PTE_RW;
        assert_eq_long(page_audit(), 0);
    }
}

Test(page, audit_sees_I2_writable_entry_of_a_table_that_names_itself)
{
    for (int level = 2; level <= 4; level++) {
        const unsigned pfn = 20 + (unsigned)level;
        make_table(pfn, level, 5, guest_pte(&g, pfn, RO));
        assert_eq_long(page_audit(), 0);
        guest_page(&g, pfn)[5] |= PTE_RW;
        audit_says("I2: the write bit");
        guest_page(&g, pfn)[5] &= ~(uint64_t)PTE_RW;
    }
}

Test(page, audit_sees_entry_to_a_table_of_another_level)
{
    make_table(20, 1, 0, 0);
    make_table(21, 3, 0, 0);
    guest_page(&g, 21)[5] = guest_pte(&g, 20, RW);
    audit_says("a table entry's target type");
}

Test(page, audit_sees_I8_linear_count)
{
    make_table(20, 2, 0, 0);
    guest_info(&g, 20)->linear = 1;
    audit_says("I8");
    guest_info(&g, 20)->linear = -1;
    audit_says("I8");
}

Test(page, audit_sees_I9_slot_of_the_hypervisors)
{
    uint64_t *e = &guest_page(&g, 0)[HYPERVISOR_SLOT_FIRST + 3], was = *e;

    *e ^= PTE_A;
    assert_eq_long(page_audit(), 0);
    *e ^= PTE_RW;
    audit_says("I9");
    *e = was;
    guest_page(&g, 0)[HYPERVISOR_SLOT_LAST] = 0;
    audit_says("I9");
}

Test(page, audit_sees_I10_root_that_is_not_the_vcpus)
{
    const uint64_t was = machine.cpu[0].root;

    make_table(20, 4, 0, 0);
    machine.cpu[0].root = mfn_to_maddr(guest_mfn(&g, 20));
    audit_says("I10: CPU0");
    machine.cpu[0].root = was;
    assert_eq_long(page_audit(), 0);
    machine.cpu[1].root = was; /* it idles */
    audit_says("I10: CPU1");
}

/* What is lost keeps a domain from being freed: the machine says so and ends, rather than to wait for ever. */
static void end_all(void *unused)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        if (d != g.d)
            domain_shutdown(d, SHUTDOWN_poweroff);
    machine_run_work();
    domain_shutdown(g.d, SHUTDOWN_poweroff);
    for (unsigned i = 0; i < 300; i++) {
        machine_run_work();
        machine_advance(10000000);
    }
}

Test(page, domain_that_cannot_be_freed_ends_the_machine)
{
    guest_info(&g, 20)->state += PAGE_REF_ONE;
    machine_log_clear();
    assert_eq_long(machine_catch_end(end_all, NULL), MACHINE_POWEROFF + 1);
    assert_eq_long(machine.verdict, 0x20);
    cr_assert(machine_logged("d1: nobody is left who could hold 1 of its frames"), "%s",
              machine.log);
    cr_assert(machine_logged("I3"), "%s", machine.log);
}

Test(page, audit_sees_lost_frame_of_a_domain)
{
    g.d->tot_pages++;
    audit_says("domain 1 counts");
}

Test(page, tlb_model_sees_I6_writable_translation_to_a_table)
{
    machine_tlb_fill_all();
    cr_assert(machine_tlb_knows(0, guest_mfn(&g, 20), true));
    assert_eq_long(machine_tlb_check(), 0);
    /* The role changes without a flush. */
    guest_info(&g, 20)->state =
        PAGE_REF_ONE | (uint64_t)PAGE_TYPE_L1 << PAGE_TYPE_SHIFT | PAGE_VALIDATED | 1;
    cr_assert(machine_tlb_check() > 0);
}

Test(page, tlb_model_sees_I6_translation_to_a_freed_frame)
{
    machine_tlb_fill_all();
    guest_info(&g, 20)->owner = OWNER_NONE;
    cr_assert(machine_tlb_check() > 0);
}

/* --- references and types
 * ------------------------------------------------------------------------------ */

Test(page, reference_is_for_the_owner_only)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);

    cr_assert(page_get(guest_info(&g, 20), g.d));
    page_put(guest_info(&g, 20));
    cr_assert(!page_get(guest_info(&g, 20), other.d));
    assert_eq_long(page_get_and_type(guest_info(&g, 20), other.d, PAGE_TYPE_WRITABLE), -XEN_EINVAL);
    world_check();
}

Test(page, no_reference_to_what_is_no_domains)
{
    struct page_info *ours = page_alloc(0);

    cr_assert(!page_get(ours, g.d));
    cr_assert(!page_get(mfn_to_page(mfn(machine.hole_first)), g.d), "a frame that is not RAM");
    assert_eq_long(page_get_and_type(ours, g.d, PAGE_TYPE_WRITABLE), -XEN_EINVAL);
    assert_eq_long(page_get_and_type(mfn_to_page(mfn(machine.hole_first)), g.d, PAGE_TYPE_WRITABLE),
                   -XEN_EINVAL);
    page_free(ours, 0);
    cr_assert(!page_get(ours, g.d));
    world_check();
}

Test(page, role_changes_only_at_type_count_zero)
{
    struct page_info *pg = guest_info(&g, 20); /* mapped writable once */

    for (int level = 1; level <= 4; level++)
        assert_eq_long(page_get_and_type(pg, g.d, page_type_of_level(level)), -XEN_EINVAL);
    assert_eq_long(page_get_and_type(pg, g.d, PAGE_TYPE_SEG), -XEN_EINVAL);
    assert_ok(guest_protect(&g, 20, RO));
    assert_ok(page_get_and_type(pg, g.d, PAGE_TYPE_L1));
    assert_eq_long(page_get_and_type(pg, g.d, PAGE_TYPE_WRITABLE), -XEN_EINVAL);
    assert_eq_long(page_get_and_type(pg, g.d, PAGE_TYPE_L2), -XEN_EINVAL);
    page_put_and_type(pg);
    assert_ok(page_get_and_type(pg, g.d, PAGE_TYPE_WRITABLE));
    page_put_and_type(pg);
    world_check();
}

Test(page, type_count_does_not_overflow)
{
    struct page_info *pg = guest_info(&g, 20);
    uint64_t before = pg->state;

    /* no type reference without a reference (I4) */
    pg->state |= PAGE_COUNT_MASK | PAGE_COUNT_MASK * PAGE_REF_ONE;
    assert_eq_long(page_get_and_type(pg, g.d, PAGE_TYPE_WRITABLE), -XEN_EINVAL);
    pg->state = before;
    world_check();
}

Test(page, reference_count_does_not_overflow)
{
    struct page_info *pg = guest_info(&g, 20);
    uint64_t before = pg->state;

    pg->state = (before & 0xffffffff) | PAGE_REF_LIMIT << 32;
    cr_assert(!page_get(pg, g.d));
    assert_eq_long(page_get_and_type(pg, g.d, PAGE_TYPE_WRITABLE), -XEN_EINVAL);
    pg->state = before;
    world_check();
}

Test(page, released_frame_is_freed_with_its_last_reference)
{
    uint64_t free = page_free_count();
    uint32_t total = g.d->tot_pages;
    struct page_info *pg = guest_info(&g, 20);

    page_release(g.d, pg);
    assert_eq_long(page_free_count(), free);
    page_release(g.d, pg); /* once is enough */
    assert_eq_long(pg->owner, 1);
    assert_ok(guest_protect(&g, 20, 0)); /* the mapping was the last */
    assert_eq_long(page_free_count(), free + 1);
    assert_eq_long(g.d->tot_pages, total - 1);
    assert_eq_long(pg->owner, OWNER_NONE);
    assert_eq_long(machine_to_phys[g.mfn[20]], M2P_INVALID);
    world_check();
}

Test(page, domain_gets_no_more_than_its_limit)
{
    uint32_t total = g.d->tot_pages;

    g.d->max_pages = total + 1;
    struct page_info *one = page_alloc_for(g.d, 0);
    cr_assert(one);
    cr_assert(!page_alloc_for(g.d, 0));
    cr_assert(!page_alloc_for(g.d, 3));
    assert_eq_long(g.d->tot_pages, total + 1);
    page_release(g.d, one);
    assert_eq_long(g.d->tot_pages, total);
    world_check();
}

Test(page, frame_is_scrubbed_before_another_domain_gets_it)
{
    struct guest other;
    uint64_t secret = g.mfn[20];

    guest_create(&other, 2, 16, 1);
    other.d->max_pages = 4096;
    memset(guest_page(&g, 20), 0x5a, PAGE_SIZE);
    assert_ok(guest_protect(&g, 20, 0));
    page_release(g.d, guest_info(&g, 20));
    for (struct page_info *pg; (pg = page_alloc_for(other.d, 0));) {
        if (page_to_mfn(pg).n != secret)
            continue;
        const uint8_t *byte = mfn_to_virt(mfn(secret));
        for (unsigned i = 0; i < PAGE_SIZE; i++)
            cr_assert(byte[i] == 0, "byte %u is %#x", i, byte[i]);
        return;
    }
    cr_assert_fail("the frame was never handed out again");
}

Test(page, shared_frame_can_be_mapped_but_never_a_table)
{
    mfn_t shared = virt_to_mfn(g.d->shared);
    struct page_info *pg = mfn_to_page(shared);

    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 200), pte_make(shared, RW).v));
    for (int level = 1; level <= 4; level++)
        assert_refused(&g, guest_mmuext(&g, MMUEXT_PIN_L1_TABLE + level - 1, shared.n, 0),
                       PIN_ROLE_CONFLICT);
    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 200), 0));
    cr_assert(page_state_count(pg->state) == 1);
    world_check();
}

Test(page, domain_with_everything_in_use_leaves_nothing_behind)
{
    struct guest other;

    guest_create(&other, 2, 600, 3); /* two L1 tables */
    assert_ok(guest_protect(&other, 20, RO));
    assert_ok(machine_hold_segment(other.v, guest_mfn(&other, 20)));
    assert_ok(guest_protect(&other, 21, RO));
    assert_ok(guest_pin(&other, 21, 1));
    assert_ok(guest_protect(&other, 22, RO));
    assert_ok(guest_pin(&other, 22, 4));
    assert_ok(guest_mmuext(&other, MMUEXT_NEW_USER_BASEPTR, other.mfn[22], 0));
    machine_tlb_fill_all();
    world_check();
    guest_destroy(&other);
    world_check();
    guest_destroy(&g);
    world_check_empty();
}
