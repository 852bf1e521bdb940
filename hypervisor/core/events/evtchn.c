/*
 * Event channels: one-bit signals between domains, to oneself, and from the hypervisor.
 *
 * A port is one end.  This file knows what each is connected to; how a signal reaches the guest is
 * one of two other stories (evtchn-2level.c, evtchn-fifo.c; evtchn-port.h lies between).
 *
 * States of a port, and who may leave them:
 *
 *     FREE --alloc_unbound--> UNBOUND --peer's bind_interdomain--> INTERDOMAIN
 *       |                        ^------------peer's close---------------'
 *       +--bind_virq, bind_ipi, bind_pirq--> VIRQ, IPI, PIRQ;   at start of day: HYPERVISOR
 *     every open state --close--> FREE
 *
 * Locks: a domain's ports are guarded by its evtchn_lock; two domains' by both, lower domid first.
 * A send through an interdomain port holds the sender's evtchn_lock, which keeps the binding; one to an own IPI port, a VIRQ and a
 * PIRQ take none of these: a PIRQ's comes under the lock of lines, which bind, move and close take inside evtchn_lock.  The bucket of a port lives as long as anybody has a reference to its domain, and a domain lives as long as a port of another one is bound to it (evtchn_close_all()
 * unbinds them first, under both locks).
 *
 * Ports come in buckets of 128, made when the first of them is needed; the lowest free port is
 * given out, as in Xen.  2-level channels end at port 4095.  FIFO channels have 131072 ports; only
 * a domain with the control role gets that many, others keep to 4096 so that the memory that they
 * cost the hypervisor stays within 64 KiB (Xen's toolstack gives 1024 unless it is told otherwise).
 */
#include "evtchn.h"

#include "arch.h"
#include "evtchn-port.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"
#include "runstate.h"
#include "sched.h"

#define SEARCH_SPAN 1024u /* ports that are looked at between two preemption points */
#define SEARCH_LONG 16u   /* one that looks at fewer is as cheap as the rest of its call */
#define BUSY_COST   8u    /* a look into a queue is as dear as so many */

#define WAKE_AT_ONCE 4u       /* pollers that one event wakes */
#define WAKE_IN_TURN 8u       /* of the others, at one moment */
#define WAKE_EVERY   10000u   /* ns between two such moments of a CPU's */
#define WAKE_AHEAD   1000000u /* ns, at most: moments that nobody needs any more are booked, too */

#define PIRQS 256u /* numbers of physical interrupts; those of lines are below arch_line_count() */

#define BUCKETS_2LEVEL (PORTS_2LEVEL / PORTS_PER_BUCKET)
#define BUCKETS_FIFO   (EVTCHN_FIFO_NR_CHANNELS / PORTS_PER_BUCKET)

_Static_assert(NR_VIRQS == 24, "vcpu.virq_port");

/* --- signalling --- */

/*
 * One port may have a domain's 64 vCPUs as pollers, and the timers of many domains may be due together: to wake all in one go
 * would keep a neighbour waiting for thousands of wake-ups.  So an event wakes WAKE_AT_ONCE of its pollers.  The others are noted
 * in d->wake_later, and woken WAKE_IN_TURN at a time by d->wake_timer; moments of different domains are WAKE_EVERY apart on a CPU.
 *
 * None is forgotten: while d->wake_later is not empty, the timer is set, or its handler runs, or who found it empty is about to set it.
 * None is woken for an event that it no longer waits for: who begins a poll takes itself off (evtchn_poll_begin).  That another
 * CPU saw the poll before and notes it only now cannot be excluded, nor that it wakes it directly only now: polls may end early.
 */
static uint64_t wake_booked[MAX_CPUS]; /* the last moment so far; only its CPU looks */

static uint64_t wake_moment(void)
{
    uint64_t *booked = &wake_booked[this_cpu()];
    const uint64_t now = arch_now();

    *booked = MIN(MAX(*booked, now) + WAKE_EVERY, now + WAKE_AHEAD);
    return *booked;
}

