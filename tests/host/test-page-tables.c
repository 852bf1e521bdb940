/*
 * Guest page tables: what a table may say, what each entry holds, and that a refusal changes
 * nothing.
 *
 * The refusals compare all counts of all frames before and after.  The linear-table rules follow
 * XSA-240.
 */
#include "suite.h"
#include "tlb.h"
#include "device-maps.h"
#include "page-tables.h"

static struct guest g;

static void start(void)
{
    world_start(2, 2048);
    guest_create(&g, 1, 96, 1);
}

static void finish(void)
{
    machine_tlb_fill_all();
    world_check();
}

TestSuite(page_tables, .init = start, .fini = finish);

#define EXPECT_UNCHANGED(operation)                    \
    do {                                               \
        struct page_info *before_ = frames_snapshot(); \
        operation;                                     \
        assert_eq_long(frames_differ(before_), 0);     \
    } while (0)

static uint32_t refs(unsigned pfn)
{
    return page_state_refs(guest_info(&g, pfn)->state);
}

static uint32_t types(unsigned pfn)
{
    return page_state_count(guest_info(&g, pfn)->state);
}

/* Make @pfn an empty page that no entry maps writable, so that it can become a table. */
static uint64_t *table(unsigned pfn)
{
    memset(guest_page(&g, pfn), 0, PAGE_SIZE);
    assert_ok(guest_protect(&g, pfn, RO));
    return guest_page(&g, pfn);
}

/* --- level 1
 * ------------------------------------------------------------------------------------------------
 */

Test(page_tables, l1_entries_hold_what_they_map)
{
    uint64_t *l1 = table(20);
    uint32_t r30 = refs(30), t30 = types(30), r31 = refs(31), t31 = types(31);

    l1[0] = guest_pte(&g, 30, RW);
    l1[7] = guest_pte(&g, 30, RO);
    l1[511] = guest_pte(&g, 31, RO);
    l1[1] = guest_pte(&g, 31, RW) & ~PTE_P;
    assert_ok(guest_pin(&g, 20, 1));
    assert_eq_long(refs(30), r30 + 2);
    assert_eq_long(types(30), t30 + 1);
    assert_eq_long(refs(31), r31 + 1);
    assert_eq_long(types(31), t31);
    assert_ok(guest_unpin(&g, 20));
    assert_eq_long(refs(30), r30);
    assert_eq_long(types(30), t30);
    assert_eq_long(refs(31), r31);
}

/* Entries that no L1 table of an unprivileged guest may have, and the rule that says so. */
Test(page_tables, l1_refuses_and_restores_every_count)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    struct page_info *ours = page_alloc(0);
    table(40);
    assert_ok(guest_pin(&g, 40, 1));

    const struct {
        const char *what;
        uint64_t entry;
        enum rule_id rule;
    } bad[] = {
        {"another domain's frame", guest_pte(&other, 10, RO), RULE_FRAME_NOT_OWNED},
        {"another domain's frame, writable", guest_pte(&other, 10, RW), RULE_FRAME_NOT_OWNED},
        {"the hypervisor's frame", pte_make(page_to_mfn(ours), RO).v, RULE_FRAME_NOT_OWNED},
        {"no RAM", pte_make(mfn(machine.hole_first + 1), RO).v, RULE_FRAME_NOT_RAM},
        {"beyond all memory", pte_make(mfn(max_mfn), RO).v, RULE_FRAME_NOT_RAM},
        {"all ones", pte_make(mfn(0xffffffffff), RO).v, RULE_ENTRY_NAMES_NO_FRAME},
        {"a page table, writable", guest_pte(&g, 40, RW), RULE_ROLE_CONFLICT},
        {"the running L4, writable", guest_pte(&g, 0, RW), RULE_ROLE_CONFLICT},
        {"itself, writable", guest_pte(&g, 20, RW), RULE_ROLE_CONFLICT},
        {"write-through", guest_pte(&g, 30, RO | PTE_PWT), RULE_ENTRY_BITS_NOT_ALLOWED},
        {"uncached", guest_pte(&g, 30, RO | PTE_PCD), RULE_ENTRY_BITS_NOT_ALLOWED},
        {"PAT", guest_pte(&g, 30, RO | PTE_PAT), RULE_ENTRY_BITS_NOT_ALLOWED},
    };
    uint64_t *l1 = table(20);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        for (unsigned slot = 0; slot < PT_ENTRIES; slot++)
            l1[slot] = guest_pte(&g, 30 + slot % 8, slot % 2 ? RW : RO);
        l1[300] = bad[i].entry;
        EXPECT_UNCHANGED({
            long rc = guest_pin(&g, 20, 1);
            cr_assert(last_rule(g.v) == bad[i].rule, "%s: %s", bad[i].what,
                      rule_text[last_rule(g.v)].id);
            cr_assert(rc == -rule_text[bad[i].rule].error, "%s: %ld", bad[i].what, rc);
        });
        /* And as a single entry of a table that is in use. */
        EXPECT_UNCHANGED({
            long rc = guest_mmu_update(&g, guest_entry(&g, 40, 5), bad[i].entry);
            cr_assert(bad[i].entry == guest_pte(&g, 20, RW) || rc == -rule_text[bad[i].rule].error,
                      "%s: %ld", bad[i].what, rc);
            if (!rc)
                assert_ok(guest_mmu_update(&g, guest_entry(&g, 40, 5), 0));
        });
    }
    memset(l1, 0, PAGE_SIZE);
    page_free(ours, 0);
}

