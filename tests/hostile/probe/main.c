/*
 * The latency probe: a domain that sleeps, and says how late it was woken at worst.
 *
 * Whoever sleeps is behind in CPU time, so its timer takes the CPU from any running guest at once.
 * What delays it is the hypervisor: a stretch with interrupts off, or long work without a
 * preemption point.  With --icount a nanosecond is an instruction, so the longest delay is the
 * longest such stretch of anybody's, exactly; tests/hostile/run holds it against a bound.
 */
#include "attack.h"
#include "clock.h"
#include "console.h"
#include "event.h"
#include "guest.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

/* A newcomer is level with the others: it has to sleep to fall behind, and the vCPUs of an attacker begin meanwhile. */
#define WARM_UP_NS 60000000

void guest_main(void)
{
    struct chance c = chance_of(0);
    uint64_t worst = 0, worst_at = 0;
    unsigned count = 0;
    evtchn_port_t timer;

    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_bind_virq(VIRQ_TIMER, 0, &timer);
    event_unmask_bit(timer);
    attack_nap(WARM_UP_NS);
    event_disable();
    while (attack_goes_on()) {
        const uint64_t due = clock_ns() + 100000 + chance_below(&c, 400000);
        hypercall_set_timer_op(due);
        count++;
        while (event_count(timer) < count) {
            hypercall_sched_op(SCHEDOP_block, NULL);
            event_disable(); /* an upcall between look and block would be slept through */
        }
        const uint64_t late = clock_ns() - due;
        if (late > worst) {
            worst = late;
            worst_at = due;
        }
    }
    console_printf("probe: latest by %lu ns, at %lu us, in %u rounds\n", worst, worst_at / 1000,
                   count);
}
