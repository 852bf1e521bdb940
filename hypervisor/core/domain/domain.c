/*
 * Domains from birth to teardown: shutting down, crashing, what happens then.
 *
 *    domain_create --> build --> domain_start --> runs
 *                                                  | domain_shutdown, domain_crash (any context)
 *                                                  v
 *    (PV) d1 shut down: reboot            end_work, in the idle vCPU of CPU 0
 *          | preserve: kept as it is, stopped
 *          | destroy, restart: teardown
 *          v
 *    stopped -> ports closed -> frames released -> nobody else holds one
 *      |                                         -> nobody has a reference -> freed
 *      \ (else look again in 10 ms: a zombie)
 *    restart: built again from the same configuration and modules
 *
 * A domain that a control domain makes (d->managed, core/control) is created empty and paused, gets its vCPUs, memory and
 * contents from there, and stays when it has shut down, until it is killed: domain_kill() ends any domain as "destroy" does.
 *
 * What others can reach.  Any domain may name this one by its number at any time, from any CPU:
 *
 * R1  What is built is invisible until it is whole: domain_get() finds a domain from
 *     domain_publish() on.  Its ports, locks, grant table, shared_info and vCPUs are there by then
 *     and are not set up anew.  The vCPUs of a managed domain come one by one, each whole (vcpu_create), before it runs.
 * R2  Teardown first takes away, each under its own lock, what others have hold of (ports that are
 *     bound to theirs, the store, the console), after it has set @dying, which every maker of a
 *     port looks at under that lock, and whoever changes the domain for a control domain under @control.
 * R3  What a reference leads to is freed when only the table's is left, and domain_hide() has seen
 *     to it that none can be taken again.  So whoever holds a reference may look at the ports, the
 *     grants and the shared_info of a dying domain without asking whether they are still there.
 *
 * Owners of frames are the exception (domain_get_owner): the frame is why the domain is still there.
 * Tests: tests/host/test-domain.c.
 *
 * The exit policy, that is, when the machine ends and with which verdict, is machine_may_end().
 */
#include "arch.h"
#include "audit.h"
#include "console.h"
#include "domain-config.h"
#include "evtchn.h"
#include "grant-table.h"
#include "lib.h"
#include "memory-op.h"
#include "page-tables.h"
#include "refuse.h"
#include "sched.h"
#include "tlb.h"
#include "verdict.h"
#include "vcpu-op.h"
#include "wallclock.h"
#include "xenstore.h"

/* ns between two looks whether a zombie's frames have come back */
#define ZOMBIE_LOOKS 10000000ull
/* All looks at frames together take one part in so many of a CPU, but no look waits longer than: */
#define ZOMBIE_WALK_SHARE 100u
#define ZOMBIE_WALK_LATER 10000000000ull
/* ns between two looks whether its vCPUs have come to their stop, and between the first few whether a reference has gone */
#define STOP_LOOKS       1000000ull
#define HURRIED_LOOKS    20u
#define ZOMBIE_LAST_LOOK 100u /* a second after the last domain has ended */

/* What only this file needs to know about a domain and a vCPU. */
struct domain_record {
    struct domain d;
    struct work end_work;
    struct timer zombie_timer;
    bool stopped;  /* the first part of the teardown is done */
    bool reported; /* as a zombie */
    bool killed;   /* (atomic) */
    bool dead;     /* all is done that does not wait for others (atomic) */
    /* Under @d.control: its end has been announced; it counts among those that are alive. */
    bool announced, counted;
    /* Whose end this is; the rest of what is to be said about it is in @dump. */
    struct vcpu *crashed;
    struct arch_dump dump;
    unsigned looks;  /* since no domain is alive */
    uint8_t hurried; /* looks that came soon after another */
};

struct vcpu_record {
    struct vcpu v;
    struct vcpu_info info; /* of one that shared_info has no room for, until it is given a place */
};

struct domain_tracer domain_tracer;

