/*
 * A guest that ends in a chosen way; what becomes of it is for others to see.
 *
 *   way=N      SCHEDOP_shutdown with reason N (0 poweroff, 1 reboot, 2 suspend, 3 crash, 4
 * watchdog, 5 soft_reset, more: unknown) code=N     SCHEDOP_shutdown_code N before that, and
 * another one after it, which must not count watchdog=S let watchdog 1 of 3600 s run, and 2 of S s,
 * and never poke either down=1     the last vCPU goes down
 */
#include "console.h"
#include "guest.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define NO 0xffffu

static void watch(unsigned seconds)
{
    struct sched_watchdog dog = {.timeout = 3600};
    hypercall_sched_op(SCHEDOP_watchdog, &dog);
    dog = (struct sched_watchdog){.timeout = seconds};
    console_printf("end: watchdog %ld\n", hypercall_sched_op(SCHEDOP_watchdog, &dog));
    for (;;)
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

void guest_main(void)
{
    struct sched_shutdown code = {.reason = guest_option("code", NO)}, other = {.reason = 0};
    unsigned seconds = guest_option("watchdog", NO);

    console_printf("end: here\n");
    if (code.reason != NO) {
        console_printf("end: code %ld\n", hypercall_sched_op(SCHEDOP_shutdown_code, &code));
        hypercall_sched_op(SCHEDOP_shutdown_code, &other);
    }
    if (seconds != NO)
        watch(seconds);
    if (guest_option("down", 0))
        hypercall_vcpu_op(VCPUOP_down, 0, NULL);
    guest_shutdown(guest_option("way", 0));
}
