/*
 * Making a domain, the hypervisor's part: a toolstack asks for an empty one, gives it vCPUs and a limit of memory, fills its memory
 * through memory_op and mmu_update, and starts it (power.c, vcpu-state.c).
 *
 *   createdomain   a number, its limits, ports, grant table, shared_info; paused, no vCPU, no memory; others find it
 *   max_vcpus      all its vCPUs, down
 *   max_mem        how much memory_op may give it
 *
 * What is made in several steps can be looked at, and ended, after each of them.
 */
#include "control.h"

#include "domain-config.h"
#include "evtchn.h"
#include "grant-table.h"
#include "hypercall.h"
#include "lib.h"
#include "sched.h"

/* All other flags are of hardware-assisted guests, or of what passes devices through. */
#define FLAGS_ANY XEN_DOMCTL_CDF_xs_domain

static int arch_config_check(const struct xen_arch_domainconfig *arch)
{
    if (arch->misc_flags & ~XEN_X86_MSR_RELAXED)
        return refuse(CREATE_FLAGS, arch->misc_flags);
    if (arch->emulation_flags & ~XEN_X86_EMU_ALL)
        return refuse(CREATE_FLAGS, arch->emulation_flags);
    /* An interval timer is there for all (x86/virtual/pit.c). */
    if (arch->emulation_flags & ~XEN_X86_EMU_PIT)
        return refuse(CREATE_EMULATION, arch->emulation_flags);
    return 0;
}

static int config_check(const struct xen_domctl_createdomain *c)
{
    if (c->flags & ~FLAGS_ANY)
        return refuse(CREATE_FLAGS, c->flags);
    if (c->iommu_opts || c->vmtrace_size || (c->grant_opts & ~XEN_DOMCTL_GRANT_version_mask))
        return refuse(CREATE_FLAGS, c->iommu_opts | c->vmtrace_size | c->grant_opts);
    if (c->max_vcpus < 1 || c->max_vcpus > MAX_VCPUS)
        return refuse(CREATE_VCPUS, c->max_vcpus, MAX_VCPUS);
    if (c->cpupool_id)
        return refuse(CREATE_POOL, c->cpupool_id);
    return arch_config_check(&c->arch);
}

/* Guarded by @making: one domain is made at a time, so that a number that was free stays so. */
static mutex_t making;
static domid_t last_number;

/* A number for the new domain: the one that was asked for, or the next that is free. */
static int number_choose(domid_t asked, domid_t *id) REQUIRES(&making)
{
    if (asked && asked < DOMID_FIRST_RESERVED) {
        *id = asked;
        return domain_number_free(asked) ? 0 : refuse(CREATE_NUMBER_TAKEN, asked);
    }
    for (unsigned i = 0; i < DOMID_FIRST_RESERVED - 1u; i++) {
        last_number = (domid_t)(last_number % (DOMID_FIRST_RESERVED - 1u) + 1);
        if (domain_number_free(last_number)) {
            *id = last_number;
            return 0;
        }
        if (i % 64 == 63)
            (void)preempt_point();
    }
    return refuse(CREATE_NO_MEMORY, asked);
}

/* What distinguishes @d, whom nobody else can find yet, from a domain that the hypervisor builds. */
static int configure(struct domain *d, const struct xen_domctl_createdomain *c)
{
    d->managed = true;
    d->pauses = 1;
    d->weight = SCHED_WEIGHT_NORMAL;
    d->roles = c->flags & XEN_DOMCTL_CDF_xs_domain ? ROLE_XENSTORE : 0;
    memcpy(d->handle, c->handle, sizeof(d->handle));
    evtchn_limit_ports(d, c->max_evtchn_port);
    return grant_table_limit(d, c->max_grant_frames, c->max_maptrack_frames,
                             XEN_DOMCTL_GRANT_version(c->grant_opts));
}

static int make(const struct xen_domctl_createdomain *c, domid_t asked, domid_t *id)
    REQUIRES(&making)
{
    char name[32];
    int rc = number_choose(asked, id);

    if (rc)
        return rc;
    snprintf(name, sizeof(name), "domain %u", *id);
    struct domain *d = domain_create(*id, name, c->max_vcpus);
    if (!d)
        return refuse(CREATE_NO_MEMORY, *id);
    rc = configure(d, c);
    if (rc)
        domain_destroy(d);
    else
        domain_publish(d);
    return rc;
}

