/*
 * The processor as guests are shown it, in the form in which toolstacks exchange it: a list of CPUID leaves.
 *
 * All guests are shown one set (x86/virtual/cpuid.c).  For a domain that has not started a toolstack may take features away;
 * leaves that hold none are accepted and change nothing.  There are no registers (MSRs) whose values differ between guests.
 */
#include "control.h"

#include "lib.h"

/* More leaves than any processor has: what a toolstack reserves for a list that it makes itself. */
#define LEAVES_MOST 160u

/* Leaves of the machine (or, if @guests, of @d, or of a new domain if that is NULL) to @to, which has room for *@n; -XEN_ENOBUFS. */
static int leaves_write(const struct domain *d, bool guests, guest_ptr_t to, uint32_t *n)
{
    xen_cpuid_leaf_t leaf;
    uint32_t i;

    for (i = 0; arch_cpuid_leaf(d, guests, i, &leaf); i++) {
        if (i >= *n)
            return refuse(POLICY_NO_ROOM, *n);
        if (guest_write(guest_ptr_add(to, i * sizeof(leaf)), &leaf, sizeof(leaf)))
            return refuse(ARGUMENT_UNREADABLE, to.va);
    }
    *n = i;
    return 0;
}

int policy_of_machine(struct xen_sysctl_cpu_policy *op)
{
    const guest_ptr_t to = control_pointer(op->leaves);
    int rc = 0;

    if (op->_rsvd || op->index > XEN_SYSCTL_cpu_policy_hvm_default)
        return refuse(POLICY_UNKNOWN, op->index);
    if (op->index == XEN_SYSCTL_cpu_policy_hvm_max ||
        op->index == XEN_SYSCTL_cpu_policy_hvm_default)
        return refuse(POLICY_ASSISTED, op->index);
    if (to.va)
        rc = leaves_write(NULL, op->index >= XEN_SYSCTL_cpu_policy_pv_max, to, &op->nr_leaves);
    else
        op->nr_leaves = LEAVES_MOST;
    op->nr_msrs = 0;
    return rc;
}

int policy_get(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;

    p->nr_msrs = 0;
    mutex_lock(&d->control);
    const int rc = leaves_write(d, true, control_pointer(p->leaves), &p->nr_leaves);
    mutex_unlock(&d->control);
    return rc;
}

static int leaves_apply(struct domain *d, struct xen_domctl_cpu_policy *p)
{
    const guest_ptr_t from = control_pointer(p->leaves);
    xen_cpuid_leaf_t leaf;

    for (uint32_t i = 0; i < p->nr_leaves; i++) {
        if (guest_read(&leaf, guest_ptr_add(from, i * sizeof(leaf)), sizeof(leaf)))
            return refuse(ARGUMENT_UNREADABLE, from.va);
        const int rc = arch_cpuid_limit(d, &leaf);
        if (!rc)
            continue;
        p->err_leaf = leaf.leaf;
        p->err_subleaf = leaf.subleaf;
        return rc == -XEN_ENOMEM ? refuse(CREATE_NO_MEMORY, d->id)
                                 : refuse(POLICY_LEAF_UNKNOWN, leaf.leaf, leaf.subleaf);
    }
    return 0;
}

int policy_set(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;

    p->err_leaf = p->err_subleaf = p->err_msr = XEN_CPUID_NO_SUBLEAF;
    if (d == current_vcpu()->domain)
        return refuse(CONTROL_OF_SELF, d->id);
    if (p->nr_leaves > LEAVES_MOST || p->nr_msrs)
        return refuse(POLICY_TOO_LONG, p->nr_leaves, p->nr_msrs);
    mutex_lock(&d->control);
    const int rc = d->started ? refuse(POLICY_FIXED, d->id) : leaves_apply(d, p);
    mutex_unlock(&d->control);
    return rc;
}
