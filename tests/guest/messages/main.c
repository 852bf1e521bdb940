/*
 * Question: do interrupts that a device sends as messages, MSI and MSI-X, reach the domain that has bound them?
 *
 * The device is a network card that sends one when it is told to.  Nobody gets a message without the hardware role, of a device that
 * is not there or has no such message.  What a domain may not write: the image forged-messages.
 */
#include "card.h"

COVERS(physdev_op, PHYSDEVOP_map_pirq);
COVERS(physdev_op, PHYSDEVOP_unmap_pirq);
COVERS(physdev_op, PHYSDEVOP_get_free_pirq);
COVERS(physdev_op, PHYSDEVOP_apic_read);
COVERS(physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v1);
COVERS(physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2);
COVERS(physdev_op, PHYSDEVOP_manage_pci_add);
COVERS(physdev_op, PHYSDEVOP_manage_pci_remove);
COVERS(physdev_op, PHYSDEVOP_manage_pci_add_ext);
COVERS(physdev_op, PHYSDEVOP_pci_device_add);
COVERS(physdev_op, PHYSDEVOP_pci_device_remove);
COVERS(physdev_op, PHYSDEVOP_restore_msi);
COVERS(physdev_op, PHYSDEVOP_restore_msi_ext);
COVERS(physdev_op, PHYSDEVOP_pci_mmcfg_reserved);
COVERS(event_channel_op, EVTCHNOP_bind_pirq);

static int first_pirq;

/* --- who may not --- */

static void test_without(void)
{
    struct physdev_pci_mmcfg_reserved window = {
        .address = 0xb0000000, .end_bus = 255, .flags = XEN_PCI_MMCFG_RESERVED};
    struct physdev_apic apic = {.apic_physbase = 0xfec00000};
    struct physdev_pirq_eoi_gmfn page = {.gmfn = page_mfn(page_alloc())};
    uint32_t pirq;

    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, -1, -1, 0, 0x20, 0, 0, NULL), -XEN_EPERM,
           "map MSI: no role");
    tap_is(map_as(77, MAP_PIRQ_TYPE_MSI_SEG, -1, -1, 0, 0x20, 0, 1, NULL), -XEN_EPERM,
           "map MSI-X of another: no role");
    tap_is(unmap(255), -XEN_EPERM, "unmap: no role");
    tap_is(free_pirq(MAP_PIRQ_TYPE_MSI, &pirq), -XEN_EPERM, "get_free_pirq: no role");
    tap_is(device_op(PHYSDEVOP_pci_device_add, 0, 0x20), -XEN_EPERM, "pci_device_add: no role");
    tap_is(device_op(PHYSDEVOP_pci_device_remove, 0, 0x20), -XEN_EPERM,
           "pci_device_remove: no role");
    tap_is(device_op(PHYSDEVOP_restore_msi_ext, 0, 0x20), -XEN_EPERM, "restore_msi_ext: no role");
    tap_is(old_device_op(PHYSDEVOP_manage_pci_add, 0x20), -XEN_EPERM, "manage_pci_add: no role");
    tap_is(old_device_op(PHYSDEVOP_manage_pci_add_ext, 0x20), -XEN_EPERM,
           "manage_pci_add_ext: no role");
    tap_is(old_device_op(PHYSDEVOP_manage_pci_remove, 0x20), -XEN_EPERM,
           "manage_pci_remove: no role");
    tap_is(old_device_op(PHYSDEVOP_restore_msi, 0x20), -XEN_EPERM, "restore_msi: no role");
    tap_is(hypercall_physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &window), -XEN_EPERM,
           "pci_mmcfg_reserved: no role");
    tap_is(hypercall_physdev_op(PHYSDEVOP_apic_read, &apic), -XEN_EPERM, "apic_read: no role");
    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v1, &page), -XEN_EPERM,
           "pirq_eoi_gmfn_v1: no role");
    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &page), -XEN_EPERM,
           "pirq_eoi_gmfn_v2: no role");
    tap_is(eoi(255), -XEN_EINVAL, "eoi: not mapped");
}

