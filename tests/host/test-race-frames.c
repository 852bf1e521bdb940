/*
 * Operations on one frame against each other, in every order (machine/race.h).
 *
 * Guest 1 has two vCPUs, guest 2 one, guest 3 controls others.  FRAME is a frame of guest 1's that nothing refers to, or that is what
 * an operation needs (pinned, mapped).  Each row of a table is an operation by one of them.  After each run: the results are ones
 * that the operation may have, the audit, the TLBs, and what guest 2 has of the frame, if it got it, is as guest 2 made it.
 *
 * A longer run: PARAVANE_RACE_SWITCHES=3 (2 by default).
 */
#include "suite.h"
#include "race.h"
#include "sched.h"
#include "tlb.h"

#include <xen/memory.h>

#define PAGES     16u
#define FRAME     15u /* pfn of the frame that all this is about, in guest 1 */
#define UPPER     14u /* a frame of guest 1's whose entry 0 names FRAME */
#define SCRATCH   40u /* L1 slots for mappings: one for each operation */
#define CPU_FIRST 1u  /* CPU 0 is for the work of teardown */

static struct guest one[2], two, boss; /* one[n]: guest 1 by its vCPU n */
static uint64_t frame;                 /* the machine frame of FRAME */

/* --- what the guests do --- */

struct actor {
    struct guest *g;
    unsigned slot; /* its scratch L1 slot */
};
static struct actor first = {&one[0], SCRATCH}, second = {&one[1], SCRATCH + 1}, other = {&two, SCRATCH},
                    control = {&boss, SCRATCH};

static uint64_t slot_entry(const struct actor *a)
{
    return guest_entry(a->g, 3, a->slot);
}

static long request(struct guest *g, uint64_t ptr, uint64_t value, uint32_t foreign)
{
    mmu_update_t r = {ptr, value};
    return hypercall(g, mmu_update, machine_put(g->v->cpu * 0x8000u + 0x1000u, &r, sizeof(r)).va, 1, 0, foreign);
}

static long map_ro(struct actor *a)
{
    return request(a->g, slot_entry(a), pte_make(mfn(frame), RO).v, DOMID_SELF);
}

static long map_rw(struct actor *a)
{
    return request(a->g, slot_entry(a), pte_make(mfn(frame), RW).v, DOMID_SELF);
}

static long unmap(struct actor *a)
{
    return request(a->g, slot_entry(a), 0, DOMID_SELF);
}

static long foreign_map_ro(struct actor *a)
{
    return request(a->g, slot_entry(a), pte_make(mfn(frame), RO).v, 1);
}

static long foreign_map_rw(struct actor *a)
{
    return request(a->g, slot_entry(a), pte_make(mfn(frame), RW).v, 1);
}

static long pin(struct actor *a)
{
    return guest_mmuext(a->g, MMUEXT_PIN_L1_TABLE, frame, 0);
}

static long pin_upper(struct actor *a)
{
    return guest_mmuext(a->g, MMUEXT_PIN_L2_TABLE, a->g->mfn[UPPER], 0);
}

static long unpin(struct actor *a)
{
    return guest_mmuext(a->g, MMUEXT_UNPIN_TABLE, frame, 0);
}

static long clear(struct actor *a)
{
    return guest_mmuext(a->g, MMUEXT_CLEAR_PAGE, frame, 0);
}

static long machphys(struct actor *a)
{
    return request(a->g, frame << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 77, DOMID_SELF);
}

/* As an entry of a table, or as plain bytes. */
static long write_entry(struct actor *a)
{
    return request(a->g, frame << PAGE_SHIFT | 5 * 8, guest_pte(a->g, 10, RO), DOMID_SELF);
}

static long descriptors(struct actor *a)
{
    return machine_hold_segment(a->g->v, mfn(frame));
}

static long reservation(struct guest *g, unsigned cmd, uint64_t *list, domid_t who)
{
    const unsigned at = g->v->cpu * 0x8000u + 0x5000u;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = who};

    r.extent_start.p = (void *)machine_put(at, list, sizeof(*list)).va;
    long done = guest_op(g->v, __HYPERVISOR_memory_op, cmd, &r, sizeof(r));
    machine_get(list, at, sizeof(*list));
    return done;
}

