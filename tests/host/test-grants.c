/*
 * Grants between two domains: what a mapping holds, what its end gives back, and who may end before whom.
 *
 * `a` (domain 1) grants, `b` (domain 2) maps.  After each test the audit recounts references, pins, GTF bits and handles (I3, I4,
 * G1 to G5), and the TLB model has seen no translation that it should not have.
 */
#include "suite.h"
#include "audit.h"
#include "grant-table.h"
#include "maptrack.h"
#include "race.h"
#include "sched.h"

static struct guest a, b;

#define PAGE   20u /* a's pfn that is granted */
#define REF    40u
#define WINDOW 50u /* b's pfn whose L1 slot is used */

static void start(void)
{
    world_start(2, 4096);
    guest_create(&a, 1, 64, 2);
    guest_create(&b, 2, 64, 2);
    machine_enter(b.v);
}

static bool exists(domid_t id)
{
    struct domain *d = domain_get_owner(id);

    if (d)
        domain_put(d);
    return d;
}

static void end(void)
{
    world_check();
    if (exists(2)) /* it may have handles of a's */
        guest_destroy(&b);
    if (exists(1))
        guest_destroy(&a);
    world_check_empty();
}

TestSuite(grants, .init = start, .fini = end);

static grant_entry_v1_t *entry(grant_ref_t ref)
{
    return grant_entry_v1(a.d->grants, ref);
}

static void allow(grant_ref_t ref, domid_t to, unsigned pfn, uint16_t flags)
{
    *entry(ref) = (grant_entry_v1_t){
        .flags = GTF_permit_access | flags, .domid = to, .frame = (uint32_t)a.mfn[pfn]};
}

static unsigned bits(grant_ref_t ref)
{
    return entry(ref)->flags & (GTF_reading | GTF_writing);
}

/* One structure, in and out: its status. */
static int16_t grant_call(struct vcpu *v, unsigned cmd, void *op, size_t size, int16_t *status)
{
    const uint64_t at = machine_put(0x1000, op, size).va;

    machine_enter(v);
    assert_ok(vcpu_hypercall(v, __HYPERVISOR_grant_table_op, cmd, at, 1, 0));
    machine_get(op, 0x1000, size);
    return *status;
}

static struct gnttab_map_grant_ref map_by(struct vcpu *v, grant_ref_t ref, uint64_t host,
                                          uint32_t flags)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = host, .flags = flags, .ref = ref, .dom = a.d->id, .status = 77};

    grant_call(v, GNTTABOP_map_grant_ref, &op, sizeof(op), &op.status);
    return op;
}

static grant_handle_t map(uint32_t flags)
{
    struct gnttab_map_grant_ref op = map_by(b.v, REF, guest_va(WINDOW), flags);

    assert_eq_long(op.status, GNTST_okay);
    assert_eq_long(op.dev_bus_addr, a.mfn[PAGE] << PAGE_SHIFT);
    return op.handle;
}

static int16_t unmap_by(struct vcpu *v, grant_handle_t handle, uint64_t host, uint64_t device)
{
    struct gnttab_unmap_grant_ref op = {
        .host_addr = host, .dev_bus_addr = device, .handle = handle, .status = 77};

    return grant_call(v, GNTTABOP_unmap_grant_ref, &op, sizeof(op), &op.status);
}

static int16_t unmap(grant_handle_t handle, uint64_t host, uint64_t device)
{
    return unmap_by(b.v, handle, host, device);
}

#define DEVICE_ADDRESS (a.mfn[PAGE] << PAGE_SHIFT)

static uint32_t refs(void)
{
    return page_state_refs(guest_info(&a, PAGE)->state);
}

static uint32_t types(void)
{
    return page_state_count(guest_info(&a, PAGE)->state);
}

/* --- what is held, and given back ----------------------------------------------------------------------- */

Test(grants, host_mapping_is_an_entry_with_its_references)
{
    const uint32_t had = refs(), typed = types();

    allow(REF, 2, PAGE, 0);
    grant_handle_t h = map(GNTMAP_host_map);
    assert_eq_long(refs(), had + 1);
    assert_eq_long(types(), typed + 1);
    assert_eq_long(bits(REF), GTF_reading | GTF_writing);
    world_check();
    assert_eq_long(unmap(h, guest_va(WINDOW), 0), GNTST_okay);
    assert_eq_long(refs(), had);
    assert_eq_long(types(), typed);
    assert_eq_long(bits(REF), 0);
    assert_eq_long(b.d->refs, 1);
    assert_eq_long(a.d->refs, 1);
}

Test(grants, device_mapping_has_references_of_its_own)
{
    const uint32_t had = refs(), typed = types();

    allow(REF, 2, PAGE, 0);
    grant_handle_t h = map(GNTMAP_host_map | GNTMAP_device_map);
    assert_eq_long(refs(), had + 2);
    assert_eq_long(types(), typed + 2);
    world_check();
    assert_eq_long(unmap(h, guest_va(WINDOW), 0), GNTST_okay);
    assert_eq_long(refs(), had + 1);
    world_check();
    assert_eq_long(bits(REF), GTF_reading | GTF_writing);
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);
    assert_eq_long(refs(), had);
    assert_eq_long(types(), typed);
    h = map(GNTMAP_device_map | GNTMAP_readonly);
    assert_eq_long(types(), typed);
    assert_eq_long(bits(REF), GTF_reading);
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);
}

Test(grants, refused_mapping_changes_nothing)
{
    static const struct {
        uint32_t flags;
        uint64_t host;
        grant_ref_t ref;
        int16_t status;
        enum rule_id rule;
    } rows[] = {
        {GNTMAP_readonly, 0, REF, GNTST_bad_gntref, RULE_GRANT_MAP_FLAGS},
        {GNTMAP_device_map, 0, 5000, GNTST_bad_gntref, RULE_GRANT_REF_RANGE},
        {GNTMAP_device_map, 0, REF + 1, GNTST_general_error, RULE_GRANT_NOT_PERMITTED},
        {GNTMAP_device_map, 0, REF + 2, GNTST_general_error, RULE_GRANT_READ_ONLY},
        {GNTMAP_device_map, 0, REF + 3, GNTST_bad_page, RULE_GRANT_FRAME_NOT_GRANTERS},
        {GNTMAP_device_map, 0, REF + 4, GNTST_general_error, RULE_GRANT_ROLE_CONFLICT},
        {GNTMAP_host_map, 0, REF, GNTST_general_error, RULE_GRANT_NO_SLOT},
        {GNTMAP_host_map, 0, REF + 4, GNTST_general_error, RULE_GRANT_NO_SLOT},
        {GNTMAP_host_map, GUEST_VA + (WINDOW << PAGE_SHIFT), REF + 4, GNTST_general_error,
         RULE_ROLE_CONFLICT},
        {GNTMAP_host_map | GNTMAP_device_map, 0, REF, GNTST_general_error, RULE_GRANT_NO_SLOT},
        {GNTMAP_host_map | GNTMAP_contains_pte, 12, REF, GNTST_general_error, RULE_GRANT_NO_SLOT},
        /* an entry of the granter's own table */
        {GNTMAP_host_map | GNTMAP_contains_pte, 1, REF, GNTST_general_error, RULE_GRANT_NO_SLOT},
    };

    allow(REF, 2, PAGE, 0);
    allow(REF + 1, 3, PAGE, 0);
    allow(REF + 2, 2, PAGE, GTF_readonly);
    allow(REF + 3, 2, PAGE, 0);
    entry(REF + 3)->frame = (uint32_t)b.mfn[30]; /* not the granter's */
    allow(REF + 4, 2, 3, 0);                     /* an L1 table */
    /* pages of counts are made with the first pin, and stay */
    assert_eq_long(unmap(map(GNTMAP_device_map), 0, DEVICE_ADDRESS), GNTST_okay);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct page_info *before = frames_snapshot();
        struct gnttab_map_grant_ref op =
            map_by(b.v, rows[i].ref, rows[i].host == 1 ? guest_l1_entry(&a, 30) : rows[i].host,
                   rows[i].flags);
        cr_assert(last_rule(b.v) == rows[i].rule, "row %u: %s", i, rule_text[last_rule(b.v)].id);
        cr_assert(op.status == rows[i].status, "row %u: status %d", i, op.status);
        assert_eq_long(frames_differ(before), 0);
        for (grant_ref_t ref = REF; ref < REF + 5; ref++)
            assert_eq_long(bits(ref), 0);
        world_check();
    }
    assert_eq_long(a.d->refs, 1);
}