/* --- what cannot be --- */

static void test_refusals(void)
{
    struct physdev_pci_mmcfg_reserved window = {
        .address = 0xb0000000, .end_bus = 255, .flags = XEN_PCI_MMCFG_RESERVED};
    struct physdev_apic apic = {.apic_physbase = 0xfec00000, .reg = 1};
    evtchn_port_t port;

    tap_is(device_op(PHYSDEVOP_pci_device_add, 0, card), 0, "pci_device_add");
    tap_is(old_device_op(PHYSDEVOP_manage_pci_add, card), 0, "manage_pci_add");
    tap_is(old_device_op(PHYSDEVOP_manage_pci_add_ext, card), 0, "manage_pci_add_ext");
    tap_is(map_as(77, MAP_PIRQ_TYPE_MSI, -1, -1, 0, card, 0, 0, NULL), -XEN_ESRCH,
           "map: no domain 77");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, 3, -1, 0, card, 0, 0, NULL), -XEN_EINVAL,
           "map: as vector 3");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, -1, 100000, 0, card, 0, 0, NULL), -XEN_EINVAL,
           "map: as pirq 100000");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, -1, -1, 0, 0xf8, 0, 0, NULL), -XEN_ENODEV,
           "map: no such device");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI_SEG, -1, -1, 7 << 16, card, 0, 0, NULL),
           -XEN_ENODEV, "map: no such segment");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, -1, -1, 0, 0, 0, 0, NULL), -XEN_ENODEV,
           "map: the host bridge sends none");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI_SEG, -1, -1, 0, 0, 0, 1, NULL), -XEN_ENODEV,
           "map: the host bridge has no table");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI_SEG, -1, -1, 0, card, 5, bar(3), NULL), -XEN_EINVAL,
           "map: an entry behind the table");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI_SEG, -1, -1, 0, card, -1, bar(3), NULL),
           -XEN_EINVAL, "map: entry -1");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MULTI_MSI, -1, -1, 0, card, 1, 1, NULL), -XEN_EINVAL,
           "map several: with a table");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MULTI_MSI, -1, -1, 0, card, 0, 0, NULL), -XEN_EDOM,
           "map several: none");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MULTI_MSI, -1, -1, 0, card, 33, 0, NULL), -XEN_EDOM,
           "map several: 33");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MULTI_MSI, -1, -1, 0, card, 2, 0, NULL),
           -XEN_EOPNOTSUPP, "map several: 2");
    tap_is(bind(200, &port), -XEN_EPERM, "bind: not mapped");
    tap_is(eoi(200), -XEN_EINVAL, "eoi: not mapped");
    tap_is(eoi(100000), -XEN_EINVAL, "eoi: no such pirq");
    tap_is(unmap(200), -XEN_EINVAL, "unmap: not mapped");
    tap_is(device_op(PHYSDEVOP_pci_device_remove, 0, 0xf8), -XEN_ENODEV,
           "pci_device_remove: no such device");
    tap_is(device_op(PHYSDEVOP_pci_device_remove, 7, card), -XEN_ENODEV,
           "pci_device_remove: no such segment");
    tap_is(old_device_op(PHYSDEVOP_manage_pci_remove, 0xf8), -XEN_ENODEV,
           "manage_pci_remove: no such device");
    tap_is(device_op(PHYSDEVOP_restore_msi_ext, 0, 0xf8), -XEN_ENODEV,
           "restore_msi_ext: no such device");
    tap_is(old_device_op(PHYSDEVOP_restore_msi, 0xf8), -XEN_ENODEV, "restore_msi: no such device");
    tap_is(device_op(PHYSDEVOP_restore_msi_ext, 0, card), 0, "restore_msi_ext");
    tap_is(hypercall_physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &window), -XEN_ENODEV,
           "pci_mmcfg_reserved: this machine has none");
    window.flags = 2;
    tap_is(hypercall_physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &window), -XEN_EINVAL,
           "pci_mmcfg_reserved: unknown flags");
    tap_is(hypercall_physdev_op(PHYSDEVOP_apic_read, &apic), 0, "apic_read");
    tap_is((long)(apic.value >> 16 & 0xff), 23, "apic_read: the last line");
    apic.apic_physbase = 0xfed00000;
    tap_is(hypercall_physdev_op(PHYSDEVOP_apic_read, &apic), -XEN_EINVAL,
           "apic_read: no such IO-APIC");
}

