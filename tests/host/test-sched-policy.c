/*
 * The scheduler's policy against the ideal: a processor divided in exact shares.
 *
 * A tiny event simulation of one CPU drives sched-policy.c as core/sched/sched.c does: slices while
 * others wait, wake-ups that may preempt, charges.  Each test compares what everybody got with what
 * its weight entitles it to.
 */
#include "suite.h"
#include "sched-policy.h"

#define NS_MS 1000000ull
#define NS_S  1000000000ull

/* One guest: spins for ever, or works for @work ns every @period ns. */
struct actor {
    struct sched_entity e;
    uint64_t work, period; /* 0: spins */
    uint64_t left;         /* of this period's work */
    uint64_t next_wake;    /* ~0: awake */
    uint32_t sharers;      /* of one domain's credit; 0: 1 */
    uint64_t got;          /* CPU time */
    uint64_t woken_at, worst_wait, wakes;
};

struct sim {
    struct sched_queue q;
    struct actor *actor;
    unsigned count;
    struct actor *running;
    uint64_t now, slice_end;
};

static struct actor *actor_of(struct sched_entity *e)
{
    return e ? container_of(e, struct actor, e) : NULL;
}

static void sim_start(struct sim *s, struct actor *actor, unsigned count)
{
    *s = (struct sim){.actor = actor, .count = count};
    sched_queue_init(&s->q);
    for (unsigned i = 0; i < count; i++) {
        sched_entity_init(&actor[i].e, actor[i].e.weight, MAX(actor[i].sharers, 1));
        actor[i].next_wake = actor[i].period ? actor[i].period : ~0ull;
        actor[i].woken_at = ~0ull;
        if (!actor[i].period)
            sched_enqueue(&s->q, &actor[i].e);
    }
}

static void pick(struct sim *s)
{
    struct actor *a = actor_of(sched_first(&s->q));
    s->running = a;
    s->slice_end = ~0ull;
    if (!a)
        return;
    sched_dequeue(&s->q, &a->e);
    if (a->woken_at != ~0ull) {
        a->worst_wait = MAX(a->worst_wait, s->now - a->woken_at);
        a->woken_at = ~0ull;
    }
    if (sched_first(&s->q))
        s->slice_end = s->now + sched_slice(&s->q, &a->e);
}

static void run_until(struct sim *s, uint64_t then)
{
    struct actor *a = s->running;
    if (a) {
        a->got += then - s->now;
        a->left -= MIN(a->left, then - s->now);
        sched_charge(&s->q, &a->e, then - s->now);
    }
    s->now = then;
}

static void wake_due(struct sim *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct actor *a = &s->actor[i];
        if (a->next_wake > s->now)
            continue;
        a->next_wake = ~0ull;
        a->left = a->work;
        a->woken_at = s->now;
        a->wakes++;
        sched_enqueue(&s->q, &a->e);
        if (!s->running || sched_preempts(&s->q, &s->running->e, &a->e)) {
            if (s->running)
                sched_enqueue(&s->q, &s->running->e);
            pick(s);
        } else {
            s->slice_end = MIN(s->slice_end, s->now + sched_slice(&s->q, &s->running->e));
        }
    }
}

static void sim_run(struct sim *s, uint64_t until)
{
    pick(s);
    while (s->now < until) {
        struct actor *a = s->running;
        uint64_t next = MIN(until, s->slice_end);
        for (unsigned i = 0; i < s->count; i++)
            next = MIN(next, s->actor[i].next_wake);
        if (a && a->period)
            next = MIN(next, s->now + a->left);
        run_until(s, MAX(next, s->now));
        if (a && a->period && !a->left) { /* its work is done: sleep until the next period */
            a->next_wake = ROUND_DOWN(s->now, a->period) + a->period;
            pick(s);
        } else if (a && s->now >= s->slice_end) {
            sched_enqueue(&s->q, &a->e);
            pick(s);
        }
        wake_due(s);
    }
}

/* Go on, but count from here: a newcomer's first turn comes in the ordinary order. */
static void sim_warm_up(struct sim *s, uint64_t until)
{
    sim_run(s, until);
    if (s->running)
        sched_enqueue(&s->q, &s->running->e);
    for (unsigned i = 0; i < s->count; i++)
        s->actor[i].worst_wait = s->actor[i].wakes = 0;
}

static void assert_share(const struct sim *s, unsigned i, double share, double tolerance)
{
    double got = (double)s->actor[i].got / (double)s->now;
    cr_assert(got > share - tolerance && got < share + tolerance,
              "actor %u got %.4f of the CPU, should be %.4f", i, got, share);
}

