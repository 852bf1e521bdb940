/*
 * Question: does an NMI reach the guest's kernel, once at a time, and what does
 * a guest learn of machine checks?
 *
 * An NMI ignores the event mask, so what keeps a second one off the first one's
 * stack is the hypervisor alone: none is delivered from the first one's
 * delivery until the kernel's next iret hypercall.  A native IRET does not
 * count, the hypervisor cannot see it.  Kernels send NMIs to their own vCPUs to
 * learn where each of them hangs, so one that waits must be woken.
 *
 * Machine checks belong to domain 0; others get an empty virtual bank.
 *
 * Needs a domain of two vCPUs (dom0_max_vcpus=2).
 */
#include "guest.h"
#include "clock.h"
#include "event.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/arch-x86/xen-mca.h>
#include <xen/callback.h>
#include <xen/nmi.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

COVERS(vcpu_op, VCPUOP_send_nmi);
COVERS_CALL(nmi_op);
COVERS_CALL(arch_0);

#define SECOND 1000000000ul

static long send_nmi(unsigned vcpu)
{
    return hypercall_vcpu_op(VCPUOP_send_nmi, vcpu, NULL);
}

static long callback(unsigned long address)
{
    struct callback_register reg = {.type = CALLBACKTYPE_nmi, .address = address};
    return hypercall_callback_op(CALLBACKOP_register, &reg);
}

static long no_callback(void)
{
    struct callback_unregister reg = {.type = CALLBACKTYPE_nmi};
    return hypercall_callback_op(CALLBACKOP_unregister, &reg);
}

/* --- one vCPU --- */

static volatile unsigned count, depth, deepest, mask_inside, again;
static volatile uint64_t cs_seen;

static bool on_nmi(struct trap_frame *f)
{
    count++;
    depth++;
    if (depth > deepest)
        deepest = depth;
    mask_inside = event_vcpu_info(0)->evtchn_upcall_mask;
    cs_seen = f->cs;
    if (again) {
        again--;
        send_nmi(0);
        send_nmi(0);
    }
    depth--;
    return true; /* by the iret hypercall */
}

static void test_delivery(void)
{
    volatile vcpu_info_t *info = event_vcpu_info(0);

    tap_is(no_callback(), 0, "unregister");
    tap_is(send_nmi(0), 0, "send_nmi without a handler");
    trap_handle(TRAP_NMI_CALLBACK, on_nmi);
    tap_is(callback(1ul << 63), -XEN_EINVAL, "register: a non-canonical address");
    tap_is(callback((unsigned long)trap_nmi_callback), 0, "register");
    tap_is(count, 0, "the one before is lost");

    info->evtchn_upcall_mask = 0;
    tap_is(send_nmi(0), 0, "send_nmi");
    tap_is(count, 1, "it comes before the next instruction");
    tap_is(mask_inside, 1, "a callback masks events");
    tap_is(info->evtchn_upcall_mask, 0, "its return opens them");
    tap_is_hex(cs_seen & 0xffff, KERNEL_CS, "its frame: cs");
    tap_is_hex(cs_seen >> 32 & 0xff, 0, "its frame: the mask before");
    info->evtchn_upcall_mask = 1;
    send_nmi(0);
    tap_is(count, 2, "masked events do not hold it up");
    tap_is_hex(cs_seen >> 32 & 0xff, 1, "its frame: the mask before, masked");
    tap_is(info->evtchn_upcall_mask, 1, "its return leaves them masked");
    tap_is(send_nmi(1000), -XEN_ENOENT, "send_nmi: no such vCPU");
    tap_is(hypercall_vcpu_op(VCPUOP_send_nmi, 0, (void *)1), -XEN_EINVAL, "send_nmi: an argument");

    count = deepest = 0;
    again = 1;
    send_nmi(0);
    tap_is(count, 2, "two sent from the handler: one comes");
    tap_is(deepest, 1, "but not inside the handler");
    count = 0;
    again = 3;
    send_nmi(0);
    tap_is(count, 4, "and so on");

    trap_handle(TRAP_NMI_CALLBACK, NULL);
    tap_is(TRAPS(send_nmi(0)), TRAP_NMI_CALLBACK, "a handler that does not return in place");
}

/* A gate of the trap table is the same thing; its own flag says whether it masks events. */
static void test_gate(void)
{
    volatile vcpu_info_t *info = event_vcpu_info(0);

    trap_handle(TRAP_NMI, on_nmi);
    tap_is(trap_gate(TRAP_NMI, 0, trap_stub(TRAP_NMI)), 0, "a gate for vector 2");
    count = 0;
    info->evtchn_upcall_mask = 0;
    send_nmi(0);
    tap_is(count, 1, "takes the callback's place");
    tap_is(mask_inside, 0, "a gate without its flag leaves events open");
    trap_gate(TRAP_NMI, 4, trap_stub(TRAP_NMI));
    send_nmi(0);
    tap_is(mask_inside, 1, "a gate with its flag masks events");
    info->evtchn_upcall_mask = 1;
    tap_is(no_callback(), 0, "unregister");
    send_nmi(0);
    tap_is(count, 2, "takes the gate away");
}

