/*
 * Wants: the neighbours' time, by sleeping together.
 *
 * Who has slept is behind the others, and goes first for a while, so that a guest that waits for its disk or a key is served at
 * once.  Sixteen vCPUs sleep until the same moment, again and again, and compute as soon as they wake: each as long as it is
 * let, and a neighbour that wakes a moment later stands behind all of them.
 *
 * Fails: a domain's vCPUs share the credit of one sleeper, so together they are ahead no longer than one; and whoever has slept
 * takes the CPU from one that is ahead of it by a tenth of a millisecond, not only in the moment in which it wakes.
 */
#include "attack.h"
#include "clock.h"
#include "guest.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define VCPUS  16
#define PERIOD 20000000ul /* ns */
#define WORK   3000000ul  /* ns of each, in each period */

static void sleep_and_work(unsigned vcpu)
{
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL);
    for (;;) {
        struct sched_poll p = {.timeout = (clock_ns() / PERIOD + 1) * PERIOD};
        hypercall_sched_op(SCHEDOP_poll, &p);
        attack_spin(WORK);
        if (vcpu == 0 && !attack_goes_on())
            guest_shutdown(SHUTDOWN_poweroff);
    }
}

void guest_main(void)
{
    attack_begin("sleepers");
    attack_vcpus(VCPUS, sleep_and_work);
    sleep_and_work(0);
}
