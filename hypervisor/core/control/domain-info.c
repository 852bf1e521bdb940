/* What a toolstack sees of domains and their vCPUs. */
#include "control.h"

#include "domain-config.h"
#include "lib.h"
#include "runstate.h"
#include "sched.h"

static uint64_t cpu_time(struct vcpu *v)
{
    struct vcpu_runstate_info info;

    vcpu_runstate(v, &info);
    return info.time[RUNSTATE_running];
}

static bool is_online(const struct vcpu *v)
{
    return !(atomic_read(&v->pause) & PAUSE_DOWN);
}

static bool is_blocked(const struct vcpu *v)
{
    return atomic_read(&v->pause) & PAUSE_BLOCKED;
}

static bool is_running(const struct vcpu *v)
{
    return atomic_read(&v->on_cpu);
}

/* A domain is blocked when all of its vCPUs are, and runs when one does. */
static uint32_t run_flags(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    uint32_t flags = XEN_DOMINF_blocked;

    for_each_vcpu(d, v) {
        info->cpu_time += cpu_time(v);
        info->max_vcpu_id = v->id;
        if (!is_online(v))
            continue;
        info->nr_online_vcpus++;
        if (!is_blocked(v))
            flags &= ~(uint32_t)XEN_DOMINF_blocked;
        if (is_running(v))
            flags |= XEN_DOMINF_running;
    }
    return info->nr_online_vcpus ? flags : 0;
}

void domain_info_get(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    const bool told = atomic_read_acquire(&d->shutdown_code_set);
    const bool down = told && atomic_read(&d->shut_down);

    memset(info, 0, sizeof(*info));
    info->domain = d->id;
    info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    info->flags = run_flags(d, info);
    if (atomic_read(&d->pauses))
        info->flags |= XEN_DOMINF_paused;
    if (atomic_read(&d->dying))
        info->flags |= XEN_DOMINF_dying;
    if (down)
        info->flags |= XEN_DOMINF_shutdown;
    /* Of one that has not shut down the reason is all ones. */
    info->flags |= (told ? d->shutdown_code : ~0u) << XEN_DOMINF_shutdownshift;
    info->tot_pages = atomic_read(&d->tot_pages);
    info->outstanding_pages = atomic_read(&d->claimed);
    info->max_pages = atomic_read(&d->max_pages);
    info->gpaddr_bits = arch_address_bits();
    info->shared_info_frame = virt_to_mfn(d->shared).n;
    memcpy(info->handle, d->handle, sizeof(info->handle));
}

int domain_info_list(struct xen_sysctl_getdomaininfolist *op)
{
    const guest_ptr_t buffer = control_pointer(op->buffer);
    struct xen_domctl_getdomaininfo info;
    unsigned from = op->first_domain, n = 0;

    while (n < op->max_domains) {
        struct domain *d = domain_get_from(from);
        if (!d)
            break;
        from = d->id + 1u;
        domain_info_get(d, &info);
        domain_put(d);
        if (guest_write(guest_ptr_add(buffer, n * sizeof(info)), &info, sizeof(info)))
            return refuse(ARGUMENT_UNREADABLE, buffer.va);
        n++;
        if (pause_point())
            break;
    }
    op->num_domains = n;
    return 0;
}

int vcpu_info_get(struct domain *d, struct xen_domctl_getvcpuinfo *op)
{
    struct vcpu *v;
    const int rc = control_vcpu(d, op->vcpu, &v);

    if (rc)
        return rc;
    op->online = is_online(v);
    op->blocked = is_blocked(v);
    op->running = is_running(v);
    op->cpu_time = cpu_time(v);
    op->cpu = v->cpu;
    return 0;
}
