/* Bounds of a counter's rate: simulated clocks, looked at by brackets of chance, and the true rate lies between the bounds. */
#include "suite.h"
#include "rate.h"

TestSuite(rate);

#define EDGES 16u

/* The counter's value when tick @n of a clock of @hz begins, if the counter has @rate. */
static uint64_t counter_at(uint64_t n, uint64_t hz, uint64_t rate)
{
    return (uint64_t)((unsigned __int128)n * rate / hz);
}

/* A loop that reads the clock every @step counts, from count @at on, until it has seen a tick begin. */
static struct rate_bracket see_edge(struct random *r, const struct rate_clock *c, uint64_t rate,
                                    uint64_t at, uint64_t step)
{
    const uint64_t tick = (uint64_t)((unsigned __int128)at * c->hz / rate) + 1;
    const uint64_t begins = counter_at(tick, c->hz, rate);
    const uint64_t before = random_below(r, step + 1);

    return (struct rate_bracket){(uint32_t)(tick & c->mask), begins - before - 1,
                                 begins + (step - before) + 1};
}

static struct rate_bounds measure(struct random *r, const struct rate_clock *c, uint64_t rate,
                                  uint64_t start, uint64_t wait, uint64_t step)
{
    struct rate_bracket from[EDGES], to[EDGES];
    struct rate_bounds b = RATE_UNKNOWN;

    for (unsigned i = 0; i < EDGES; i++) {
        const uint64_t tick = counter_at(i + 1, c->hz, rate) + 1;
        from[i] = see_edge(r, c, rate, start + tick, step);
        to[i] = see_edge(r, c, rate, start + wait + tick, step);
    }
    for (unsigned i = 0; i < EDGES; i++)
        for (unsigned j = 0; j < EDGES; j++)
            rate_narrow(&b, c, &from[i], &to[j]);
    return b;
}

Test(rate, the_true_rate_lies_between_the_bounds)
{
    const struct rate_clock clock[] = {{3579545, 0xffffff}, {1193182, 0xffff}};
    struct random r = random_start(3);

    for (unsigned i = 0; i < 2000; i++) {
        const struct rate_clock *c = &clock[i % 2];
        const uint64_t rate = 100000000 + 1000 * (uint64_t)random_below(&r, 4900000);
        const uint64_t wait = rate / 10000, step = 5 + random_below(&r, 30);
        const uint64_t start = random_below(&r, rate * 100); /* the clock's counter turns over */
        const struct rate_bounds b = measure(&r, c, rate, start, wait, step);

        cr_assert(b.low <= rate && rate <= b.high, "%lu is not in [%lu, %lu]", rate, b.low, b.high);
        const uint64_t middle = rate_middle(&b),
                       off = middle > rate ? middle - rate : rate - middle;
        cr_assert(off * 1000000 <= rate_error(&b) * middle, "%lu for %lu, error %lu", middle, rate,
                  rate_error(&b));
    }
}

/* One pair of brackets 20 wide over 100,000 is good for 200 parts in a million; sixteen at each end for a fraction of that. */
Test(rate, many_brackets_say_more_than_one)
{
    const struct rate_clock c = {3579545, 0xffffff};
    struct random r = random_start(5);
    uint64_t sum = 0;

    for (unsigned i = 0; i < 100; i++) {
        const struct rate_bounds b = measure(&r, &c, 1000000000, i * 7777, 100000, 20);
        cr_assert(rate_error(&b) < 100);
        sum += rate_error(&b);
    }
    cr_assert(sum < 100 * 50, "%lu parts in a million on average", sum / 100);
}

Test(rate, nothing_is_learned_where_nothing_passed)
{
    const struct rate_clock c = {1000, 0xff};
    const struct rate_bracket a = {5, 100, 110}, same = {5, 300, 310}, overlaps = {6, 105, 120};
    struct rate_bounds b = RATE_UNKNOWN;

    rate_narrow(&b, &c, &a, &same);
    rate_narrow(&b, &c, &a, &overlaps);
    cr_assert(b.low == 0 && b.high == ~0ull);
    cr_assert(rate_error(&b) == 1000000);
}

Test(rate, a_counter_that_changes_its_rate_shows_as_an_error)
{
    const struct rate_clock c = {1000, 0xffff};
    const struct rate_bracket a = {0, 0, 1}, slow = {100, 10000, 10001}, fast = {200, 30000, 30001};
    struct rate_bounds b = RATE_UNKNOWN;

    rate_narrow(&b, &c, &a, &slow);
    rate_narrow(&b, &c, &a, &fast);
    cr_assert(b.low > b.high);
    cr_assert(rate_error(&b) > 100000);
}
