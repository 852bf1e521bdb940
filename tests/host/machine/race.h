/*
 * Races: two or three operations on CPUs of their own, played in every order that matters.
 *
 * Each operation is a function on a stack of its own.  Before every atomic step of core (atomic-ops.h) the scheduler here may let
 * another one run; and it does so whenever one waits (arch_relax) or has ended.  race_explore() plays every way to do that with at
 * most so many forced switches, starting with each operation.  Only steps on words that two of the operations touch, and one of
 * them writes, are worth a switch: which these are is learnt while playing, and what was learnt too late is played again.
 *
 * What this cannot see: steps that are not atomic operations (they belong to locks, which are), and a processor that reorders.
 */
#pragma once

#include "types.h"

#define RACE_OPS      3u
#define RACE_SWITCHES 6u

struct race_op {
    const char *name;
    void (*run)(void *arg);
    void *arg;
    unsigned cpu; /* on which it starts */
};

/*
 * Play all ways to run @ops[0..@count) with at most @switches forced switches.  @begin makes the world for each, @end looks at what
 * came out; race_told() says what was played.  The number of runs.
 */
unsigned long race_explore(const struct race_op *ops, unsigned count, unsigned switches,
                           void (*begin)(void), void (*end)(void));

/* What is, or was last, played: for messages. */
const char *race_told(void);

/* Called by the machine: somebody waits.  True: others have run meanwhile.  False: there is nobody else. */
bool race_wait(void);
/* Called before each atomic operation, outside of races, too: what another CPU does to a word that a guest may write.  NULL: nobody. */
extern void (*race_adversary)(const volatile void *at, bool write);
/* Called by the machine: this CPU halts.  True: somebody has kicked it.  False: nobody is left who could. */
bool race_halt(void);
/* Called by the machine: who runs has left its stack, and is not going to come back to it. */
void race_end(void);
/* Does the operation that runs now do so on @cpu, where it started? */
bool race_is_on(unsigned cpu);
/* Is CPU @cpu in the middle of one of the operations? */
bool race_holds_cpu(unsigned cpu);
