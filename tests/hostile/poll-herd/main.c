/*
 * Wants: the neighbours' time, by one event that wakes all vCPUs of a domain.
 *
 * All vCPUs of a domain sleep in polls for one and the same port, that of vCPU 0's timer, and several domains' timers are due
 * together.  If each timer's handler put all pollers of its port into the run queue, 768 wake-ups would follow each other with
 * nobody else's turn between; and if each looked for its place among all who wait already, the second half of them would
 * be far dearer than the first (`poll-herds`: twice as many domains, half of them a moment later, into a long queue).
 *
 * Fails: a few of an event's pollers are woken at once, and the others a few at a time, by a timer of their domain's, in moments
 * that the domains share.  The run queue is a heap: its length does not matter to who is put into it.
 */
#include "attack.h"
#include "clock.h"
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define PERIOD 8000000ul

static evtchn_port_t port;
static unsigned long after; /* ns that this domain's timer is due behind the others' */

static void poll_together(unsigned vcpu)
{
    evtchn_port_t list[1] = {port};

    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL);
    for (;;) {
        struct sched_poll p = {.nr_ports = 1};

        set_xen_guest_handle(p.ports, list);
        event_clear(port);
        if (vcpu == 0) {
            if (!attack_goes_on())
                guest_shutdown(SHUTDOWN_poweroff);
            const uint64_t due = (clock_ns() / PERIOD + 1) * PERIOD + after;
            hypercall_set_timer_op(due);
            p.timeout = due + PERIOD; /* another vCPU may clear the port before this one sleeps */
        }
        hypercall_sched_op(SCHEDOP_poll, &p);
    }
}

void guest_main(void)
{
    const unsigned count = guest_option("vcpus", ATTACK_LEGACY);

    after = guest_option("after", 0);
    attack_begin("poll-herd");
    if (event_bind_virq(VIRQ_TIMER, 0, &port))
        tap_bail_out("no timer");
    event_mask(port);
    attack_vcpu_infos(count);
    attack_vcpus(count, poll_together);
    poll_together(0);
}
