/* domctl: what a toolstack asks about, and does to, one domain. */
#include "control.h"

#include "hypercall.h"

static int address_size(const struct xen_domctl *op)
{
    return op->u.address_size.size == 64 ? 0 : refuse(ADDRESS_SIZE_OTHER, op->u.address_size.size);
}

static int serve(struct domain *d, struct xen_domctl *op)
{
    switch (op->cmd) {
    case XEN_DOMCTL_getdomaininfo:
        domain_info_get(d, &op->u.getdomaininfo);
        op->domain = d->id;
        return 0;
    case XEN_DOMCTL_setvcpuaffinity:
        return affinity_set(d, &op->u.vcpuaffinity);
    case XEN_DOMCTL_getvcpuaffinity:
        return affinity_get(d, &op->u.vcpuaffinity);
    case XEN_DOMCTL_getvcpuinfo:
        return vcpu_info_get(d, &op->u.getvcpuinfo);
    case XEN_DOMCTL_scheduler_op:
        return scheduler_of_domain(d, &op->u.scheduler_op);
    case XEN_DOMCTL_set_address_size:
        return address_size(op);
    case XEN_DOMCTL_get_address_size:
        op->u.address_size.size = 64;
        return 0;
    default:
        return refuse(CONTROL_OP_UNKNOWN, __HYPERVISOR_domctl, op->cmd);
    }
}

/* getdomaininfo is about the first domain from its number up, and asked by who serves the store, too. */
static int find(const struct xen_domctl *op, struct domain **d)
{
    const bool info = op->cmd == XEN_DOMCTL_getdomaininfo;

    if (info && op->domain >= DOMID_FIRST_RESERVED)
        return refuse(DOMAIN_NUMBER_RESERVED, op->domain);
    *d = info ? domain_get_from(op->domain) : domain_get(op->domain);
    return *d ? 0 : refuse(CONTROL_DOMAIN_MISSING, op->domain);
}

/* domctl(op) */
long hypercall_domctl(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t arg = guest_ptr(a->arg[0]);
    struct xen_domctl op;
    struct domain *d;
    int rc = control_enter(__HYPERVISOR_domctl, arg, &op, sizeof(op), XEN_DOMCTL_INTERFACE_VERSION);

    rc = rc ? rc
            : control_may(v, __HYPERVISOR_domctl, op.cmd,
                          op.cmd == XEN_DOMCTL_getdomaininfo ? ROLE_CONTROL | ROLE_XENSTORE
                                                             : ROLE_CONTROL);
    rc = rc ? rc : find(&op, &d);
    if (rc)
        return rc;
    rc = serve(d, &op);
    domain_put(d);
    if (!rc && guest_write(arg, &op, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return rc;
}
