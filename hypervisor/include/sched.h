/*
 * Which vCPU runs where: one run queue per physical CPU, weighted-fair with caps (core/sched.c).
 */
#pragma once

#include "domain.h"

void sched_init_cpu(unsigned cpu);           /* creates the idle vCPU of @cpu */
struct vcpu *sched_idle_vcpu(unsigned cpu);

/* Set / clear reasons not to run.  vcpu_unpause wakes it when the last one goes; vcpu_pause of a vCPU that runs
 * elsewhere asks it to stop and does not wait (vcpu_pause_sync does). */
void vcpu_pause(struct vcpu *v, uint32_t why);
void vcpu_pause_sync(struct vcpu *v, uint32_t why);
void vcpu_unpause(struct vcpu *v, uint32_t why);

/* Give up the CPU: pick the next vCPU and switch to it.  Returns when this vCPU runs again. */
void schedule(void);

/* A point in a long operation where it may be put aside for others; serves interrupts, then schedule() if asked.
 * Returns true if the domain is dying and the operation should be cut short where that is safe. */
bool preempt_point(void);

/* The upcall state of @v may have become deliverable: wake it, or make the CPU that runs it look. */
void vcpu_kick(struct vcpu *v);

/* Work that belongs to no vCPU (domain teardown, rebuild): run in the idle vCPU of CPU 0, preemptible. */
struct work {
    struct list link;
    void (*run)(struct work *);
};
void work_add(struct work *w);

/* Body of every idle vCPU. */
noreturn_ void idle_loop(void);

/* Publish the run-state and time areas of @v to guest memory (called on the way to the guest, EXIT_RUNSTATE). */
void vcpu_publish_areas(struct vcpu *v);
void vcpu_set_runstate(struct vcpu *v, enum vcpu_run_state s);
