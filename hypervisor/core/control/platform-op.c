/* platform_op: what the control role asks of the platform below: its clock and what its firmware left. */
#include "control.h"

#include "hypercall.h"
#include "wallclock.h"

#include <xen/platform.h>

#define SECOND 1000000000ull

/* platform_op(op) */
long hypercall_platform_op(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t arg = guest_ptr(a->arg[0]);
    struct xen_platform_op op;

    int rc =
        control_enter(v, __HYPERVISOR_platform_op, arg, &op, sizeof(op), XENPF_INTERFACE_VERSION);
    rc = rc ? rc : control_may(v, __HYPERVISOR_platform_op, op.cmd, ROLE_CONTROL);
    if (rc)
        return rc;
    switch (op.cmd) {
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
