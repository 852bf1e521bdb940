/*
 * The scheduler's mechanism on the fake machine: several CPUs, vCPUs that spin, block, are paused,
 * capped and moved, timers that end slices.  Guests have no code here: "running" is being current
 * while time passes, and a CPU that was asked to reschedule does so at its next step, as it would
 * on its way back to the guest.
 */
#include "suite.h"
#include "runstate.h"
#include "sched.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

#define STEP 100000ull /* ns */

static struct guest guest[4];
static uint64_t got[4][32];

static void start(void)
{
    world_start(2, 2048);
}

static void finish(void)
{
    world_check();
}

TestSuite(sched, .init = start, .fini = finish);

static void add(unsigned i, unsigned vcpus, uint32_t weight, uint32_t cap)
{
    guest_create(&guest[i], (domid_t)(i + 1), 16, vcpus);
    guest[i].d->weight = weight;
    guest[i].d->cap = cap;
    for_each_vcpu(guest[i].d, v) { /* these are looked at when a vCPU wakes up or is picked */
        vcpu_pause(v, PAUSE_WAITING);
        machine_on_cpu(v->cpu);
        schedule();
        vcpu_unpause(v, PAUSE_WAITING);
    }
}

/* What a CPU does between two steps: leave if it was asked to. */
static void way_out(unsigned cpu)
{
    machine_on_cpu(cpu);
    struct vcpu *v = current_vcpu();
    if (v->exit_work & EXIT_RUNSTATE) {
        v->exit_work &= ~EXIT_RUNSTATE;
        vcpu_publish_areas(v);
    }
    if (v->is_idle)
        machine_look_for_work(cpu);
    else if (v->exit_work & EXIT_RESCHEDULE || v->pause)
        schedule();
}

static void run_for(uint64_t ns)
{
    for (uint64_t t = 0; t < ns; t += STEP) {
        for (unsigned cpu = 0; cpu < machine.cpus; cpu++)
            way_out(cpu);
        for (unsigned cpu = 0; cpu < machine.cpus; cpu++) {
            const struct vcpu *v = machine.cpu[cpu].current;
            if (v->is_idle)
                continue;
            ASSERT(v->domain->id - 1u < 4);
            got[v->domain->id - 1][v->id] += STEP;
        }
        machine_advance(STEP);
    }
}

static void assert_share(unsigned i, unsigned vcpu, uint64_t ns, double share)
{
    double have = (double)got[i][vcpu] / (double)ns;
    cr_assert(have > share - 0.02 && have < share + 0.02, "d%uv%u got %.3f, should be %.3f", i + 1,
              vcpu, have, share);
}

Test(sched, one_cpu_is_shared_by_weight)
{
    for (unsigned i = 0; i < 3; i++)
        add(i, 1, 128u << i, 0);
    memset(got, 0, sizeof(got));
    run_for(3000000000ull);
    for (unsigned i = 0; i < 3; i++)
        assert_share(i, 0, 3000000000ull, (1 << i) / 7.0);
}

/* How often is CPU 0's timer programmed anew in @ns? */
static unsigned programmed_in(uint64_t ns)
{
    unsigned changes = 0;
    uint64_t last = machine.cpu[0].deadline;
    for (uint64_t t = 0; t < ns; t += STEP) {
        run_for(STEP);
        changes += machine.cpu[0].deadline != last;
        last = machine.cpu[0].deadline;
    }
    return changes;
}

Test(sched, alone_there_are_no_slices)
{
    add(0, 1, 256, 0);
    run_for(100000000);
    cr_assert(programmed_in(10000000000ull) <= 10000000000ull / TIMER_ALARM + 1,
              "the alarm is all that interrupts it");
    cr_assert(machine.cpu[0].current == guest[0].v);
}

/* system_time is never older than a second to a vCPU that runs, whatever ran before. */
Test(sched, published_time_follows)
{
    add(0, 1, 256, 0);
    add(1, 1, 256, 0);
    struct vcpu *v = guest[0].v;
    for (unsigned i = 0; i < 400; i++) {
        run_for(machine.now % 7 * 10000000 + 10000000); /* turns of 10 to 70 ms */
        if (machine.cpu[0].current != v)
            continue;
        cr_assert(machine.now - v->time_published <= 1000000000ull, "%lu ns old",
                  (unsigned long)(machine.now - v->time_published));
    }
    cr_assert(v->time_published > 1000000000ull);
}

