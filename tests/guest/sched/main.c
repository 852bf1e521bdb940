/*
 * Question: does sched_op wait for exactly what it was told to wait for?
 *
 * Block opens upcalls and sleeps in one step, so an event that came just before is
 * not slept through.  Poll waits for ports whether or not they are masked, or
 * for a time; a bad port is an error, not an endless sleep (XSA-221 was a read
 * beyond the table).  Waits here are bounded by timers the guest sets itself.
 */
#include "guest.h"
#include "clock.h"
#include "event.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

COVERS_CALL(sched_op);
COVERS(sched_op, SCHEDOP_yield);
COVERS(sched_op, SCHEDOP_block);
COVERS(sched_op, SCHEDOP_poll);
COVERS(sched_op, SCHEDOP_shutdown);
COVERS(sched_op, SCHEDOP_shutdown_code);
COVERS(sched_op, SCHEDOP_remote_shutdown);
COVERS(sched_op, SCHEDOP_watchdog);
COVERS(sched_op, SCHEDOP_pin_override);

#define MS 1000000ul

static evtchn_port_t timer, ipi;

static long poll(evtchn_port_t *ports, unsigned n, uint64_t timeout)
{
    struct sched_poll arg = {.ports = {ports}, .nr_ports = n, .timeout = timeout};
    return hypercall_sched_op(SCHEDOP_poll, &arg);
}

static void test_block(void)
{
    volatile vcpu_info_t *info = event_vcpu_info(0);

    event_disable();
    event_send(ipi);
    unsigned n = event_count(ipi);
    tap_is(hypercall_sched_op(SCHEDOP_block, NULL), 0, "block with an event pending returns");
    tap_is(event_count(ipi) - n, 1, "block delivered it");
    tap_is(info->evtchn_upcall_mask, 0, "block unmasked upcalls");

    event_disable();
    n = event_count(timer);
    uint64_t start = clock_ns();
    hypercall_set_timer_op(start + 5 * MS);
    tap_is(hypercall_sched_op(SCHEDOP_block, NULL), 0, "block until a timer");
    tap_is(event_count(timer) - n, 1, "the timer's event came");
    tap_ok(clock_ns() - start >= 5 * MS, "no earlier than asked");
    event_disable();
}

static void test_poll(void)
{
    evtchn_port_t ports[2] = {ipi, timer};
    uint64_t start;

    event_mask(ipi), event_mask(timer);
    event_send(ipi);
    tap_is(poll(ports, 1, 0), 0, "poll: a pending port, masked");
    tap_ok(event_pending(ipi), "poll: it is still pending");
    tap_is(poll(ports, 2, 0), 0, "poll: one of two is pending");
    event_clear(ipi);

    start = clock_ns();
    tap_is(poll(ports, 1, start + 3 * MS), 0, "poll: a timeout");
    tap_ok(clock_ns() - start >= 3 * MS, "poll: no earlier than asked");
    tap_is(poll(ports, 1, 1), 0, "poll: a timeout in the past");
    tap_is(poll(NULL, 0, clock_ns() + MS), 0, "poll: no ports, a timeout");
    event_clear(timer);
    hypercall_set_timer_op(clock_ns() + 2 * MS);
    tap_is(poll(ports, 2, 0), 0, "poll: for ever, until a timer's masked port");
    tap_ok(event_pending(timer), "poll: it is pending");
    event_clear(timer);

    event_vcpu_info(0)->evtchn_upcall_mask = 1;
    event_unmask_bit(timer);
    hypercall_set_timer_op(clock_ns() + 2 * MS);
    tap_is(poll(ports, 2, 0), 0, "poll: for ever, until a timer's port, upcalls off");
    event_clear(timer);
    event_mask(timer);
    event_vcpu_info(0)->evtchn_upcall_pending = 0;
}

