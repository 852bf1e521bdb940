/* Sets of numbers as ranges, for few of them: everything is a walk from the lowest. */
#include "range-set.h"

#include "lib.h"

/* The first range that ends at @number or above it. */
static unsigned range_at(const struct range_set *s, uint64_t number)
{
    unsigned i = 0;

    while (i < s->count && s->range[i].last < number)
        i++;
    return i;
}

/* Ranges @from to @to - 1 become the @n of @with.  False: no room. */
static bool splice(struct range_set *s, unsigned from, unsigned to, const struct number_range *with,
                   unsigned n)
{
    if (s->count - (to - from) + n > s->room)
        return false;
    memmove(&s->range[from + n], &s->range[to], (s->count - to) * sizeof(*with));
    memcpy(&s->range[from], with, n * sizeof(*with));
    s->count = s->count - (to - from) + n;
    return true;
}

bool range_set_add(struct range_set *s, uint64_t first, uint64_t last)
{
    /* Those that only touch it melt into it, too. */
    const unsigned from = range_at(s, first ? first - 1 : 0);
    unsigned to = from;
    struct number_range all = {first, last};

    for (; to < s->count && (last == ~0ull || s->range[to].first <= last + 1); to++) {
        all.first = MIN(all.first, s->range[to].first);
        all.last = MAX(all.last, s->range[to].last);
    }
    return splice(s, from, to, &all, 1);
}

bool range_set_remove(struct range_set *s, uint64_t first, uint64_t last)
{
    const unsigned from = range_at(s, first);
    unsigned to = from, n = 0;
    struct number_range left[2];

    while (to < s->count && s->range[to].first <= last)
        to++;
    if (to == from)
        return true;
    if (s->range[from].first < first)
        left[n++] = (struct number_range){s->range[from].first, first - 1};
    if (s->range[to - 1].last > last)
        left[n++] = (struct number_range){last + 1, s->range[to - 1].last};
    return splice(s, from, to, left, n);
}

bool range_set_meets(const struct range_set *s, uint64_t first, uint64_t last)
{
    const unsigned i = range_at(s, first);

    return i < s->count && s->range[i].first <= last;
}

bool range_set_has(const struct range_set *s, uint64_t number)
{
    return range_set_meets(s, number, number);
}
