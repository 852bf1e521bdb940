/*
 * Wants: a domain that neither runs nor ends: its memory is never given back.
 *
 * A domain ends when its last vCPU goes down.  If each of two that go down together still sees the
 * other up, neither is the last.  All vCPUs go down at one moment here; the domain must power off,
 * and is then built again (on_poweroff = "restart").
 *
 * Fails: a vCPU is down before it asks whether it was the last.
 */
#include "attack.h"
#include "guest.h"

#include <stddef.h>
#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define VCPUS 4

static volatile unsigned ready;

static void go_down(unsigned vcpu)
{
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    while (ready < VCPUS)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    for (;;)
        hypercall_vcpu_op(VCPUOP_down, vcpu, NULL);
}

void guest_main(void)
{
    if (!attack_goes_on())
        guest_shutdown(SHUTDOWN_reboot); /* "destroy": the end */
    attack_vcpus(VCPUS, go_down);
    go_down(0);
}
