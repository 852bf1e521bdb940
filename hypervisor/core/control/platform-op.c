/* platform_op: what the control role asks of the platform below: its clock and what its firmware left. */
#include "control.h"

#include "hypercall.h"
#include "wallclock.h"

#include <xen/platform.h>

#define SOFT_OFF 5
#define SECOND   1000000000ull

/* A CPU that is not there is no error. */
static void cpuinfo_get(struct xenpf_pcpuinfo *op)
{
    const uint64_t online = arch_cpus_online();

    op->max_present = control_cpu_limit() - 1;
    op->flags = XEN_PCPU_FLAGS_INVALID;
    if (op->xen_cpuid < 64 && (online & BIT(op->xen_cpuid))) {
        op->flags = XEN_PCPU_FLAGS_ONLINE;
        arch_cpu_ids(op->xen_cpuid, &op->apic_id, &op->acpi_id);
    }
}

/* Soft-off, the only sleep, is the end of the domain that asks for it, as its power-off is. */
static int enter_sleep(struct domain *d, const struct xenpf_enter_acpi_sleep *op)
{
    if (op->flags)
        return refuse(SLEEP_FLAGS, op->flags);
    if (op->sleep_state != SOFT_OFF)
        return refuse(SLEEP_STATE_UNKNOWN, op->sleep_state);
    domain_shutdown(d, SHUTDOWN_poweroff);
    return 0;
}

/* platform_op(op) */
long hypercall_platform_op(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t arg = guest_ptr(a->arg[0]);
    struct xen_platform_op op;

    int rc = control_enter(__HYPERVISOR_platform_op, arg, &op, sizeof(op), XENPF_INTERFACE_VERSION);
    rc = rc ? rc : control_may(v, __HYPERVISOR_platform_op, op.cmd, ROLE_CONTROL);
    if (rc)
        return rc;
    switch (op.cmd) {
    case XENPF_get_cpuinfo:
        cpuinfo_get(&op.u.pcpu_info);
        return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
    case XENPF_enter_acpi_sleep:
        return enter_sleep(v->domain, &op.u.enter_acpi_sleep);
    case XENPF_settime32:
        wallclock_set(op.u.settime32.secs * SECOND + op.u.settime32.nsecs -
                      op.u.settime32.system_time);
        return 0;
    case XENPF_settime64:
        if (op.u.settime64.mbz)
            return refuse(RESERVED_FIELD_SET, op.u.settime64.mbz);
        wallclock_set(op.u.settime64.secs * SECOND + op.u.settime64.nsecs -
                      op.u.settime64.system_time);
        return 0;
    case XENPF_firmware_info: /* no disk tables, no shift flags, no EFI: the list is empty */
        return refuse(FIRMWARE_INFO_MISSING, op.u.firmware_info.type);
    default:
        return refuse(CONTROL_OP_UNKNOWN, __HYPERVISOR_platform_op, op.cmd);
    }
}
