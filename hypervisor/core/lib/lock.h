/*
 * Locks: few, ranked, written down.
 *
 * The hypervisor runs with interrupts off except in the guest, in the idle loop
 * and at preemption points, so a spinlock needs no interrupt bookkeeping.  A CPU
 * that waits for one keeps answering TLB-flush requests (arch_relax), otherwise
 * two CPUs could wait for each other.
 *
 * A mutex is held across preemption points: a waiter looks for a moment, then sleeps until it is let go
 * (core/sched/mutex.c).  Only code that runs on behalf of a vCPU (idle's work included) takes one.
 *
 * LOCK_RANKS is the order in which locks may be nested: a CPU may take a lock only if
 * it holds none of a higher or equal rank.  Debug builds assert it on every spin_lock().
 */
#pragma once

#include "atomic.h"

#define LOCK_RANKS(RANK)                                                           \
    RANK(WALLCLOCK) /* the wall clock, until all domains show it */                \
    RANK(DOMAINS)   /* the table of domains */                                     \
    RANK(EVTCHN)    /* one domain's event channels (lower domid first when two) */ \
    RANK(GRANT)     /* one domain's grant table */                                 \
    RANK(MAPTRACK)  /* one vCPU's free handles of mapped grants; making more */    \
    RANK(CONSOLE)   /* console rings and the input focus */                        \
    RANK(LINES)     /* lines of interrupts, and their IO-APIC */                   \
    RANK(MESSAGES)  /* interrupts that are messages */                             \
    RANK(MASTERS)   /* whose a device that writes to memory is */                  \
    RANK(PCI)       /* PCI configuration space */                                  \
    RANK(DEVICES)   /* what is not RAM, and who may map it */                      \
    RANK(QUEUES)    /* one domain's event queues */                                \
    RANK(WORK)      /* the list of work for the idle vCPU */                       \
    RANK(WAITERS)   /* who sleeps for a mutex */                                   \
    RANK(SCHED)     /* one CPU's run queue */                                      \
    RANK(CAP)       /* one domain's CPU cap */                                     \
    RANK(WATCHDOG)  /* one domain's watchdogs */                                   \
    RANK(TIMER)     /* one CPU's timer heap */                                     \
    RANK(PIT)       /* one domain's interval timer */                              \
    RANK(SLABS)     /* small objects */                                            \
    RANK(PAGES)     /* the page allocator */                                       \
    RANK(STRACE)    /* the ring of records */                                      \
    RANK(PRINT)     /* the serial line */

#define RANK(name) LOCK_RANK_##name,
enum lock_rank { LOCK_RANK_NONE, LOCK_RANKS(RANK) };
#undef RANK

#if defined(__clang__)
#define CAPABILITY(x) __attribute__((capability(x)))
#define ACQUIRE(...)  __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASE(...)  __attribute__((release_capability(__VA_ARGS__)))
#define REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define ASSERTS(...)  __attribute__((assert_capability(__VA_ARGS__)))
#define NO_ANALYSIS   __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(x)
#define ACQUIRE(...)
#define RELEASE(...)
#define REQUIRES(...)
#define ASSERTS(...)
#define NO_ANALYSIS
#endif

typedef struct CAPABILITY("spinlock") spinlock {
    uint8_t held;
    uint8_t rank; /* enum lock_rank */
} spinlock_t;

/* All zero: free. */
typedef struct CAPABILITY("mutex") mutex {
    union {
        struct {
            uint8_t held;
            uint8_t waiting; /* 1: somebody sleeps for it */
        };
        uint16_t word; /* both: who lets go learns in one step whether somebody is to be woken */
    };
    /* Who sleeps, by vcpu.mutex_next; guarded by the lock of rank WAITERS. */
    struct vcpu *first, *last;
} mutex_t;

#define SPINLOCK_INIT(r)                 \
    {                                    \
        .held = 0, .rank = LOCK_RANK_##r \
    }

/* Slow halves: core/lib/lock.c, core/sched/mutex.c. */
cold_ void spin_lock_wait(spinlock_t *l);
cold_ void mutex_lock_wait(mutex_t *m);
cold_ void mutex_wake(mutex_t *m);

#ifdef PARAVANE_DEBUG
void lock_rank_push(const spinlock_t *l);
void lock_rank_pop(const spinlock_t *l);
#else
static inline void lock_rank_push(const spinlock_t *l)
{
}
static inline void lock_rank_pop(const spinlock_t *l)
{
}
#endif

static inline void spin_lock(spinlock_t *l) ACQUIRE(l) NO_ANALYSIS
{
    lock_rank_push(l);
    if (unlikely(atomic_exchange(&l->held, 1)))
        spin_lock_wait(l);
}

static inline void spin_unlock(spinlock_t *l) RELEASE(l) NO_ANALYSIS
{
    atomic_set_release(&l->held, 0);
    lock_rank_pop(l);
}

static inline void mutex_lock(mutex_t *m) ACQUIRE(m) NO_ANALYSIS
{
    if (unlikely(atomic_exchange(&m->held, 1)))
        mutex_lock_wait(m);
}

static inline void mutex_unlock(mutex_t *m) RELEASE(m) NO_ANALYSIS
{
    if (unlikely(atomic_sub(&m->word, 1) != 0)) /* held becomes 0 */
        mutex_wake(m);
}

/* Tells the analysis what it cannot see: that @m is held, under another name. */
static inline void mutex_is_held(const mutex_t *m) ASSERTS(m) NO_ANALYSIS
{
    (void)m;
}