/* Free frames while no domain exists: all that domains take comes back.  What the hypervisor keeps
 * for good, page tables for vCPU areas, eight areas a frame, is not lost: @slack says how many
 * vCPUs there were to need them. */
static struct {
    uint64_t free;
    uint64_t slack;
} at_rest;

/* The machine goes on while domains are alive: started, not paused by a control domain, and not ended for good (atomic). */
static uint32_t alive;
/* Of them, those that could not be built again yet; only work touches it. */
static unsigned starving;
static uint8_t verdict = VERDICT_OK;

/* Who pays for the ends of managed domains: all that wait together, with the weight of one. */
static struct work_account managed_account;

static struct domain_record *record_of(struct domain *d)
{
    return container_of(d, struct domain_record, d);
}

/* --- birth ----------------------------------------------------------------------------------- */

static void end_work(struct work *w);
/* It will not be built again. */
static void keep_end(struct domain_config *c)
{
    page_promise_end(c->promised + c->overhead_promised);
    c->promised = c->overhead_promised = 0;
    domain_number_keep(c->id, false);
}

static void zombie_look(struct timer *t);

/* Nobody has a reference any more. */
static void domain_free(struct domain *d)
{
    for_each_vcpu(d, v)
        mem_free(container_of(v, struct vcpu_record, v), sizeof(struct vcpu_record));
    memory_map_free(d->map);
    arch_domain_destroy(d);
    mem_free(record_of(d), sizeof(struct domain_record));
}

/* The parts of a domain that teardown gives back again. */
static int domain_parts(struct domain *d)
{
    d->shared = page_alloc_shared(d);
    if (!d->shared)
        return -XEN_ENOMEM;
    int rc = evtchn_init(d);
    if (rc)
        return rc;
    return grant_table_init(d);
}

struct domain *domain_create(domid_t id, const char *name, unsigned max_vcpus)
{
    if (!at_rest.free)
        at_rest.free = page_free_count();
    atomic_add(&at_rest.slack, max_vcpus);
    struct domain_record *r = mem_alloc(sizeof(*r));
    if (!r)
        return NULL;

    struct domain *d = &r->d;
    d->id = id;
    d->refs = 1;
    d->free = domain_free;
    d->slow_paths = domain_tracer.slow_paths;
    d->max_vcpus = (uint16_t)MIN(max_vcpus, MAX_VCPUS);
    string_copy(d->name, name, sizeof(d->name));
    evtchn_begin(d);
    d->arch = (struct arch_domain)ARCH_DOMAIN_INIT;
    r->end_work.run = end_work;
    timer_init(&r->zombie_timer, zombie_look);
    sched_domain_init(d);
    if (!domain_list(d)) {
        mem_free(r, sizeof(*r));
        return NULL;
    }
    if (domain_parts(d)) {
        domain_destroy(d);
        return NULL;
    }
    return d;
}

struct vcpu *vcpu_create(struct domain *d, unsigned id)
{
    struct vcpu_record *r = mem_alloc(sizeof(*r));
    if (!r)
        return NULL;

    struct vcpu *v = &r->v;
    v->domain = d;
    v->id = (uint8_t)id;
    v->kernel_mode = 1;
    v->pause = PAUSE_DOWN | (!d->managed ? PAUSE_DOMAIN : d->pauses ? PAUSE_CONTROL : 0);
    v->is_idle = d->is_idle;
    v->info = d->shared && id < XEN_LEGACY_MAX_VCPUS ? &d->shared->vcpu_info[id] : &r->info;
    v->info->evtchn_upcall_mask = 1;
    sched_vcpu_init(v);
    vcpu_timers_init(v);
    if (arch_vcpu_init(v)) {
        sched_vcpu_destroy(v);
        mem_free(r, sizeof(*r));
        return NULL;
    }
    atomic_set_release(&d->vcpu[id], v);
    return v;
}

void domain_publish(struct domain *d)
{
    domain_show(d);
    wallclock_show(d); /* it may have been set since the domain was built */
}

