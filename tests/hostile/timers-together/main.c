/*
 * Wants: the neighbours' time, by timers of many vCPUs of several domains that are due together.
 *
 * 768 vCPUs in twelve domains set their timers to the same moment, again and again, and go to sleep in polls, for a port that never
 * is pending: each timer's event asks all sleepers of its domain.  All are served before a neighbour's timer that is due a
 * moment later.
 *
 * Fails: of each domain's timers that are due together one is served, and a few more of all domains in each slice of time; nothing is done for the
 * others meanwhile.  So another's timer never has many in front of it.
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

#define PERIOD 6000000ul
#define APART  20000ul /* between the moments at which two vCPUs wake */

static evtchn_port_t port[64], never;

static void set_together(unsigned vcpu)
{
    evtchn_port_t list[1] = {never};

    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL);
    for (;;) {
        const uint64_t due = (clock_ns() / PERIOD + 1) * PERIOD;
        struct sched_poll p = {.nr_ports = 1, .timeout = due + PERIOD / 3 + vcpu * APART};

        set_xen_guest_handle(p.ports, list);
        event_clear(port[vcpu]);
        hypercall_set_timer_op(due);
        hypercall_sched_op(SCHEDOP_poll, &p);
        if (vcpu == 0 && !attack_goes_on())
            guest_shutdown(SHUTDOWN_poweroff);
    }
}

void guest_main(void)
{
    const unsigned count = guest_option("vcpus", ATTACK_LEGACY);

    attack_begin("timers-together");
    for (unsigned i = 0; i < count; i++) {
        if (event_bind_virq(VIRQ_TIMER, i, &port[i]))
            tap_bail_out("vCPU %u has no timer", i);
        event_mask(port[i]);
    }
    event_alloc_unbound(DOMID_SELF, &never);
    attack_vcpu_infos(count);
    attack_vcpus(count, set_together);
    set_together(0);
}
