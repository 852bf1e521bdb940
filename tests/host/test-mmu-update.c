/*
 * mmu_update, update_va_mapping and mmuext_op as batches: how many were done, where a batch stops,
 * what it needs to read.
 */
#include "suite.h"
#include "sched.h"

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

TestSuite(mmu_update, .init = start, .fini = finish);

#define AT      0x8000u
#define AT_DONE 0x100u
#define UNSET   0xdeadbeefu

static uint32_t done_value(void)
{
    uint32_t done;
    machine_get(&done, AT_DONE, sizeof(done));
    return done;
}

static uint64_t done_at(void)
{
    uint32_t unset = UNSET;
    return machine_put(AT_DONE, &unset, sizeof(unset)).va;
}

/* Requests 0..@count-1 map frame 30 + i read-only at its place. */
static guest_ptr_t requests(unsigned count)
{
    mmu_update_t r[128];
    for (unsigned i = 0; i < count; i++)
        r[i] = (mmu_update_t){guest_l1_entry(&g, 10 + i), guest_pte(&g, 10 + i, RO)};
    return machine_put(AT, r, count * sizeof(*r));
}

Test(mmu_update, batch_is_done_whole)
{
    for (unsigned count = 0; count < 80; count += 7) {
        guest_ptr_t at = requests(count);
        assert_ok(hypercall(&g, mmu_update, at.va, count, done_at(), DOMID_SELF));
        assert_eq_long(done_value(), count);
    }
    for (unsigned i = 0; i < 77; i++)
        assert_eq_long(guest_page(&g, 3)[10 + i], guest_pte(&g, 10 + i, RO));
}

Test(mmu_update, batch_stops_at_its_first_refusal)
{
    for (unsigned bad = 0; bad < 40; bad++) {
        guest_ptr_t at = requests(40);
        mmu_update_t r = {guest_l1_entry(&g, 200), guest_pte(&g, 0, RW)};
        machine_put(AT + bad * sizeof(r), &r, sizeof(r));
        long rc = hypercall(&g, mmu_update, at.va, 40, done_at(), DOMID_SELF);
        assert_refused(&g, rc, ROLE_CONFLICT);
        assert_eq_long(done_value(), bad);
    }
}

Test(mmu_update, what_was_done_before_a_refusal_stays)
{
    mmu_update_t r[3] = {{guest_l1_entry(&g, 10), guest_pte(&g, 10, RO)},
                         {guest_l1_entry(&g, 11), guest_pte(&g, 0, RW)},
                         {guest_l1_entry(&g, 12), guest_pte(&g, 12, RO)}};
    assert_refused(&g,
                   hypercall(&g, mmu_update, machine_put(AT, r, sizeof(r)).va, 3, 0, DOMID_SELF),
                   ROLE_CONFLICT);
    assert_eq_long(guest_page(&g, 3)[10], guest_pte(&g, 10, RO));
    assert_eq_long(guest_page(&g, 3)[11], guest_pte(&g, 11, RW));
    assert_eq_long(guest_page(&g, 3)[12], guest_pte(&g, 12, RW));
}

Test(mmu_update, unreadable_request_is_found_exactly)
{
    /* The readable part of the window ends in the middle of the batch, in the middle of a request.
     */
    for (unsigned readable = 0; readable < 40; readable++) {
        guest_ptr_t at = requests(40);
        uint64_t done = done_at();
        machine_window(AT + readable * sizeof(mmu_update_t) + 8, WINDOW_BYTES);
        assert_refused(&g, hypercall(&g, mmu_update, at.va, 40, done, DOMID_SELF),
                       ARGUMENT_UNREADABLE);
        assert_eq_long(done_value(), readable);
        machine_window(WINDOW_BYTES, WINDOW_BYTES);
    }
}

Test(mmu_update, requests_from_no_guest_address_fault)
{
    static const uint64_t bad[] = {0,
                                   0x1000,
                                   0x0000800000000000ull - 8,
                                   0x0000800000000000ull,
                                   0xffff7fffffffffffull,
                                   HYPERVISOR_VIRT_START_,
                                   HYPERVISOR_VIRT_END_ - 8,
                                   ~0ull,
                                   ~0ull - 15};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_refused(&g, hypercall(&g, mmu_update, bad[i], 1, done_at(), DOMID_SELF),
                       ARGUMENT_UNREADABLE);
        assert_eq_long(done_value(), 0);
    }
}

