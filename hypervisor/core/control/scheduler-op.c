/*
 * Pools of CPUs, and the scheduler's parameters.  There is one pool, with all CPUs and all domains, and one scheduler; a
 * toolstack is told that it is Xen's credit2, whose parameters, a weight and a cap, are those that this one has.
 */
#include "control.h"

#include "sched.h"

#define POOL          0u
#define RATE_LIMIT_US 1000u /* Xen's default, which nothing here corresponds to */

static unsigned domain_count(void)
{
    unsigned from = 0, n = 0;

    for (struct domain *d; (d = domain_get_from(from)) != NULL; n++) {
        from = d->id + 1u;
        domain_put(d);
        if (pause_point())
            return n + 1;
    }
    return n;
}

static int pool_info(struct xen_sysctl_cpupool_op *op)
{
    /* The first from this number up. */
    if (op->cpupool_id > POOL)
        return refuse(POOL_MISSING, op->cpupool_id);
    op->cpupool_id = POOL;
    op->sched_id = XEN_SCHEDULER_CREDIT2;
    op->n_dom = domain_count();
    return control_write_cpus(&op->cpumap, arch_cpus_online());
}

int cpupool_op(struct xen_sysctl_cpupool_op *op)
{
    switch (op->op) {
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        return pool_info(op);
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        return control_write_cpus(&op->cpumap, 0);
    default: /* there will be no other pool */
        return refuse(POOL_OP_UNKNOWN, op->op);
    }
}

int scheduler_parameters(struct xen_sysctl_scheduler_op *op)
{
    if (op->cmd != XEN_SYSCTL_SCHEDOP_putinfo && op->cmd != XEN_SYSCTL_SCHEDOP_getinfo)
        return refuse(SCHEDULER_OP_UNKNOWN, op->cmd);
    if (op->cpupool_id != POOL)
        return refuse(SCHEDULER_POOL_MISSING, op->cpupool_id);
    if (op->sched_id != XEN_SCHEDULER_CREDIT2)
        return refuse(SCHEDULER_OTHER, op->sched_id);
    if (op->cmd == XEN_SYSCTL_SCHEDOP_putinfo)
        return refuse(SCHEDULER_FIXED);
    op->u.sched_credit2.ratelimit_us = RATE_LIMIT_US;
    return 0;
}

int scheduler_of_domain(struct domain *d, struct xen_domctl_scheduler_op *op)
{
    if (op->sched_id != XEN_SCHEDULER_CREDIT2)
        return refuse(SCHEDULER_OTHER, op->sched_id);
    switch (op->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        op->u.credit2.weight = (uint16_t)d->weight;
        op->u.credit2.cap = (uint16_t)d->cap;
        return 0;
    case XEN_DOMCTL_SCHEDOP_putinfo: /* a weight of 0 means the one that it has */
        mutex_lock(&d->control);
        sched_domain_adjust(d, op->u.credit2.weight ? op->u.credit2.weight : d->weight,
                            op->u.credit2.cap);
        mutex_unlock(&d->control);
        return 0;
    default: /* of single vCPUs credit2 knows nothing either */
        return refuse(SCHEDULER_OP_UNKNOWN, op->cmd);
    }
}
