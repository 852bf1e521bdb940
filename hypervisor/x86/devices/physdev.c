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

static long op_PHYSDEVOP_set_iopl(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_set_iopl op;

    if (guest_read_u32(&op.iopl, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.iopl > 3)
        return refuse(IOPL_RANGE, op.iopl);
    v->arch.iopl = (uint8_t)op.iopl;
    return 0;
}

static long op_PHYSDEVOP_set_iobitmap(struct vcpu *v, guest_ptr_t arg)
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

static long op_PHYSDEVOP_map_pirq(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
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

static long op_PHYSDEVOP_unmap_pirq(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
    struct physdev_unmap_pirq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!is_self(d, op.domid))
        return refuse(PIRQ_OF_OTHER, op.domid);
    return pirq_unmap(d, (unsigned)op.pirq);
}

static long op_PHYSDEVOP_get_free_pirq(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_get_free_pirq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    const int pirq =
        pirq_reserve(v->domain, op.type == MAP_PIRQ_TYPE_GSI ? PIRQ_OF_LINE : PIRQ_OF_MESSAGE);
    if (pirq < 0)
        return pirq;
    op.pirq = (uint32_t)pirq;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long eoi_map_begin(struct domain *d, guest_ptr_t arg, enum eoi_effect effect)
{
    struct physdev_pirq_eoi_gmfn op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return pirq_eoi_map(d, op.gmfn, effect);
}

static long op_PHYSDEVOP_apic_read(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_apic op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    const int rc = ioapic_peek(op.apic_physbase, op.reg, &op.value);
    if (rc)
        return rc;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long op_PHYSDEVOP_pirq_eoi_gmfn_v1(struct vcpu *v, guest_ptr_t arg)
{
    return eoi_map_begin(v->domain, arg, EOI_UNMASKS_PORT);
}

static long op_PHYSDEVOP_pirq_eoi_gmfn_v2(struct vcpu *v, guest_ptr_t arg)
{
    return eoi_map_begin(v->domain, arg, EOI_ONLY);
}

/* A vector is the hypervisor's affair; kernels want an answer. */
static long op_PHYSDEVOP_alloc_irq_vector(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_irq op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    op.vector = op.irq;
    return guest_write(arg, &op, sizeof(op)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long op_PHYSDEVOP_setup_gsi(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_setup_gsi op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return line_configure((unsigned)op.gsi,
                          (struct line_mode){.level = op.triggering != 0, .low = op.polarity != 0});
}

static long op_PHYSDEVOP_eoi(struct vcpu *v, guest_ptr_t arg)
{
    uint32_t irq;

    if (guest_read_u32(&irq, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return pirq_served(v->domain, irq);
}

/* As in Xen every interrupt is said to need its EOI, also one that is triggered by an edge. */
static long op_PHYSDEVOP_irq_status_query(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_irq_status_query op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.irq >= PIRQS || !domain_has(v->domain, ROLE_HARDWARE))
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

typedef int device_fn(unsigned segment, uint16_t function);

/* @act on the device that @arg names: the older calls know no segment. */
static long device_do(guest_ptr_t arg, device_fn *act)
{
    struct physdev_manage_pci op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return act(0, (uint16_t)(op.bus << 8 | op.devfn));
}

static long device_with_segment_do(guest_ptr_t arg, device_fn *act)
{
    struct physdev_pci_device op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return act(op.seg, (uint16_t)(op.bus << 8 | op.devfn));
}

static long op_PHYSDEVOP_manage_pci_add(struct vcpu *v, guest_ptr_t arg)
{
    return pci_add(arg, sizeof(struct physdev_manage_pci));
}

static long op_PHYSDEVOP_manage_pci_add_ext(struct vcpu *v, guest_ptr_t arg)
{
    return pci_add(arg, sizeof(struct physdev_manage_pci_ext));
}

static long op_PHYSDEVOP_pci_device_add(struct vcpu *v, guest_ptr_t arg)
{
    return pci_add(arg, offsetof(struct physdev_pci_device_add, optarr));
}

static long op_PHYSDEVOP_manage_pci_remove(struct vcpu *v, guest_ptr_t arg)
{
    return device_do(arg, pci_remove);
}

static long op_PHYSDEVOP_pci_device_remove(struct vcpu *v, guest_ptr_t arg)
{
    return device_with_segment_do(arg, pci_remove);
}

static long op_PHYSDEVOP_restore_msi(struct vcpu *v, guest_ptr_t arg)
{
    return device_do(arg, pci_restore);
}

static long op_PHYSDEVOP_restore_msi_ext(struct vcpu *v, guest_ptr_t arg)
{
    return device_with_segment_do(arg, pci_restore);
}

static long op_PHYSDEVOP_pci_mmcfg_reserved(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_pci_mmcfg_reserved op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.flags & ~XEN_PCI_MMCFG_RESERVED)
        return refuse(PCI_FLAGS_UNKNOWN, op.flags);
    return pci_ecam_confirm(op.address, op.segment, op.start_bus, op.end_bus);
}

/* --- those of the hardware role that are not served --- */

static long op_PHYSDEVOP_apic_write(struct vcpu *v, guest_ptr_t arg)
{
    struct physdev_apic op;
    uint32_t value;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    const int rc = ioapic_peek(op.apic_physbase, op.reg, &value);
    return rc ? rc : refuse(PHYSDEV_OP_UNKNOWN, PHYSDEVOP_apic_write);
}

static long op_PHYSDEVOP_prepare_msix(struct vcpu *v, guest_ptr_t arg)
{
    return refuse(PHYSDEV_OP_UNKNOWN, PHYSDEVOP_prepare_msix);
}

static long op_PHYSDEVOP_release_msix(struct vcpu *v, guest_ptr_t arg)
{
    return refuse(PHYSDEV_OP_UNKNOWN, PHYSDEVOP_release_msix);
}

/* The list has gaps: operations that no interface of Xen's has any more. */
static subop_fn *const physdev_op[] = {PHYSDEVOP_LIST(SUBOP_ENTRY)};
_Static_assert(ARRAY_SIZE(physdev_op) <= 64, "a bit for each");

/* Asked by kernels without the hardware role, too; the last two say no by themselves. */
#define WITHOUT_ROLE                                                              \
    (BIT(PHYSDEVOP_set_iopl) | BIT(PHYSDEVOP_set_iobitmap) | BIT(PHYSDEVOP_eoi) | \
     BIT(PHYSDEVOP_irq_status_query))

/* physdev_op(cmd, arg) */
long hypercall_physdev_op(struct vcpu *v, const struct hypercall_args *a)
{
    const uint32_t cmd = (uint32_t)a->arg[0];

    if (unlikely(cmd >= ARRAY_SIZE(physdev_op) || !physdev_op[cmd]))
        return refuse(PHYSDEV_OP_UNKNOWN, cmd);
    if (!(WITHOUT_ROLE & BIT(cmd)) && !domain_has(v->domain, ROLE_HARDWARE))
        return refuse(ROLE_MISSING, __HYPERVISOR_physdev_op, cmd);
    return physdev_op[cmd](v, guest_ptr(a->arg[1]));
}