static void wake_in_turn(struct timer *t)
{
    struct domain *d = container_of(t, struct domain, wake_timer);

    for (unsigned left = WAKE_IN_TURN; left; left--) {
        const uint64_t who = atomic_read(&d->wake_later);
        if (!who)
            return;
        /* Round: the last are not kept waiting by the first, who may be back in a poll already. */
        const uint64_t behind = who & ~(BIT(d->wake_turn) - 1);
        const unsigned id = (unsigned)__builtin_ctzll(behind ? behind : who);
        d->wake_turn = (uint8_t)((id + 1) % MAX_VCPUS);
        if (atomic_and(&d->wake_later, ~BIT(id)) & BIT(id))
            vcpu_unpause(d->vcpu[id], PAUSE_POLLING);
    }
    if (atomic_read(&d->wake_later))
        timer_set(t, wake_moment());
}

/* @v's poll is over; if @left is 0, soon. */
static inline void poller_wake(struct vcpu *v, unsigned *left, uint64_t *later)
{
    /* Who is about to sleep says so before it looks for events. */
    if (!(atomic_read(&v->pause) & PAUSE_POLLING))
        return;
    if (*left) {
        --*left;
        vcpu_unpause(v, PAUSE_POLLING);
    } else {
        *later |= BIT(v->id);
    }
}

static void note_later(struct domain *d, uint64_t who)
{
    if (who && !atomic_or(&d->wake_later, who))
        timer_set(&d->wake_timer, wake_moment());
}

void evtchn_wake_pollers_(struct domain *d, uint32_t port)
{
    unsigned left = WAKE_AT_ONCE;
    uint64_t later = 0;

    for (uint64_t who = atomic_read(&d->pollers); who; who &= who - 1) {
        struct vcpu *v = d->vcpu[__builtin_ctzll(who)];
        const uint32_t polled = atomic_read(&v->poll_port);
        if (polled == port || polled == ~0u)
            poller_wake(v, &left, &later);
    }
    note_later(d, later);
}

void evtchn_wake_pollers_of(struct domain *d, uint32_t first, uint32_t end)
{
    unsigned left = WAKE_AT_ONCE;
    uint64_t later = 0;

    for (uint64_t who = atomic_read(&d->pollers); who; who &= who - 1) {
        struct vcpu *v = d->vcpu[__builtin_ctzll(who)];
        const uint32_t polled = atomic_read(&v->poll_port);
        if (polled == ~0u || (polled >= first && polled < end && evtchn_poll_port(d, polled) > 0))
            poller_wake(v, &left, &later);
    }
    note_later(d, later);
}

