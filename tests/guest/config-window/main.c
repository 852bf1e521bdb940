/*
 * Question: where PCI configuration space can be seen in memory (MCFG, the machine q35), is it the same as by the ports, and is what a
 * domain may not write there not written this way either?
 *
 * A page for each function.  They can be mapped by who has the hardware role; the hypervisor makes the stores, and looks at them.
 */
#include "card.h"
#include "trap.h"

#define WINDOW 0xb0000000ul

static long reserved(uint64_t address, unsigned segment, unsigned last_bus)
{
    struct physdev_pci_mmcfg_reserved op = {.address = address,
                                            .segment = (uint16_t)segment,
                                            .end_bus = (uint8_t)last_bus,
                                            .flags = XEN_PCI_MMCFG_RESERVED};
    return hypercall_physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &op);
}

static void test_question(void)
{
    tap_is(reserved(WINDOW, 0, 255), 0, "pci_mmcfg_reserved");
    tap_is(reserved(WINDOW + 0x1000000, 0, 255), -XEN_EIO, "pci_mmcfg_reserved: elsewhere");
    tap_is(reserved(WINDOW, 1, 255), -XEN_ENODEV, "pci_mmcfg_reserved: no such segment");
    tap_is(reserved(WINDOW, 0, 254), -XEN_ENODEV, "pci_mmcfg_reserved: fewer buses");
}

static void test_stores(volatile uint8_t *page)
{
    volatile uint16_t *command = (volatile uint16_t *)(page + 4);
    volatile uint32_t *base = (volatile uint32_t *)(page + 0x10);
    const uint32_t was = *base;

    tap_is(TRAPS(*command = 0), NO_TRAP, "a store of two bytes");
    tap_is(config_read((unsigned)card, 4, 2) & 6, 0, "is made");
    tap_is(TRAPS(*(volatile uint8_t *)command = 6), NO_TRAP, "a store of one byte");
    tap_is(config_read((unsigned)card, 4, 2) & 6, 6, "is made");
    tap_is(TRAPS(*base = ~0u), NO_TRAP, "a store of four bytes");
    tap_ok(config_read((unsigned)card, 0x10, 4) != was, "is made");
    *base = was;
    tap_is(config_read((unsigned)card, 0x10, 4), was, "and another");
    tap_is(TRAPS(*(volatile uint64_t *)base = ~0ull), NO_TRAP, "a store of eight bytes");
    tap_is(config_read((unsigned)card, 0x10, 4), was, "is none: the bus knows none");
    tap_is(TRAPS(*(volatile uint32_t *)(page + 0x100) = ~0u), NO_TRAP,
           "a store behind the first 256 bytes");
    tap_is(TRAPS(__asm__ volatile("lock andw $-5, (%0)"
                                  :
                                  : "r"(command)
                                  : "memory")),
           NO_TRAP, "a locked and");
    tap_is(config_read((unsigned)card, 4, 2) & 6, 2, "is made");
}

static void test_capabilities(volatile uint8_t *page)
{
    volatile uint32_t *address = (volatile uint32_t *)(page + msi + 4);
    volatile uint16_t *control = (volatile uint16_t *)(page + msi + 2);
    volatile uint16_t *control_x = (volatile uint16_t *)(page + msix + 2);
    const uint32_t was = *address;

    *address = 0xfee55000;
    tap_is(*address, was, "the address of MSI is not the guest's");
    *control |= 1;
    tap_ok(!(*control & 1), "MSI is not enabled while nothing is mapped");
    *control_x = 0x8000;
    tap_is(*control_x & 0xc000, 0xc000, "MSI-X stays masked while nothing is mapped");
    *control_x = 0;
}

void guest_main(void)
{
    event_init();
    card_begin();
    test_question();
    volatile uint8_t *page = memory_map_frame((WINDOW >> PAGE_SHIFT) + (unsigned)card, PTE_DEVICE);
    tap_ok(!(*memory_entry((unsigned long)page, 1) & PTE_W), "a page of it is mapped to be read");
    tap_is(*(volatile uint32_t *)page, config_read((unsigned)card, 0, 4),
           "it shows what the ports show");
    test_stores(page);
    test_capabilities(page);
}
