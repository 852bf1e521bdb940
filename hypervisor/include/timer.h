/*
 * One-shot software timers: a heap per physical CPU, served by that CPU's hardware timer.
 * Deadlines are system time in nanoseconds (arch_now).  Handlers run with interrupts off,
 * in interrupt context: they mark vCPUs and raise events, nothing longer.
 */
#pragma once

#include "types.h"

struct timer {
    uint64_t deadline;
    void (*fire)(struct timer *);
    uint32_t slot; /* index in the heap + 1; 0: not queued */
    uint16_t cpu;  /* whose heap it is in */
};

void timer_init(struct timer *t, void (*fire)(struct timer *));
/* Arm (or re-arm) on the calling CPU.  A deadline in the past fires as soon as interrupts are served. */
void timer_set(struct timer *t, uint64_t deadline);
void timer_stop(struct timer *t);
/* The hardware timer of this CPU went off: run what is due and program the next. */
void timer_interrupt(void);
