/*
 * Software timers: one pairing heap per physical CPU, and its alarm.
 *
 * A pairing heap is a tree in which no child is due before its parent; two trees are merged by
 * hanging the later root below the earlier.  It needs no memory beyond the timers themselves, so
 * arming one cannot fail, and arming a timer that is not the earliest, the most frequent case, is
 * one comparison and one link.
 *
 * A timer is guarded by the lock of the heap of its @cpu, whether it is queued or not, so that two
 * CPUs may set and stop the same one.
 *
 * The hardware is told only when the earliest deadline moves forward.  A timer that is stopped or
 * pushed back leaves the hardware as it is: the interrupt that comes too early finds nothing due
 * and programs the right moment.
 *
 * The alarm is for what must be done now and then while a CPU is busy, at no moment in particular.
 * It is no timer of the heap, so that those who set one do not pay for it: it looks at the clock at
 * each timer interrupt, and only sees to it that there is another within timer_alarm_period.
 */
#include "timer.h"

#include "arch.h"

#define TIMERS_AT_ONCE 32u /* whose handlers run in one interrupt */

struct timer_heap {
    spinlock_t lock;
    struct timer *root;    /* earliest; NULL: none */
    uint64_t programmed;   /* when the hardware will interrupt, 0 while timer_interrupt() runs; ~0:
                              never */
    struct timer *running; /* whose handler runs now */
    uint32_t left;         /* handlers that this interrupt may still run */
    /* From when on the alarm may go off; ~0: it is not set; only this CPU looks. */
    uint64_t alarm_at;
} __attribute__((aligned(64))); /* written by its own CPU at each turn */

static struct timer_heap heaps[MAX_CPUS] = {
    [0 ... MAX_CPUS - 1] = {.lock = SPINLOCK_INIT(TIMER), .programmed = ~0ull, .alarm_at = ~0ull},
};

void timer_init(struct timer *t, void (*fire)(struct timer *))
{
    *t = (struct timer){.fire = fire};
}

/* Merge two trees that have no siblings: the new root. */
static inline struct timer *meld(struct timer *a, struct timer *b)
{
    if (b->deadline < a->deadline) {
        struct timer *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    a->child = b;
    return a;
}

/* Merge a list of siblings into one tree: in pairs from the left, then the pairs from the right. */
static struct timer *meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL;
    while (first) {
        struct timer *a = first, *b = a->next;
        first = b ? b->next : NULL;
        if (b)
            a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }

    struct timer *root = NULL;
    while (pairs) {
        struct timer *t = pairs;
        pairs = t->next;
        root = root ? meld(root, t) : t;
    }
    if (root)
        root->prev = root->next = NULL;
    return root;
}

static void heap_insert(struct timer_heap *h, struct timer *t)
{
    t->child = t->next = t->prev = NULL;
    t->queued = true;
    h->root = h->root ? meld(h->root, t) : t;
}

static void heap_remove(struct timer_heap *h, struct timer *t)
{
    struct timer *orphans = t->child ? meld_siblings(t->child) : NULL;
    atomic_set_release(&t->queued, (uint8_t) false);

    if (t == h->root) {
        h->root = orphans;
        return;
    }
    if (t->prev->child == t)
        t->prev->child = t->next;
    else
        t->prev->next = t->next;
    if (t->next)
        t->next->prev = t->prev;
    if (orphans)
        h->root = meld(h->root, orphans);
}

static void heap_program(struct timer_heap *h)
{
    if (h->root && h->root->deadline < h->programmed) {
        h->programmed = h->root->deadline;
        arch_timer_program(h->programmed);
    }
}

/* Lock the heap that guards @t: the one that it is in, or was in last. */
static inline struct timer_heap *timer_lock(const struct timer *t) NO_ANALYSIS
{
    for (;;) {
        unsigned cpu = atomic_read(&t->cpu);
        struct timer_heap *h = &heaps[cpu];
        spin_lock(&h->lock);
        if (likely(t->cpu == cpu))
            return h;
        spin_unlock(&h->lock);
    }
}

void timer_set(struct timer *t, uint64_t deadline) NO_ANALYSIS
{
    const unsigned cpu = this_cpu();
    struct timer_heap *h;
    for (;;) {
        h = timer_lock(t);
        if (t->queued)
            heap_remove(h, t);
        if (likely(t->cpu == cpu))
            break;
        atomic_set(&t->cpu, (uint16_t)cpu); /* from now on it is guarded by our heap */
        spin_unlock(&h->lock);
    }
    t->deadline = deadline;
    heap_insert(h, t);
    heap_program(h);
    spin_unlock(&h->lock);
}

void timer_stop(struct timer *t) NO_ANALYSIS
{
    struct timer_heap *h = &heaps[atomic_read(&t->cpu)];
    if (atomic_read_acquire(&t->queued)) {
        h = timer_lock(t);
        if (t->queued)
            heap_remove(h, t);
        spin_unlock(&h->lock);
    }
    while (unlikely(atomic_read_acquire(&h->running) == t) && h != &heaps[this_cpu()])
        arch_relax();
}

/* One pointer: the compiler would reckon the array's element anew for each field. */
static inline struct timer_heap *this_heap(void)
{
    struct timer_heap *h = &heaps[this_cpu()];
    __asm__("" : "+r"(h));
    return h;
}

uint64_t timer_alarm_period = TIMER_ALARM;
static bool (*alarm_handler)(void);

void timer_alarm_init(bool (*handler)(void))
{
    alarm_handler = handler;
}

void timer_alarm_begin(void)
{
    struct timer_heap *h = this_heap();

    spin_lock(&h->lock);
    h->alarm_at = arch_now() + timer_alarm_period;
    if (h->alarm_at < h->programmed) {
        h->programmed = h->alarm_at;
        arch_timer_program(h->programmed);
    }
    spin_unlock(&h->lock);
}

static noinline_ void program_timer(struct timer_heap *h, const struct timer *t)
{
    h->programmed = t->deadline;
    arch_timer_program(t->deadline);
}

/* What is due has been run: when does the hardware interrupt next?  A timer before the alarm may go off, or the alarm. */
static inline void program_next(struct timer_heap *h, uint64_t now)
{
    if (unlikely(now >= h->alarm_at))
        h->alarm_at = alarm_handler() ? now + timer_alarm_period : ~0ull;

    const struct timer *t = h->root;
    const uint64_t latest = now + timer_alarm_period;
    if (unlikely(h->alarm_at == ~0ull)) {
        h->programmed = ~0ull;
        heap_program(h);
    } else if (t && t->deadline < latest) {
        program_timer(h, t);
    } else {
        h->programmed = latest;
        arch_timer_alarm();
    }
}

void timer_interrupt(void)
{
    struct timer_heap *h = this_heap();
    uint64_t now = arch_now();

    spin_lock(&h->lock);
    h->programmed = 0; /* handlers that arm timers leave the hardware to us */
    /* Many vCPUs' timers may be due together: the hardware goes off at once for the rest. */
    h->left = TIMERS_AT_ONCE;
    while (h->root && h->root->deadline <= now) {
        struct timer *t = h->root;
        /* In this order: timer_stop(), which takes no lock for a timer that is in no heap, must find it running. */
        atomic_set_release(&h->running, t);
        heap_remove(h, t);
        spin_unlock(&h->lock);
        t->fire(t);
        spin_lock(&h->lock);
        atomic_set_release(&h->running, NULL);
        if (unlikely(--h->left == 0))
            break;
    }
    program_next(h, now);
    spin_unlock(&h->lock);
}
