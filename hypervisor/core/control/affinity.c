/*
 * On which physical CPUs a vCPU may run: its hard affinity.  The scheduler has no soft one; as far as a toolstack can see it is
 * always all CPUs: what is set is read, has no effect, and is answered cut to the hard one.
 */
#include "control.h"

#include "sched.h"

static int vcpu_find(struct domain *d, const struct xen_domctl_vcpuaffinity *op, struct vcpu **v)
{
    const int rc = control_vcpu(d, op->vcpu, v);

    if (rc)
        return rc;
    if (!op->flags || ((op->flags & XEN_VCPUAFFINITY_HARD) && !op->cpumap_hard.bitmap.p) ||
        ((op->flags & XEN_VCPUAFFINITY_SOFT) && !op->cpumap_soft.bitmap.p))
        return refuse(AFFINITY_NOT_NAMED, op->flags);
    return 0;
}

int affinity_get(struct domain *d, const struct xen_domctl_vcpuaffinity *op)
{
    struct vcpu *v;
    int rc = vcpu_find(d, op, &v);

    if (!rc && (op->flags & XEN_VCPUAFFINITY_HARD))
        rc = control_write_cpus(&op->cpumap_hard, atomic_read(&v->affinity));
    if (!rc && (op->flags & XEN_VCPUAFFINITY_SOFT))
        rc = control_write_cpus(&op->cpumap_soft, ~0ull);
    return rc;
}

static int set_hard(struct vcpu *v, struct xen_domctl_vcpuaffinity *op)
{
    uint64_t set;
    int rc = control_read_cpus(&op->cpumap_hard, &set);

    if (rc)
        return rc;
    if (!(set & arch_cpus_online()))
        return refuse(AFFINITY_EMPTY, set);
    if (v->pin_affinity)
        return refuse(AFFINITY_OVERRIDDEN, v->id);
    vcpu_set_affinity(v, set);
    return control_write_cpus(&op->cpumap_hard, set & arch_cpus_online());
}

static int set_soft(struct vcpu *v, struct xen_domctl_vcpuaffinity *op, uint64_t set)
{
    return control_write_cpus(&op->cpumap_soft,
                              set & arch_cpus_online() & atomic_read(&v->affinity));
}

int affinity_set(struct domain *d, struct xen_domctl_vcpuaffinity *op)
{
    struct vcpu *v;
    uint64_t soft = 0;
    int rc = vcpu_find(d, op, &v);

    /* What cannot be read changes nothing. */
    if (!rc && (op->flags & XEN_VCPUAFFINITY_SOFT))
        rc = control_read_cpus(&op->cpumap_soft, &soft);
    if (!rc && (op->flags & XEN_VCPUAFFINITY_HARD))
        rc = set_hard(v, op);
    if (!rc && (op->flags & XEN_VCPUAFFINITY_SOFT))
        rc = set_soft(v, op, soft);
    return rc;
}
