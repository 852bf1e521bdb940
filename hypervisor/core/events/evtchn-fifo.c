/*
 * Event channels, FIFO: how a signal reaches a guest through queues.
 *
 * Every port has a word in an array of pages that the guest gave; every vCPU has a control block,
 * in a page of the guest's, with the heads of 16 queues, one for each priority.  A queue is a list
 * of words, linked by port number:
 *
 *     control block               word of port 9            word of port 4
 *     ready  ...0010000000        +---+---+---+---+----+    +---+---+---+---+----+
 *     head[7]          -------->  | P | M | L | B |  4 | -> | P | M | L | B |  0 |
 *                                 +---+---+---+---+----+    +---+---+---+---+----+
 *
 * A signal sets PENDING.  If the port is neither MASKED nor LINKED it sets LINKED and hangs the
 * word behind the tail; if there is no tail that is still linked, the queue was empty: the port
 * becomes its head, the queue ready, and the vCPU gets an upcall.  The guest takes the head off by
 * clearing LINKED and LINK in one step, and only then looks at PENDING and MASKED, so that a signal
 * that found the word linked is never lost.  A port that was signalled while it was masked is not
 * in any queue: the guest asks for that when it unmasks (EVTCHNOP_unmask).
 *
 * Whose is what:
 *   - Tails are ours, in struct fifo_queues; guests never see them.  They name ports that
 *     have words.
 *   - Words, heads and ready bits are the guest's to ruin.  Nothing is read from them but the four
 *     flags, and what these say decides only what is written to the same guest's memory.  LINK and
 *     head are written and never followed.  Hanging a word behind the tail races with the guest:
 *     BUSY asks it not to unmask the tail meanwhile, and after LINK_TRIES the guest has lost its event.
 *   - The pages are held like pages that are mapped writable, until reset or the end of the domain;
 *     they can never become page tables.
 *
 * A port moves to another queue when its vCPU or its priority has changed and it is signalled
 * again. If it is still the tail of the old queue, that queue has nothing linked any more and loses
 * its tail; otherwise the next signal there would link its word into the new queue's list.
 *
 * evtchn_queue_lock guards the tails, the records' FIFO fields, and the pages: a signal may come
 * from any CPU while the domain resets its channels.  It is the innermost of the event locks.
 */
#include "evtchn-port.h"

#include "arch.h"
#include "audit.h"
#include "refuse.h"
#include "sched.h"

#define PENDING BIT(EVTCHN_FIFO_PENDING)
#define MASKED  BIT(EVTCHN_FIFO_MASKED)
#define LINKED  BIT(EVTCHN_FIFO_LINKED)
#define BUSY    BIT(EVTCHN_FIFO_BUSY)
#define LINK    ((1u << EVTCHN_FIFO_LINK_BITS) - 1)

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define ARRAY_PAGES    (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)

/* A well-behaved guest can change a linked, busy word four times: set and clear MASKED, clear
 * PENDING, clear LINKED. */
#define LINK_TRIES 5u

/* Ports that are raised between two preemption points: each may wake a vCPU. */
#define RAISE_SPAN 64u

struct fifo_queues {
    struct evtchn_fifo_control_block *control; /* in a page of the guest's; NULL: none yet */
    uint32_t tail[EVTCHN_FIFO_MAX_QUEUES];     /* 0: none */
};

struct evtchn_fifo {
    uint32_t words; /* in the pages so far */
    event_word_t *page[ARRAY_PAGES];
    struct fifo_queues queues[]; /* a vCPU's each */
};
_Static_assert(sizeof(event_word_t) == 4, "atomic operations on words");

static size_t fifo_size(const struct domain *d)
{
    return sizeof(struct evtchn_fifo) + d->max_vcpus * sizeof(struct fifo_queues);
}

/* NULL: its page is not there yet. */
static inline event_word_t *word_of(const struct evtchn_fifo *f, uint32_t port)
{
    return likely(port < f->words) ? &f->page[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE] : NULL;
}

/* --- signalling (evtchn_queue_lock held) --- */

/* Make the tail's word name @port, if it is linked still.  False: its queue is empty. */
static bool hang_behind(event_word_t *tail, uint32_t port)
{
    event_word_t seen = atomic_read(tail);

    for (unsigned try = 0; try < LINK_TRIES; try++) {
        if (!(seen & LINKED)) {
            if (try > 0)
                atomic_and(tail, ~BUSY);
            return false;
        }
        if (atomic_compare_exchange(tail, &seen, (seen & ~(event_word_t)(BUSY | LINK)) | port))
            return true;
        if (try == 0)
            seen = atomic_or(tail, BUSY) | BUSY;
    }
    atomic_and(tail, ~BUSY);
    return true; /* the guest breaks the rules: no upcall for that */
}