/* --- frames --- */

static void test_frames(void)
{
    unsigned long va = 0x7f0000000000;

    tap_is(memory_map_at(va, pte_of(0xfee00, PTE_DEVICE)), -XEN_EPERM,
           "the local APIC cannot be mapped");
    tap_is(memory_map_at(va, pte_of(0xfee01, PTE_DEVICE)), -XEN_EPERM,
           "nor the page above, where a store is an interrupt");
    tap_is(memory_map_at(va, pte_of(0xfeeff, PTE_DEVICE)), -XEN_EPERM, "nor the last of these");
    tap_is(memory_map_at(va, pte_of(0xfee80, PTE_RO)), -XEN_EPERM, "nor to be read");
    tap_is(memory_map_at(va, pte_of(0xfec00, PTE_DEVICE)), -XEN_EPERM, "nor the IO-APIC");
    tap_is(memory_map_at(va, pte_of(0xfef00, PTE_DEVICE)), 0, "but what lies above");
    tap_is(memory_map_at(va, pte_of(0xfed00, PTE_DEVICE)), 0, "the timers (HPET) can be mapped");
    tap_ok(!(*memory_entry(va, 1) & PTE_W), "to be read: they can send messages, too");
}

/* --- MSI-X --- */

static void test_msix(void)
{
    evtchn_port_t port, second;
    int pirq = -1, other = -1;

    tap_is(map_entry(2, &pirq), 0, "map entry 2");
    first_pirq = pirq;
    tap_is(map_entry(0, &other), 0, "map entry 0");
    tap_is(other, pirq - 1, "its number is the next lower one");
    tap_is(bind(pirq, &port), 0, "bind");
    tap_is(bind(pirq, &second), -XEN_EEXIST, "bind: bound already");
    registers[CARD_VECTORS] = (8u | 2) << CARD_VECTORS_OTHER;
    enable_msix(0x8000);
    tap_is(config_read((unsigned)card, msix + 2, 2) & 0xc000, 0x8000, "enabled");
    for (int i = 1; i <= 3; i++) {
        ask();
        tap_ok(arrives(port), "message %d arrives", i);
        event_clear(port);
        tap_is(eoi(pirq), 0, "eoi");
    }
    struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
    tap_is(event_status(port, &status), 0, "status");
    tap_is((long)status.u.pirq, pirq, "status: its number");
    tap_is(device_op(PHYSDEVOP_restore_msi_ext, 0, card), 0, "restore_msi_ext");
    ask();
    tap_ok(arrives(port), "it arrives after that");
    tap_is(event_close(port), 0, "close");
    tap_is(unmap(pirq), 0, "unmap");
    tap_is(unmap(pirq), -XEN_EINVAL, "unmap: not mapped any more");
    tap_is(bind(pirq, &port), -XEN_EPERM, "bind: not mapped any more");
    tap_is(unmap(other), 0, "unmap the other");
    enable_msix(0);
    tap_is(map_entry(2, &pirq), 0, "map again");
    tap_is(pirq, first_pirq, "the highest number is free again");
    tap_is(unmap(pirq), 0, "unmap");
}

/* --- MSI --- */

