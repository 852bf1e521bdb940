/*
 * Domains and who can reach them: nobody finds one by its number before it is whole, and what a
 * reference leads to stays while anybody has one (rules R1 to R3 of core/domain/domain.c).
 */
/* The structures of domain 0's calls. */
#define __XEN_TOOLS__ 1

#include "suite.h"
#include "audit.h"
#include "builder.h"
#include "console.h"
#include "evtchn-port.h"
#include "grant-table.h"
#include "image.h"
#include "sched.h"
#include "verdict.h"
#include "wallclock.h"
#include "xenstore.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

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
    assert_refused(&a, event(&a, bind_interdomain, &bind), EVTCHN_DOMAIN_MISSING);
    struct evtchn_alloc_unbound port = {.dom = id, .remote_dom = 1};
    assert_refused(&b, event(&b, alloc_unbound, &port), EVTCHN_DOMAIN_MISSING);
    struct evtchn_status status = {.dom = id, .port = 1};
    assert_refused(&b, event(&b, status, &status), EVTCHN_DOMAIN_MISSING);
    struct evtchn_reset reset = {.dom = id};
    assert_refused(&b, event(&b, reset, &reset), EVTCHN_DOMAIN_MISSING);
}

static void assert_out_of_reach(domid_t id)
{
    assert_ports_are_out_of_reach(id);
    struct sched_remote_shutdown end = {.domain_id = id, .reason = SHUTDOWN_poweroff};
    assert_refused(&b,
                   guest_op(b.v, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &end, sizeof(end)),
                   SHUTDOWN_DOMAIN_MISSING);
    domid_t number = id;
    assert_refused(
        &b,
        guest_op(b.v, __HYPERVISOR_memory_op, XENMEM_current_reservation, &number, sizeof(number)),
        MEMORY_DOMAIN_MISSING);
    struct gnttab_query_size size = {.dom = id};
    const uint64_t at = machine_put(0x3000, &size, sizeof(size)).va;
    assert_ok(hypercall(&b, grant_table_op, GNTTABOP_query_size, at, 1));
    machine_get(&size, 0x3000, sizeof(size));
    assert_eq_long(size.status, GNTST_bad_domain);
    mmu_update_t r = {guest_l1_entry(&b, 20), 0};
    assert_refused(&b, hypercall(&b, mmu_update, machine_put(0x1000, &r, sizeof(r)).va, 1, 0, id),
                   FOREIGN_DOMAIN_MISSING);
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
    const uint64_t free = page_free_count();
    for (unsigned i = 0; i < 100; i++)
        cr_assert(!domain_create(7, "seven again", 1));
    assert_eq_long(page_free_count(), free); /* nor does trying cost anything */
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
    assert_eq_long(evtchn_alloc_unbound(d, 2), -rule_text[RULE_DOMAIN_DYING].error);
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

/* --- ends ------------------------------------------------------------------------------------- */

static struct domain_config config;

/* A machine with one domain that is built from a module, as at boot; no keeper. */
static struct domain *boot_one(void)
{
    static uint8_t kernel[0x8000];
    struct boot_error e = {0};
    struct domain *d;

    machine_start(1, 4096);
    config.kernel = (int)module_add(kernel, image_kernel(kernel, sizeof(kernel)), "");
    config.ramdisk = -1;
    config.id = 1;
    config.vcpus = 1;
    config.weight = 256;
    config.memory = config.max_memory = 2 << 20;
    string_copy(config.name, "only", sizeof(config.name));
    assert_ok(builder_build(&config, &d, &e));
    domain_start(d);
    machine_enter(d->vcpu[0]);
    machine_log_clear();
    return d;
}

static void work(void *unused)
{
    schedule();
    machine_run_work();
}

/* How the machine ends when @d shuts down with @reason: enum machine_end + 1, or 0. */
static int end(struct domain *d, uint8_t reason)
{
    domain_shutdown(d, reason);
    return machine_catch_end(work, NULL);
}

#define assert_says(text) cr_assert(machine_logged(text), "no \"%s\" in:\n%s", text, machine.log)

Test(ends, last_domain_takes_the_machine_along)
{
    struct domain *d = boot_one();

    assert_eq_long(end(d, SHUTDOWN_poweroff), MACHINE_POWEROFF + 1);
    assert_eq_long(machine.verdict, VERDICT_OK);
    assert_says("d1 shut down: poweroff");
    cr_assert(!domain_get_owner(1));
    cr_assert(!machine_logged("frames were lost"), "%s", machine.log);
}

Test(ends, reboot_builds_it_again_until_the_limit)
{
    config.on_reboot = END_RESTART;
    strcpy(hypervisor_cmdline, "reboot-limit=2 restart-delay=0 explain");
    struct domain *d = boot_one();

    for (unsigned i = 1; i <= 2; i++) {
        const uint64_t free = page_free_count();
        assert_eq_long(end(d, SHUTDOWN_reboot), 0);
        assert_says("d1 shut down: reboot");
        assert_says("d1 restarted");
        assert_eq_long(config.restarts, i);
        d = domain_get(1);
        cr_assert(d && !d->shut_down);
        domain_put(d);
        assert_eq_long(page_free_count(), free);
        machine_enter(d->vcpu[0]);
        machine_log_clear();
    }
    assert_eq_long(end(d, SHUTDOWN_reboot), MACHINE_POWEROFF + 1);
    cr_assert(!machine_logged("restarted"));
    cr_assert(!machine_logged("frames were lost"), "%s", machine.log);
}

Test(ends, restart_that_fails_is_said_and_is_a_crash)
{
    config.on_crash = END_RESTART;
    strcpy(hypervisor_cmdline, "restart-delay=0");
    struct domain *d = boot_one();

    config.memory = config.max_memory = 1ull << 40;
    assert_eq_long(end(d, SHUTDOWN_crash), MACHINE_POWEROFF + 1);
    assert_says("d1 shut down: crash");
    assert_says("cannot restart: IM-021 d1 (only): too little memory in the machine");
    assert_eq_long(machine.verdict, VERDICT_CRASH);
    cr_assert(!machine_logged("frames were lost"), "%s", machine.log);
}

/* A second domain that is alive, and grows as far as it can. */
static struct domain *greedy_one(void)
{
    static struct domain_config c;
    struct boot_error e = {0};
    struct domain *d;

    c = config;
    c.id = 2;
    c.memory = 2 << 20;
    c.max_memory = 1ull << 40;
    c.on_reboot = c.on_crash = END_DESTROY;
    assert_ok(builder_build(&c, &d, &e));
    domain_start(d);
    return d;
}

/* How many frames it got. */
static unsigned grow(struct domain *d)
{
    unsigned count = 0;

    while (page_free_count() > 256) {
        struct page_info *pg = page_prepare(d, 0, 256);
        if (!pg)
            break;
        page_assign(d, pg, 0);
        count++;
    }
    return count;
}

static void a_second_later(void)
{
    machine_advance(1000000000);
    assert_eq_long(machine_catch_end(work, NULL), 0);
}

/* While it waits for its next life nobody else gets the memory that it will need. */
Test(ends, nobody_waits_for_another_to_stop)
{
    struct domain *slow = boot_one(), *other = greedy_one();

    machine_enter(other->vcpu[0]);
    slow->vcpu[0]->unwinding = true; /* in the middle of a long operation, put aside for others */
    domain_shutdown(slow, SHUTDOWN_poweroff);
    assert_eq_long(end(other, SHUTDOWN_poweroff), 0);
    assert_says("d2 shut down");
    cr_assert(!machine_logged("d1 shut down"), "%s", machine.log);

    slow->vcpu[0]->unwinding = false;
    machine_advance(2000000);
    assert_eq_long(machine_catch_end(work, NULL), MACHINE_POWEROFF + 1);
    assert_says("d1 shut down");
}

Test(ends, memory_is_kept_for_a_restart)
{
    config.on_reboot = END_RESTART;
    strcpy(hypervisor_cmdline, "restart-delay=1000");
    struct domain *d = boot_one(), *greedy = greedy_one();

    grow(greedy);
    assert_eq_long(page_free_count(), 256);
    assert_eq_long(end(d, SHUTDOWN_reboot), 0);
    cr_assert(!domain_get_owner(1));
    assert_eq_long(config.promised, 512);
    cr_assert(grow(greedy) < 100); /* of the hypervisor's own structures for it */
    a_second_later();
    assert_says("d1 restarted");
    assert_eq_long(config.promised, 0);
    cr_assert(page_free_count() < 300);
}

/* Nor does what a guest makes the hypervisor allocate, to the last frame, while it lives and while it waits.  Its frames come back as
 * single ones, and the list of their extents is as long as it can be. */
Test(ends, structures_of_others_leave_what_a_restart_needs)
{
    config.on_reboot = END_RESTART;
    strcpy(hypervisor_cmdline, "restart-delay=1000");
    struct domain *d = boot_one(), *greedy = greedy_one();

    builder_keep(&config);
    cr_assert(config.overhead && config.overhead_promised == config.overhead);
    machine_enter(greedy->vcpu[0]);
    while (page_alloc(0))
        ;
    assert_eq_long(page_free_count(), config.overhead);
    machine_enter(d->vcpu[0]);
    assert_eq_long(end(d, SHUTDOWN_reboot), 0);
    machine_enter(greedy->vcpu[0]);
    while (page_alloc(0))
        ;
    cr_assert(page_free_count() >= 512 + config.overhead, "%lu", (unsigned long)page_free_count());
    /* What others would grow by. */
    cr_assert(!grant_table_grow(greedy, 2));
    struct evtchn_alloc_unbound port = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    while (!guest_op(greedy->vcpu[0], __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &port,
                     sizeof(port)))
        cr_assert(port.port < 4096);
    page_promise(
        1); /* as while a frame of its is on its way back: not even room in a slab is for others */
    for (unsigned size = 64; size <= 2048; size *= 2)
        cr_assert(!mem_alloc(size));
    page_promise_end(1);
    a_second_later();
    assert_says("d1 restarted");
}

/* It had given memory away, which another has got: it begins when there is some again.  Few lines say so. */
Test(ends, restart_is_tried_again)
{
    config.on_reboot = END_RESTART;
    strcpy(hypervisor_cmdline, "restart-delay=0");
    struct domain *d = boot_one(), *greedy = greedy_one();

    config.memory = config.max_memory = 8 << 20; /* it has 2 */
    grow(greedy);
    assert_eq_long(end(d, SHUTDOWN_reboot), 0);
    assert_says("cannot restart: IM-021 d1 (only): too little memory in the machine");
    for (unsigned i = 0; i < 9; i++)
        a_second_later();
    unsigned lines = 0;
    for (const char *at = machine.log; (at = strstr(at, "cannot restart")); at++)
        lines++;
    assert_eq_long(lines, 4); /* failures 1, 2, 4, 8 */
    assert_eq_long(config.failures, 10);
    assert_eq_long(config.promised, 512);
    assert_eq_long(end(greedy, SHUTDOWN_poweroff), 0);
    a_second_later();
    assert_says("d1 restarted, 1 so far");
    assert_eq_long(config.promised, 0);
}

/* Nobody is left who could give memory back. */
Test(ends, restart_is_not_tried_for_ever)
{
    config.on_reboot = END_RESTART;
    strcpy(hypervisor_cmdline, "restart-delay=0");
    struct domain *d = boot_one(), *other = greedy_one();

    config.memory = config.max_memory = 1ull << 40;
    assert_eq_long(end(d, SHUTDOWN_reboot), 0);
    assert_says("cannot restart");
    assert_eq_long(end(other, SHUTDOWN_poweroff), 0);
    machine_advance(1000000000);
    assert_eq_long(machine_catch_end(work, NULL), MACHINE_POWEROFF + 1);
    assert_eq_long(machine.verdict, VERDICT_CRASH);
}

/* What its configuration says, by the reason; a suspended one is kept, as there is nobody to resume it. */
Test(ends, preserved_domain_stays_and_the_machine_ends)
{
    static const uint8_t reasons[] = {SHUTDOWN_poweroff, SHUTDOWN_watchdog, SHUTDOWN_suspend, 99};
    struct domain *d;

    config.on_poweroff = config.on_watchdog = END_PRESERVE;
    d = boot_one();
    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
        d->shut_down = false;
        d->shutdown_code_set = false;
        config.on_reboot = END_DESTROY;
        assert_eq_long(end(d, reasons[i]), MACHINE_POWEROFF + 1);
        cr_assert(domain_get_owner(1) == d);
        domain_put(d);
        if (i + 1 < ARRAY_SIZE(reasons))
            domain_start(d); /* counts as alive again */
    }
    assert_says("d1 shut down: unknown");
}