static void test_poll_errors(void)
{
    evtchn_port_t bad[3] = {ipi, ~0u, 0};
    evtchn_port_t far[1] = {4096};

    tap_is(poll(bad, 2, clock_ns() + MS), -XEN_EINVAL, "poll: port ~0");
    tap_is(poll(far, 1, clock_ns() + MS), -XEN_EINVAL, "poll: port 4096");
    tap_is(poll(bad, 129, clock_ns() + MS), -XEN_EINVAL, "poll: 129 ports");
    tap_is(poll(bad, ~0u, clock_ns() + MS), -XEN_EINVAL, "poll: ~0 ports");
    tap_is(poll((void *)0x1000, 1, clock_ns() + MS), -XEN_EFAULT, "poll: an unmapped list");
    tap_is(poll((void *)0xffff830000000000, 1, clock_ns() + MS), -XEN_EFAULT,
           "poll: a list of the hypervisor's");
    tap_is(hypercall_sched_op(SCHEDOP_poll, (void *)0x1000), -XEN_EFAULT,
           "poll: an unmapped argument");
}

static void test_others(void)
{
    struct sched_shutdown code = {.reason = SHUTDOWN_poweroff};
    struct sched_remote_shutdown remote = {.domain_id = 77, .reason = SHUTDOWN_crash};
    struct sched_watchdog dog = {.id = 0, .timeout = 1000};
    struct sched_pin_override pin = {.pcpu = 1000};

    tap_is(hypercall_sched_op(SCHEDOP_yield, NULL), 0, "yield");
    tap_is(hypercall_sched_op(8, NULL), -XEN_ENOSYS, "no operation 8");
    tap_is(hypercall_sched_op(~0, NULL), -XEN_ENOSYS, "no operation ~0");
    tap_is(hypercall_sched_op(SCHEDOP_shutdown, (void *)0x1000), -XEN_EFAULT,
           "shutdown: an unmapped argument");
    tap_is(hypercall_sched_op(SCHEDOP_shutdown_code, &code), 0, "shutdown_code");
    tap_is(hypercall_sched_op(SCHEDOP_shutdown_code, (void *)0x1000), -XEN_EFAULT,
           "shutdown_code: an unmapped argument");
    tap_is(hypercall_sched_op(SCHEDOP_remote_shutdown, &remote), guest_role(-XEN_ESRCH),
           "remote_shutdown: no such domain");
    tap_is(hypercall_sched_op(SCHEDOP_remote_shutdown, (void *)0x1000), -XEN_EFAULT,
           "remote_shutdown: an unmapped argument");

    tap_is(hypercall_sched_op(SCHEDOP_watchdog, &dog), 1, "watchdog: the first has id 1");
    dog.id = 1;
    tap_is(hypercall_sched_op(SCHEDOP_watchdog, &dog), 0, "watchdog: poke it");
    dog.timeout = 0;
    tap_is(hypercall_sched_op(SCHEDOP_watchdog, &dog), 0, "watchdog: destroy it");
    tap_is(hypercall_sched_op(SCHEDOP_watchdog, &dog), -XEN_EINVAL, "watchdog: not twice");
    dog = (struct sched_watchdog){.timeout = 1000};
    tap_is(hypercall_sched_op(SCHEDOP_watchdog, &dog), 1, "watchdog: id 1 is free again");
    tap_is(hypercall_sched_op(SCHEDOP_watchdog, &dog), 2, "watchdog: the second has id 2");
    /* Xen's result is 32 bits wide here. */
    tap_is((int)hypercall_sched_op(SCHEDOP_watchdog, &dog), -XEN_ENOSPC,
           "watchdog: there is no third");
    for (dog.timeout = 0, dog.id = 1; dog.id <= 2; dog.id++)
        hypercall_sched_op(SCHEDOP_watchdog, &dog);
    tap_is(hypercall_sched_op(SCHEDOP_watchdog, &dog), -XEN_EINVAL, "watchdog: no id 3");
    long rc = hypercall_sched_op(SCHEDOP_pin_override, &pin);
    tap_is(rc, guest_role(-XEN_EINVAL), "pin_override: a CPU that is not there");
}

void guest_main(void)
{
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_bind_virq(VIRQ_TIMER, 0, &timer);
    event_bind_ipi(0, &ipi);
    event_unmask_bit(timer), event_unmask_bit(ipi);
    test_block();
    test_poll();
    test_poll_errors();
    test_others();
}
