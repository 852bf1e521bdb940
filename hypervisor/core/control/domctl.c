/* domctl: what a toolstack asks about, and does to, one domain. */
#include "control.h"

#include "hypercall.h"
#include "lib.h"

typedef int domctl_fn(struct domain *d, struct xen_domctl *op);

static int info(struct domain *d, struct xen_domctl *op)
{
    domain_info_get(d, &op->u.getdomaininfo);
    op->domain = d->id;
    return 0;
}

static int vcpu_info(struct domain *d, struct xen_domctl *op)
{
    return vcpu_info_get(d, &op->u.getvcpuinfo);
}

static int set_affinity(struct domain *d, struct xen_domctl *op)
{
    return affinity_set(d, &op->u.vcpuaffinity);
}

static int get_affinity(struct domain *d, struct xen_domctl *op)
{
    return affinity_get(d, &op->u.vcpuaffinity);
}

static int scheduler(struct domain *d, struct xen_domctl *op)
{
    return scheduler_of_domain(d, &op->u.scheduler_op);
}

static int set_address_size(struct domain *d, struct xen_domctl *op)
{
    return op->u.address_size.size == 64 ? 0 : refuse(ADDRESS_SIZE_OTHER, op->u.address_size.size);
}

static int get_address_size(struct domain *d, struct xen_domctl *op)
{
    op->u.address_size.size = 64;
    return 0;
}

static domctl_fn *const domctl[] = {
    [XEN_DOMCTL_destroydomain] = power_destroy,
    [XEN_DOMCTL_pausedomain] = power_pause,
    [XEN_DOMCTL_unpausedomain] = power_unpause,
    [XEN_DOMCTL_getdomaininfo] = info,
    [XEN_DOMCTL_setvcpuaffinity] = set_affinity,
    [XEN_DOMCTL_max_mem] = creation_memory_limit,
    [XEN_DOMCTL_setvcpucontext] = state_set,
    [XEN_DOMCTL_getvcpucontext] = saved_context_get,
    [XEN_DOMCTL_getvcpuinfo] = vcpu_info,
    [XEN_DOMCTL_max_vcpus] = creation_vcpus,
    [XEN_DOMCTL_scheduler_op] = scheduler,
    [XEN_DOMCTL_setdomainhandle] = creation_handle,
    [XEN_DOMCTL_hypercall_init] = creation_hypercall_page,
    [XEN_DOMCTL_getvcpuaffinity] = get_affinity,
    [XEN_DOMCTL_set_address_size] = set_address_size,
    [XEN_DOMCTL_get_address_size] = get_address_size,
    [XEN_DOMCTL_sendtrigger] = power_trigger,
    [XEN_DOMCTL_set_ext_vcpucontext] = saved_extended_set,
    [XEN_DOMCTL_get_ext_vcpucontext] = saved_extended_get,
    [XEN_DOMCTL_getpageframeinfo3] = saved_frame_types,
    [XEN_DOMCTL_setvcpuextstate] = saved_xstate_set,
    [XEN_DOMCTL_getvcpuextstate] = saved_xstate_get,
    [XEN_DOMCTL_get_vcpu_msrs] = saved_msrs_get,
    [XEN_DOMCTL_set_vcpu_msrs] = saved_msrs_set,
    [XEN_DOMCTL_gettscinfo] = creation_tsc_get,
    [XEN_DOMCTL_settscinfo] = creation_tsc_set,
    [XEN_DOMCTL_setnodeaffinity] = creation_nodes_set,
    [XEN_DOMCTL_getnodeaffinity] = creation_nodes_get,
    [XEN_DOMCTL_get_cpu_policy] = policy_get,
    [XEN_DOMCTL_set_cpu_policy] = policy_set,
};

/* getdomaininfo is about the first domain from its number up, and asked by who serves the store, too. */
static int find(const struct xen_domctl *op, struct domain **d)
{
    const bool info = op->cmd == XEN_DOMCTL_getdomaininfo;

    if (info && op->domain >= DOMID_FIRST_RESERVED)
        return refuse(DOMAIN_NUMBER_RESERVED, op->domain);
    *d = info ? domain_get_from(op->domain) : domain_get(op->domain);
    return *d ? 0 : refuse(CONTROL_DOMAIN_MISSING, op->domain);
}

static int serve(struct xen_domctl *op)
{
    struct domain *d;

    if (op->cmd == XEN_DOMCTL_createdomain)
        return creation_begin(op);
    int rc = find(op, &d);
    if (rc)
        return rc;
    rc = op->cmd < ARRAY_SIZE(domctl) && domctl[op->cmd]
             ? domctl[op->cmd](d, op)
             : refuse(CONTROL_OP_UNKNOWN, __HYPERVISOR_domctl, op->cmd);
    domain_put(d);
    if (!rc && op->cmd == XEN_DOMCTL_destroydomain)
        power_destroyed(op->domain);
    return rc;
}

/* Of a policy or a list of MSRs that was refused the caller is told which leaf it was, or how many. */
static bool tells_failure(uint32_t cmd)
{
    return cmd == XEN_DOMCTL_set_cpu_policy || cmd == XEN_DOMCTL_get_vcpu_msrs ||
           cmd == XEN_DOMCTL_set_vcpu_msrs;
}

/* domctl(op) */
long hypercall_domctl(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t arg = guest_ptr(a->arg[0]);
    struct xen_domctl op;
    int rc = control_enter(__HYPERVISOR_domctl, arg, &op, sizeof(op), XEN_DOMCTL_INTERFACE_VERSION);

    rc = rc ? rc
            : control_may(v, __HYPERVISOR_domctl, op.cmd,
                          op.cmd == XEN_DOMCTL_getdomaininfo ? ROLE_CONTROL | ROLE_XENSTORE
                                                             : ROLE_CONTROL);
    if (rc)
        return rc;
    rc = serve(&op);
    if ((!rc || tells_failure(op.cmd)) && guest_write(arg, &op, sizeof(op)))
        return rc ? rc : refuse(ARGUMENT_UNREADABLE, arg.va);
    return rc;
}
