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