Test(page_tables, hardware_domain_maps_devices_but_not_the_hypervisors)
{
    const uint64_t device = pte_make(mfn(machine.hole_first + 1), RW | PTE_PCD).v;

    EXPECT_UNCHANGED(assert_refused(
        &g, guest_mmu_update(&g, guest_l1_entry(&g, 200), device & ~PTE_PCD), FRAME_NOT_RAM));
    g.d->roles = ROLE_HARDWARE;
    EXPECT_UNCHANGED(assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 200), device)));
    EXPECT_UNCHANGED(assert_ok(
        guest_mmu_update(&g, guest_l1_entry(&g, 200), pte_make(mfn(max_mfn + 100), RW).v)));
    EXPECT_UNCHANGED(assert_refused(
        &g, guest_mmu_update(&g, guest_l1_entry(&g, 201), pte_make(mfn(machine.hole_first), RO).v),
        FRAME_NOT_RAM));
    EXPECT_UNCHANGED(assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 200), 0)));
}

/* By each way in which an entry comes into a table. */
Test(page_tables, read_only_device_memory_loses_the_right_to_write)
{
    const mfn_t m = mfn(machine.hole_first + 2);
    const uint64_t device = pte_make(m, RW | PTE_PCD).v;
    uint64_t *l1 = guest_page(&g, 3), *fresh = table(20);

    g.d->roles = ROLE_HARDWARE;
    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 200), device));
    assert_eq_long(l1[200], device);
    machine.read_only = m.n;
    device_maps_demote();
    assert_eq_long(l1[200], device & ~PTE_RW);
    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 201), device));
    assert_eq_long(l1[201], device & ~PTE_RW);
    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 201), device));
    assert_eq_long(l1[201], device & ~PTE_RW);
    mutex_lock(&g.d->mmu);
    assert_ok(l1_compare_exchange(g.d, &l1[202], l1[202], pte(device)));
    mutex_unlock(&g.d->mmu);
    assert_eq_long(l1[202], device & ~PTE_RW);
    fresh[0] = device;
    assert_ok(guest_pin(&g, 20, 1));
    assert_eq_long(fresh[0], device & ~PTE_RW);
    machine.read_only = 0;
    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 200), device));
    assert_eq_long(l1[200], device);
}

Test(page_tables, supervisor_pages_become_reachable_and_remember_it)
{
    uint64_t *l1 = guest_page(&g, 3);

    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 30), guest_pte(&g, 30, PTE_P | PTE_RW)));
    assert_eq_long(l1[30], guest_pte(&g, 30, PTE_P | PTE_RW | PTE_US | PTE_GUEST_KERNEL));
    uint64_t *other = table(20);
    other[0] = guest_pte(&g, 31, PTE_P);
    assert_ok(guest_pin(&g, 20, 1));
    assert_eq_long(other[0], guest_pte(&g, 31, PTE_P | PTE_US | PTE_GUEST_KERNEL));
}

