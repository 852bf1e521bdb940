/*
 * Question: do timers fire once per request, no earlier than asked, and never
 * trip over odd times?
 *
 * A PV guest has a one-shot timer per vCPU (set_timer_op is its older door),
 * a periodic one that ticks from boot on, and a clock.  All arrive as VIRQ_TIMER.
 * The clock is read through TSC and a scale that the hypervisor publishes; it
 * must not go backwards.
 */
#include "guest.h"
#include "clock.h"
#include "event.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

COVERS_CALL(set_timer_op);
COVERS(vcpu_op, VCPUOP_set_periodic_timer);
COVERS(vcpu_op, VCPUOP_stop_periodic_timer);
COVERS(vcpu_op, VCPUOP_set_singleshot_timer);
COVERS(vcpu_op, VCPUOP_stop_singleshot_timer);

#define MS 1000000ul

static evtchn_port_t timer;

/* Wait for VIRQ_TIMER, at most until @deadline; true if it came. */
static bool wait_timer(uint64_t deadline)
{
    struct sched_poll arg = {.ports = {&timer}, .nr_ports = 1, .timeout = deadline};

    hypercall_sched_op(SCHEDOP_poll, &arg);
    bool came = event_pending(timer);
    event_clear(timer);
    return came;
}

static long singleshot(uint64_t ns, uint32_t flags)
{
    struct vcpu_set_singleshot_timer arg = {.timeout_abs_ns = ns, .flags = flags};
    return hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, &arg);
}

static void test_clock(void)
{
    uint64_t last = clock_ns(), backwards = 0;

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t now = clock_ns();
        backwards += now < last;
        last = now;
    }
    tap_is(backwards, 0, "the clock does not go backwards");
    const volatile struct vcpu_time_info *t = &event_vcpu_info(0)->time;
    tap_ok(t->system_time <= clock_ns(), "the published time is in the past");
    tap_ok(t->tsc_to_system_mul >> 31, "the scale is normalised");
}

/*
 * The record in vcpu_time_info is a point of the clock, from which the guest reckons on by the TSC.
 * Some guests do not reckon: they read system_time as it stands, to the second.  So the point moves
 * on, also while a vCPU spins and never enters the hypervisor, and while it sleeps.
 */
static void test_published(void)
{
    const volatile struct vcpu_time_info *t = &event_vcpu_info(0)->time;
    uint64_t last = clock_ns(), backwards = 0, odd = 0;
    unsigned moved = 0;

    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    uint64_t published = t->system_time, version = t->version, deadline = last + 20000 * MS;
    while (moved < 4 && last < deadline) {
        uint64_t now = clock_ns();
        backwards += now < last;
        last = now;
        if (t->system_time == published)
            continue;
        moved += t->system_time > published;
        odd += t->version == version || (t->version & 1);
        published = t->system_time;
        version = t->version;
    }
    tap_is(moved, 4, "the published time moves on four times within 20 s without a hypercall");
    tap_is(backwards, 0, "the clock does not go backwards when it does");
    tap_is(odd, 0, "each time with another version, an even one");
    tap_ok(t->system_time <= clock_ns(), "and is in the past");

    uint64_t asleep = clock_ns();
    hypercall_set_timer_op(asleep + 3000 * MS);
    wait_timer(asleep + 10000 * MS);
    tap_ok(t->system_time > asleep,
           "after 3 s of sleep, the published time is later than when it began");
}

static long set_old(uint64_t due)
{
    return hypercall_set_timer_op(due);
}

static long cancel_old(void)
{
    return hypercall_set_timer_op(0);
}

static long set_singleshot(uint64_t due)
{
    return singleshot(due, 0);
}

static long stop_singleshot(void)
{
    return hypercall_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL);
}

/*
 * Set a timer and cancel it before it is due; *@came: whether it came all the same.  Where the
 * processor was away until it was due, nothing has been learnt: again, with more time.
 */
static long cancelled(long (*set)(uint64_t due), long (*cancel)(void), bool *came)
{
    long rc;

    for (uint64_t ahead = 50 * MS;; ahead *= 2) {
        uint64_t due = clock_ns() + ahead;
        rc = set(due) | cancel();
        if (clock_ns() < due) {
            *came = wait_timer(due + 10 * MS);
            return rc;
        }
        event_clear(timer);
    }
}