Test(grants, nobody_but_the_named_one_makes_the_granter_spend_memory)
{
    const uint64_t free = page_free_count();

    allow(REF, 3, PAGE, 0);
    assert_eq_long(map_by(b.v, REF, 0, GNTMAP_device_map).status, GNTST_general_error);
    cr_assert(!a.d->grants->active);
    assert_eq_long(a.d->grants->pinned, 0);
    /* the mapper's own: a page of handles, and the list of such pages */
    cr_assert(free - page_free_count() <= 5);
}

Test(grants, the_lost_entry_leaves_the_handle)
{
    allow(REF, 2, PAGE, 0);
    const uint32_t had = refs();
    grant_handle_t h = map(GNTMAP_host_map);
    assert_ok(guest_protect(&b, WINDOW, RW)); /* an ordinary update takes its place */
    assert_eq_long(refs(), had);
    assert_eq_long(bits(REF), GTF_reading | GTF_writing);
    world_check();
    assert_eq_long(unmap(h, guest_va(WINDOW), 0), GNTST_general_error);
    cr_assert(last_rule(b.v) == RULE_GRANT_NOT_MAPPED_THERE);
    guest_destroy(&b); /* now the pin goes */
    assert_eq_long(bits(REF), 0);
    assert_eq_long(a.d->grants->pinned, 0);
}

/* The right frame with another right, in both directions. */
Test(grants, entry_with_other_rights_is_not_unmapped)
{
    allow(REF, 2, PAGE, 0);
    struct gnttab_map_grant_ref rw = map_by(b.v, REF, guest_va(WINDOW), GNTMAP_host_map),
                                ro = map_by(b.v, REF, guest_va(WINDOW + 1),
                                            GNTMAP_host_map | GNTMAP_readonly);
    assert_eq_long(unmap(rw.handle, guest_va(WINDOW + 1), 0), GNTST_general_error);
    cr_assert(last_rule(b.v) == RULE_GRANT_NOT_MAPPED_THERE);
    assert_eq_long(unmap(ro.handle, guest_va(WINDOW), 0), GNTST_general_error);
    assert_eq_long(unmap(rw.handle, guest_va(WINDOW), 0), GNTST_okay);
    assert_eq_long(bits(REF), GTF_reading);
    assert_eq_long(unmap(ro.handle, guest_va(WINDOW + 1), 0), GNTST_okay);
}

Test(grants, a_table_with_a_granted_frame_is_not_taken_again)
{
    /* an L1 table of b's in which nothing but the grant is mapped */
    assert_ok(guest_protect(&b, 30, RO));
    memset(guest_page(&b, 30), 0, PAGE_SIZE);
    assert_ok(guest_pin(&b, 30, 1));
    allow(REF, 2, PAGE, 0);
    struct gnttab_map_grant_ref op =
        map_by(b.v, REF, guest_entry(&b, 30, 5), GNTMAP_host_map | GNTMAP_contains_pte);
    assert_eq_long(op.status, GNTST_okay);
    const uint32_t had = refs();
    assert_ok(guest_unpin(&b, 30));
    assert_eq_long(refs(), had - 1);
    assert_refused(&b, guest_pin(&b, 30, 1), FRAME_NOT_OWNED);
    assert_eq_long(unmap(op.handle, guest_entry(&b, 30, 5), 0), GNTST_general_error);
}

/* What the granter is told by the bits is true of every TLB. */
Test(grants, nothing_is_told_unused_that_a_tlb_knows)
{
    allow(REF, 2, PAGE, 0);
    machine_enter(b.d->vcpu[1]); /* on CPU 1, too */
    grant_handle_t h = map(GNTMAP_host_map);
    machine_tlb_fill_all();
    cr_assert(machine_tlb_knows(0, guest_mfn(&a, PAGE), true));
    cr_assert(machine_tlb_knows(1, guest_mfn(&a, PAGE), true));
    assert_eq_long(unmap(h, guest_va(WINDOW), 0), GNTST_okay);
    cr_assert(!machine_tlb_knows(0, guest_mfn(&a, PAGE), true));
    cr_assert(!machine_tlb_knows(1, guest_mfn(&a, PAGE), true));
}

/* --- ends ------------------------------------------------------------------------------------------------ */

static void stop(struct guest *g)
{
    domain_shutdown(g->d, SHUTDOWN_poweroff);
    for (unsigned cpu = machine.cpus; cpu-- > 0;) {
        machine_on_cpu(cpu);
        schedule();
    }
    machine_run_work();
}

static void look_again(void)
{
    machine_on_cpu(0);
    machine_advance(20000000);
    machine_run_work();
}

Test(grants, granter_that_ends_stays_until_its_last_frame_is_unmapped)
{
    allow(REF, 2, PAGE, 0);
    grant_handle_t host = map(GNTMAP_host_map),
                   device = map_by(b.v, REF, 0, GNTMAP_device_map).handle;
    stop(&a);
    look_again();
    cr_assert(exists(1));
    assert_eq_long(a.d->tot_pages, 1);
    world_check();
    assert_eq_long(*guest_page(&a, PAGE), *guest_page(&a, PAGE)); /* it can still be read */
    assert_eq_long(unmap(host, guest_va(WINDOW), 0), GNTST_okay);
    look_again();
    cr_assert(exists(1));
    assert_eq_long(unmap(device, 0, DEVICE_ADDRESS), GNTST_okay);
    look_again();
    cr_assert(!exists(1));
}

Test(grants, granter_that_ends_stays_for_a_handle_that_lost_its_entry)
{
    allow(REF, 2, PAGE, 0);
    grant_handle_t h = map(GNTMAP_host_map);
    assert_ok(guest_protect(&b, WINDOW, RW));
    stop(&a);
    look_again();
    cr_assert(exists(1), "its table is named by the handle");
    assert_eq_long(a.d->tot_pages, 0);
    assert_eq_long(unmap(h, guest_va(WINDOW), 0), GNTST_general_error);
    assert_eq_long(map_by(b.v, REF, 0, GNTMAP_device_map).status, GNTST_bad_domain);
    stop(&b);
    look_again();
    cr_assert(!exists(1) && !exists(2));
}