static void end_initial(uint8_t reason, const char *words, int how, const char *says)
{
    config.initial = true;
    strcpy(hypervisor_cmdline, words);
    struct domain *d = boot_one();
    assert_eq_long(end(d, reason), how + 1);
    assert_says(says);
}

Test(ends, first_domain_off)
{
    end_initial(SHUTDOWN_poweroff, "", MACHINE_POWEROFF, "Hardware Dom1 halted: halting machine");
}

Test(ends, first_domain_crash)
{
    end_initial(SHUTDOWN_crash, "", MACHINE_POWEROFF, "Hardware Dom1 crashed: halting machine");
    assert_eq_long(machine.verdict, VERDICT_CRASH);
}

Test(ends, first_domain_reboot)
{
    end_initial(SHUTDOWN_reboot, "", MACHINE_REBOOT, "Hardware Dom1 shutdown: rebooting machine");
}

Test(ends, first_domain_reboot_that_is_not_wanted)
{
    end_initial(SHUTDOWN_reboot, "noreboot", MACHINE_HALT, "'noreboot' set - not rebooting.");
}

Test(ends, first_domain_watchdog)
{
    end_initial(SHUTDOWN_watchdog, "", MACHINE_REBOOT, "watchdog rebooting machine");
}

Test(ends, first_domain_suspend)
{
    end_initial(SHUTDOWN_suspend, "", MACHINE_REBOOT, "(suspend, reason 2): rebooting machine");
}

