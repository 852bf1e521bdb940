/*
 * physdev_op: the virtual I/O privilege level and the I/O bitmap.  Both only matter to emulated
 * port instructions (io.c); the interrupt and PCI operations belong to a hardware domain.
 */
#include "cpu-state.h"
#include "hypercall.h"

#include <xen/physdev.h>

static long set_iopl(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_set_iopl op;

    if (guest_read_u32(&op.iopl, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.iopl > 3)
        return refuse(IOPL_RANGE, op.iopl);
    v->arch.iopl = (uint8_t)op.iopl;
    return 0;
}

static long set_iobitmap(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_set_iobitmap op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    uint64_t bitmap = *(const uint64_t *)&op.bitmap;
    if (op.nr_ports > 65536 || !guest_range_ok(bitmap, 1))
        return refuse(IO_BITMAP_TOO_LONG, bitmap, op.nr_ports);
    v->arch.iobitmap = guest_ptr(bitmap);
    v->arch.iobitmap_ports = op.nr_ports;
    return 0;
}

/* An interrupt that the caller says something about: nobody has any. */
static long no_interrupt(guest_ptr_t arg)
{
    uint32_t irq;

    if (guest_read_u32(&irq, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return refuse(PIRQ_NOT_OWNED, irq);
}

/* physdev_op(cmd, arg) */
long hypercall_physdev_op(struct vcpu *v, const struct hypercall_args *a)
{
    switch ((uint32_t)a->arg[0]) {
    case PHYSDEVOP_set_iopl:
        return set_iopl(v, guest_ptr(a->arg[1]));
    case PHYSDEVOP_set_iobitmap:
        return set_iobitmap(v, guest_ptr(a->arg[1]));
    case PHYSDEVOP_eoi:
    case PHYSDEVOP_irq_status_query:
        return no_interrupt(guest_ptr(a->arg[1]));
    case PHYSDEVOP_apic_read:
    case PHYSDEVOP_apic_write:
    case PHYSDEVOP_manage_pci_add:
    case PHYSDEVOP_manage_pci_remove:
    case PHYSDEVOP_restore_msi:
    case PHYSDEVOP_manage_pci_add_ext:
    case PHYSDEVOP_setup_gsi:
    case PHYSDEVOP_pci_mmcfg_reserved:
    case PHYSDEVOP_pci_device_add:
    case PHYSDEVOP_pci_device_remove:
    case PHYSDEVOP_restore_msi_ext:
    case PHYSDEVOP_prepare_msix:
    case PHYSDEVOP_release_msix:
        if (!domain_has(v->domain, ROLE_HARDWARE))
            return refuse(ROLE_MISSING, __HYPERVISOR_physdev_op, (uint32_t)a->arg[0]);
        return refuse(PHYSDEV_OP_UNKNOWN, (uint32_t)a->arg[0]);
    default:
        return refuse(PHYSDEV_OP_UNKNOWN, (uint32_t)a->arg[0]);
    }
}
