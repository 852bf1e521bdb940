/* Timers: they fire in order, once, not before their time, also when re-armed and stopped from
 * handlers. */
#include "suite.h"
#include "race.h"
#include "timer.h"

#define TIMERS 64u

static struct entry {
    struct timer t;
    uint64_t fired_at, due;
    unsigned fired;
} entry[TIMERS];
static uint64_t last;
static unsigned order_breaks;

static void fired(struct timer *t)
{
    struct entry *e = container_of(t, struct entry, t);
    e->fired++;
    e->fired_at = arch_now();
    order_breaks += e->due < last;
    last = e->due;
}

static void start(void)
{
    machine_start(2, 1024);
    for (unsigned i = 0; i < TIMERS; i++)
        timer_init(&entry[i].t, fired);
}

TestSuite(timer, .init = start);

static void arm(unsigned i, uint64_t in)
{
    entry[i].due = arch_now() + in;
    timer_set(&entry[i].t, entry[i].due);
}

Test(timer, fires_once_and_not_early)
{
    arm(0, 1000);
    machine_advance(999);
    assert_eq_long(entry[0].fired, 0);
    machine_advance(1);
    assert_eq_long(entry[0].fired, 1);
    machine_advance(1000000);
    assert_eq_long(entry[0].fired, 1);
    assert_eq_long(machine.cpu[0].deadline, ~0ull);
}

Test(timer, past_deadline_fires_at_the_next_interrupt)
{
    timer_set(&entry[0].t, 5);
    machine_advance(0);
    assert_eq_long(entry[0].fired, 1);
}

Test(timer, many_fire_in_order)
{
    struct random r = random_start(3);
    for (unsigned i = 0; i < TIMERS; i++)
        arm(i, random_below(&r, 100000));
    machine_advance(200000);
    for (unsigned i = 0; i < TIMERS; i++) {
        assert_eq_long(entry[i].fired, 1);
        assert_eq_long(entry[i].fired_at, entry[i].due);
    }
    assert_eq_long(order_breaks, 0);
}

/* One interrupt runs a bounded number of handlers, and the hardware interrupts again at once for the rest. */
Test(timer, one_interrupt_is_not_for_all)
{
    unsigned runs = 0, turns = 0;

    for (unsigned i = 0; i < TIMERS; i++)
        arm(i, 100);
    machine.now += 100;
    for (; runs < TIMERS; turns++) {
        cr_assert(machine.cpu[0].deadline <= machine.now,
                  "the hardware waits while %u timers are due", TIMERS - runs);
        timer_interrupt();
        unsigned now = 0;
        for (unsigned i = 0; i < TIMERS; i++)
            now += entry[i].fired;
        cr_assert(now > runs && now - runs <= 32, "%u in one interrupt", now - runs);
        runs = now;
    }
    assert_eq_long(order_breaks, 0);
}

/* All but one are one owner's: the other's is not behind them all, theirs come in windows, and a timer that waits can be stopped. */
Test(timer, many_of_one_owner_let_others_go_first)
{
    static struct timer_owner many, few;
    unsigned before = 0, runs = 0;

    for (unsigned i = 0; i < TIMERS; i++) {
        timer_init_owned(&entry[i].t, fired, i == TIMERS - 1 ? &few : &many);
        arm(i, i == TIMERS - 1 ? 101 : 100);
    }
    machine.now += 101;
    while (!entry[TIMERS - 1].fired) {
        cr_assert(machine.cpu[0].deadline <= machine.now);
        timer_interrupt();
    }
    for (unsigned i = 0; i < TIMERS - 1; i++)
        before += entry[i].fired;
    cr_assert(before <= 20, "%u fired before", before);

    unsigned stopped = 0;
    while (entry[stopped].fired)
        stopped++;
    timer_stop(&entry[stopped].t);
    for (unsigned window = 0; window < 4; window++) {
        machine_advance(100000);
        const unsigned then = runs;
        runs = 0;
        for (unsigned i = 0; i < TIMERS - 1; i++)
            runs += entry[i].fired;
        cr_assert(runs - then <= 20 || !window, "%u in one window", runs - then);
    }
    assert_eq_long(runs, TIMERS - 2);
    assert_eq_long(entry[stopped].fired, 0);
}