int creation_begin(struct xen_domctl *op)
{
    int rc = config_check(&op->u.createdomain);

    if (rc)
        return rc;
    mutex_lock(&making);
    rc = make(&op->u.createdomain, op->domain, &op->domain);
    mutex_unlock(&making);
    return rc;
}

int creation_vcpus(struct domain *d, struct xen_domctl *op)
{
    const uint32_t want = op->u.max_vcpus.max;

    if (d == current_vcpu()->domain || !d->managed || want != d->max_vcpus)
        return refuse(CREATE_VCPUS, want, d->max_vcpus);
    const int rc = domain_add_vcpus(d);
    return rc == -XEN_ENOMEM   ? refuse(CREATE_NO_MEMORY, d->id)
           : rc == -XEN_EINVAL ? refuse(CONTROL_DYING, d->id)
                               : rc;
}

/* Less than it has is no error: it does not grow then. */
int creation_memory_limit(struct domain *d, struct xen_domctl *op)
{
    const uint64_t frames = op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10);

    atomic_set(&d->max_pages, (uint32_t)MIN(frames, UINT32_MAX / 2));
    return 0;
}

int creation_handle(struct domain *d, struct xen_domctl *op)
{
    mutex_lock(&d->control);
    memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
    mutex_unlock(&d->control);
    return 0;
}

/* The stubs that a kernel calls through, in a page of its own. */
int creation_hypercall_page(struct domain *d, struct xen_domctl *op)
{
    const mfn_t m = mfn(op->u.hypercall_init.gmfn);

    if (!mfn_valid(m) || !page_get(mfn_to_page(m), d))
        return refuse(HYPERCALL_PAGE_FRAME, m.n);
    const int rc = page_get_and_type(mfn_to_page(m), d, PAGE_TYPE_WRITABLE)
                       ? refuse(HYPERCALL_PAGE_ROLE, m.n)
                       : 0;
    if (!rc) {
        hypercall_page_fill(mfn_to_virt(m));
        page_put_and_type(mfn_to_page(m));
    }
    page_put(mfn_to_page(m));
    return rc;
}

/* --- its clock: the processor's TSC is every guest's, as it is --- */

/* Xen's numbers, in no public header: as is fit, always emulated, never, and never with TSC_AUX told. */
enum tsc_mode { TSC_DEFAULT, TSC_EMULATED, TSC_NATIVE, TSC_NATIVE_AUX };

int creation_tsc_set(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_tsc_info *t = &op->u.tsc_info;
    const bool own_rate = t->gtsc_khz && t->gtsc_khz != arch_tsc_khz();

    if (d == current_vcpu()->domain || t->tsc_mode > TSC_NATIVE_AUX)
        return refuse(TSC_MODE_UNKNOWN, t->tsc_mode);
    if (t->tsc_mode == TSC_EMULATED || own_rate)
        return refuse(TSC_NOT_EMULATED, t->tsc_mode, t->gtsc_khz);
    return 0;
}

int creation_tsc_get(struct domain *d, struct xen_domctl *op)
{
    if (d == current_vcpu()->domain)
        return refuse(TSC_MODE_UNKNOWN, 0);
    op->u.tsc_info =
        (struct xen_domctl_tsc_info){.gtsc_khz = arch_tsc_khz(), .elapsed_nsec = arch_now()};
    return 0;
}

/* --- nodes of memory: there is one --- */

int creation_nodes_set(struct domain *d, struct xen_domctl *op)
{
    const struct xenctl_bitmap *map = &op->u.nodeaffinity.nodemap;
    uint8_t first = 0;

    if (map->nr_bits && guest_read(&first, control_pointer(map->bitmap), 1))
        return refuse(ARGUMENT_UNREADABLE, (uint64_t)map->bitmap.p);
    return map->nr_bits && first & 1 ? 0 : refuse(NODES_MISSING);
}

int creation_nodes_get(struct domain *d, struct xen_domctl *op)
{
    return control_write_set(&op->u.nodeaffinity.nodemap, 1, 1);
}