Test(grants, mapper_that_ends_gives_everything_back)
{
    const uint32_t had = refs(), typed = types();

    allow(REF, 2, PAGE, 0);
    allow(REF + 1, 2, PAGE, 0);
    (void)map(GNTMAP_host_map | GNTMAP_device_map);
    (void)map_by(b.v, REF + 1, 0, GNTMAP_device_map | GNTMAP_readonly);
    (void)map_by(b.v, REF + 1, guest_va(WINDOW + 1), GNTMAP_host_map | GNTMAP_readonly);
    guest_destroy(&b);
    assert_eq_long(refs(), had);
    assert_eq_long(types(), typed);
    assert_eq_long(bits(REF) | bits(REF + 1), 0);
    assert_eq_long(a.d->grants->pinned, 0);
    assert_eq_long(a.d->refs, 1);
}

Test(grants, both_end_whoever_is_first)
{
    /* b grants, too, to a */
    *grant_entry_v1(b.d->grants, REF) =
        (grant_entry_v1_t){.flags = GTF_permit_access, .domid = 1, .frame = (uint32_t)b.mfn[30]};
    struct gnttab_map_grant_ref op = {.host_addr = guest_va(WINDOW),
                                      .flags = GNTMAP_host_map | GNTMAP_device_map,
                                      .ref = REF,
                                      .dom = 2};
    assert_eq_long(grant_call(a.v, GNTTABOP_map_grant_ref, &op, sizeof(op), &op.status),
                   GNTST_okay);
    allow(REF, 2, PAGE, 0);
    (void)map(GNTMAP_host_map | GNTMAP_device_map);
    stop(&a);
    look_again();
    cr_assert(exists(1));
    stop(&b);
    look_again();
    look_again();
    cr_assert(!exists(1) && !exists(2));
}

Test(grants, ones_own_grant_ends_with_the_domain)
{
    struct gnttab_map_grant_ref op = {.host_addr = guest_va(WINDOW),
                                      .flags = GNTMAP_host_map | GNTMAP_device_map,
                                      .ref = REF,
                                      .dom = 1};

    allow(REF, 1, PAGE, 0);
    assert_eq_long(grant_call(a.v, GNTTABOP_map_grant_ref, &op, sizeof(op), &op.status),
                   GNTST_okay);
    world_check();
    guest_destroy(&a);
}

/* --- handles ---------------------------------------------------------------------------------------------- */

Test(grants, handles_end_and_come_back)
{
    static grant_handle_t handle[MAPTRACK_PER_PAGE];

    b.d->grants->max_maptrack_frames = 1;
    for (unsigned i = 0; i < 3; i++)
        allow(REF + i, 2, PAGE, 0);
    for (unsigned i = 0; i < MAPTRACK_PER_PAGE; i++) {
        /* both vCPUs take: the second from the first's */
        struct gnttab_map_grant_ref op =
            map_by(b.d->vcpu[i & 1], REF + i % 3, 0, GNTMAP_device_map);
        assert_eq_long(op.status, GNTST_okay);
        handle[i] = op.handle;
    }
    for (unsigned v = 0; v < 2; v++) {
        assert_eq_long(map_by(b.d->vcpu[v], REF, 0, GNTMAP_device_map).status, GNTST_no_space);
        cr_assert(last_rule(b.d->vcpu[v]) == RULE_GRANT_NO_HANDLE);
    }
    world_check();
    assert_eq_long(unmap_by(b.d->vcpu[1], handle[7], 0, DEVICE_ADDRESS), GNTST_okay);
    assert_eq_long(b.d->grants->maptrack->list[1].free, 1);
    assert_eq_long(map_by(b.v, REF, 0, GNTMAP_device_map).handle, handle[7]);
    for (unsigned i = 0; i < MAPTRACK_PER_PAGE; i++)
        assert_eq_long(unmap(handle[i], 0, DEVICE_ADDRESS), GNTST_okay);
    world_check();
    assert_eq_long(bits(REF) | bits(REF + 1) | bits(REF + 2), 0);
}

Test(grants, a_table_costs_one_frame_before_it_is_used)
{
    const struct grant_table *t = a.d->grants;

    assert_eq_long(t->frames, 1);
    cr_assert(!t->active && !t->maptrack && !t->status_frames);
    cr_assert(sizeof(*t) <= 1024);
}

/* --- versions --------------------------------------------------------------------------------------------- */

static long set_version(uint32_t version)
{
    struct gnttab_set_version op = {version};
    const uint64_t at = machine_put(0x1000, &op, sizeof(op)).va;

    return vcpu_hypercall(a.v, __HYPERVISOR_grant_table_op, GNTTABOP_set_version, at, 1, 0);
}

Test(grants, version_stays_while_others_have_entries)
{
    allow(REF, 2, PAGE, 0);
    grant_handle_t h = map(GNTMAP_device_map);
    assert_refused(&a, set_version(2), GRANT_TABLE_IN_USE);
    assert_eq_long(a.d->grants->status_frames, 0);
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);

    allow(3, 2, PAGE, 0); /* a reserved one may be in use */
    h = map_by(b.v, 3, 0, GNTMAP_device_map).handle;
    assert_ok(set_version(2));
    world_check();
    assert_eq_long(*grant_status_of(a.d->grants, 3), GTF_reading | GTF_writing);
    assert_ok(set_version(1));
    assert_eq_long(bits(3), GTF_reading | GTF_writing);
    assert_eq_long(a.d->grants->status_frames, 0);
    assert_ok(set_version(2));
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);
    assert_eq_long(*grant_status_of(a.d->grants, 3), 0);
    assert_ok(set_version(1));
}

Test(grants, status_frames_stay_while_they_are_mapped)
{
    assert_ok(set_version(2));
    const mfn_t status = virt_to_mfn(a.d->grants->status[0]);
    assert_ok(guest_mmu_update(&a, guest_l1_entry(&a, 60), pte_make(status, RW).v));
    assert_refused(&a, set_version(1), GRANT_STATUS_MAPPED);
    world_check();
    assert_ok(guest_mmu_update(&a, guest_l1_entry(&a, 60), 0));
    assert_ok(set_version(1));
    assert_refused(&a, guest_mmu_update(&a, guest_l1_entry(&a, 60), pte_make(status, RW).v),
                   FRAME_NOT_OWNED);
    assert_ok(guest_protect(&a, 60, RW));
}

Test(grants, table_of_version_2_grows_with_its_status)
{
    struct gnttab_setup_table t = {.dom = DOMID_SELF, .nr_frames = 9};

    assert_ok(set_version(2));
    t.frame_list.p = (void *)(WINDOW_VA + 0x6000);
    assert_eq_long(grant_call(a.v, GNTTABOP_setup_table, &t, sizeof(t), &t.status), GNTST_okay);
    assert_eq_long(a.d->grants->status_frames, 2);
    assert_eq_long(a.d->grants->entries, 9 * GRANTS_PER_FRAME_V2);
    t.nr_frames = 65;
    assert_eq_long(grant_call(a.v, GNTTABOP_setup_table, &t, sizeof(t), &t.status),
                   GNTST_general_error);
    cr_assert(last_rule(a.v) == RULE_GRANT_FRAMES_LIMIT);
}

/* --- what went wrong elsewhere ---------------------------------------------------------------------------- */