void evtchn_set_pending(struct domain *d, uint32_t port)
{
    const struct evtchn *e = port_of(d, port);
    if (e && e->state > ECS_UNBOUND)
        evtchn_signal(d->vcpu[e->vcpu], port);
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

void evtchn_poll_begin(struct vcpu *v)
{
    struct domain *d = v->domain;

    if (unlikely(atomic_read(&d->wake_later) & BIT(v->id)))
        atomic_and(&d->wake_later, ~BIT(v->id));
    atomic_set(&v->poll_port, ~0u);
    atomic_or(&d->pollers, BIT(v->id));
    atomic_or(&v->pause, PAUSE_POLLING);
}

int evtchn_poll_port(struct domain *d, uint32_t port)
{
    const struct evtchn *e = port_of(d, port);
    if (!e)
        return -1;
    if (e->state <= ECS_RESERVED)
        return 0;
    if (atomic_read(&d->evtchn_fifo))
        return evtchn_fifo_is_pending(d, port);
    return port < PORTS_2LEVEL && evtchn_2level_is_pending(d, port);
}

/* --- ports (evtchn_lock held) --- */

static struct evtchn *bucket_add(struct domain *d)
{
    struct evtchn *bucket = mem_alloc(PORTS_PER_BUCKET * sizeof(struct evtchn));
    if (!bucket)
        return NULL;
    d->evtchn[d->evtchn_limit / PORTS_PER_BUCKET] = bucket;
    atomic_set_release(&d->evtchn_limit, d->evtchn_limit + PORTS_PER_BUCKET);
    return bucket;
}

/* A closed port that the guest still has in a queue: given out anew, its first signal would come by
 * way of the old one. */
static bool port_is_busy(struct domain *d, uint32_t port)
{
    return d->evtchn_fifo && evtchn_fifo_is_linked(d, port);
}

/* The lowest free port, still free; or -errno.  It looks at all ports if it must: see preempt_after_search(). */
static long port_find(struct domain *d)
{
    const uint32_t space = d->evtchn_fifo ? d->evtchn_buckets * PORTS_PER_BUCKET : PORTS_2LEVEL;
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

/* Between two preemption points a vCPU's searches look at so many ports; evtchn_lock is not held. */
static inline void preempt_after_search(void)
{
    struct vcpu *v = current_vcpu();

    if (unlikely(v->ports_searched >= SEARCH_SPAN)) {
        v->ports_searched = 0;
        (void)preempt_point();
    }
}

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

static void lock_both(struct domain *a, struct domain *b) NO_ANALYSIS
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

static void unlock_both(struct domain *a, struct domain *b) NO_ANALYSIS
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
    timer_init_owned(&d->wake_timer, wake_in_turn, &d->timers);
}

int evtchn_init(struct domain *d)
{
    d->evtchn_buckets = BUCKETS_2LEVEL;
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

static void open_unbound(struct domain *d, uint32_t port, domid_t remote)
{
    struct evtchn *e = port_at(d, port);
    e->dom = remote;
    e->state = ECS_UNBOUND;
}

/* It was not the port of the hint. */
static noinline_ long alloc_unbound(struct domain *d, domid_t remote)
{
    spin_lock(&d->evtchn_lock);
    long port = port_find(d);
    if (port >= 0)
        open_unbound(d, (uint32_t)port, remote);
    spin_unlock(&d->evtchn_lock);
    preempt_after_search();
    return port;
}

/* The lowest free port is mostly the one behind that which was last given out: then nothing is searched. */
long evtchn_alloc_unbound(struct domain *d, domid_t remote)
{
    spin_lock(&d->evtchn_lock);
    const uint32_t port = d->evtchn_hint;
    const bool found = port < MIN(d->evtchn_limit, PORTS_2LEVEL) && !d->evtchn_fifo && !d->dying &&
                       port_at(d, port)->state == ECS_FREE;
    if (likely(found)) {
        open_unbound(d, port, remote);
        d->evtchn_hint = port + 1;
    }
    spin_unlock(&d->evtchn_lock);
    return likely(found) ? port : alloc_unbound(d, remote);
}

long evtchn_alloc_hypervisor(struct domain *d, evtchn_notify_fn notify)
{
    spin_lock(&d->evtchn_lock);
    long port = port_find(d);
    if (port >= 0) {
        struct evtchn *e = port_of(d, (uint32_t)port);
        e->notify = notify;
        e->state = ECS_HYPERVISOR;
    }
    spin_unlock(&d->evtchn_lock);
    return port;
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
        arch_line_release(e->peer);
    }
}

/* Close an open port; evtchn_lock held, and the remote domain's if it is interdomain. */
static void close_locked(struct domain *d, struct evtchn *e, uint32_t port)
{
    if (e->state != ECS_UNBOUND)
        port_unbind(d, e, port);
    port_free(d, e, port);
}

/* Close @port if it is open: 0, or -XEN_EINVAL (not recorded as a refusal). */
static int close_port(struct domain *d, uint32_t port) NO_ANALYSIS
{
    struct evtchn *e = port_of(d, port);
    if (!e)
        return -XEN_EINVAL;

    for (;;) {
        spin_lock(&d->evtchn_lock);
        struct domain *other = e->state == ECS_INTERDOMAIN ? e->remote : d;
        if (other->id >= d->id) {
            if (other != d)
                spin_lock(&other->evtchn_lock);
            bool open = e->state > ECS_RESERVED;
            if (open)
                close_locked(d, e, port);
            unlock_both(d, other);
            return open ? 0 : -XEN_EINVAL;
        }

        /* The other lock comes first.  While ours is held the binding keeps @other alive; a
         * reference does so while it is not.  Then look again: @other may have closed its end. */
        atomic_add(&other->refs, 1);
        spin_unlock(&d->evtchn_lock);
        lock_both(d, other);
        bool same = e->state == ECS_INTERDOMAIN && e->remote == other;
        if (same)
            close_locked(d, e, port);
        unlock_both(d, other);
        domain_put(other);
        if (same)
            return 0;
    }
}

void evtchn_stop(struct domain *d)
{
    spin_lock(&d->evtchn_lock);
    d->dying = true; /* port_find() looks at it under this lock */
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

void evtchn_destroy(struct domain *d)
{
    uint32_t limit = d->evtchn_limit;
    timer_stop(&d->wake_timer);
    d->evtchn_limit = 0;
    for (uint32_t i = 0; i < limit / PORTS_PER_BUCKET; i++)
        mem_free(d->evtchn[i], PORTS_PER_BUCKET * sizeof(struct evtchn));
    if (d->evtchn)
        mem_free(d->evtchn, d->evtchn_buckets * sizeof(struct evtchn *));
    d->evtchn = NULL;
}

/* --- the sub-operations --- */

/* A domain by number or DOMID_SELF, referenced; NULL if there is none. */
static struct domain *find_domain(struct domain *self, domid_t id)
{
    if (id == DOMID_SELF || id == self->id) {
        atomic_add(&self->refs, 1);
        return self;
    }
    return domain_get(id);
}

/* Asked before anything is looked up: the answer must not tell which domains exist. */
static bool may_manage(const struct domain *caller, domid_t id)
{
    return id == DOMID_SELF || id == caller->id || domain_has(caller, ROLE_CONTROL);
}

static bool virq_is_global(uint32_t virq)
{
    switch (virq) {
    case VIRQ_TIMER:
    case VIRQ_DEBUG:
    case VIRQ_XENOPROF:
    case VIRQ_XENPMU:
        return false;
    default:
        return true;
    }
}

static long op_alloc_unbound(struct domain *self, guest_ptr_t arg)
{
    struct evtchn_alloc_unbound op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);

    domid_t remote = op.remote_dom == DOMID_SELF ? self->id : op.remote_dom;
    long port;
    if (likely(op.dom == DOMID_SELF)) {
        port = evtchn_alloc_unbound(self, remote);
    } else if (!may_manage(self, op.dom)) {
        return refuse(EVTCHN_DOMAIN_NOT_ALLOWED, op.dom);
    } else {
        struct domain *d = find_domain(self, op.dom);
        if (!d)
            return refuse(EVTCHN_DOMAIN_MISSING, op.dom);
        port = evtchn_alloc_unbound(d, remote);
        domain_put(d);
    }
    if (port < 0)
        return port;
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_alloc_unbound, port)),
                        (uint32_t)port))
        return refuse(ARGUMENT_UNREADABLE, arg.va); /* the port stays allocated, as in Xen */
    return 0;
}