/* One interrupt after it fell asleep, and then none. */
Test(sched, an_idle_cpu_has_no_alarm)
{
    machine_on_cpu(1);
    cr_assert(current_vcpu()->is_idle);
    timer_alarm_begin();
    assert_eq_long(machine.cpu[1].deadline, machine.now + TIMER_ALARM);
    machine_advance(TIMER_ALARM);
    assert_eq_long(machine.cpu[1].deadline, ~0ull);
}

Test(sched, free_vcpus_spread_over_the_cpus)
{
    for (unsigned i = 0; i < 4; i++) {
        add(i, 1, 256, 0);
        vcpu_set_affinity(guest[i].v, ~0ull);
    }
    run_for(100000000);
    memset(got, 0, sizeof(got));
    run_for(2000000000ull);
    uint64_t all = 0;
    for (unsigned i = 0; i < 4; i++)
        all += got[i][0];
    cr_assert(all > 3960000000ull, "two CPUs did %lu ms of work in 2 s",
              (unsigned long)(all / 1000000));
}

Test(sched, blocked_vcpu_takes_nothing_and_wakes)
{
    add(0, 1, 256, 0);
    add(1, 1, 256, 0);
    assert_ok(vcpu_hypercall(guest[0].v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0));
    memset(got, 0, sizeof(got));
    run_for(100000000);
    assert_eq_long(got[0][0], 0);
    assert_eq_long(guest[0].v->runstate, RUNSTATE_blocked);
    machine_on_cpu(1);
    guest[0].v->info->evtchn_upcall_pending = 1;
    vcpu_kick(guest[0].v);
    run_for(5000000);
    cr_assert(got[0][0] > 0);
    assert_eq_long(got[0][0] + got[1][0], 105000000);
}

/* Another CPU may send it when the vCPU has entered the hypervisor and has not announced its sleep. */
Test(sched, nmi_that_came_before_is_not_slept_through)
{
    struct sched_poll poll = {.timeout = 0};

    add(0, 1, 256, 0);
    assert_ok(vcpu_hypercall(guest[0].v, __HYPERVISOR_vcpu_op, VCPUOP_send_nmi, 0, 0, 0));
    assert_ok(vcpu_hypercall(guest[0].v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0));
    cr_assert(!(guest[0].v->pause & PAUSE_BLOCKED), "it blocks");
    assert_ok(guest_op(guest[0].v, __HYPERVISOR_sched_op, SCHEDOP_poll, &poll, sizeof(poll)));
    cr_assert(!(guest[0].v->pause & PAUSE_POLLING), "it polls");
}

Test(sched, timeout_ends_a_poll)
{
    struct sched_poll poll = {.timeout = 0};
    add(0, 1, 256, 0);
    poll.timeout = machine.now + 50000000;
    assert_ok(guest_op(guest[0].v, __HYPERVISOR_sched_op, SCHEDOP_poll, &poll, sizeof(poll)));
    /* Without stacks the call has returned at once; what counts is when the vCPU may run again. The
     * call has also stopped the timer on its way out, so arm it as a sleeping vCPU would have left
     * it. */
    cr_assert(guest[0].v->pause & PAUSE_POLLING);
    timer_set(&guest[0].v->poll_timer, poll.timeout);
    memset(got, 0, sizeof(got));
    run_for(40000000);
    assert_eq_long(got[0][0], 0);
    run_for(20000000);
    cr_assert(got[0][0] > 5000000);
}

Test(sched, pause_holds_until_every_reason_is_gone)
{
    add(0, 1, 256, 0);
    vcpu_pause(guest[0].v, PAUSE_WAITING);
    vcpu_pause(guest[0].v, PAUSE_DOWN);
    memset(got, 0, sizeof(got));
    run_for(10000000);
    assert_eq_long(got[0][0], 0);
    vcpu_unpause(guest[0].v, PAUSE_WAITING);
    run_for(10000000);
    assert_eq_long(got[0][0], 0);
    vcpu_unpause(guest[0].v, PAUSE_DOWN);
    run_for(10000000);
    assert_eq_long(got[0][0], 10000000);
}

Test(sched, synchronous_pause_waits_for_the_other_cpu)
{
    add(0, 2, 256, 0);
    add(1, 1, 256, 0);
    struct vcpu *other = guest[0].d->vcpu[1];
    run_for(1000000);
    cr_assert(machine.cpu[1].current == other);
    machine_enter(guest[1].v); /* CPU 0 */
    vcpu_pause_sync(other, PAUSE_WAITING);
    cr_assert(machine.cpu[1].current != other);
    cr_assert(!other->on_cpu);
    vcpu_unpause(other, PAUSE_WAITING);
}

