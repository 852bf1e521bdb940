/*
 * How fast is a counter, by a clock whose rate is known?  (core/lib/rate.c)
 *
 * A clock's tick is seen from a counter as a bracket: tick @tick began after @low and not after @high.  Two brackets
 * bound the rate from both sides, whatever lies between them:
 *
 *        low  high                        low  high
 *     ---[=====]----------------------------[=====]---> counter        (low2 - high1) <= ticks / rate <= (high2 - low1)
 *         tick 3                            tick 700
 *
 * Each pair of brackets gives such bounds, and all of them hold.  So many brackets at each end, at different places of a
 * tick, say far more than the narrowest, and what is left between the bounds is the error, with nothing assumed.
 */
#pragma once

#include "types.h"

struct rate_bracket {
    uint32_t tick;
    uint64_t low, high;
};

struct rate_clock {
    uint32_t hz, mask; /* its ticks count modulo mask + 1 */
};

struct rate_bounds {
    uint64_t low, high; /* of the counter, per second; nothing known yet: RATE_UNKNOWN */
};
#define RATE_UNKNOWN \
    {                \
        0, ~0ull     \
    }

/* Narrow @b by the pair of @from and @to, which came later, by less than a turn of the clock. */
void rate_narrow(struct rate_bounds *b, const struct rate_clock *clock,
                 const struct rate_bracket *from, const struct rate_bracket *to);
/* The middle of @b, which is wrong by rate_error() parts in a million at most, rounded up.  Bounds that contradict each other (a
 * counter or clock that does not keep its rate) have their middle, and the distance as their error. */
uint64_t rate_middle(const struct rate_bounds *b);
uint64_t rate_error(const struct rate_bounds *b);
