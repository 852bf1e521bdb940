/*
 * The exit policy: when the machine ends, and with which verdict.
 */
#include "domain-record.h"
#include "page.h"
#include "verdict.h"

/* The machine goes on while domains are alive: started, not paused by a control domain, and not ended for good (atomic). */
static uint32_t alive;
static uint8_t verdict = VERDICT_OK;

void alive_count(struct domain *d) REQUIRES(&d->control)
{
    struct domain_record *r = record_of(d);
    const bool now = d->started && !d->pauses && !r->announced;

    if (now != r->counted)
        atomic_add(&alive, now ? 1u : ~0u);
    r->counted = now;
}

void alive_add(int step)
{
    atomic_add(&alive, (uint32_t)step);
}

uint32_t alive_domains(void)
{
    return atomic_read(&alive);
}

void machine_verdict(uint8_t at_least)
{
    verdict = MAX(verdict, at_least);
}

/* The words that people who drive Xen in an emulator wait for, and what Xen then does (without its five seconds). */
static noreturn_ void first_domain_ended(const struct domain *d)
{
    const bool stays = cmdline_flag("noreboot");
    const char *then = stays ? "'noreboot' set - not rebooting." : "rebooting machine";

    switch (d->shutdown_code) {
    case SHUTDOWN_poweroff:
        printk("Hardware Dom%u halted: halting machine\n", d->id);
        arch_machine_end(MACHINE_POWEROFF, verdict);
    case SHUTDOWN_crash:
        printk("Hardware Dom%u crashed: halting machine\n", d->id);
        arch_machine_end(MACHINE_POWEROFF, verdict);
    case SHUTDOWN_reboot:
        printk("Hardware Dom%u shutdown: %s\n", d->id, then);
        break;
    case SHUTDOWN_watchdog:
        printk("Hardware Dom%u shutdown: watchdog %s\n", d->id, then);
        break;
    default: /* suspend among them: nobody is there to resume it */
        printk("Hardware Dom%u shutdown (%s, reason %u): %s\n", d->id, domain_shutdown_reason(d),
               d->shutdown_code, then);
        break;
    }
    arch_machine_end(stays ? MACHINE_HALT : MACHINE_REBOOT, verdict);
}

void machine_may_end(const struct domain *d)
{
    if (d && d->config && d->config->initial)
        first_domain_ended(d);
    if (atomic_read(&alive) == 0)
        arch_machine_end(MACHINE_POWEROFF, verdict);
}

/* No domain is alive, and @d has not got its frames back for a second: from a domain that is kept as it is, or from nobody, which
 * is our own mistake.  Nothing will change any more. */
void machine_cannot_go_on(struct domain *d)
{
    bool kept = false;

    for (struct domain *other = domain_next(NULL); other; other = domain_next(other))
        kept |= !record_of(other)->stopped;
    if (!kept) {
        printk("d%u: nobody is left who could hold %u of its frames\n", d->id, d->tot_pages);
        (void)page_audit();
        machine_verdict(VERDICT_BUG);
    }
    machine_may_end(NULL);
}