static void test_nmi_op(void)
{
    struct xennmi_callback cb = {.handler_address = (unsigned long)trap_nmi_callback};

    trap_handle(TRAP_NMI_CALLBACK, on_nmi);
    count = 0;
    tap_is(HYPERCALL2(__HYPERVISOR_nmi_op, XENNMI_register_callback, &cb), 0, "nmi_op register");
    send_nmi(0);
    tap_is(count, 1, "nmi_op: it comes");
    cb.handler_address = 1ul << 63;
    tap_is(HYPERCALL2(__HYPERVISOR_nmi_op, XENNMI_register_callback, &cb), -XEN_EINVAL,
           "nmi_op register: a non-canonical address");
    tap_is(HYPERCALL2(__HYPERVISOR_nmi_op, XENNMI_register_callback, 0x1000), -XEN_EFAULT,
           "nmi_op register: an unmapped argument");
    tap_is(HYPERCALL2(__HYPERVISOR_nmi_op, XENNMI_unregister_callback, 0), 0, "nmi_op unregister");
    send_nmi(0);
    tap_is(count, 1, "nmi_op: no more");
    tap_is(HYPERCALL2(__HYPERVISOR_nmi_op, 2, 0), -XEN_ENOSYS, "nmi_op 2");
    tap_is(HYPERCALL2(__HYPERVISOR_nmi_op, ~0u, 0), -XEN_ENOSYS, "nmi_op ~0");
    callback((unsigned long)trap_nmi_callback);
}

/* --- the other vCPU --- */

static volatile unsigned stage, go_on;

static bool wait_for(volatile unsigned *flag, unsigned value)
{
    uint64_t deadline = clock_ns() + 10 * SECOND;
    while (*flag < value && clock_ns() < deadline)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    return *flag >= value;
}

static volatile unsigned others;
static bool on_other_nmi(struct trap_frame *f)
{
    others++;
    return true;
}

static void second(void *argument)
{
    event_vcpu_info(1)->evtchn_upcall_mask = 1;
    callback((unsigned long)trap_nmi_callback);
    stage = 1;
    while (!go_on)
        ;
    struct sched_poll poll = {.nr_ports = 0};
    stage = 2;
    hypercall_sched_op(SCHEDOP_poll, &poll); /* no port, no timeout: only an NMI ends it */
    stage = 3;
    hypercall_sched_op(SCHEDOP_block, NULL);
    stage = 4;
    hypercall_vcpu_op(VCPUOP_down, 1, NULL);
    for (;;)
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

static void test_other(void)
{
    trap_handle(TRAP_NMI_CALLBACK, on_other_nmi);
    tap_is(vcpu_start(1, second, NULL), 0, "start the other vCPU");
    tap_ok(wait_for(&stage, 1), "it runs");
    send_nmi(1);
    tap_ok(wait_for(&others, 1), "an NMI comes while it computes");
    go_on = 1;
    wait_for(&stage, 2);
    for (unsigned i = 0; i < 100; i++) /* time to fall asleep */
        hypercall_sched_op(SCHEDOP_yield, NULL);
    send_nmi(1);
    tap_ok(wait_for(&others, 2), "an NMI comes while it polls");
    tap_ok(wait_for(&stage, 3), "and ends the poll");
    for (unsigned i = 0; i < 100; i++)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    send_nmi(1);
    tap_ok(wait_for(&others, 3), "an NMI comes while it is blocked");
    tap_ok(wait_for(&stage, 4), "and ends that");
    tap_is(others, 3, "three in all");
}

/* --- machine checks --- */

static void test_mca(void)
{
    static struct xen_mc mc;
    static char data[4096];
#define MCA() HYPERCALL1(__HYPERVISOR_mca, &mc)

    mc.interface_version = XEN_MCA_INTERFACE_VERSION - 1;
    mc.cmd = XEN_MC_fetch;
    tap_is(MCA(), guest_role(-XEN_EACCES), "mca: another version");
    mc.interface_version = XEN_MCA_INTERFACE_VERSION;
    tap_is(MCA(), guest_role(-XEN_EINVAL), "mca fetch: no queue");
    mc.u.mc_fetch.flags = XEN_MC_URGENT;
    tap_is(MCA(), guest_role(-XEN_EINVAL), "mca fetch: no buffer");
    mc.u.mc_fetch.flags = XEN_MC_URGENT;
    memcpy(&mc.u.mc_fetch.data, &(void *){data}, 8);
    tap_is(MCA(), guest_role(0), "mca fetch");
    if (guest_is_first())
        tap_is(mc.u.mc_fetch.flags, XEN_MC_NODATA, "mca fetch: nothing happened");
    mc.u.mc_fetch.flags = XEN_MC_NONURGENT | XEN_MC_ACK;
    tap_is(MCA(), guest_role(0), "mca fetch: acknowledged");
    mc.cmd = XEN_MC_notifydomain;
    tap_is(MCA(), guest_role(-XEN_EINVAL), "mca notifydomain");
    mc.cmd = 77;
    tap_is(MCA(), guest_role(-XEN_EINVAL), "mca 77");
    tap_is(HYPERCALL1(__HYPERVISOR_mca, 0x1000), guest_role(-XEN_EFAULT),
           "mca: an unmapped argument");
}

void guest_main(void)
{
    test_delivery();
    test_gate();
    test_nmi_op();
    test_mca();
    if (vcpu_have(2, "NMIs of another vCPU"))
        test_other();
}
