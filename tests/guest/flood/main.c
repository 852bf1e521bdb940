/*
 * A guest that is a nuisance to a scheduler: rate=N (default 10000) times a
 * second it blocks until a timer, and when it wakes it yields, unless told not to
 * (yield=0); busy=PERCENT (default 0) of the time between it computes, 100 is all of it.
 */
#include "guest.h"
#include "clock.h"
#include "console.h"
#include "event.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

void guest_main(void)
{
    const uint64_t period = 1000000000 / guest_option("rate", 10000);
    const uint64_t busy = period / 100 * guest_option("busy", 0);
    const unsigned long rounds = guest_option("rounds", ~0ul);
    const bool yields = guest_option("yield", 1);
    evtchn_port_t timer;

    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_bind_virq(VIRQ_TIMER, 0, &timer);
    event_unmask_bit(timer);
    console_printf("flood: every %lu ns\n", period);
    for (unsigned long i = 0; i < rounds; i++) {
        const uint64_t now = clock_ns();

        while (clock_ns() - now < busy)
            ;
        hypercall_set_timer_op(now + period);
        hypercall_sched_op(SCHEDOP_block, NULL);
        event_disable();
        if (yields)
            hypercall_sched_op(SCHEDOP_yield, NULL);
    }
}
