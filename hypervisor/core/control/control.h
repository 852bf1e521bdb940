/*
 * What the calls of the control role share: domctl.c, sysctl.c and platform-op.c take them apart, the other files of this folder answer.
 *
 * As in Xen the structure is read first, then its version is compared, then the role: a caller of another version learns
 * so (-EACCES) whoever it is, and everybody without the role gets -EPERM, before a domain is looked for, so that nothing about
 * other domains can be told from the answer.  What an operation answers is written back, whole, when it has
 * succeeded; a set of features that was cut short, and a CPU policy that was refused, too.
 */
#pragma once

/* Before anything includes <xen/...>: the toolstack's structures. */
#define __XEN_TOOLS__ 1

#include "arch.h"
#include "refuse.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

/*
 * Read @size bytes of @arg to @op, of hypercall @number, and look at the two words that it begins with: 0, -XEN_EFAULT or
 * -XEN_EACCES.
 */
int control_enter(unsigned number, guest_ptr_t arg, void *op, size_t size,
                  uint32_t version) must_check;
/* vCPU @id of @d: 0, or -EINVAL, -ESRCH. */
int control_vcpu(const struct domain *d, uint32_t id, struct vcpu **v) must_check;
/* Has @v's domain any of @roles?  0 or -XEN_EPERM. */
int control_may(const struct vcpu *v, unsigned number, uint32_t cmd, uint16_t roles) must_check;

/* A set of physical CPUs to and from a bitmap of the caller's; bits that no CPU has are written as zeroes.  0 or -XEN_EFAULT. */
int control_write_cpus(const struct xenctl_bitmap *to, uint64_t set) must_check;
/* The same for any set of which @limit elements can be. */
int control_write_set(const struct xenctl_bitmap *to, uint64_t set, unsigned limit) must_check;
int control_read_cpus(const struct xenctl_bitmap *from, uint64_t *set) must_check;
/* CPUs are numbered below this. */
unsigned control_cpu_limit(void);

/* The pointer in a XEN_GUEST_HANDLE_64. */
#define control_pointer(handle) guest_ptr((uint64_t)(handle).p)

/* --- domain-info.c --- */

void domain_info_get(struct domain *d, struct xen_domctl_getdomaininfo *info);
/* getdomaininfolist: those from a number up, as many as there is room for. */
int domain_info_list(struct xen_sysctl_getdomaininfolist *op) must_check;
int vcpu_info_get(struct domain *d, struct xen_domctl_getvcpuinfo *op) must_check;

/* --- affinity.c --- */

int affinity_get(struct domain *d, const struct xen_domctl_vcpuaffinity *op) must_check;
int affinity_set(struct domain *d, struct xen_domctl_vcpuaffinity *op) must_check;

/* --- machine-info.c --- */

void physinfo_get(struct xen_sysctl_physinfo *op);
int cputopoinfo_get(struct xen_sysctl_cputopoinfo *op) must_check;
int numainfo_get(struct xen_sysctl_numainfo *op) must_check;
int featureset_get(struct xen_sysctl_cpu_featureset *op) must_check;

/* --- creation.c: domctls; each takes the part of @op that is its own --- */

int creation_begin(struct xen_domctl *op) must_check; /* op->domain: the new domain's number */
int creation_vcpus(struct domain *d, struct xen_domctl *op) must_check;
int creation_memory_limit(struct domain *d, struct xen_domctl *op) must_check;
int creation_handle(struct domain *d, struct xen_domctl *op) must_check;
int creation_hypercall_page(struct domain *d, struct xen_domctl *op) must_check;
int creation_tsc_set(struct domain *d, struct xen_domctl *op) must_check;
int creation_tsc_get(struct domain *d, struct xen_domctl *op) must_check;
int creation_nodes_set(struct domain *d, struct xen_domctl *op) must_check;
int creation_nodes_get(struct domain *d, struct xen_domctl *op) must_check;

/* --- power.c --- */

int power_pause(struct domain *d, struct xen_domctl *op) must_check;
int power_unpause(struct domain *d, struct xen_domctl *op) must_check;
/* All vCPUs of @d, another domain, stand still until domain_control_release(), whoever pauses and unpauses it meanwhile.  0, or
 * -XEN_EOVERFLOW; -XEN_EAGAIN: the caller is being ended. */
int power_hold(struct domain *d) must_check;
int power_trigger(struct domain *d, struct xen_domctl *op) must_check;
int power_destroy(struct domain *d, struct xen_domctl *op) must_check;
/* Without a reference to it: wait until nothing of domain @id, which has been destroyed, is left that nobody can find. */
void power_destroyed(domid_t id);

/* --- vcpu-state.c --- */

int state_set(struct domain *d, struct xen_domctl *op) must_check;

/* --- vcpu-saved.c: what a vCPU that has run has become, read and given to another one --- */

int saved_context_get(struct domain *d, struct xen_domctl *op) must_check;
int saved_extended_get(struct domain *d, struct xen_domctl *op) must_check;
int saved_extended_set(struct domain *d, struct xen_domctl *op) must_check;
int saved_xstate_get(struct domain *d, struct xen_domctl *op) must_check;
int saved_xstate_set(struct domain *d, struct xen_domctl *op) must_check;
int saved_msrs_get(struct domain *d, struct xen_domctl *op) must_check;
int saved_msrs_set(struct domain *d, struct xen_domctl *op) must_check;
int saved_frame_types(struct domain *d, struct xen_domctl *op) must_check;

/* --- cpu-policy.c --- */

int policy_of_machine(struct xen_sysctl_cpu_policy *op) must_check;
int policy_get(struct domain *d, struct xen_domctl *op) must_check;
int policy_set(struct domain *d, struct xen_domctl *op) must_check;

/* --- scheduler-op.c: pools of CPUs and the scheduler's parameters --- */

int cpupool_op(struct xen_sysctl_cpupool_op *op) must_check;
int scheduler_parameters(struct xen_sysctl_scheduler_op *op) must_check;
int scheduler_of_domain(struct domain *d, struct xen_domctl_scheduler_op *op) must_check;