/* Bind a new port of @self to @port of @other, both locked. */
static long bind_locked(struct domain *self, struct domain *other, uint32_t port)
{
    long mine = port_find(self);
    if (mine < 0)
        return mine;
    struct evtchn *theirs = port_of(other, port);
    if (!theirs)
        return refuse(PORT_MISSING, port);
    if (theirs->state != ECS_UNBOUND || theirs->dom != self->id)
        return refuse(PORT_NOT_OFFERED, port, other->id);

    struct evtchn *e = port_of(self, (uint32_t)mine);
    e->remote = other;
    e->peer = port;
    e->state = ECS_INTERDOMAIN;
    theirs->remote = self;
    theirs->peer = (uint32_t)mine;
    theirs->state = ECS_INTERDOMAIN;

    /* Signals that the other end sent before we were there are lost: make the binder look. */
    evtchn_signal(self->vcpu[e->vcpu], (uint32_t)mine);
    return mine;
}

static long op_bind_interdomain(struct domain *self, guest_ptr_t arg)
{
    struct evtchn_bind_interdomain op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    struct domain *other = find_domain(self, op.remote_dom);
    if (!other)
        return refuse(EVTCHN_DOMAIN_MISSING, op.remote_dom);

    lock_both(self, other);
    long port = bind_locked(self, other, op.remote_port);
    unlock_both(self, other);
    domain_put(other);
    preempt_after_search();
    if (port < 0)
        return port;
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_bind_interdomain, local_port)),
                        (uint32_t)port))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

static long bind_virq_locked(struct domain *d, struct vcpu *v, uint32_t virq)
{
    if (v->virq_port[virq])
        return refuse(VIRQ_BOUND_ALREADY, virq, v->id, v->virq_port[virq]);
    long port = port_find(d);
    if (port < 0)
        return port;
    struct evtchn *e = port_of(d, (uint32_t)port);
    e->vcpu = v->id;
    e->peer = virq;
    e->state = ECS_VIRQ;
    atomic_set_release(&v->virq_port[virq], (uint32_t)port);
    return port;
}