Test(page_tables, software_bits_change_without_counting)
{
    uint64_t *slot = &guest_page(&g, 3)[30];

    EXPECT_UNCHANGED({
        assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 30),
                                   guest_pte(&g, 30, RW | PTE_AVAIL | PTE_NX | PTE_G)));
        assert_eq_long(*slot, guest_pte(&g, 30, RW | PTE_AVAIL | PTE_NX | PTE_G));
        assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 30),
                                   guest_pte(&g, 30, PTE_P | PTE_RW | PTE_US)));
        assert_eq_long(*slot, guest_pte(&g, 30, PTE_P | PTE_RW | PTE_US));
    });
}

Test(page_tables, preserve_ad_keeps_what_the_cpu_set)
{
    uint64_t *slot = &guest_page(&g, 3)[30];

    assert_ok(
        guest_mmu_update(&g, guest_l1_entry(&g, 30), guest_pte(&g, 30, PTE_P | PTE_RW | PTE_US)));
    *slot |= PTE_A | PTE_D; /* the CPU */
    assert_ok(guest_mmu_update(&g, guest_l1_entry(&g, 30) | MMU_PT_UPDATE_PRESERVE_AD,
                               guest_pte(&g, 30, PTE_P | PTE_RW | PTE_US | BIT(9))));
    assert_eq_long(*slot, guest_pte(&g, 30, RW | BIT(9)));
}

Test(page_tables, read_only_becomes_writable_only_for_plain_frames)
{
    table(20);
    assert_ok(guest_pin(&g, 20, 1));
    EXPECT_UNCHANGED(assert_refused(&g, guest_protect(&g, 20, RW), ROLE_CONFLICT));
    assert_ok(guest_unpin(&g, 20));
    assert_ok(guest_protect(&g, 20, RW));
    EXPECT_UNCHANGED(assert_refused(&g, guest_pin(&g, 20, 1), PIN_ROLE_CONFLICT));
}

/* --- trees
 * ----------------------------------------------------------------------------------------------------
 */

/* 20: L4, 21: L3, 22: L2, 23 and 24: L1, all frames read-only; two data frames. */
static void build_tree(void)
{
    for (unsigned i = 20; i <= 24; i++)
        table(i);
    guest_page(&g, 20)[3] = guest_pte(&g, 21, RW);
    guest_page(&g, 21)[4] = guest_pte(&g, 22, RW);
    guest_page(&g, 22)[5] = guest_pte(&g, 23, RW);
    guest_page(&g, 22)[6] = guest_pte(&g, 24, RW);
    guest_page(&g, 23)[0] = guest_pte(&g, 30, RW);
    guest_page(&g, 24)[0] = guest_pte(&g, 31, RO);
}

Test(page_tables, tree_is_validated_and_given_back_whole)
{
    build_tree();
    struct page_info *before = frames_snapshot();
    assert_ok(guest_pin(&g, 20, 4));
    for (unsigned i = 20; i <= 24; i++)
        cr_assert(guest_info(&g, i)->state & PAGE_VALIDATED, "frame %u", i);
    assert_eq_long(page_state_type(guest_info(&g, 21)->state), PAGE_TYPE_L3);
    assert_eq_long(page_state_type(guest_info(&g, 24)->state), PAGE_TYPE_L1);
    world_check();
    assert_ok(guest_unpin(&g, 20));
    assert_eq_long(frames_differ(before), 0);
}

Test(page_tables, deep_mistake_restores_every_count_of_the_tree)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    static const struct {
        unsigned pfn;
        uint64_t flags;
    } place[] = {{24, RO}, {23, RO}, {22, RO}, {21, RO}, {20, RO}};

    for (unsigned i = 0; i < ARRAY_SIZE(place); i++) {
        build_tree();
        guest_page(&g, place[i].pfn)[500] = guest_pte(&other, 9, place[i].flags);
        struct page_info *before = frames_snapshot();
        long rc = guest_pin(&g, 20, 4);
        cr_assert(rc == (place[i].pfn >= 23 ? -XEN_EBUSY : -XEN_EINVAL), "mistake in %u: %ld",
                  place[i].pfn, rc);
        for (unsigned k = 20; k <= 24; k++)
            assert_eq_long(types(k), 0);
        assert_eq_long(frames_differ(before), 0);
        world_check();
    }
}