Test(mmu_update, done_pointer_is_optional)
{
    assert_ok(hypercall(&g, mmu_update, requests(1).va, 1, 0, DOMID_SELF));
    /* As in Xen, a pointer that cannot be written changes no answer, neither a good nor a bad one.
     */
    assert_ok(hypercall(&g, mmu_update, requests(1).va, 1, HYPERVISOR_VIRT_START_, DOMID_SELF));
    mmu_update_t r = {guest_l1_entry(&g, 11), guest_pte(&g, 0, RW)};
    long rc = hypercall(&g, mmu_update, machine_put(AT, &r, sizeof(r)).va, 1,
                        HYPERVISOR_VIRT_START_, DOMID_SELF);
    assert_eq_long(rc, -rule_text[RULE_ROLE_CONFLICT].error);
}

Test(mmu_update, commands_in_the_low_bits)
{
    uint64_t ptr = guest_l1_entry(&g, 30), ok = guest_pte(&g, 30, RO);

    for (unsigned command = 0; command < 8; command++) {
        long rc = guest_mmu_update(&g, ptr | command, ok);
        if (command == MMU_MACHPHYS_UPDATE)
            assert_ok(rc); /* the frame of the L1 table now has pfn @ok: its owner may say so */
        else if (command <= MMU_PT_UPDATE_NO_TRANSLATE)
            assert_ok(rc);
        else
            assert_refused(&g, rc, MMU_COMMAND_UNKNOWN);
    }
}

Test(mmu_update, machphys_entries_belong_to_owners)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    machine_enter(g.v);

    uint64_t mine = mfn_to_maddr(guest_mfn(&g, 30)), theirs = mfn_to_maddr(guest_mfn(&other, 9));
    assert_ok(guest_mmu_update(&g, mine | MMU_MACHPHYS_UPDATE, 77));
    assert_eq_long(machine_to_phys[g.mfn[30]], 77);
    assert_refused(&g, guest_mmu_update(&g, theirs | MMU_MACHPHYS_UPDATE, 77), M2P_FRAME_NOT_OWNED);
    assert_refused(&g,
                   guest_mmu_update(&g, machine.hole_first << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 77),
                   M2P_FRAME_NOT_OWNED);
    assert_refused(&g, guest_mmu_update(&g, max_mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 77),
                   M2P_FRAME_NOT_OWNED);
    assert_eq_long(machine_to_phys[other.mfn[9]], 9);
}

Test(mmu_update, plain_memory_is_written_like_an_entry)
{
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 30, 17), 0x123456789abcdef0));
    assert_eq_long(guest_page(&g, 30)[17], 0x123456789abcdef0);
    /* Also when nothing maps it, and when it has been a table. */
    assert_ok(guest_protect(&g, 30, 0));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 30, 18), 5));
    memset(guest_page(&g, 30), 0, PAGE_SIZE);
    assert_ok(guest_pin(&g, 30, 2));
    assert_ok(guest_unpin(&g, 30));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 30, 19), 6));
    assert_eq_long(guest_page(&g, 30)[19], 6);
}

/* A batch looks at its table once, and anew behind a request that may have ended that role. */
Test(mmu_update, a_table_that_a_request_gives_up_is_none_for_the_next)
{
    const uint64_t no_entry = 0x123456789abcdef1; /* present, and refused in any table */

    assert_ok(guest_protect(&g, 30, 0));
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 2, 100), guest_pte(&g, 30, RW)));
    const mmu_update_t r[] = {{guest_entry(&g, 30, 1), guest_pte(&g, 31, RO)},
                              {guest_entry(&g, 2, 100), 0}, /* the last that names the table */
                              {guest_entry(&g, 30, 2), no_entry}};
    assert_ok(hypercall(&g, mmu_update, machine_put(AT, r, sizeof(r)).va, ARRAY_SIZE(r), done_at(),
                        DOMID_SELF));
    assert_eq_long(done_value(), ARRAY_SIZE(r));
    assert_eq_long(guest_page(&g, 30)[2], no_entry);
}

