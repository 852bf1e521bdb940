/* The registers that a vCPU starts with, set by a toolstack: setvcpucontext. */
#include "control.h"

#include "hypercall.h"
#include "sched.h"
#include "vcpu-op.h"
#include "wallclock.h"

static struct vcpu *vcpu_of(struct domain *d, uint32_t id)
{
    struct vcpu *v = domain_vcpu(d, id);

    if (!v || d == current_vcpu()->domain)
        (void)refuse(STATE_OF_VCPU, id, d->id);
    return d == current_vcpu()->domain ? NULL : v;
}

/* @v gets its first registers, and may run, if @c says so, as soon as its domain does. */
static int state_begin(struct vcpu *v, const struct vcpu_guest_context *c)
    REQUIRES(&v->domain->control)
{
    struct domain *d = v->domain;

    if (atomic_read(&d->dying))
        return refuse(CONTROL_DYING, d->id);
    if (atomic_read(&v->initialised))
        return refuse(STATE_FIXED, v->id);
    int rc = vcpu_initialise(v, c);
    if (rc)
        return rc;
    if (v->id == 0) {
        vm_assist_set(d, c->vm_assist);
        wallclock_show(d); /* whoever filled shared_info has cleared it before */
    }
    if (c->flags & VGCF_online)
        vcpu_unpause(v, PAUSE_DOWN);
    return 0;
}

int state_set(struct domain *d, struct xen_domctl *op)
{
    const guest_ptr_t from = control_pointer(op->u.vcpucontext.ctxt);
    struct vcpu *v = vcpu_of(d, op->u.vcpucontext.vcpu);

    if (!v)
        return -XEN_EINVAL;
    if (!from.va)
        return refuse(STATE_RESET, v->id);
    struct vcpu_guest_context *c = mem_alloc(sizeof(*c));
    if (!c)
        return refuse(CONTEXT_NO_MEMORY);
    int rc = guest_read(c, from, sizeof(*c)) ? refuse(ARGUMENT_UNREADABLE, from.va) : 0;
    if (!rc) {
        mutex_lock(&d->control);
        mutex_is_held(&v->domain->control);
        rc = state_begin(v, c);
        mutex_unlock(&d->control);
    }
    mem_free(c, sizeof(*c));
    return rc;
}