static long op_bind_virq(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_bind_virq op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.virq >= NR_VIRQS)
        return refuse(VIRQ_UNKNOWN, op.virq);
    if (virq_is_global(op.virq) && op.vcpu)
        return refuse(VIRQ_GLOBAL, op.virq, op.vcpu);
    struct vcpu *v = op.vcpu < d->max_vcpus ? d->vcpu[op.vcpu] : NULL;
    if (!v)
        return refuse(EVTCHN_VCPU_MISSING, op.vcpu);

    spin_lock(&d->evtchn_lock);
    long port = bind_virq_locked(d, v, op.virq);
    spin_unlock(&d->evtchn_lock);
    preempt_after_search();
    if (port < 0)
        return port;
    if (op.virq == VIRQ_TIMER && v == current_vcpu())
        vcpu_timers_resume(v); /* the periodic timer was not ticking for nobody */
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_bind_virq, port)),
                        (uint32_t)port))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

static long op_bind_ipi(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_bind_ipi op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.vcpu >= d->max_vcpus || !d->vcpu[op.vcpu])
        return refuse(EVTCHN_VCPU_MISSING, op.vcpu);

    spin_lock(&d->evtchn_lock);
    long port = port_find(d);
    if (port >= 0) {
        struct evtchn *e = port_of(d, (uint32_t)port);
        e->vcpu = (uint8_t)op.vcpu;
        e->state = ECS_IPI;
    }
    spin_unlock(&d->evtchn_lock);
    preempt_after_search();
    if (port < 0)
        return port;
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_bind_ipi, port)), (uint32_t)port))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

/* The interrupt may come as soon as it is bound: its port is ready before. */
static long bind_pirq(struct domain *d, uint32_t pirq)
{
    spin_lock(&d->evtchn_lock);
    long port = port_find(d);
    if (port >= 0) {
        struct evtchn *e = port_at(d, (uint32_t)port);
        e->peer = pirq;
        e->state = ECS_PIRQ;
        const int rc = arch_line_bind(d, pirq, (uint32_t)port, d->vcpu[0]->cpu);
        if (rc) {
            e->state = ECS_FREE;
            e->peer = 0;
            port = rc;
        }
    }
    spin_unlock(&d->evtchn_lock);
    preempt_after_search();
    return port;
}

static long op_bind_pirq(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_bind_pirq op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.pirq >= PIRQS)
        return refuse(PIRQ_UNKNOWN, op.pirq);
    if (!domain_has(d, ROLE_HARDWARE))
        return refuse(PIRQ_BIND_NOT_ALLOWED, op.pirq);
    const long port = bind_pirq(d, op.pirq);
    if (port < 0)
        return port;
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_bind_pirq, port)),
                        (uint32_t)port))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

