/*
 * Operations on one domain and its vCPUs against each other, in every order (machine/race.h).
 *
 * Guest 1 has two vCPUs that run and one that was never brought up, a console and a store; guest 2 controls others.  Each run has a
 * guest 1 of its own, which ends after it.  Before that: results are ones that the operation may have; a domain whose vCPUs are
 * all down has shut down, and one with a vCPU up has not unless somebody said so; nobody who wants to run is forgotten, nobody
 * sleeps whom nothing will wake; no vCPU is left half initialised; timers are set for those who have one; the audit.  After
 * it: guest 1 is gone, and every frame is back.
 *
 * A longer run: PARAVANE_RACE_SWITCHES=3 (2 by default, where an operation has too many steps 1).
 */
#include "suite.h"
#include "console.h"
#include "evtchn-port.h"
#include "race-table.h"
#include "sched.h"
#include "xenstore.h"

#include <xen/event_channel.h>
#include <xen/io/xs_wire.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define PAGES    12u
#define RING     8u /* pfns: the console's ring, the store's */
#define STORE    9u
#define INFO     10u /* a page for vCPU 2's vcpu_info */
#define CPU_ONE  1u
#define CPU_TWO  4u
#define NS_PER_S 1000000000ull

static struct guest one[2], two; /* one[n]: guest 1 by its vCPU n */
static uint32_t console_port, store_port;

/* Flags of rows. */
#define ENDS BIT(0) /* guest 1 is shut down, if the result is 0 */
#define DOWN BIT(1) /* a vCPU may be taken down */
/* a whole teardown: more steps than could be played with two forced switches */
#define LONG BIT(2)

/* --- operations --- */

static long vcpu_op(struct guest *g, unsigned cmd, unsigned vcpu, const void *arg, size_t n)
{
    const uint64_t at = n ? machine_put(g->v->cpu * 0x8000u + 0x6000u, arg, n).va : 0;
    return vcpu_hypercall(g->v, __HYPERVISOR_vcpu_op, cmd, vcpu, at, 0);
}

