/* Sets of numbers as ranges: against an array with a flag for each number, and their room. */
#include "suite.h"
#include "range-set.h"

#define NUMBERS 64u

TestSuite(range_set);

static void compare(const struct range_set *s, const bool *in)
{
    for (unsigned n = 0; n < NUMBERS; n++)
        cr_assert(range_set_has(s, n) == in[n], "number %u", n);
    for (unsigned i = 0; i < s->count; i++)
        cr_assert(s->range[i].first <= s->range[i].last &&
                      (i == 0 || s->range[i - 1].last + 1 < s->range[i].first),
                  "range %u", i);
}

Test(range_set, does_what_an_array_of_flags_does)
{
    struct number_range room[NUMBERS];
    struct range_set s = RANGE_SET(room);
    bool in[NUMBERS] = {0};
    struct random r = random_start(7);

    for (unsigned step = 0; step < 20000; step++) {
        const unsigned first = (unsigned)random_below(&r, NUMBERS),
                       last = first + (unsigned)random_below(&r, MIN(NUMBERS - first, 12u));
        const bool add = random_below(&r, 2);
        bool meets = false;
        for (unsigned n = first; n <= last; n++)
            meets |= in[n];
        cr_assert(range_set_meets(&s, first, last) == meets);
        cr_assert(add ? range_set_add(&s, first, last) : range_set_remove(&s, first, last));
        for (unsigned n = first; n <= last; n++)
            in[n] = add;
        compare(&s, in);
    }
}

Test(range_set, without_room_nothing_changes)
{
    struct number_range room[2];
    struct range_set s = RANGE_SET(room);

    cr_assert(range_set_add(&s, 10, 20) && range_set_add(&s, 30, 40));
    cr_assert(!range_set_add(&s, 50, 60));
    cr_assert(!range_set_remove(&s, 15, 16));
    cr_assert(s.count == 2 && !range_set_has(&s, 50) && range_set_has(&s, 15));
    cr_assert(range_set_add(&s, 21, 29), "what joins two needs no room");
    cr_assert(s.count == 1 && s.range[0].first == 10 && s.range[0].last == 40);
}

Test(range_set, the_ends_of_all_numbers)
{
    struct number_range room[4];
    struct range_set s = RANGE_SET(room);

    cr_assert(range_set_add(&s, 0, ~0ull));
    cr_assert(range_set_remove(&s, 0, 0) && range_set_remove(&s, ~0ull, ~0ull));
    cr_assert(!range_set_has(&s, 0) && range_set_has(&s, 1) && !range_set_has(&s, ~0ull));
    cr_assert(range_set_add(&s, ~0ull, ~0ull) && range_set_add(&s, 0, 0));
    cr_assert(s.count == 1);
}
