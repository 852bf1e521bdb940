/*
 * Operations on one port against each other, in every order (machine/race.h).
 *
 * Guest 1 has two vCPUs and PORT, guest 2, which controls others, has one and THEIRS.  A scene says what PORT is at the start of each
 * run; the tables say who does what.  After each run: the results are ones that the operation may have; each binding has two
 * ends that know each other; each VIRQ is known to its vCPU; no free port is below the hint; a signal that was sent is
 * pending or was taken; what is pending and not masked has been announced to a vCPU; nobody sleeps who should have been woken;
 * the audit.
 *
 * A longer run: PARAVANE_RACE_SWITCHES=3 (2 by default).
 */
#include "suite.h"
#include "evtchn-port.h"
#include "race-table.h"
#include "sched.h"

#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static struct guest one[2], two; /* one[n]: guest 1 by its vCPU n */
static uint32_t port, theirs;

enum scene {
    UNBOUND, /* PORT waits for guest 2 */
    BOUND,   /* PORT and THEIRS are bound to each other */
    VIRQ,    /* PORT is VIRQ_DEBUG of vCPU 0 */
    FIFO,    /* BOUND, and guest 1 has event queues */
    BARE,    /* FIFO, but without an array yet */
    SCENES
};
static enum scene scene;

/* Flags of rows. */
#define IN(scene) BIT(scene)
#define ANY       (IN(SCENES) - 1)
#define TWO_LEVEL (IN(UNBOUND) | IN(BOUND) | IN(VIRQ))
#define QUEUES    (IN(FIFO) | IN(BARE))
#define LINKED    (IN(BOUND) | QUEUES) /* the port is bound to guest 2's */
#define MASKED    BIT(8)               /* PORT is masked at the start */
#define PENDING   BIT(9)               /* PORT is pending at the start */
#define CLOSES    BIT(10)              /* PORT, or may: signals are lost with it */
#define SIGNALS   BIT(11)              /* PORT, if the result is 0 */
#define ONE_ENDS  BIT(12)
#define TWO_ENDS  BIT(13)
#define ALLOCATES BIT(15) /* memory */
#define LATE      BIT(14) /* may signal a port that was closed since it looked */

#define CONTROL 8u  /* pfn of vCPU 0's control block; vCPU 1's is in the next page */
#define ARRAY   10u /* pfn of the event array */

#define F_PENDING BIT(EVTCHN_FIFO_PENDING)
#define F_MASKED  BIT(EVTCHN_FIFO_MASKED)
#define F_LINKED  BIT(EVTCHN_FIFO_LINKED)
#define F_LINK    ((1u << EVTCHN_FIFO_LINK_BITS) - 1)

/* --- operations --- */

