/* Stopping, going on, and ending: pausedomain, unpausedomain, destroydomain. */
#include "control.h"

#include "domain-config.h"
#include "sched.h"
#include "vcpu-op.h"

static bool has_stopped(const struct domain *d)
{
    bool stopped = true;

    for_each_vcpu(d, v)
        stopped &= vcpu_is_stopped(v);
    return stopped;
}

static void wait(void)
{
    sched_yield();
    arch_relax();
}

/*
 * Its vCPUs have stopped when this returns.  Of two control domains that pause each other one does not wait for the other, which is
 * here, too, and stops on its way back.
 */
int power_pause(struct domain *d, struct xen_domctl *op)
{
    if (d == current_vcpu()->domain)
        return refuse(CONTROL_OF_SELF, d->id);
    if (domain_control_pause(d))
        return refuse(PAUSED_TOO_OFTEN, d->id);
    while (!has_stopped(d) && !pause_is_due() && !preempt_point())
        wait();
    return 0;
}

int power_hold(struct domain *d)
{
    if (domain_control_hold(d))
        return refuse(PAUSED_TOO_OFTEN, d->id);
    /* Who is to stop meanwhile does so here: of two that hold each other one stands still in the other's eyes. */
    while (!has_stopped(d)) {
        if (pause_point()) {
            domain_control_release(d);
            return -XEN_EAGAIN;
        }
        wait();
    }
    return 0;
}

int power_trigger(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_sendtrigger *t = &op->u.sendtrigger;
    struct vcpu *v = domain_vcpu(d, t->vcpu);

    if (!v)
        return refuse(CONTROL_VCPU_MISSING, t->vcpu);
    switch (t->trigger) {
    case XEN_DOMCTL_SENDTRIGGER_NMI:
        vcpu_send_nmi(v);
        return 0;
    case XEN_DOMCTL_SENDTRIGGER_POWER:
    case XEN_DOMCTL_SENDTRIGGER_SLEEP:
        return refuse(TRIGGER_ASSISTED, t->trigger);
    default:
        return refuse(TRIGGER_UNKNOWN, t->trigger);
    }
}

int power_unpause(struct domain *d, struct xen_domctl *op)
{
    return domain_control_unpause(d) ? refuse(NOT_PAUSED, d->id) : 0;
}

/* The end is work, in its own name; what others still hold of it then it stays behind for, dying.  When it stays for nobody its number
 * is free again when the caller goes on: power_destroyed(). */
int power_destroy(struct domain *d, struct xen_domctl *op)
{
    if (d == current_vcpu()->domain || (d->config && d->config->initial))
        return refuse(CONTROL_OF_SELF, d->id);
    domain_kill(d);
    while (!domain_is_dead(d) && !preempt_point())
        wait();
    return 0;
}

void power_destroyed(domid_t id)
{
    while (domain_is_hidden(id) && !pause_point())
        wait();
}
