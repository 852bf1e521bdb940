/* PCI: the functions that there are, and their configuration space (pci.c). */
#pragma once

#include "kernel/lib/base.h"
#include "platform/xen/hardware.h"

/* Registers of configuration space. */
#define PCI_VENDOR          0x00
#define PCI_DEVICE          0x02
#define PCI_COMMAND         0x04
#define PCI_COMMAND_MEMORY  2
#define PCI_COMMAND_MASTER  4
#define PCI_COMMAND_NO_INTX 0x400

#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_MSIX   0x11

uint32_t pci_read(hardware_function function, unsigned offset, unsigned bytes);
void pci_write(hardware_function function, unsigned offset, unsigned bytes, uint32_t value);

/* Call @found for each function that there is, behind bridges, too. */
void pci_for_each(void (*found)(hardware_function function));

/* Where the first capability @id behind @after (0: of all) is; 0: there is none. */
unsigned pci_capability(hardware_function function, unsigned id, unsigned after);

/* The machine address of memory BAR @bar, which firmware has set; 0: it is none. */
uint64_t pci_bar(hardware_function function, unsigned bar);

/* MSI-X: how many messages @function has, all of them masked, and where the table's memory begins; 0: it has none. */
unsigned pci_messages_begin(hardware_function function, uint64_t *table);
/* From now on they are sent. */
void pci_messages_send(hardware_function function);