#define op(g, name, arg) \
    guest_op((g)->v, __HYPERVISOR_event_channel_op, EVTCHNOP_##name, (arg), sizeof(*(arg)))

static uint32_t port_for(const struct guest *g)
{
    return g == &two ? theirs : port;
}

static long port_send(struct guest *g)
{
    struct evtchn_send o = {port_for(g)};
    return op(g, send, &o);
}

static long port_close(struct guest *g)
{
    struct evtchn_close o = {port_for(g)};
    return op(g, close, &o);
}

static long port_unmask(struct guest *g)
{
    struct evtchn_unmask o = {port_for(g)};
    return op(g, unmask, &o);
}

static long ports_reset(struct guest *g)
{
    struct evtchn_reset o = {DOMID_SELF};
    return op(g, reset, &o);
}

static long port_to_vcpu_1(struct guest *g)
{
    struct evtchn_bind_vcpu o = {.port = port, .vcpu = 1};
    return op(g, bind_vcpu, &o);
}

static long bind_virq(struct guest *g)
{
    struct evtchn_bind_virq o = {.virq = VIRQ_DEBUG};
    return op(g, bind_virq, &o);
}

static long bind_ipi(struct guest *g)
{
    struct evtchn_bind_ipi o = {.vcpu = 1};
    return op(g, bind_ipi, &o);
}

static long alloc_unbound(struct guest *g)
{
    struct evtchn_alloc_unbound o = {.dom = 1, .remote_dom = 2};
    return op(g, alloc_unbound, &o);
}

static long bind_interdomain(struct guest *g)
{
    struct evtchn_bind_interdomain o = {.remote_dom = 1, .remote_port = port};
    return op(g, bind_interdomain, &o);
}

/* To itself: both ends are guest 1's. */
static long bind_own(struct guest *g)
{
    struct evtchn_alloc_unbound mine = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    long rc = op(g, alloc_unbound, &mine);
    struct evtchn_bind_interdomain o = {.remote_dom = DOMID_SELF, .remote_port = mine.port};
    return rc ? rc : op(g, bind_interdomain, &o);
}

static long port_status(struct guest *g)
{
    struct evtchn_status o = {.dom = 1, .port = port};
    long rc = op(g, status, &o);
    if (!rc && o.status == EVTCHNSTAT_interdomain && o.u.interdomain.dom != 2)
        race_wrong("status: bound to domain %u", o.u.interdomain.dom);
    return rc;
}

static long poll_ports(struct guest *g, unsigned count)
{
    const unsigned at = g->v->cpu * 0x8000u + 0x6000u;
    evtchn_port_t list[2] = {port, port};
    struct sched_poll o = {.nr_ports = count};

    o.ports.p = (void *)machine_put(at, list, sizeof(list)).va;
    return guest_op(g->v, __HYPERVISOR_sched_op, SCHEDOP_poll, &o, sizeof(o));
}

static long port_poll(struct guest *g)
{
    return poll_ports(g, 1);
}

static long port_poll_two(struct guest *g)
{
    return poll_ports(g, 2);
}

static long block(struct guest *g)
{
    return vcpu_hypercall(g->v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0);
}

static long init_control(struct guest *g)
{
    const unsigned vcpu = g->v->id;
    struct evtchn_init_control o = {.control_gfn = g->mfn[CONTROL + vcpu], .vcpu = vcpu};
    return op(g, init_control, &o);
}

static long expand(struct guest *g)
{
    struct evtchn_expand_array o = {.array_gfn = g->mfn[ARRAY]};
    return op(g, expand_array, &o);
}

static long set_priority(struct guest *g)
{
    struct evtchn_set_priority o = {.port = port, .priority = 3};
    return op(g, set_priority, &o);
}

static long virq_is_raised(struct guest *g)
{
    virq_raise_global(one->d, VIRQ_DEBUG);
    return 0;
}

static void let_end(struct guest *g)
{
    domain_shutdown(g->d, SHUTDOWN_poweroff);
    machine_run_work();
}

static long one_ends(struct guest *g)
{
    let_end(one);
    return 0;
}

static long two_ends(struct guest *g)
{
    let_end(&two);
    return 0;
}

/* --- the guest's handler, as vCPU 0 --- */

static unsigned taken; /* PORT was pending, and the handler took that */

static event_word_t *word(uint32_t p)
{
    return (event_word_t *)guest_page(one, ARRAY) + p;
}

static struct evtchn_fifo_control_block *control(unsigned vcpu)
{
    return (struct evtchn_fifo_control_block *)guest_page(one, CONTROL + vcpu);
}

static void take_queues(void)
{
    const uint32_t ready = atomic_exchange(&control(0)->ready, 0);

    for (unsigned q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++)
        for (uint32_t p = ready & BIT(q) ? control(0)->head[q] : 0, next; p; p = next) {
            next = atomic_and(word(p), ~(event_word_t)(F_LINKED | F_LINK)) & F_LINK;
            const event_word_t w = atomic_read(word(p));
            if (!(w & F_MASKED) && (w & F_PENDING))
                taken += (atomic_and(word(p), ~F_PENDING) & F_PENDING) && p == port;
        }
}

static void take_bits(void)
{
    struct shared_info *s = one->d->shared;

    if (atomic_exchange(&one->v->info->evtchn_pending_sel, 0) & 1) {
        const uint64_t open = atomic_read(&s->evtchn_pending[0]) & ~atomic_read(&s->evtchn_mask[0]);
        taken += (atomic_and(&s->evtchn_pending[0], ~open) & open) >> port & 1;
    }
}

static long take(struct guest *g)
{
    if (!atomic_exchange(&one->v->info->evtchn_upcall_pending, 0))
        return 0;
    if (scene == FIFO)
        take_queues();
    else
        take_bits();
    return 0;
}

/* --- the tables --- */

static const struct race_row those[] = {
    {"send", port_send, &one[0], LINKED, {0}},
    {"close", port_close, &one[0], ANY | CLOSES, {0}},
    {"reset", ports_reset, &one[0], ANY | CLOSES, {0}},
    {"unmask", port_unmask, &one[0], (ANY & ~IN(BARE)) | MASKED, {0}},
    {"unmask what is pending", port_unmask, &one[0], (LINKED & ~IN(BARE)) | MASKED | PENDING, {0}},
    {"to vCPU 1", port_to_vcpu_1, &one[0], ANY, {0}},
    {"poll", port_poll, &one[0], ANY & ~IN(BARE), {0}},
    {"poll two", port_poll_two, &one[0], LINKED & ~IN(BARE), {0}},
    {"block", block, &one[0], ANY & ~IN(BARE), {0}},
    {"take", take, &one[0], LINKED & ~IN(BARE), {0}},
    {"bind VIRQ", bind_virq, &one[0], IN(VIRQ) | IN(BOUND), {0}},
    {"bind own", bind_own, &one[0], IN(BOUND) | IN(FIFO), {0}},
    {"init control", init_control, &one[0], TWO_LEVEL | ALLOCATES, {-XEN_EINVAL}},
    {"expand", expand, &one[0], IN(BARE), {-XEN_EINVAL}},
    {"priority", set_priority, &one[0], QUEUES, {0}},
};

static const struct race_row these[] = {
    {"(2) send", port_send, &one[1], LINKED, {0}},
    {"(2) close", port_close, &one[1], ANY | CLOSES, {0}},
    {"(2) reset", ports_reset, &one[1], ANY | CLOSES, {0}},
    {"(2) unmask", port_unmask, &one[1], (LINKED & ~IN(BARE)) | MASKED, {0}},
    {"(2) to vCPU 1", port_to_vcpu_1, &one[1], IN(UNBOUND) | LINKED, {0}},
    {"(2) poll", port_poll, &one[1], LINKED & ~IN(BARE), {0}},
    {"(2) take", take, &one[1], LINKED & ~IN(BARE), {0}},
    {"(2) bind VIRQ", bind_virq, &one[1], IN(VIRQ) | IN(UNBOUND), {0}},
    {"(2) bind IPI", bind_ipi, &one[1], IN(UNBOUND), {0}},
    {"(2) bind own", bind_own, &one[1], IN(BOUND), {0}},
    {"(2) init control", init_control, &one[1], IN(BOUND), {-XEN_EINVAL}},
    {"(2) expand", expand, &one[1], IN(BARE), {-XEN_EINVAL}},
    {"guest 2 binds", bind_interdomain, &two, IN(UNBOUND), {0}},
    {"guest 2 sends", port_send, &two, LINKED | SIGNALS, {0}},
    {"guest 2 closes", port_close, &two, LINKED, {0}},
    {"guest 2 resets", ports_reset, &two, LINKED, {0}},
    {"guest 2 asks", port_status, &two, LINKED, {0}},
    {"guest 2 allocates", alloc_unbound, &two, IN(UNBOUND) | LINKED, {0}},
    {"VIRQ", virq_is_raised, NULL, IN(VIRQ) | SIGNALS | LATE, {0}},
    {"guest 2 ends", two_ends, NULL, LINKED | TWO_ENDS, {0}},
    {"guest 1 ends", one_ends, NULL, ANY | ONE_ENDS | CLOSES, {0}},
};

/* --- before each run --- */

static void must(long rc, const char *what)
{
    if (rc)
        race_wrong("preparation: %s gives %ld", what, rc);
}

/* So that reset and teardown have 8 ports to look at, and not a bucket's 128, each with some steps that could be switched at. */
static void have_few_ports(struct domain *d)
{
    evtchn_limit_ports(d, 7);
}

static void create_one(void)
{
    guest_create_at(one, 1, 12, 2, 1);
    have_few_ports(one->d);
    one[1] = one[0];
    one[1].v = one->d->vcpu[1];
}

static void create_two(void)
{
    guest_create_at(&two, 2, 6, 1, 3);
    have_few_ports(two.d);
    two.d->roles |= ROLE_CONTROL;
}

/* As at the start: no port, no queue, nothing pending; its vCPUs run. */
static void tidy(struct guest *g)
{
    for_each_vcpu(g->d, v) {
        vcpu_unpause(v, PAUSE_SLEEP);
        v->poll_port = 0;
    }
    g->d->pollers = 0;
    must(ports_reset(g), "reset");
    memset(g->d->shared->evtchn_pending, 0, sizeof(g->d->shared->evtchn_pending));
    memset(g->d->shared->evtchn_mask, 0, sizeof(g->d->shared->evtchn_mask));
    for_each_vcpu(g->d, v) {
        v->info->evtchn_pending_sel = 0;
        v->info->evtchn_upcall_pending = 0;
        v->info->evtchn_upcall_mask = 0;
    }
}

static void make_queues(void)
{
    memset(control(0), 0, PAGE_SIZE);
    memset(control(1), 0, PAGE_SIZE);
    memset(word(0), 0, PAGE_SIZE);
    if (scene != FIFO && scene != BARE)
        return;
    must(init_control(&one[0]), "init control");
    must(init_control(&one[1]), "init control");
    if (scene == FIFO)
        must(expand(one), "expand");
}

static void make_port(void)
{
    struct evtchn_alloc_unbound o = {.dom = DOMID_SELF, .remote_dom = 2};
    struct evtchn_bind_virq v = {.virq = VIRQ_DEBUG};
    struct evtchn_bind_interdomain b = {.remote_dom = 1};

    if (scene == VIRQ) {
        must(op(one, bind_virq, &v), "bind VIRQ");
        port = v.port;
        return;
    }
    must(op(one, alloc_unbound, &o), "alloc");
    port = b.remote_port = o.port;
    if (scene == UNBOUND)
        return;
    must(op(&two, bind_interdomain, &b), "bind");
    theirs = b.local_port;
    atomic_and(&two.d->shared->evtchn_pending[0], ~BIT(theirs));
}

static void set_port(unsigned flags)
{
    struct shared_info *s = one->d->shared;

    if (flags & MASKED) {
        s->evtchn_mask[0] |= BIT(port);
        *word(port) |= F_MASKED;
    }
    if (flags & PENDING)
        evtchn_set_pending(one->d, port);
}

static void begin(void)
{
    if (!one->d)
        create_one();
    if (!two.d)
        create_two();
    tidy(one);
    tidy(&two);
    make_queues();
    make_port();
    set_port(race_flags());
    taken = 0;
    machine_enter(one[0].v);
    machine_enter(one[1].v);
    machine_enter(two.v);
    /* as if they had been on their way to the guest */
    one[0].v->exit_work = one[1].v->exit_work = two.v->exit_work = 0;
    machine_log_clear();
}

/* --- after each run --- */

static bool is_pending(const struct domain *d, uint32_t p)
{
    const struct evtchn *e = port_at(d, p);
    if (d == one->d && d->evtchn_fifo)
        return scene == BARE && e->saved ? true : *word(p) & F_PENDING || e->saved;
    return evtchn_pending_map(d)[0] >> p & 1;
}

/* Is PORT @p in one of guest 1's queues that are ready? */
static bool is_queued(uint32_t p)
{
    for (unsigned vcpu = 0; vcpu < 2; vcpu++)
        for (unsigned q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++) {
            uint32_t at = control(vcpu)->ready & BIT(q) ? control(vcpu)->head[q] : 0;
            for (unsigned n = 0; at && n < 100; n++, at = *word(at) & F_LINK)
                if (at == p && (*word(p) & F_LINKED) &&
                    one->d->vcpu[vcpu]->info->evtchn_upcall_pending)
                    return true;
        }
    return false;
}

static bool is_announced(const struct domain *d, uint32_t p)
{
    if (d == one->d && d->evtchn_fifo)
        return is_queued(p);
    for_each_vcpu(d, v)
        if ((v->info->evtchn_pending_sel & 1) && v->info->evtchn_upcall_pending)
            return true;
    return false;
}

static bool is_masked(const struct domain *d, uint32_t p)
{
    return d == one->d && d->evtchn_fifo ? *word(p) & F_MASKED : evtchn_mask_map(d)[0] >> p & 1;
}

static bool is_listed(const struct domain *d)
{
    for (struct domain *at = domain_next(NULL); at; at = domain_next(at))
        if (at == d)
            return true;
    return false;
}

static void check_binding(const struct domain *d, uint32_t p)
{
    const struct evtchn *e = port_at(d, p);

    if (!is_listed(e->remote))
        race_wrong("d%u's port %u is bound to a domain that has ended", d->id, p);
    const struct evtchn *back = port_of(e->remote, e->peer);
    if (!back || back->state != ECS_INTERDOMAIN || back->remote != d || back->peer != p)
        race_wrong("d%u's port %u is bound to d%u's %u, which is not bound to it", d->id, p,
                   e->remote->id, e->peer);
}

static void check_port(const struct domain *d, uint32_t p)
{
    const struct evtchn *e = port_at(d, p);

    if (e->vcpu >= d->max_vcpus)
        race_wrong("d%u's port %u notifies vCPU %u", d->id, p, e->vcpu);
    switch (e->state) {
    case ECS_FREE:
        if (e->remote || (is_pending(d, p) && !(race_flags() & LATE)))
            race_wrong("d%u's port %u is free and has %s", d->id, p,
                       e->remote ? "a peer" : "a signal");
        if (p < d->evtchn_hint)
            race_wrong("d%u's port %u is free, but no port below %u should be", d->id, p,
                       d->evtchn_hint);
        return;
    case ECS_INTERDOMAIN:
        check_binding(d, p);
        break;
    case ECS_VIRQ:
        if (d->vcpu[0]->virq_port[e->peer] != p)
            race_wrong("d%u's port %u is VIRQ %u, which is not bound to it", d->id, p, e->peer);
        break;
    }
    if (e->state > ECS_UNBOUND && is_pending(d, p) && !is_masked(d, p) && !e->saved &&
        !is_announced(d, p) && !taken)
        race_wrong("d%u's port %u is pending and open, and no vCPU was told", d->id, p);
}

static void check_ports(const struct domain *d)
{
    for (uint32_t p = 1; p < d->evtchn_limit && p < 64; p++)
        check_port(d, p);
    for_each_vcpu(d, v) {
        for (unsigned n = 0; n < NR_VIRQS; n++)
            if (v->virq_port[n] && port_at(d, v->virq_port[n])->state != ECS_VIRQ)
                race_wrong("d%uv%u's VIRQ %u has port %u, which is something else", d->id, v->id, n,
                           v->virq_port[n]);
        if (v->poll_port || (v->pause & PAUSE_SLEEP))
            race_wrong("d%uv%u still polls", d->id, v->id);
    }
    if (d->pollers)
        race_wrong("d%u has pollers %#lx", d->id, (unsigned long)d->pollers);
    if (d->evtchn_lock.held || d->evtchn_queue_lock.held)
        race_wrong("d%u's ports are locked", d->id);
    race_check_nobody_is_forgotten(d);
}

/* A signal that was sent is there, unless it was taken, or its port closed. */
static void check_signals(void)
{
    for (unsigned i = 0; i < race_now_count; i++)
        if ((race_now[i].row->flags & SIGNALS) && race_now[i].ended && race_now[i].rc == 0 &&
            !(race_flags() & CLOSES) && !taken && !is_pending(one->d, port))
            race_wrong("%s: the signal is lost", race_now[i].row->name);
}

/* @v sleeps, and nobody is left who could wake it. */
static void overslept(struct vcpu *v)
{
    if (!(v->pause & PAUSE_SLEEP))
        race_wrong("d%uv%u was woken, and its CPU not told", v->domain->id, v->id);
    if ((v->pause & PAUSE_BLOCKED) && v->info->evtchn_upcall_pending)
        race_wrong("d%uv%u sleeps, and an upcall is pending", v->domain->id, v->id);
    if ((v->pause & PAUSE_POLLING) &&
        (vcpu_event_pending(v) ||
         (port_at(one->d, port)->state > ECS_RESERVED && is_pending(one->d, port))))
        race_wrong("d%uv%u polls, and its port is pending", v->domain->id, v->id);
}

static void is_gone(struct guest *g)
{
    const domid_t id = g->d->id;

    for (unsigned i = 0; i < 5; i++) {
        machine_advance(20000000);
        machine_run_work();
    }
    struct domain *d = domain_get_owner(id);
    if (d)
        race_wrong("guest %u is still there, with %u frames and %u references", id, d->tot_pages,
                   d->refs - 1);
    g->d = NULL;
}

static void end(void)
{
    const unsigned flags = race_flags();

    race_check_results();
    if (flags & ONE_ENDS)
        is_gone(one);
    else
        check_signals();
    if (flags & TWO_ENDS)
        is_gone(&two);
    if (one->d)
        check_ports(one->d);
    if (two.d)
        check_ports(two.d);
    world_check();
}

static void start(void)
{
    world_start(4, 1024);
    machine.overslept = overslept;
    create_one();
    create_two();
}

TestSuite(race_ports, .init = start, .timeout = 600);

/* All that are possible in @s, each of those against each of these. */
static void play_scene(enum scene s)
{
    unsigned long runs = 0, pairs = 0;

    scene = s;
    for (unsigned i = 0; i < ARRAY_SIZE(those); i++)
        for (unsigned k = 0; k < ARRAY_SIZE(these); k++) {
            const struct race_row *rows[] = {&those[i], &these[k]};
            if (!(those[i].flags & these[k].flags & IN(s)))
                continue;
            if ((those[i].flags & ALLOCATES) && (these[k].flags & TWO_ENDS))
                /* memory comes in another order each time: nothing that is learnt lasts */
                continue;
            runs += race_play(rows, 2, 2, begin, end);
            pairs++;
        }
    fprintf(stderr, "scene %u: %lu pairs, %lu runs\n", s, pairs, runs);
}

Test(race_ports, unbound)
{
    play_scene(UNBOUND);
}

Test(race_ports, bound)
{
    play_scene(BOUND);
}

Test(race_ports, virq)
{
    play_scene(VIRQ);
}

Test(race_ports, queues)
{
    play_scene(FIFO);
}

Test(race_ports, queues_without_an_array)
{
    play_scene(BARE);
}
