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

/* One more in *@count, which is one of @d's two. */
static int stand_still(struct domain *d, uint8_t *count) REQUIRES(&d->control)
{
    if (*count == UINT8_MAX)
        return -XEN_EOVERFLOW;
    ++*count;
    if (d->pauses + d->holds == 1)
        for_each_vcpu(d, v)
            vcpu_pause(v, PAUSE_CONTROL);
    return 0;
}

/* One of *@count is over. */
static void go_on(struct domain *d, uint8_t *count) REQUIRES(&d->control)
{
    --*count;
    if (d->pauses + d->holds == 0)
        for_each_vcpu(d, v)
            vcpu_unpause(v, PAUSE_CONTROL);
}

int domain_control_pause(struct domain *d)
{
    mutex_lock(&d->control);
    const int rc = stand_still(d, &d->pauses);
    alive_count(d);
    mutex_unlock(&d->control);
    return rc;
}

int domain_control_unpause(struct domain *d)
{
    mutex_lock(&d->control);
    const bool paused = d->pauses > 0;
    if (d->pauses == 1)
        d->started = true;
    if (paused)
        go_on(d, &d->pauses);
    alive_count(d);
    mutex_unlock(&d->control);
    return paused ? 0 : -XEN_EINVAL;
}

int domain_control_hold(struct domain *d)
{
    mutex_lock(&d->control);
    const int rc = stand_still(d, &d->holds);
    mutex_unlock(&d->control);
    return rc;
}

void domain_control_release(struct domain *d)
{
    mutex_lock(&d->control);
    go_on(d, &d->holds);
    mutex_unlock(&d->control);
}

bool domain_is_dead(const struct domain *d)
{
    return atomic_read_acquire(&container_of(d, const struct domain_record, d)->dead);
}
