/*
 * Event channels, 2-level: one-bit signals between domains, to oneself, and from the hypervisor.
 *
 * A port is one end.  Signalling it sets its bit in shared_info; if the port is not masked, the bit
 * of its 64-port word in the selector of the vCPU it notifies; and if that was clear, the vCPU's
 * upcall_pending flag, which wakes the vCPU and makes the next way out an upcall:
 *
 *     evtchn_pending[port]  --unmasked-->  vcpu_info.evtchn_pending_sel[port / 64]
 *                                          --first-->  vcpu_info.evtchn_upcall_pending  -->
 * vcpu_kick()
 *
 * The three words lie in guest memory and the guest clears them with plain or atomic instructions,
 * so each is set by one atomic operation and nothing here depends on what they say.
 *
 * States of a port, and who may leave them:
 *
 *     FREE --alloc_unbound--> UNBOUND --peer's bind_interdomain--> INTERDOMAIN
 *       |                        ^------------peer's close---------------'
 *       +--bind_virq, bind_ipi--> VIRQ, IPI;   at start of day: HYPERVISOR
 *     every open state --close--> FREE
 *
 * Locks: a domain's ports are guarded by its evtchn_lock; two domains' by both, lower domid first.
 * Signalling takes no lock of the receiver: the bucket of a port lives as long as its domain, and a
 * domain lives as long as a port of another one is bound to it (its evtchn_destroy() unbinds them
 * first, under both locks).
 *
 * Ports come in buckets of 128, made when the first of them is needed; the lowest free port is
 * given out, as in Xen.
 */
#include "evtchn.h"

#include "arch.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

#define PORT_LIMIT       4096u /* 64 words of 64 bits */
#define PORTS_PER_BUCKET 128u
#define BUCKETS          (PORT_LIMIT / PORTS_PER_BUCKET)

struct evtchn {
    uint8_t state; /* enum evtchn_state */
    uint8_t vcpu;  /* whom it notifies */
    domid_t dom;   /* UNBOUND: who may bind */
    uint32_t peer; /* INTERDOMAIN: the remote port; VIRQ: its number */
    union {
        struct domain *remote;   /* INTERDOMAIN */
        evtchn_notify_fn notify; /* HYPERVISOR */
    };
};
_Static_assert(sizeof(struct evtchn) == 16, "a bucket is one 2 KiB slab object");
_Static_assert(NR_VIRQS == 24, "vcpu.virq_port");
_Static_assert(MAX_VCPUS <= 256, "evtchn.vcpu");

/* The bits that the guest sees are words of 64 on this ABI. */
static uint64_t *pending_map(const struct domain *d)
{
    return (uint64_t *)d->shared->evtchn_pending;
}

static uint64_t *mask_map(const struct domain *d)
{
    return (uint64_t *)d->shared->evtchn_mask;
}

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

/* --- signalling --- */

static cold_ void wake_pollers(struct domain *d, uint32_t port)
{
    uint64_t who = atomic_read(&d->pollers);
    for (; who; who &= who - 1) {
        struct vcpu *v = d->vcpu[__builtin_ctzll(who)];
        uint32_t polled = atomic_read(&v->poll_port);
        if (polled == port || polled == ~0u)
            vcpu_unpause(v, PAUSE_POLLING);
    }
}

/* An unmasked port of @v's has become pending. */
static noinline_ void mark_upcall(struct vcpu *v, uint32_t port)
{
    struct vcpu_info *info = atomic_read(&v->info);
    if (atomic_test_and_set_bit((uint64_t *)&info->evtchn_pending_sel, port / 64))
        return;
    if (!atomic_exchange(&info->evtchn_upcall_pending, 1))
        vcpu_kick(v);
}

static inline void signal(struct domain *d, struct vcpu *v, uint32_t port)
{
    if (atomic_test_and_set_bit(pending_map(d), port))
        return;
    if (unlikely(atomic_read(&d->pollers))) /* masked ports can be polled, too */
        wake_pollers(d, port);
    if (!atomic_test_bit(mask_map(d), port))
        mark_upcall(v, port);
}

void evtchn_set_pending(struct domain *d, uint32_t port)
{
    const struct evtchn *e = port_of(d, port);
    if (e && e->state > ECS_UNBOUND)
        signal(d, d->vcpu[e->vcpu], port);
}

