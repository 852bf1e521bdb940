/* Things to do at a given time. */
#pragma once

#include "list.h"

struct cpu;

struct timer {
    struct list link;
    uint64_t deadline; /* platform_time */
    void (*expired)(struct timer *timer);
};

void timer_init(struct timer *timer, void (*expired)(struct timer *timer));
/* Start (or restart) @timer; it will be fired by the CPU that does this. */
void timer_start(struct timer *timer, uint64_t deadline);
/* Stop it; harmless if it is not running. */
void timer_stop(struct timer *timer);
bool timer_running(const struct timer *timer);

/* The scheduler's deadline for this CPU, which shares its timer; ~0 is none.  When it has passed,
 * cpu->slice_over is set. */
void timer_set_slice(struct cpu *cpu, uint64_t deadline);

/* Later than anybody will wait; beyond it deadlines and spans are not told apart. */
#define TIME_FAR (1ul << 62)

/* @seconds and @ns, neither negative, in nanoseconds; TIME_FAR if that is too much. */
static inline uint64_t time_span(uint64_t seconds, uint64_t ns)
{
    return seconds < TIME_FAR / 1000000000 && ns < TIME_FAR
               ? MIN(seconds * 1000000000 + ns, TIME_FAR)
               : TIME_FAR;
}

/* Nanoseconds since 1970. */
uint64_t clock_now(void);
void clock_init(void);
void clock_set(uint64_t now);
