/* Things to do at a given time. */
#pragma once

#include "list.h"

struct timer {
    struct list link;
    uint64_t deadline; /* platform_time */
    void (*expired)(struct timer *timer);
};

void timer_init(struct timer *timer, void (*expired)(struct timer *timer));
/* Start (or restart) @timer. */
void timer_start(struct timer *timer, uint64_t deadline);
/* Stop it; harmless if it is not running. */
void timer_stop(struct timer *timer);
bool timer_running(const struct timer *timer);

/* The scheduler's deadline, which shares the one hardware timer; ~0 is none. */
void timer_set_slice(uint64_t deadline);
/* When the clock was last found past the scheduler's deadline, the flag is set. */
bool timer_slice_over(void);

/* Nanoseconds since 1970. */
uint64_t clock_now(void);
void clock_init(void);
void clock_set(uint64_t now);
