/*
 * Domains that a control domain makes: their vCPUs, and the pauses that it counts (core/control).
 */
#include "domain-record.h"

int domain_add_vcpus(struct domain *d)
{
    int rc = 0;

    mutex_lock(&d->control);
    for (unsigned i = 0; i < d->max_vcpus && !rc; i++) {
        if (atomic_read(&d->dying))
            rc = -XEN_EINVAL;
        else if (!d->vcpu[i])
            rc = vcpu_create(d, i) ? 0 : -XEN_ENOMEM;
        /* A shutdown pauses those that it finds.  Nobody can have taken the other reason away yet. */
        if (!rc && atomic_read(&d->shut_down))
            vcpu_pause(d->vcpu[i], PAUSE_DOMAIN);
        (void)preempt_point();
    }
    mutex_unlock(&d->control);
    return rc;
}

int domain_control_pause(struct domain *d)
{
    mutex_lock(&d->control);
    const bool room = d->pauses < UINT8_MAX;
    if (room && d->pauses++ == 0)
        for_each_vcpu(d, v)
            vcpu_pause(v, PAUSE_CONTROL);
    alive_count(d);
    mutex_unlock(&d->control);
    return room ? 0 : -XEN_EOVERFLOW;
}

int domain_control_unpause(struct domain *d)
{
    mutex_lock(&d->control);
    const bool paused = d->pauses > 0;
    if (paused && --d->pauses == 0) {
        d->started = true;
        alive_count(d);
        for_each_vcpu(d, v)
            vcpu_unpause(v, PAUSE_CONTROL);
    }
    mutex_unlock(&d->control);
    return paused ? 0 : -XEN_EINVAL;
}

bool domain_is_dead(const struct domain *d)
{
    return atomic_read_acquire(&container_of(d, const struct domain_record, d)->dead);
}