/* However many owners have many timers due at one moment, another's waits for one of each and for a few more. */
Test(timer, many_owners_are_ahead_by_one_timer_each)
{
    enum { OWNERS = 40, EACH = 20 };
    static struct timer_owner owner[OWNERS], single;
    static struct entry many[OWNERS * EACH];
    unsigned before = 0;

    for (unsigned i = 0; i < OWNERS * EACH; i++) {
        timer_init_owned(&many[i].t, fired, &owner[i % OWNERS]);
        timer_set(&many[i].t, 100);
    }
    timer_init_owned(&entry[0].t, fired, &single);
    arm(0, 101);
    machine.now += 101;
    while (!entry[0].fired) {
        cr_assert(machine.cpu[0].deadline <= machine.now);
        timer_interrupt();
    }
    for (unsigned i = 0; i < OWNERS * EACH; i++)
        before += many[i].fired;
    cr_assert(before <= OWNERS + 20, "%u fired before", before);

    /* The rest come soon, and none twice. */
    for (unsigned window = 0; window < OWNERS * EACH / 16 + 2; window++)
        machine_advance(100000);
    for (unsigned i = 0; i < OWNERS * EACH; i++)
        assert_eq_long(many[i].fired, 1);
}

/* Owned timers may be late, but each fires once, not early, and not when it has been stopped; on whatever CPU it was set. */
Test(timer, random_with_owners)
{
    static struct timer_owner owner[3];
    static bool armed[TIMERS];
    static unsigned expected[TIMERS];
    struct random r = random_start(5);

    for (unsigned i = 0; i < TIMERS; i++)
        if (i % 4)
            timer_init_owned(&entry[i].t, fired, &owner[i % 4 - 1]);
    for (unsigned step = 0; step < soak(20000); step++) {
        const unsigned i = random_below(&r, TIMERS);
        switch (random_below(&r, 5)) {
        case 0:
        case 1:
        case 2: /* often several at the same moment */
            arm(i, random_below(&r, 2) ? random_below(&r, 50000) : 1000);
            armed[i] = true;
            break;
        case 3:
            timer_stop(&entry[i].t);
            armed[i] = false;
            break;
        default:
            machine_advance(random_below(&r, random_below(&r, 10) ? 3000 : 1000000));
        }
        if (random_below(&r, 50) == 0)
            machine_on_cpu(random_below(&r, 2));
        for (unsigned k = 0; k < TIMERS; k++) {
            if (entry[k].fired == expected[k] + 1) {
                cr_assert(armed[k] && entry[k].due <= arch_now(), "step %u: timer %u", step, k);
                armed[k] = false;
                expected[k]++;
            }
            cr_assert(entry[k].fired == expected[k], "step %u: timer %u", step, k);
            cr_assert(!entry[k].t.queued == !armed[k], "step %u: timer %u", step, k);
        }
    }
    machine_advance(2000000);
    for (unsigned k = 0; k < TIMERS; k++)
        assert_eq_long(entry[k].fired, expected[k] + armed[k]);
    for (unsigned o = 0; o < 3; o++)
        for (unsigned cpu = 0; cpu < 2; cpu++)
            cr_assert(!owner[o].group[cpu].head && !owner[o].group[cpu].others);
}

Test(timer, stopped_and_rearmed)
{
    arm(0, 1000);
    arm(1, 2000);
    timer_stop(&entry[0].t);
    timer_stop(&entry[0].t); /* twice is fine */
    arm(1, 500);
    machine_advance(500);
    assert_eq_long(entry[1].fired, 1);
    arm(1, 5000);
    arm(1, 50000);
    machine_advance(10000);
    assert_eq_long(entry[0].fired, 0);
    assert_eq_long(entry[1].fired, 1);
    machine_advance(50000);
    assert_eq_long(entry[1].fired, 2);
}

