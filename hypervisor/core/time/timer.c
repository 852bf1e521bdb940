/*
 * Software timers: one pairing heap per physical CPU, and its alarm.
 *
 * A pairing heap (heap.h) needs no memory beyond the timers themselves, so arming one cannot fail,
 * and arming a timer that is not the earliest, the most frequent case, is one comparison and one link.
 *
 * A timer is guarded by the lock of the heap of its @cpu, whether it is queued or not, so that two
 * CPUs may set and stop the same one.
 *
 * The hardware is told only when the earliest deadline becomes earlier.  A timer that is stopped or
 * set to later leaves the hardware as it is: the interrupt that comes too early finds nothing due
 * and programs the right moment.
 *
 * Many vCPUs of several domains may set their timers to one moment, just before a neighbour's only
 * timer.  So of the timers that have an owner only each owner's earliest is in the heap, its head;
 * the others are in a tree of the owner's own and cost nobody else anything:
 *
 *     heap of a CPU     head of d1's    head of d2's    timers without an owner
 *                            |               |
 *     groups            d1's others     d2's others
 *
 * When a head has fired, the next of its owner's comes into the heap.  One that is due soon after
 * counts as an extra: it becomes due now, behind all other owners' that are due already; and the
 * extras of all owners are served one in EXTRA_EVERY, after up to EXTRAS_AT_ONCE in a row.  So a
 * timer waits for at most one of each other owner's and EXTRAS_AT_ONCE more, however many there are.
 * An interrupt runs at most TIMERS_AT_ONCE handlers.
 *
 * The alarm is for what must be done now and then while a CPU is busy, at no moment in particular.
 * It is no timer of the heap, so that those who set one do not pay for it: it looks at the clock at
 * each timer interrupt, and only sees to it that there is another within timer_alarm_period.
 */
#include "timer.h"

#include "arch.h"
#include "lib.h"

#define TIMERS_AT_ONCE 32u     /* whose handlers run in one interrupt */
#define EXTRA_EVERY    6250ull /* ns */
#define EXTRAS_AT_ONCE 16u
#define WINDOW         (EXTRAS_AT_ONCE * EXTRA_EVERY)

/* timer.queued */
enum { NOT_QUEUED, IN_HEAP, IN_GROUP };

struct timer_heap {
    spinlock_t lock;
    struct heap_node *root; /* earliest; NULL: none */
    uint64_t programmed;    /* when the hardware will interrupt, 0 while timer_interrupt() runs; ~0:
                              never */
    struct timer *running;  /* whose handler runs now */
    /* Of timers without an owner.  They are all in the heap: @head says only that there may be one. */
    struct timer_group nobodys;
    /* When the extras so far have all been served, at one in EXTRA_EVERY. */
    uint64_t extras_booked;
    /* From when on the alarm may go off; ~0: it is not set; only this CPU looks. */
    uint64_t alarm_at;
} __attribute__((aligned(64))); /* written by its own CPU at each turn */

static struct timer_heap heaps[MAX_CPUS] = {
    [0 ... MAX_CPUS - 1] = {.lock = SPINLOCK_INIT(TIMER), .programmed = ~0ull, .alarm_at = ~0ull},
};

void timer_init(struct timer *t, void (*fire)(struct timer *))
{
    *t = (struct timer){.fire = fire, .group = &heaps[0].nobodys};
}

void timer_init_owned(struct timer *t, void (*fire)(struct timer *), struct timer_owner *owner)
{
    *t = (struct timer){.fire = fire, .group = &owner->group[0], .owned = true};
}

static struct timer *timer_of(struct heap_node *n)
{
    return n ? container_of(n, struct timer, node) : NULL;
}

static inline void tree_insert(struct heap_node **root, struct timer *t, uint8_t where)
{
    t->queued = where;
    heap_insert(root, &t->node);
}

/* --- heads and those behind them --------------------------------------------------------------- */

/* @t is to be queued, and its group has a head already. */
static noinline_ void insert_beside_head(struct timer_heap *h, struct timer_group *g,
                                         struct timer *t)
{
    if (!t->owned) {
        tree_insert(&h->root, t, IN_HEAP);
    } else if (t->deadline < g->head->deadline) {
        heap_remove(&h->root, &g->head->node);
        tree_insert(&g->others, g->head, IN_GROUP);
        g->head = t;
        tree_insert(&h->root, t, IN_HEAP);
    } else {
        tree_insert(&g->others, t, IN_GROUP);
    }
}

static inline void timer_enqueue(struct timer_heap *h, struct timer *t)
{
    struct timer_group *g = t->group;
    if (unlikely(g->head)) {
        insert_beside_head(h, g, t);
    } else {
        g->head = t;
        tree_insert(&h->root, t, IN_HEAP);
    }
}

/* The group's head has left: the earliest of the others follows. */
static struct timer *next_head(struct timer_group *g)
{
    struct timer *t = timer_of(g->others);
    heap_take_root(&g->others);
    g->head = t;
    return t;
}