/* A device's address is an address, not a frame: the offset counts.  And whoever names a wrong one has given nothing back. */
Test(grants, device_address_is_compared_to_the_last_bit)
{
    static const uint64_t off[] = {1, 8, PAGE_SIZE - 1, PAGE_SIZE, 1ull << 52};

    allow(REF, 2, PAGE, 0);
    const uint32_t had = refs(), typed = types();
    grant_handle_t h = map(GNTMAP_host_map | GNTMAP_device_map);
    for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
        assert_eq_long(unmap(h, guest_va(WINDOW), DEVICE_ADDRESS + off[i]), GNTST_bad_dev_addr);
        cr_assert(last_rule(b.v) == RULE_GRANT_DEVICE_ADDRESS);
        assert_eq_long(refs(), had + 2);
        assert_eq_long(types(), typed + 2);
        world_check();
    }
    assert_eq_long(unmap(h, guest_va(WINDOW), DEVICE_ADDRESS), GNTST_okay);
    assert_eq_long(refs(), had);
}

/* The host part cannot be unmapped there: the device part, which could be, stays as well. */
Test(grants, an_element_that_fails_gives_nothing_back)
{
    allow(REF, 2, PAGE, 0);
    const uint32_t had = refs();
    grant_handle_t h = map(GNTMAP_host_map | GNTMAP_device_map);
    assert_eq_long(unmap(h, guest_va(WINDOW + 1), DEVICE_ADDRESS), GNTST_general_error);
    cr_assert(last_rule(b.v) == RULE_GRANT_NOT_MAPPED_THERE);
    assert_eq_long(refs(), had + 2);
    assert_eq_long(bits(REF), GTF_reading | GTF_writing);
    world_check();
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);
    assert_eq_long(refs(), had + 1);
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay); /* nothing is asked of what is gone */
    assert_eq_long(refs(), had + 1);
    assert_eq_long(unmap(h, guest_va(WINDOW), 0), GNTST_okay);
    assert_eq_long(unmap(h, guest_va(WINDOW), 0), GNTST_bad_handle);
    assert_eq_long(refs(), had);
}

/* Registers of devices are nobody's to grant, for hosts or devices. */
Test(grants, what_is_no_memory_is_not_granted)
{
    static const uint32_t flags[] = {
        GNTMAP_host_map, GNTMAP_device_map, GNTMAP_host_map | GNTMAP_device_map,
        GNTMAP_device_map | GNTMAP_readonly, GNTMAP_host_map | GNTMAP_readonly};
    const uint64_t frame[] = {machine.hole_first, max_mfn, max_mfn - 1, ~0u};

    for (unsigned f = 0; f < ARRAY_SIZE(frame); f++)
        for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
            allow(REF, 2, PAGE, 0);
            entry(REF)->frame = (uint32_t)frame[f];
            assert_eq_long(map_by(b.v, REF, guest_va(WINDOW), flags[i]).status, GNTST_bad_page);
            cr_assert(last_rule(b.v) == RULE_GRANT_FRAME_NOT_GRANTERS);
            assert_eq_long(bits(REF), 0);
        }
    assert_eq_long(a.d->grants->pinned, 0);
}

static struct gnttab_copy_ptr theirs(unsigned offset)
{
    return (struct gnttab_copy_ptr){.u.ref = REF, .domid = 1, .offset = (uint16_t)offset};
}

static struct gnttab_copy_ptr mine(unsigned pfn)
{
    return (struct gnttab_copy_ptr){.u.gmfn = b.mfn[pfn], .domid = DOMID_SELF};
}

static int16_t copy_by(struct vcpu *v, struct gnttab_copy_ptr from, struct gnttab_copy_ptr to,
                       uint16_t flags)
{
    struct gnttab_copy op = {.source = from, .dest = to, .len = 64, .flags = flags, .status = 77};

    return grant_call(v, GNTTABOP_copy, &op, sizeof(op), &op.status);
}

/* What a copy is over with, a device still has; and the other way round. */
Test(grants, a_copy_leaves_what_devices_have)
{
    allow(REF, 2, PAGE, 0);
    const uint32_t had = refs();
    grant_handle_t h = map(GNTMAP_device_map);
    assert_eq_long(copy_by(b.v, theirs(0), mine(30), GNTCOPY_source_gref), GNTST_okay);
    assert_eq_long(bits(REF), GTF_reading | GTF_writing);
    assert_eq_long(copy_by(b.v, mine(30), theirs(0), GNTCOPY_dest_gref), GNTST_okay);
    assert_eq_long(bits(REF), GTF_reading | GTF_writing);
    assert_eq_long(refs(), had + 1);
    world_check();
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);
    assert_eq_long(bits(REF), 0);

    h = map(GNTMAP_device_map | GNTMAP_readonly);
    assert_eq_long(copy_by(b.v, mine(30), theirs(0), GNTCOPY_dest_gref), GNTST_okay);
    assert_eq_long(bits(REF), GTF_reading); /* writing is over */
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);
    assert_eq_long(bits(REF), 0);
    assert_eq_long(refs(), had);
}

/* Of an entry that is pinned the frame is the pinned one, whatever the entry names by now. */
Test(grants, what_is_pinned_is_what_is_copied)
{
    allow(REF, 2, PAGE, 0);
    strcpy((char *)guest_page(&a, PAGE), "granted");
    strcpy((char *)guest_page(&a, PAGE + 1), "private");
    grant_handle_t h = map(GNTMAP_device_map);
    entry(REF)->frame = (uint32_t)a.mfn[PAGE + 1];
    assert_eq_long(copy_by(b.v, theirs(0), mine(30), GNTCOPY_source_gref), GNTST_okay);
    cr_assert(!strcmp((char *)guest_page(&b, 30), "granted"), "%s", (char *)guest_page(&b, 30));
    strcpy((char *)guest_page(&b, 30), "written");
    assert_eq_long(copy_by(b.v, mine(30), theirs(0), GNTCOPY_dest_gref), GNTST_okay);
    cr_assert(!strcmp((char *)guest_page(&a, PAGE), "written"));
    cr_assert(!strcmp((char *)guest_page(&a, PAGE + 1), "private"));
    struct gnttab_map_grant_ref op = map_by(b.v, REF, guest_va(WINDOW), GNTMAP_host_map);
    assert_eq_long(op.dev_bus_addr, DEVICE_ADDRESS);
    assert_eq_long(unmap(op.handle, guest_va(WINDOW), 0), GNTST_okay);
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);
}

static int16_t replace(grant_handle_t handle, uint64_t host, uint64_t new)
{
    struct gnttab_unmap_and_replace op = {
        .host_addr = host, .new_addr = new, .handle = handle, .status = 77};

    return grant_call(b.v, GNTTABOP_unmap_and_replace, &op, sizeof(op), &op.status);
}

/* What b's page tables say of its page @pfn. */
static uint64_t entry_of(unsigned pfn)
{
    return guest_page(&b, 3 + pfn / PT_ENTRIES)[pfn % PT_ENTRIES];
}