Test(sched_policy, weights_1_2_4)
{
    struct actor a[3] = {{.e.weight = 128}, {.e.weight = 256}, {.e.weight = 512}};
    struct sim s;
    sim_start(&s, a, 3);
    sim_run(&s, 10 * NS_S);
    assert_share(&s, 0, 1.0 / 7, 0.002);
    assert_share(&s, 1, 2.0 / 7, 0.002);
    assert_share(&s, 2, 4.0 / 7, 0.002);
}

Test(sched_policy, extreme_weights)
{
    struct actor a[2] = {{.e.weight = 1}, {.e.weight = 65535}};
    struct sim s;
    sim_start(&s, a, 2);
    sim_run(&s, 1000 * NS_S);
    cr_assert(a[0].got > 0, "even the least gets something");
    assert_share(&s, 1, 65535.0 / 65536, 0.001);
}

Test(sched_policy, everybody_is_close_to_the_ideal_at_all_times)
{
    /* Not only in the end: at each moment nobody is off its share by more than a slice for each
     * competitor. */
    struct actor a[4] = {
        {.e.weight = 100}, {.e.weight = 200}, {.e.weight = 300}, {.e.weight = 400}};
    struct sim s;
    sim_start(&s, a, 4);
    for (uint64_t t = 100 * NS_MS; t < 3 * NS_S; t += 7 * NS_MS) {
        if (s.running)
            sched_enqueue(&s.q, &s.running->e);
        sim_run(&s, t);
        for (unsigned i = 0; i < 4; i++) {
            double ideal = (double)s.now * a[i].e.weight / 1000, off = (double)a[i].got - ideal;
            cr_assert(off < 4.0 * SCHED_SLICE && off > -4.0 * SCHED_SLICE,
                      "at %lu: actor %u is off by %.1f ms", (unsigned long)s.now, i, off / 1e6);
        }
    }
}

Test(sched_policy, sleeper_gets_the_cpu_when_it_wakes)
{
    /* 1 ms of work each 20 ms, beside two spinners: it never waits for a slice to end. */
    struct actor a[3] = {{.e.weight = 256},
                         {.e.weight = 256},
                         {.e.weight = 256, .work = NS_MS, .period = 20 * NS_MS}};
    struct sim s;
    sim_start(&s, a, 3);
    sim_warm_up(&s, 100 * NS_MS);
    sim_run(&s, 10 * NS_S);
    assert_share(&s, 2, 0.05, 0.001);
    assert_share(&s, 0, 0.475, 0.005);
    cr_assert(a[2].worst_wait <= SCHED_SLEEP_MARGIN, "waited %lu ns",
              (unsigned long)a[2].worst_wait);
    cr_assert(a[2].wakes > 490);
}

/* 60 us of work every 100 us: it wants 60% and is entitled to a third.  The others lose nothing to
 * it; it pays for its naps, since what it lags behind by more than SCHED_SLEEP_CREDIT when it dozes
 * off is forgotten. */
Test(sched_policy, ten_thousand_wakes_a_second_starve_nobody)
{
    struct actor a[3] = {
        {.e.weight = 256}, {.e.weight = 256}, {.e.weight = 256, .work = 60000, .period = 100000}};
    struct sim s;
    sim_start(&s, a, 3);
    sim_run(&s, 10 * NS_S);
    cr_assert(a[0].got >= s.now / 3 - SCHED_SLICE && a[1].got >= s.now / 3 - SCHED_SLICE,
              "%lu and %lu ms of 10 s", (unsigned long)(a[0].got / NS_MS),
              (unsigned long)(a[1].got / NS_MS));
    cr_assert(a[2].got >= s.now / 4, "it gets %lu ms of 10 s", (unsigned long)(a[2].got / NS_MS));
}

Test(sched_policy, light_waker_gets_all_it_wants)
{
    struct actor a[3] = {
        {.e.weight = 256}, {.e.weight = 256}, {.e.weight = 256, .work = 10000, .period = 100000}};
    struct sim s;
    sim_start(&s, a, 3);
    sim_warm_up(&s, 100 * NS_MS);
    sim_run(&s, 10 * NS_S);
    assert_share(&s, 2, 0.10, 0.002);
    assert_share(&s, 0, 0.45, 0.005);
    cr_assert(a[2].worst_wait <= 2 * SCHED_SLEEP_MARGIN, "waited %lu ns",
              (unsigned long)a[2].worst_wait);
}