static long decrease(struct actor *a)
{
    uint64_t list = frame;
    return reservation(a->g, XENMEM_decrease_reservation, &list, DOMID_SELF);
}

static long foreign_decrease(struct actor *a)
{
    uint64_t list = frame;
    return reservation(a->g, XENMEM_decrease_reservation, &list, 1);
}

static long populate(struct actor *a)
{
    uint64_t list = 60 + a->slot;
    return reservation(a->g, XENMEM_populate_physmap, &list, DOMID_SELF);
}

static long exchange(struct actor *a)
{
    const unsigned at = a->g->v->cpu * 0x8000u + 0x5000u;
    struct xen_memory_exchange e = {.in = {.nr_extents = 1, .domid = DOMID_SELF}, .out = {.nr_extents = 1, .domid = DOMID_SELF}};
    const uint64_t pfn = 61;

    e.in.extent_start.p = (void *)machine_put(at, &frame, 8).va;
    e.out.extent_start.p = (void *)machine_put(at + 8, &pfn, 8).va;
    return guest_op(a->g->v, __HYPERVISOR_memory_op, XENMEM_exchange, &e, sizeof(e));
}

/* --- the frame changes hands: guest 1's second vCPU gives it back, guest 2 gets it and uses it --- */

static struct {
    bool got, pinned;
    uint64_t word; /* what guest 2 wrote into each of its first 8 words */
} theirs;

static long hand_over(struct actor *a)
{
    uint64_t list = 90;

    (void)unpin(a);
    (void)unmap(a);
    if (decrease(a) != 1 || reservation(&two, XENMEM_populate_physmap, &list, DOMID_SELF) != 1 || list != frame)
        return 0;
    theirs.got = true;
    theirs.word = guest_pte(&two, 10, PTE_P); /* looks like an entry; validation would set PTE_US */
    for (unsigned i = 0; i < 8; i++)
        ((uint64_t *)mfn_to_virt(mfn(frame)))[i] = theirs.word;
    return 1;
}

static long hand_over_and_pin(struct actor *a)
{
    long got = hand_over(a);
    if (!got)
        return 0;
    theirs.pinned = pin(&other) == 0;
    theirs.word = guest_pte(&two, 10, PTE_P) | PTE_US | PTE_GUEST_KERNEL;
    return got;
}

static long hand_over_and_map(struct actor *a)
{
    return hand_over(a) ? map_rw(&other) + 1 : 0;
}

/* There and back again: the frame is the same one, and guest 1's, but another life of it. */
static long hand_over_and_back(struct actor *a)
{
    uint64_t list = 91;
    long got = hand_over(a);

    if (!got)
        return 0;
    theirs.got = false;
    (void)decrease(&other);
    return reservation(a->g, XENMEM_populate_physmap, &list, DOMID_SELF);
}

/* Given back and taken again by the same guest. */
static long give_and_take(struct actor *a)
{
    uint64_t list = 92;
    return decrease(a) == 1 ? reservation(a->g, XENMEM_populate_physmap, &list, DOMID_SELF) : 0;
}

/* --- the table --- */

#define NEEDS_MAPPED BIT(0) /* FRAME is mapped in the actor's slot, writable unless it is pinned */
#define NEEDS_PINNED BIT(1) /* FRAME is pinned */

struct row {
    const char *name;
    long (*run)(struct actor *);
    struct actor *by;
    unsigned needs;
    long may[4]; /* results besides 0 and the errno of a refusal that was recorded */
};

#define INVAL -XEN_EINVAL

/* By guest 1's first vCPU; each is played against each of the other table. */
static const struct row those[] = {
    {"map read-only", map_ro, &first, 0, {INVAL}},
    {"map writable", map_rw, &first, 0, {INVAL}},
    {"unmap", unmap, &first, NEEDS_MAPPED, {0}},
    {"pin", pin, &first, 0, {INVAL}},
    {"unpin", unpin, &first, NEEDS_PINNED, {INVAL}},
    {"pin the table above", pin_upper, &first, 0, {INVAL}},
    {"clear", clear, &first, 0, {INVAL}},
    {"machine-to-phys", machphys, &first, 0, {INVAL}},
    {"write an entry", write_entry, &first, 0, {INVAL}},
    {"write a table's entry", write_entry, &first, NEEDS_PINNED, {INVAL}},
    {"descriptor table", descriptors, &first, 0, {INVAL}},
    {"decrease", decrease, &first, 0, {1}},
    {"exchange", exchange, &first, 0, {INVAL}},
    {"populate", populate, &first, 0, {1}},
    {"give and take", give_and_take, &first, 0, {1}},
};