/* Does @d keep the machine going? */
static void count_alive(struct domain *d) REQUIRES(&d->control)
{
    struct domain_record *r = record_of(d);
    const bool now = d->started && !d->pauses && !r->announced;

    if (now != r->counted)
        atomic_add(&alive, now ? 1u : ~0u);
    r->counted = now;
}

void domain_start(struct domain *d)
{
    if (d->config)
        d->config->started = arch_now();
    domain_publish(d);
    mutex_lock(&d->control);
    d->started = true;
    record_of(d)->announced = false;
    count_alive(d);
    mutex_unlock(&d->control);
    for_each_vcpu(d, v)
        vcpu_unpause(v, PAUSE_DOMAIN);
}

/* --- what control domains do ----------------------------------------------------------------- */

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
    count_alive(d);
    mutex_unlock(&d->control);
    return room ? 0 : -XEN_EOVERFLOW;
}

int domain_control_unpause(struct domain *d)
{
    mutex_lock(&d->control);
    const bool paused = d->pauses > 0;
    if (paused && --d->pauses == 0) {
        d->started = true;
        count_alive(d);
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

/* --- the end --------------------------------------------------------------------------------- */

/* SHUTDOWN_* of <xen/sched.h> */
static const char *const reason_name[] = {"poweroff", "reboot",   "suspend",
                                          "crash",    "watchdog", "soft_reset"};

static const char *shutdown_reason(const struct domain *d)
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
        printk("Hardware Dom%u shutdown (%s, reason %u): %s\n", d->id, shutdown_reason(d),
               d->shutdown_code, then);
        break;
    }
    arch_machine_end(stays ? MACHINE_HALT : MACHINE_REBOOT, verdict);
}

/* The exit policy, all of it: a domain has ended for good. */
static void machine_may_end(const struct domain *d)
{
    if (d && d->config && d->config->initial)
        first_domain_ended(d);
    if (atomic_read(&alive) == 0)
        arch_machine_end(MACHINE_POWEROFF, verdict);
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

/* --- teardown -------------------------------------------------------------------------------- */

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

    if (begin < atomic_read(&after) && atomic_read(&alive))
        return;
    release_frames(d);
    grant_table_release(d);
    const uint64_t end = arch_now();
    atomic_set(&after, end + MIN((end - begin) * ZOMBIE_WALK_SHARE, ZOMBIE_WALK_LATER));
}

