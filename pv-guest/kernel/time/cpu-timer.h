/* Timers that count CPU time; cpu-time.h has what can be done with them. */
#pragma once

#include "list.h"

struct process;

/* Which of the times drives a timer or shows on a clock. */
enum cpu_clock { CPU_CLOCK_ALL, CPU_CLOCK_PROGRAM, CPU_CLOCK_KINDS };

/* A timer of a process, or of one thread of it (@tid not 0), that counts CPU time.  Not running: @at 0. */
struct cpu_timer {
    struct list link; /* process->cpu_timers */
    enum cpu_clock clock;
    int tid;
    uint64_t at, interval; /* ns of that clock */
    void (*expired)(struct cpu_timer *timer, struct process *process, uint64_t periods);
};