/* Put @port, whose word is not linked, into @v's queue of its priority.  True: tell @v. */
static bool enqueue(struct evtchn_fifo *f, struct vcpu *v, uint32_t port, event_word_t *word)
{
    struct evtchn *e = port_at(v->domain, port);
    struct fifo_queues *q = &f->queues[v->id];
    uint32_t *old_tail = &f->queues[e->last_vcpu].tail[e->last_priority];
    uint32_t *tail = &q->tail[e->priority];

    atomic_or(word, LINKED);
    if (*old_tail == port) /* was the last of that queue and has left it: nothing is linked there */
        *old_tail = 0;
    e->last_vcpu = v->id & 0x7f;
    e->last_priority = e->priority;

    const uint32_t before = *tail;
    *tail = port;
    if (before && hang_behind(word_of(f, before), port))
        return false;
    atomic_set(&q->control->head[e->priority], port);
    return !(atomic_or(&q->control->ready, BIT(e->priority)) & BIT(e->priority));
}

static void tell(struct vcpu *v)
{
    if (!atomic_exchange(&atomic_read(&v->info)->evtchn_upcall_pending, 1))
        vcpu_kick(v);
}

/* Set PENDING in @port's word, and queue it if it is open.  True: it became pending by this. */
static inline bool raise(struct evtchn_fifo *f, struct vcpu *v, uint32_t port)
{
    event_word_t *word = word_of(f, port);

    if (unlikely(!word)) {
        port_at(v->domain, port)->saved = 1;
        return false;
    }
    /* the vCPU has no control block yet: the signal is lost */
    if (unlikely(!f->queues[v->id].control))
        return false;
    const event_word_t old = atomic_or(word, PENDING);
    if (!(old & (MASKED | LINKED)) && enqueue(f, v, port, word))
        tell(v);
    return !(old & PENDING);
}

void evtchn_fifo_signal(struct vcpu *v, uint32_t port)
{
    struct domain *d = v->domain;

    spin_lock(&d->evtchn_queue_lock);
    struct evtchn_fifo *f = d->evtchn_fifo;
    bool became = f && raise(f, v, port);
    spin_unlock(&d->evtchn_queue_lock);
    if (became) /* not if there was a reset just now: the port is closed, and there is nobody to tell */
        evtchn_wake_pollers(d, port);
}

/* --- the other verbs --- */

void evtchn_fifo_unmask(struct vcpu *v, uint32_t port)
{
    struct domain *d = v->domain;

    spin_lock(&d->evtchn_queue_lock);
    struct evtchn_fifo *f = d->evtchn_fifo;
    event_word_t *word = f ? word_of(f, port) : NULL;
    if (word && (atomic_and(word, ~MASKED) & PENDING))
        raise(f, v, port);
    spin_unlock(&d->evtchn_queue_lock);
}

/* Flags of @port's word; 0: it has none. */
static event_word_t word_read(struct domain *d, uint32_t port)
{
    spin_lock(&d->evtchn_queue_lock);
    struct evtchn_fifo *f = d->evtchn_fifo;
    event_word_t *word = f ? word_of(f, port) : NULL;
    const event_word_t value = word ? atomic_read(word) : 0;
    spin_unlock(&d->evtchn_queue_lock);
    return value;
}

bool evtchn_fifo_is_pending(struct domain *d, uint32_t port)
{
    return word_read(d, port) & PENDING;
}

bool evtchn_fifo_is_linked(const struct domain *d, uint32_t port)
{
    /* Neither the queues nor the word goes away under evtchn_lock. */
    const event_word_t *word = word_of(d->evtchn_fifo, port);

    return word && (atomic_read(word) & LINKED);
}

/* The word stays linked if it is: only the guest takes words out. */
void evtchn_fifo_forget(struct domain *d, uint32_t port)
{
    struct evtchn *e = port_at(d, port);

    spin_lock(&d->evtchn_queue_lock);
    struct evtchn_fifo *f = d->evtchn_fifo;
    event_word_t *word = f ? word_of(f, port) : NULL;
    if (word)
        atomic_and(word, ~PENDING);
    e->saved = 0;
    e->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    spin_unlock(&d->evtchn_queue_lock);
}

/* --- pages --- */

/* Hold a frame of the guest's that we are going to write to: its memory, or NULL. */
static void *hold(struct domain *d, mfn_t m)
{
    if (!mfn_valid(m) || page_get_and_type(mfn_to_page(m), d, PAGE_TYPE_WRITABLE)) {
        (void)refuse(QUEUE_FRAME_UNFIT, m.n);
        return NULL;
    }
    return mfn_to_virt(m);
}

static void let_go(const void *va)
{
    if (va)
        page_put_and_type(mfn_to_page(virt_to_mfn((void *)((uintptr_t)va & PAGE_MASK))));
}

/* What was pending stays so: it is raised when its page comes. */
static void take_over(struct domain *d)
{
    for (uint32_t port = 1; port < d->evtchn_limit; port++) {
        struct evtchn *e = port_at(d, port);
        e->saved =
            e->state > ECS_RESERVED && port < PORTS_2LEVEL && evtchn_2level_is_pending(d, port);
        e->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    }
}

