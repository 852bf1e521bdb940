/* Signals that have been sent and not yet been taken. */
#pragma once

#include "list.h"

/* What is told about a signal: siginfo's number and code, and what follows them. */
struct signal_info {
    int number, code;
    uint64_t words[2];
};

struct signal_set {
    uint64_t pending;
    struct list items; /* what is told about them; one of a pending number may be missing */
    unsigned count;
};

static inline void signal_set_init(struct signal_set *set)
{
    set->pending = 0;
    set->count = 0;
    list_init(&set->items);
}

/* Add a signal.  Those below SIGRTMIN count once, however often they are sent. */
void signal_set_add(struct signal_set *set, const struct signal_info *info);
/* Take the first signal @number out of @set, where it is pending. */
void signal_set_take(struct signal_set *set, int number, struct signal_info *info);
/* Forget all signals of @mask. */
void signal_set_drop(struct signal_set *set, uint64_t mask);
