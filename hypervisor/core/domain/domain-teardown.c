/*
 * Teardown: a domain that has stopped gives back what it has, step by step, until nobody has a reference to it (R2 and
 * R3 of domain.c).
 */
#include "domain-record.h"
#include "evtchn.h"
#include "grant-table.h"
#include "memory-op.h"
#include "page-tables.h"
#include "tlb.h"
#include "xenstore.h"

/* All looks at frames together take one part in so many of a CPU, but no look waits longer than: */
#define ZOMBIE_WALK_SHARE 100u
#define ZOMBIE_WALK_LATER 10000000000ull

/* Nothing runs any more: let go of everything outside its own memory, and of what the hypervisor
 * holds in it (R2). */
static void let_go(struct domain *d)
{
    evtchn_stop(d);
    mutex_lock(&d->control); /* whoever changes it has finished, or will see that it is dying */
    mutex_unlock(&d->control);
    memory_barrier(); /* it is dying; all looks at what it still has come after: page_prepare() */
    for_each_vcpu(d, v) {
        vcpu_pause_sync(v, PAUSE_DOMAIN);
        sched_vcpu_destroy(v);
    }
    claim_end(d);
    evtchn_close_all(d);
    arch_devices_end(d);
    xenstore_detach(d);
    for_each_vcpu(d, v) {
        /* its descriptor tables: maybe the last that refers to thirty frames */
        arch_vcpu_release(v);
        (void)preempt_point();
    }
    /* no vCPU of it is on a CPU: no CR3 names its tables (arch_switch) */
    ASSERT(!atomic_read(&d->tlb_cpus));
    mutex_lock(&d->mmu);
    for_each_vcpu(d, v) {
        vcpu_drop_roots(v);
        if (v->info_page) {
            v->info = &container_of(v, struct vcpu_record, v)->info;
            page_put_and_type(v->info_page);
            v->info_page = NULL;
        }
    }
    mutex_unlock(&d->mmu);
}

static void unpin_frame(struct domain *d, struct page_info *pg) REQUIRES(&d->mmu)
{
    if (page_state_of(pg, d->id) & PAGE_PINNED)
        (void)page_table_unpin(d, page_to_mfn(pg));
}

/* @act looks at whose frame it is, and may find that it is another's. */
static void each_frame(struct domain *d, void (*act)(struct domain *, struct page_info *))
    REQUIRES(&d->mmu)
{
    for (uint64_t n = d->lowest_mfn; n <= d->highest_mfn && d->highest_mfn; n++) {
        act(d, mfn_to_page(mfn(n)));
        if (n % 64 == 0)
            (void)preempt_point();
    }
}

/*
 * Give up pins and ownership of every frame; those that nobody else refers to are free now.  Emptying the tables
 * stamps every frame that they named; the one flush in between answers for all of them (tlb.h), or else each
 * frame would cost one as it is freed.
 */
static void release_frames(struct domain *d)
{
    mutex_lock(&d->mmu);
    each_frame(d, unpin_frame);
    tlb_flush_cpus(arch_cpus_online());
    each_frame(d, page_release);
    mutex_unlock(&d->mmu);
}

/* Nobody but the hypervisor refers to the pages that it shares with @d: another domain of this number would find them its own. */
static bool shared_pages_alone(const struct domain *d)
{
    return (!d->shared || page_shared_is_alone(d->shared)) && grant_table_is_alone(d);
}

/* Free what is left; how many domains remain.  Nobody else has a reference, or only as the owner of a page that it shared: that keeps the
 * structure alone. */
static unsigned dissolve(struct domain *d)
{
    claim_end(d);
    evtchn_destroy(d);
    grant_table_destroy(d);
    if (d->shared)
        page_unshare(d, d->shared);
    for_each_vcpu(d, v)
        arch_vcpu_destroy(v);
    sched_domain_destroy(d);
    unsigned left = domain_unlist(d);
    if (d->config) {
        d->config->promised += d->promised;
        d->config->sched_cap = d->sched_cap;
    }
    domain_put(d);
    return left;
}

/*
 * Frames that others hold are freed by whoever lets go of the last reference; to walk over all of them again is for those
 * that somebody gave it meanwhile.  A walk takes long, and others decide how often it is in vain: so it is rare.
 */
static void release_again(struct domain *d)
{
    static uint64_t after; /* of all domains: the next walk */
    const uint64_t begin = arch_now();

    if (begin < atomic_read(&after) && alive_domains())
        return;
    release_frames(d);
    grant_table_release(d);
    const uint64_t end = arch_now();
    atomic_set(&after, end + MIN((end - begin) * ZOMBIE_WALK_SHARE, ZOMBIE_WALK_LATER));
}

bool domain_teardown(struct domain *d, bool *alone)
{
    struct domain_record *r = record_of(d);

    if (!r->stopped) {
        r->stopped = true;
        let_go(d);
        release_frames(d);
        grant_table_release(d); /* device mappings of its own frames, too */
        if (!atomic_read(&d->tot_pages) && shared_pages_alone(d))
            (void)domain_hide(d); /* whoever sees @dead finds it hidden: power_destroyed() */
        atomic_set_release(&r->dead, true);
        r->end_work.account = NULL; /* how long others hold its frames is not its affair */
        virq_raise_controllers(VIRQ_DOM_EXC);
    } else if (atomic_read(&d->tot_pages)) {
        release_again(d);
    }
    if (atomic_read(&d->tot_pages)) {
        if (!r->reported)
            printk("d%u: others still hold %u of its frames\n", d->id, d->tot_pages);
        r->reported = true;
        return false;
    }
    /* Somebody who has a reference could still give it a frame. */
    if (!shared_pages_alone(d) || !domain_hide(d) || atomic_read(&d->tot_pages) ||
        !shared_pages_alone(d))
        return false;
    if (atomic_read(&r->end_work.link.next)) /* killed just now: what is queued goes on */
        return false;
    *alone = dissolve(d) == 0;
    return true;
}

void domain_destroy(struct domain *d)
{
    bool alone;
    if (!domain_teardown(d, &alone))
        timer_set(&record_of(d)->zombie_timer, arch_now() + ZOMBIE_LOOKS);
}
