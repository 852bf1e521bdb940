/*
 * What the files of the scheduler share: the run queue of each physical CPU (sched.c), caps (sched-cap.c), work (work.c).
 */
#pragma once

#include "sched.h"
#include "timer.h"

struct run_queue {
    spinlock_t lock;
    bool slice_ended; /* and nobody has rescheduled since */
    bool alarm;       /* this CPU's alarm is set */
    /* Where @leaving goes if it wants to run but is in no queue; this CPU: nothing was chosen. */
    unsigned destination;
    struct sched_queue queue;
    struct vcpu *current; /* who was picked last */
    struct vcpu *idle;
    struct vcpu *leaving; /* who was switched away from: until sched_tail */
    struct timer slice;
} __attribute__((aligned(64))); /* a power of two: found by a shift */
_Static_assert(sizeof(struct run_queue) == 128, "struct run_queue");

extern struct run_queue run_queues[MAX_CPUS];
extern uint32_t work_pending; /* so many are queued or running (atomic; work.c) */

static inline struct vcpu *vcpu_of(struct sched_entity *e)
{
    return container_of(e, struct vcpu, sched);
}

/* The idle vCPU of CPU 0 competes like any other while there is work. */
static inline bool has_work(const struct vcpu *v)
{
    return v->id == 0 && atomic_read(&work_pending);
}

/* @v is an idle vCPU without work.  One that has work, or is still booting, competes like any other. */
static inline bool is_idling(const struct vcpu *v)
{
    return v->is_idle && !has_work(v) && !v->unwinding;
}

static inline bool wants_cpu(const struct vcpu *v)
{
    if (unlikely(v->is_idle))
        return !is_idling(v);
    uint32_t pause = atomic_read(&v->pause);
    return !(unlikely(v->unwinding) ? pause & PAUSE_SLEEP : pause);
}

/* --- sched.c --- */

/* Lock the queue that @v belongs to. */
struct run_queue *run_queue_lock(struct vcpu *v) NO_ANALYSIS;
void run_queue_unlock(struct run_queue *rq) NO_ANALYSIS;
/* @v, which runs or idles, has done so until @now: it pays. */
void run_queue_charge(struct run_queue *rq, struct vcpu *v, uint64_t now) REQUIRES(rq->lock);
/* Put @v, woken, into the queue of v->cpu, and have that CPU reschedule, or end its slice earlier, if @v is due before. */
void run_queue_insert(struct run_queue *rq, struct vcpu *v) REQUIRES(rq->lock);
/* Have @cpu choose anew who runs. */
void run_queue_ask(unsigned cpu);

/* --- sched-cap.c --- */

void sched_cap_init(struct domain *d);
/* @v, whose domain has a cap, ran for @ns until @now; its queue's lock is held. */
cold_ void sched_cap_spend(struct vcpu *v, uint64_t now, uint64_t ns);

/* --- work.c --- */

/* @idle, an idle vCPU with work to do, ran for @ns: on whose account?  How much of it counts. */
uint64_t work_charge(const struct vcpu *idle, uint64_t ns);
/* In the idle vCPU of CPU 0: all that there is to do. */
void work_run_all(void);
