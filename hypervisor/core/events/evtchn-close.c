/*
 * Event channels: what closes ports (evtchn.c): the guest's close and reset, and its end.
 */
#include "arch.h"
#include "evtchn-op.h"
#include "evtchn-port.h"
#include "refuse.h"
#include "sched.h"

static void port_free(struct domain *d, struct evtchn *e, uint32_t port)
{
    e->state = ECS_FREE;
    e->vcpu = 0;
    e->peer = 0;
    e->remote = NULL;
    if (port < d->evtchn_hint)
        d->evtchn_hint = port;
    /* The next user starts clean. */
    if (d->evtchn_fifo)
        evtchn_fifo_forget(d, port);
    else
        evtchn_2level_forget(d, port);
}

/* Whatever the open port was bound to is no longer bound to it. */
static noinline_ void port_unbind(struct domain *d, struct evtchn *e, uint32_t port)
{
    if (e->state == ECS_VIRQ) {
        for_each_vcpu(d, v)
            if (v->virq_port[e->peer] == port)
                atomic_set(&v->virq_port[e->peer], 0);
    } else if (e->state == ECS_INTERDOMAIN) {
        struct evtchn *other = port_of(e->remote, e->peer);
        other->remote = NULL;
        other->dom = d->id;
        other->state = ECS_UNBOUND;
    } else if (e->state == ECS_PIRQ) {
        arch_pirq_release(d, e->peer, port);
    }
}

/* Close an open port; evtchn_lock held, and the remote domain's if it is interdomain. */
static void close_locked(struct domain *d, struct evtchn *e, uint32_t port)
{
    if (e->state != ECS_UNBOUND)
        port_unbind(d, e, port);
    port_free(d, e, port);
}

/* The same for a port that was seen bound to another domain's: both locks are needed, the lower domain's first. */
static noinline_ int close_interdomain(struct domain *d, struct evtchn *e,
                                       uint32_t port) NO_ANALYSIS
{
    for (;;) {
        spin_lock(&d->evtchn_lock);
        struct domain *other = e->state == ECS_INTERDOMAIN ? e->remote : d;
        if (other->id >= d->id) {
            if (other != d)
                spin_lock(&other->evtchn_lock);
            bool open = e->state > ECS_RESERVED;
            if (open)
                close_locked(d, e, port);
            evtchn_unlock_both(d, other);
            return open ? 0 : -XEN_EINVAL;
        }

        /* The other lock comes first.  While ours is held the binding keeps @other alive; a
         * reference does so while it is not.  Then look again: @other may have closed its end. */
        atomic_add(&other->refs, 1);
        spin_unlock(&d->evtchn_lock);
        evtchn_lock_both(d, other);
        bool same = e->state == ECS_INTERDOMAIN && e->remote == other;
        if (same)
            close_locked(d, e, port);
        evtchn_unlock_both(d, other);
        domain_put(other);
        if (same)
            return 0;
    }
}

/* Close @port if it is open: 0, or -XEN_EINVAL (not recorded as a refusal). */
static int close_port(struct domain *d, uint32_t port)
{
    struct evtchn *e = port_of(d, port);
    if (!e)
        return -XEN_EINVAL;

    spin_lock(&d->evtchn_lock);
    const uint8_t state = e->state;
    if (state > ECS_RESERVED && state != ECS_INTERDOMAIN)
        close_locked(d, e, port);
    spin_unlock(&d->evtchn_lock);
    if (unlikely(state == ECS_INTERDOMAIN))
        return close_interdomain(d, e, port);
    return state > ECS_RESERVED ? 0 : -XEN_EINVAL;
}

void evtchn_stop(struct domain *d)
{
    spin_lock(&d->evtchn_lock);
    d->dying = true; /* evtchn_find_free() looks at it under this lock */
    spin_unlock(&d->evtchn_lock);
}

static void close_ports(struct domain *d)
{
    for (uint32_t port = 1; port < atomic_read_acquire(&d->evtchn_limit); port++) {
        (void)!close_port(d, port); /* closed ones stay closed */
        /* After the last, too: a multicall may have many of this. */
        if (port % PORTS_PER_BUCKET == PORTS_PER_BUCKET - 1)
            (void)preempt_point();
    }
}

void evtchn_close_all(struct domain *d)
{
    ASSERT(d->dying);
    close_ports(d);
    spin_lock(&d->evtchn_lock);
    struct evtchn_fifo *fifo = evtchn_fifo_end(d);
    spin_unlock(&d->evtchn_lock);
    evtchn_fifo_free(d, fifo);
    (void)preempt_point();
}

long op_EVTCHNOP_close(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
    uint32_t port;
    if (guest_read_u32(&port, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return close_port(d, port) ? refuse(PORT_NOT_OPEN, port) : 0;
}

/* Close everything, and go back to two levels. */
static long reset(struct domain *d)
{
    close_ports(d);
    struct evtchn_fifo *fifo = NULL;
    bool all = true; /* another vCPU may have opened one meanwhile */
    spin_lock(&d->evtchn_lock);
    for (uint32_t port = 1; all && port < d->evtchn_limit; port++)
        all = port_at(d, port)->state == ECS_FREE;
    if (all)
        fifo = evtchn_fifo_end(d);
    spin_unlock(&d->evtchn_lock);
    evtchn_fifo_free(d, fifo);
    (void)preempt_point();
    return all ? 0 : refuse(RESET_DISTURBED);
}

long op_EVTCHNOP_reset(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *self = v->domain;
    struct evtchn_reset op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    long rc;
    struct domain *d = evtchn_managed(self, op.dom, &rc);
    if (!d)
        return rc;
    rc = d != self && !atomic_read(&d->pauses) ? refuse(RESET_DOMAIN_NOT_PAUSED, op.dom) : reset(d);
    domain_put(d);
    return rc;
}