Test(ends, crash_is_told_once_with_its_rule)
{
    struct domain *d = boot_one();

    refuse_explains = true;
    domain_crash(d, RULE_EXCEPTION_WITHOUT_HANDLER, 1, 2, 3);
    domain_crash(d, RULE_EXCEPTION_WITHOUT_HANDLER, 1, 2, 3);
    assert_says("d1 crashed: CR-001 ");
    cr_assert(!strstr(strstr(machine.log, "crashed") + 1, "crashed"));
    assert_eq_long(d->vcpu[0]->arch.dumps, 1);
    assert_eq_long(machine_catch_end(work, NULL), MACHINE_POWEROFF + 1);
    assert_eq_long(machine.verdict, VERDICT_CRASH);
    assert_says("d1: 0 instructions emulated");
}

/* By the hypervisor, while another domain runs: its first vCPU is shown. */
Test(domain, crash_of_another_domain)
{
    domain_crash(a.d, RULE_EXCEPTION_WITHOUT_HANDLER, 0, 0, 0);
    assert_eq_long(a.d->vcpu[0]->arch.dumps, 1);
    assert_eq_long(b.d->vcpu[0]->arch.dumps, 0);
    assert_eq_long(a.d->shutdown_code, SHUTDOWN_crash);
}

Test(domain, refusals_are_explained_when_asked_for)
{
    struct evtchn_close o = {999};

    refuse_explains = true;
    machine_log_clear();
    (void)event(&b, close, &o);
    assert_says("d2v0 refused EV-014 event_channel_op: ");
}

