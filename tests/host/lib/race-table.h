/*
 * Tables of operations that are played against each other (machine/race.h).
 *
 * A row is an operation by one vCPU of one guest, or by the hypervisor itself on CPU 0.  The test makes the world the same
 * before each run and looks at it after; this file knows which results an operation may have, and runs the rows.
 */
#pragma once

#include "guest.h"
#include "race.h"

struct race_row {
    const char *name;
    long (*run)(struct guest *g);
    struct guest *by; /* whose vCPU g->v; NULL: nobody's */
    unsigned flags;   /* the test's own */
    long may[3];      /* results besides 0 and the errno of a refusal that was recorded */
};

struct race_played {
    const struct race_row *row;
    bool ended; /* it came to its end, with: */
    long rc;
    enum rule_id rule;
};

/* What is played now. */
extern struct race_played race_now[RACE_OPS];
extern unsigned race_now_count;

/* Does one of the rows have one of these flags?  All that have. */
unsigned race_flags(void);

/*
 * Play @count rows against each other with so many forced switches (PARAVANE_RACE_SWITCHES: as many as that says); @begin and @end as
 * for race_explore().  The number of runs.
 */
unsigned long race_play(const struct race_row *const *rows, unsigned count, unsigned switches,
                        void (*begin)(void), void (*end)(void));

/* Each that ended has a result that it may have.  Says what has not, and aborts. */
void race_check_results(void);
/* Who wants a CPU has one, or waits in its queue. */
void race_check_nobody_is_forgotten(const struct domain *d);

/* Says what is wrong and aborts; race.c tells what was played. */
#define race_wrong(...)               \
    do {                              \
        fprintf(stderr, __VA_ARGS__); \
        fprintf(stderr, "\n");        \
        abort();                      \
    } while (0)
