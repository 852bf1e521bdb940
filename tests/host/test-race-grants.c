/*
 * Operations on one grant against each other, in every order (machine/race.h).
 *
 * Guest 1 grants FRAME by reference REF; guest 2 has two vCPUs and, at the start, one handle with a host and a device mapping.  The
 * tables say who does what: the mapper maps, copies, unmaps and overwrites, the granter writes to its entry, takes the grant back,
 * gives the frame another role, changes the table; either ends.  After each run: no vCPU was told "unused" of what a TLB knew,
 * nothing is locked, the audit (G1 to G5, I1 to I10) and the TLBs.
 *
 * A longer run: PARAVANE_RACE_SWITCHES=3 (2 by default).
 */
#include "suite.h"
#include "grant-table.h"
#include "maptrack.h"
#include "race-table.h"
#include "sched.h"

#include <xen/memory.h>

static struct guest one, two[2]; /* two[n]: guest 2 by its vCPU n */
static grant_handle_t held;

#define PAGES  16u
#define FRAME  10u /* pfn of guest 1's that is granted */
#define DECOY  11u /* another, which the entry names now and then */
#define REF    20u
#define HELD   12u /* guest 2's pfn in whose place the handle's host mapping is */
#define WINDOW 13u /* + vCPU: for further mappings */
#define MINE   9u  /* guest 2's pfn to copy from and to */

/* Flags of rows. */
#define FLIPS      BIT(0) /* writes to the entry as it likes: the GTF bits, too */
#define LOSES      BIT(1) /* an entry of the mapper's */
#define ONE_ENDS   BIT(2)
#define TWO_ENDS   BIT(3)
#define TAKES_BACK BIT(4)

/* --- the mapper --- */

static long grant_call(struct guest *g, unsigned cmd, const void *op, size_t size)
{
    const uint64_t at = machine_put(g->v->cpu * 0x8000u + 0x1000u, op, size).va;

    return vcpu_hypercall(g->v, __HYPERVISOR_grant_table_op, cmd, at, 1, 0);
}

static long map_at(struct guest *g, unsigned pfn, uint32_t flags)
{
    const struct gnttab_map_grant_ref op = {
        .host_addr = guest_va(pfn), .flags = flags, .ref = REF, .dom = 1};

    return grant_call(g, GNTTABOP_map_grant_ref, &op, sizeof(op));
}

static long map_writable(struct guest *g)
{
    return map_at(g, WINDOW + g->v->id, GNTMAP_host_map);
}

static long map_for_devices(struct guest *g)
{
    return map_at(g, WINDOW + g->v->id, GNTMAP_device_map | GNTMAP_readonly);
}

static long unmap_parts(struct guest *g, bool host, bool device)
{
    const struct gnttab_unmap_grant_ref op = {.host_addr = host ? guest_va(HELD) : 0,
                                              .dev_bus_addr =
                                                  device ? one.mfn[FRAME] << PAGE_SHIFT : 0,
                                              .handle = held};

    return grant_call(g, GNTTABOP_unmap_grant_ref, &op, sizeof(op));
}

static long unmap_both(struct guest *g)
{
    return unmap_parts(g, true, true);
}

static long unmap_host(struct guest *g)
{
    return unmap_parts(g, true, false);
}

static long unmap_device(struct guest *g)
{
    return unmap_parts(g, false, true);
}

static long replace(struct guest *g)
{
    const struct gnttab_unmap_and_replace op = {
        .host_addr = guest_va(HELD), .new_addr = guest_va(WINDOW + g->v->id), .handle = held};

    return grant_call(g, GNTTABOP_unmap_and_replace, &op, sizeof(op));
}

static long overwrite(struct guest *g)
{
    mmu_update_t r = {guest_l1_entry(g, HELD), guest_pte(g, HELD, RW)};

    return vcpu_hypercall(g->v, __HYPERVISOR_mmu_update,
                          machine_put(g->v->cpu * 0x8000u + 0x2000u, &r, sizeof(r)).va, 1, 0,
                          DOMID_SELF);
}

static long copy(struct guest *g, bool to_it)
{
    const struct gnttab_copy_ptr theirs = {.u.ref = REF, .domid = 1},
                                 mine = {.u.gmfn = g->mfn[MINE], .domid = DOMID_SELF};
    const struct gnttab_copy op = {.source = to_it ? mine : theirs,
                                   .dest = to_it ? theirs : mine,
                                   .len = 8,
                                   .flags = to_it ? GNTCOPY_dest_gref : GNTCOPY_source_gref};

    return grant_call(g, GNTTABOP_copy, &op, sizeof(op));
}

