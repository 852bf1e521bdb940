/* Bounds of a counter's rate, by a clock; see rate.h for the idea. */
#include "rate.h"

void rate_narrow(struct rate_bounds *b, const struct rate_clock *clock,
                 const struct rate_bracket *from, const struct rate_bracket *to)
{
    const uint64_t ticks = (to->tick - from->tick) & clock->mask;

    if (!ticks || to->low < from->high)
        return;
    const uint64_t low = (to->low - from->high) * clock->hz / ticks;
    const uint64_t high = ((to->high - from->low) * clock->hz + ticks - 1) / ticks;

    if (low > b->low)
        b->low = low;
    if (high < b->high)
        b->high = high;
}

uint64_t rate_middle(const struct rate_bounds *b)
{
    return b->low / 2 + b->high / 2 + (b->low & b->high & 1);
}

uint64_t rate_error(const struct rate_bounds *b)
{
    const uint64_t middle = rate_middle(b);
    const uint64_t half = (b->high > b->low ? b->high - b->low : b->low - b->high) / 2 + 1;

    if (!middle || half >= middle)
        return 1000000;
    return (half * 1000000 + middle - 1) / middle;
}
