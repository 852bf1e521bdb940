/*
 * Which vCPU runs where: one run queue per physical CPU, weighted-fair with caps (core/sched/sched.c).
 */
#pragma once

#include "arch.h"
#include "domain.h"

/* The run queue of @cpu, whose idle vCPU, just made, is @idle. */
void sched_init_cpu(unsigned cpu, struct vcpu *idle);
struct vcpu *sched_idle_vcpu(unsigned cpu);

/* A new vCPU / domain, all zero but for id, domain, pause and weight: set up the fields that sched.c, timer.c and
 * runstate.c own, but for its timers (vcpu_timers_init).  Destroy: nothing of it is queued or armed any more; it must not be running. */
void sched_vcpu_init(struct vcpu *v);
void sched_vcpu_destroy(struct vcpu *v);
void sched_domain_init(struct domain *d);
void sched_domain_destroy(struct domain *d);

/* Set / clear reasons not to run.  vcpu_unpause wakes it when the last one goes; vcpu_pause of a vCPU that runs
 * elsewhere asks it to stop and does not wait.  vcpu_pause_sync does, gives up the CPU meanwhile, and returns when
 * @v is neither running nor in the middle of an operation; for work only: two vCPUs that waited for each other's
 * operations would wait for ever. */
void vcpu_pause(struct vcpu *v, uint32_t why);
void vcpu_pause_sync(struct vcpu *v, uint32_t why);
/* @v, which is paused, is neither running nor in the middle of an operation: it will do nothing more. */
bool vcpu_is_stopped(const struct vcpu *v);
void vcpu_unpause(struct vcpu *v, uint32_t why);
/* Restrict @v to the physical CPUs in @set (some of which are online); it moves when it next stops running. */
void vcpu_set_affinity(struct vcpu *v, uint64_t set);

struct vcpu_runstate_info;
/* Times of @v's states until now, whole, of any vCPU, on whatever CPU it is.  Takes its queue's lock. */
void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *info);

/*
 * Give up the CPU: pick the next vCPU and switch to it.  Returns when this vCPU runs again, that is, when its
 * pause is 0.  To be called where the vCPU can be left for good: on the way to the guest, or to sleep.
 */
void schedule(void);
/* Let others run in the middle of an operation.  Unlike schedule(), comes back whatever the reasons to pause
 * other than PAUSE_SLEEP, so that locks and references held here are given back. */
void sched_yield(void);
/* Sleep in the middle of an operation, other reasons to pause aside, until the PAUSE_SLEEP reason @why, which the caller has set under
 * a lock, is gone; take it away from a vCPU that sleeps so, or is about to.  An idle vCPU may sleep so, too. */
void sched_sleep(uint32_t why);
void sched_wake(struct vcpu *v, uint32_t why);
/* The first thing on a new vCPU's stack, after arch_switch() has switched to it for the first time. */
void sched_tail(void);

/* A point in a long operation where it may be put aside for others; serves interrupts, then sched_yield() if asked.
 * Returns true if the domain is being ended: the operation should be cut short where that is safe. */
bool preempt_point(void);

/*
 * The same for where nothing is held: no lock, no reference, no memory that only the caller's stack knows of.  There a vCPU whose
 * domain is over its cap, or that is paused for another reason, sleeps until it may go on; it may be left for good.  To be
 * in every loop whose length a guest chooses: a call may last as long as the guest likes, but gets no more CPU time than the cap.
 *
 * A loop that holds something has preempt_point(), and when pause_is_due() lets go, and comes to a pause_point().  Who acts on another
 * domain has the control role, is trusted, and holds a reference to that domain: it goes on (pause_point_on).
 */
bool pause_point(void);
static inline bool pause_is_due(void)
{
    return atomic_read(&current_vcpu()->pause) != 0;
}
static inline bool pause_point_on(const struct domain *d)
{
    return d == current_vcpu()->domain ? pause_point() : preempt_point();
}

/* The upcall state of @v may have become deliverable: wake it, or make the CPU that runs it look. */
void vcpu_kick(struct vcpu *v);

/* Who pays for work that is done in a domain's name; it outlives the domain. */
struct work_account {
    uint32_t weight; /* as a domain's, 0: normal */
    uint64_t spent;  /* ns since work_spent() */
};

/*
 * Work that belongs to no vCPU (domain teardown, rebuild): run in the idle vCPU of CPU 0, preemptible.
 * May be called from anywhere; adding what is queued already changes nothing.
 *
 * It competes with the weight of those that it is done for, all that wait together, so that nobody gets more of the
 * machine by ending and beginning than by running, and nobody's end waits for a weightless one's.  What it takes is
 * added to the account; of a domain with a cap that is paid back before it runs (sched_domain_charge).
 */
struct work {
    struct list link; /* next == NULL: not queued */
    void (*run)(struct work *);
    struct work_account *
        account; /* NULL: nobody's; may change at any time: a run is charged to what it is as it begins */
    uint32_t weight; /* what it was queued with */
};
void work_add(struct work *w);
/* In work: what its account has been charged since this was asked last. */
uint64_t work_spent(void);
/* @ns of work were done for @d, which has not run yet: what its cap does not allow it pays back first. */
void sched_domain_charge(struct domain *d, uint64_t ns);

/* Another weight and another cap for @d, which may run; 0 is no cap.  One caller at a time (d->control). */
void sched_domain_adjust(struct domain *d, uint32_t weight, uint32_t cap) REQUIRES(&d->control);

/* Body of every idle vCPU. */
noreturn_ void idle_loop(void);
