/*
 * CPU time: what tasks and processes have used of it, as programs and in the kernel, and the timers that it drives.
 *
 * Time in the kernel is counted in cycles between a task's way in and its way out, without what it slept or waited;
 * cycles become nanoseconds when somebody asks.
 */
#pragma once

#include "process.h"

struct cpu_time {
    uint64_t total, system; /* ns; what is not the system's is the program's own */
};

/* Low half of the cycle counter: stretches in the kernel are shorter than it takes to come round (a second and more). */
static inline uint32_t cycles_now(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return low;
}

/* Time in the kernel begins: the task comes from its program, or is given the CPU; and ends: it goes back, or gives the CPU up. */
static inline void cpu_time_enter(struct task *task)
{
    task->entered = cycles_now();
}
static inline void cpu_time_leave(struct task *task)
{
    task->system_cycles += (uint32_t)(cycles_now() - task->entered);
}

struct cpu_time task_cpu_time(const struct task *task);
struct cpu_time process_cpu_time(const struct process *process);
/* What was noted: @total ns, @cycles of them in the kernel. */
struct cpu_time cpu_time(uint64_t total, uint64_t cycles);
/* Of all children that were waited for. */
struct cpu_time children_cpu_time(const struct process *process);

/* All CPU timers of a process, made when it first asks for one, or for a limit. */
struct cpu_timers {
    struct list running;
    struct timer look; /* when to look at them next, while the process runs... */
    struct process *process;
    bool needed;                               /* ...if there is anything to look at */
    struct cpu_timer itimers[CPU_CLOCK_KINDS]; /* setitimer's */
};

/* The running process's, made if need be; NULL without memory. */
struct cpu_timers *cpu_timers_get(struct process *process);

/* The reading of @clock for @process, or its thread @tid. */
uint64_t cpu_clock_read(const struct process *process, int tid, enum cpu_clock clock);
void cpu_timer_init(struct cpu_timer *timer, enum cpu_clock clock, int tid,
                    void (*expired)(struct cpu_timer *, struct process *, uint64_t));
/* The process must have cpu_timers_get()'s.  Have @timer expire when its clock shows @at, and every @interval after that; 0 is never. */
void cpu_timer_start(struct process *process, struct cpu_timer *timer, uint64_t at,
                     uint64_t interval);
void cpu_timer_stop(struct cpu_timer *timer);
/* RLIMIT_CPU of @process has been set: 0, or -ENOMEM. */
MUST_CHECK int cpu_limit_changed(struct process *process);

/* A task of their process is given a CPU: look after them while it runs. */
void cpu_timers_watch(struct cpu_timers *timers);
void cpu_timers_free(struct process *process);