Test(page_tables, upper_entries_with_wrong_bits_are_refused)
{
    build_tree();
    assert_ok(guest_pin(&g, 20, 4));
    for (unsigned pfn = 20; pfn <= 22; pfn++) {
        static const uint64_t bits[] = {PTE_PSE, PTE_PWT, PTE_PCD, PTE_G};
        for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
            EXPECT_UNCHANGED(assert_refused(&g,
                                            guest_mmu_update(&g, guest_entry(&g, pfn, 100),
                                                             guest_pte(&g, pfn + 1, RW | bits[i])),
                                            UPPER_ENTRY_BITS_NOT_ALLOWED));
    }
}

Test(page_tables, upper_entries_name_tables_of_the_level_below)
{
    build_tree();
    assert_ok(guest_pin(&g, 20, 4));
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmu_update(&g, guest_entry(&g, 20, 9), guest_pte(&g, 22, RW)),
                       TABLE_BELOW_INVALID));
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmu_update(&g, guest_entry(&g, 21, 9), guest_pte(&g, 23, RW)),
                       TABLE_BELOW_INVALID));
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmu_update(&g, guest_entry(&g, 22, 9), guest_pte(&g, 30, RW)),
                       TABLE_BELOW_INVALID));
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmu_update(&g, guest_entry(&g, 22, 9), guest_pte(&g, 20, RW)),
                       TABLE_BELOW_INVALID));
    EXPECT_UNCHANGED(assert_refused(
        &g, guest_mmu_update(&g, guest_entry(&g, 22, 9), pte_make(mfn(max_mfn), RW).v),
        TABLE_BELOW_INVALID));
}

Test(page_tables, table_used_twice_counts_twice)
{
    build_tree();
    assert_ok(guest_pin(&g, 20, 4));
    uint32_t r = refs(23), t = types(23), r30 = refs(30);
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 22, 100), guest_pte(&g, 23, RW)));
    assert_eq_long(refs(23), r + 1);
    assert_eq_long(types(23), t + 1);
    assert_eq_long(refs(30), r30); /* validated once */
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 22, 5), 0));
    assert_eq_long(refs(30), r30);
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 22, 100), 0));
    assert_eq_long(refs(30), r30 - 1);
    assert_eq_long(types(23), 0);
}

Test(page_tables, hypervisor_slots_are_filled_and_kept)
{
    uint64_t expected[PT_ENTRIES] = {0};
    arch_fill_l4(expected);

    uint64_t *l4 = table(20);
    for (unsigned i = HYPERVISOR_SLOT_FIRST; i <= HYPERVISOR_SLOT_LAST; i++)
        l4[i] = guest_pte(&g, 30, RW); /* not looked at */
    assert_ok(guest_pin(&g, 20, 4));
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        assert_eq_long(l4[i], expected[i]);
        if (i >= HYPERVISOR_SLOT_FIRST && i <= HYPERVISOR_SLOT_LAST)
            EXPECT_UNCHANGED(assert_refused(&g, guest_mmu_update(&g, guest_entry(&g, 20, i), 0),
                                            HYPERVISOR_SLOT));
    }
    EXPECT_UNCHANGED(assert_refused(
        &g, guest_mmu_update(&g, guest_entry(&g, 0, 256), guest_pte(&g, 1, RW)), HYPERVISOR_SLOT));
    assert_ok(guest_unpin(&g, 20)); /* their "entries" are not put */
}

Test(page_tables, entry_of_an_l4_is_marked_accessed_and_user)
{
    build_tree();
    assert_ok(guest_pin(&g, 20, 4));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 20, 10), guest_pte(&g, 21, PTE_P | PTE_RW)));
    assert_eq_long(guest_page(&g, 20)[10], guest_pte(&g, 21, PTE_P | PTE_RW | PTE_US | PTE_A));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 21, 10), guest_pte(&g, 22, PTE_P | PTE_RW)));
    assert_eq_long(guest_page(&g, 21)[10], guest_pte(&g, 22, PTE_P | PTE_RW | PTE_US));
}

/* --- linear tables
 * --------------------------------------------------------------------------------------------- */

Test(page_tables, table_may_name_itself_read_only)
{
    for (int level = 2; level <= 4; level++) {
        unsigned pfn = 20 + (unsigned)level;
        table(pfn)[7] = guest_pte(&g, pfn, RO);
        EXPECT_UNCHANGED({
            assert_ok(guest_pin(&g, pfn, level));
            assert_eq_long(guest_info(&g, pfn)->linear, 0);
            world_check();
            assert_ok(guest_unpin(&g, pfn));
        });
        guest_page(&g, pfn)[7] = guest_pte(&g, pfn, RW);
        assert_refused(&g, guest_pin(&g, pfn, level), LINEAR_WRITABLE);
    }
}

