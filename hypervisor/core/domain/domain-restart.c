/*
 * A domain that is built again after its end, from the same configuration.
 */
#include "domain-record.h"
#include "page.h"
#include "verdict.h"

/* Of those that keep the machine going, those that could not be built again yet; only work touches it. */
static unsigned starving;

void domain_config_end(struct domain_config *c)
{
    page_promise_end(c->promised + c->overhead_promised);
    c->promised = c->overhead_promised = 0;
    domain_number_keep(c->id, false);
}

/* @d is about to be torn down, to be built again: as its frames come back, those that it will need are promised to it
 * (page_promise), so that nobody else takes them meanwhile. */
void domain_keep_memory(struct domain *d)
{
    atomic_set(&d->keep, (uint32_t)(d->config->memory >> PAGE_SHIFT));
    domain_number_keep(d->id, true);
}

/*
 * A domain is started at most once in restart-delay= ms (1000), whatever its end was: one that ends at once, or crashes as it
 * starts, would else do nothing but be built, and write as many lines as it likes to the log.  Its memory is kept for it meanwhile
 * (domain_keep_memory).  If it had given memory away before, or the hypervisor's own structures find none, it is tried again, as
 * long as somebody is alive who could give some back.
 */
#define RETRY_DELAY 1000000000ull /* ns */

static void restart_due(struct timer *t)
{
    work_add(&container_of(t, struct domain_config, restart_timer)->restart_work);
}

static void restart_work(struct work *w);

static void restart_at(struct domain_config *c, uint64_t due)
{
    alive_add(1); /* what waits keeps the machine going as well, */
    if (c->failures)
        starving++; /* but not if all wait for each other */
    c->restart_work.run = restart_work;
    c->restart_work.account = &c->account;
    timer_init(&c->restart_timer, restart_due);
    timer_set(&c->restart_timer, due);
}

static void restart_now(struct domain_config *c)
{
    const int rc = c->rebuild(c);

    if (!rc) {
        domain_number_keep(c->id, false);
        printk("d%u restarted, %u so far\n", c->id, c->restarts);
        return;
    }
    if (rc == -XEN_ENOMEM && alive_domains() > starving) {
        if (builder_tells(c))
            printk("d%u: tried again each second\n", c->id);
        restart_at(c, arch_now() + RETRY_DELAY);
        return;
    }
    domain_config_end(c);
    machine_verdict(VERDICT_CRASH);
    machine_may_end(NULL);
}

static void restart_work(struct work *w)
{
    struct domain_config *c = container_of(w, struct domain_config, restart_work);

    alive_add(-1);
    if (c->failures)
        starving--;
    restart_now(c);
}

void domain_restart(struct domain_config *c)
{
    const uint64_t due = c->started + cmdline_number("restart-delay", 1000) * 1000000ull;

    if (arch_now() >= due)
        restart_now(c);
    else
        restart_at(c, due);
}