Test(mmu_update, tables_of_others_are_not_edited)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    machine_enter(g.v);

    struct page_info *before = frames_snapshot();
    assert_refused(&g, guest_mmu_update(&g, guest_l1_entry(&other, 9), guest_pte(&g, 30, RO)),
                   TABLE_NOT_OWNED);
    assert_refused(&g, guest_mmu_update(&g, guest_entry(&other, 9, 0), 1), TABLE_NOT_OWNED);
    assert_refused(&g, guest_mmu_update(&g, machine.hole_first << PAGE_SHIFT, 1), TABLE_NOT_OWNED);
    assert_refused(&g, guest_mmu_update(&g, max_mfn << PAGE_SHIFT, 1), TABLE_NOT_OWNED);
    assert_refused(&g, guest_mmu_update(&g, ~7ull, 1), TABLE_NOT_OWNED);
    assert_eq_long(frames_differ(before), 0);
}

Test(mmu_update, foreign_frames_need_the_control_role)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    machine_enter(g.v);
    mmu_update_t r = {guest_l1_entry(&g, 200), guest_pte(&other, 12, RW)};
    uint64_t at = machine_put(AT, &r, sizeof(r)).va;

    assert_refused(&g, hypercall(&g, mmu_update, at, 1, 0, 2), FOREIGN_DOMAIN_NOT_ALLOWED);
    assert_refused(&g, hypercall(&g, mmu_update, at, 1, 0, 1), FOREIGN_DOMAIN_MISSING);
    assert_refused(&g, hypercall(&g, mmu_update, at, 1, 0, 3), FOREIGN_DOMAIN_NOT_ALLOWED);
    g.d->roles = ROLE_CONTROL;
    assert_refused(&g, hypercall(&g, mmu_update, at, 1, 0, 3), FOREIGN_DOMAIN_MISSING);
    uint32_t refs = other.d->refs;
    assert_ok(hypercall(&g, mmu_update, at, 1, 0, 2));
    assert_eq_long(other.d->refs, refs);
    assert_eq_long(guest_page(&g, 3)[200], guest_pte(&other, 12, RW));
    world_check();
    /* The owner cannot make a table of a frame that somebody else can write to. */
    assert_ok(guest_protect(&other, 12, RO));
    assert_refused(&other, guest_pin(&other, 12, 1), PIN_ROLE_CONFLICT);
    /* Upper levels name the owner's tables only. */
    r.ptr = guest_entry(&g, 2, 100);
    at = machine_put(AT, &r, sizeof(r)).va;
    assert_refused(&g, hypercall(&g, mmu_update, at, 1, 0, 2), TABLE_FOREIGN);
    assert_ok(guest_protect(&g, 200, 0));
    r = (mmu_update_t){guest_l1_entry(&g, 200), 0};
    at = machine_put(AT, &r, sizeof(r)).va;
    assert_ok(hypercall(&g, mmu_update, at, 1, 0, DOMID_SELF));
    assert_ok(guest_pin(&other, 12, 1));
}

/* A domain that has ended stays, as a name and that one frame, until the last mapping of it is gone. */
Test(mmu_update, frame_outlives_its_domain_while_somebody_maps_it)
{
    struct guest other;
    const uint64_t free = page_free_count();
    guest_create(&other, 2, 16, 1);
    g.d->roles = ROLE_CONTROL;
    machine_enter(g.v);
    mmu_update_t r = {guest_l1_entry(&g, 200), guest_pte(&other, 12, RW)};
    uint64_t at = machine_put(AT, &r, sizeof(r)).va;
    assert_ok(hypercall(&g, mmu_update, at, 1, 0, 2));

    domain_shutdown(other.d, SHUTDOWN_poweroff);
    for (unsigned cpu = machine.cpus; cpu-- > 0;) {
        machine_on_cpu(cpu);
        schedule();
    }
    machine_run_work();
    struct domain *zombie = domain_get(2);
    cr_assert(zombie && zombie->dying);
    assert_eq_long(zombie->tot_pages, 1);
    struct page_info *pg = guest_info(&other, 12);
    assert_eq_long(pg->owner, 2);
    assert_eq_long(page_state_refs(pg->state), 1);
    world_check();
    domain_put(zombie);

    /* What it is asked meanwhile is refused, and nobody else gets the frame. */
    struct evtchn_alloc_unbound port = {.dom = 2, .remote_dom = 1};
    assert_refused(
        &g,
        guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &port, sizeof(port)),
        DOMAIN_DYING);
    machine_enter(g.v);
    machine_advance(3000000000ull); /* it looks again, and waits on */
    machine_run_work();
    cr_assert((zombie = domain_get(2)) != NULL);
    domain_put(zombie);

    r = (mmu_update_t){guest_l1_entry(&g, 200), 0};
    at = machine_put(AT, &r, sizeof(r)).va;
    assert_ok(hypercall(&g, mmu_update, at, 1, 0, DOMID_SELF));
    machine_advance(3000000000ull);
    machine_run_work();
    cr_assert(!domain_get_owner(2));
    cr_assert(page_free_count() + 2 >= free, "%lu frames, were %lu",
              (unsigned long)page_free_count(), (unsigned long)free);
}