/* --- watchdogs -------------------------------------------------------------------------------- */

static long watchdog(uint32_t id, uint32_t timeout)
{
    struct sched_watchdog o = {.id = id, .timeout = timeout};
    return guest_op(a.v, __HYPERVISOR_sched_op, SCHEDOP_watchdog, &o, sizeof(o));
}

Test(domain, watchdogs_bite)
{
    assert_refused(&a, watchdog(3, 1), WATCHDOG_MISSING);
    assert_refused(&a, watchdog(1, 1), WATCHDOG_NOT_STARTED);
    assert_eq_long(watchdog(0, 2), 1);
    assert_eq_long(watchdog(0, 3), 2);
    assert_refused(&a, watchdog(0, 4), WATCHDOGS_IN_USE);
    machine_advance(1900000000ull);
    assert_ok(watchdog(1, 2)); /* alive: two more seconds */
    machine_advance(1000000000ull);
    cr_assert(!a.d->shut_down);
    assert_ok(watchdog(2, 0)); /* and the second is called off */
    machine_advance(900000000ull);
    cr_assert(!a.d->shut_down);
    machine_log_clear();
    machine_advance(200000000ull);
    cr_assert(a.d->shut_down);
    assert_eq_long(a.d->shutdown_code, SHUTDOWN_watchdog);
    assert_says("d1: watchdog 1 fired");
}