/* Only the mapping that the handle is for goes; the entry that takes its place brings its reference along. */
Test(grants, replaced_is_what_the_handle_mapped)
{
    allow(REF, 2, PAGE, 0);
    const uint32_t had = refs(), mine = page_state_refs(guest_info(&b, 30)->state);
    struct gnttab_map_grant_ref rw = map_by(b.v, REF, guest_va(WINDOW), GNTMAP_host_map),
                                ro = map_by(b.v, REF, guest_va(WINDOW + 1),
                                            GNTMAP_host_map | GNTMAP_readonly);
    assert_eq_long(replace(rw.handle, guest_va(WINDOW + 1), guest_va(30)), GNTST_general_error);
    cr_assert(last_rule(b.v) == RULE_GRANT_NOT_MAPPED_THERE);
    assert_eq_long(replace(ro.handle, guest_va(WINDOW), guest_va(30)), GNTST_general_error);
    assert_eq_long(replace(rw.handle, guest_va(WINDOW), guest_va(WINDOW)), GNTST_general_error);
    assert_eq_long(replace(rw.handle, guest_va(WINDOW), 1ull << 46), GNTST_general_error);
    assert_eq_long(refs(), had + 2);
    world_check();
    assert_eq_long(replace(rw.handle, guest_va(WINDOW), guest_va(30)), GNTST_okay);
    assert_eq_long(refs(), had + 1);
    assert_eq_long(page_state_refs(guest_info(&b, 30)->state), mine);
    assert_eq_long(entry_of(WINDOW) & PTE_ADDR_MASK, b.mfn[30] << PAGE_SHIFT);
    assert_eq_long(entry_of(30), 0);
    assert_eq_long(bits(REF), GTF_reading);
    assert_eq_long(unmap(ro.handle, guest_va(WINDOW + 1), 0), GNTST_okay);
}

/* Its granter may not be one of the domains that only stand for something. */
Test(grants, domains_that_are_none_grant_nothing)
{
    static const domid_t none[] = {DOMID_SELF, DOMID_IO,      DOMID_XEN, DOMID_COW,
                                   DOMID_IDLE, DOMID_INVALID, 9};

    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        struct gnttab_map_grant_ref op = {
            .flags = GNTMAP_device_map, .ref = REF, .dom = none[i], .status = 77};
        assert_eq_long(grant_call(b.v, GNTTABOP_map_grant_ref, &op, sizeof(op), &op.status),
                       GNTST_bad_domain);
        cr_assert(last_rule(b.v) == RULE_GRANT_GRANTER_MISSING);
        if (none[i] == DOMID_SELF)
            continue;
        struct gnttab_copy_ptr from = theirs(0);
        from.domid = none[i];
        assert_eq_long(copy_by(b.v, from, mine(30), GNTCOPY_source_gref), GNTST_bad_domain);
        from.u.gmfn = a.mfn[PAGE];
        assert_eq_long(copy_by(b.v, from, mine(30), 0), GNTST_permission_denied);
    }
}

/* Every element of a list that goes on after preemption points has its own answer, and what comes after a fault is as it was. */
Test(grants, long_lists_answer_each_element)
{
    enum { COUNT = 70 };
    static struct gnttab_map_grant_ref map_op[COUNT];
    static struct gnttab_unmap_grant_ref unmap_op[COUNT + 1];
    const uint32_t had = refs();

    allow(REF, 2, PAGE, 0);
    for (unsigned i = 0; i < COUNT; i++)
        map_op[i] = (struct gnttab_map_grant_ref){
            .flags = GNTMAP_device_map, .ref = i % 7 ? REF : REF + 1, .dom = 1, .status = 77};
    machine_enter(b.v);
    uint64_t at = machine_put(0x1000, map_op, sizeof(map_op)).va;
    assert_ok(
        vcpu_hypercall(b.v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, at, COUNT, 0));
    machine_get(map_op, 0x1000, sizeof(map_op));
    unsigned mapped = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        assert_eq_long(map_op[i].status, i % 7 ? GNTST_okay : GNTST_general_error);
        unmap_op[i] = (struct gnttab_unmap_grant_ref){.dev_bus_addr = i % 7 ? DEVICE_ADDRESS : 0,
                                                      .handle = i % 7 ? map_op[i].handle : 999,
                                                      .status = 77};
        mapped += i % 7 != 0;
    }
    assert_eq_long(refs(), had + mapped);
    world_check();
    unmap_op[COUNT] = unmap_op[1]; /* once more in the same list */
    at = machine_put(0x1000, unmap_op, sizeof(unmap_op)).va;
    assert_ok(vcpu_hypercall(b.v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, at,
                             COUNT + 1, 0));
    machine_get(unmap_op, 0x1000, sizeof(unmap_op));
    for (unsigned i = 0; i <= COUNT; i++)
        assert_eq_long(unmap_op[i].status, i % 7 && i < COUNT ? GNTST_okay : GNTST_bad_handle);
    assert_eq_long(refs(), had);
    assert_eq_long(b.d->grants->maptrack->list[0].free, MAPTRACK_PER_PAGE);
}

/* A list with room for one frame fewer than there are is not written to, and one that asks for more gets none. */
Test(grants, no_more_status_frames_than_there_are)
{
    struct gnttab_get_status_frames s = {.dom = DOMID_SELF, .nr_frames = 2, .status = 77};
    uint64_t list[3] = {11, 22, 33};

    assert_ok(set_version(2));
    s.frame_list.p = (void *)machine_put(0x3000, list, sizeof(list)).va;
    assert_eq_long(grant_call(a.v, GNTTABOP_get_status_frames, &s, sizeof(s), &s.status),
                   GNTST_general_error);
    cr_assert(last_rule(a.v) == RULE_GRANT_STATUS_FRAMES);
    machine_get(list, 0x3000, sizeof(list));
    assert_eq_long(list[0], 11);
    s.nr_frames = 1;
    assert_eq_long(grant_call(a.v, GNTTABOP_get_status_frames, &s, sizeof(s), &s.status),
                   GNTST_okay);
    machine_get(list, 0x3000, sizeof(list));
    assert_eq_long(list[0], virt_to_mfn(a.d->grants->status[0]).n);
    assert_eq_long(list[1], 22);
    assert_ok(set_version(1));
}

/* Beyond the table, or in use: no two entries change places. */
Test(grants, swapped_is_what_exists_and_nobody_uses)
{
    struct gnttab_swap_grant_ref op = {.ref_a = REF, .ref_b = a.d->grants->entries};

    allow(REF, 2, PAGE, 0);
    assert_eq_long(grant_call(a.v, GNTTABOP_swap_grant_ref, &op, sizeof(op), &op.status),
                   GNTST_bad_gntref);
    cr_assert(last_rule(a.v) == RULE_GRANT_REF_RANGE);
    grant_handle_t h = map(GNTMAP_device_map);
    for (unsigned i = 0; i < 2; i++) {
        op = (struct gnttab_swap_grant_ref){.ref_a = REF + i, .ref_b = REF + !i};
        assert_eq_long(grant_call(a.v, GNTTABOP_swap_grant_ref, &op, sizeof(op), &op.status),
                       GNTST_eagain);
        cr_assert(last_rule(a.v) == RULE_GRANT_SWAP_IN_USE);
    }
    assert_eq_long(unmap(h, 0, DEVICE_ADDRESS), GNTST_okay);
    assert_eq_long(grant_call(a.v, GNTTABOP_swap_grant_ref, &op, sizeof(op), &op.status),
                   GNTST_okay);
    assert_eq_long(map_by(b.v, REF, 0, GNTMAP_device_map).status, GNTST_general_error);
    assert_eq_long(map_by(b.v, REF + 1, 0, GNTMAP_device_map).status, GNTST_okay);
}

/* The granter on another CPU, who changes the entry before each exchange with it. */
static unsigned flips;

static void flip(const volatile void *at, bool write)
{
    if (write && at == entry(REF) && flips < 1000)
        entry(REF)->flags = GTF_permit_access | (++flips % 2 ? GTF_PWT : GTF_PCD);
}

