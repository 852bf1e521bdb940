/*
 * A network card, e1000e, for tests of interrupts: it sends one when it is told to, by its line, as MSI or as MSI-X.  Each image that
 * includes this has the card to itself.
 */
#pragma once

#include "clock.h"
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "pci.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>
#include <xen/sched.h>

#define SECOND     1000000000ull
#define PTE_DEVICE (PTE_RW | PTE_PWT | PTE_PCD)

enum { MSI = 0x05, MSIX = 0x11 };

static int card;                     /* its function; -1: none */
static unsigned msi, msix;           /* where its capabilities are */
static volatile uint32_t *registers; /* of the card */

static inline long map_as(domid_t domain, int type, int index, int pirq, int bus, int devfn,
                          int entry, uint64_t base, int *out)
{
    struct physdev_map_pirq op = {.domid = domain,
                                  .type = type,
                                  .index = index,
                                  .pirq = pirq,
                                  .bus = bus,
                                  .devfn = devfn,
                                  .entry_nr = entry,
                                  .table_base = base};
    long rc = hypercall_physdev_op(PHYSDEVOP_map_pirq, &op);
    if (out)
        *out = op.pirq;
    return rc;
}

static inline uint64_t bar(unsigned n)
{
    return config_read((unsigned)card, 0x10 + 4 * n, 4) & ~0xful;
}

static inline long map_entry(int entry, int *pirq)
{
    return map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI_SEG, -1, -1, 0, card, entry, bar(3), pirq);
}

static inline long map_msi(int *pirq)
{
    return map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI, -1, -1, 0, card, 0, 0, pirq);
}

static inline long unmap(int pirq)
{
    struct physdev_unmap_pirq op = {.domid = DOMID_SELF, .pirq = pirq};
    return hypercall_physdev_op(PHYSDEVOP_unmap_pirq, &op);
}

static inline long bind(int pirq, evtchn_port_t *port)
{
    struct evtchn_bind_pirq op = {.pirq = (uint32_t)pirq};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_pirq, &op);
    *port = op.port;
    return rc;
}

static inline long eoi(int pirq)
{
    struct physdev_eoi op = {.irq = (uint32_t)pirq};
    return hypercall_physdev_op(PHYSDEVOP_eoi, &op);
}

static inline long free_pirq(int type, uint32_t *pirq)
{
    struct physdev_get_free_pirq op = {.type = type};
    long rc = hypercall_physdev_op(PHYSDEVOP_get_free_pirq, &op);
    *pirq = op.pirq;
    return rc;
}

static inline long device_op(unsigned cmd, unsigned segment, int function)
{
    struct physdev_pci_device_add op = {
        .seg = (uint16_t)segment, .bus = (uint8_t)(function >> 8), .devfn = (uint8_t)function};
    return hypercall_physdev_op(cmd, &op);
}

static inline long old_device_op(unsigned cmd, int function)
{
    struct physdev_manage_pci_ext op = {.bus = (uint8_t)(function >> 8),
                                        .devfn = (uint8_t)function};
    return hypercall_physdev_op(cmd, &op);
}

/* Waits until @port is pending, some seconds at most. */
static inline bool arrives(evtchn_port_t port)
{
    const uint64_t end = clock_ns() + 20 * SECOND;

    while (!event_pending(port) && clock_ns() < end)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    return event_pending(port);
}

/* The card is told to send one. */
static inline void ask(void)
{
    registers[CARD_MASK_SET] = CARD_CAUSE_OTHER;
    registers[CARD_AUTO_CLEAR] = CARD_CAUSE_OTHER;
    registers[CARD_CAUSE_SET] = CARD_CAUSE_OTHER;
}

static inline void enable_msix(unsigned bits)
{
    config_write((unsigned)card, msix + 2, 2,
                 (config_read((unsigned)card, msix + 2, 2) & 0x3fff) | bits);
}

/* The card that is @function is the one meant: it answers, and its registers are mapped. */
static inline void card_use(int function)
{
    struct physdev_set_iopl level = {.iopl = 1};

    hypercall_physdev_op(PHYSDEVOP_set_iopl, &level);
    card = function;
    if (config_read((unsigned)card, 0, 4) != (CARD_DEVICE << 16 | CARD_VENDOR))
        tap_bail_out("the machine has no e1000e");
    config_write((unsigned)card, 4, 2, 6); /* memory, bus master */
    msi = config_capability((unsigned)card, MSI);
    msix = config_capability((unsigned)card, MSIX);
    registers = memory_map_frame(bar(0) >> PAGE_SHIFT, PTE_DEVICE);
}

#define CARD_FIRST  0x20 /* where the tests' machines have it, and a second one */
#define CARD_SECOND 0x28

static inline void card_begin(void)
{
    card_use(CARD_FIRST);
}
