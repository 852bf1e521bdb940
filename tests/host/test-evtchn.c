/*
 * Event channels: every operation and refusal, what a signal sets, what happens to the other end;
 * and a long random run of two domains against a model.
 */
#include "suite.h"
#include "evtchn-port.h"
#include "evtchn.h"
#include "sched.h"

#include <xen/event_channel.h>

static struct guest a, b; /* b has the control role */

static void start(void)
{
    world_start(2, 2048);
    guest_create(&a, 1, 32, 2);
    guest_create(&b, 2, 32, 2);
    b.d->roles = ROLE_CONTROL;
    machine_enter(a.v);
}

static void finish(void)
{
    world_check();
    guest_destroy(&a);
    guest_destroy(&b);
    world_check_empty();
}

TestSuite(evtchn, .init = start, .fini = finish);

#define op(g, name, arg) \
    guest_op((g)->v, __HYPERVISOR_event_channel_op, EVTCHNOP_##name, (arg), sizeof(*(arg)))

static bool pending(const struct guest *g, uint32_t port)
{
    return ((uint64_t *)g->d->shared->evtchn_pending)[port / 64] >> port % 64 & 1;
}

static void clear_pending(struct guest *g, uint32_t port)
{
    ((uint64_t *)g->d->shared->evtchn_pending)[port / 64] &= ~BIT(port % 64);
}

static void mask(struct guest *g, uint32_t port)
{
    ((uint64_t *)g->d->shared->evtchn_mask)[port / 64] |= BIT(port % 64);
}

/* What the guest's handler does first. */
static void take_upcall(struct vcpu *v)
{
    v->info->evtchn_upcall_pending = 0;
    v->info->evtchn_pending_sel = 0;
}

static uint32_t alloc_unbound(struct guest *g, domid_t remote)
{
    struct evtchn_alloc_unbound o = {.dom = DOMID_SELF, .remote_dom = remote};
    assert_ok(op(g, alloc_unbound, &o));
    return o.port;
}

static uint32_t bind_interdomain(struct guest *g, domid_t remote, uint32_t port)
{
    struct evtchn_bind_interdomain o = {.remote_dom = remote, .remote_port = port};
    assert_ok(op(g, bind_interdomain, &o));
    return o.local_port;
}

static long close_port(struct guest *g, uint32_t port)
{
    struct evtchn_close o = {port};
    return op(g, close, &o);
}

static long send(struct guest *g, uint32_t port)
{
    struct evtchn_send o = {port};
    return op(g, send, &o);
}

static struct evtchn_status status(struct guest *g, domid_t dom, uint32_t port)
{
    struct evtchn_status o = {.dom = dom, .port = port};
    assert_ok(op(g, status, &o));
    return o;
}

/* --- one at a time
 * ------------------------------------------------------------------------------------------- */

Test(evtchn, lowest_free_port_is_given)
{
    for (uint32_t i = 1; i < 300; i++)
        assert_eq_long(alloc_unbound(&a, 2), i);
    assert_ok(close_port(&a, 77));
    assert_ok(close_port(&a, 3));
    assert_eq_long(alloc_unbound(&a, 2), 3);
    assert_eq_long(alloc_unbound(&a, 2), 77);
    assert_eq_long(alloc_unbound(&a, 2), 300);
}

Test(evtchn, ports_run_out_at_4096)
{
    for (uint32_t i = 1; i < 4096; i++)
        assert_eq_long(alloc_unbound(&a, 2), i);
    struct evtchn_alloc_unbound o = {.dom = DOMID_SELF, .remote_dom = 2};
    assert_refused(&a, op(&a, alloc_unbound, &o), PORTS_EXHAUSTED);
    struct evtchn_bind_ipi ipi = {0};
    assert_refused(&a, op(&a, bind_ipi, &ipi), PORTS_EXHAUSTED);
    assert_ok(close_port(&a, 4095));
    assert_eq_long(alloc_unbound(&a, 2), 4095);
    for (uint32_t i = 1; i < 4096; i += 64)
        assert_eq_long(status(&a, DOMID_SELF, i).status, EVTCHNSTAT_unbound);
}

Test(evtchn, interdomain_signal_reaches_the_other_end)
{
    uint32_t pa = alloc_unbound(&a, 2), pb = bind_interdomain(&b, 1, pa);

    cr_assert(pending(&b, pb), "the binder is made to look");
    clear_pending(&b, pb);
    take_upcall(b.v);
    assert_ok(send(&a, pa));
    cr_assert(pending(&b, pb));
    assert_eq_long(b.v->info->evtchn_pending_sel, BIT(pb / 64));
    assert_eq_long(b.v->info->evtchn_upcall_pending, 1);
    cr_assert(!pending(&a, pa));
    assert_ok(send(&b, pb));
    cr_assert(pending(&a, pa));

    struct evtchn_status s = status(&a, DOMID_SELF, pa);
    assert_eq_long(s.status, EVTCHNSTAT_interdomain);
    assert_eq_long(s.u.interdomain.dom, 2);
    assert_eq_long(s.u.interdomain.port, pb);
}

Test(evtchn, pending_bit_is_one_signal)
{
    uint32_t pa = alloc_unbound(&a, 2), pb = bind_interdomain(&b, 1, pa);

    take_upcall(b.v); /* without clearing the port's bit */
    assert_ok(send(&a, pa));
    assert_eq_long(b.v->info->evtchn_upcall_pending, 0);
    clear_pending(&b, pb);
    assert_ok(send(&a, pa));
    assert_eq_long(b.v->info->evtchn_upcall_pending, 1);
}

Test(evtchn, masked_port_waits_for_unmask)
{
    uint32_t pa = alloc_unbound(&a, 2), pb = bind_interdomain(&b, 1, pa);

    clear_pending(&b, pb);
    take_upcall(b.v);
    mask(&b, pb);
    assert_ok(send(&a, pa));
    cr_assert(pending(&b, pb));
    assert_eq_long(b.v->info->evtchn_upcall_pending, 0);
    struct evtchn_unmask o = {pb};
    assert_ok(op(&b, unmask, &o));
    assert_eq_long(b.v->info->evtchn_upcall_pending, 1);
    assert_eq_long(b.v->info->evtchn_pending_sel, BIT(pb / 64));
    cr_assert(!(((uint64_t *)b.d->shared->evtchn_mask)[pb / 64] >> pb % 64 & 1));
}

Test(evtchn, signal_wakes_a_blocked_vcpu)
{
    uint32_t pa = alloc_unbound(&a, 2), pb = bind_interdomain(&b, 1, pa);

    clear_pending(&b, pb);
    take_upcall(b.v);
    b.v->info->evtchn_upcall_mask = 0;
    assert_ok(vcpu_hypercall(b.v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0));
    cr_assert(b.v->pause & PAUSE_BLOCKED);
    assert_ok(send(&a, pa));
    cr_assert(!(b.v->pause & PAUSE_BLOCKED));
    machine_enter(b.v);
}

Test(evtchn, ports_notify_the_vcpu_they_are_bound_to)
{
    uint32_t pa = alloc_unbound(&a, 2), pb = bind_interdomain(&b, 1, pa);
    struct evtchn_bind_vcpu o = {.port = pb, .vcpu = 1};

    assert_ok(op(&b, bind_vcpu, &o));
    clear_pending(&b, pb);
    take_upcall(b.v);
    take_upcall(b.d->vcpu[1]);
    assert_ok(send(&a, pa));
    assert_eq_long(b.v->info->evtchn_upcall_pending, 0);
    assert_eq_long(b.d->vcpu[1]->info->evtchn_upcall_pending, 1);
    o.vcpu = 2;
    assert_refused(&b, op(&b, bind_vcpu, &o), EVTCHN_VCPU_MISSING);
    o = (struct evtchn_bind_vcpu){.port = 5000};
    assert_refused(&b, op(&b, bind_vcpu, &o), PORT_MISSING);
    o.port = pb + 1;
    assert_refused(&b, op(&b, bind_vcpu, &o), PORT_CANNOT_MOVE);
}

Test(evtchn, closing_one_end_leaves_the_other_unbound)
{
    uint32_t pa = alloc_unbound(&a, 2), pb = bind_interdomain(&b, 1, pa);

    assert_ok(close_port(&b, pb));
    assert_eq_long(status(&b, DOMID_SELF, pb).status, EVTCHNSTAT_closed);
    struct evtchn_status s = status(&a, DOMID_SELF, pa);
    assert_eq_long(s.status, EVTCHNSTAT_unbound);
    assert_eq_long(s.u.unbound.dom, 2);
    assert_ok(send(&a, pa)); /* nobody listens */
    assert_eq_long(bind_interdomain(&b, 1, pa), pb);
    assert_refused(&a, close_port(&a, 0), PORT_NOT_OPEN);
    assert_refused(&a, close_port(&a, 100), PORT_NOT_OPEN);
    assert_refused(&a, close_port(&a, 4096), PORT_NOT_OPEN);
    assert_refused(&a, close_port(&a, ~0u), PORT_NOT_OPEN);
}

Test(evtchn, domain_that_dies_leaves_its_peers_unbound)
{
    struct guest c;
    guest_create(&c, 3, 16, 1);
    uint32_t pa = alloc_unbound(&a, 3), pc = bind_interdomain(&c, 1, pa),
             unbound = alloc_unbound(&c, 1);

    (void)pc, (void)unbound;
    guest_destroy(&c);
    struct evtchn_status s = status(&a, DOMID_SELF, pa);
    assert_eq_long(s.status, EVTCHNSTAT_unbound);
    assert_ok(send(&a, pa));
    struct evtchn_bind_interdomain o = {.remote_dom = 3, .remote_port = 1};
    assert_refused(&a, op(&a, bind_interdomain, &o), EVTCHN_DOMAIN_MISSING);
}

Test(evtchn, loopback_within_one_domain)
{
    uint32_t one = alloc_unbound(&a, DOMID_SELF), two = bind_interdomain(&a, DOMID_SELF, one);

    clear_pending(&a, two);
    assert_ok(send(&a, one));
    cr_assert(pending(&a, two));
    assert_ok(send(&a, two));
    cr_assert(pending(&a, one));
    assert_ok(close_port(&a, one));
    assert_eq_long(status(&a, DOMID_SELF, two).status, EVTCHNSTAT_unbound);
    assert_eq_long(bind_interdomain(&a, DOMID_SELF, two), one);
}

Test(evtchn, only_the_invited_may_bind)
{
    uint32_t for_self = alloc_unbound(&a, DOMID_SELF), for_three = alloc_unbound(&a, 3);
    struct evtchn_bind_interdomain o = {.remote_dom = 1, .remote_port = for_self};

    assert_refused(&b, op(&b, bind_interdomain, &o), PORT_NOT_OFFERED);
    o.remote_port = for_three;
    assert_refused(&b, op(&b, bind_interdomain, &o), PORT_NOT_OFFERED);
    o.remote_port = 0; /* reserved */
    assert_refused(&b, op(&b, bind_interdomain, &o), PORT_NOT_OFFERED);
    o.remote_port = 100; /* free */
    assert_refused(&b, op(&b, bind_interdomain, &o), PORT_NOT_OFFERED);
    o.remote_port = 4096;
    assert_refused(&b, op(&b, bind_interdomain, &o), PORT_MISSING);
    o = (struct evtchn_bind_interdomain){.remote_dom = 99, .remote_port = 1};
    assert_refused(&b, op(&b, bind_interdomain, &o), EVTCHN_DOMAIN_MISSING);
    /* A refused bind leaves no port behind. */
    assert_eq_long(alloc_unbound(&b, 1), 1);
}

Test(evtchn, other_domains_ports_need_the_control_role)
{
    struct evtchn_alloc_unbound o = {.dom = 2, .remote_dom = 1};
    assert_refused(&a, op(&a, alloc_unbound, &o), EVTCHN_DOMAIN_NOT_ALLOWED);
    o = (struct evtchn_alloc_unbound){.dom = 1, .remote_dom = 2};
    assert_ok(op(&b, alloc_unbound, &o));
    assert_eq_long(status(&b, 1, o.port).status, EVTCHNSTAT_unbound);
    o.dom = 77;
    assert_refused(&b, op(&b, alloc_unbound, &o), EVTCHN_DOMAIN_MISSING);
    struct evtchn_status s = {.dom = 2, .port = 1};
    assert_refused(&a, op(&a, status, &s), EVTCHN_DOMAIN_NOT_ALLOWED);
    struct evtchn_reset r = {.dom = 2};
    assert_refused(&a, op(&a, reset, &r), EVTCHN_DOMAIN_NOT_ALLOWED);
}

Test(evtchn, virqs_have_one_port_each)
{
    struct evtchn_bind_virq o = {.virq = VIRQ_TIMER, .vcpu = 0};

    assert_ok(op(&a, bind_virq, &o));
    uint32_t timer0 = o.port;
    assert_refused(&a, op(&a, bind_virq, &o), VIRQ_BOUND_ALREADY);
    o.vcpu = 1;
    assert_ok(op(&a, bind_virq, &o));
    uint32_t timer1 = o.port;
    o = (struct evtchn_bind_virq){.virq = VIRQ_CONSOLE, .vcpu = 1};
    assert_refused(&a, op(&a, bind_virq, &o), VIRQ_GLOBAL);
    o.vcpu = 0;
    assert_ok(op(&a, bind_virq, &o));
    o = (struct evtchn_bind_virq){.virq = 24};
    assert_refused(&a, op(&a, bind_virq, &o), VIRQ_UNKNOWN);
    o.virq = ~0u;
    assert_refused(&a, op(&a, bind_virq, &o), VIRQ_UNKNOWN);
    o = (struct evtchn_bind_virq){.virq = VIRQ_TIMER, .vcpu = 2};
    assert_refused(&a, op(&a, bind_virq, &o), EVTCHN_VCPU_MISSING);

    clear_pending(&a, timer0); /* the periodic timer may have ticked */
    virq_raise(a.d->vcpu[1], VIRQ_TIMER);
    cr_assert(pending(&a, timer1) && !pending(&a, timer0));
    assert_refused(&a, send(&a, timer0), PORT_CANNOT_SEND);
    struct evtchn_bind_vcpu move = {.port = timer0, .vcpu = 1};
    assert_refused(&a, op(&a, bind_vcpu, &move), PORT_CANNOT_MOVE);
    assert_ok(close_port(&a, timer0));
    clear_pending(&a, timer0);
    virq_raise(a.v, VIRQ_TIMER); /* unbound: nothing happens */
    cr_assert(!pending(&a, timer0));
    o = (struct evtchn_bind_virq){.virq = VIRQ_TIMER, .vcpu = 0};
    assert_ok(op(&a, bind_virq, &o));
    assert_eq_long(o.port, timer0);
}

Test(evtchn, ipi_reaches_its_vcpu)
{
    struct evtchn_bind_ipi o = {.vcpu = 1};

    assert_ok(op(&a, bind_ipi, &o));
    take_upcall(a.d->vcpu[1]);
    assert_ok(send(&a, o.port));
    cr_assert(pending(&a, o.port));
    assert_eq_long(a.d->vcpu[1]->info->evtchn_upcall_pending, 1);
    struct evtchn_bind_vcpu move = {.port = o.port, .vcpu = 0};
    assert_refused(&a, op(&a, bind_vcpu, &move), PORT_CANNOT_MOVE);
    o.vcpu = 2;
    assert_refused(&a, op(&a, bind_ipi, &o), EVTCHN_VCPU_MISSING);
    o.vcpu = ~0u;
    assert_refused(&a, op(&a, bind_ipi, &o), EVTCHN_VCPU_MISSING);
}

Test(evtchn, reset_closes_all)
{
    uint32_t pa = alloc_unbound(&a, 2), pb = bind_interdomain(&b, 1, pa);
    struct evtchn_bind_virq v = {.virq = VIRQ_TIMER};
    assert_ok(op(&a, bind_virq, &v));
    struct evtchn_reset r = {.dom = DOMID_SELF};
    assert_ok(op(&a, reset, &r));
    assert_eq_long(status(&a, DOMID_SELF, pa).status, EVTCHNSTAT_closed);
    assert_eq_long(status(&a, DOMID_SELF, v.port).status, EVTCHNSTAT_closed);
    assert_eq_long(status(&b, DOMID_SELF, pb).status, EVTCHNSTAT_unbound);
    assert_eq_long(a.v->virq_port[VIRQ_TIMER], 0);
}

Test(evtchn, unserved_operations)
{
    char zeroes[64] = {0};
    uint64_t at = machine_put(0x3000, zeroes, sizeof(zeroes)).va;
    assert_refused(&a, hypercall(&a, event_channel_op, EVTCHNOP_init_control, at),
                   QUEUE_FRAME_UNFIT);
    assert_refused(&a, hypercall(&a, event_channel_op, EVTCHNOP_expand_array, at),
                   EXPAND_ON_2LEVEL);
    struct evtchn_set_priority p = {.port = 5000};
    assert_refused(&a, op(&a, set_priority, &p), PORT_MISSING);
    p.port = alloc_unbound(&a, 2);
    assert_refused(&a, op(&a, set_priority, &p), PRIORITY_ON_2LEVEL);
    for (unsigned cmd = 14; cmd < 40; cmd++)
        assert_refused(&a, hypercall(&a, event_channel_op, cmd, at), EVTCHN_OP_UNKNOWN);
    struct evtchn_bind_pirq pirq = {.pirq = 5};
    cr_assert(op(&a, bind_pirq, &pirq) < 0);
}

/* --- physical interrupts --- */

static long bind_pirq(struct guest *g, uint32_t pirq, uint32_t *port)
{
    struct evtchn_bind_pirq o = {.pirq = pirq};
    long rc = op(g, bind_pirq, &o);
    *port = o.port;
    return rc;
}

Test(evtchn, a_line_signals_the_port_that_is_bound_to_it)
{
    uint32_t port, second;

    assert_refused(&a, bind_pirq(&a, 5, &port), PIRQ_BIND_NOT_ALLOWED);
    a.d->roles = ROLE_HARDWARE;
    assert_refused(&a, bind_pirq(&a, 256, &port), PIRQ_UNKNOWN);
    assert_refused(&a, bind_pirq(&a, 15, &port), PIRQ_NOT_MAPPED);
    assert_refused(&a, bind_pirq(&a, 0, &port), PIRQ_BUSY); /* the hypervisor's */
    assert_ok(bind_pirq(&a, 5, &port));
    assert_refused(&a, bind_pirq(&a, 5, &second), PIRQ_BOUND);
    assert_eq_long(status(&a, DOMID_SELF, port).status, EVTCHNSTAT_pirq);
    assert_eq_long(status(&a, DOMID_SELF, port).u.pirq, 5);
    cr_assert(!pending(&a, port));
    cr_assert(machine_line(5));
    cr_assert(pending(&a, port));
    /* A refused bind has left no port behind: the next one is the next. */
    assert_eq_long(alloc_unbound(&a, 2), port + 1);
}

Test(evtchn, a_closed_line_is_nobodys)
{
    uint32_t port;
    struct evtchn_close o;

    a.d->roles = b.d->roles = ROLE_HARDWARE;
    assert_ok(bind_pirq(&a, 5, &port));
    o.port = port;
    machine_enter(b.v);
    assert_refused(&b, bind_pirq(&b, 5, &port), PIRQ_BUSY);
    machine_enter(a.v);
    assert_ok(op(&a, close, &o));
    cr_assert(!machine_line(5));
    machine_enter(b.v);
    assert_ok(bind_pirq(&b, 5, &port));
}

Test(evtchn, a_domains_end_closes_its_lines)
{
    struct guest c;
    uint32_t port;

    guest_create(&c, 3, 32, 1);
    c.d->roles = ROLE_HARDWARE;
    machine_enter(c.v);
    assert_ok(bind_pirq(&c, 7, &port));
    machine_enter(a.v);
    guest_destroy(&c);
    cr_assert(!machine_line(7));
}

Test(evtchn, arguments_that_cannot_be_read_change_nothing)
{
    static const uint64_t bad[] = {0, 0x1000, HYPERVISOR_VIRT_START_, 0x0000800000000000ull,
                                   ~0ull - 3};
    for (unsigned cmd = 0; cmd <= EVTCHNOP_set_priority; cmd++)
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
            assert_eq_long(hypercall(&a, event_channel_op, cmd, bad[i]), -XEN_EFAULT);
    assert_eq_long(alloc_unbound(&a, 2), 1);
}

/* --- against a model
 * ---------------------------------------------------------------------------------------------- */

#define PORTS 48u

struct model_port {
    uint8_t state; /* EVTCHNSTAT_* */
    uint8_t vcpu;
    uint8_t who; /* unbound: who may bind; interdomain: whose the other end is; 0: a, 1: b */
    uint32_t peer;
    uint32_t virq;
};

static struct model_port model[2][PORTS];
static struct guest *const side[2] = {&a, &b};

static uint32_t model_free(unsigned s)
{
    for (uint32_t p = 1; p < PORTS; p++)
        if (model[s][p].state == EVTCHNSTAT_closed)
            return p;
    return 0;
}

static void model_close(unsigned s, uint32_t port)
{
    struct model_port *p = &model[s][port];
    if (p->state == EVTCHNSTAT_interdomain) {
        struct model_port *other = &model[p->who][p->peer];
        uint8_t vcpu = other->vcpu;
        *other = (struct model_port){.state = EVTCHNSTAT_unbound, .who = (uint8_t)s, .vcpu = vcpu};
    }
    *p = (struct model_port){.state = EVTCHNSTAT_closed};
}

static void check_port(unsigned s, uint32_t port)
{
    const struct model_port *m = &model[s][port];
    struct evtchn_status st = status(side[s], DOMID_SELF, port);

    cr_assert(st.status == m->state, "port %u of %u: %u, should be %u", port, s, st.status,
              m->state);
    if (m->state == EVTCHNSTAT_closed)
        return;
    cr_assert(st.vcpu == m->vcpu, "port %u of %u: vCPU %u, should be %u", port, s, st.vcpu,
              m->vcpu);
    if (m->state == EVTCHNSTAT_unbound)
        assert_eq_long(st.u.unbound.dom, side[m->who]->d->id);
    if (m->state == EVTCHNSTAT_interdomain) {
        assert_eq_long(st.u.interdomain.dom, side[m->who]->d->id);
        assert_eq_long(st.u.interdomain.port, m->peer);
    }
    if (m->state == EVTCHNSTAT_virq)
        assert_eq_long(st.u.virq, m->virq);
}

static void step_alloc(struct random *r, unsigned s)
{
    unsigned who = random_below(r, 2);
    uint32_t want = model_free(s);
    if (!want)
        return;
    assert_eq_long(alloc_unbound(side[s], side[who]->d->id), want);
    model[s][want] = (struct model_port){.state = EVTCHNSTAT_unbound, .who = (uint8_t)who};
}

static void step_bind(struct random *r, unsigned s)
{
    unsigned other = random_below(r, 2);
    uint32_t port = random_below(r, PORTS), want = model_free(s);
    struct evtchn_bind_interdomain o = {.remote_dom = side[other]->d->id, .remote_port = port};
    if (!want)
        return;
    struct model_port *theirs = &model[other][port];
    bool ok = theirs->state == EVTCHNSTAT_unbound && theirs->who == s;
    long rc = op(side[s], bind_interdomain, &o);
    assert_eq_long(rc, ok ? 0 : -XEN_EINVAL);
    if (!ok)
        return;
    assert_eq_long(o.local_port, want);
    *theirs = (struct model_port){
        .state = EVTCHNSTAT_interdomain, .who = (uint8_t)s, .peer = want, .vcpu = theirs->vcpu};
    model[s][want] =
        (struct model_port){.state = EVTCHNSTAT_interdomain, .who = (uint8_t)other, .peer = port};
}

static void step_virq(struct random *r, unsigned s)
{
    struct evtchn_bind_virq o = {.virq = random_below(r, 4), .vcpu = random_below(r, 3)};
    bool global = o.virq == VIRQ_CONSOLE || o.virq == VIRQ_DOM_EXC;
    uint32_t want = model_free(s);
    long expect = 0;
    if (!want)
        return;
    if (global && o.vcpu)
        expect = -XEN_EINVAL;
    else if (o.vcpu == 2)
        expect = -XEN_ENOENT;
    for (uint32_t p = 1; p < PORTS && !expect; p++)
        if (model[s][p].state == EVTCHNSTAT_virq && model[s][p].virq == o.virq &&
            (global || model[s][p].vcpu == o.vcpu))
            expect = -XEN_EEXIST;
    assert_eq_long(op(side[s], bind_virq, &o), expect);
    if (expect)
        return;
    assert_eq_long(o.port, want);
    model[s][want] =
        (struct model_port){.state = EVTCHNSTAT_virq, .vcpu = (uint8_t)o.vcpu, .virq = o.virq};
}

static void step_ipi(struct random *r, unsigned s)
{
    struct evtchn_bind_ipi o = {.vcpu = random_below(r, 2)};
    uint32_t want = model_free(s);
    if (!want)
        return;
    assert_ok(op(side[s], bind_ipi, &o));
    assert_eq_long(o.port, want);
    model[s][want] = (struct model_port){.state = EVTCHNSTAT_ipi, .vcpu = (uint8_t)o.vcpu};
}

static void step_close(struct random *r, unsigned s)
{
    uint32_t port = random_below(r, PORTS);
    bool open = port && model[s][port].state != EVTCHNSTAT_closed;
    assert_eq_long(close_port(side[s], port), open ? 0 : -XEN_EINVAL);
    if (open)
        model_close(s, port);
}

static void step_send(struct random *r, unsigned s)
{
    uint32_t port = random_below(r, PORTS);
    const struct model_port *m = &model[s][port];
    unsigned to = m->state == EVTCHNSTAT_interdomain ? m->who : s;
    uint32_t at = m->state == EVTCHNSTAT_interdomain ? m->peer : port;
    bool reaches = m->state == EVTCHNSTAT_interdomain || m->state == EVTCHNSTAT_ipi;

    if (at)
        clear_pending(side[to], at);
    long rc = send(side[s], port);
    assert_eq_long(rc, reaches || m->state == EVTCHNSTAT_unbound ? 0 : -XEN_EINVAL);
    if (reaches) {
        cr_assert(pending(side[to], at), "port %u of %u sent to port %u of %u", port, s, at, to);
        struct vcpu *v = side[to]->d->vcpu[model[to][at].vcpu];
        cr_assert(v->info->evtchn_upcall_pending);
    }
}

static void step_move(struct random *r, unsigned s)
{
    struct evtchn_bind_vcpu o = {.port = random_below(r, PORTS), .vcpu = random_below(r, 2)};
    struct model_port *m = &model[s][o.port];
    bool ok = m->state == EVTCHNSTAT_unbound || m->state == EVTCHNSTAT_interdomain ||
              (m->state == EVTCHNSTAT_virq && (m->virq == VIRQ_CONSOLE || m->virq == VIRQ_DOM_EXC));
    assert_eq_long(op(side[s], bind_vcpu, &o), ok ? 0 : -XEN_EINVAL);
    if (ok)
        m->vcpu = (uint8_t)o.vcpu;
}

static void step_reset(struct random *r, unsigned s)
{
    struct evtchn_reset o = {.dom = DOMID_SELF};
    if (random_below(r, 40))
        return;
    assert_ok(op(side[s], reset, &o));
    for (uint32_t p = 1; p < PORTS; p++)
        if (model[s][p].state != EVTCHNSTAT_closed)
            model_close(s, p);
}

Test(evtchn, random_against_a_model)
{
    static void (*const step[])(struct random *, unsigned) = {
        step_alloc, step_alloc, step_bind, step_bind, step_bind, step_virq,
        step_ipi,   step_close, step_send, step_send, step_move, step_reset};
    struct random r = random_start(7);

    for (unsigned i = 0; i < soak(8000); i++) {
        unsigned s = random_below(&r, 2);
        step[random_below(&r, ARRAY_SIZE(step))](&r, s);
        if (random_below(&r, 4) == 0)
            take_upcall(side[s]->d->vcpu[random_below(&r, 2)]);
        check_port(random_below(&r, 2), random_below(&r, PORTS));
        if (i % 200 == 0)
            for (uint32_t p = 0; p < PORTS; p++)
                check_port(0, p), check_port(1, p);
    }
}

/* What lines ask, when they are recounted. */
Test(evtchn, lines_know_which_ports_are_theirs)
{
    struct evtchn_bind_ipi ipi = {.vcpu = 0};

    assert_ok(op(&a, bind_ipi, &ipi));
    assert_eq_long(evtchn_pirqs(a.d), 0);
    cr_assert(!evtchn_is_pirq(a.d, ipi.port, 0));
    cr_assert(!evtchn_is_pirq(a.d, 100000, 0));
    port_of(a.d, ipi.port)->state = ECS_PIRQ;
    port_of(a.d, ipi.port)->peer = 9;
    assert_eq_long(evtchn_pirqs(a.d), 1);
    cr_assert(evtchn_is_pirq(a.d, ipi.port, 9));
    cr_assert(!evtchn_is_pirq(a.d, ipi.port, 8));
    port_of(a.d, ipi.port)->state = ECS_IPI;
    port_of(a.d, ipi.port)->peer = 0;
}

/* --- many pollers of one port ------------------------------------------------------------------ */

static struct guest many;
static uint32_t polled; /* of MANY, which all poll, and which it may send to */

/* As SCHEDOP_poll leaves a vCPU that sleeps. */
static void sleep_on(struct vcpu *v, uint32_t port)
{
    evtchn_poll_begin(v);
    v->poll_port = port;
}

static void pollers_start(void)
{
    start();
    guest_create(&many, 3, 32, 40);
    machine_enter(many.v);
    struct evtchn_bind_ipi ipi = {.vcpu = 0};
    assert_ok(op(&many, bind_ipi, &ipi));
    polled = ipi.port;
    for_each_vcpu(many.d, v)
        sleep_on(v, polled);
}

static void pollers_finish(void)
{
    guest_destroy(&many);
    finish();
}

TestSuite(pollers, .init = pollers_start, .fini = pollers_finish);

static unsigned asleep(void)
{
    unsigned count = 0;

    for_each_vcpu(many.d, v)
        count += (v->pause & PAUSE_POLLING) != 0;
    return count;
}

static void send_again(void)
{
    struct evtchn_send send = {polled};

    clear_pending(&many, polled);
    assert_ok(op(&many, send, &send));
}

Test(pollers, one_event_wakes_few_at_once_and_all_in_the_end)
{
    send_again();
    assert_eq_long(asleep(), 36);
    assert_eq_long(__builtin_popcountl(many.d->wake_later), 36);
    machine_advance(9999);
    assert_eq_long(asleep(), 36);
    for (unsigned left = 28; left > 4; left -= 8) {
        machine_advance(10000);
        assert_eq_long(asleep(), left);
    }
    machine_advance(20000);
    assert_eq_long(asleep(), 0);
    cr_assert(!many.d->wake_later && !many.d->wake_timer.queued);
}

/* The bit is gone from shared_info when their turn comes: they are woken all the same. */
Test(pollers, who_is_woken_later_need_not_find_the_port_pending)
{
    send_again();
    clear_pending(&many, polled);
    machine_advance(100000);
    assert_eq_long(asleep(), 0);
}

Test(pollers, an_event_meanwhile_wakes_no_fewer)
{
    send_again();
    send_again();
    assert_eq_long(asleep(), 32);
    machine_advance(100000);
    assert_eq_long(asleep(), 0);
    send_again(); /* nobody is asleep: nothing is noted */
    cr_assert(!many.d->wake_later && !many.d->wake_timer.queued);
}

Test(pollers, a_new_poll_is_not_ended_by_an_old_event)
{
    struct vcpu *v = many.d->vcpu[30];

    send_again();
    cr_assert(many.d->wake_later & BIT(30));
    vcpu_unpause(v, PAUSE_POLLING); /* its time was over first */
    sleep_on(v, polled + 1);
    machine_advance(100000);
    cr_assert(v->pause & PAUSE_POLLING);
    assert_eq_long(asleep(), 1);
}

/* Each event books a moment for those it could not wake, who have begun another poll before it comes: however many are booked, the
 * last who waits is woken soon. */
Test(pollers, moments_that_nobody_needs_put_nobody_off)
{
    const unsigned moments = 200; /* of 10 us */

    for (unsigned i = 0; i < moments; i++) {
        for_each_vcpu(many.d, v)
            sleep_on(v, polled);
        send_again();
    }
    assert_eq_long(asleep(), 36);
    machine_advance(1000000);
    cr_assert(asleep() < 36, "the first in turn sleep longer than 1 ms");
    machine_advance(50000);
    assert_eq_long(asleep(), 0);
}

/* The first are back in their poll, and are noted, before it is the last one's turn. */
Test(pollers, the_last_are_not_kept_waiting_by_the_first)
{
    unsigned rounds = 0;

    for (; many.d->vcpu[39]->pause & PAUSE_POLLING; rounds++) {
        cr_assert(rounds < 8, "vCPU 39 is kept waiting");
        for (unsigned i = 0; i < 20; i++)
            if (!(many.d->vcpu[i]->pause & PAUSE_POLLING))
                sleep_on(many.d->vcpu[i], polled);
        send_again();
        machine_advance(10000);
    }
}

Test(pollers, moments_of_two_domains_are_apart)
{
    struct guest more;

    vcpu_unpause(many.v, PAUSE_POLLING); /* it gives up its CPU to the new domain */
    guest_create(&more, 4, 32, 40);
    sleep_on(many.v, polled);
    struct evtchn_bind_ipi ipi = {.vcpu = 0};
    assert_ok(op(&more, bind_ipi, &ipi));
    for_each_vcpu(more.d, v)
        sleep_on(v, ipi.port);
    evtchn_set_pending(more.d, ipi.port);
    evtchn_set_pending(many.d, polled);
    assert_eq_long(many.d->wake_timer.deadline - more.d->wake_timer.deadline, 10000);
    machine_advance(200000);
    assert_eq_long(asleep(), 0);
    cr_assert(!more.d->wake_later);
    guest_destroy(&more);
}

/* A reset closes the port; who slept on it has been promised to be woken. */
Test(pollers, a_reset_forgets_nobody)
{
    struct evtchn_reset reset = {DOMID_SELF};

    send_again();
    assert_ok(op(&many, reset, &reset));
    machine_advance(100000);
    assert_eq_long(asleep(), 0);
}

/* pollers_finish() destroys it with its timer set. */
Test(pollers, a_domain_ends_with_some_asleep)
{
    send_again();
    cr_assert(many.d->wake_timer.queued);
}