Test(grants, an_entry_that_never_holds_still_is_refused)
{
    allow(REF, 2, PAGE, 0);
    assert_eq_long(unmap(map(GNTMAP_device_map), 0, DEVICE_ADDRESS), GNTST_okay);
    race_adversary = flip;
    struct gnttab_map_grant_ref op = map_by(b.v, REF, 0, GNTMAP_device_map);
    int16_t copied = copy_by(b.v, theirs(0), mine(30), GNTCOPY_source_gref);
    race_adversary = NULL;
    assert_eq_long(op.status, GNTST_general_error);
    assert_eq_long(copied, GNTST_general_error);
    cr_assert(last_rule(b.v) == RULE_GRANT_ENTRY_UNSTABLE);
    cr_assert(flips <= 20, "tried %u times", flips);
    assert_eq_long(bits(REF), 0);
    assert_eq_long(a.d->grants->pinned, 0);
}

/* A slot of one's own table, but not on its boundary: two entries would be changed. */
Test(grants, a_slot_begins_at_a_slot)
{
    allow(REF, 2, PAGE, 0);
    for (unsigned off = 1; off < sizeof(uint64_t); off++) {
        struct gnttab_map_grant_ref op = map_by(b.v, REF, guest_l1_entry(&b, WINDOW) + off,
                                                GNTMAP_host_map | GNTMAP_contains_pte);
        assert_eq_long(op.status, GNTST_general_error);
        cr_assert(last_rule(b.v) == RULE_GRANT_NO_SLOT);
    }
    assert_eq_long(bits(REF), 0);
}

/* Entry 2n of version 1 begins where entry n of version 2 does: whose version it is is known to every way to pin. */
Test(grants, entries_of_another_version_are_not_read)
{
    allow(REF, 2, PAGE, 0);
    assert_eq_long(unmap(map(GNTMAP_device_map), 0, DEVICE_ADDRESS), GNTST_okay);
    assert_ok(set_version(2));
    grant_entry_v2_t *e = grant_entry_v2(a.d->grants, REF / 2);
    *e = (grant_entry_v2_t){.full_page = {.hdr = {GTF_permit_access, 2},
                                          .pad0 = (uint32_t)a.mfn[PAGE + 1],
                                          .frame = a.mfn[PAGE]}};
    assert_eq_long(map_by(b.v, REF, 0, GNTMAP_device_map).status, GNTST_general_error);
    cr_assert(last_rule(b.v) == RULE_GRANT_NOT_PERMITTED);
    struct gnttab_map_grant_ref op = map_by(b.v, REF / 2, 0, GNTMAP_device_map);
    assert_eq_long(op.dev_bus_addr, DEVICE_ADDRESS);
    assert_eq_long(unmap(op.handle, 0, DEVICE_ADDRESS), GNTST_okay);
    assert_ok(set_version(1));
    allow(REF, 2, PAGE, 0);
    assert_eq_long(unmap(map(GNTMAP_device_map), 0, DEVICE_ADDRESS), GNTST_okay);
}

/* One list, two granters by turns: each handle gives back the reference to its own. */
Test(grants, a_list_of_several_granters)
{
    enum { COUNT = 6 };
    struct gnttab_map_grant_ref m[COUNT];
    struct gnttab_unmap_grant_ref u[COUNT];

    allow(REF, 2, PAGE, 0);
    *grant_entry_v1(b.d->grants, REF) =
        (grant_entry_v1_t){.flags = GTF_permit_access, .domid = 2, .frame = (uint32_t)b.mfn[30]};
    for (unsigned i = 0; i < COUNT; i++)
        m[i] = (struct gnttab_map_grant_ref){
            .flags = GNTMAP_device_map, .ref = REF, .dom = (domid_t)(1 + i % 2), .status = 77};
    uint64_t at = machine_put(0x1000, m, sizeof(m)).va;
    assert_ok(hypercall(&b, grant_table_op, GNTTABOP_map_grant_ref, at, COUNT));
    machine_get(m, 0x1000, sizeof(m));
    assert_eq_long(a.d->refs, 1 + COUNT / 2);
    assert_eq_long(b.d->refs, 1 + COUNT / 2);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_eq_long(m[i].status, GNTST_okay);
        u[i] = (struct gnttab_unmap_grant_ref){
            .dev_bus_addr = m[i].dev_bus_addr, .handle = m[i].handle, .status = 77};
    }
    at = machine_put(0x1000, u, sizeof(u)).va;
    assert_ok(hypercall(&b, grant_table_op, GNTTABOP_unmap_grant_ref, at, COUNT));
    assert_eq_long(a.d->refs, 1);
    assert_eq_long(b.d->refs, 1);
    assert_eq_long(a.d->grants->pinned + b.d->grants->pinned, 0);
}