Test(mmu_update, control_domain_edits_anothers_tables)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    g.d->roles = ROLE_CONTROL;
    machine_enter(g.v);

    mmu_update_t r = {guest_l1_entry(&other, 12), guest_pte(&other, 12, RO)};
    uint64_t at = machine_put(AT, &r, sizeof(r)).va;
    assert_ok(hypercall(&g, mmu_update, at, 1, 0, (2 + 1) << 16 | 2));
    assert_eq_long(guest_page(&other, 3)[12], guest_pte(&other, 12, RO));
    /* Whose frames: here the caller's own, which the other's tables may not name without saying so.
     */
    assert_eq_long(other.d->refs, 1);
    assert_eq_long(hypercall(&g, mmu_update, at, 1, 0, (9 + 1) << 16 | DOMID_SELF), -XEN_ESRCH);
    assert_eq_long(other.d->refs, 1);
}

/* --- update_va_mapping
 * ----------------------------------------------------------------------------------------- */

Test(mmu_update, va_mapping_replaces_the_entry_that_maps_it)
{
    assert_ok(hypercall(&g, update_va_mapping, guest_va(30), guest_pte(&g, 30, RO), 0));
    assert_eq_long(guest_page(&g, 3)[30], guest_pte(&g, 30, RO));
    assert_ok(
        hypercall(&g, update_va_mapping, guest_va(30) + 123, guest_pte(&g, 31, RW), UVMF_INVLPG));
    assert_eq_long(guest_page(&g, 3)[30], guest_pte(&g, 31, RW));
    assert_refused(&g, hypercall(&g, update_va_mapping, guest_va(30), guest_pte(&g, 0, RW), 0),
                   ROLE_CONFLICT);
}

Test(mmu_update, va_mapping_wants_an_l1_table_there)
{
    static const uint64_t bad[] = {0,
                                   0x400000,
                                   GUEST_VA + (1ull << 30),
                                   HYPERVISOR_VIRT_START_,
                                   HYPERVISOR_VIRT_END_ - PAGE_SIZE,
                                   0x0000800000000000ull,
                                   ~0ull};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(&g, hypercall(&g, update_va_mapping, bad[i], guest_pte(&g, 30, RO), 0),
                       NOT_MAPPED_BY_L1);
}

Test(mmu_update, va_mapping_through_a_linear_entry_is_no_l1)
{
    /* L4 slot 300 names the L4 itself: addresses below it reach upper tables as if they were L1. */
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 0, 300), guest_pte(&g, 0, RO)));
    struct page_info *before = frames_snapshot();
    for (unsigned depth = 1; depth <= 4; depth++) {
        uint64_t va = 0xffff000000000000ull, index[4];
        for (unsigned i = 0; i < 4; i++)
            index[i] = i < depth ? 300 : i == depth ? 272 : 0;
        for (unsigned i = 0; i < 4; i++)
            va |= index[i] << (39 - 9 * i);
        long rc = hypercall(&g, update_va_mapping, va, guest_pte(&g, 30, RO), 0);
        cr_assert(rc == -rule_text[RULE_NOT_MAPPED_BY_L1].error, "depth %u: %ld", depth, rc);
    }
    assert_eq_long(frames_differ(before), 0);
}

/* A linear L4 entry shows the L4's other slots one level further down, the hypervisor's among them:
 * a walk must not follow them into the hypervisor's own tables. */
