/*
 * physdev_op: the virtual I/O privilege level and the I/O bitmap, which only matter to emulated port instructions (io.c); and, for a
 * domain with the hardware role, interrupts of devices (pirq.c, lines.c, messages.c) and PCI.
 */
#include "cpu-state.h"
#include "hypercall.h"
#include "lines.h"
#include "messages.h"
#include "pci.h"
#include "pirq.h"

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

static bool is_self(const struct domain *d, domid_t id)
{
    return id == DOMID_SELF || id == d->id;
}

/* A line's pirq has its number. */
static int map_line(struct domain *d, struct physdev_map_pirq *op)
{
    if (op->pirq >= 0 && op->pirq != op->index)
        return refuse(PIRQ_OTHER_NUMBER, op->index, op->pirq);
    const int rc = line_map(d, (unsigned)op->index);
    if (!rc)
        op->pirq = op->index;
    return rc;
}

/* The upper half of @bus is the segment, but for the oldest type. */
static int map_message(struct domain *d, struct physdev_map_pirq *op)
{
    const unsigned segment = op->type == MAP_PIRQ_TYPE_MSI ? 0 : (unsigned)op->bus >> 16;
    const struct message_source source = {
        .function = (uint16_t)((op->bus & 0xff) << 8 | (op->devfn & 0xff)),
        .msix = op->table_base,
        .entry = op->table_base ? (uint16_t)op->entry_nr : 0,
    };
    const int wanted = op->pirq < 0 ? -1 : (int)PIRQS - 1 - op->pirq;

    if (op->pirq >= (int)PIRQS)
        return refuse(PIRQ_NO_MESSAGE, op->pirq);
    if (segment)
        return refuse(PCI_SEGMENT_MISSING, segment);
    if (op->table_base && (op->entry_nr < 0 || op->entry_nr > UINT16_MAX))
        return refuse(MESSAGE_ENTRY_RANGE, op->entry_nr, source.function, 0);
    const int message = message_map(d, &source, wanted);
    if (message < 0)
        return message;
    op->pirq = (int)PIRQS - 1 - message;
    return 0;
}

/* Several at once would share an address and have vectors in a row: only one is served. */
static int map_several(struct domain *d, struct physdev_map_pirq *op)
{
    if (op->table_base)
        return refuse(MESSAGES_WITH_TABLE, op->table_base);
    if (op->entry_nr <= 0 || op->entry_nr > 32)
        return refuse(MESSAGES_COUNT, op->entry_nr);
    if (op->entry_nr > 1)
        return refuse(MESSAGES_TOGETHER, op->entry_nr);
    return map_message(d, op);
}

static int map_any(struct domain *d, struct physdev_map_pirq *op)
{
    switch (op->type) {
    case MAP_PIRQ_TYPE_GSI:
        return map_line(d, op);
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
        return op->index == -1 ? map_message(d, op) : refuse(MESSAGE_INDEX, op->index);
    case MAP_PIRQ_TYPE_MULTI_MSI:
        return map_several(d, op);
    default:
        return refuse(PIRQ_TYPE_UNKNOWN, op->type);
    }
}

static long map_pirq(struct domain *d, guest_ptr_t arg)
{
    struct physdev_map_pirq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!is_self(d, op.domid))
        return refuse(PIRQ_OF_OTHER, op.domid);
    int rc = map_any(d, &op);
    if (rc)
        return rc;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long unmap_pirq(struct domain *d, guest_ptr_t arg)
{
    struct physdev_unmap_pirq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!is_self(d, op.domid))
        return refuse(PIRQ_OF_OTHER, op.domid);
    return pirq_unmap(d, (unsigned)op.pirq);
}

