/*
 * What the event-channel files share: the record of a port, and the two ways in which a port's
 * signal reaches the guest.
 *
 *   evtchn.c          a domain's ports: where they lie, and which are free
 *   evtchn-bind.c     what opens them
 *   evtchn-close.c    what closes them
 *   evtchn-op.c       the other sub-operations
 *   evtchn-poll.c     who waits for them
 *   evtchn-2level.c   bits in shared_info, 4096 ports: what every domain starts with
 *   evtchn-fifo.c     queues in the guest's own pages: from init_control to reset
 *
 * Both ways have the same verbs, with @port a port that exists:
 *
 *   signal(v, port)       make it pending and, unless it is masked, tell @v
 *   unmask(v, port)       clear its mask and, if it is pending, do what its signal would have done
 *   is_pending(d, port)   as a poll sees it
 *   forget(d, port)       its next user starts without a pending signal
 *
 * A signal is sent without the receiver's evtchn_lock.  d->evtchn_fifo, which says which way a domain goes, changes under its
 * evtchn_lock and evtchn_queue_lock: a reader with neither may see the old value, so it looks again (evtchn-fifo.c,
 * evtchn_2level_signal).
 */
#pragma once

#include "atomic.h"
#include "evtchn.h"
#include "sched.h"

#define PORTS_2LEVEL     4096u /* 64 words of 64 bits */
#define PORTS_PER_BUCKET 128u

struct evtchn {
    uint8_t state; /* enum evtchn_state */
    uint8_t vcpu;  /* whom it notifies */
    /* FIFO, guarded by evtchn_queue_lock.  The queue that it was last put into outlives its users:
     * it may still be that queue's tail. */
    uint16_t priority : 4, last_priority : 4, last_vcpu : 7;
    uint16_t saved : 1; /* signalled while the event array had no word for it */
    uint32_t peer;      /* INTERDOMAIN: the remote port; VIRQ, PIRQ: its number */
    union {
        struct domain *remote;   /* INTERDOMAIN */
        evtchn_notify_fn notify; /* HYPERVISOR */
        domid_t dom;             /* UNBOUND: who may bind */
    };
};
_Static_assert(sizeof(struct evtchn) == 16, "a bucket is one 2 KiB slab object");
_Static_assert(MAX_VCPUS <= 128, "evtchn.vcpu, last_vcpu");

static inline bool port_exists(const struct domain *d, uint32_t port)
{
    return likely(port < atomic_read_acquire(&d->evtchn_limit));
}

/* The record of a port that exists. */
static inline struct evtchn *port_at(const struct domain *d, uint32_t port)
{
    return &d->evtchn[port / PORTS_PER_BUCKET][port % PORTS_PER_BUCKET];
}

/* The port's record, or NULL if its bucket was never made. */
static inline struct evtchn *port_of(const struct domain *d, uint32_t port)
{
    return port_exists(d, port) ? port_at(d, port) : NULL;
}

/* --- evtchn.c --- */

/* The lowest free port, still free; or -errno.  It looks at all ports if it must: evtchn_preempt_after_search() comes behind it. */
long evtchn_find_free(struct domain *d) REQUIRES(d->evtchn_lock);

#define SEARCH_SPAN 1024u /* ports that are looked at between two preemption points */

/* Between two preemption points a vCPU's searches look at so many ports; evtchn_lock is not held. */
static inline void evtchn_preempt_after_search(void)
{
    struct vcpu *v = current_vcpu();

    if (unlikely(v->ports_searched >= SEARCH_SPAN)) {
        v->ports_searched = 0;
        (void)preempt_point();
    }
}

/* The locks of two domains, the lower number's first; of one, if they are the same. */
void evtchn_lock_both(struct domain *a, struct domain *b) ACQUIRE(a->evtchn_lock, b->evtchn_lock);
void evtchn_unlock_both(struct domain *a, struct domain *b) RELEASE(a->evtchn_lock, b->evtchn_lock);

/* A domain by number or DOMID_SELF, referenced; NULL if there is none. */
struct domain *evtchn_domain(struct domain *self, domid_t id);
/* The same for an operation on its ports, if @self may do that; else NULL, and the refusal in *rc. */
struct domain *evtchn_managed(struct domain *self, domid_t id, long *rc) must_check;