Test(domain, second_watchdog_bites_once)
{
    assert_eq_long(watchdog(0, 9), 1);
    assert_eq_long(watchdog(0, 2), 2);
    machine_log_clear();
    machine_advance(2100000000ull);
    assert_says("d1: watchdog 2 fired");
    machine_log_clear();
    machine_advance(9000000000ull);
    cr_assert(!machine_logged("fired"), "it has shut down already");
}

/* --- pollers ---------------------------------------------------------------------------------- */

/* As SCHEDOP_poll leaves a vCPU that sleeps. */
static void asleep_on(struct vcpu *v, uint32_t port)
{
    v->poll_port = port;
    v->domain->pollers |= BIT(v->id);
    v->pause |= PAUSE_POLLING;
}

Test(domain, signal_wakes_those_who_poll_its_port)
{
    struct evtchn_alloc_unbound mine = {.dom = DOMID_SELF, .remote_dom = 2};
    assert_ok(event(&a, alloc_unbound, &mine));
    struct evtchn_bind_interdomain theirs = {.remote_dom = 1, .remote_port = mine.port};
    assert_ok(event(&b, bind_interdomain, &theirs));
    struct evtchn_send send = {theirs.local_port};
    ((uint64_t *)a.d->shared->evtchn_mask)[0] = ~0ull; /* masked ports can be polled */

    asleep_on(a.d->vcpu[0], mine.port + 1);
    asleep_on(a.d->vcpu[1], mine.port);
    assert_ok(event(&b, send, &send));
    cr_assert(a.d->vcpu[0]->pause & PAUSE_POLLING, "it polls another port");
    cr_assert(!(a.d->vcpu[1]->pause & PAUSE_POLLING));

    ((uint64_t *)a.d->shared->evtchn_pending)[0] = 0;
    asleep_on(a.d->vcpu[1], ~0u); /* on several */
    assert_ok(event(&b, send, &send));
    cr_assert(!(a.d->vcpu[1]->pause & PAUSE_POLLING));
    cr_assert(a.d->vcpu[0]->pause & PAUSE_POLLING);
}

/* --- the audit after every call --------------------------------------------------------------- */

Test(ends, recounts_are_counted_and_wait_for_tables)
{
    struct domain *d = boot_one();

    strcpy(hypervisor_cmdline, "audit-pause=10");
    audit_tell();
    cr_assert(!machine_logged("recounts"), "none yet");
    audit_always();
    audit_always(); /* too soon after the first */
    machine_advance(11000000);
    d->mmu.held = 1; /* a table is being changed */
    audit_always();
    d->mmu.held = 0;
    audit_tell();
    assert_says("audit: 1 recounts while domains ran");
    audit_always();
    audit_tell();
    assert_says("audit: 2 recounts while domains ran");
}

/* --- what only the control domain may ask ----------------------------------------------------- */

static long platform_op(struct guest *g, struct xen_platform_op *op)
{
    const uint64_t at = machine_put(0x3000, op, sizeof(*op)).va;
    return hypercall(g, platform_op, at);
}

Test(domain, platform_calls)
{
    struct xen_platform_op op = {.cmd = XENPF_settime64,
                                 .interface_version = XENPF_INTERFACE_VERSION};

    op.u.settime64 = (struct xenpf_settime64){.secs = 100, .nsecs = 7, .system_time = 5};
    assert_refused(&a, platform_op(&a, &op), ROLE_MISSING);
    assert_ok(platform_op(&b, &op));
    assert_eq_long(a.d->shared->wc_sec, 100);
    assert_eq_long(a.d->shared->wc_nsec, 2);
    op.u.settime64.mbz = 1;
    assert_refused(&b, platform_op(&b, &op), RESERVED_FIELD_SET);
    op.cmd = XENPF_settime32;
    op.u.settime32 = (struct xenpf_settime32){.secs = 9, .nsecs = 3};
    assert_ok(platform_op(&b, &op));
    assert_eq_long(b.d->shared->wc_sec, 9);
    op.cmd = XENPF_firmware_info;
    assert_refused(&b, platform_op(&b, &op), FIRMWARE_INFO_MISSING);
    op.cmd = 9999;
    assert_refused(&b, platform_op(&b, &op), CONTROL_OP_UNKNOWN);
    op.interface_version++;
    assert_refused(&b, platform_op(&b, &op), INTERFACE_VERSION_OTHER);
    assert_refused(&b, hypercall(&b, platform_op, 0x1000), ARGUMENT_UNREADABLE);

    static const unsigned number[] = {__HYPERVISOR_domctl, __HYPERVISOR_sysctl};
    static const uint32_t version[] = {0x15, 0x15};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t words[512] = {9999, version[i], b.d->id};
        const uint64_t at = machine_put(0x3000, words, sizeof(words)).va;
        assert_refused(&a, vcpu_hypercall(a.v, number[i], at, 0, 0, 0), ROLE_MISSING);
        assert_refused(&b, vcpu_hypercall(b.v, number[i], at, 0, 0, 0), CONTROL_OP_UNKNOWN);
        words[1]++;
        (void)machine_put(0x3000, words, sizeof(words));
        assert_refused(&b, vcpu_hypercall(b.v, number[i], at, 0, 0, 0), INTERFACE_VERSION_OTHER);
    }
}