#define VCPU(name, cmd, vcpu)                           \
    static long name(struct guest *g)                   \
    {                                                   \
        return vcpu_op(g, VCPUOP_##cmd, vcpu, NULL, 0); \
    }
VCPU(down_0, down, 0)
VCPU(down_1, down, 1)
VCPU(up_0, up, 0)
VCPU(up_1, up, 1)
VCPU(up_2, up, 2)
VCPU(nmi_0, send_nmi, 0)
VCPU(stop_periodic_0, stop_periodic_timer, 0)

static long initialise_2(struct guest *g)
{
    static struct vcpu_guest_context c;
    return vcpu_op(g, VCPUOP_initialise, 2, &c, sizeof(c));
}

static long periodic_0(struct guest *g)
{
    const struct vcpu_set_periodic_timer t = {.period_ns = 5000000};
    return vcpu_op(g, VCPUOP_set_periodic_timer, 0, &t, sizeof(t));
}

static long register_info_2(struct guest *g)
{
    const struct vcpu_register_vcpu_info where = {.mfn = g->mfn[INFO], .offset = 128};
    return vcpu_op(g, VCPUOP_register_vcpu_info, 2, &where, sizeof(where));
}

static long runstate_of_0(struct guest *g)
{
    struct vcpu_runstate_info info = {0};
    long rc = vcpu_op(g, VCPUOP_get_runstate_info, 0, &info, sizeof(info));
    machine_get(&info, g->v->cpu * 0x8000u + 0x6000u, sizeof(info));
    if (!rc && info.state > RUNSTATE_offline)
        race_wrong("runstate %d", info.state);
    return rc;
}

static long timer_soon(struct guest *g)
{
    return vcpu_hypercall(g->v, __HYPERVISOR_set_timer_op, machine.now + 500000, 0, 0, 0);
}

static long timer_off(struct guest *g)
{
    return vcpu_hypercall(g->v, __HYPERVISOR_set_timer_op, 0, 0, 0, 0);
}

static long sched_op(struct guest *g, unsigned cmd, void *arg, size_t n)
{
    return guest_op(g->v, __HYPERVISOR_sched_op, cmd, arg, n);
}

static long poweroff(struct guest *g)
{
    struct sched_shutdown s = {SHUTDOWN_poweroff};
    return sched_op(g, SCHEDOP_shutdown, &s, sizeof(s));
}

static long shutdown_code(struct guest *g)
{
    struct sched_shutdown s = {SHUTDOWN_crash};
    return sched_op(g, SCHEDOP_shutdown_code, &s, sizeof(s));
}

static long remote_shutdown(struct guest *g)
{
    struct sched_remote_shutdown s = {.domain_id = 1, .reason = SHUTDOWN_poweroff};
    return sched_op(g, SCHEDOP_remote_shutdown, &s, sizeof(s));
}

static long watchdog_start(struct guest *g)
{
    struct sched_watchdog w = {.timeout = 100};
    return sched_op(g, SCHEDOP_watchdog, &w, sizeof(w));
}

/* The first one, whoever started it. */
static long watchdog_stop(struct guest *g)
{
    struct sched_watchdog w = {.id = 1};
    return sched_op(g, SCHEDOP_watchdog, &w, sizeof(w));
}

static long poll_a_while(struct guest *g)
{
    struct sched_poll p = {.timeout = machine.now + 500000};
    return sched_op(g, SCHEDOP_poll, &p, sizeof(p));
}

static long yield(struct guest *g)
{
    return vcpu_hypercall(g->v, __HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
}

static long send(struct guest *g, uint32_t port)
{
    struct evtchn_send o = {port};
    return guest_op(g->v, __HYPERVISOR_event_channel_op, EVTCHNOP_send, &o, sizeof(o));
}

static long console_write(struct guest *g)
{
    struct {
        char in[1024], out[2048];
        uint32_t in_cons, in_prod, out_cons, out_prod;
    } *ring = (void *)guest_page(g, RING);

    memcpy(ring->out, "text\n", 5);
    ring->out_prod = 5;
    return send(g, console_port);
}

/* XS_READ of a path that is not there. */
static long store_ask(struct guest *g)
{
    struct xenstore_domain_interface *ring = (void *)guest_page(g, STORE);
    const struct xsd_sockmsg m = {.type = XS_READ, .len = 2};

    memcpy(ring->req, &m, sizeof(m));
    memcpy(ring->req + sizeof(m), "x", 2);
    ring->req_prod = sizeof(m) + 2;
    return send(g, store_port);
}

static long store_close(struct guest *g)
{
    struct evtchn_close o = {store_port};
    return guest_op(g->v, __HYPERVISOR_event_channel_op, EVTCHNOP_close, &o, sizeof(o));
}

static long foreign_map(struct guest *g)
{
    const mmu_update_t r = {guest_entry(g, 3, 40), pte_make(mfn(one->mfn[7]), RW).v};
    return vcpu_hypercall(g->v, __HYPERVISOR_mmu_update,
                          machine_put(g->v->cpu * 0x8000u + 0x1000u, &r, sizeof(r)).va, 1, 0, 1);
}

static long foreign_populate(struct guest *g)
{
    const unsigned at = g->v->cpu * 0x8000u + 0x5000u;
    const uint64_t pfn = 30;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = 1};

    r.extent_start.p = (void *)machine_put(at, &pfn, sizeof(pfn)).va;
    return guest_op(g->v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &r, sizeof(r));
}

static long foreign_alloc(struct guest *g)
{
    struct evtchn_alloc_unbound o = {.dom = 1, .remote_dom = 2};
    return guest_op(g->v, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &o, sizeof(o));
}

static long foreign_bind(struct guest *g)
{
    struct evtchn_bind_interdomain o = {.remote_dom = 1, .remote_port = 3};
    return guest_op(g->v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, &o, sizeof(o));
}

static long foreign_size(struct guest *g)
{
    domid_t d = 1;
    return guest_op(g->v, __HYPERVISOR_memory_op, XENMEM_current_reservation, &d, sizeof(d));
}

/* A key is typed, while guest 1 has the input. */
static long typed(struct guest *g)
{
    console_input('x');
    return 0;
}

static long time_passes(struct guest *g)
{
    machine_advance(1000000);
    return 0;
}

static long ends(struct guest *g)
{
    domain_shutdown(one->d, SHUTDOWN_poweroff);
    machine_run_work();
    return 0;
}

/* --- the tables --- */

/* By guest 1's first vCPU. */
static const struct race_row those[] = {
    {"down", down_0, &one[0], DOWN, {0}},
    {"down 1", down_1, &one[0], DOWN, {0}},
    {"up 1", up_1, &one[0], 0, {0}},
    {"up 2", up_2, &one[0], 0, {0}},
    {"initialise 2", initialise_2, &one[0], 0, {-XEN_EINVAL}},
    {"register info 2", register_info_2, &one[0], 0, {0}},
    {"NMI", nmi_0, &one[0], 0, {0}},
    {"periodic", periodic_0, &one[0], 0, {0}},
    {"no periodic", stop_periodic_0, &one[0], 0, {0}},
    {"timer", timer_soon, &one[0], 0, {0}},
    {"no timer", timer_off, &one[0], 0, {0}},
    {"power off", poweroff, &one[0], ENDS, {0}},
    {"shutdown code", shutdown_code, &one[0], 0, {0}},
    {"watchdog", watchdog_start, &one[0], 0, {1, 2}},
    {"no watchdog", watchdog_stop, &one[0], 0, {0}},
    {"poll", poll_a_while, &one[0], 0, {0}},
    {"yield", yield, &one[0], 0, {0}},
    {"console", console_write, &one[0], 0, {0}},
    {"store", store_ask, &one[0], 0, {0}},
};

/* By its second, by guest 2, by nobody. */
static const struct race_row these[] = {
    {"(2) down", down_1, &one[1], DOWN, {0}},
    {"(2) down 0", down_0, &one[1], DOWN, {0}},
    {"(2) up 0", up_0, &one[1], 0, {0}},
    {"(2) up 2", up_2, &one[1], 0, {0}},
    {"(2) initialise 2", initialise_2, &one[1], 0, {-XEN_EINVAL}},
    {"(2) register info 2", register_info_2, &one[1], 0, {0}},
    {"(2) NMI to 0", nmi_0, &one[1], 0, {0}},
    {"(2) periodic of 0", periodic_0, &one[1], 0, {0}},
    {"(2) no periodic of 0", stop_periodic_0, &one[1], 0, {0}},
    {"(2) runstate of 0", runstate_of_0, &one[1], 0, {0}},
    {"(2) power off", poweroff, &one[1], ENDS, {0}},
    {"(2) shutdown code", shutdown_code, &one[1], 0, {0}},
    {"(2) watchdog", watchdog_start, &one[1], 0, {1, 2}},
    {"(2) no watchdog", watchdog_stop, &one[1], 0, {0}},
    {"(2) console", console_write, &one[1], 0, {0}},
    {"(2) store", store_ask, &one[1], 0, {0}},
    {"(2) closes the store", store_close, &one[1], 0, {0}},
    {"remote shutdown", remote_shutdown, &two, ENDS, {0}},
    {"foreign map", foreign_map, &two, 0, {-XEN_EINVAL}},
    {"foreign populate", foreign_populate, &two, 0, {1}},
    {"foreign alloc", foreign_alloc, &two, 0, {0}},
    {"key", typed, NULL, 0, {0}},
    {"time", time_passes, NULL, 0, {0}},
    {"guest 1 ends", ends, NULL, ENDS | LONG, {0}},
};

/* By guest 2, against the end of guest 1. */
static const struct race_row from_outside[] = {
    {"remote shutdown", remote_shutdown, &two, ENDS, {0}},
    {"foreign map", foreign_map, &two, 0, {-XEN_EINVAL}},
    {"foreign populate", foreign_populate, &two, 0, {1}},
    {"foreign alloc", foreign_alloc, &two, 0, {0}},
    {"foreign bind", foreign_bind, &two, 0, {0}},
    {"foreign size", foreign_size, &two, 0, {PAGES, PAGES + 1, 512}},
};
static const struct race_row the_end = {"guest 1 ends", ends, NULL, ENDS | LONG, {0}};

/* --- before each run --- */

static uint64_t free_without_one;

static void must(long rc, const char *what)
{
    if (rc)
        race_wrong("preparation: %s gives %ld", what, rc);
}

static void serve_rings(void)
{
    memset(guest_page(one, RING), 0, PAGE_SIZE);
    memset(guest_page(one, STORE), 0, PAGE_SIZE);
    long port = console_attach(one->d, guest_mfn(one, RING));
    console_port = (uint32_t)port;
    long store = port < 0 ? port
                          : xenstore_attach(one->d, guest_mfn(one, STORE), guest_mfn(one, RING),
                                            console_port);
    if (store < 0)
        race_wrong("preparation: no rings: %ld", store);
    store_port = (uint32_t)store;
}

static void begin(void)
{
    free_without_one = page_free_count();
    guest_create_at(one, 1, PAGES, 3, CPU_ONE);
    one[1] = one[0];
    one[1].v = one->d->vcpu[1];
    must(vcpu_op(one, VCPUOP_down, 2, NULL, 0), "down 2");
    machine_on_cpu(CPU_ONE + 2);
    schedule();
    one->d->vcpu[2]->initialised = 0;
    serve_rings();
    machine_enter(one[1].v);
    machine_enter(one[0].v);
    machine_enter(two.v);
    /* as if they had been on their way to the guest */
    one[0].v->exit_work = one[1].v->exit_work = two.v->exit_work = 0;
    machine_log_clear();
}

/* --- after each run --- */

static void check_vcpu(const struct vcpu *v)
{
    if (v->initialised == 2)
        race_wrong("v%u is still being initialised", v->id);
    if (v->unwinding || ((v->poll_port || (v->pause & PAUSE_SLEEP)) && !(v->pause & PAUSE_DOWN)))
        race_wrong("v%u is still in the middle of something", v->id);
    if (v->info_page && (v->id != 2 || !page_state_refs(v->info_page->state)))
        race_wrong("v%u's vcpu_info lies in a page that is not its own", v->id);
    if (v->poll_timer.queued && !(v->pause & PAUSE_DOWN))
        race_wrong("v%u does not poll, and its timer is set", v->id);
}

static void check_domain(struct domain *d)
{
    bool up = false;

    for_each_vcpu(d, v) {
        if (!d->shut_down)
            check_vcpu(v);
        up |= !(v->pause & PAUSE_DOWN);
    }
    if (!up && !d->shut_down)
        race_wrong("all vCPUs are down, and the domain has not shut down");
    if (d->shut_down && up && !(race_flags() & (ENDS | DOWN)))
        race_wrong("the domain has shut down, and nobody asked for that");
    for (unsigned i = 0; i < race_now_count; i++)
        if ((race_now[i].row->flags & ENDS) && race_now[i].ended && race_now[i].rc == 0 &&
            !d->shut_down)
            race_wrong("%s: it has not shut down", race_now[i].row->name);
    for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        if (!d->shut_down && d->watchdog[i].queued && !(d->watchdogs & BIT(i)))
            race_wrong("watchdog %u is set, and nobody has it", i + 1);
    if (d->mmu.held || d->evtchn_lock.held)
        race_wrong("a lock of the domain's is held");
    if (!d->shut_down)
        race_check_nobody_is_forgotten(d);
}

/* Guest 2 gives back what it has of guest 1. */
static void tidy_two(void)
{
    const mmu_update_t r = {guest_entry(&two, 3, 40), 0};
    struct evtchn_reset o = {DOMID_SELF};

    must(vcpu_hypercall(two.v, __HYPERVISOR_mmu_update,
                        machine_put(two.v->cpu * 0x8000u + 0x1000u, &r, sizeof(r)).va, 1, 0,
                        DOMID_SELF),
         "unmap");
    must(guest_op(two.v, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, &o, sizeof(o)), "reset");
}

static void end_one(domid_t id)
{
    struct domain *d = domain_get(id);

    if (d) {
        domain_shutdown(d, SHUTDOWN_poweroff);
        domain_put(d);
    }
    for (unsigned i = 0; i < 5; i++) {
        machine_advance(20000000);
        machine_run_work();
    }
    d = domain_get_owner(id);
    if (d)
        race_wrong("domain %u is still there, with %u frames and %u references", id, d->tot_pages,
                   d->refs - 1);
    if (page_free_count() != free_without_one)
        race_wrong("%ld frames are lost", (long)(free_without_one - page_free_count()));
}

static void end(void)
{
    struct domain *d = domain_get_owner(1);

    race_check_results();
    if (d && !d->dying)
        check_domain(d);
    if (d)
        domain_put(d);
    world_check();
    tidy_two();
    end_one(1);
    world_check();
}

/* @v sleeps, and nobody is left who could wake it. */
static void overslept(struct vcpu *v)
{
    if (!(v->pause & PAUSE_SLEEP))
        race_wrong("d%uv%u was woken, and its CPU not told", v->domain->id, v->id);
    if (vcpu_event_pending(v))
        race_wrong("d%uv%u sleeps, and an upcall is pending", v->domain->id, v->id);
    if (!v->poll_timer.queued && !v->domain->shut_down)
        race_wrong("d%uv%u polls, and its time will never be over", v->domain->id, v->id);
}

static void start(void)
{
    world_start(6, 1024);
    machine.overslept = overslept;
    guest_create_at(&two, 2, 6, 1, CPU_TWO);
    two.d->roles |= ROLE_CONTROL;
}

TestSuite(race_domains, .init = start, .timeout = 600);

static void against(const struct race_row *a, const struct race_row *b, unsigned long *runs)
{
    const struct race_row *rows[] = {a, b};
    const bool is_long =
        ((a->flags | b->flags) & LONG) || (a->run == store_ask && b->run == store_ask);

    *runs += race_play(rows, 2, is_long ? 1 : 2, begin, end);
}

/* Some of those against each of these. */
static void against_all(unsigned from, unsigned to)
{
    unsigned long runs = 0;

    for (unsigned i = from; i < to; i++)
        for (unsigned k = 0; k < ARRAY_SIZE(these); k++)
            against(&those[i], &these[k], &runs);
    fprintf(stderr, "%s to %s: %lu runs\n", those[from].name, those[to - 1].name, runs);
}

Test(race_domains, up_and_down)
{
    against_all(0, 4);
}

Test(race_domains, being_made)
{
    against_all(4, 7);
}

Test(race_domains, timers)
{
    against_all(7, 11);
}

Test(race_domains, ends)
{
    against_all(11, 13);
}

Test(race_domains, watchdogs_and_sleep)
{
    against_all(13, 17);
}

Test(race_domains, rings)
{
    against_all(17, 19);
}
_Static_assert(ARRAY_SIZE(those) == 19, "each row has its test");

Test(race_domains, from_outside)
{
    unsigned long runs = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(from_outside); i++)
        against(&from_outside[i], &the_end, &runs);
    fprintf(stderr, "from outside: %lu runs\n", runs);
}