static const struct row these[] = {
    {"(2) map read-only", map_ro, &second, 0, {INVAL}},
    {"(2) map writable", map_rw, &second, 0, {INVAL}},
    {"(2) unmap", unmap, &second, NEEDS_MAPPED, {0}},
    {"(2) pin", pin, &second, 0, {INVAL}},
    {"(2) unpin", unpin, &second, NEEDS_PINNED, {INVAL}},
    {"(2) descriptor table", descriptors, &second, 0, {INVAL}},
    {"(2) decrease", decrease, &second, 0, {1}},
    {"(2) exchange", exchange, &second, 0, {INVAL}},
    {"(2) populate", populate, &second, 0, {1}},
    {"(2) give and take", give_and_take, &second, 0, {1}},
    {"to guest 2", hand_over, &second, 0, {1}},
    {"to guest 2, which pins it", hand_over_and_pin, &second, 0, {1}},
    {"to guest 2, which maps it", hand_over_and_map, &second, 0, {1, 1 - XEN_EINVAL}},
    {"to guest 2 and back", hand_over_and_back, &second, 0, {1}},
    {"foreign map read-only", foreign_map_ro, &control, 0, {INVAL}},
    {"foreign map writable", foreign_map_rw, &control, 0, {INVAL}},
    {"foreign decrease", foreign_decrease, &control, 0, {1}},
};

/* --- the world before and after each run --- */

static struct {
    const struct row *row;
    long rc;
} now[RACE_OPS];
static unsigned now_count;

static void run_row(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    now[i].rc = now[i].row->run(now[i].row->by);
}

#define wrong(...)                                                                       \
    do {                                                                                 \
        fprintf(stderr, __VA_ARGS__);                                                    \
        fprintf(stderr, "\n");                                                           \
        abort();                                                                         \
    } while (0)

/* Take back from @g everything but the frames it began with, and give it those. */
static void tidy(struct guest *g)
{
    for (unsigned i = 0; i < 4; i++)
        assert_ok(request(g, guest_entry(g, 3, SCRATCH + i), 0, DOMID_SELF));
    for_each_vcpu (g->d, v)
        machine_release_segments(v);
    for (uint64_t f = 0; f < max_mfn; f++) {
        struct page_info *pg = mfn_to_page(mfn(f));
        if (pg->owner != g->d->id || f == g->mfn[0])
            continue;
        if (pg->state & PAGE_PINNED)
            assert_ok(guest_mmuext(g, MMUEXT_UNPIN_TABLE, f, 0));
    }
    for (uint64_t f = 0; f < max_mfn; f++) {
        bool begun_with = mfn_to_page(mfn(f))->owner != g->d->id || (mfn_to_page(mfn(f))->state & PAGE_SHARED);
        for (unsigned i = 0; i < PAGES - (g == one); i++)
            begun_with |= g->mfn[i] == f;
        if (!begun_with)
            assert_eq_long(reservation(g, XENMEM_decrease_reservation, &f, DOMID_SELF), 1);
    }
}

static void begin(void)
{
    uint64_t list = FRAME;

    assert_eq_long(reservation(one, XENMEM_populate_physmap, &list, DOMID_SELF), 1);
    frame = list;
    memset(mfn_to_virt(mfn(frame)), 0, PAGE_SIZE);
    memset(&theirs, 0, sizeof(theirs));
    guest_page(one, UPPER)[0] = pte_make(mfn(frame), RW).v;
    unsigned needs = 0;
    for (unsigned i = 0; i < now_count; i++)
        needs |= now[i].row->needs;
    if (needs & NEEDS_PINNED)
        assert_ok(pin(&first));
    for (unsigned i = 0; i < now_count; i++)
        if (now[i].row->needs & NEEDS_MAPPED)
            assert_ok(needs & NEEDS_PINNED ? map_ro(now[i].row->by) : map_rw(now[i].row->by));
    machine_log_clear();
}

