/*
 * Processors, and the lock that makes the kernel one critical section.
 *
 * Whoever is in the kernel holds the lock: it is taken where a process or the
 * idle loop is left (trap_handle, sched_idle) and dropped where they are gone
 * back to.  sched_switch passes it from one task to the next, so it belongs to a
 * CPU, not to a task.  Below it nothing else needs a lock.  It costs six
 * instructions, and what would be gained by more and smaller ones is small as
 * long as processes spend their time outside the kernel.
 */
#pragma once

#include "list.h"
#include "platform/platform.h"

struct space;
struct task;

/**
 * struct cpu - one processor.
 *
 * I1  @current is the task whose kernel stack the CPU is on, or would be on if it
 *     entered the kernel; that task's @cpu points back.
 * I2  @loaded is the space of @current if that has one.  Otherwise, idle or in a
 *     kernel thread, it is whatever was loaded last: often it is wanted again.
 */
struct cpu {
    unsigned number;
    struct task *current, *idle;
    struct space *loaded;

    /* timer.c */
    struct list timers;  /* to be fired by this CPU, by deadline */
    uint64_t programmed; /* the deadline that its clock knows; ~0 is none */

    /* The turn of @current (sched.c). */
    uint64_t slice_deadline; /* ~0: it is not limited, or over */
    bool slice_over;
};

extern struct cpu cpus[CPU_MAX];
extern unsigned cpu_count; /* those that are running, numbered from 0 */

static inline cpus_t cpu_bit(const struct cpu *cpu)
{
    return (cpus_t)1 << cpu->number;
}

/* Before anything else: the CPU that booted, and @idle, who runs on it. */
void cpu_boot(struct task *idle);
/* Start all others. */
void cpus_start(void);

extern uint32_t kernel_lock_word;
void kernel_lock_wait(void);

static inline void kernel_lock(void)
{
    if (__atomic_exchange_n(&kernel_lock_word, 1, __ATOMIC_ACQUIRE))
        kernel_lock_wait();
}

static inline void kernel_unlock(void)
{
    __atomic_store_n(&kernel_lock_word, 0, __ATOMIC_RELEASE);
}
