/*
 * What a domain with the hardware role may write of a device's configuration space: all but what would let it choose an interrupt, move
 * a table of messages, or renumber buses (messages.c says why); and when it begins and ends to be a bus master.
 */
#include "arch.h"
#include "bus-master.h"
#include "message-device.h"
#include "pci.h"

/* One of a capability's bytes: @now, and what it would become. */
static uint8_t msi_byte(unsigned byte, uint8_t now, uint8_t wanted, bool mapped)
{
    if (byte != MSI_CONTROL)
        return now;
    return (uint8_t)((now & ~(MSI_ENABLE | MSI_SEVERAL)) | (mapped ? wanted & MSI_ENABLE : 0));
}

static uint8_t msix_byte(unsigned byte, uint8_t now, uint8_t wanted, bool mapped)
{
    const unsigned enable = MSIX_ENABLE >> 8, mask_all = MSIX_MASK_ALL >> 8;

    if (byte != MSIX_CONTROL + 1)
        return now;
    if (!mapped && (wanted & enable))
        wanted |= mask_all;
    return (uint8_t)((now & ~(enable | mask_all)) | (wanted & (enable | mask_all)));
}

static unsigned msi_length(uint16_t function, unsigned at)
{
    const unsigned control = pci_read(function, at + MSI_CONTROL, 2);

    return (control & MSI_MASKABLE ? MSI_MASK(control & MSI_WIDE) + 8
                                   : MSI_DATA(control & MSI_WIDE) + 2);
}

/* Which bytes of a device's configuration space are looked at. */
struct guard {
    unsigned msi, msi_end, msix, msix_end, bar, bar_end;
    unsigned fixed, fixed_end; /* nobody's */
    bool msi_mapped, msix_mapped;
};

static void guard_make(struct guard *g, uint16_t function, unsigned offset) REQUIRES(&messages_lock)
{
    const struct message_device *s = message_device_of(function);

    *g = (struct guard){.msi_mapped = s && !s->msix, .msix_mapped = s && s->msix && s->ready};
    if (s && s->msix) {
        g->bar = s->bar;
        g->bar_end = s->bar_end;
    }
    /* A host bridge says where configuration space and RAM are.  The numbers of buses behind other bridges say which device is
     * meant by which number. */
    if (pci_read(function, PCI_CLASS, 2) == PCI_CLASS_HOST) {
        g->fixed = 0x40;
        g->fixed_end = 256;
    } else if ((pci_read(function, PCI_HEADER_TYPE, 1) & 0x7f) == PCI_HEADER_BRIDGE &&
               messages_any_mapped()) {
        g->fixed = PCI_BUS_NUMBERS;
        g->fixed_end = PCI_BUS_NUMBERS + 3;
    }
    if (offset < 0x40)
        return; /* there are no capabilities */
    g->msi = pci_capability(function, PCI_CAPABILITY_MSI);
    g->msi_end = g->msi ? g->msi + msi_length(function, g->msi) : 0;
    g->msix = pci_capability(function, PCI_CAPABILITY_MSIX);
    g->msix_end = g->msix ? g->msix + MSIX_LENGTH : 0;
}

static uint8_t guarded_byte(const struct guard *g, unsigned at, uint8_t now, uint8_t wanted)
{
    if (at >= g->fixed && at < g->fixed_end)
        return now;
    if (at >= g->msi && at < g->msi_end)
        return msi_byte(at - g->msi, now, wanted, g->msi_mapped);
    if (at >= g->msix && at < g->msix_end)
        return msix_byte(at - g->msix, now, wanted, g->msix_mapped);
    return at >= g->bar && at < g->bar_end ? now : wanted;
}

void messages_config_write(uint16_t function, unsigned offset, unsigned bytes, uint32_t value)
{
    struct guard g;

    spin_lock(&messages_lock);
    guard_make(&g, function, offset);
    if (offset >= g.fixed &&
        offset + bytes <= g.fixed_end) { /* not even as it is: bits may be cleared by a 1 */
        spin_unlock(&messages_lock);
        return;
    }
    const uint32_t now = g.msi_end | g.msix_end | g.bar_end | g.fixed_end
                             ? pci_read(function, offset, bytes)
                             : value;
    uint32_t made = 0;
    for (unsigned i = 0; i < bytes; i++)
        made |= (uint32_t)guarded_byte(&g, offset + i, (uint8_t)(now >> 8 * i),
                                       (uint8_t)(value >> 8 * i))
                << 8 * i;
    if (offset == PCI_COMMAND && made & PCI_COMMAND_MASTER &&
        !bus_master_begin(function, current_vcpu()->domain->id))
        made &= ~(uint32_t)PCI_COMMAND_MASTER;
    pci_write(function, offset, bytes, made);
    spin_unlock(&messages_lock);
}

void messages_master_off(uint16_t function)
{
    spin_lock(&messages_lock); /* message-device.c changes the same word */
    const uint32_t command = pci_read(function, PCI_COMMAND, 2);
    if (command & PCI_COMMAND_MASTER) {
        pci_write(function, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MASTER);
        (void)pci_read(function, PCI_COMMAND, 2); /* behind all that it has sent */
    }
    spin_unlock(&messages_lock);
}