static long copy_from(struct guest *g)
{
    return copy(g, false);
}

static long copy_to(struct guest *g)
{
    return copy(g, true);
}

/* --- the granter --- */

static grant_entry_v1_t *entry(void)
{
    return grant_entry_v1(one.d->grants, REF);
}

static long name_another_frame(struct guest *g)
{
    atomic_set(&entry()->frame, (uint32_t)g->mfn[DECOY]);
    return 0;
}

static long name_another_domain(struct guest *g)
{
    atomic_set(&entry()->domid, 3);
    return 0;
}

static long make_read_only(struct guest *g)
{
    atomic_set(&entry()->flags, GTF_permit_access | GTF_readonly);
    return 0;
}

static long flip_for_ever(struct guest *g)
{
    for (unsigned i = 0; i < 8; i++)
        atomic_set(&entry()->flags, i & 1 ? GTF_permit_access : 0);
    return 0;
}

static bool taken_back;

/* As guests do; then nobody may reach the frame any more, nor get it. */
static long take_back(struct guest *g)
{
    uint16_t unused = GTF_permit_access;

    if (one.d->grants->version != 1 || !atomic_compare_exchange(&entry()->flags, &unused, 0))
        return 0;
    taken_back = true;
    for (unsigned cpu = 2; cpu < 4; cpu++)
        if (machine_tlb_knows(cpu, guest_mfn(g, FRAME), false))
            race_wrong("CPU %u knows the frame, and its granter was told that nobody uses it", cpu);
    return 0;
}

static long make_it_a_table(struct guest *g)
{
    return guest_mmuext(g, MMUEXT_PIN_L1_TABLE, g->mfn[FRAME], 0);
}

static long give_the_frame_up(struct guest *g)
{
    uint64_t frame = g->mfn[FRAME];
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    r.extent_start.p = (void *)machine_put(g->v->cpu * 0x8000u + 0x5000u, &frame, 8).va;
    guest_op(g->v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, &r, sizeof(r));
    return 0;
}

static long to_version_2(struct guest *g)
{
    const struct gnttab_set_version op = {2};

    return grant_call(g, GNTTABOP_set_version, &op, sizeof(op));
}

static long swap_refs(struct guest *g)
{
    const struct gnttab_swap_grant_ref op = {.ref_a = REF, .ref_b = REF + 1};

    return grant_call(g, GNTTABOP_swap_grant_ref, &op, sizeof(op));
}

static void let_end(struct guest *g)
{
    domain_shutdown(g->d, SHUTDOWN_poweroff);
    machine_run_work();
}

static long one_ends(struct guest *g)
{
    let_end(&one);
    return 0;
}

static long two_ends(struct guest *g)
{
    let_end(two);
    return 0;
}

/* --- the tables --- */

static const struct race_row those[] = {
    {"map", map_writable, &two[0], 0, {0}},
    {"map for devices", map_for_devices, &two[0], 0, {0}},
    {"unmap", unmap_both, &two[0], 0, {0}},
    {"unmap the host part", unmap_host, &two[0], 0, {0}},
    {"replace", replace, &two[0], LOSES, {0}},
    {"overwrite", overwrite, &two[0], LOSES, {0}},
    {"copy from", copy_from, &two[0], 0, {0}},
    {"copy to", copy_to, &two[0], 0, {0}},
};

static const struct race_row these[] = {
    {"(2) map", map_writable, &two[1], 0, {0}},
    {"(2) unmap", unmap_both, &two[1], 0, {0}},
    {"(2) unmap the host part", unmap_host, &two[1], 0, {0}},
    {"(2) unmap the device part", unmap_device, &two[1], 0, {0}},
    {"(2) overwrite", overwrite, &two[1], LOSES, {0}},
    {"(2) copy to", copy_to, &two[1], 0, {0}},
    {"another frame", name_another_frame, &one, 0, {0}},
    {"another domain", name_another_domain, &one, 0, {0}},
    {"read-only", make_read_only, &one, FLIPS, {0}},
    {"for ever", flip_for_ever, &one, FLIPS, {0}},
    {"taken back", take_back, &one, TAKES_BACK, {0}},
    {"a table", make_it_a_table, &one, 0, {-XEN_EINVAL}},
    {"given up", give_the_frame_up, &one, 0, {0}},
    {"version 2", to_version_2, &one, 0, {0}},
    {"swap", swap_refs, &one, 0, {0}},
    {"guest 1 ends", one_ends, NULL, ONE_ENDS, {0}},
    {"guest 2 ends", two_ends, NULL, TWO_ENDS, {0}},
};