Test(page_tables, l1_table_is_no_linear_table)
{
    table(20)[7] = guest_pte(&g, 20, RO); /* maps its own frame, as data */
    assert_ok(guest_pin(&g, 20, 1));
    assert_eq_long(guest_info(&g, 20)->linear, 0);
    assert_eq_long(types(20), 1);
    world_check();
}

Test(page_tables, linear_entries_count_in_both_tables)
{
    table(20);
    table(21);
    assert_ok(guest_pin(&g, 20, 2));
    assert_ok(guest_pin(&g, 21, 2));
    assert_refused(&g, guest_mmu_update(&g, guest_entry(&g, 20, 1), guest_pte(&g, 21, RW)),
                   LINEAR_WRITABLE);
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 20, 1), guest_pte(&g, 21, RO)));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 20, 2), guest_pte(&g, 21, RO)));
    assert_eq_long(guest_info(&g, 20)->linear, -2);
    assert_eq_long(guest_info(&g, 21)->linear, 2);
    assert_eq_long(types(21), 3);
    world_check();
    assert_ok(guest_unpin(&g, 20)); /* drops both */
    assert_eq_long(guest_info(&g, 20)->linear, 0);
    assert_eq_long(guest_info(&g, 21)->linear, 0);
    assert_eq_long(types(21), 1);
}

Test(page_tables, linear_chains_are_refused_in_both_orders)
{
    for (unsigned i = 20; i <= 23; i++) {
        table(i);
        assert_ok(guest_pin(&g, i, 3));
    }
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 20, 1), guest_pte(&g, 21, RO)));
    /* 21 is named by 20: it may not name others; 20 names: nobody may name it. */
    EXPECT_UNCHANGED(assert_refused(
        &g, guest_mmu_update(&g, guest_entry(&g, 21, 1), guest_pte(&g, 22, RO)), LINEAR_TOO_DEEP));
    EXPECT_UNCHANGED(assert_refused(
        &g, guest_mmu_update(&g, guest_entry(&g, 22, 1), guest_pte(&g, 20, RO)), LINEAR_TOO_DEEP));
    EXPECT_UNCHANGED(assert_refused(
        &g, guest_mmu_update(&g, guest_entry(&g, 21, 1), guest_pte(&g, 20, RO)), LINEAR_TOO_DEEP));
    /* Naming oneself is always allowed. */
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 20, 3), guest_pte(&g, 20, RO)));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 21, 3), guest_pte(&g, 21, RO)));
    /* Others may join on either side; the two sides stay apart. */
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 22, 1), guest_pte(&g, 21, RO)));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 20, 2), guest_pte(&g, 23, RO)));
    world_check();
    /* When the last linear entry is gone a table is free to change sides. */
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 20, 1), 0));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 20, 2), 0));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 23, 1), guest_pte(&g, 20, RO)));
    world_check();
}

Test(page_tables, entry_to_a_table_under_validation_is_refused)
{
    table(20)[1] = guest_pte(&g, 21, RW);
    table(21)[1] = guest_pte(&g, 20, RO);
    EXPECT_UNCHANGED(assert_refused(&g, guest_pin(&g, 20, 3), TABLE_BELOW_INVALID));
    /* As an L1 table, 21 may map 20 read-only like any frame. */
    assert_ok(guest_pin(&g, 20, 2));
    world_check();
}

Test(page_tables, loops_through_levels_end)
{
    /* L4 -> L3 -> the same L4 as an L2, and so on: every shape must be refused or accepted, never
     * recursed into for ever. */
    for (unsigned i = 20; i <= 23; i++)
        table(i);
    guest_page(&g, 20)[0] = guest_pte(&g, 21, RW);
    guest_page(&g, 21)[0] = guest_pte(&g, 22, RW);
    guest_page(&g, 22)[0] = guest_pte(&g, 20, RW);
    guest_page(&g, 22)[1] = guest_pte(&g, 21, RO);
    cr_assert(guest_pin(&g, 20, 4) < 0);
    for (unsigned i = 20; i <= 23; i++)
        assert_eq_long(types(i), 0);
    world_check();
}

/* --- pins and roots
 * ---------------------------------------------------------------------------------------------- */