void virq_raise(struct vcpu *v, unsigned virq)
{
    uint32_t port = atomic_read(&v->virq_port[virq]);
    if (port)
        signal(v->domain, v, port);
}

void virq_raise_global(struct domain *d, unsigned virq)
{
    uint32_t port = d->vcpu[0] ? atomic_read(&d->vcpu[0]->virq_port[virq]) : 0;
    if (port)
        evtchn_set_pending(d, port); /* bind_vcpu may have moved it */
}

int evtchn_poll_port(const struct domain *d, uint32_t port)
{
    const struct evtchn *e = port_of(d, port);
    if (!e)
        return -1;
    return e->state > ECS_RESERVED && atomic_test_bit(pending_map(d), port);
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

/* The lowest free port, still free; or -errno. */
static long port_find(struct domain *d)
{
    if (unlikely(d->dying))
        return refuse(EV_005);
    for (uint32_t port = d->evtchn_hint; port < d->evtchn_limit; port++) {
        if (port_of(d, port)->state == ECS_FREE) {
            d->evtchn_hint = port;
            return port;
        }
    }
    if (d->evtchn_limit == PORT_LIMIT)
        return refuse(EV_003);
    d->evtchn_hint = d->evtchn_limit;
    return bucket_add(d) ? (long)d->evtchn_hint : refuse(EV_004);
}

static void port_free(struct domain *d, struct evtchn *e, uint32_t port)
{
    *e = (struct evtchn){.state = ECS_FREE};
    if (port < d->evtchn_hint)
        d->evtchn_hint = port;
    atomic_and(&pending_map(d)[port / 64], ~BIT(port % 64)); /* the next user starts clean */
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

/* --- domains
 * -----------------------------------------------------------------------------------------------
 */

int evtchn_init(struct domain *d)
{
    d->evtchn_lock = (spinlock_t)SPINLOCK_INIT(EVTCHN);
    d->evtchn = mem_alloc(BUCKETS * sizeof(struct evtchn *));
    if (!d->evtchn || !bucket_add(d))
        return -XEN_ENOMEM; /* evtchn_destroy() tidies up */
    port_of(d, 0)->state = ECS_RESERVED;
    d->evtchn_hint = 1;
    return 0;
}

static long alloc_unbound(struct domain *d, domid_t remote)
{
    long port = port_find(d);
    if (port >= 0) {
        struct evtchn *e = port_of(d, (uint32_t)port);
        e->dom = remote;
        e->state = ECS_UNBOUND;
    }
    return port;
}

long evtchn_alloc_unbound(struct domain *d, domid_t remote)
{
    spin_lock(&d->evtchn_lock);
    long port = alloc_unbound(d, remote);
    spin_unlock(&d->evtchn_lock);
    return port;
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

/* Close an open port; evtchn_lock held, and the remote domain's if it is interdomain. */
static void close_locked(struct domain *d, struct evtchn *e, uint32_t port)
{
    if (e->state == ECS_VIRQ) {
        for_each_vcpu (d, v)
            if (v->virq_port[e->peer] == port)
                atomic_set(&v->virq_port[e->peer], 0);
    } else if (e->state == ECS_INTERDOMAIN) {
        struct evtchn *other = port_of(e->remote, e->peer);
        other->remote = NULL;
        other->dom = d->id;
        other->state = ECS_UNBOUND;
    }
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

void evtchn_destroy(struct domain *d)
{
    for (uint32_t port = 1; port < d->evtchn_limit; port++) {
        (void)!close_port(d, port);
        if (port % PORTS_PER_BUCKET == 0)
            (void)preempt_point();
    }

    uint32_t limit = d->evtchn_limit;
    d->evtchn_limit = 0;
    for (uint32_t i = 0; i < limit / PORTS_PER_BUCKET; i++)
        mem_free(d->evtchn[i], PORTS_PER_BUCKET * sizeof(struct evtchn));
    if (d->evtchn)
        mem_free(d->evtchn, BUCKETS * sizeof(struct evtchn *));
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
        return refuse(HC_002, arg.va);

    domid_t remote = op.remote_dom == DOMID_SELF ? self->id : op.remote_dom;
    long port;
    if (likely(op.dom == DOMID_SELF)) {
        port = evtchn_alloc_unbound(self, remote);
    } else if (!may_manage(self, op.dom)) {
        return refuse(EV_002, op.dom);
    } else {
        struct domain *d = find_domain(self, op.dom);
        if (!d)
            return refuse(EV_001, op.dom);
        port = evtchn_alloc_unbound(d, remote);
        domain_put(d);
    }
    if (port < 0)
        return port;
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_alloc_unbound, port)),
                        (uint32_t)port))
        return refuse(HC_002, arg.va); /* the port stays allocated, as in Xen */
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
        return refuse(EV_006, port);
    if (theirs->state != ECS_UNBOUND || theirs->dom != self->id)
        return refuse(EV_007, port, other->id);

    struct evtchn *e = port_of(self, (uint32_t)mine);
    e->remote = other;
    e->peer = port;
    e->state = ECS_INTERDOMAIN;
    theirs->remote = self;
    theirs->peer = (uint32_t)mine;
    theirs->state = ECS_INTERDOMAIN;

    /* Signals that the other end sent before we were there are lost: make the binder look. */
    signal(self, self->vcpu[e->vcpu], (uint32_t)mine);
    return mine;
}

