/*
 * Event channels: the sub-operations that neither open nor close a port, and the table of all (evtchn.c).
 */
#include "evtchn-op.h"

#include "arch.h"
#include "evtchn-port.h"
#include "refuse.h"
#include "sched.h"

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
        struct vcpu *to = atomic_read_acquire(&other->vcpu[port_at(other, e->peer)->vcpu]);
        if (likely(to)) /* one that is being made has none yet: nobody listens */
            evtchn_signal(to, e->peer);
    }
    spin_unlock(&d->evtchn_lock);
    if (likely(state == ECS_INTERDOMAIN))
        return 0;
    if (state == ECS_HYPERVISOR)
        return send_hypervisor(d, e, port);
    return state == ECS_UNBOUND ? 0 : refuse(PORT_CANNOT_SEND, port); /* nobody listens yet */
}

long op_EVTCHNOP_send(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
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

long op_EVTCHNOP_status(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *self = v->domain;
    struct evtchn_status op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);

    long rc;
    if (likely(op.dom == DOMID_SELF)) {
        rc = status_of(self, &op);
    } else {
        long refused; /* not @rc, which stays in a register so */
        struct domain *d = evtchn_managed(self, op.dom, &refused);
        if (!d)
            return refused;
        rc = status_of(d, &op);
        domain_put(d);
    }
    if (!rc && guest_write(arg, &op, sizeof(op)))
        rc = refuse(ARGUMENT_UNREADABLE, arg.va);
    return rc;
}

long op_EVTCHNOP_bind_vcpu(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
    struct evtchn_bind_vcpu op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!domain_vcpu(d, op.vcpu))
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
        arch_pirq_move(d, e->peer, d->vcpu[op.vcpu]->cpu);
    spin_unlock(&d->evtchn_lock);
    return movable ? 0 : refuse(PORT_CANNOT_MOVE, op.port);
}

int evtchn_unmask(struct domain *d, uint32_t port)
{
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

long op_EVTCHNOP_unmask(struct vcpu *v, guest_ptr_t arg)
{
    uint32_t port;
    if (guest_read_u32(&port, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return evtchn_unmask(v->domain, port);
}

long op_EVTCHNOP_init_control(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
    struct evtchn_init_control op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!domain_vcpu(d, op.vcpu))
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

long op_EVTCHNOP_expand_array(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
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

long op_EVTCHNOP_set_priority(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
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

static subop_fn *const evtchn_op[] = {EVTCHNOP_LIST(SUBOP_ENTRY)};
_Static_assert(ARRAY_SIZE(evtchn_op) == 0 EVTCHNOP_LIST(SUBOP_ONE), "the list has no gap");

/* event_channel_op(cmd, arg) */
long hypercall_event_channel_op(struct vcpu *v, const struct hypercall_args *a)
{
    const uint32_t cmd = (uint32_t)a->arg[0];

    if (unlikely(cmd >= ARRAY_SIZE(evtchn_op)))
        return refuse(EVTCHN_OP_UNKNOWN, cmd);
    return evtchn_op[cmd](v, guest_ptr(a->arg[1]));
}