/* --- evtchn-poll.c --- */

void evtchn_poll_init(struct domain *d);

/* @port has become pending: wake who polls it (masked ports can be polled, too). */
cold_ void evtchn_wake_pollers_(struct domain *d, uint32_t port);

static inline void evtchn_wake_pollers(struct domain *d, uint32_t port)
{
    if (unlikely(atomic_read(&d->pollers)))
        evtchn_wake_pollers_(d, port);
}

/* Some of ports @first to @end - 1 have become pending: the same, in one walk. */
void evtchn_wake_pollers_of(struct domain *d, uint32_t first, uint32_t end);

/* --- evtchn-2level.c: the bits that the guest sees are words of 64 on this ABI --- */

static inline uint64_t *evtchn_pending_map(const struct domain *d)
{
    return (uint64_t *)d->shared->evtchn_pending;
}

static inline uint64_t *evtchn_mask_map(const struct domain *d)
{
    return (uint64_t *)d->shared->evtchn_mask;
}

noinline_ void evtchn_fifo_signal(struct vcpu *v, uint32_t port);
/* An unmasked port of @v's has become pending. */
noinline_ void evtchn_2level_mark(struct vcpu *v, uint32_t port);

static inline void evtchn_2level_signal(struct vcpu *v, uint32_t port)
{
    struct domain *d = v->domain;
    if (atomic_test_and_set_bit(evtchn_pending_map(d), port))
        return;
    /* Since we looked: its bit may have come too late to be taken over. */
    if (unlikely(atomic_read(&d->evtchn_fifo))) {
        evtchn_fifo_signal(v, port);
        return;
    }
    evtchn_wake_pollers(d, port);
    if (!atomic_test_bit(evtchn_mask_map(d), port))
        evtchn_2level_mark(v, port);
}

void evtchn_2level_unmask(struct vcpu *v, uint32_t port);
bool evtchn_2level_is_pending(const struct domain *d, uint32_t port);
void evtchn_2level_forget(struct domain *d, uint32_t port);

/* --- evtchn-fifo.c --- */

void evtchn_fifo_unmask(struct vcpu *v, uint32_t port);
bool evtchn_fifo_is_pending(struct domain *d, uint32_t port);
void evtchn_fifo_forget(struct domain *d, uint32_t port);
/* A closed port whose word is still linked: the guest has yet to take it out of its queue.  @d has queues; evtchn_lock held. */
bool evtchn_fifo_is_linked(const struct domain *d, uint32_t port);

/* The sub-operations, their arguments read; evtchn_lock held.  0 (expand_array: the first port that it gave a word) or a refusal. */
int evtchn_fifo_init_control(struct vcpu *v, mfn_t m, uint32_t offset) must_check;
int evtchn_fifo_expand_array(struct domain *d, mfn_t m) must_check;
int evtchn_fifo_set_priority(struct domain *d, uint32_t port, uint32_t priority) must_check;
/* What was signalled before its word came with the page for @first and those behind it is raised.  Preemption points between:
 * not under evtchn_lock.  A reset meanwhile leaves nothing to raise. */
void evtchn_fifo_raise_saved(struct domain *d, uint32_t first);
/* Back to two levels; evtchn_lock held, or nobody else is left.  All ports are closed.  What is
 * returned goes to evtchn_fifo_free(). */
struct evtchn_fifo *evtchn_fifo_end(struct domain *d) must_check;
/* Let every frame of @f (or NULL) go: some may be freed by that, so not under evtchn_lock. */
void evtchn_fifo_free(struct domain *d, struct evtchn_fifo *f);

/* --- either --- */

static inline void evtchn_signal(struct vcpu *v, uint32_t port)
{
    if (unlikely(atomic_read(&v->domain->evtchn_fifo)))
        evtchn_fifo_signal(v, port);
    else if (likely(port < PORTS_2LEVEL)) /* else: closed by a reset since the sender looked */
        evtchn_2level_signal(v, port);
}