static void test_msi(void)
{
    evtchn_port_t port;
    int pirq = -1;

    tap_is(map_msi(&pirq), 0, "map MSI");
    tap_is(pirq, first_pirq, "it has the highest number");
    tap_is_hex(config_read((unsigned)card, msi + 4, 4) & 0xfff00000, 0xfee00000,
               "the hypervisor has written the address");
    tap_is(bind(pirq, &port), 0, "bind MSI");
    config_write((unsigned)card, msi + 2, 2, 1);
    tap_is(config_read((unsigned)card, msi + 2, 2) & 0x71, 1, "enabled, for one message");
    ask();
    tap_ok(arrives(port), "the message arrives");
    (void)registers[CARD_CAUSE];
    tap_is(event_close(port), 0, "close");
    tap_is(unmap(pirq), 0, "unmap MSI");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MULTI_MSI, -1, -1, 0, card, 1, 0, &pirq), 0,
           "map several: one");
    tap_is(unmap(pirq), 0, "unmap it");
}

/* --- numbers --- */

static void test_numbers(void)
{
    uint32_t line = 0, message = 0, next = 0;
    int pirq;

    tap_is(free_pirq(MAP_PIRQ_TYPE_GSI, &line), 0, "get_free_pirq: a line's");
    tap_is(line, 16, "the first that is not ISA's");
    tap_is(free_pirq(MAP_PIRQ_TYPE_GSI, &line), 0, "get_free_pirq: a line's again");
    tap_is(line, 17, "the next");
    tap_is(free_pirq(MAP_PIRQ_TYPE_MSI, &message), 0, "get_free_pirq: a message's");
    tap_is(message, first_pirq, "the highest");
    tap_is(free_pirq(MAP_PIRQ_TYPE_MSI, &next), 0, "get_free_pirq: a message's again");
    tap_is(next, first_pirq - 1, "the next lower");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, -1, (int)next, 0, card, 0, 0, &pirq), 0,
           "map MSI as a number that is kept");
    tap_is(pirq, (long)next, "it has it");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, -1, (int)next, 0, card, 0, 0, NULL), -XEN_EEXIST,
           "map: the number is taken");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, -1, 5, 0, card, 0, 0, NULL), -XEN_EINVAL,
           "map: a line's number");
    tap_is(unmap(pirq), 0, "unmap");
    tap_is(unmap((int)message), 0, "a kept number is given back");
}

static void test_eoi_map(void)
{
    uint64_t *page = page_alloc();
    struct physdev_pirq_eoi_gmfn op = {.gmfn = ~0ull};
    evtchn_port_t port;
    int pirq;

    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EINVAL,
           "pirq_eoi_gmfn: no such frame");
    op.gmfn = memory_root_mfn();
    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EINVAL,
           "pirq_eoi_gmfn: a page table");
    op.gmfn = 0xfef00;
    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EINVAL,
           "pirq_eoi_gmfn: no memory");
    op.gmfn = page_mfn(page);
    page[0] = page[1] = page[2] = page[3] = ~0ull;
    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), 0, "pirq_eoi_gmfn");
    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EBUSY,
           "pirq_eoi_gmfn: again");
    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v1, &op), -XEN_EBUSY,
           "pirq_eoi_gmfn_v1: again");
    tap_is(map_entry(1, &pirq), 0, "map entry 1");
    tap_is(bind(pirq, &port), 0, "bind");
    tap_ok(!(page[pirq / 64] >> pirq % 64 & 1), "a message needs no EOI: its bit is clear");
    tap_is(event_close(port), 0, "close");
    tap_is(unmap(pirq), 0, "unmap");
    tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_GSI, 11, 11, 0, 0, 0, 0, &pirq), 0, "map line 11");
    page[0] = 0;
    tap_is(bind(11, &port), 0, "bind it");
    tap_is(page[0], 1 << 11, "a line that its level triggers needs one: its bit is set");
    tap_is(event_close(port), 0, "close");
    tap_is(unmap(11), 0, "unmap it");
}

void guest_main(void)
{
    event_init();
    if (!guest_is_first()) {
        test_without();
        return;
    }
    card_begin();
    test_refusals();
    test_frames();
    test_msix();
    test_msi();
    test_numbers();
    test_eoi_map();
}
