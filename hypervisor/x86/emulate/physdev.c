/*
 * physdev_op: the virtual I/O privilege level and the I/O bitmap, which only matter to emulated port instructions (io.c); and, for a
 * domain with the hardware role, the lines of interrupts (lines.c).
 */
#include "cpu-state.h"
#include "hypercall.h"
#include "lines.h"

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

/* --- interrupts --- */

/* MSI and MSI-X: the vectors in a device's table would be the guest's to write. */
static int check_type(int type)
{
    switch (type) {
    case MAP_PIRQ_TYPE_GSI:
        return 0;
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
    case MAP_PIRQ_TYPE_MULTI_MSI:
        return refuse(MESSAGE_INTERRUPT, type);
    default:
        return refuse(PIRQ_TYPE_UNKNOWN, type);
    }
}

static bool is_self(const struct domain *d, domid_t id)
{
    return id == DOMID_SELF || id == d->id;
}

/* A line's pirq has its number. */
static long map_pirq(struct domain *d, guest_ptr_t arg)
{
    struct physdev_map_pirq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!is_self(d, op.domid))
        return refuse(PIRQ_OF_OTHER, op.domid);
    int rc = check_type(op.type);
    if (!rc && op.pirq >= 0 && op.pirq != op.index)
        rc = refuse(PIRQ_OTHER_NUMBER, op.index, op.pirq);
    rc = rc ? rc : line_map(d, (unsigned)op.index);
    if (rc)
        return rc;
    op.pirq = op.index;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long unmap_pirq(struct domain *d, guest_ptr_t arg)
{
    struct physdev_unmap_pirq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!is_self(d, op.domid))
        return refuse(PIRQ_OF_OTHER, op.domid);
    return line_unmap(d, (unsigned)op.pirq);
}

/* A vector is the hypervisor's affair; kernels want an answer. */
static long alloc_irq_vector(guest_ptr_t arg)
{
    struct physdev_irq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    op.vector = op.irq;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long setup_gsi(guest_ptr_t arg)
{
    struct physdev_setup_gsi op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return line_configure((unsigned)op.gsi, op.triggering != 0, op.polarity != 0);
}

static long eoi(struct domain *d, guest_ptr_t arg)
{
    uint32_t irq;

    if (guest_read_u32(&irq, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return line_served(d, irq);
}

/* As in Xen every interrupt is said to need its EOI, also one that is triggered by an edge. */
static long irq_status(struct domain *d, guest_ptr_t arg)
{
    struct physdev_irq_status_query op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.irq >= arch_line_count() || !domain_has(d, ROLE_HARDWARE))
        return refuse(PIRQ_NOT_OWNED, op.irq);
    op.flags = XENIRQSTAT_needs_eoi;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

/* What only who drives the machine may ask. */
static long hardware_op(struct domain *d, uint32_t cmd, guest_ptr_t arg)
{
    if (!domain_has(d, ROLE_HARDWARE))
        return refuse(ROLE_MISSING, __HYPERVISOR_physdev_op, cmd);
    switch (cmd) {
    case PHYSDEVOP_map_pirq:
        return map_pirq(d, arg);
    case PHYSDEVOP_unmap_pirq:
        return unmap_pirq(d, arg);
    case PHYSDEVOP_alloc_irq_vector:
        return alloc_irq_vector(arg);
    case PHYSDEVOP_setup_gsi:
        return setup_gsi(arg);
    default:
        return refuse(PHYSDEV_OP_UNKNOWN, cmd);
    }
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
        return eoi(v->domain, guest_ptr(a->arg[1]));
    case PHYSDEVOP_irq_status_query:
        return irq_status(v->domain, guest_ptr(a->arg[1]));
    case PHYSDEVOP_map_pirq:
    case PHYSDEVOP_unmap_pirq:
    case PHYSDEVOP_alloc_irq_vector:
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
        return hardware_op(v->domain, (uint32_t)a->arg[0], guest_ptr(a->arg[1]));
    default:
        return refuse(PHYSDEV_OP_UNKNOWN, (uint32_t)a->arg[0]);
    }
}
