/*
 * Event channels: one-bit signals between domains, to oneself, and from the hypervisor.
 *
 * A port is one end.  This file has a domain's ports: where they lie, and which are free.  What opens them is in evtchn-bind.c, what
 * closes them in evtchn-close.c, the other sub-operations in evtchn-op.c, who waits for them in evtchn-poll.c; how a signal reaches
 * the guest is in evtchn-2level.c or evtchn-fifo.c (evtchn-port.h chooses).
 *
 * States of a port, and what changes them:
 *
 *     FREE --alloc_unbound--> UNBOUND --peer's bind_interdomain--> INTERDOMAIN
 *       |                        ^------------peer's close---------------'
 *       +--bind_virq, bind_ipi, bind_pirq--> VIRQ, IPI, PIRQ;   at start of day: HYPERVISOR
 *     every open state --close--> FREE
 *
 * Locks: a domain's ports are guarded by its evtchn_lock; two domains' by both, lower domid first.
 * A send through an interdomain port holds the sender's evtchn_lock, which keeps the binding; one to an own IPI port, a VIRQ
 * and a PIRQ take none of these: a PIRQ's comes under the lock of lines or that of messages (x86/machine), which bind, move and
 * close take inside evtchn_lock.  The bucket of a port lives as long as anybody has a reference to its domain, and a domain
 * lives as long as a port of another one is bound to it (evtchn_close_all() unbinds them first, under both locks).
 *
 * Ports come in buckets of 128, made when the first of them is needed; the lowest free port is
 * given out, as in Xen.  2-level channels end at port 4095.  FIFO channels have 131072 ports; only
 * a domain with the control role gets that many, others keep to 4096 so that the memory that they
 * cost the hypervisor stays within 64 KiB (Xen's toolstack gives 1024 unless it is told otherwise).
 */
#include "evtchn.h"

#include "evtchn-port.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

#define SEARCH_LONG 16u /* a search that looks at fewer is as cheap as the rest of its call */
#define BUSY_COST   8u  /* a look into a queue costs as much as so many ports */

#define BUCKETS_2LEVEL (PORTS_2LEVEL / PORTS_PER_BUCKET)
#define BUCKETS_FIFO   (EVTCHN_FIFO_NR_CHANNELS / PORTS_PER_BUCKET)

/* --- ports (evtchn_lock held) --- */

static struct evtchn *bucket_add(struct domain *d)
{
    struct evtchn *bucket = mem_alloc(PORTS_PER_BUCKET * sizeof(struct evtchn));
    if (!bucket)
        return NULL;
    d->evtchn[d->evtchn_limit / PORTS_PER_BUCKET] = bucket;
    atomic_set_release(&d->evtchn_limit, MIN(d->evtchn_limit + PORTS_PER_BUCKET, d->evtchn_space));
    return bucket;
}

/* A closed port that the guest still has in a queue: given out anew, its first signal would come by
 * way of the old one. */
static bool port_is_busy(struct domain *d, uint32_t port)
{
    return d->evtchn_fifo && evtchn_fifo_is_linked(d, port);
}

long evtchn_find_free(struct domain *d)
{
    const uint32_t space =
        MIN(d->evtchn_fifo ? d->evtchn_buckets * PORTS_PER_BUCKET : PORTS_2LEVEL, d->evtchn_space);
    const uint32_t first = d->evtchn_hint;
    uint32_t hint = 0, port;

    if (unlikely(d->dying))
        return refuse(DOMAIN_DYING);
    for (port = first; port < MIN(d->evtchn_limit, space); port++) {
        if (port_at(d, port)->state != ECS_FREE)
            continue;
        if (!hint)
            d->evtchn_hint = hint = port;
        if (!port_is_busy(d, port)) {
            if (unlikely(port - first >= SEARCH_LONG))
                current_vcpu()->ports_searched += port - first;
            return port;
        }
        current_vcpu()->ports_searched += BUSY_COST;
    }
    current_vcpu()->ports_searched += port - first;
    if (!hint)
        d->evtchn_hint = port;
    if (d->evtchn_limit >= space)
        return refuse(PORTS_EXHAUSTED, space);
    port = d->evtchn_limit;
    return bucket_add(d) ? (long)port : refuse(PORTS_NO_MEMORY);
}

void evtchn_lock_both(struct domain *a, struct domain *b) NO_ANALYSIS
{
    if (a->id > b->id) {
        struct domain *swap = a;
        a = b;
        b = swap;
    }
    spin_lock(&a->evtchn_lock);
    if (a != b)
        spin_lock(&b->evtchn_lock);
}

void evtchn_unlock_both(struct domain *a, struct domain *b) NO_ANALYSIS
{
    spin_unlock(&a->evtchn_lock);
    if (a != b)
        spin_unlock(&b->evtchn_lock);
}