Test(sched_policy, long_sleep_earns_bounded_credit)
{
    /* It ran for a moment, then slept for 10 s: on waking it may be ahead by the credit, not by 10
     * s. */
    struct actor a[2] = {{.e.weight = 256}, {.e.weight = 256, .work = NS_MS, .period = 10 * NS_S}};
    struct sim s;
    sim_start(&s, a, 2);
    sim_warm_up(&s, 11 * NS_S);
    assert_eq_long(a[1].got, NS_MS);
    a[1].work = 60 * NS_S;
    sim_run(&s, 20 * NS_S + 100 * NS_MS);
    uint64_t got = a[1].got - NS_MS;
    cr_assert(got <= 50 * NS_MS + SCHED_SLEEP_CREDIT + SCHED_SLICE, "got %lu us of 100 ms",
              (unsigned long)got / 1000);
    cr_assert(got >= 50 * NS_MS - SCHED_SLICE);
}

/* @many of one domain, or of as many, sleep together, and run for 3 ms each when a neighbour that sleeps, too, wants the CPU for a
 * moment. */
static uint64_t wait_behind_sleepers(unsigned many, uint32_t sharers)
{
    /* at any moment of theirs */
    struct actor a[18] = {{.e.weight = 256, .work = NS_MS / 10, .period = 21 * NS_MS + 12345}};
    struct sim s;

    for (unsigned i = 1; i <= many; i++)
        a[i] = (struct actor){
            .e.weight = 256, .work = 3 * NS_MS, .period = 100 * NS_MS, .sharers = sharers};
    /* and one spins: against it the others gain their credit */
    a[many + 1] = (struct actor){.e.weight = 256};
    sim_start(&s, a, many + 2);
    sim_warm_up(&s, 400 * NS_MS);
    sim_run(&s, 20 * NS_S);
    return a[0].worst_wait;
}

/* Both have slept for long enough to have all their credit: they are level. */
Test(sched_policy, one_that_slept_as_well_is_waited_for_by_the_small_margin)
{
    const uint64_t wait = wait_behind_sleepers(1, 1);

    cr_assert(wait <= SCHED_SLEEP_MARGIN + 1, "waited %lu us", (unsigned long)wait / 1000);
}

Test(sched_policy, many_sleepers_are_not_ahead_for_long)
{
    const uint64_t domain = wait_behind_sleepers(16, 16), domains = wait_behind_sleepers(16, 1);

    cr_assert(domain <= SCHED_SLEEP_MARGIN, "vCPUs of one domain kept another waiting for %lu us",
              (unsigned long)domain / 1000);
    cr_assert(domains <= 17 * SCHED_SLEEP_MARGIN, "domains kept another waiting for %lu us",
              (unsigned long)domains / 1000);
}

Test(sched_policy, newcomer_starts_level)
{
    struct actor a[2] = {{.e.weight = 256}, {.e.weight = 256}};
    struct sim s;
    sim_start(&s, a, 1);
    sim_run(&s, 100 * NS_S);
    if (s.running)
        sched_enqueue(&s.q, &s.running->e);
    sched_entity_init(&a[1].e, 256, 1);
    a[1].next_wake = a[1].woken_at = ~0ull;
    s.count = 2;
    sched_enqueue(&s.q, &a[1].e);
    uint64_t before = a[0].got;
    sim_run(&s, 101 * NS_S);
    cr_assert(a[0].got - before > NS_S / 2 - 2 * SCHED_SLICE, "the old one got %lu ms of a second",
              (unsigned long)((a[0].got - before) / NS_MS));
}

Test(sched_policy, yield_lets_others_run_but_not_for_long)
{
    struct sched_queue q;
    struct sched_entity e[5];
    sched_queue_init(&q);
    for (unsigned i = 0; i < 5; i++) {
        sched_entity_init(&e[i], 256, 1);
        if (i)
            sched_enqueue(&q, &e[i]);
    }
    sched_enqueue(&q, &e[0]);
    sched_dequeue(&q, &e[0]);
    uint64_t before = e[0].vruntime;
    sched_give_way(&q, &e[0]);
    sched_enqueue(&q, &e[0]);
    cr_assert(sched_first(&q) != &e[0]);
    cr_assert(e[0].vruntime <= before + SCHED_YIELD_SPAN + 1);
}

/* Who waits, by a search through all. */
static struct sched_entity *first_of(struct sched_entity *e, unsigned count)
{
    struct sched_entity *first = NULL;