int evtchn_fifo_init_control(struct vcpu *v, mfn_t m, uint32_t offset)
{
    struct domain *d = v->domain;
    struct evtchn_fifo *f = d->evtchn_fifo, *fresh = NULL;

    if (offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) || offset % 8)
        return refuse(CONTROL_BLOCK_OFFSET, offset);
    if (f && f->queues[v->id].control)
        return refuse(CONTROL_BLOCK_SET_ALREADY, v->id);
    if (!f) {
        f = fresh = mem_alloc(fifo_size(d));
        if (!f)
            return refuse(QUEUES_NO_MEMORY);
    }
    char *page = hold(d, m);
    if (!page) {
        if (fresh)
            mem_free(fresh, fifo_size(d));
        return -XEN_EINVAL;
    }

    spin_lock(&d->evtchn_queue_lock);
    f->queues[v->id].control = (struct evtchn_fifo_control_block *)(page + offset);
    if (fresh) {
        atomic_set_release(&d->evtchn_fifo, fresh);
        /* a signal sets its bit, then looks at evtchn_fifo: we see the one, or it the other */
        memory_barrier();
        take_over(d);
    }
    spin_unlock(&d->evtchn_queue_lock);
    return 0;
}

int evtchn_fifo_expand_array(struct domain *d, mfn_t m)
{
    struct evtchn_fifo *f = d->evtchn_fifo;

    if (!f)
        return refuse(EXPAND_ON_2LEVEL);
    const uint32_t first = f->words;
    if (first == EVTCHN_FIFO_NR_CHANNELS)
        return refuse(EVENT_ARRAY_COMPLETE);
    event_word_t *page = hold(d, m);
    if (!page)
        return -XEN_EINVAL;

    spin_lock(&d->evtchn_queue_lock);
    f->page[first / WORDS_PER_PAGE] = page;
    f->words = first + WORDS_PER_PAGE;
    spin_unlock(&d->evtchn_queue_lock);

    return (int)first;
}

/* Raise what is saved of ports @first to @end - 1.  True: at least one became pending by this. */
static bool raise_span(struct domain *d, uint32_t first, uint32_t end)
{
    bool became = false;

    spin_lock(&d->evtchn_queue_lock);
    struct evtchn_fifo *f = d->evtchn_fifo; /* NULL: reset since */
    for (uint32_t port = first; f && port < end; port++) {
        struct evtchn *e = port_at(d, port);
        if (e->saved) {
            e->saved = 0;
            became |= raise(f, d->vcpu[e->vcpu], port);
        }
    }
    spin_unlock(&d->evtchn_queue_lock);
    return became;
}

void evtchn_fifo_raise_saved(struct domain *d, uint32_t first)
{
    const uint32_t end =
        MIN(first + (uint32_t)WORDS_PER_PAGE, atomic_read_acquire(&d->evtchn_limit));

    for (uint32_t port = first; port < end; port += RAISE_SPAN) {
        const uint32_t next = MIN(port + RAISE_SPAN, end);
        if (raise_span(d, port, next))
            evtchn_wake_pollers_of(d, port, next);
        if (preempt_point())
            return;
    }
}

/* It counts from the next time that the port is put into a queue. */
int evtchn_fifo_set_priority(struct domain *d, uint32_t port, uint32_t priority)
{
    if (priority > EVTCHN_FIFO_PRIORITY_MIN)
        return refuse(PRIORITY_RANGE, priority);
    spin_lock(&d->evtchn_queue_lock);
    port_at(d, port)->priority = priority & 0xf;
    spin_unlock(&d->evtchn_queue_lock);
    return 0;
}

struct evtchn_fifo *evtchn_fifo_end(struct domain *d)
{
    spin_lock(&d->evtchn_queue_lock);
    struct evtchn_fifo *f = d->evtchn_fifo;
    d->evtchn_fifo = NULL;
    spin_unlock(&d->evtchn_queue_lock);
    return f;
}

void evtchn_fifo_free(struct domain *d, struct evtchn_fifo *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < ARRAY_PAGES; i++)
        let_go(f->page[i]);
    for (unsigned i = 0; i < d->max_vcpus; i++)
        let_go(f->queues[i].control);
    mem_free(f, fifo_size(d));
}

static void count_queues(struct domain *d)
{
    spin_lock(&d->evtchn_queue_lock); /* a reset on another CPU may be about to free it */
    const struct evtchn_fifo *f = d->evtchn_fifo;

    for (unsigned i = 0; f && i < f->words / WORDS_PER_PAGE; i++)
        audit_count(virt_to_mfn(f->page[i]), true);
    for (unsigned i = 0; f && i < d->max_vcpus; i++)
        if (f->queues[i].control)
            audit_count(virt_to_mfn(f->queues[i].control), true);
    spin_unlock(&d->evtchn_queue_lock);
}

void evtchn_audit_init(void)
{
    static struct audit_holder holder = {.count = count_queues};
    audit_register(&holder);
}