Test(sched, caps_hold_while_the_machine_is_idle)
{
    add(0, 1, 256, 25);
    run_for(100000000);
    memset(got, 0, sizeof(got));
    run_for(2000000000ull);
    assert_share(0, 0, 2000000000ull, 0.25);
}

Test(sched, cap_covers_all_vcpus_of_a_domain)
{
    add(0, 2, 256, 60);
    run_for(100000000);
    memset(got, 0, sizeof(got));
    run_for(2000000000ull);
    double both = (double)(got[0][0] + got[0][1]) / 2000000000.0;
    cr_assert(both > 0.55 && both < 0.65, "%.3f of a CPU", both);
}

/* Whoever goes on first in a period uses all of it up, and it is not always the same. */
Test(sched, vcpus_of_a_capped_domain_take_turns)
{
    add(0, 1, 256, 0);
    add(1, 3, 256, 3);
    vcpu_set_affinity(guest[0].v, BIT(0));
    for_each_vcpu(guest[1].d, v)
        vcpu_set_affinity(v, BIT(0));
    run_for(3000000000ull);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(got[1][i] >= 3000000000ull / 200, "d2v%u got %lu us of 3 s", i,
                  (unsigned long)got[1][i] / 1000);
}

static void assert_turns(unsigned vcpus)
{
    const uint64_t ns = 6000000000ull, mean = ns / 100 * 3 / vcpus;

    add(0, 1, 256, 0);
    add(1, vcpus, 256, 3);
    vcpu_set_affinity(guest[0].v, BIT(0));
    for_each_vcpu(guest[1].d, v)
        vcpu_set_affinity(v, BIT(0));
    run_for(ns);
    for (unsigned i = 0; i < vcpus; i++)
        cr_assert(got[1][i] >= mean / 2, "d2v%u got %lu us of about %lu", i,
                  (unsigned long)got[1][i] / 1000, (unsigned long)mean / 1000);
}

/* More than go on at once: the start of a period moves by one all the same. */
Test(sched, nine_vcpus_of_a_capped_domain_take_turns)
{
    assert_turns(9);
}

Test(sched, thirty_vcpus_of_a_capped_domain_take_turns)
{
    assert_turns(30);
}

/* Who goes on because a period of its cap begins is not ahead of who runs, as one that has slept is. */
Test(sched, a_period_of_a_cap_begins_no_sleepers_turn)
{
    add(0, 1, 256, 0);
    add(1, 1, 256, 10);
    vcpu_set_affinity(guest[0].v, BIT(0));
    vcpu_set_affinity(guest[1].v, BIT(0));
    run_for(200000000);
    for (unsigned i = 0; i < 4; i++) {
        while (!(guest[1].v->pause & PAUSE_CAPPED))
            run_for(STEP);
        while (guest[1].v->pause & PAUSE_CAPPED)
            run_for(STEP);
        for (unsigned k = 0; k < SCHED_WAKE_MARGIN / STEP; k++) {
            cr_assert(machine.cpu[0].current == guest[0].v, "it runs after %u us", k * 100);
            run_for(STEP);
        }
    }
}

/* The others that still wait when one has used up the cap are stopped where they wait. */
Test(sched, nobody_begins_to_run_over_the_cap)
{
    unsigned over_steps = 0;

    add(0, 1, 256, 0);
    add(1, 3, 256, 3);
    const struct domain *d = guest[1].d;
    vcpu_set_affinity(guest[0].v, BIT(0));
    for_each_vcpu(guest[1].d, v)
        vcpu_set_affinity(v, BIT(0));
    run_for(200000000);
    for (unsigned i = 0; i < 3000; i++) {
        const struct vcpu *before = machine.cpu[0].current;
        run_for(STEP);
        const struct vcpu *after = machine.cpu[0].current;
        const bool over = !sched_cap_left(&d->sched_cap, d->cap);
        cr_assert(!over || after == before || after->domain != d, "d2v%u begins", after->id);
        over_steps += over;
    }
    cr_assert(over_steps > 1000);
}