static long get_free_pirq(struct domain *d, guest_ptr_t arg)
{
    struct physdev_get_free_pirq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    const int pirq = pirq_reserve(d, op.type == MAP_PIRQ_TYPE_GSI);
    if (pirq < 0)
        return pirq;
    op.pirq = (uint32_t)pirq;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long eoi_map(struct domain *d, guest_ptr_t arg, bool unmasks)
{
    struct physdev_pirq_eoi_gmfn op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return pirq_eoi_map(d, op.gmfn, unmasks);
}

static long apic_read(guest_ptr_t arg)
{
    struct physdev_apic op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    const int rc = ioapic_peek(op.apic_physbase, op.reg, &op.value);
    if (rc)
        return rc;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
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
    return pirq_served(d, irq);
}

/* As in Xen every interrupt is said to need its EOI, also one that is triggered by an edge. */
static long irq_status(struct domain *d, guest_ptr_t arg)
{
    struct physdev_irq_status_query op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.irq >= PIRQS || !domain_has(d, ROLE_HARDWARE))
        return refuse(PIRQ_NOT_OWNED, op.irq);
    op.flags = XENIRQSTAT_needs_eoi;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

/* --- PCI: devices are looked for when they are asked for, and nothing is kept of those that are announced --- */

static long pci_add(guest_ptr_t arg, size_t size)
{
    uint8_t op[sizeof(struct physdev_manage_pci_ext)];

    _Static_assert(sizeof(op) >= offsetof(struct physdev_pci_device_add, optarr), "the longest");
    return guest_read(op, arg, size) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

/* Its messages are unmapped before it goes. */
static int pci_remove(unsigned segment, uint16_t function)
{
    if (segment)
        return refuse(PCI_SEGMENT_MISSING, segment);
    if (!pci_is_there(function))
        return refuse(PCI_DEVICE_MISSING, function);
    return messages_of(function) ? refuse(PCI_DEVICE_BUSY, function) : 0;
}

static int pci_restore(unsigned segment, uint16_t function)
{
    if (segment)
        return refuse(PCI_SEGMENT_MISSING, segment);
    if (!pci_is_there(function))
        return refuse(PCI_DEVICE_MISSING, function);
    return messages_restore(function);
}

/* @act on the device that @arg names, with its segment or, in the older calls, without. */
static long pci_named(guest_ptr_t arg, bool with_segment, int (*act)(unsigned, uint16_t))
{
    struct physdev_pci_device op = {0};
    struct physdev_manage_pci old = {0};

    if (with_segment ? guest_read(&op, arg, sizeof(op)) : guest_read(&old, arg, sizeof(old)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return with_segment ? act(op.seg, (uint16_t)(op.bus << 8 | op.devfn))
                        : act(0, (uint16_t)(old.bus << 8 | old.devfn));
}

static long window_reserved(guest_ptr_t arg)
{
    struct physdev_pci_mmcfg_reserved op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.flags & ~XEN_PCI_MMCFG_RESERVED)
        return refuse(PCI_FLAGS_UNKNOWN, op.flags);
    return pci_window_confirm(op.address, op.segment, op.start_bus, op.end_bus);
}

/* --- the two halves of the table --- */

static long pci_op(uint32_t cmd, guest_ptr_t arg)
{
    switch (cmd) {
    case PHYSDEVOP_manage_pci_add:
        return pci_add(arg, sizeof(struct physdev_manage_pci));
    case PHYSDEVOP_manage_pci_add_ext:
        return pci_add(arg, sizeof(struct physdev_manage_pci_ext));
    case PHYSDEVOP_pci_device_add:
        return pci_add(arg, offsetof(struct physdev_pci_device_add, optarr));
    case PHYSDEVOP_manage_pci_remove:
        return pci_named(arg, false, pci_remove);
    case PHYSDEVOP_pci_device_remove:
        return pci_named(arg, true, pci_remove);
    case PHYSDEVOP_restore_msi:
        return pci_named(arg, false, pci_restore);
    case PHYSDEVOP_restore_msi_ext:
        return pci_named(arg, true, pci_restore);
    case PHYSDEVOP_pci_mmcfg_reserved:
        return window_reserved(arg);
    default:
        return refuse(PHYSDEV_OP_UNKNOWN, cmd);
    }
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
    case PHYSDEVOP_get_free_pirq:
        return get_free_pirq(d, arg);
    case PHYSDEVOP_alloc_irq_vector:
        return alloc_irq_vector(arg);
    case PHYSDEVOP_setup_gsi:
        return setup_gsi(arg);
    case PHYSDEVOP_apic_read:
        return apic_read(arg);
    case PHYSDEVOP_pirq_eoi_gmfn_v1:
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
        return eoi_map(d, arg, cmd == PHYSDEVOP_pirq_eoi_gmfn_v1);
    default:
        return pci_op(cmd, arg);
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
    case PHYSDEVOP_get_free_pirq:
    case PHYSDEVOP_pirq_eoi_gmfn_v1:
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
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
