/*
 * Domains and who can reach them: nobody finds one by its number before it is whole, and what a
 * reference leads to stays while anybody has one (rules R1 to R3 of core/domain.c).
 */
#include "suite.h"
#include "builder.h"
#include "evtchn-port.h"
#include "grant-table.h"
#include "sched.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>

static struct guest a, b; /* b has the control role */

static void start(void)
{
    world_start(2, 2048);
    guest_create(&a, 1, 32, 2);
    guest_create(&b, 2, 32, 2);
    b.d->roles = ROLE_CONTROL;
    machine_enter(b.v);
}

TestSuite(domain, .init = start);

#define event(g, name, arg) \
    guest_op((g)->v, __HYPERVISOR_event_channel_op, EVTCHNOP_##name, (arg), sizeof(*(arg)))

static void assert_ports_are_out_of_reach(domid_t id)
{
    struct evtchn_bind_interdomain bind = {.remote_dom = id, .remote_port = 1};
    assert_refused(&a, event(&a, bind_interdomain, &bind), EV_001);
    struct evtchn_alloc_unbound port = {.dom = id, .remote_dom = 1};
    assert_refused(&b, event(&b, alloc_unbound, &port), EV_001);
    struct evtchn_status status = {.dom = id, .port = 1};
    assert_refused(&b, event(&b, status, &status), EV_001);
    struct evtchn_reset reset = {.dom = id};
    assert_refused(&b, event(&b, reset, &reset), EV_001);
}

static void assert_out_of_reach(domid_t id)
{
    assert_ports_are_out_of_reach(id);
    struct sched_remote_shutdown end = {.domain_id = id, .reason = SHUTDOWN_poweroff};
    assert_refused(
        &b, guest_op(b.v, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &end, sizeof(end)),
        SC_007);
    domid_t number = id;
    assert_refused(&b,
                   guest_op(b.v, __HYPERVISOR_memory_op, XENMEM_current_reservation, &number,
                            sizeof(number)),
                   ME_002);
    struct gnttab_query_size size = {.dom = id};
    const uint64_t at = machine_put(0x3000, &size, sizeof(size)).va;
    assert_ok(hypercall(&b, grant_table_op, GNTTABOP_query_size, at, 1));
    machine_get(&size, 0x3000, sizeof(size));
    assert_eq_long(size.status, GNTST_bad_domain);
    mmu_update_t r = {guest_l1_entry(&b, 20), 0};
    assert_refused(&b,
                   hypercall(&b, mmu_update, machine_put(0x1000, &r, sizeof(r)).va, 1, 0, id),
                   PT_015);
    for (struct domain *d = domain_get_from(0), *next; d; d = next) {
        cr_assert(d->id != id, "domain_get_from() finds it");
        next = domain_get_from(d->id + 1u);
        domain_put(d);
    }
}

Test(domain, one_that_is_being_built_is_out_of_reach)
{
    struct domain *d = domain_create(7, "seven", 1);

    cr_assert(d);
    assert_out_of_reach(7);
    cr_assert(!d->shut_down, "and nothing has happened to it");
    cr_assert(!domain_create(7, "seven again", 1), "its number is taken");
    cr_assert(domain_get_owner(7) == d, "its frames have an owner");
    domain_put(d);

    domain_publish(d);
    domain_publish(d);
    struct evtchn_alloc_unbound port = {.dom = 7, .remote_dom = 1};
    assert_ok(event(&b, alloc_unbound, &port));
    assert_eq_long(port.port, 1);
    domain_destroy(d);
    world_check();
    cr_assert(!domain_get_owner(7));
}

static void stop(struct guest *g)
{
    domain_shutdown(g->d, SHUTDOWN_poweroff);
    for (unsigned cpu = machine.cpus; cpu-- > 0;) {
        machine_on_cpu(cpu);
        schedule();
    }
    machine_run_work();
}

static void look_again(void)
{
    machine_on_cpu(0);
    machine_advance(20000000);
    machine_run_work();
}

/* As for a CPU that is in the middle of a hypercall about it. */
Test(domain, what_a_reference_leads_to_stays)
{
    struct evtchn_alloc_unbound port = {.dom = 1, .remote_dom = 2};
    assert_ok(event(&b, alloc_unbound, &port));
    struct domain *d = domain_get(1);
    cr_assert(d == a.d);
    stop(&a);
    look_again();

    cr_assert(d->dying);
    assert_eq_long(d->tot_pages, 0);
    cr_assert(domain_get_owner(1) == d, "the number is not free while somebody has a reference");
    domain_put(d);
    cr_assert(!domain_get(1), "but nobody gets a new one");
    /* What hypercalls and interrupts that hold a reference look at. */
    cr_assert(d->shared && d->grants && d->evtchn);
    cr_assert(port_of(d, port.port));
    assert_eq_long(port_of(d, port.port)->state, ECS_FREE);
    evtchn_set_pending(d, port.port);
    virq_raise_global(d, VIRQ_DEBUG);
    assert_eq_long(evtchn_alloc_unbound(d, 2), -rule_text[RULE_EV_005].error);
    wallclock_set(5000000000ull);

    domain_put(d);
    look_again();
    cr_assert(!domain_get_owner(1));
    guest_destroy(&b);
    world_check_empty();
}

/* The first words of its shared_info that change while it is built. */
Test(domain, wall_clock_set_during_a_build_reaches_the_domain)
{
    struct domain *d = domain_create(7, "seven", 1);

    cr_assert(d);
    wallclock_set(1234567890123456789ull);
    domain_publish(d);
    assert_eq_long(d->shared->wc_sec, 1234567890);
    assert_eq_long(d->shared->wc_nsec, 123456789);
    assert_eq_long(d->shared->wc_version % 2, 0);
    assert_eq_long(a.d->shared->wc_sec, 1234567890);
    assert_eq_long(a.d->shared->wc_version % 2, 0);
    wallclock_set((1ull << 33) * 1000000000ull + 7);
    assert_eq_long(d->shared->wc_sec, 0);
    assert_eq_long(d->shared->wc_sec_hi, 2);
    assert_eq_long(d->shared->wc_nsec, 7);
    domain_destroy(d);
}