/* --- before each run --- */

static void must(long rc, const char *what)
{
    if (rc)
        race_wrong("preparation: %s gives %ld", what, rc);
}

static bool exists(domid_t id)
{
    struct domain *d = domain_get_owner(id);

    if (d)
        domain_put(d);
    return d;
}

static void destroy(struct guest *g, domid_t id)
{
    if (exists(id) && !g->d->shut_down)
        let_end(g);
    for (unsigned i = 0; i < 5; i++) {
        machine_advance(20000000);
        machine_run_work();
    }
    struct domain *d = domain_get_owner(id);
    if (d)
        race_wrong("guest %u is still there, with %u frames and %u references", id, d->tot_pages,
                   d->refs - 1);
    g->d = NULL;
}

static void create(void)
{
    guest_create_at(&one, 1, PAGES, 1, 1);
    guest_create_at(two, 2, PAGES, 2, 2);
    two[1] = two[0];
    two[1].v = two[0].d->vcpu[1];
}

static void grant(void)
{
    *entry() = (grant_entry_v1_t){
        .flags = GTF_permit_access, .domid = 2, .frame = (uint32_t)one.mfn[FRAME]};
    must(map_at(two, HELD, GNTMAP_host_map | GNTMAP_device_map), "map");
    struct gnttab_map_grant_ref op;
    machine_get(&op, two->v->cpu * 0x8000u + 0x1000u, sizeof(op));
    must(op.status, "map's status");
    held = op.handle;
}

static void begin(void)
{
    create();
    must(guest_protect(&one, FRAME, 0), "no entry of the granter's own");
    grant();
    taken_back = false;
    grant_audit_strict = !(race_flags() & FLIPS);
    machine_enter(one.v);
    machine_enter(two[0].v);
    machine_enter(two[1].v);
    machine_tlb_fill_all();
    one.v->exit_work = two[0].v->exit_work = two[1].v->exit_work = 0;
    machine_log_clear();
}

/* The same, with the handle given back: entries are new to everybody. */
static void begin_unused(void)
{
    begin();
    must(unmap_both(two), "unmap");
    machine_enter(two[1].v);
}

/* --- after each run --- */

static void check_locks(const struct domain *d, domid_t id)
{
    if (exists(id) && (d->grants->lock.held || d->grants->change.held || d->mmu.held))
        race_wrong("d%u has something locked", id);
}

static void end(void)
{
    race_check_results();
    check_locks(one.d, 1);
    check_locks(two->d, 2);
    if (taken_back && exists(1) && one.d->grants->pinned)
        race_wrong("pinned, and its granter has taken it back");
    world_check();
    /* The mapper first: it may have handles. */
    destroy(two, 2);
    if (exists(1) && !one.d->dying && one.d->grants->pinned)
        race_wrong("%u entries are pinned by nobody", one.d->grants->pinned);
    destroy(&one, 1);
    grant_audit_strict = true;
    world_check();
}

static void start(void)
{
    world_start(4, 2048);
}

TestSuite(race_grants, .init = start, .fini = world_check_empty);

static void against(const struct race_row *first, void (*prepare)(void))
{
    for (unsigned i = 0; i < ARRAY_SIZE(these); i++) {
        const struct race_row *pair[] = {first, &these[i]};
        race_play(pair, 2, 2, prepare, end);
    }
}

/* clang-format off */
Test(race_grants, map) { against(&those[0], begin); }
Test(race_grants, map_what_nobody_uses) { against(&those[0], begin_unused); }
Test(race_grants, map_for_devices) { against(&those[1], begin_unused); }
Test(race_grants, unmap) { against(&those[2], begin); }
Test(race_grants, unmap_host) { against(&those[3], begin); }
Test(race_grants, replace) { against(&those[4], begin); }
Test(race_grants, overwrite) { against(&those[5], begin); }
Test(race_grants, copy_from) { against(&those[6], begin); }
Test(race_grants, copy_from_what_nobody_uses) { against(&those[6], begin_unused); }
Test(race_grants, copy_to) { against(&those[7], begin_unused); }
/* clang-format on */
