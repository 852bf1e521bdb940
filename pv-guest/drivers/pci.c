/*
 * PCI: the functions that there are, and their configuration space.
 *
 * Configuration space is reached by two ports: one takes the address, the other gives or takes up to four bytes there.  The
 * hypervisor passes them on to a domain with the hardware role, except what would change who gets which interrupt; in
 * any other domain they read as ones, so there is no device.  Firmware has set up buses and BARs.
 */
#include "drivers/pci.h"

#define ADDRESS_PORT 0xcf8
#define DATA_PORT    0xcfc
#define ENABLE       0x80000000u

#define HEADER_TYPE   0x0e
#define HEADER_MANY   0x80 /* functions */
#define HEADER_BRIDGE 1
#define SECONDARY_BUS 0x19
#define STATUS        0x06
#define STATUS_LIST   0x10 /* there are capabilities */
#define CAPABILITIES  0x34
#define BAR_FIRST     0x10
#define BAR_PORTS     1
#define BAR_64        4

#define CAPABILITIES_MOST \
    48               /* as many as there is room for: a list that is longer goes in circles */
#define DEPTH_MOST 8 /* of bridges behind each other */

#define MSIX_CONTROL        2
#define MSIX_CONTROL_SIZE   0x07ff
#define MSIX_CONTROL_MASK   0x4000
#define MSIX_CONTROL_ENABLE 0x8000
#define MSIX_TABLE          4 /* its BAR, and its place in there */

static void address(hardware_function function, unsigned offset)
{
    hardware_out(ADDRESS_PORT, 4, ENABLE | function << 8 | (offset & 0xfc));
}

uint32_t pci_read(hardware_function function, unsigned offset, unsigned bytes)
{
    address(function, offset);
    return hardware_in((uint16_t)(DATA_PORT + offset % 4), bytes);
}

void pci_write(hardware_function function, unsigned offset, unsigned bytes, uint32_t value)
{
    address(function, offset);
    hardware_out((uint16_t)(DATA_PORT + offset % 4), bytes, value);
}

static bool is_there(hardware_function function)
{
    return pci_read(function, PCI_VENDOR, 2) != 0xffff;
}

/* Each of a device's functions from @first on; what is behind a bridge goes to scan_bus again. */
static void scan_bus(unsigned bus, unsigned depth, void (*found)(hardware_function function))
{
    for (unsigned slot = 0; slot < 32; slot++) {
        const hardware_function first = bus << 8 | slot << 3;
        if (!is_there(first))
            continue;
        const unsigned count = pci_read(first, HEADER_TYPE, 1) & HEADER_MANY ? 8 : 1;
        for (hardware_function function = first; function < first + count; function++) {
            if (!is_there(function))
                continue;
            const unsigned behind = pci_read(function, SECONDARY_BUS, 1);
            if ((pci_read(function, HEADER_TYPE, 1) & ~HEADER_MANY) != HEADER_BRIDGE)
                found(function);
            else if (behind > bus && depth < DEPTH_MOST)
                scan_bus(behind, depth + 1, found);
        }
    }
}

void pci_for_each(void (*found)(hardware_function function))
{
    if (is_there(0)) /* the host bridge */
        scan_bus(0, 0, found);
}

unsigned pci_capability(hardware_function function, unsigned id, unsigned after)
{
    if (!(pci_read(function, STATUS, 2) & STATUS_LIST))
        return 0;
    unsigned at = pci_read(function, after ? after + 1 : CAPABILITIES, 1) & 0xfc;
    for (unsigned i = 0; at && i < CAPABILITIES_MOST; i++) {
        if (pci_read(function, at, 1) == id)
            return at;
        at = pci_read(function, at + 1, 1) & 0xfc;
    }
    return 0;
}

uint64_t pci_bar(hardware_function function, unsigned bar)
{
    if (bar > 5)
        return 0;
    const unsigned at = BAR_FIRST + 4 * bar;
    const uint32_t low = pci_read(function, at, 4);
    if (low & BAR_PORTS)
        return 0;
    const uint64_t high = low & BAR_64 && bar < 5 ? pci_read(function, at + 4, 4) : 0;
    return high << 32 | (low & ~15u);
}

unsigned pci_messages_begin(hardware_function function, uint64_t *table)
{
    const unsigned at = pci_capability(function, PCI_CAPABILITY_MSIX, 0);
    if (!at)
        return 0;
    *table = pci_bar(function, pci_read(function, at + MSIX_TABLE, 4) & 7);
    if (!*table)
        return 0;
    const unsigned control = pci_read(function, at + MSIX_CONTROL, 2);
    pci_write(function, at + MSIX_CONTROL, 2, control | MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK);
    return (control & MSIX_CONTROL_SIZE) + 1;
}

void pci_messages_send(hardware_function function)
{
    const unsigned at = pci_capability(function, PCI_CAPABILITY_MSIX, 0);
    const unsigned control = pci_read(function, at + MSIX_CONTROL, 2);
    pci_write(function, at + MSIX_CONTROL, 2,
              (control & ~(unsigned)MSIX_CONTROL_MASK) | MSIX_CONTROL_ENABLE);
}