Test(mmu_update, va_mapping_never_enters_the_hypervisors_tables)
{
    assert_ok(guest_mmu_update(&g, guest_entry(&g, 0, 300), guest_pte(&g, 0, RO)));
    struct page_info *before = frames_snapshot();
    for (uint64_t ours = HYPERVISOR_SLOT_FIRST; ours <= HYPERVISOR_SLOT_LAST; ours++)
        for (uint64_t i = 0; i < PT_ENTRIES; i += 73) {
            uint64_t shallow =
                0xffff000000000000ull | 300ull << 39 | ours << 30 | i << 21 | i << 12;
            uint64_t deep =
                0xffff000000000000ull | 300ull << 39 | 300ull << 30 | ours << 21 | i << 12;
            assert_refused(&g, hypercall(&g, update_va_mapping, shallow, guest_pte(&g, 30, RO), 0),
                           NOT_MAPPED_BY_L1);
            assert_refused(&g, hypercall(&g, update_va_mapping, deep, guest_pte(&g, 30, RO), 0),
                           NOT_MAPPED_BY_L1);
        }
    assert_eq_long(frames_differ(before), 0);
}

/* The door reads in ring 0, so the same addresses would show it the hypervisor's tables and all
 * memory behind them. */
Test(mmu_update, door_reads_nothing_of_the_hypervisors)
{
    uint64_t word;
    const uint64_t window = 0xffff000000000000ull | 300ull << 39;

    assert_ok(guest_mmu_update(&g, guest_entry(&g, 0, 300), guest_pte(&g, 0, RO)));
    for (uint64_t ours = HYPERVISOR_SLOT_FIRST; ours <= HYPERVISOR_SLOT_LAST; ours++)
        for (unsigned i = 0; i < 4; i++) {
            cr_assert(guest_read_u64(&word, guest_ptr(window | ours << 30 | (uint64_t)i << 12)) <
                      0);
            cr_assert(guest_read_u64(&word, guest_ptr(window | 300ull << 30 | ours << 21 |
                                                      (uint64_t)i << 12)) < 0);
            cr_assert(guest_read_u64(
                          &word, guest_ptr(window | 300ull << 30 | 300ull << 21 | ours << 12)) < 0);
            cr_assert(guest_write_u64(guest_ptr(window | ours << 30 | (uint64_t)i << 12), 0) < 0);
        }
    char two[16]; /* across the window's edges */
    cr_assert(guest_read(two, guest_ptr(window - 8), 16) < 0);
    /* Also when the entry came with a table that was pinned, and in whichever table it is. */
    memset(guest_page(&g, 40), 0, PAGE_SIZE);
    guest_page(&g, 40)[299] = guest_pte(&g, 40, RO);
    guest_page(&g, 40)[272] = guest_page(&g, 0)[272];
    assert_ok(guest_protect(&g, 40, RO));
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_BASEPTR, g.mfn[40], 0));
    cr_assert(
        guest_read_u64(&word, guest_ptr(0xffff000000000000ull | 299ull << 39 | 262ull << 30)) < 0);
    assert_ok(guest_mmuext(&g, MMUEXT_NEW_BASEPTR, g.mfn[0], 0));
}

Test(mmu_update, va_mapping_flushes_what_it_is_asked)
{
    uint64_t set = 1;
    uint64_t at = machine_put(AT, &set, sizeof(set)).va;
    struct machine_cpu *cpu = &machine.cpu[0];
    const struct {
        uint64_t flags;
        unsigned all, page;
    } ask[] = {{UVMF_NONE, 0, 0},
               {UVMF_TLB_FLUSH | UVMF_LOCAL, 1, 0},
               {UVMF_INVLPG | UVMF_LOCAL, 0, 1},
               {UVMF_TLB_FLUSH | UVMF_ALL, 1, 0},
               {UVMF_INVLPG | UVMF_ALL, 0, 1},
               {UVMF_TLB_FLUSH | at, 1, 0},
               {UVMF_INVLPG | at, 0, 1}};
    for (unsigned i = 0; i < ARRAY_SIZE(ask); i++) {
        unsigned all = cpu->flushes, page = cpu->page_flushes;
        assert_ok(
            hypercall(&g, update_va_mapping, guest_va(30), guest_pte(&g, 30, RO), ask[i].flags));
        assert_eq_long(cpu->flushes - all, ask[i].all);
        assert_eq_long(cpu->page_flushes - page, ask[i].page);
    }
    assert_refused(&g,
                   hypercall(&g, update_va_mapping, guest_va(30), guest_pte(&g, 30, RO),
                             UVMF_TLB_FLUSH | 0x1000),
                   VCPU_SET_UNREADABLE);
}

