/* Sets of numbers (frames of machine memory, say) as ranges (core/lib/range-set.c). */
#pragma once

#include "types.h"

struct number_range {
    uint64_t first, last; /* both belong to it */
};

/* Ascending, none touches the next.  The room is the owner's; who guards it, too. */
struct range_set {
    struct number_range *range;
    unsigned count, room;
};

#define RANGE_SET(array)                            \
    {                                               \
        .range = (array), .room = ARRAY_SIZE(array) \
    }

/* All of [@first, @last] belongs to it from now on, or nothing of it.  False: no room, and nothing has changed. */
bool range_set_add(struct range_set *s, uint64_t first, uint64_t last) must_check;
bool range_set_remove(struct range_set *s, uint64_t first, uint64_t last) must_check;
bool range_set_has(const struct range_set *s, uint64_t number);
/* Does any of [@first, @last] belong to it? */
bool range_set_meets(const struct range_set *s, uint64_t first, uint64_t last);
