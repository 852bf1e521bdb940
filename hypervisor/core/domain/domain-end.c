/*
 * The end of a domain: it shuts down, crashes or is killed; then its end is work: everybody stops, it is told, and what
 * its configuration says is done.
 */
#include "domain-record.h"
#include "audit.h"
#include "console.h"
#include "evtchn.h"
#include "refuse.h"
#include "verdict.h"

/* ns between two looks whether its vCPUs have come to their stop, and between the first few whether a reference has gone */
#define STOP_LOOKS       1000000ull
#define HURRIED_LOOKS    20u
#define ZOMBIE_LAST_LOOK 100u /* a second after the last domain has ended */

/* Who pays for the ends of managed domains: all that wait together, with the weight of one. */
static struct work_account managed_account;

/* SHUTDOWN_* of <xen/sched.h> */
static const char *const reason_name[] = {"poweroff", "reboot",   "suspend",
                                          "crash",    "watchdog", "soft_reset"};

const char *domain_shutdown_reason(const struct domain *d)
{
    return d->shutdown_code < ARRAY_SIZE(reason_name) ? reason_name[d->shutdown_code] : "unknown";
}

/* What comes now is work, in the name of @d. */
static void begin_end(struct domain *d)
{
    struct domain_record *r = record_of(d);

    for_each_vcpu(d, v)
        vcpu_pause(v, PAUSE_DOMAIN);
    if (!atomic_read(&r->dead)) /* else how long others hold its frames is not its affair */
        r->end_work.account = d->config ? &d->config->account : &managed_account;
    work_add(&r->end_work);
}

void domain_shutdown(struct domain *d, uint8_t reason)
{
    if (atomic_exchange(&d->shut_down, true))
        return;
    if (!d->shutdown_code_set) {
        d->shutdown_code = reason;
        atomic_set_release(&d->shutdown_code_set,
                           true); /* whoever looks at a domain reads this first */
    }
    begin_end(d);
}

void domain_kill(struct domain *d)
{
    atomic_set(&record_of(d)->killed, true);
    atomic_set(&d->shut_down, true); /* for no reason that is told, if it had not before */
    begin_end(d);
}

void domain_crash_(struct domain *d, enum rule_id rule, uint64_t a, uint64_t b, uint64_t c)
{
    const struct rule_text *t = &rule_text[rule];
    struct vcpu *v = current_vcpu();

    if (!atomic_exchange(&d->crash_reported, 1)) {
        printk("d%u crashed: %.2s-%s ", d->id, t->id, t->id + 3);
        printk_more(t->says, (unsigned long)a, (unsigned long)b, (unsigned long)c);
        printk_more("\n");
        if (v->domain != d)
            v = d->vcpu[0];
        record_of(d)->crashed = v;
        if (v)
            arch_dump_begin(v, &record_of(d)->dump);
    }
    domain_shutdown(d, SHUTDOWN_crash);
}

static enum end_action configured_action(const struct domain *d)
{
    const struct domain_config *c = d->config;

    if (d->managed)
        return END_PRESERVE;
    if (!c || c->initial)
        return END_DESTROY;
    switch (d->shutdown_code) {
    case SHUTDOWN_reboot:
    case SHUTDOWN_soft_reset:
        return c->on_reboot;
    case SHUTDOWN_crash:
        return c->on_crash;
    case SHUTDOWN_watchdog:
        return c->on_watchdog;
    case SHUTDOWN_suspend:
        return END_PRESERVE;
    default:
        return c->on_poweroff;
    }
}

/* What to do with @d, which has shut down; reboot-limit= bounds how often it is started again. */
static enum end_action end_action_of(const struct domain_record *r)
{
    const struct domain *d = &r->d;
    enum end_action action = atomic_read(&r->killed) ? END_DESTROY : configured_action(d);

    if (action == END_RESTART && d->config->restarts >= cmdline_number("reboot-limit", ~0ul))
        return END_DESTROY;
    return action;
}

void domain_zombie_look(struct timer *t)
{
    work_add(&container_of(t, struct domain_record, zombie_timer)->end_work);
}

/* What a guest that is made for us does while it starts, and never again. */
static unsigned long emulated(const struct domain *d)
{
    unsigned long count = 0;
    for_each_vcpu(d, v)
        count += v->emulated;
    return count;
}

/* Everybody stopped, the rest of its output first, then the one line that tools wait for. */
static void announce_end(struct domain *d)
{
    for_each_vcpu(d, v)
        vcpu_pause_sync(v, PAUSE_DOMAIN);
    if (record_of(d)->crashed)
        arch_dump_rest(record_of(d)->crashed, &record_of(d)->dump);
    if (domain_tracer.ended)
        domain_tracer.ended(d);
    console_detach(d);
    if (refuse_explains)
        printk("d%u: %lu instructions emulated\n", d->id, emulated(d));
    if (d->shutdown_code_set)
        printk("d%u shut down: %s\n", d->id, domain_shutdown_reason(d));
    if (d->shutdown_code == SHUTDOWN_crash || d->shutdown_code == SHUTDOWN_watchdog)
        machine_verdict(VERDICT_CRASH);
    mutex_lock(&d->control);
    record_of(d)->announced = true;
    alive_count(d);
    mutex_unlock(&d->control);
    virq_raise_controllers(VIRQ_DOM_EXC);
}

/*
 * Tell all vCPUs to stop.  False: one is still in the middle of an operation, which may take long, as it is the domain's own CPU time
 * that it takes.  Nobody waits for that here: there is other work.
 */
static bool all_stop(struct domain *d)
{
    bool stopped = true;

    for_each_vcpu(d, v) {
        vcpu_pause(v, PAUSE_DOMAIN);
        stopped &= vcpu_is_stopped(v);
    }
    return stopped;
}

/* A domain has shut down: say so, and do what its configuration wants. */
void domain_end_work(struct work *w)
{
    struct domain_record *r = container_of(w, struct domain_record, end_work);
    struct domain *d = &r->d;
    struct domain_config *c = d->config;
    const enum end_action action = end_action_of(r);
    const domid_t id = d->id;
    const bool killed = atomic_read(&r->killed);
    bool alone;

    timer_stop(&r->zombie_timer);
    if (!r->stopped && d->shut_down) {
        if (!all_stop(d)) {
            timer_set(&r->zombie_timer, arch_now() + STOP_LOOKS);
            return;
        }
        if (!r->announced)
            announce_end(d);
        if (action == END_RESTART && c)
            domain_keep_memory(d);
        else if (c)
            domain_config_end(c);
        if (action == END_PRESERVE || (c && c->initial)) {
            machine_may_end(d);
            return;
        }
    }
    if (!domain_teardown(d, &alone)) {
        if (!alive_domains() && ++r->looks == ZOMBIE_LAST_LOOK)
            machine_cannot_go_on(d);
        const bool soon = !atomic_read(&d->tot_pages) && r->hurried < HURRIED_LOOKS;
        r->hurried += soon;
        timer_set(&r->zombie_timer, arch_now() + (soon ? STOP_LOOKS : ZOMBIE_LOOKS));
        return;
    }
    virq_raise_controllers(VIRQ_DOM_EXC);
    if (killed)
        printk("d%u destroyed\n", id);
    if (killed && c)
        domain_config_end(c); /* it has no next life */
    if (alone)
        leak_check(id);
    if (action == END_RESTART && c) {
        domain_restart(c);
        return;
    }
    machine_may_end(NULL);
}