Test(timer, each_cpu_has_its_own)
{
    arm(0, 1000);
    machine_on_cpu(1);
    arm(1, 500);
    assert_eq_long(machine.cpu[1].deadline, entry[1].due);
    assert_eq_long(machine.cpu[0].deadline, entry[0].due);
    arm(0, 200); /* moves here */
    machine_on_cpu(0);
    machine_advance(300);
    assert_eq_long(entry[0].fired, 1);
    machine_advance(5000);
    assert_eq_long(entry[0].fired, 1);
    assert_eq_long(entry[1].fired, 1);
}

static unsigned rearmed;
static void rearm(struct timer *t)
{
    if (++rearmed < 10)
        timer_set(t, t->deadline + 100);
}

Test(timer, handler_rearms_itself)
{
    struct timer t;
    timer_init(&t, rearm);
    timer_set(&t, arch_now() + 100);
    machine_advance(350);
    assert_eq_long(rearmed, 3);
    machine_advance(10000);
    assert_eq_long(rearmed, 10);
}

static void stop_others(struct timer *t)
{
    for (unsigned i = 0; i < TIMERS; i++)
        timer_stop(&entry[i].t);
}

Test(timer, handler_stops_others_that_are_due_too)
{
    struct timer t;
    timer_init(&t, stop_others);
    timer_set(&t, arch_now() + 10);
    for (unsigned i = 0; i < TIMERS; i++)
        arm(i, 20 + i);
    machine_advance(15);
    machine_advance(1000);
    for (unsigned i = 0; i < TIMERS; i++)
        assert_eq_long(entry[i].fired, 0);
}

/* The model is a plain array: who is armed, for when. */
Test(timer, random_against_a_model)
{
    static bool armed[TIMERS];
    static unsigned expected[TIMERS];
    struct random r = random_start(4);

    for (unsigned step = 0; step < soak(20000); step++) {
        unsigned i = random_below(&r, TIMERS);
        switch (random_below(&r, 4)) {
        case 0:
        case 1:
            arm(i, random_below(&r, 50000));
            armed[i] = true;
            break;
        case 2:
            timer_stop(&entry[i].t);
            armed[i] = false;
            break;
        default:
            last = 0;
            machine_advance(random_below(&r, 3000));
        }
        if (random_below(&r, 50) == 0)
            machine_on_cpu(random_below(&r, 2));
        for (unsigned k = 0; k < TIMERS; k++) {
            if (armed[k] && entry[k].due < arch_now()) {
                armed[k] = false;
                expected[k]++;
            } else if (armed[k] && entry[k].due == arch_now() && entry[k].fired > expected[k]) {
                armed[k] = false;
                expected[k]++;
            }
            cr_assert(entry[k].fired == expected[k],
                      "step %u: timer %u fired %u times, expected %u", step, k, entry[k].fired,
                      expected[k]);
            cr_assert(entry[k].t.queued == armed[k], "step %u: timer %u", step, k);
        }
    }
}

/* CPU 1 stops a timer whose handler runs on CPU 0: it comes back when the handler has, and what that had set again is off. */
static unsigned looks;

static void let_it_return(const volatile void *at, bool write)
{
    /* The word that says which handler runs: it says so for a while, and then no more. */
    struct timer **word = (struct timer **)(uintptr_t)at;

    if (!write && (uintptr_t)at % sizeof(*word) == 0 && *word == &entry[0].t && ++looks == 3)
        *word = NULL;
}

static void stopped_from_elsewhere(struct timer *t)
{
    entry[0].fired++;
    timer_set(t, arch_now() + 500);
    machine_on_cpu(1);
    race_adversary = let_it_return;
    timer_stop(t);
    race_adversary = NULL;
    machine_on_cpu(0);
}

Test(timer, stopping_waits_for_the_handler_on_another_cpu)
{
    timer_init(&entry[0].t, stopped_from_elsewhere);
    arm(0, 1000);
    machine_advance(1000);
    assert_eq_long(entry[0].fired, 1);
    assert_eq_long(looks, 3);
    machine_advance(10000);
    assert_eq_long(entry[0].fired, 1);
}