/* --- mmuext_op
 * -------------------------------------------------------------------------------------------------
 */

Test(mmu_update, mmuext_batch_counts_and_stops)
{
    struct mmuext_op op[5] = {{.cmd = MMUEXT_TLB_FLUSH_LOCAL},
                              {.cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = g.mfn[30]},
                              {.cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = g.mfn[0]},
                              {.cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = g.mfn[31]}};
    guest_page(&g, 30)[0] = guest_page(&g, 31)[0] = 1;
    assert_refused(
        &g, hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 4, done_at(), DOMID_SELF),
        COPY_FRAME_NOT_WRITABLE);
    assert_eq_long(done_value(), 2);
    assert_eq_long(guest_page(&g, 30)[0], 0);
    assert_eq_long(guest_page(&g, 31)[0], 1);
    machine_window(AT + sizeof(op[0]) + 4, WINDOW_BYTES);
    assert_refused(
        &g, hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 4, done_at(), DOMID_SELF),
        ARGUMENT_UNREADABLE);
    machine_window(WINDOW_BYTES, WINDOW_BYTES);
    assert_eq_long(done_value(), 1);
}

Test(mmu_update, mmuext_unknown_and_unserved)
{
    assert_refused(&g, guest_mmuext(&g, MMUEXT_MARK_SUPER, 0, 0), SUPERPAGE_MARK_NOT_SERVED);
    assert_refused(&g, guest_mmuext(&g, MMUEXT_UNMARK_SUPER, 0, 0), SUPERPAGE_MARK_NOT_SERVED);
    for (unsigned cmd = MMUEXT_UNMARK_SUPER + 1; cmd < 64; cmd++)
        assert_refused(&g, guest_mmuext(&g, cmd, 0, 0), MMUEXT_OP_UNKNOWN);
    assert_refused(&g, guest_mmuext(&g, ~0u, 0, 0), MMUEXT_OP_UNKNOWN);
}

/* One's own address space is not another's; what is about frames may be. */
Test(mmu_update, mmuext_on_another_domain)
{
    static const unsigned own[] = {
        MMUEXT_NEW_BASEPTR,   MMUEXT_NEW_USER_BASEPTR, MMUEXT_TLB_FLUSH_LOCAL,
        MMUEXT_INVLPG_LOCAL,  MMUEXT_TLB_FLUSH_MULTI,  MMUEXT_INVLPG_MULTI,
        MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_ALL,       MMUEXT_SET_LDT};
    struct guest two;

    guest_create(&two, 2, 64, 1);
    g.d->roles = ROLE_CONTROL;
    machine_enter(g.v);
    for (unsigned i = 0; i < ARRAY_SIZE(own); i++) {
        const struct mmuext_op op = {.cmd = own[i]};
        assert_refused(&g, hypercall(&g, mmuext_op, machine_put(AT, &op, sizeof(op)).va, 1, 0, 2),
                       ROOT_OF_OTHER_DOMAIN);
    }
    struct mmuext_op op[2] = {{.cmd = MMUEXT_FLUSH_CACHE},
                              {.cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = two.mfn[30]}};
    assert_refused(&g, hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 2, 0, 2),
                   CACHE_FLUSH_NOT_ALLOWED);
    op[0].cmd = MMUEXT_FLUSH_CACHE_GLOBAL;
    assert_refused(&g, hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 2, 0, 2),
                   CACHE_FLUSH_ALL_NOT_ALLOWED);
    op[0].cmd = MMUEXT_MARK_SUPER;
    assert_refused(&g, hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 2, 0, 2),
                   SUPERPAGE_MARK_NOT_SERVED);
    op[0].cmd = 64;
    assert_refused(&g, hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 2, 0, 2),
                   MMUEXT_OP_UNKNOWN);
    g.d->roles |= ROLE_HARDWARE;
    op[0].cmd = MMUEXT_FLUSH_CACHE;
    guest_page(&two, 30)[5] = 1;
    assert_ok(hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 2, 0, 2));
    assert_eq_long(guest_page(&two, 30)[5], 0);
    op[0].cmd = MMUEXT_FLUSH_CACHE_GLOBAL;
    assert_ok(hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 1, 0, 2));
    op[0] = (struct mmuext_op){.cmd = MMUEXT_COPY_PAGE, .arg1.mfn = two.mfn[30]};
    op[0].arg2.src_mfn = two.mfn[0];
    assert_ok(hypercall(&g, mmuext_op, machine_put(AT, op, sizeof(op)).va, 1, 0, 2));
    assert_eq_long(guest_page(&two, 30)[pt_index(GUEST_VA, 4)],
                   guest_page(&two, 0)[pt_index(GUEST_VA, 4)]);
    g.d->roles = 0;
}