Test(sched, periods_of_caps_begin_apart)
{
    for (unsigned i = 0; i < 4; i++)
        add(i, 1, 256, 10);
    run_for(200000000);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < i; k++) {
            const uint64_t apart = (guest[i].d->sched_cap.period_end + SCHED_CAP_PERIOD -
                                    guest[k].d->sched_cap.period_end % SCHED_CAP_PERIOD) %
                                   SCHED_CAP_PERIOD;
            cr_assert(apart > 5000000 && apart < SCHED_CAP_PERIOD - 5000000, "d%u and d%u: %lu us",
                      i + 1, k + 1, (unsigned long)apart / 1000);
        }
    }
}

/* What was done in its name is paid like what it did: it waits until its cap allows it again. */
Test(sched, work_in_a_domains_name_counts_for_its_cap)
{
    add(0, 1, 256, 0);
    add(1, 2, 256, 10);
    sched_domain_charge(guest[0].d, 1000000000); /* who has no cap owes nothing */
    cr_assert(!(guest[0].v->pause & PAUSE_CAPPED));
    sched_domain_charge(guest[1].d, 1000);
    cr_assert(!(guest[1].v->pause & PAUSE_CAPPED));
    sched_domain_charge(guest[1].d, SCHED_CAP_PERIOD / 2); /* five periods of its cap */
    for_each_vcpu(guest[1].d, v)
        cr_assert(v->pause & PAUSE_CAPPED);
    run_for(3 * SCHED_CAP_PERIOD);
    cr_assert(guest[1].v->pause & PAUSE_CAPPED);
    memset(got, 0, sizeof(got));
    run_for(10 * SCHED_CAP_PERIOD);
    cr_assert(got[1][0] + got[1][1] > 0, "it never runs again");
}

Test(sched, affinity_is_kept)
{
    add(0, 1, 256, 0);
    vcpu_set_affinity(guest[0].v, BIT(1));
    run_for(20000000);
    assert_eq_long(guest[0].v->cpu, 1);
    memset(got, 0, sizeof(got));
    run_for(20000000);
    assert_eq_long(got[0][0], 20000000);
    cr_assert(machine.cpu[0].current->is_idle);
}

Test(sched, runstate_times_add_up)
{
    uint64_t before = machine.now;
    add(0, 1, 256, 0);
    add(1, 1, 256, 0);
    run_for(500000000);
    machine_enter(guest[0].v);
    struct vcpu *v = guest[1].v; /* not running: accounted to the last switch */
    uint64_t sum = machine.now - v->runstate_since;
    for (unsigned i = 0; i < 4; i++)
        sum += v->runstate_time[i];
    cr_assert(sum <= machine.now - before);
    cr_assert(sum >= 500000000);
    cr_assert(v->runstate_time[RUNSTATE_running] > 200000000);
}

Test(sched, work_is_done_by_the_idle_vcpu_beside_spinners)
{
    add(0, 1, 256, 0);
    add(1, 1, 256, 0);
    guest_destroy(&guest[1]); /* its teardown is work */
    memset(got, 0, sizeof(got));
    run_for(10000000);
    assert_eq_long(got[0][0], 10000000);
}

Test(sched, random_pauses_and_wakes_keep_the_queues_sound)
{
    struct random r = random_start(6);
    for (unsigned i = 0; i < 4; i++)
        add(i, 4, 64u << i, i == 3 ? 40 : 0);
    for (unsigned step = 0; step < soak(4000); step++) {
        struct vcpu *v = guest[random_below(&r, 4)].d->vcpu[random_below(&r, 4)];
        machine_on_cpu(random_below(&r, 2));
        switch (random_below(&r, 6)) {
        case 0:
            vcpu_pause(v, PAUSE_WAITING);
            break;
        case 1:
        case 2:
            vcpu_unpause(v, PAUSE_WAITING);
            break;
        case 3:
            vcpu_set_affinity(v, 1 + random_below(&r, 3));
            break;
        case 4:
            if (!current_vcpu()->is_idle)
                sched_yield();
            break;
        default:
            run_for(STEP * random_below(&r, 100));
        }
    }
    /* Everybody awake and free again: everybody runs. */
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 4; k++) {
            vcpu_unpause(guest[i].d->vcpu[k], PAUSE_WAITING);
            vcpu_set_affinity(guest[i].d->vcpu[k], ~0ull);
        }
    run_for(500000000);
    memset(got, 0, sizeof(got));
    run_for(3000000000ull);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 4; k++)
            cr_assert(got[i][k] > 0, "d%uv%u (CPU %u, pause %x) never runs", i + 1, k,
                      guest[i].d->vcpu[k]->cpu, guest[i].d->vcpu[k]->pause);
}