/* True when it is gone.  @alone: no other domain is left that could have frames. */
static bool teardown(struct domain *d, bool *alone)
{
    struct domain_record *r = record_of(d);

    if (!r->stopped) {
        r->stopped = true;
        let_go(d);
        release_frames(d);
        grant_table_release(d); /* device mappings of its own frames, too */
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
    if (!teardown(d, &alone))
        timer_set(&record_of(d)->zombie_timer, arch_now() + ZOMBIE_LOOKS);
}

/* @d is about to be torn down, to be built again: as its frames come back, those that it will need are promised to it
 * (page_promise), so that nobody else takes them meanwhile. */
static void keep_memory(struct domain *d)
{
    atomic_set(&d->keep, (uint32_t)(d->config->memory >> PAGE_SHIFT));
    domain_number_keep(d->id, true);
}

static void zombie_look(struct timer *t)
{
    work_add(&container_of(t, struct domain_record, zombie_timer)->end_work);
}

void domain_expect_free(uint64_t frames)
{
    at_rest.free += frames;
}

/* With no domain left every count must be what it was before there was one. */
static void leak_check(domid_t id)
{
    uint64_t now = page_free_count() + console_early_frames();
    unsigned wrong = page_audit();

    audit_tell();
    if (now + at_rest.slack / 8 + 1 < at_rest.free) {
        printk("audit: %ld frames were lost when d%u was destroyed\n", (long)(at_rest.free - now),
               id);
        wrong++;
    }
    at_rest.free = now;
    at_rest.slack = 0;
    if (wrong)
        verdict = MAX(verdict, VERDICT_BUG);
}

void domain_memory_report(void)
{
    const uint64_t now = page_free_count();
    uint64_t theirs = 0, spent;
    unsigned count = 0;

    for (struct domain *d = domain_next(NULL); d; d = domain_next(d), count++)
        theirs += atomic_read(&d->tot_pages);
    spent = at_rest.free > now + theirs ? at_rest.free - now - theirs : 0;
    printk("memory: %lu KiB are free, %u domains have %lu KiB, the hypervisor spends %lu KiB on "
           "them, %lu each\n",
           now * 4, count, theirs * 4, spent * 4, spent * 4 / MAX(count, 1u));
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
        printk("d%u shut down: %s\n", d->id, shutdown_reason(d));
    if (d->shutdown_code == SHUTDOWN_crash || d->shutdown_code == SHUTDOWN_watchdog)
        verdict = MAX(verdict, VERDICT_CRASH);
    mutex_lock(&d->control);
    record_of(d)->announced = true;
    count_alive(d);
    mutex_unlock(&d->control);
    virq_raise_controllers(VIRQ_DOM_EXC);
}

/* No domain is alive, and @d has not got its frames back for a second: from a domain that is kept as it is, or from nobody, which
 * is our own mistake.  Nothing will change any more. */
static void cannot_free(struct domain *d)
{
    bool kept = false;

    for (struct domain *other = domain_next(NULL); other; other = domain_next(other))
        kept |= !record_of(other)->stopped;
    if (!kept) {
        printk("d%u: nobody is left who could hold %u of its frames\n", d->id, d->tot_pages);
        (void)page_audit();
        verdict = MAX(verdict, VERDICT_BUG);
    }
    machine_may_end(NULL);
}

/* --- again ----------------------------------------------------------------------------------- */

/*
 * A domain is started at most once in restart-delay= ms (1000), whatever its end was: one that ends at once, or crashes as it
 * starts, would else do nothing but be built, and write as many lines as it likes to the log.  Its memory is kept for it meanwhile
 * (keep_memory).  If it had given memory away before, or the hypervisor's own structures find none, it is tried again, as
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
    atomic_add(&alive, 1); /* what waits keeps the machine going as well, */
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
    if (rc == -XEN_ENOMEM && atomic_read(&alive) > starving) {
        if (builder_tells(c))
            printk("d%u: tried again each second\n", c->id);
        restart_at(c, arch_now() + RETRY_DELAY);
        return;
    }
    keep_end(c);
    verdict = MAX(verdict, VERDICT_CRASH);
    machine_may_end(NULL);
}

static void restart_work(struct work *w)
{
    struct domain_config *c = container_of(w, struct domain_config, restart_work);

    atomic_sub(&alive, 1);
    if (c->failures)
        starving--;
    restart_now(c);
}

static void restart(struct domain_config *c)
{
    const uint64_t due = c->started + cmdline_number("restart-delay", 1000) * 1000000ull;

    if (arch_now() >= due)
        restart_now(c);
    else
        restart_at(c, due);
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
static void end_work(struct work *w)
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
            keep_memory(d);
        else if (c)
            keep_end(c);
        if (action == END_PRESERVE || (c && c->initial)) {
            machine_may_end(d);
            return;
        }
    }
    if (!teardown(d, &alone)) {
        if (!atomic_read(&alive) && ++r->looks == ZOMBIE_LAST_LOOK)
            cannot_free(d);
        const bool soon = !atomic_read(&d->tot_pages) && r->hurried < HURRIED_LOOKS;
        r->hurried += soon;
        timer_set(&r->zombie_timer, arch_now() + (soon ? STOP_LOOKS : ZOMBIE_LOOKS));
        return;
    }
    virq_raise_controllers(VIRQ_DOM_EXC);
    if (killed)
        printk("d%u destroyed\n", id);
    if (killed && c)
        keep_end(c); /* it has no next life */
    if (alone)
        leak_check(id);
    if (action == END_RESTART && c) {
        restart(c);
        return;
    }
    machine_may_end(NULL);
}