Test(page_tables, pins_are_single_and_known_by_frame)
{
    build_tree();
    assert_ok(guest_pin(&g, 20, 4));
    EXPECT_UNCHANGED(assert_refused(&g, guest_pin(&g, 20, 4), PINNED_ALREADY));
    for (int level = 1; level <= 3; level++)
        EXPECT_UNCHANGED(assert_refused(&g, guest_pin(&g, 20, level), PIN_ROLE_CONFLICT));
    EXPECT_UNCHANGED(assert_refused(&g, guest_unpin(&g, 21), NOT_PINNED));
    EXPECT_UNCHANGED(assert_refused(&g, guest_unpin(&g, 30), NOT_PINNED));
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmuext(&g, MMUEXT_UNPIN_TABLE, max_mfn, 0), PIN_FRAME_NOT_OWNED));
    EXPECT_UNCHANGED(assert_refused(&g, guest_mmuext(&g, MMUEXT_UNPIN_TABLE, machine.hole_first, 0),
                                    PIN_FRAME_NOT_OWNED));
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmuext(&g, MMUEXT_PIN_L4_TABLE, ~0ull, 0), PIN_FRAME_NOT_OWNED));
    EXPECT_UNCHANGED(assert_refused(
        &g, guest_mmuext(&g, MMUEXT_PIN_L1_TABLE, machine.hole_first, 0), PIN_FRAME_NOT_OWNED));
    assert_ok(guest_unpin(&g, 20));
    EXPECT_UNCHANGED(assert_refused(&g, guest_unpin(&g, 20), NOT_PINNED));
}

Test(page_tables, inner_tables_stay_while_pinned_or_used)
{
    build_tree();
    assert_ok(guest_pin(&g, 20, 4));
    assert_ok(guest_pin(&g, 23, 1)); /* used and pinned */
    assert_ok(guest_unpin(&g, 20));
    assert_eq_long(types(23), 1);
    assert_eq_long(types(24), 0);
    assert_refused(&g, guest_protect(&g, 23, RW), ROLE_CONFLICT);
    assert_ok(guest_protect(&g, 24, RW));
    assert_ok(guest_unpin(&g, 23));
    assert_ok(guest_protect(&g, 23, RW));
}

Test(page_tables, running_root_outlives_its_pin)
{
    assert_ok(guest_unpin(&g, 0));
    cr_assert(guest_info(&g, 0)->state & PAGE_VALIDATED, "CR3 holds it");
    world_check();
    assert_ok(guest_pin(&g, 0, 4));
}

Test(page_tables, roots_are_held_and_exchanged)
{
    build_tree();
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_USER_BASEPTR, g.mfn[20], 0)); /* validates it */
    assert_eq_long(types(20), 1);
    world_check();
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_USER_BASEPTR, g.mfn[20], 0)); /* the same again */
    assert_eq_long(types(20), 1);
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_BASEPTR, g.mfn[20], 0));
    assert_eq_long(types(20), 2);
    assert_eq_long(g.v->arch.kernel_root, mfn_to_maddr(guest_mfn(&g, 20)));
    world_check();
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_BASEPTR, g.mfn[0], 0));
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_USER_BASEPTR, 0, 0));
    assert_eq_long(types(20), 0);
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmuext(&g, MMUEXT_NEW_BASEPTR, g.mfn[3], 0), PIN_ROLE_CONFLICT));
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmuext(&g, MMUEXT_NEW_BASEPTR, 0, 0), PIN_FRAME_NOT_OWNED));
    EXPECT_UNCHANGED(assert_refused(&g, guest_mmuext(&g, MMUEXT_NEW_BASEPTR, BIT(52) | g.mfn[0], 0),
                                    PIN_FRAME_NOT_OWNED));
    EXPECT_UNCHANGED(assert_refused(&g, guest_mmuext(&g, MMUEXT_NEW_USER_BASEPTR, BIT(52), 0),
                                    PIN_FRAME_NOT_OWNED));
    EXPECT_UNCHANGED(assert_refused(&g, guest_mmuext(&g, MMUEXT_NEW_USER_BASEPTR, g.mfn[30], 0),
                                    PIN_ROLE_CONFLICT));
}

/* --- other roles
 * ---------------------------------------------------------------------------------------------------
 */