/* --- domains --- */

void evtchn_begin(struct domain *d)
{
    d->evtchn_lock = (spinlock_t)SPINLOCK_INIT(EVTCHN);
    d->evtchn_queue_lock = (spinlock_t)SPINLOCK_INIT(QUEUES);
    evtchn_poll_init(d);
}

int evtchn_init(struct domain *d)
{
    d->evtchn_buckets = BUCKETS_2LEVEL;
    d->evtchn_space = EVTCHN_FIFO_NR_CHANNELS;
    d->evtchn = mem_alloc(BUCKETS_2LEVEL * sizeof(struct evtchn *));
    if (!d->evtchn || !bucket_add(d))
        return -XEN_ENOMEM; /* evtchn_destroy() tidies up */
    port_of(d, 0)->state = ECS_RESERVED;
    d->evtchn_hint = 1;
    return 0;
}

void evtchn_allow_all_ports(struct domain *d)
{
    struct evtchn **all = mem_alloc(BUCKETS_FIFO * sizeof(struct evtchn *)), **old = d->evtchn;
    if (!all)
        return;
    memcpy(all, old, d->evtchn_buckets * sizeof(struct evtchn *));
    d->evtchn = all;
    mem_free(old, d->evtchn_buckets * sizeof(struct evtchn *));
    d->evtchn_buckets = BUCKETS_FIFO;
}

void evtchn_limit_ports(struct domain *d, uint32_t highest)
{
    d->evtchn_space = MIN(highest, PORTS_2LEVEL - 1) +
                      1; /* more are for who is trusted: to look at all takes long */
    d->evtchn_limit = MIN(d->evtchn_limit, d->evtchn_space);
}

void evtchn_destroy(struct domain *d)
{
    uint32_t limit = d->evtchn_limit;
    timer_stop(&d->wake_timer);
    d->evtchn_limit = 0;
    for (uint32_t i = 0; i * PORTS_PER_BUCKET < limit; i++)
        mem_free(d->evtchn[i], PORTS_PER_BUCKET * sizeof(struct evtchn));
    if (d->evtchn)
        mem_free(d->evtchn, d->evtchn_buckets * sizeof(struct evtchn *));
    d->evtchn = NULL;
}

/* --- the domain that an operation is about --- */

struct domain *evtchn_domain(struct domain *self, domid_t id)
{
    if (id == DOMID_SELF || id == self->id) {
        atomic_add(&self->refs, 1);
        return self;
    }
    return domain_get(id);
}

struct domain *evtchn_managed(struct domain *self, domid_t id, long *rc)
{
    /* Asked before anything is looked up: the answer must not tell which domains exist. */
    if (id != DOMID_SELF && id != self->id && !domain_has(self, ROLE_CONTROL)) {
        *rc = refuse(EVTCHN_DOMAIN_NOT_ALLOWED, id);
        return NULL;
    }
    struct domain *d = evtchn_domain(self, id);
    if (!d)
        *rc = refuse(EVTCHN_DOMAIN_MISSING, id);
    return d;
}

/* --- signals from the hypervisor --- */

void evtchn_set_pending(struct domain *d, uint32_t port)
{
    const struct evtchn *e = port_of(d, port);
    struct vcpu *v = e && e->state > ECS_UNBOUND ? atomic_read_acquire(&d->vcpu[e->vcpu]) : NULL;
    if (v)
        evtchn_signal(v, port);
}

void virq_raise(struct vcpu *v, unsigned virq)
{
    uint32_t port = atomic_read(&v->virq_port[virq]);
    if (port)
        evtchn_signal(v, port);
}

void virq_raise_global(struct domain *d, unsigned virq)
{
    uint32_t port = d->vcpu[0] ? atomic_read(&d->vcpu[0]->virq_port[virq]) : 0;
    if (port)
        evtchn_set_pending(d, port); /* bind_vcpu may have moved it */
}

void virq_raise_controllers(unsigned virq)
{
    unsigned from = 0;

    for (struct domain *d;
         (d = domain_get_from_with(from, ROLE_CONTROL | ROLE_XENSTORE)) != NULL;) {
        virq_raise_global(d, virq);
        from = d->id + 1u;
        domain_put(d);
    }
}

/* --- audit --- */

bool evtchn_is_pirq(const struct domain *d, uint32_t port, uint32_t pirq)
{
    const struct evtchn *e = port_of(d, port);

    return e && e->state == ECS_PIRQ && e->peer == pirq;
}

unsigned evtchn_pirqs(const struct domain *d)
{
    unsigned n = 0;

    for (uint32_t port = 0; port < d->evtchn_limit; port++)
        n += port_at(d, port)->state == ECS_PIRQ;
    return n;
}
