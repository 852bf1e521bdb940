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
#include "frame-ops.h"
#include "race.h"
#include "sched.h"

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
    if (decrease(a) != 1 || populate_at(&two, &list) != 1 || list != frame)
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
    return populate_at(a->g, &list);
}

/* Given back and taken again by the same guest. */
static long give_and_take(struct actor *a)
{
    uint64_t list = 92;
    return decrease(a) == 1 ? populate_at(a->g, &list) : 0;
}

/* Guest 1 ends: teardown, on CPU 0. */
static long die(struct actor *a)
{
    domain_shutdown(one->d, SHUTDOWN_poweroff);
    machine_run_work();
    return 0;
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
    {"foreign populate", foreign_populate, &control, 0, {1}},
    {"foreign machine-to-phys", foreign_machphys, &control, 0, {INVAL}},
    {"foreign pin", foreign_pin, &control, 0, {INVAL}},
};

static const struct row the_end = {"guest 1 ends", die, NULL, 0, {0}};

/* --- the world before and after each run --- */

static struct {
    const struct row *row;
    long rc;
    enum rule_id rule;
} now[RACE_OPS];
static unsigned now_count;
static uint64_t free_without_one; /* frames that are free while guest 1 does not exist */

static void run_row(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    now[i].rc = now[i].row->run(now[i].row->by);
    now[i].rule = now[i].row->by ? last_rule(now[i].row->by->g->v) : RULE_NONE;
}

#define wrong(...)                    \
    do {                              \
        fprintf(stderr, __VA_ARGS__); \
        fprintf(stderr, "\n");        \
        abort();                      \
    } while (0)

static void create_one(void)
{
    free_without_one = page_free_count();
    frame_one_create();
}

/* Guest 1 ended.  It is gone, with all that it had, as soon as nobody else holds any of it. */
static void one_is_gone(void)
{
    for (unsigned i = 0; i < 5; i++) {
        machine_advance(20000000);
        machine_run_work();
    }
    if (domain_get(1))
        wrong("guest 1 is still there, with %u frames", one->d->tot_pages);
    if (page_free_count() != free_without_one)
        wrong("%ld frames are lost", (long)(free_without_one - page_free_count()));
    one->d = NULL;
}

static void begin(void)
{
    uint64_t list = FRAME;

    if (!one->d)
        create_one();

    assert_eq_long(populate_at(one, &list), 1);
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
        const enum rule_id rule = now[i].rule;
        bool good = now[i].rc == 0 || (rule != RULE_NONE && now[i].rc == -rule_text[rule].error);
        for (unsigned k = 0; k < 4; k++)
            good |= now[i].rc == now[i].row->may[k];
        if (!good)
            wrong("%s gives %ld, its last rule is %s", now[i].row->name, now[i].rc,
                  rule_text[rule].id);
    }
}

static void check_bounds(void)
{
    for (uint64_t f = 0; f < max_mfn; f++)
        if (mfn_to_page(mfn(f))->owner == 1 && !(mfn_to_page(mfn(f))->state & PAGE_SHARED) &&
            (f < one->d->lowest_mfn || f > one->d->highest_mfn))
            wrong("frame %lx is guest 1's and outside its bounds", (unsigned long)f);
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
            wrong("word %u of guest 2's frame is %#lx, it wrote %#lx", i,
                  ((const uint64_t *)mfn_to_virt(mfn(frame)))[i], theirs.word);
}

static void end(void)
{
    check_results();
    check_theirs();
    check_bounds();
    world_check();
    frame_tidy(&two);
    frame_tidy(&boss);
    if (now[now_count - 1].row == &the_end) {
        one_is_gone();
        world_check();
        return;
    }
    frame_tidy(one);
    guest_page(one, UPPER)[0] = 0;
}

static void start(void)
{
    world_start(7, 1024);
    frame_others_create();
    create_one();
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
        op[i] = (struct race_op){rows[i]->name, run_row, (void *)(uintptr_t)i,
                                 rows[i]->by ? rows[i]->by->g->v->cpu : 0};
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

/* clang-format off */
#define AGAINST_ALL(number, name) Test(race_frames, name) { against_all(number); }
/* clang-format on */
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

/* What guest 1's first vCPU is in the middle of when the guest ends. */
Test(race_frames, end_of_the_caller)
{
    for (unsigned i = 0; i < ARRAY_SIZE(those); i++)
        (void)play(&those[i], &the_end, NULL);
}

/* What another guest does to a guest that ends. */
Test(race_frames, end_of_the_target)
{
    for (unsigned i = 0; i < ARRAY_SIZE(these); i++)
        if (these[i].by == &control)
            (void)play(&these[i], &the_end, NULL);
}

/* Guest 3 maps the frame while it changes hands.  Its state is the same word before and after, mapped writable once: only a second look
 * at its owner tells. */
Test(race_frames, another_owner_in_the_same_state)
{
    static const struct row foreign[] = {
        {"foreign map read-only", foreign_map_ro, &control, 0, {INVAL}},
        {"foreign map writable", foreign_map_rw, &control, 0, {INVAL}}};
    static const struct row hands = {"mapped, to guest 2, which maps it",
                                     hand_over_and_map,
                                     &second,
                                     NEEDS_MAPPED,
                                     {1, 1 - XEN_EINVAL}};

    for (unsigned i = 0; i < ARRAY_SIZE(foreign); i++)
        (void)play(&foreign[i], &hands, NULL);
}

/* Three at a time: by guest 1's first vCPU, by its second, by the guest that controls others. */
Test(race_frames, three)
{
    static const struct row three[][3] = {
        {{"map read-only", map_ro, &first, 0, {0}},
         {"(2) give and take", give_and_take, &second, 0, {1}},
         {"foreign map writable", foreign_map_rw, &control, 0, {0}}},
        {{"map writable", map_rw, &first, 0, {0}},
         {"to guest 2, which pins it", hand_over_and_pin, &second, 0, {1}},
         {"foreign decrease", foreign_decrease, &control, 0, {1}}},
        {{"pin", pin, &first, 0, {INVAL}},
         {"(2) decrease", decrease, &second, 0, {1}},
         {"foreign map writable", foreign_map_rw, &control, 0, {0}}},
        {{"unpin", unpin, &first, NEEDS_PINNED, {0}},
         {"to guest 2, which pins it", hand_over_and_pin, &second, 0, {1}},
         {"foreign map read-only", foreign_map_ro, &control, 0, {0}}},
        {{"decrease", decrease, &first, 0, {1}},
         {"to guest 2 and back", hand_over_and_back, &second, 0, {1}},
         {"foreign decrease", foreign_decrease, &control, 0, {1}}},
        {{"exchange", exchange, &first, 0, {INVAL}},
         {"(2) give and take", give_and_take, &second, 0, {1}},
         {"foreign map writable", foreign_map_rw, &control, 0, {0}}},
        {{"machine-to-phys", machphys, &first, 0, {INVAL}},
         {"to guest 2", hand_over, &second, 0, {1}},
         {"foreign machine-to-phys", foreign_machphys, &control, 0, {0}}},
        {{"descriptor table", descriptors, &first, 0, {INVAL}},
         {"to guest 2", hand_over, &second, 0, {1}},
         {"foreign map writable", foreign_map_rw, &control, 0, {0}}},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(three); i++)
        (void)play(&three[i][0], &three[i][1], &three[i][2]);
}
