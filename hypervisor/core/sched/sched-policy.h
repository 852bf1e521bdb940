/*
 * Who runs next: the policy of the scheduler, pure arithmetic on one queue (core/sched/sched-policy.c).
 *
 * Nothing here knows of vCPUs, locks, interrupts or the clock, so a host test can simulate hours
 * of it.  core/sched/sched.c calls it with the queue's lock held and supplies the time.
 */
#pragma once

#include "heap.h"

#define SCHED_WEIGHT_NORMAL 256u
#define SCHED_SLICE         6000000u /* ns: longest run while others wait */
/* ns of weighted time that a domain's sleepers may lag behind the queue, all together */
#define SCHED_SLEEP_CREDIT 4000000u
#define SCHED_WAKE_MARGIN \
    500000u /* a woken entity preempts when it lags by more than this, in ns; */
#define SCHED_SLEEP_MARGIN 100000u   /* one that lags behind the floor, because it slept, by this */
#define SCHED_YIELD_SPAN   2000000u  /* a yield gives way by at most this much */
#define SCHED_CAP_PERIOD   50000000u /* caps are kept over this much real time */

/* Something that wants a CPU. */
struct sched_entity {
    union {
        struct heap_node node;
        uint64_t vruntime; /* the node's key: CPU time consumed, in ns scaled by NORMAL / weight */
    };
    uint32_t weight; /* share relative to others; at least 1 */
    uint32_t credit; /* ns of weighted time that it may lag behind the queue when it has slept */
    uint8_t queued;
};

/* Those that wait for one CPU, least vruntime first, equals in order of arrival; the running one is not among them. */
struct sched_queue {
    struct heap_node *first;
    uint64_t floor; /* never falls: least vruntime that anybody who kept wanting the CPU has */
    uint64_t
        last; /* nobody who waits has more; somebody has it who does, or was taken out of turn */
    uint32_t count, arrivals;
};

void sched_queue_init(struct sched_queue *q);
/* @sharers: so many have one credit between them, that of their domain.  With more than eight, one that wakes beside a spinner may
 * wait until that is SCHED_SLEEP_MARGIN ahead of it. */
void sched_entity_init(struct sched_entity *e, uint32_t weight, uint32_t sharers);

/* Add @e.  If it slept, its lag is cut to its credit; if it never ran it has none. */
void sched_enqueue(struct sched_queue *q, struct sched_entity *e);
/* @e, not queued, has not slept but had nothing to do: it is due no CPU time for that, and so far behind its
 * turn that whoever wakes preempts it. */
void sched_forget_credit(const struct sched_queue *q, struct sched_entity *e);
void sched_dequeue(struct sched_queue *q, struct sched_entity *e);
/* The one that should run now, left in the queue; NULL if nobody waits. */
static inline struct sched_entity *sched_first(const struct sched_queue *q)
{
    return q->first ? container_of(q->first, struct sched_entity, node) : NULL;
}
/* @e ran on @q's CPU for @ns. */
void sched_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ns);
/* Should @woken, just queued, take the CPU from @running, just charged? */
bool sched_preempts(const struct sched_queue *q, const struct sched_entity *running,
                    const struct sched_entity *woken);
/* How long @running, which begins or goes on, may run before @q is looked at again; ~0 if nobody waits. */
uint64_t sched_slice(const struct sched_queue *q, const struct sched_entity *running);
/* @e, not queued, gives way to those who wait. */
void sched_give_way(struct sched_queue *q, struct sched_entity *e);
/* @e, not queued, moves to another CPU's queue and keeps its lag. */
void sched_move(const struct sched_queue *from, const struct sched_queue *to,
                struct sched_entity *e);

/* A domain's cap: @percent of one CPU in each period.  An overdraft is paid back by later periods. */
struct sched_cap {
    uint64_t period_end;
    uint64_t used; /* ns in this period */
};

/* Its vCPUs ran for @ns until @now.  True: the cap is used up, nobody runs before @cap->period_end. */
bool sched_cap_charge(struct sched_cap *cap, uint32_t percent, uint64_t now, uint64_t ns);
/* How long one vCPU may run from now on. */
uint64_t sched_cap_left(const struct sched_cap *cap, uint32_t percent);