static long op_close(struct domain *d, guest_ptr_t arg)
{
    uint32_t port;
    if (guest_read_u32(&port, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return close_port(d, port) ? refuse(PORT_NOT_OPEN, port) : 0;
}

/* To the hypervisor, which may have more to do than it should in one piece.  There is a preemption point after the last, too: it
 * may be one of many in a multicall. */
static noinline_ long send_hypervisor(struct domain *d, struct evtchn *e, uint32_t port)
{
    bool sent, more;
    do {
        spin_lock(&d->evtchn_lock);
        sent = e->state == ECS_HYPERVISOR; /* another vCPU may have closed it */
        more = sent && e->notify(d, port);
        spin_unlock(&d->evtchn_lock);
    } while (!pause_point() && more);
    return sent ? 0 : refuse(PORT_CANNOT_SEND, port);
}

/* Through a port whose other end somebody may be closing. */
static noinline_ long send_locked(struct domain *d, struct evtchn *e, uint32_t port)
{
    spin_lock(&d->evtchn_lock);
    const uint8_t state = e->state;
    if (likely(state == ECS_INTERDOMAIN)) {
        /* Our lock keeps the binding, so the other domain and its port stay. */
        struct domain *other = e->remote;
        evtchn_signal(other->vcpu[port_at(other, e->peer)->vcpu], e->peer);
    }
    spin_unlock(&d->evtchn_lock);
    if (likely(state == ECS_INTERDOMAIN))
        return 0;
    if (state == ECS_HYPERVISOR)
        return send_hypervisor(d, e, port);
    return state == ECS_UNBOUND ? 0 : refuse(PORT_CANNOT_SEND, port); /* nobody listens yet */
}

static long op_send(struct domain *d, guest_ptr_t arg)
{
    uint32_t port;
    if (guest_read_u32(&port, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!port_exists(d, port))
        return refuse(PORT_MISSING, port);

    struct evtchn *e = port_at(d, port);
    if (e->state != ECS_IPI)
        return send_locked(d, e, port);
    evtchn_signal(d->vcpu[e->vcpu], port);
    return 0;
}

static void status_fill(const struct evtchn *e, uint32_t port, struct evtchn_status *op)
{
    op->vcpu = e->vcpu;
    switch (e->state) {
    case ECS_UNBOUND:
        op->status = EVTCHNSTAT_unbound;
        op->u.unbound.dom = e->dom;
        break;
    case ECS_INTERDOMAIN:
        op->status = EVTCHNSTAT_interdomain;
        op->u.interdomain.dom = e->remote->id;
        op->u.interdomain.port = e->peer;
        break;
    case ECS_HYPERVISOR: /* looks like a console served by domain 0 */
        op->status = EVTCHNSTAT_interdomain;
        op->u.interdomain.dom = 0;
        op->u.interdomain.port = port;
        break;
    case ECS_VIRQ:
        op->status = EVTCHNSTAT_virq;
        op->u.virq = e->peer;
        break;
    case ECS_PIRQ:
        op->status = EVTCHNSTAT_pirq;
        op->u.pirq = e->peer;
        break;
    case ECS_IPI:
        op->status = EVTCHNSTAT_ipi;
        break;
    default:
        op->status = EVTCHNSTAT_closed;
    }
}

static long status_of(struct domain *d, struct evtchn_status *op)
{
    if (!port_exists(d, op->port))
        return refuse(PORT_MISSING, op->port);
    spin_lock(&d->evtchn_lock);
    status_fill(port_at(d, op->port), op->port, op);
    spin_unlock(&d->evtchn_lock);
    return 0;
}

static long op_status(struct domain *self, guest_ptr_t arg)
{
    struct evtchn_status op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);

    long rc;
    if (likely(op.dom == DOMID_SELF)) {
        rc = status_of(self, &op);
    } else if (!may_manage(self, op.dom)) {
        return refuse(EVTCHN_DOMAIN_NOT_ALLOWED, op.dom);
    } else {
        struct domain *d = find_domain(self, op.dom);
        if (!d)
            return refuse(EVTCHN_DOMAIN_MISSING, op.dom);
        rc = status_of(d, &op);
        domain_put(d);
    }
    if (!rc && guest_write(arg, &op, sizeof(op)))
        rc = refuse(ARGUMENT_UNREADABLE, arg.va);
    return rc;
}

static long op_bind_vcpu(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_bind_vcpu op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.vcpu >= d->max_vcpus || !d->vcpu[op.vcpu])
        return refuse(EVTCHN_VCPU_MISSING, op.vcpu);
    struct evtchn *e = port_of(d, op.port);
    if (!e)
        return refuse(PORT_MISSING, op.port);

    spin_lock(&d->evtchn_lock);
    bool movable = e->state == ECS_UNBOUND || e->state == ECS_INTERDOMAIN ||
                   e->state == ECS_HYPERVISOR || e->state == ECS_PIRQ ||
                   (e->state == ECS_VIRQ && virq_is_global(e->peer));
    if (movable)
        e->vcpu = (uint8_t)op.vcpu;
    if (e->state == ECS_PIRQ)
        arch_line_move(e->peer, d->vcpu[op.vcpu]->cpu);
    spin_unlock(&d->evtchn_lock);
    return movable ? 0 : refuse(PORT_CANNOT_MOVE, op.port);
}

/* Unmask and, if the port is pending, do what its signal would have done. */
static long op_unmask(struct domain *d, guest_ptr_t arg)
{
    uint32_t port;
    if (guest_read_u32(&port, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    struct evtchn *e = port_of(d, port);
    if (!e)
        return refuse(PORT_MISSING, port);
    if (e->state <= ECS_RESERVED)
        return 0;
    if (atomic_read(&d->evtchn_fifo))
        evtchn_fifo_unmask(d->vcpu[e->vcpu], port);
    else if (port < PORTS_2LEVEL)
        evtchn_2level_unmask(d->vcpu[e->vcpu], port);
    return 0;
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

static long op_reset(struct domain *self, guest_ptr_t arg)
{
    struct evtchn_reset op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!may_manage(self, op.dom))
        return refuse(EVTCHN_DOMAIN_NOT_ALLOWED, op.dom);
    struct domain *d = find_domain(self, op.dom);
    if (!d)
        return refuse(EVTCHN_DOMAIN_MISSING, op.dom);

    /* Nobody can pause another domain yet. */
    long rc = d != self ? refuse(RESET_DOMAIN_NOT_PAUSED, op.dom) : reset(d);
    domain_put(d);
    return rc;
}

/* --- the sub-operations of FIFO channels --- */

static long op_init_control(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_init_control op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.vcpu >= d->max_vcpus || !d->vcpu[op.vcpu])
        return refuse(EVTCHN_VCPU_MISSING, op.vcpu);

    spin_lock(&d->evtchn_lock);
    long rc = evtchn_fifo_init_control(d->vcpu[op.vcpu], mfn(op.control_gfn), op.offset);
    spin_unlock(&d->evtchn_lock);
    (void)preempt_point(); /* the first looks at all ports */
    op.link_bits = EVTCHN_FIFO_LINK_BITS;
    if (!rc && guest_write(arg, &op, sizeof(op)))
        rc = refuse(ARGUMENT_UNREADABLE, arg.va); /* it is FIFO all the same, as in Xen */
    return rc;
}

static long op_expand_array(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_expand_array op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    spin_lock(&d->evtchn_lock);
    const long first = evtchn_fifo_expand_array(d, mfn(op.array_gfn));
    spin_unlock(&d->evtchn_lock);
    if (first < 0)
        return first;
    evtchn_fifo_raise_saved(d, (uint32_t)first);
    return 0;
}

static long op_set_priority(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_set_priority op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    struct evtchn *e = port_of(d, op.port);
    if (!e)
        return refuse(PORT_MISSING, op.port);

    long rc;
    spin_lock(&d->evtchn_lock);
    if (!d->evtchn_fifo)
        rc = refuse(PRIORITY_ON_2LEVEL, op.port);
    else if (e->state <= ECS_RESERVED)
        rc = refuse(PRIORITY_PORT_NOT_OPEN, op.port);
    else
        rc = evtchn_fifo_set_priority(d, op.port, op.priority);
    spin_unlock(&d->evtchn_lock);
    return rc;
}

typedef long evtchn_op_fn(struct domain *d, guest_ptr_t arg);

static evtchn_op_fn *const evtchn_op[] = {
    [EVTCHNOP_bind_interdomain] = op_bind_interdomain,
    [EVTCHNOP_bind_virq] = op_bind_virq,
    [EVTCHNOP_bind_pirq] = op_bind_pirq,
    [EVTCHNOP_close] = op_close,
    [EVTCHNOP_send] = op_send,
    [EVTCHNOP_status] = op_status,
    [EVTCHNOP_alloc_unbound] = op_alloc_unbound,
    [EVTCHNOP_bind_ipi] = op_bind_ipi,
    [EVTCHNOP_bind_vcpu] = op_bind_vcpu,
    [EVTCHNOP_unmask] = op_unmask,
    [EVTCHNOP_reset] = op_reset,
    [EVTCHNOP_init_control] = op_init_control,
    [EVTCHNOP_expand_array] = op_expand_array,
    [EVTCHNOP_set_priority] = op_set_priority,
};

long hypercall_event_channel_op(struct vcpu *v, const struct hypercall_args *a)
{
    const uint32_t cmd = (uint32_t)a->arg[0];

    if (unlikely(cmd >= ARRAY_SIZE(evtchn_op) || !evtchn_op[cmd]))
        return refuse(EVTCHN_OP_UNKNOWN, cmd);
    return evtchn_op[cmd](v->domain, guest_ptr(a->arg[1]));
}