Test(page_tables, descriptor_table_is_neither_writable_nor_a_page_table)
{
    table(20);
    assert_ok(machine_hold_segment(g.v, guest_mfn(&g, 20)));
    EXPECT_UNCHANGED(assert_refused(&g, guest_protect(&g, 20, RW), ROLE_CONFLICT));
    EXPECT_UNCHANGED(assert_refused(&g, guest_pin(&g, 20, 1), PIN_ROLE_CONFLICT));
    EXPECT_UNCHANGED(
        assert_refused(&g, guest_mmu_update(&g, guest_entry(&g, 20, 0), 1), TABLE_NOT_OWNED));
    EXPECT_UNCHANGED(assert_refused(&g, guest_mmuext(&g, MMUEXT_CLEAR_PAGE, g.mfn[20], 0),
                                    COPY_FRAME_NOT_WRITABLE));
    world_check();
    machine_release_segments(g.v);
    assert_ok(guest_protect(&g, 20, RW));
}

Test(page_tables, bad_descriptor_table_is_refused_and_left)
{
    table(20)[0] = 1;
    EXPECT_UNCHANGED(assert_eq_long(machine_hold_segment(g.v, guest_mfn(&g, 20)), -XEN_EINVAL));
}

Test(page_tables, tables_cannot_be_cleared_or_copied_over)
{
    for (unsigned pfn = 0; pfn <= 3; pfn++) {
        EXPECT_UNCHANGED(assert_refused(&g, guest_mmuext(&g, MMUEXT_CLEAR_PAGE, g.mfn[pfn], 0),
                                        COPY_FRAME_NOT_WRITABLE));
        EXPECT_UNCHANGED(assert_refused(&g,
                                        guest_mmuext(&g, MMUEXT_COPY_PAGE, g.mfn[pfn], g.mfn[30]),
                                        COPY_FRAME_NOT_WRITABLE));
    }
    guest_page(&g, 30)[5] = 0x1234;
    assert_ok(guest_mmuext(&g, MMUEXT_COPY_PAGE, g.mfn[31], g.mfn[30]));
    assert_eq_long(guest_page(&g, 31)[5], 0x1234);
    assert_ok(guest_mmuext(&g, MMUEXT_CLEAR_PAGE, g.mfn[31], 0));
    assert_eq_long(guest_page(&g, 31)[5], 0);
    assert_ok(
        guest_mmuext(&g, MMUEXT_COPY_PAGE, g.mfn[31], g.mfn[0])); /* reading a table is fine */
    assert_refused(&g, guest_mmuext(&g, MMUEXT_COPY_PAGE, g.mfn[31], max_mfn), PIN_FRAME_NOT_OWNED);
    assert_refused(&g, guest_mmuext(&g, MMUEXT_CLEAR_PAGE, machine.hole_first, 0),
                   COPY_FRAME_NOT_WRITABLE);
}

/* A store that the emulator does: only if the entry is still what the guest saw. */
Test(page_tables, compare_exchange_of_an_entry)
{
    uint64_t *slot = &guest_page(&g, 3)[20];
    const uint64_t was = *slot;
    struct page_info *before = frames_snapshot();

    assert_eq_long(l1_compare_exchange(g.d, slot, was ^ PTE_RW, pte(0)), -XEN_EAGAIN);
    assert_eq_long(l1_compare_exchange(g.d, slot, was ^ PTE_RW, pte(guest_pte(&g, 21, RW))),
                   -XEN_EAGAIN);
    assert_eq_long(*slot, was);
    assert_eq_long(frames_differ(before), 0);
    cr_assert(l1_compare_exchange(g.d, slot, was, pte(guest_pte(&g, 0, RW))) < 0,
              "the L4 writable");
    assert_eq_long(*slot, was);

    const uint32_t refs = page_state_refs(guest_info(&g, 21)->state);
    assert_ok(l1_compare_exchange(g.d, slot, was, pte(guest_pte(&g, 21, RW))));
    assert_eq_long(page_state_refs(guest_info(&g, 21)->state), refs + 1);
    assert_ok(l1_compare_exchange(g.d, slot, *slot, pte(*slot | PTE_A)));
    assert_eq_long(page_state_refs(guest_info(&g, 21)->state), refs + 1);
    assert_ok(l1_compare_exchange(g.d, slot, *slot, pte(0)));
    assert_eq_long(page_state_refs(guest_info(&g, 21)->state), refs);
    assert_ok(l1_compare_exchange(g.d, slot, 0, pte(was)));
    tlb_flush_cpus(arch_cpus_online());
}
