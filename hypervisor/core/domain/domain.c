/*
 * Domains: their life from birth to teardown, and birth.  The other parts: domain-record.h lists the files.
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
 */
#include "domain-record.h"
#include "evtchn.h"
#include "grant-table.h"
#include "memory-op.h"
#include "page.h"
#include "vcpu-timers.h"
#include "wallclock.h"

struct domain_tracer domain_tracer;

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
    leak_check_begin(max_vcpus);
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
    r->end_work.run = domain_end_work;
    timer_init(&r->zombie_timer, domain_zombie_look);
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
    v->pause = PAUSE_DOWN | (!d->managed             ? PAUSE_DOMAIN
                             : d->pauses || d->holds ? PAUSE_CONTROL
                                                     : 0);
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

void domain_start(struct domain *d)
{
    if (d->config)
        d->config->started = arch_now();
    domain_publish(d);
    mutex_lock(&d->control);
    d->started = true;
    record_of(d)->announced = false;
    alive_count(d);
    mutex_unlock(&d->control);
    for_each_vcpu(d, v)
        vcpu_unpause(v, PAUSE_DOMAIN);
}
