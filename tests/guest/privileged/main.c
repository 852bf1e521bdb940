/*
 * Question: do the calls of the control and hardware roles check their
 * interface version first?
 *
 * domctl, sysctl and platform_op change between releases, so each carries a
 * version; a caller built against another one must get -EACCES and nothing
 * else.
 */
#include "guest.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/platform.h>

COVERS_CALL(platform_op);
COVERS_CALL(sysctl);
COVERS_CALL(domctl);

static uint32_t buffer[128];

static long call(unsigned number, uint32_t cmd, uint32_t version)
{
    buffer[0] = cmd;
    buffer[1] = version;
    return HYPERCALL1(number, buffer);
}

static long platform(struct xen_platform_op *op, uint32_t cmd)
{
    op->cmd = cmd;
    op->interface_version = XENPF_INTERFACE_VERSION;
    return HYPERCALL1(__HYPERVISOR_platform_op, op);
}

static void test_platform_op(void)
{
    static struct xen_platform_op op;

    tap_is(platform(&op, 99), guest_role(-XEN_ENOSYS), "platform_op: no operation 99");
    op.u.settime64.mbz = 1;
    tap_is(platform(&op, XENPF_settime64), guest_role(-XEN_EINVAL),
           "platform_op: settime64 with mbz set");
    op.u.firmware_info.type = XEN_FW_DISK_INFO;
    op.u.firmware_info.index = 255;
    tap_is(platform(&op, XENPF_firmware_info), guest_role(-XEN_ESRCH), "platform_op: no disk 255");

    op.u.pcpu_info.xen_cpuid = 0;
    tap_is(platform(&op, XENPF_get_cpuinfo), guest_role(0), "platform_op: CPU 0");
    if (guest_is_first()) {
        tap_is(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_ONLINE, "platform_op: CPU 0 is online");
        tap_is(op.u.pcpu_info.max_present, 0, "platform_op: the highest CPU");
        tap_is(op.u.pcpu_info.apic_id, 0, "platform_op: CPU 0's APIC");
        tap_is(op.u.pcpu_info.acpi_id, 0, "platform_op: CPU 0's number in ACPI");
    }
    op.u.pcpu_info.xen_cpuid = 1;
    tap_is(platform(&op, XENPF_get_cpuinfo), guest_role(0), "platform_op: CPU 1 of 1");
    if (guest_is_first())
        tap_is(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_INVALID, "platform_op: CPU 1 is not there");
    memset(&op.u, 0, sizeof(op.u));
    op.u.enter_acpi_sleep.flags = 0x80;
    op.u.enter_acpi_sleep.sleep_state = 5;
    tap_is(platform(&op, XENPF_enter_acpi_sleep), guest_role(-XEN_EINVAL),
           "platform_op: sleep with flag 0x80");
    op.u.enter_acpi_sleep.flags = 0;
    op.u.enter_acpi_sleep.sleep_state = 99;
    tap_is(platform(&op, XENPF_enter_acpi_sleep), guest_role(-XEN_EINVAL),
           "platform_op: no sleep state 99");
}

void guest_main(void)
{
    static const struct {
        const char *name;
        unsigned number;
    } calls[] = {{"platform_op", __HYPERVISOR_platform_op},
                 {"sysctl", __HYPERVISOR_sysctl},
                 {"domctl", __HYPERVISOR_domctl}};

    for (unsigned i = 0; i < 3; i++) {
        tap_is(call(calls[i].number, 0, 0xdead), -XEN_EACCES, "%s: another interface version",
               calls[i].name);
        tap_is(HYPERCALL1(calls[i].number, 0x1000), -XEN_EFAULT, "%s: an unmapped argument",
               calls[i].name);
        tap_is(HYPERCALL1(calls[i].number, 0xffff830000000000), -XEN_EFAULT,
               "%s: an argument of the hypervisor's", calls[i].name);
    }
    test_platform_op();
}