/* One list, slots of two L1 tables by turns. */
Test(grants, a_list_for_several_tables)
{
    struct gnttab_map_grant_ref m[4];
    const uint64_t other = 7ull << 21; /* bytes: seven tables on */

    assert_ok(guest_protect(&b, 30, RO));
    memset(guest_page(&b, 30), 0, PAGE_SIZE);
    assert_ok(guest_mmu_update(&b, guest_entry(&b, 2, 7), guest_pte(&b, 30, RW)));
    allow(REF, 2, PAGE, 0);
    for (unsigned i = 0; i < 4; i++)
        m[i] = (struct gnttab_map_grant_ref){
            .host_addr = GUEST_VA + ((uint64_t)(WINDOW + i) << PAGE_SHIFT) + (i % 2 ? other : 0),
            .flags = GNTMAP_host_map,
            .ref = REF,
            .dom = 1,
            .status = 77};
    const uint64_t at = machine_put(0x1000, m, sizeof(m)).va;
    assert_ok(hypercall(&b, grant_table_op, GNTTABOP_map_grant_ref, at, 4));
    machine_get(m, 0x1000, sizeof(m));
    for (unsigned i = 0; i < 4; i++) {
        const unsigned table = i % 2 ? 30 : 3;
        assert_eq_long(m[i].status, GNTST_okay);
        assert_eq_long(guest_page(&b, table)[WINDOW + i] & PTE_ADDR_MASK, DEVICE_ADDRESS);
        if (i % 2)
            assert_eq_long(guest_page(&b, 3)[WINDOW + i] & PTE_ADDR_MASK,
                           b.mfn[WINDOW + i] << PAGE_SHIFT);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_eq_long(unmap(m[i].handle, m[i].host_addr, 0), GNTST_okay);
    assert_ok(guest_mmu_update(&b, guest_entry(&b, 2, 7), 0));
}

/* @slot is as a mapping of @frame (0: none) with @flags wants it. */
static void slot_is(uint64_t slot, uint64_t frame, uint32_t flags)
{
    if (!frame || !(flags & GNTMAP_host_map)) {
        assert_eq_long(slot, 0);
        return;
    }
    assert_eq_long(slot & PTE_ADDR_MASK, frame);
    assert_eq_long(!(slot & PTE_RW), !!(flags & GNTMAP_readonly));
    assert_eq_long(!(slot & PTE_GUEST_KERNEL), !!(flags & GNTMAP_application_map));
}

enum { BOTH = GNTMAP_host_map | GNTMAP_device_map, MIXED = 11 };
static const struct {
    uint32_t flags;
    unsigned ref;
    int16_t status;
} mixed[MIXED] = {
    {GNTMAP_host_map, 0, GNTST_okay},
    {GNTMAP_host_map, 1, GNTST_okay},
    {GNTMAP_host_map, 100, GNTST_general_error}, /* nobody's */
    {GNTMAP_host_map | GNTMAP_readonly, 2, GNTST_okay},
    {GNTMAP_device_map, 3, GNTST_okay},
    {BOTH, 4, GNTST_okay},
    {GNTMAP_host_map, 5, GNTST_okay}, /* in place of another entry */
    {GNTMAP_host_map | GNTMAP_application_map, 6, GNTST_okay},
    {GNTMAP_host_map | GNTMAP_contains_pte, 7, GNTST_okay},
    {GNTMAP_device_map, 3, GNTST_okay}, /* pinned already */
    {GNTMAP_host_map, 8, GNTST_okay},
};

/* Lists of which some elements are everyday and some are not: each has its answer, and nothing is held in the end. */
Test(grants, everyday_elements_and_others_by_turns)
{
    struct gnttab_map_grant_ref m[MIXED];
    struct gnttab_unmap_grant_ref u[MIXED];

    for (unsigned i = 0; i < 9; i++)
        allow(REF + i, 2, PAGE + i, 0);
    assert_eq_long(unmap(map(GNTMAP_device_map), 0, DEVICE_ADDRESS), GNTST_okay);
    for (unsigned i = 0; i < MIXED; i++) {
        const bool by_pte = mixed[i].flags & GNTMAP_contains_pte;
        if (i != 6)
            assert_ok(guest_mmu_update(&b, guest_entry(&b, 3, WINDOW + i), 0));
        m[i] = (struct gnttab_map_grant_ref){.host_addr = by_pte ? guest_l1_entry(&b, WINDOW + i)
                                                                 : guest_va(WINDOW + i),
                                             .flags = mixed[i].flags,
                                             .ref = REF + mixed[i].ref,
                                             .dom = 1,
                                             .status = 77};
    }
    uint64_t at = machine_put(0x1000, m, sizeof(m)).va;
    assert_ok(hypercall(&b, grant_table_op, GNTTABOP_map_grant_ref, at, MIXED));
    machine_get(m, 0x1000, sizeof(m));
    for (unsigned i = 0; i < MIXED; i++) {
        const uint64_t frame = mixed[i].ref < 9 ? a.mfn[PAGE + mixed[i].ref] << PAGE_SHIFT : 0;
        assert_eq_long(m[i].status, mixed[i].status);
        assert_eq_long(m[i].dev_bus_addr, frame);
        slot_is(guest_page(&b, 3)[WINDOW + i], frame, mixed[i].flags);
        u[i] = (struct gnttab_unmap_grant_ref){
            .host_addr = mixed[i].flags & GNTMAP_host_map ? m[i].host_addr : 0,
            .dev_bus_addr = mixed[i].flags & GNTMAP_device_map ? frame : 0,
            .handle = frame ? m[i].handle : 999,
            .status = 77};
    }
    assert_eq_long(a.d->refs, 1 + MIXED - 1);
    world_check();
    at = machine_put(0x1000, u, sizeof(u)).va;
    assert_ok(hypercall(&b, grant_table_op, GNTTABOP_unmap_grant_ref, at, MIXED));
    machine_get(u, 0x1000, sizeof(u));
    for (unsigned i = 0; i < MIXED; i++) {
        assert_eq_long(u[i].status, i == 2 ? GNTST_bad_handle : GNTST_okay);
        assert_eq_long(guest_page(&b, 3)[WINDOW + i], 0);
    }
    assert_eq_long(a.d->refs, 1);
    assert_eq_long(a.d->grants->pinned, 0);
    assert_eq_long(b.d->grants->maptrack->list[0].free, MAPTRACK_PER_PAGE);
}

/* The last of several status frames is mapped: those before it, taken away already, are given back to it. */
Test(grants, status_frames_are_taken_all_or_none)
{
    struct gnttab_setup_table t = {.dom = DOMID_SELF, .nr_frames = 9};

    assert_ok(set_version(2));
    t.frame_list.p = (void *)(WINDOW_VA + 0x6000);
    assert_eq_long(grant_call(a.v, GNTTABOP_setup_table, &t, sizeof(t), &t.status), GNTST_okay);
    for (unsigned i = 0; i < 2; i++) {
        const mfn_t status = virt_to_mfn(a.d->grants->status[i]);
        assert_ok(guest_mmu_update(&a, guest_l1_entry(&a, 60), pte_make(status, RW).v));
        assert_refused(&a, set_version(1), GRANT_STATUS_MAPPED);
        world_check();
    }
    /* The first can be mapped still. */
    assert_ok(guest_mmu_update(&a, guest_l1_entry(&a, 60),
                               pte_make(virt_to_mfn(a.d->grants->status[0]), RW).v));
    assert_ok(guest_mmu_update(&a, guest_l1_entry(&a, 60), 0));
    assert_ok(set_version(1));
    assert_ok(guest_protect(&a, 60, RW));
}

/* What a toolstack has in a reserved entry, version 1 may not be able to say. */
Test(grants, version_1_cannot_say_everything)
{
    assert_ok(set_version(2));
    grant_entry_v2_t *e = grant_entry_v2(a.d->grants, 3);
    *e = (grant_entry_v2_t){.transitive = {.hdr = {GTF_transitive, 2}, .trans_domid = 1}};
    assert_refused(&a, set_version(1), GRANT_ENTRY_NOT_VERSION_1);
    *e = (grant_entry_v2_t){.full_page = {.hdr = {GTF_permit_access, 2}, .frame = 1ull << 32}};
    assert_refused(&a, set_version(1), GRANT_ENTRY_NOT_VERSION_1);
    assert_eq_long(a.d->grants->version, 2);
    *e = (grant_entry_v2_t){.full_page = {.hdr = {0, 2}, .frame = 1ull << 32}}; /* none */
    assert_ok(set_version(1));
}

/* A part of a page: what is copied lies within it, on either side. */
Test(grants, a_part_of_a_page_is_all_that_is_copied)
{
    assert_ok(set_version(2));
    for (unsigned to_it = 0; to_it < 2; to_it++)
        for (unsigned from = 0; from <= 1152; from += 32) {
            *grant_entry_v2(a.d->grants, REF) =
                (grant_entry_v2_t){.sub_page = {.hdr = {GTF_permit_access | GTF_sub_page, 2},
                                                .page_off = 64,
                                                .length = 1024,
                                                .frame = a.mfn[PAGE]}};
            const bool within = from >= 64 && from + 64 <= 64 + 1024;
            const int16_t status = to_it
                                       ? copy_by(b.v, mine(30), theirs(from), GNTCOPY_dest_gref)
                                       : copy_by(b.v, theirs(from), mine(30), GNTCOPY_source_gref);
            assert_eq_long(status, within ? GNTST_okay : GNTST_general_error);
            if (!within)
                cr_assert(last_rule(b.v) == RULE_GRANT_COPY_PART);
            assert_eq_long(*grant_status_of(a.d->grants, REF), 0);
        }
    assert_eq_long(map_by(b.v, REF, 0, GNTMAP_device_map).status, GNTST_general_error);
    assert_ok(set_version(1));
}

/* Within one frame, of any length: as far as the two parts overlap, from the first word on. */
Test(grants, a_frame_is_copied_to_itself)
{
    struct gnttab_copy op = {.source = mine(30), .dest = mine(30), .len = 13, .status = 77};
    char *page = (char *)guest_page(&b, 30);

    strcpy(page, "abcdefghijklm");
    op.dest.offset = 100;
    assert_eq_long(grant_call(b.v, GNTTABOP_copy, &op, sizeof(op), &op.status), GNTST_okay);
    cr_assert(!memcmp(page + 100, "abcdefghijklm", 14));
    op.dest.offset = PAGE_SIZE - 12;
    assert_eq_long(grant_call(b.v, GNTTABOP_copy, &op, sizeof(op), &op.status), GNTST_bad_copy_arg);
    cr_assert(last_rule(b.v) == RULE_GRANT_COPY_BOUNDS);
}

/* The frame changes hands between the look at its owner and the reference: what was taken is given back. */
static struct page_info *moving;

static void change_hands(const volatile void *at, bool write)
{
    if (moving && write && at == &moving->state) {
        moving->owner = 2;
        moving = NULL;
    }
}

Test(grants, a_frame_that_has_just_changed_hands)
{
    static const uint32_t flags[] = {GNTMAP_host_map, GNTMAP_host_map | GNTMAP_readonly,
                                     GNTMAP_device_map, GNTMAP_device_map | GNTMAP_readonly};
    struct page_info *pg = guest_info(&a, PAGE);
    const uint64_t state = pg->state;

    allow(REF, 2, PAGE, 0);
    assert_eq_long(unmap(map(GNTMAP_device_map), 0, DEVICE_ADDRESS), GNTST_okay);
    race_adversary = change_hands;
    for (unsigned i = 0; i < ARRAY_SIZE(flags) + 2; i++) {
        moving = pg;
        const int16_t status = i < ARRAY_SIZE(flags)
                                   ? map_by(b.v, REF, guest_va(WINDOW), flags[i]).status
                               : i & 1 ? copy_by(b.v, theirs(0), mine(30), GNTCOPY_source_gref)
                                       : copy_by(b.v, mine(30), theirs(0), GNTCOPY_dest_gref);
        cr_assert(!moving, "%u: nobody took a reference", i);
        cr_assert(status == GNTST_general_error || status == GNTST_bad_page, "%u: %d", i, status);
        pg->owner = 1;
        assert_eq_long(pg->state, state);
        assert_eq_long(bits(REF), 0);
    }
    race_adversary = NULL;
}

static long flush_cache(uint64_t address, uint16_t offset, uint16_t length, uint32_t cmd)
{
    const struct gnttab_cache_flush op = {
        .a.dev_bus_addr = address, .offset = offset, .length = length, .op = cmd};

    machine_enter(b.v);
    return hypercall(&b, grant_table_op, GNTTABOP_cache_flush,
                     machine_put(0x1000, &op, sizeof(op)).va, 1);
}

Test(grants, caches_are_as_devices_expect)
{
    const uint64_t ours = b.mfn[30] << PAGE_SHIFT;

    assert_ok(flush_cache(ours, 0, PAGE_SIZE, GNTTAB_CACHE_CLEAN));
    assert_ok(flush_cache(ours, 10, 20, GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL));
    assert_ok(flush_cache(~0ull << PAGE_SHIFT, 0, 0, GNTTAB_CACHE_INVAL)); /* nothing is asked */
    assert_ok(flush_cache(~0ull << PAGE_SHIFT, 0, 8, 0));
    assert_refused(&b, flush_cache(ours, 10, 20, GNTTAB_CACHE_INVAL), GRANT_CACHE_INVALIDATE);
    assert_refused(&b, flush_cache(a.mfn[30] << PAGE_SHIFT, 0, 8, 1), GRANT_CACHE_FRAME);
    assert_refused(&b, flush_cache(max_mfn << PAGE_SHIFT, 0, 8, 1), GRANT_CACHE_RANGE);
    assert_refused(&b, flush_cache(ours, PAGE_SIZE, 1, 1), GRANT_CACHE_RANGE);
    assert_refused(&b, flush_cache(ours, 0, PAGE_SIZE + 1, 1), GRANT_CACHE_RANGE);
    assert_refused(&b, flush_cache(ours, 4000, 97, 1), GRANT_CACHE_RANGE);
    assert_refused(&b, flush_cache(ours, 0, 8, 4), GRANT_CACHE_RANGE);
    assert_refused(&b, flush_cache(ours, 0, 8, GNTTAB_CACHE_SOURCE_GREF), GRANT_CACHE_RANGE);
}

Test(grants, limits_come_from_the_command_line)
{
    static struct guest c;

    strcpy(hypervisor_cmdline, "gnttab_max_frames=2 gnttab_max_maptrack_frames=0");
    guest_create(&c, 3, 32, 1);
    assert_eq_long(c.d->grants->max_frames, 2);
    assert_eq_long(c.d->grants->max_maptrack_frames, 1);
    cr_assert(grant_table_grow(c.d, 2) && !grant_table_grow(c.d, 3));
    strcpy(hypervisor_cmdline, "gnttab_max_frames=1000 gnttab_max_maptrack_frames=100000");
    guest_destroy(&c);
    guest_create(&c, 3, 32, 1);
    assert_eq_long(c.d->grants->max_frames, GRANT_FRAMES_MOST);
    assert_eq_long(c.d->grants->max_maptrack_frames, MAPTRACK_FRAMES_MOST);
    guest_destroy(&c);
    hypervisor_cmdline[0] = 0;
}

/* --- the invariants, each broken on purpose ----------------------------------------------------------------- */

static void assert_seen(void)
{
    cr_assert(page_audit() > 0);
}

#define BROKEN(what, breaks, mends)                                             \
    Test(grants, what)                                                          \
    {                                                                           \
        allow(REF, 2, PAGE, 0);                                                 \
        grant_handle_t h = map(GNTMAP_host_map | GNTMAP_device_map);            \
        struct grant_active *e = grant_active_of(a.d->grants, REF);             \
        struct maptrack *m = b.d->grants->maptrack;                             \
        (void)e, (void)m;                                                       \
        assert_ok(page_audit());                                                \
        breaks;                                                                 \
        assert_seen();                                                          \
        mends;                                                                  \
        assert_ok(page_audit());                                                \
        assert_eq_long(unmap(h, guest_va(WINDOW), DEVICE_ADDRESS), GNTST_okay); \
    }

/* clang-format off */
BROKEN(g1_pin_that_nobody_has, e->pins += PIN_DEVICE_READ, e->pins -= PIN_DEVICE_READ)
BROKEN(g1_pin_that_is_missing, e->pins -= PIN_HOST_WRITE, e->pins += PIN_HOST_WRITE)
BROKEN(g1_pin_of_another, e->mapper = 5, e->mapper = 2)
BROKEN(g1_number_of_pinned, a.d->grants->pinned++, a.d->grants->pinned--)
BROKEN(g2_frame_of_another, e->mfn = (uint32_t)b.mfn[31], e->mfn = (uint32_t)a.mfn[PAGE])
BROKEN(g3_bit_that_is_missing, entry(REF)->flags &= ~GTF_writing, entry(REF)->flags |= GTF_writing)
BROKEN(g4_entry_without_handle, maptrack_at(m, h)->flags &= ~GNTMAP_host_map, maptrack_at(m, h)->flags |= GNTMAP_host_map)
BROKEN(g5_free_handle_with_flags, maptrack_at(m, m->list[0].head)->flags = 1, maptrack_at(m, m->list[0].head)->flags = 0)
BROKEN(g5_handle_that_is_on_no_list, m->list[0].free--, m->list[0].free++)
/* clang-format on */