    for (unsigned i = 0; i < count; i++)
        if (e[i].queued &&
            (!first || e[i].vruntime < first->vruntime ||
             (e[i].vruntime == first->vruntime && e[i].node.order < first->node.order)))
            first = &e[i];
    return first;
}

Test(sched_policy, least_goes_first)
{
    struct sched_queue q;
    struct sched_entity e[64];
    struct random r = random_start(5);
    sched_queue_init(&q);
    for (unsigned i = 0; i < 64; i++)
        sched_entity_init(&e[i], 1 + random_below(&r, 1000), 1);
    for (unsigned step = 0; step < 20000; step++) {
        struct sched_entity *x = &e[random_below(&r, 64)];
        if (x->queued) {
            sched_dequeue(&q, x);
            sched_charge(&q, x, random_below(&r, 10000000));
        } else {
            sched_enqueue(&q, x);
        }
        cr_assert(sched_first(&q) == first_of(e, 64));
        unsigned n = 0;
        heap_for_each(it, q.first)
        {
            cr_assert(it->key <= q.last);
            n++;
        }
        assert_eq_long(n, q.count);
    }
}

/* Those who are level take turns in the order in which they came, whatever else goes on in the queue. */
Test(sched_policy, equals_go_in_order_of_arrival)
{
    struct sched_queue q;
    struct sched_entity e[50], other[50];
    sched_queue_init(&q);
    q.arrivals = ~0u - 30; /* the count of arrivals wraps meanwhile */
    for (unsigned i = 0; i < 50; i++) {
        sched_entity_init(&other[i], 256, 1);
        other[i].vruntime = q.floor + 1 + (i % 7 < 3) * 10;
        sched_enqueue(&q, &other[i]);
        sched_entity_init(&e[i], 256, 1);
        sched_enqueue(&q, &e[i]);
        if (i % 3 == 0)
            sched_dequeue(&q, &other[i]);
    }
    for (unsigned i = 0; i < 50; i++) {
        cr_assert(sched_first(&q) == &e[i], "turn %u", i);
        sched_dequeue(&q, &e[i]);
    }
}

/* Behind the last of those who wait, and no further. */
Test(sched_policy, yield_goes_behind_the_last)
{
    struct sched_queue q;
    struct sched_entity e[4];
    sched_queue_init(&q);
    for (unsigned i = 0; i < 4; i++) {
        sched_entity_init(&e[i], 256, 1);
        e[i].vruntime = q.floor + i * 1000;
        if (i < 3)
            sched_enqueue(&q, &e[i]);
    }
    e[3].vruntime = q.floor;
    sched_give_way(&q, &e[3]);
    assert_eq_long(e[3].vruntime, e[2].vruntime + 1);

    /* a new queue has a new last */
    for (unsigned i = 0; i < 3; i++)
        sched_dequeue(&q, &e[i]);
    sched_enqueue(&q, &e[1]);
    e[3].vruntime = q.floor;
    sched_give_way(&q, &e[3]);
    assert_eq_long(e[3].vruntime, e[1].vruntime + 1);
}

/* --- caps
 * ------------------------------------------------------------------------------------------------------
 */

/* One spinner with a cap, stepped as sched.c would: it runs for what is left, or until @tick is
 * over. */
static double capped_share(uint32_t percent, uint64_t tick)
{
    struct sched_cap cap = {0};
    uint64_t now = NS_S, got = 0, end = now + 10 * NS_S;

    while (now < end) {
        uint64_t run = MIN(MAX(sched_cap_left(&cap, percent), 1ull), tick);
        now += run;
        got += run;
        if (sched_cap_charge(&cap, percent, now, run)) {
            now = MAX(now, cap.period_end);
            while (sched_cap_charge(&cap, percent, now, 0))
                now = cap.period_end;
        }
    }
    return (double)got / (10.0 * NS_S);
}

Test(sched_policy, caps_hold)
{
    static const uint32_t percent[] = {1, 5, 10, 25, 50, 90};
    for (unsigned i = 0; i < ARRAY_SIZE(percent); i++) {
        double want = percent[i] / 100.0;
        static const uint64_t tick[] = {10000, 1000000, 6000000,
                                        200000000 /* charged far too late */};
        for (unsigned k = 0; k < ARRAY_SIZE(tick); k++) {
            double got = capped_share(percent[i], tick[k]);
            cr_assert(got < want + 0.03 && got > want - 0.03,
                      "cap %u%%, charged every %lu us: %.3f", percent[i],
                      (unsigned long)tick[k] / 1000, got);
        }
    }
}
