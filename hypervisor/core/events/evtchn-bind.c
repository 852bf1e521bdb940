/*
 * Event channels: what opens ports (evtchn.c): alloc_unbound, which offers one to another domain, and the binds to a port that was
 * offered, a VIRQ, an own vCPU and a physical interrupt.
 */
#include "arch.h"
#include "evtchn-op.h"
#include "evtchn-port.h"
#include "refuse.h"
#include "runstate.h"
#include "sched.h"

_Static_assert(NR_VIRQS == 24, "vcpu.virq_port");

/* What an operation that opens @port, or failed to, answers: the port stays open if it cannot be told, as in Xen. */
static always_inline_ long port_tell(guest_ptr_t arg, size_t at, long port)
{
    if (port < 0)
        return port;
    return guest_write_u32(guest_ptr_add(arg, at), (uint32_t)port)
               ? refuse(ARGUMENT_UNREADABLE, arg.va)
               : 0;
}

static void open_unbound(struct domain *d, uint32_t port, domid_t remote)
{
    struct evtchn *e = port_at(d, port);
    e->dom = remote;
    e->state = ECS_UNBOUND;
}

/* evtchn_alloc_unbound() when the hint's port is not free. */
static noinline_ long alloc_unbound(struct domain *d, domid_t remote)
{
    spin_lock(&d->evtchn_lock);
    long port = evtchn_find_free(d);
    if (port >= 0)
        open_unbound(d, (uint32_t)port, remote);
    spin_unlock(&d->evtchn_lock);
    evtchn_preempt_after_search();
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
    long port = evtchn_find_free(d);
    if (port >= 0) {
        struct evtchn *e = port_of(d, (uint32_t)port);
        e->notify = notify;
        e->state = ECS_HYPERVISOR;
    }
    spin_unlock(&d->evtchn_lock);
    return port;
}

long op_EVTCHNOP_alloc_unbound(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *self = v->domain;
    struct evtchn_alloc_unbound op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);

    domid_t remote = op.remote_dom == DOMID_SELF ? self->id : op.remote_dom;
    long port;
    if (likely(op.dom == DOMID_SELF)) {
        port = evtchn_alloc_unbound(self, remote);
    } else {
        long rc; /* not @port, which stays in a register so */
        struct domain *d = evtchn_managed(self, op.dom, &rc);
        if (!d)
            return rc;
        port = evtchn_alloc_unbound(d, remote);
        domain_put(d);
    }
    return port_tell(arg, offsetof(struct evtchn_alloc_unbound, port), port);
}

/* Bind a new port of @self to @port of @other, both locked. */
static long bind_locked(struct domain *self, struct domain *other, uint32_t port)
    REQUIRES(self->evtchn_lock) REQUIRES(other->evtchn_lock)
{
    long mine = evtchn_find_free(self);
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

long op_EVTCHNOP_bind_interdomain(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *self = v->domain;
    struct evtchn_bind_interdomain op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    struct domain *other = evtchn_domain(self, op.remote_dom);
    if (!other)
        return refuse(EVTCHN_DOMAIN_MISSING, op.remote_dom);

    evtchn_lock_both(self, other);
    long port = bind_locked(self, other, op.remote_port);
    evtchn_unlock_both(self, other);
    domain_put(other);
    evtchn_preempt_after_search();
    return port_tell(arg, offsetof(struct evtchn_bind_interdomain, local_port), port);
}

static long bind_virq_locked(struct domain *d, struct vcpu *v, uint32_t virq)
    REQUIRES(d->evtchn_lock)
{
    if (v->virq_port[virq])
        return refuse(VIRQ_BOUND_ALREADY, virq, v->id, v->virq_port[virq]);
    long port = evtchn_find_free(d);
    if (port < 0)
        return port;
    struct evtchn *e = port_of(d, (uint32_t)port);
    e->vcpu = v->id;
    e->peer = virq;
    e->state = ECS_VIRQ;
    atomic_set_release(&v->virq_port[virq], (uint32_t)port);
    return port;
}

long op_EVTCHNOP_bind_virq(struct vcpu *caller, guest_ptr_t arg)
{
    struct domain *d = caller->domain;
    struct evtchn_bind_virq op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.virq >= NR_VIRQS)
        return refuse(VIRQ_UNKNOWN, op.virq);
    if (virq_is_global(op.virq) && op.vcpu)
        return refuse(VIRQ_GLOBAL, op.virq, op.vcpu);
    struct vcpu *v = domain_vcpu(d, op.vcpu);
    if (!v)
        return refuse(EVTCHN_VCPU_MISSING, op.vcpu);

    spin_lock(&d->evtchn_lock);
    long port = bind_virq_locked(d, v, op.virq);
    spin_unlock(&d->evtchn_lock);
    evtchn_preempt_after_search();
    if (port >= 0 && op.virq == VIRQ_TIMER && v == caller)
        vcpu_timers_resume(v); /* the periodic timer was not ticking for nobody */
    return port_tell(arg, offsetof(struct evtchn_bind_virq, port), port);
}

long op_EVTCHNOP_bind_ipi(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
    struct evtchn_bind_ipi op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!domain_vcpu(d, op.vcpu))
        return refuse(EVTCHN_VCPU_MISSING, op.vcpu);

    spin_lock(&d->evtchn_lock);
    long port = evtchn_find_free(d);
    if (port >= 0) {
        struct evtchn *e = port_of(d, (uint32_t)port);
        e->vcpu = (uint8_t)op.vcpu;
        e->state = ECS_IPI;
    }
    spin_unlock(&d->evtchn_lock);
    evtchn_preempt_after_search();
    return port_tell(arg, offsetof(struct evtchn_bind_ipi, port), port);
}

/* The interrupt may come as soon as it is bound: its port is ready before. */
static long bind_pirq(struct domain *d, uint32_t pirq)
{
    spin_lock(&d->evtchn_lock);
    long port = evtchn_find_free(d);
    if (port >= 0) {
        struct evtchn *e = port_at(d, (uint32_t)port);
        e->peer = pirq;
        e->state = ECS_PIRQ;
        const int rc = arch_pirq_bind(d, pirq, (uint32_t)port, d->vcpu[0]->cpu);
        if (rc) {
            e->state = ECS_FREE;
            e->peer = 0;
            port = rc;
        }
    }
    spin_unlock(&d->evtchn_lock);
    evtchn_preempt_after_search();
    return port;
}

long op_EVTCHNOP_bind_pirq(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
    struct evtchn_bind_pirq op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.pirq >= PIRQS)
        return refuse(PIRQ_UNKNOWN, op.pirq);
    if (!domain_has(d, ROLE_HARDWARE))
        return refuse(PIRQ_BIND_NOT_ALLOWED, op.pirq);
    const long port = bind_pirq(d, op.pirq);
    return port_tell(arg, offsetof(struct evtchn_bind_pirq, port), port);
}