static void timer_dequeue(struct timer_heap *h, struct timer *t)
{
    struct timer_group *g = t->group;

    if (t->queued == IN_GROUP) {
        heap_remove(&g->others, &t->node);
    } else {
        heap_remove(&h->root, &t->node);
        if (g->others && g->head == t)
            tree_insert(&h->root, next_head(g), IN_HEAP);
        else if (g->head == t)
            g->head = NULL;
    }
    atomic_set_release(&t->queued, (uint8_t)NOT_QUEUED);
}

/* The group's head has fired @now, and its owner has others. */
static noinline_ void follow_head(struct timer_heap *h, struct timer_group *g, uint64_t now)
{
    struct timer *t = next_head(g);
    const uint64_t due = MAX(t->deadline, now);
    if (due - now < WINDOW) {
        h->extras_booked = MAX(h->extras_booked, due) + EXTRA_EVERY;
        t->deadline = MAX(due + WINDOW, h->extras_booked) - WINDOW;
    }
    tree_insert(&h->root, t, IN_HEAP);
}

/* --- setting and stopping ---------------------------------------------------------------------- */

static void heap_program(struct timer_heap *h)
{
    if (h->root && h->root->key < h->programmed) {
        h->programmed = h->root->key;
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

/* @t, which is queued, leaves; and it is moved to the calling CPU, whose heap is returned, locked. */
static noinline_ struct timer_heap *requeue_begin(struct timer_heap *h, struct timer *t) NO_ANALYSIS
{
    const unsigned cpu = this_cpu();
    for (;;) {
        if (t->queued)
            timer_dequeue(h, t);
        if (likely(t->cpu == cpu))
            return h;
        if (t->owned)
            t->group += (int)cpu - (int)t->cpu;
        else
            t->group = &heaps[cpu].nobodys;
        atomic_set(&t->cpu, (uint16_t)cpu); /* from now on it is guarded by our heap */
        spin_unlock(&h->lock);
        h = timer_lock(t);
    }
}

/* @t is the earliest of all, and nobody is behind it. */
static inline bool is_root_alone(const struct timer_heap *h, const struct timer *t)
{
    return h->root == &t->node && !t->node.child && !t->group->others;
}

void timer_set(struct timer *t, uint64_t deadline) NO_ANALYSIS
{
    struct timer_heap *h = timer_lock(t);
    const bool here = likely(t->cpu == this_cpu());

    if (here && is_root_alone(h, t)) {
        t->deadline = deadline;
    } else {
        if (!here || t->queued)
            h = requeue_begin(h, t);
        t->deadline = deadline;
        timer_enqueue(h, t);
    }
    heap_program(h);
    spin_unlock(&h->lock);
}

/* The handler of @t runs on another CPU, and may set it again. */
static noinline_ void stop_running(struct timer_heap *h, struct timer *t)
{
    while (atomic_read_acquire(&h->running) == t)
        arch_relax();
    timer_stop(t);
}

void timer_stop(struct timer *t) NO_ANALYSIS
{
    struct timer_heap *h = &heaps[atomic_read(&t->cpu)];
    if (atomic_read_acquire(&t->queued)) {
        h = timer_lock(t);
        if (t->queued)
            timer_dequeue(h, t);
        spin_unlock(&h->lock);
    }
    if (unlikely(atomic_read_acquire(&h->running) == t) && h != &heaps[this_cpu()])
        stop_running(h, t);
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

    const struct timer *t = timer_of(h->root);
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
static inline void fire_root(struct timer_heap *h, struct timer *t, uint64_t now) NO_ANALYSIS
{
    /* In this order: timer_stop(), which takes no lock for a timer that is in no heap, must find it running. */
    atomic_set_release(&h->running, t);
    heap_take_root(&h->root);
    t = atomic_read(&h->running); /* no register has to keep it over a call that is seldom made */
    struct timer_group *g = t->group;
    if (unlikely(g->others))
        follow_head(h, g, now);
    else
        g->head = NULL;
    atomic_set_release(&t->queued, (uint8_t)NOT_QUEUED);
    spin_unlock(&h->lock);
    t->fire(t);
    spin_lock(&h->lock);
    atomic_set_release(&h->running, NULL);
}

/* Others are due together with the first.  If they are too many, the hardware goes off at once for the rest. */
static noinline_ void fire_others(struct timer_heap *h, uint64_t now)
{
    unsigned left = TIMERS_AT_ONCE - 1;

    for (struct timer *t; left && (t = timer_of(h->root)) && t->deadline <= now; left--)
        fire_root(h, t, now);
}

void timer_interrupt(void)
{
    struct timer_heap *h = this_heap();
    uint64_t now = arch_now();

    spin_lock(&h->lock);
    h->programmed = 0; /* handlers that arm timers leave the hardware to us */
    struct timer *t = timer_of(h->root);
    if (t && t->deadline <= now) {
        fire_root(h, t, now);
        t = timer_of(h->root);
        if (unlikely(t && t->deadline <= now))
            fire_others(h, now);
    }
    program_next(h, now);
    spin_unlock(&h->lock);
}
