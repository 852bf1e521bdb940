/* Capabilities behind the first 256 bytes of a function's configuration space, which only ECAM shows (x86/devices/pci.c). */
#pragma once

#include "types.h"

#define PCI_EXTENDED            0x100u
#define PCI_EXTENDED_RESIZE     0x15u /* BARs get another size */
#define PCI_EXTENDED_RESIZE_VFS 0x24u /* those of virtual functions */
#define PCI_EXTENDED_MOST       960u  /* there is no room for more */

/*
 * Is the byte at @offset one of a capability by which BARs get another size?  The list is read by @read, four bytes at @offset of the
 * function at @page.
 */
static inline bool pci_extended_resizes(uint32_t (*read)(uint64_t page, unsigned offset),
                                        uint64_t page, unsigned offset)
{
    unsigned at = PCI_EXTENDED;

    for (unsigned i = 0; at >= PCI_EXTENDED && i < PCI_EXTENDED_MOST; i++) {
        const uint32_t head = read(page, at);
        const unsigned id = head & 0xffff;
        if (head == 0 || head == ~0u)
            return false;
        if (id == PCI_EXTENDED_RESIZE || id == PCI_EXTENDED_RESIZE_VFS) {
            const unsigned bars = read(page, at + 8) >> 5 & 7; /* as the first one's control says */
            if (offset >= at && offset < at + 4 + 8 * (bars ? bars : 1))
                return true;
        }
        at = head >> 20 & 0xffc;
    }
    return false;
}
