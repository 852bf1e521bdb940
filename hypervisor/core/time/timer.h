/*
 * One-shot software timers: a heap per physical CPU, served by that CPU's hardware timer (core/time/timer.c).
 * Deadlines are system time in nanoseconds (arch_now).  Handlers run with interrupts off,
 * in interrupt context: they mark vCPUs and raise events, nothing longer.
 */
#pragma once

#include "heap.h"

struct timer {
    union {
        struct heap_node node;
        uint64_t deadline; /* the node's key */
    };
    void (*fire)(struct timer *);
    struct timer_group *group; /* its owner's, or nobody's, of the CPU @cpu */
    uint16_t cpu;              /* whose heap it is, or last was, in */
    uint8_t queued;            /* where; 0: nowhere */
    uint8_t owned;
};

/* One owner's timers on one CPU; guarded by the heap's lock. */
struct timer_group {
    struct timer *head;       /* the earliest, which is in the heap; NULL: none is queued */
    struct heap_node *others; /* root of a heap of their own */
};
struct timer_owner {
    struct timer_group group[MAX_CPUS];
};

void timer_init(struct timer *t, void (*fire)(struct timer *));
/*
 * One of many of @owner's, which is all zero at first and outlives them.  One owner's may be due all
 * at once, before a timer of somebody else's: then that one waits for few of them, and some of them
 * come later than they are due, in all at most 16 within 100 us and one of each owner's.
 */
void timer_init_owned(struct timer *t, void (*fire)(struct timer *), struct timer_owner *owner);
/* Arm (or re-arm) on the calling CPU.  A deadline in the past fires as soon as interrupts are served. */
void timer_set(struct timer *t, uint64_t deadline);
/* Afterwards @t is not queued and its handler is not running on another CPU. */
void timer_stop(struct timer *t);
/* The hardware timer of this CPU went off: run what is due and program the next. */
void timer_interrupt(void);

/*
 * The alarm of a CPU: from timer_alarm_begin() on its handler is called after timer_alarm_period to
 * twice that, again and again until it returns false.  It runs as a timer's does, but with the heap's
 * lock held: it sets no timer.
 */
#define TIMER_ALARM 400000000ull              /* ns */
extern uint64_t timer_alarm_period;           /* TIMER_ALARM at most; set at boot */
void timer_alarm_init(bool (*handler)(void)); /* one for all CPUs, at boot */
void timer_alarm_begin(void);                 /* the calling CPU's */
