/*
 * The calls that only a controlling domain may make: domctl, sysctl, platform_op.
 *
 * As in Xen the structure is read first, then its version is compared, then the role: a caller of
 * another version learns so (-EACCES) whoever it is, everybody without the role gets -EPERM, and
 * nothing about other domains can be told from the answer.  Nothing is done here yet for those who
 * have the role, but a few answers that the first domain's kernel asks for at boot.
 */
/* Before anything includes <xen/...>: the toolstack's structures. */
#define __XEN_TOOLS__ 1

#include "arch.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"
#include "wallclock.h"

#include <xen/domctl.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

#define SECOND 1000000000ull

/* The two words that all three structures begin with. */
struct header {
    uint32_t cmd, version;
};
_Static_assert(offsetof(struct xen_domctl, interface_version) == 4, "domctl.h");
_Static_assert(offsetof(struct xen_sysctl, interface_version) == 4, "sysctl.h");
_Static_assert(offsetof(struct xen_platform_op, interface_version) == 4, "platform.h");

/* Reads, versions, roles: 0 or what to answer. */
static int check(struct vcpu *v, unsigned number, guest_ptr_t arg, size_t size, uint32_t version,
                 struct header *h)
{
    uint64_t last;

    /* Xen copies the whole structure: its end must be readable, too. */
    if (guest_read(h, arg, sizeof(*h)) || guest_read_u64(&last, guest_ptr_add(arg, size - 8)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (h->version != version)
        return refuse(INTERFACE_VERSION_OTHER, number, h->version, version);
    if (!domain_has(v->domain, ROLE_CONTROL))
        return refuse(ROLE_MISSING, number, h->cmd);
    return 0;
}

long hypercall_domctl(struct vcpu *v, const struct hypercall_args *a)
{
    struct header h;
    int rc = check(v, __HYPERVISOR_domctl, guest_ptr(a->arg[0]), sizeof(struct xen_domctl),
                   XEN_DOMCTL_INTERFACE_VERSION, &h);
    return rc ? rc : refuse(CONTROL_OP_UNKNOWN, __HYPERVISOR_domctl, h.cmd);
}

long hypercall_sysctl(struct vcpu *v, const struct hypercall_args *a)
{
    struct header h;
    int rc = check(v, __HYPERVISOR_sysctl, guest_ptr(a->arg[0]), sizeof(struct xen_sysctl),
                   XEN_SYSCTL_INTERFACE_VERSION, &h);
    return rc ? rc : refuse(CONTROL_OP_UNKNOWN, __HYPERVISOR_sysctl, h.cmd);
}

long hypercall_platform_op(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t arg = guest_ptr(a->arg[0]);
    struct xen_platform_op op;
    struct header h;

    int rc = check(v, __HYPERVISOR_platform_op, arg, sizeof(op), XENPF_INTERFACE_VERSION, &h);
    if (rc)
        return rc;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    switch (h.cmd) {
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
        return refuse(CONTROL_OP_UNKNOWN, __HYPERVISOR_platform_op, h.cmd);
    }
}