/* --- dom0_mem= -------------------------------------------------------------------------------- */

static void start_all(void *unused)
{
    builder_start_all();
}

/* Frames of the first domain with these words, and the most that it may have. */
static void assert_memory(const char *words, uint64_t least, uint64_t most, uint64_t limit)
{
    static uint8_t kernel[0x8000];

    machine_start(1, 8192);
    (void)module_add(kernel, image_kernel(kernel, sizeof(kernel)), "");
    string_copy(hypervisor_cmdline, words, sizeof(hypervisor_cmdline));
    assert_eq_long(machine_catch_end(start_all, NULL), 0);
    struct domain *d = domain_get(0);
    cr_assert(d->tot_pages >= least && d->tot_pages <= most, "%u pages", d->tot_pages);
    cr_assert(!limit || d->max_pages == limit, "at most %u pages", d->max_pages);
    domain_put(d);
}

/* clang-format off */
Test(memory_words, plain) { assert_memory("dom0_mem=4M", 1024, 1024, 1024); }
Test(memory_words, with_a_limit) { assert_memory("dom0_mem=4M,max:8M", 1024, 1024, 2048); }
Test(memory_words, at_least) { assert_memory("dom0_mem=min:6M,4M", 1536, 1536, 1536); }
Test(memory_words, at_most) { assert_memory("dom0_mem=max:5M", 1280, 1280, 1280); }
Test(memory_words, all) { assert_memory("", 7000, 8000, 0); }
Test(memory_words, all_but) { assert_memory("dom0_mem=-8M", 4900, 6100, 0); }
Test(memory_words, all_but_more_than_all) { assert_memory("dom0_mem=-800M", 7000, 8000, 0); }
Test(memory_words, percent) { assert_memory("dom0_mem=50%", 3500, 4000, 0); }
Test(memory_words, size_and_percent) { assert_memory("dom0_mem=4M+25%", 2700, 3100, 0); }
/* clang-format on */

/* --- the store of another domain -------------------------------------------------------------- */

Test(domain, store_is_left_to_a_domain_that_serves_one)
{
    xenstore_left_to(2);
    const long port = xenstore_connect(a.d, guest_mfn(&a, 20), guest_mfn(&a, 21), 5);
    cr_assert(port > 0 && !a.d->store);
    struct evtchn_bind_interdomain bind = {.remote_dom = 1, .remote_port = (uint32_t)port};
    assert_ok(event(&b, bind_interdomain, &bind));
    const grant_entry_v1_t *e = a.d->grants->frame[0];
    assert_eq_long(e[GNTTAB_RESERVED_XENSTORE].domid, 2);
    assert_eq_long(e[GNTTAB_RESERVED_XENSTORE].frame, a.mfn[20]);
}

/* --- vCPUs that go down ----------------------------------------------------------------------- */

/* Two at the same time: each is down by the time it looks at the other. */
Test(domain, last_vcpu_that_goes_down_takes_the_domain_along)
{
    assert_ok(vcpu_hypercall(a.v, __HYPERVISOR_vcpu_op, VCPUOP_down, 1, 0, 0));
    cr_assert(a.d->vcpu[1]->pause & PAUSE_DOWN);
    cr_assert(!a.d->shut_down);
    assert_ok(vcpu_hypercall(a.v, __HYPERVISOR_vcpu_op, VCPUOP_down, 0, 0, 0));
    cr_assert(a.d->vcpu[0]->pause & PAUSE_DOWN, "before it looked whether it was the last");
    cr_assert(a.d->shut_down);
    assert_eq_long(a.d->shutdown_code, SHUTDOWN_poweroff);
}
