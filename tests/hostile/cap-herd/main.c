/*
 * Wants: the neighbours' time, by the beginning of a cap's period, when many vCPUs go on together.
 *
 * 24 domains of 64 vCPUs have a cap of 1% each, and all compute.  If the periods of all began at one moment, each domain would release
 * a round of its vCPUs then, one domain behind the other.
 *
 * Fails: periods begin far apart, by the domain's number; a domain releases eight vCPUs at once, and those that still wait when
 * the cap is used up are stopped where they wait.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static void spin(unsigned vcpu)
{
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL);
    for (;;) {
        attack_spin(100000);
        if (vcpu == 0 && !attack_goes_on())
            guest_shutdown(SHUTDOWN_poweroff);
    }
}

void guest_main(void)
{
    const unsigned count = guest_option("vcpus", ATTACK_LEGACY);

    attack_begin("cap-herd");
    attack_vcpu_infos(count);
    attack_vcpus(count, spin);
    spin(0);
}
