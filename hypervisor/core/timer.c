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
 * The hardware is told only when the earliest deadline becomes earlier.  A timer that is stopped or
 * set to later leaves the hardware as it is: the interrupt that comes too early finds nothing due
 * and programs the right moment.
 *
 * Many vCPUs of a few domains may set their timers to one moment, just before a neighbour's only timer.  So timers that have an owner
 * are served in windows: the first of each owner's, and OWNED_AT_ONCE more.  The rest get deadlines in later windows,
 * OWNED_AT_ONCE in each.  The first timer of an interrupt is served without a look at its owner: one that comes alone pays nothing.
 * An interrupt runs at most TIMERS_AT_ONCE handlers.
 *
 * The alarm is for what must be done now and then while a CPU is busy, at no moment in particular.
 * It is no timer of the heap, so that those who set one do not pay for it: it looks at the clock at
 * each timer interrupt, and only sees to it that there is another within timer_alarm_period.
 */
#include "timer.h"

#include "arch.h"
#include "lib.h"

#define TIMERS_AT_ONCE 32u       /* whose handlers run in one interrupt */
#define WINDOW         100000ull /* ns */
#define OWNED_AT_ONCE  16u       /* served in a window, beside the first of each owner's */
#define OWNER_BITS     256u
#define HANDLER_COST   8u /* a handler is as dear as so many timers that are put off */

struct timer_heap {
    spinlock_t lock;
    struct timer *root;    /* earliest; NULL: none */
    uint64_t programmed;   /* when the hardware will interrupt, 0 while timer_interrupt() runs; ~0:
                              never */
    struct timer *running; /* whose handler runs now */
    /* The window: when it began, owned timers served in it beside the first ones, those put off in it, and owners who had their first:
     * bits by number, so that some may share one. */
    uint64_t window;
    uint32_t served, put_off;
    uint64_t had_first[OWNER_BITS / 64];
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

void timer_init_owned(struct timer *t, void (*fire)(struct timer *), uint16_t owner)
{
    *t = (struct timer){.fire = fire, .owner = owner};
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

/* The root leaves, without a word to those who look at @queued. */
static inline void root_take(struct timer_heap *h, struct timer *t)
{
    h->root = unlikely(t->child) ? meld_siblings(t->child) : NULL;
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

/* Run the handler of @t, the root.  The heap is not locked meanwhile. */
static inline void fire_root(struct timer_heap *h, struct timer *t) NO_ANALYSIS
{
    /* In this order: timer_stop(), which takes no lock for a timer that is in no heap, must find it running. */
    atomic_set_release(&h->running, t);
    root_take(h, t);
    atomic_set_release(&t->queued, (uint8_t) false);
    spin_unlock(&h->lock);
    t->fire(t);
    spin_lock(&h->lock);
    atomic_set_release(&h->running, NULL);
}

/* Does @t, which is due and not alone, have to wait for another window? */
static bool must_wait(struct timer_heap *h, struct timer *t, uint64_t now)
{
    if (!t->owner)
        return false;
    if (now - h->window >= WINDOW) {
        h->window = now;
        h->served = h->put_off = 0;
        memset(h->had_first, 0, sizeof(h->had_first));
    }
    const unsigned bit = t->owner % OWNER_BITS;
    if (!(h->had_first[bit / 64] & BIT(bit % 64))) {
        h->had_first[bit / 64] |= BIT(bit % 64);
        return false;
    }
    return h->served++ >= OWNED_AT_ONCE;
}

/* The root comes later.  It stays queued to all who look: timer_stop() would not wait for it else. */
static void put_root_off(struct timer_heap *h, struct timer *t)
{
    root_take(h, t);
    t->deadline = h->window + (1 + h->put_off++ / OWNED_AT_ONCE) * WINDOW;
    heap_insert(h, t);
}

/* Others are due together with the first.  If they are too many, the hardware goes off at once for the rest. */
static noinline_ void fire_others(struct timer_heap *h, uint64_t now)
{
    int left = (TIMERS_AT_ONCE - 1) * HANDLER_COST;

    for (struct timer *t; left > 0 && (t = h->root) && t->deadline <= now;) {
        if (must_wait(h, t, now)) {
            put_root_off(h, t);
            left--;
        } else {
            fire_root(h, t);
            left -= HANDLER_COST;
        }
    }
}

void timer_interrupt(void)
{
    struct timer_heap *h = this_heap();
    uint64_t now = arch_now();

    spin_lock(&h->lock);
    h->programmed = 0; /* handlers that arm timers leave the hardware to us */
    struct timer *t = h->root;
    if (t && t->deadline <= now) {
        fire_root(h, t);
        t = h->root;
        if (unlikely(t && t->deadline <= now))
            fire_others(h, now);
    }
    program_next(h, now);
    spin_unlock(&h->lock);
}