static void check_results(void)
{
    for (unsigned i = 0; i < now_count; i++) {
        const enum rule_id rule = last_rule(now[i].row->by->g->v);
        bool good = now[i].rc == 0 || (rule != RULE_NONE && now[i].rc == -rule_text[rule].error);
        for (unsigned k = 0; k < 4; k++)
            good |= now[i].rc == now[i].row->may[k];
        if (!good)
            wrong("%s gives %ld, its last rule is %s", now[i].row->name, now[i].rc, rule_text[rule].id);
    }
}

static void check_theirs(void)
{
    const struct page_info *pg = mfn_to_page(mfn(frame));

    if (!theirs.got)
        return;
    if (pg->owner != two.d->id || !(pg->state & PAGE_ALLOCATED))
        wrong("guest 2 has lost its frame");
    if (theirs.pinned && !(pg->state & PAGE_PINNED))
        wrong("guest 2 has lost its pin");
    if (machine_to_phys[frame] != 90)
        wrong("machine-to-phys of guest 2's frame is %#lx", machine_to_phys[frame]);
    for (unsigned i = 0; i < 8; i++)
        if (((const uint64_t *)mfn_to_virt(mfn(frame)))[i] != theirs.word)
            wrong("word %u of guest 2's frame is %#lx, it wrote %#lx", i, ((const uint64_t *)mfn_to_virt(mfn(frame)))[i], theirs.word);
}

static void end(void)
{
    check_results();
    check_theirs();
    world_check();
    tidy(&two);
    tidy(&boss);
    tidy(one);
    guest_page(one, UPPER)[0] = 0;
}

static void start(void)
{
    world_start(7, 1024);
    guest_create_at(one, 1, PAGES, 2, CPU_FIRST);
    one[1] = one[0];
    one[1].v = one->d->vcpu[1];
    guest_create_at(&two, 2, PAGES, 1, CPU_FIRST + 2);
    guest_create_at(&boss, 3, PAGES, 1, CPU_FIRST + 3);
    boss.d->roles |= ROLE_CONTROL;
    /* UPPER is no longer mapped writable, so it can be a table; FRAME is made anew for each run. */
    assert_ok(guest_protect(one, UPPER, 0));
    assert_ok(guest_protect(one, FRAME, 0));
    tidy(one);
}

TestSuite(race_frames, .init = start, .timeout = 600);

static unsigned long play(const struct row *a, const struct row *b, const struct row *c)
{
    const struct row *rows[] = {a, b, c};
    struct race_op op[RACE_OPS];
    const char *depth = getenv("PARAVANE_RACE_SWITCHES");

    now_count = c ? 3 : 2;
    for (unsigned i = 0; i < now_count; i++) {
        now[i].row = rows[i];
        op[i] = (struct race_op){rows[i]->name, run_row, (void *)(uintptr_t)i, rows[i]->by->g->v->cpu};
    }
    return race_explore(op, now_count, depth ? (unsigned)atoi(depth) : 2, begin, end);
}

/* One of those against each of these. */
static void against_all(unsigned i)
{
    unsigned long runs = 0;

    for (unsigned k = 0; k < ARRAY_SIZE(these); k++)
        runs += play(&those[i], &these[k], NULL);
    fprintf(stderr, "%s: %lu runs\n", those[i].name, runs);
}

#define AGAINST_ALL(number, name) Test(race_frames, name) { against_all(number); }
AGAINST_ALL(0, map_read_only)
AGAINST_ALL(1, map_writable)
AGAINST_ALL(2, unmap)
AGAINST_ALL(3, pin)
AGAINST_ALL(4, unpin)
AGAINST_ALL(5, pin_the_table_above)
AGAINST_ALL(6, clear)
AGAINST_ALL(7, machine_to_phys)
AGAINST_ALL(8, write_an_entry)
AGAINST_ALL(9, write_a_tables_entry)
AGAINST_ALL(10, descriptor_table)
AGAINST_ALL(11, decrease)
AGAINST_ALL(12, exchange)
AGAINST_ALL(13, populate)
AGAINST_ALL(14, give_and_take)
_Static_assert(ARRAY_SIZE(those) == 15, "each row has its test");
