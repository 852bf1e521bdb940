/* PCI configuration space (x86/devices/pci.c). */
#pragma once

#include "types.h"

/* A function of a device: bus, device, function as the bus sees them, 16 bits (bus << 8 | devfn), of segment 0. */

/* @bytes (1, 2, 4) at @offset below 256, naturally aligned.  What is not there reads as ones, and writes go nowhere. */
uint32_t pci_read(uint16_t function, unsigned offset, unsigned bytes);
void pci_write(uint16_t function, unsigned offset, unsigned bytes, uint32_t value);
bool pci_is_there(uint16_t function);
/* Where its capability @id begins; 0: it has none. */
unsigned pci_capability(uint16_t function, uint8_t id);

#define PCI_COMMAND         0x04
#define PCI_COMMAND_MEMORY  BIT(1)
#define PCI_COMMAND_MASTER  BIT(2)
#define PCI_CLASS           0x0a
#define PCI_CLASS_HOST      0x0600
#define PCI_HEADER_TYPE     0x0e
#define PCI_HEADER_BRIDGE   1
#define PCI_BUS_NUMBERS     0x18 /* of a bridge: three */
#define PCI_BAR             0x10
#define PCI_BAR_END         0x28
#define PCI_CAPABILITY_MSI  0x05
#define PCI_CAPABILITY_MSIX 0x11

/* --- what a domain with the hardware role does --- */

/* Ports 0xcf8 to 0xcff: does an access to @bytes ports from @port reach one of them? */
static inline bool pci_has_port(uint16_t port, unsigned bytes)
{
    return port < 0xd00 && port + bytes > 0xcf8;
}

/* @latch is the address that the domain has written last. */
uint32_t pci_port_read(const uint32_t *latch, uint16_t port, unsigned bytes);
void pci_port_write(uint32_t *latch, uint16_t port, unsigned bytes, uint32_t value);

/* --- ECAM: configuration space in memory (PCI Express base specification, 7.2.2), where ACPI's MCFG says --- */

void pci_ecam_init(void); /* after acpi_init() */
/* Address, segment, first and last bus as the firmware has said: 0 or -errno. */
int pci_ecam_confirm(uint64_t address, unsigned segment, unsigned first_bus,
                     unsigned last_bus) must_check;
/* A domain's store to a frame that is read-only for it (device-memory.h), at @maddr; made where it is configuration space. */
void pci_ecam_write(uint64_t maddr, unsigned bytes, uint64_t value);