Test(mmu_update, mmuext_ldt_is_aligned_and_bounded)
{
    assert_refused(&g, guest_mmuext(&g, MMUEXT_SET_LDT, guest_va(30) + 8, 1), LDT_RANGE);
    assert_refused(&g, guest_mmuext(&g, MMUEXT_SET_LDT, guest_va(30), 8193), LDT_RANGE);
    assert_ok(guest_mmuext(&g, MMUEXT_SET_LDT, guest_va(30), 8192));
}

Test(mmu_update, mmuext_flushes_the_named_vcpus)
{
    struct guest smp;
    uint64_t set = 2;

    guest_create(&smp, 2, 64, 2); /* vCPU n on CPU n */
    uint64_t at = machine_put(AT + 0x2000, &set, sizeof(set)).va;
    unsigned before0 = machine.cpu[0].flushes, before1 = machine.cpu[1].flushes;
    assert_ok(guest_mmuext(&smp, MMUEXT_TLB_FLUSH_MULTI, 0, at));
    assert_eq_long(machine.cpu[0].flushes - before0, 0);
    assert_eq_long(machine.cpu[1].flushes - before1, 1);
    assert_ok(guest_mmuext(&smp, MMUEXT_TLB_FLUSH_ALL, 0, 0));
    assert_eq_long(machine.cpu[0].flushes - before0, 1);
    assert_eq_long(machine.cpu[1].flushes - before1, 2);
    assert_refused(&smp, guest_mmuext(&smp, MMUEXT_INVLPG_MULTI, guest_va(30), 0x1000),
                   FLUSH_VCPU_SET_UNREADABLE);
}

/* --- multicall
 * -------------------------------------------------------------------------------------------------
 */

Test(mmu_update, multicall_runs_each_and_keeps_results_apart)
{
    uint64_t at = requests(2).va;
    multicall_entry_t call[4] = {
        {.op = __HYPERVISOR_mmu_update, .args = {at, 2, 0, DOMID_SELF}},
        {.op = __HYPERVISOR_multicall},
        {.op = 1000},
        {.op = __HYPERVISOR_update_va_mapping, .args = {guest_va(0), guest_pte(&g, 0, RW), 0}}};
    assert_ok(hypercall(&g, multicall, machine_put(AT + 0x2000, call, sizeof(call)).va, 4));
    machine_get(call, AT + 0x2000, sizeof(call));
    assert_eq_long(call[0].result, 0);
    assert_eq_long(call[1].result, -rule_text[RULE_MULTICALL_NESTED].error);
    assert_eq_long(call[2].result, -XEN_ENOSYS);
    assert_eq_long(call[3].result, -rule_text[RULE_ROLE_CONFLICT].error);
    assert_eq_long(guest_page(&g, 3)[11], guest_pte(&g, 11, RO));
    cr_assert(hypercall(&g, multicall, HYPERVISOR_VIRT_START_, 4) == -XEN_EFAULT);
    cr_assert(hypercall(&g, multicall, ~0ull - 100, ~0ull) == -XEN_EFAULT);
}

/* An L4 entry of the batch's own range becomes linear: from then on nothing is read there, although
 * the range was checked before the first entry. */