static long op_bind_interdomain(struct domain *self, guest_ptr_t arg)
{
    struct evtchn_bind_interdomain op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(HC_002, arg.va);
    struct domain *other = find_domain(self, op.remote_dom);
    if (!other)
        return refuse(EV_001, op.remote_dom);

    lock_both(self, other);
    long port = bind_locked(self, other, op.remote_port);
    unlock_both(self, other);
    domain_put(other);
    if (port < 0)
        return port;
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_bind_interdomain, local_port)),
                        (uint32_t)port))
        return refuse(HC_002, arg.va);
    return 0;
}

static long bind_virq_locked(struct domain *d, struct vcpu *v, uint32_t virq)
{
    if (v->virq_port[virq])
        return refuse(EV_011, virq, v->id, v->virq_port[virq]);
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
        return refuse(HC_002, arg.va);
    if (op.virq >= NR_VIRQS)
        return refuse(EV_008, op.virq);
    if (virq_is_global(op.virq) && op.vcpu)
        return refuse(EV_009, op.virq, op.vcpu);
    struct vcpu *v = op.vcpu < d->max_vcpus ? d->vcpu[op.vcpu] : NULL;
    if (!v)
        return refuse(EV_010, op.vcpu);

    spin_lock(&d->evtchn_lock);
    long port = bind_virq_locked(d, v, op.virq);
    spin_unlock(&d->evtchn_lock);
    if (port < 0)
        return port;
    if (op.virq == VIRQ_TIMER && v == current_vcpu())
        vcpu_timers_resume(v); /* the periodic timer was not ticking for nobody */
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_bind_virq, port)),
                        (uint32_t)port))
        return refuse(HC_002, arg.va);
    return 0;
}

static long op_bind_ipi(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_bind_ipi op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(HC_002, arg.va);
    if (op.vcpu >= d->max_vcpus || !d->vcpu[op.vcpu])
        return refuse(EV_010, op.vcpu);

    spin_lock(&d->evtchn_lock);
    long port = port_find(d);
    if (port >= 0) {
        struct evtchn *e = port_of(d, (uint32_t)port);
        e->vcpu = (uint8_t)op.vcpu;
        e->state = ECS_IPI;
    }
    spin_unlock(&d->evtchn_lock);
    if (port < 0)
        return port;
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct evtchn_bind_ipi, port)), (uint32_t)port))
        return refuse(HC_002, arg.va);
    return 0;
}

static long op_bind_pirq(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_bind_pirq op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(HC_002, arg.va);
    return op.pirq >= 256 ? refuse(EV_012, op.pirq) : refuse(EV_013, op.pirq);
}

static long op_close(struct domain *d, guest_ptr_t arg)
{
    uint32_t port;
    if (guest_read_u32(&port, arg))
        return refuse(HC_002, arg.va);
    return close_port(d, port) ? refuse(EV_014, port) : 0;
}

/* Through a port whose other end somebody may be closing. */
static noinline_ long send_locked(struct domain *d, struct evtchn *e, uint32_t port)
{
    bool sent = true;
    spin_lock(&d->evtchn_lock);
    if (likely(e->state == ECS_INTERDOMAIN)) {
        /* Our lock keeps the binding, so the other domain and its port stay. */
        struct domain *other = e->remote;
        signal(other, other->vcpu[port_at(other, e->peer)->vcpu], e->peer);
    } else if (e->state == ECS_HYPERVISOR) {
        e->notify(d, port);
    } else {
        sent = e->state == ECS_UNBOUND; /* nobody listens yet */
    }
    spin_unlock(&d->evtchn_lock);
    return sent ? 0 : refuse(EV_015, port);
}

