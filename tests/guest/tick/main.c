/*
 * A guest that sleeps and wakes: count=N ticks, one every period=MS (default 50
 * of 10).  It says how it goes every tenth and at the end how late ticks came, so
 * that a test can watch a neighbour.
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
    unsigned long count = guest_option("count", 50), period = guest_option("period", 10) * 1000000;
    uint64_t start = clock_ns(), worst = 0;
    evtchn_port_t timer;

    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_bind_virq(VIRQ_TIMER, 0, &timer);
    event_unmask_bit(timer);
    for (unsigned long i = 1; i <= count; i++) {
        uint64_t due = start + i * period;
        hypercall_set_timer_op(due);
        while (event_count(timer) < i)
            hypercall_sched_op(SCHEDOP_block, NULL);
        event_disable();
        uint64_t late = clock_ns() - due;
        if (late > worst)
            worst = late;
        if (i % 10 == 0)
            console_printf("tick: %lu of %lu\n", i, count);
    }
    console_printf("tick: done, latest by %lu us\n", worst / 1000);
}