Test(mmu_update, multicall_stops_where_a_window_has_shut)
{
    const uint64_t root = g.v->arch.kernel_root;
    mmu_update_t shut = {root + pt_index(WINDOW_VA, 4) * 8, root | PTE_P | PTE_US};
    multicall_entry_t call[2] = {
        {.op = __HYPERVISOR_mmu_update,
         .args = {machine_put(AT, &shut, sizeof(shut)).va, 1, 0, DOMID_SELF}},
        {.op = __HYPERVISOR_xen_version, .result = UNSET}};
    cr_assert(hypercall(&g, multicall, machine_put(AT + 0x2000, call, sizeof(call)).va, 2) ==
              -XEN_EFAULT);
    machine_get(call, AT + 0x2000, sizeof(call));
    assert_eq_long(call[0].result, 0);
    assert_eq_long(call[1].result, UNSET);
}

/* --- domains that only stand for something, and whoever should pause ------------------------------------------ */

Test(mmu_update, frames_of_system_domains_are_named_by_the_control_role)
{
    static const domid_t ids[] = {DOMID_IO, DOMID_XEN};

    for (unsigned i = 0; i < 2; i++) {
        mmu_update_t r = {guest_l1_entry(&g, 20), guest_pte(&g, 21, RO)};
        const uint64_t at = machine_put(0x1000, &r, sizeof(r)).va;
        assert_refused(&g, hypercall(&g, mmu_update, at, 1, 0, ids[i]), FOREIGN_DOMAIN_NOT_ALLOWED);
        g.d->roles = ROLE_CONTROL;
        /* A frame of our own is not theirs. */
        cr_assert(hypercall(&g, mmu_update, at, 1, 0, ids[i]) < 0);
        g.d->roles = 0;
    }
}

/* A long list lets go of the lock where its vCPU should pause, and goes on with the next request. */
/* The machine-to-phys table's frames: to read, by the control role, in that name; their counts are audited like any other's. */
Test(mmu_update, frames_that_are_shown_are_only_read)
{
    struct page_info *pg = page_alloc(0);
    const uint64_t entry = page_to_mfn(pg).n << PAGE_SHIFT;
    mmu_update_t r = {guest_l1_entry(&g, 10), entry | RO};

    g.d->roles = ROLE_CONTROL;
    guest_ptr_t at = machine_put(AT, &r, sizeof(r));
    assert_refused(&g, hypercall(&g, mmu_update, at.va, 1, 0, DOMID_XEN), FRAME_NOT_OWNED);
    page_show(pg);
    assert_refused(&g, hypercall(&g, mmu_update, at.va, 1, 0, DOMID_SELF), FRAME_NOT_OWNED);
    assert_ok(hypercall(&g, mmu_update, at.va, 1, 0, DOMID_XEN));
    assert_eq_long(page_audit(), 0);
    r = (mmu_update_t){guest_l1_entry(&g, 11), entry | RW};
    at = machine_put(AT, &r, sizeof(r));
    assert_refused(&g, hypercall(&g, mmu_update, at.va, 1, 0, DOMID_XEN), ROLE_CONFLICT);
    r = (mmu_update_t){guest_l1_entry(&g, 10), guest_pte(&g, 10, RW)};
    at = machine_put(AT, &r, sizeof(r));
    assert_ok(hypercall(&g, mmu_update, at.va, 1, 0, DOMID_SELF));
    assert_eq_long(page_state_refs(pg->state), 1);
    assert_eq_long(page_audit(), 0);
    pg->state = 0; /* no such frame is freed, but in a test */
    page_free(pg, 0);
}

Test(mmu_update, a_list_pauses_between_requests)
{
    static mmu_update_t r[200];
    uint32_t done = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
        r[i] = (mmu_update_t){guest_l1_entry(&g, 20), guest_pte(&g, 20, i & 1 ? RW : RO)};
    const uint64_t at = machine_put(0x1000, r, sizeof(r)).va,
                   count = machine_put(0x800, &done, sizeof(done)).va;
    atomic_or(&g.v->pause, PAUSE_CAPPED);
    assert_ok(hypercall(&g, mmu_update, at, ARRAY_SIZE(r), count, DOMID_SELF));
    atomic_and(&g.v->pause, ~PAUSE_CAPPED);
    machine_get(&done, 0x800, sizeof(done));
    assert_eq_long(done, ARRAY_SIZE(r));
    assert_eq_long(guest_page(&g, 3)[20] & PTE_RW, PTE_RW);
    mutex_lock(&g.d->mmu); /* it is free */
    mutex_unlock(&g.d->mmu);
}