static long op_send(struct domain *d, guest_ptr_t arg)
{
    uint32_t port;
    if (guest_read_u32(&port, arg))
        return refuse(HC_002, arg.va);
    if (!port_exists(d, port))
        return refuse(EV_006, port);

    struct evtchn *e = port_at(d, port);
    if (e->state != ECS_IPI)
        return send_locked(d, e, port);
    signal(d, d->vcpu[e->vcpu], port);
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
        return refuse(EV_006, op->port);
    spin_lock(&d->evtchn_lock);
    status_fill(port_at(d, op->port), op->port, op);
    spin_unlock(&d->evtchn_lock);
    return 0;
}

static long op_status(struct domain *self, guest_ptr_t arg)
{
    struct evtchn_status op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(HC_002, arg.va);

    long rc;
    if (likely(op.dom == DOMID_SELF)) {
        rc = status_of(self, &op);
    } else if (!may_manage(self, op.dom)) {
        return refuse(EV_002, op.dom);
    } else {
        struct domain *d = find_domain(self, op.dom);
        if (!d)
            return refuse(EV_001, op.dom);
        rc = status_of(d, &op);
        domain_put(d);
    }
    if (!rc && guest_write(arg, &op, sizeof(op)))
        rc = refuse(HC_002, arg.va);
    return rc;
}

static long op_bind_vcpu(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_bind_vcpu op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(HC_002, arg.va);
    if (op.vcpu >= d->max_vcpus || !d->vcpu[op.vcpu])
        return refuse(EV_010, op.vcpu);
    struct evtchn *e = port_of(d, op.port);
    if (!e)
        return refuse(EV_006, op.port);

    spin_lock(&d->evtchn_lock);
    bool movable = e->state == ECS_UNBOUND || e->state == ECS_INTERDOMAIN ||
                   e->state == ECS_HYPERVISOR || (e->state == ECS_VIRQ && virq_is_global(e->peer));
    if (movable)
        e->vcpu = (uint8_t)op.vcpu;
    spin_unlock(&d->evtchn_lock);
    return movable ? 0 : refuse(EV_016, op.port);
}

/* Unmask and, if the port is pending, do what its signal would have done. */
static long op_unmask(struct domain *d, guest_ptr_t arg)
{
    uint32_t port;
    if (guest_read_u32(&port, arg))
        return refuse(HC_002, arg.va);
    struct evtchn *e = port_of(d, port);
    if (!e)
        return refuse(EV_006, port);
    if (e->state > ECS_RESERVED && atomic_test_and_clear_bit(mask_map(d), port) &&
        atomic_test_bit(pending_map(d), port))
        mark_upcall(d->vcpu[e->vcpu], port);
    return 0;
}

static long op_reset(struct domain *self, guest_ptr_t arg)
{
    struct evtchn_reset op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(HC_002, arg.va);
    if (!may_manage(self, op.dom))
        return refuse(EV_002, op.dom);
    struct domain *d = find_domain(self, op.dom);
    if (!d)
        return refuse(EV_001, op.dom);

    long rc = 0;
    if (d != self) {
        rc = refuse(EV_017, op.dom); /* nobody can pause another domain yet */
    } else {
        for (uint32_t port = 1; port < d->evtchn_limit; port++) {
            (void)!close_port(d, port); /* closed ones stay closed */
            if (port % PORTS_PER_BUCKET == 0)
                (void)preempt_point();
        }
    }
    domain_put(d);
    return rc;
}

/* FIFO event channels are not served; a guest that asks falls back to two levels. */
static long op_set_priority(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_set_priority op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(HC_002, arg.va);
    return port_of(d, op.port) ? refuse(EV_018, EVTCHNOP_set_priority) : refuse(EV_006, op.port);
}

static long op_expand_array(struct domain *d, guest_ptr_t arg)
{
    struct evtchn_expand_array op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(HC_002, arg.va);
    return refuse(EV_019);
}

static long op_init_control(struct domain *d, guest_ptr_t arg)
{
    return refuse(EV_018, EVTCHNOP_init_control);
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
        return refuse(EV_020, cmd);
    return evtchn_op[cmd](v->domain, guest_ptr(a->arg[1]));
}
