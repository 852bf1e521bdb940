/*
 * What a device knows of its messages: the capability in its configuration space, and for MSI-X the table in its memory (messages.c has
 * the picture).
 */
#include "message-device.h"

#include "arch-inline.h"
#include "device-memory.h"
#include "machine.h"
#include "pci.h"
#include "refuse.h"
#include "sched.h"

#define ENTRY_SIZE    16u
#define ENTRY_ADDRESS 0u
#define ENTRY_DATA    8u
#define ENTRY_CONTROL 12u
#define ENTRY_MASKED  BIT(0)

#define BAR_PORT 1u
#define BAR_TYPE 6u /* 4: 64 bits wide */

/* A table can be reached only while the device answers to memory accesses. */
static uint16_t memory_decode_begin(const struct message_device *s)
{
    const uint16_t command = (uint16_t)pci_read(s->function, PCI_COMMAND, 2);

    if (!(command & PCI_COMMAND_MEMORY))
        pci_write(s->function, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
    return command;
}

static void memory_decode_end(const struct message_device *s, uint16_t command)
{
    if (!(command & PCI_COMMAND_MEMORY))
        pci_write(s->function, PCI_COMMAND, 2, command);
}

/* Mask first, unmask last: in between address and data do not belong together. */
static void write_msix(const struct message_device *s, const struct message_content *m)
{
    const uint64_t at = s->table + (uint64_t)m->entry * ENTRY_SIZE;
    const uint16_t command = memory_decode_begin(s);

    device_memory_write(at + ENTRY_CONTROL, 4, ENTRY_MASKED);
    device_memory_write(at + ENTRY_ADDRESS, 4, m->address);
    device_memory_write(at + ENTRY_ADDRESS + 4, 4, 0);
    device_memory_write(at + ENTRY_DATA, 4, m->vector);
    if (m->unmasked)
        device_memory_write(at + ENTRY_CONTROL, 4, 0);
    (void)device_memory_read(at + ENTRY_CONTROL, 4); /* it has arrived */
    memory_decode_end(s, command);
}

static void write_msi(const struct message_device *s, const struct message_content *m)
{
    if (s->maskable)
        pci_write(s->function, s->at + MSI_MASK(s->wide), 4, ~0u);
    pci_write(s->function, s->at + MSI_ADDRESS, 4, m->address);
    if (s->wide)
        pci_write(s->function, s->at + MSI_ADDRESS + 4, 4, 0);
    pci_write(s->function, s->at + MSI_DATA(s->wide), 2, m->vector);
    if (s->maskable && m->unmasked)
        pci_write(s->function, s->at + MSI_MASK(s->wide), 4, ~1u);
}

void message_device_write(const struct message_device *s, const struct message_content *m)
{
    if (!s->msix)
        write_msi(s, m);
    else if (s->ready)
        write_msix(s, m);
}

uint16_t message_control_get(const struct message_device *s)
{
    return (uint16_t)pci_read(s->function, s->at + MSI_CONTROL, 2);
}

void message_control_set(const struct message_device *s, unsigned value)
{
    pci_write(s->function, s->at + MSI_CONTROL, 2, value);
}

void message_device_silence(const struct message_device *s)
{
    message_control_set(s, s->msix ? (message_control_get(s) | MSIX_MASK_ALL) & ~MSIX_ENABLE
                                   : message_control_get(s) & ~(MSI_ENABLE | MSI_SEVERAL));
}

/* Mask entries @first to @end - 1.  False: they do not stay so: it is not the table that answers. */
static bool table_mask(const struct message_device *s, unsigned first, unsigned end)
    REQUIRES(&messages_lock)
{
    const uint16_t command = memory_decode_begin(s);
    bool good = true;

    for (unsigned i = first; i < end; i++) {
        const uint64_t at = s->table + i * ENTRY_SIZE + ENTRY_CONTROL;
        device_memory_write(at, 4, ENTRY_MASKED);
        good &= (device_memory_read(at, 4) & ENTRY_MASKED) != 0;
    }
    memory_decode_end(s, command);
    return good;
}

/*
 * Is it this device that answers at @at, the data of a masked entry?  Another one could have been put at the same address, and then our
 * stores would go there.  So: what was stored is read again, but not while the device does not answer to memory accesses.
 */
static bool table_answers(const struct message_device *s, uint64_t at) REQUIRES(&messages_lock)
{
    const uint32_t sign = (uint32_t)rdtsc() * 2654435761u | 1;
    const uint16_t command = memory_decode_begin(s);

    device_memory_write(at, 4, sign);
    bool good = device_memory_read(at, 4) == sign;
    pci_write(s->function, PCI_COMMAND, 2, command & ~PCI_COMMAND_MEMORY);
    good &= device_memory_read(at, 4) != sign;
    pci_write(s->function, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
    good &= device_memory_read(at, 4) == sign;
    memory_decode_end(s, command);
    return good;
}

#define TAKEN_AT_ONCE 64u /* entries between two preemption points */

bool message_table_take(struct message_device *s)
{
    bool good = true;

    spin_lock(&messages_lock);
    message_control_set(s, message_control_get(s) | MSIX_MASK_ALL);
    spin_unlock(&messages_lock);
    for (unsigned i = 0; i < s->entries && good; i += TAKEN_AT_ONCE) {
        spin_lock(&messages_lock);
        good = table_mask(s, i, i + 1) &&
               table_answers(s, s->table + i * ENTRY_SIZE + ENTRY_DATA) &&
               table_mask(s, i + 1, MIN(i + TAKEN_AT_ONCE, s->entries));
        spin_unlock(&messages_lock);
        (void)preempt_point();
    }
    spin_lock(&messages_lock);
    s->ready = good;
    if (!good)
        message_device_silence(s);
    spin_unlock(&messages_lock);
    return good;
}

/* --- the device and its table, found --- */

/* Where the table lies, as the device's BAR says: in device memory of its own, or -XEN_ENXIO. */
static int table_find(struct message_device *s)
{
    const uint32_t word = pci_read(s->function, s->at + MSIX_TABLE, 4);
    const unsigned bar = PCI_BAR + (word & 7) * 4;
    uint64_t base = bar < PCI_BAR_END ? pci_read(s->function, bar, 4) : BAR_PORT;

    s->bar = (uint8_t)bar;
    s->bar_end = (uint8_t)(bar + ((base & BAR_TYPE) == 4 ? 8 : 4));
    if ((base & BAR_TYPE) == 4 && bar + 4 < PCI_BAR_END)
        base |= (uint64_t)pci_read(s->function, bar + 4, 4) << 32;
    s->bar_word[0] = (uint32_t)base;
    s->bar_word[1] = (uint32_t)(base >> 32);
    s->table = (base & ~0xfull) + (word & ~7u);
    s->first_frame = s->table >> PAGE_SHIFT;
    s->last_frame = (s->table + s->entries * ENTRY_SIZE - 1) >> PAGE_SHIFT;
    if ((base & BAR_PORT) || !(base & ~0xfull) || s->last_frame < s->first_frame ||
        !device_memory_is_free(s->first_frame, s->last_frame) ||
        !device_memory_protect(s->first_frame, s->last_frame))
        return refuse(MESSAGE_TABLE_NOWHERE, s->function, s->table);
    return 0;
}

int message_device_find(struct message_device *s, const struct message_source *what)
{
    const unsigned at =
        pci_capability(what->function, what->msix ? PCI_CAPABILITY_MSIX : PCI_CAPABILITY_MSI);

    if (!at)
        return refuse(PCI_CAPABILITY_MISSING, what->function,
                      what->msix ? PCI_CAPABILITY_MSIX : PCI_CAPABILITY_MSI);
    *s = (struct message_device){.function = what->function, .at = (uint8_t)at, .msix = what->msix};
    const unsigned control = message_control_get(s);
    s->wide = control & MSI_WIDE;
    s->maskable = control & MSI_MASKABLE;
    s->entries = what->msix ? (uint16_t)((control & MSIX_ENTRIES) + 1) : 1;
    if (what->entry >= s->entries)
        return refuse(MESSAGE_ENTRY_RANGE, what->entry, what->function, s->entries);
    return what->msix ? table_find(s) : 0;
}

void message_bar_restore(const struct message_device *s)
{
    const uint16_t command = (uint16_t)pci_read(s->function, PCI_COMMAND, 2);

    pci_write(s->function, PCI_COMMAND, 2, command & ~PCI_COMMAND_MEMORY);
    for (unsigned at = s->bar; at < s->bar_end; at += 4)
        pci_write(s->function, at, 4, s->bar_word[(at - s->bar) / 4]);
    pci_write(s->function, PCI_COMMAND, 2, command);
}