static void test_one_shot(void)
{
    uint64_t start = clock_ns();

    /* Printing takes its time: nothing is printed between setting a timer and
     * looking whether it has not come yet. */
    long rc = hypercall_set_timer_op(start + 1000 * MS);
    bool early = event_pending(timer) && clock_ns() < start + 1000 * MS;
    tap_is(rc, 0, "set_timer_op: in 1 s");
    tap_ok(!early, "set_timer_op: not yet");
    hypercall_set_timer_op(0);
    event_clear(timer);
    start = clock_ns();
    tap_is(hypercall_set_timer_op(start + 3 * MS), 0, "set_timer_op: in 3 ms");
    tap_ok(wait_timer(start + 2000 * MS), "set_timer_op: it came");
    tap_ok(clock_ns() >= start + 3 * MS, "set_timer_op: not early");
    tap_ok(!wait_timer(clock_ns() + 5 * MS), "set_timer_op: once");

    bool came;
    rc = cancelled(set_old, cancel_old, &came);
    tap_is(rc, 0, "set_timer_op: 0 cancels");
    tap_ok(!came, "set_timer_op: it does not come");
    tap_is(hypercall_set_timer_op(clock_ns() + 1000000 * MS), 0, "set_timer_op: far");
    tap_is(hypercall_set_timer_op(clock_ns() + 2 * MS), 0, "set_timer_op: near instead");
    tap_ok(wait_timer(clock_ns() + 2000 * MS), "set_timer_op: the near one came");
    tap_is(hypercall_set_timer_op(1), 0, "set_timer_op: in the past");
    tap_ok(wait_timer(clock_ns() + 2000 * MS), "set_timer_op: comes at once");
    tap_is(hypercall_set_timer_op(~0ul), 0, "set_timer_op: ~0 is accepted");
    wait_timer(clock_ns() + 200 * MS);
    tap_is(hypercall_set_timer_op(1ul << 63), 0, "set_timer_op: 2^63 is accepted");
    wait_timer(clock_ns() + 200 * MS);
    hypercall_set_timer_op(0);

    start = clock_ns();
    tap_is(singleshot(start + 3 * MS, 0), 0, "singleshot: in 3 ms");
    tap_ok(wait_timer(start + 2000 * MS), "singleshot: it came");
    tap_ok(clock_ns() >= start + 3 * MS, "singleshot: not early");
    tap_is(singleshot(1, 0), 0, "singleshot: in the past");
    tap_ok(wait_timer(clock_ns() + 2000 * MS), "singleshot: comes at once");
    tap_is(singleshot(1, VCPU_SSHOTTMR_future), 0,
           "singleshot: the flag that asks for the future may be ignored");
    tap_ok(wait_timer(clock_ns() + 2000 * MS), "singleshot: and is");
    rc = cancelled(set_singleshot, stop_singleshot, &came);
    tap_is(rc, 0, "singleshot: stop");
    tap_ok(!came, "singleshot: it does not come");
    tap_is(hypercall_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0, "singleshot: stop twice");
    tap_is(hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, (void *)0x1000), -XEN_EFAULT,
           "singleshot: an unmapped argument");
}

/* A blocked vCPU gets no ticks, so wait for one awake. */
static bool wait_tick(void)
{
    uint64_t deadline = clock_ns() + 2000 * MS;

    while (!event_pending(timer) && clock_ns() < deadline)
        ;
    bool came = event_pending(timer);
    event_clear(timer);
    return came;
}

static void test_periodic(void)
{
    struct vcpu_set_periodic_timer arg = {.period_ns = 2 * MS};

    uint64_t start = clock_ns(); /* before: a slow console may eat the first tick */
    tap_is(hypercall_vcpu_op(VCPUOP_set_periodic_timer, 0, &arg), 0, "periodic: 2 ms");
    unsigned ticks = 0;
    while (ticks < 5 && wait_tick())
        ticks++;
    tap_is(ticks, 5, "periodic: five ticks came");
    tap_ok(clock_ns() - start >= 8 * MS, "periodic: not early");
    tap_is(hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0, "periodic: stop");
    event_clear(timer);
    tap_ok(!wait_timer(clock_ns() + 10 * MS), "periodic: no tick after that");
    tap_is(hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0, "periodic: stop twice");
    arg.period_ns = 1000;
    tap_is(hypercall_vcpu_op(VCPUOP_set_periodic_timer, 0, &arg), -XEN_EINVAL, "periodic: 1 us");
    arg.period_ns = (1ul << 62) - 1;
    tap_is(hypercall_vcpu_op(VCPUOP_set_periodic_timer, 0, &arg), 0, "periodic: 2^62 - 1 ns");
    arg.period_ns = 1ul << 62;
    tap_is(hypercall_vcpu_op(VCPUOP_set_periodic_timer, 0, &arg), -XEN_EINVAL, "periodic: 2^62 ns");
    arg.period_ns = ~0ul;
    tap_is(hypercall_vcpu_op(VCPUOP_set_periodic_timer, 0, &arg), -XEN_EINVAL, "periodic: ~0");
    tap_is(hypercall_vcpu_op(VCPUOP_set_periodic_timer, 0, (void *)0x1000), -XEN_EFAULT,
           "periodic: an unmapped argument");
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
}

void guest_main(void)
{
    event_bind_virq(VIRQ_TIMER, 0, &timer);
    tap_ok(wait_tick(), "the periodic timer ticks from boot on");
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_clear(timer);
    test_clock();
    test_one_shot();
    test_periodic();
    test_published();
}
