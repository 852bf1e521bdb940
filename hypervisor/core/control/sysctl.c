/* sysctl: what a toolstack asks about the machine, the hypervisor, and all domains at once. */
#include "control.h"

#include "hypercall.h"
#include "log.h"

static int readconsole(struct xen_sysctl_readconsole *op)
{
    const guest_ptr_t to = control_pointer(op->buffer);
    uint32_t at = op->incremental ? log_first(op->index) : log_first_kept();
    const uint32_t end = log_end();
    char piece[128];
    uint32_t n = 0;

    while (at != end && n < op->count) {
        const uint32_t size = MIN(MIN(end - at, op->count - n), (uint32_t)sizeof(piece));
        log_copy(piece, at, size);
        if (guest_write(guest_ptr_add(to, n), piece, size))
            return refuse(ARGUMENT_UNREADABLE, to.va);
        at += size;
        n += size;
    }
    if (op->clear)
        log_forget(at);
    op->index = at;
    op->count = n;
    return 0;
}

static int serve(struct xen_sysctl *op)
{
    switch (op->cmd) {
    case XEN_SYSCTL_readconsole:
        return readconsole(&op->u.readconsole);
    case XEN_SYSCTL_physinfo:
        physinfo_get(&op->u.physinfo);
        return 0;
    case XEN_SYSCTL_sched_id:
        op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2;
        return 0;
    case XEN_SYSCTL_getdomaininfolist:
        return domain_info_list(&op->u.getdomaininfolist);
    case XEN_SYSCTL_cputopoinfo:
        return cputopoinfo_get(&op->u.cputopoinfo);
    case XEN_SYSCTL_numainfo:
        return numainfo_get(&op->u.numainfo);
    case XEN_SYSCTL_cpupool_op:
        return cpupool_op(&op->u.cpupool_op);
    case XEN_SYSCTL_scheduler_op:
        return scheduler_parameters(&op->u.scheduler_op);
    case XEN_SYSCTL_get_cpu_levelling_caps: /* no guest's CPUID is masked by the processor */
        op->u.cpu_levelling_caps.caps = 0;
        return 0;
    case XEN_SYSCTL_get_cpu_featureset:
        return featureset_get(&op->u.cpu_featureset);
    case XEN_SYSCTL_get_cpu_policy:
        return policy_of_machine(&op->u.cpu_policy);
    default:
        return refuse(CONTROL_OP_UNKNOWN, __HYPERVISOR_sysctl, op->cmd);
    }
}

/* sysctl(op) */
long hypercall_sysctl(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t arg = guest_ptr(a->arg[0]);
    struct xen_sysctl op;
    int rc = control_enter(__HYPERVISOR_sysctl, arg, &op, sizeof(op), XEN_SYSCTL_INTERFACE_VERSION);

    rc = rc ? rc : control_may(v, __HYPERVISOR_sysctl, op.cmd, ROLE_CONTROL);
    if (rc)
        return rc;
    rc = serve(&op);
    /* Of a featureset that was cut short the caller is told how much it got. */
    if ((!rc || op.cmd == XEN_SYSCTL_get_cpu_featureset) && guest_write(arg, &op, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return rc;
}
