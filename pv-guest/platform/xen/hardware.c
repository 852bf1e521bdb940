/*
 * The machine's devices, for a domain that has them (the hardware role): ports, registers in memory, interrupts.
 *
 * Registers are mapped in the window (map-window.h).  The hypervisor writes a device's MSI-X table: it maps a message to a
 * number (PHYSDEVOP_map_pirq), and that is bound to an event channel.
 */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/physdev.h>

#include "kernel/lib/errno.h"
#include "platform/platform.h"
#include "platform/xen/hardware.h"
#include "platform/xen/machine.h"
#include "platform/xen/map-window.h"

#define PTE_UNCACHED (1ul << 3 | 1ul << 4) /* PWT, PCD */

void hardware_init(void)
{
    struct physdev_set_iopl level = {.iopl = 1};
    (void)hypercall_physdev_op(PHYSDEVOP_set_iopl, &level);
}

uint64_t hardware_address(const void *pointer)
{
    return machine_address(pointer);
}

/* ---- Ports ---- */

void hardware_out(uint16_t port, unsigned bytes, uint32_t value)
{
    if (bytes == 1)
        __asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(port));
    else if (bytes == 2)
        __asm__ volatile("outw %w0, %w1" : : "a"(value), "d"(port));
    else
        __asm__ volatile("outl %0, %w1" : : "a"(value), "d"(port));
}

uint32_t hardware_in(uint16_t port, unsigned bytes)
{
    uint32_t value = 0;
    if (bytes == 1)
        __asm__ volatile("inb %w1, %b0" : "+a"(value) : "d"(port));
    else if (bytes == 2)
        __asm__ volatile("inw %w1, %w0" : "+a"(value) : "d"(port));
    else
        __asm__ volatile("inl %w1, %0" : "+a"(value) : "d"(port));
    return value;
}

/* ---- Registers in memory ---- */

volatile void *hardware_map(uint64_t address, size_t size)
{
    const uint64_t first = address & PAGE_MASK;
    const unsigned count = PAGES_FOR(address - first + size);
    const uintptr_t at = address >> 52 ? 0 : map_window_take(count);
    platform_commit();
    for (unsigned i = 0; at && i < count; i++) {
        const uint64_t entry =
            (first + i * PAGE_SIZE) | PTE_P | PTE_W | PTE_A | PTE_D | PTE_UNCACHED | pte_nx;
        /* What has been mapped before stays, and so does its place. */
        if (hypercall_update_va_mapping(at + i * PAGE_SIZE, entry, UVMF_INVLPG | UVMF_ALL))
            return NULL;
    }
    return at ? (volatile char *)at + (address - first) : NULL;
}

/* ---- Interrupts ---- */

static struct {
    void (*handler)(void *argument);
    void *argument;
} messages[EVENT_PORTS];

static void message(unsigned port)
{
    messages[port].handler(messages[port].argument);
}

void hardware_announce(hardware_function function)
{
    struct physdev_pci_device_add op = {.bus = (uint8_t)(function >> 8),
                                        .devfn = (uint8_t)function};
    (void)hypercall_physdev_op(PHYSDEVOP_pci_device_add, &op);
}

int hardware_message(hardware_function function, unsigned entry, uint64_t table,
                     void (*handler)(void *argument), void *argument)
{
    struct physdev_map_pirq map = {.domid = DOMID_SELF,
                                   .type = MAP_PIRQ_TYPE_MSI_SEG,
                                   .index = -1,
                                   .pirq = -1,
                                   .bus = (int)(function >> 8),
                                   .devfn = (int)(function & 0xff),
                                   .entry_nr = (int)entry,
                                   .table_base = table};
    long rc = hypercall_physdev_op(PHYSDEVOP_map_pirq, &map);
    if (rc)
        return (int)rc;
    struct evtchn_bind_pirq bind = {.pirq = (uint32_t)map.pirq};
    rc = hypercall_event_channel_op(EVTCHNOP_bind_pirq, &bind);
    if (!rc && bind.port >= EVENT_PORTS) {
        struct evtchn_close close = {bind.port};
        (void)hypercall_event_channel_op(EVTCHNOP_close, &close);
        rc = -ENOSPC;
    }
    if (rc) {
        struct physdev_unmap_pirq unmap = {.domid = DOMID_SELF, .pirq = map.pirq};
        (void)hypercall_physdev_op(PHYSDEVOP_unmap_pirq, &unmap);
        return (int)rc;
    }
    messages[bind.port].handler = handler;
    messages[bind.port].argument = argument;
    event_handle_port(vcpu_first(), bind.port, message);
    return 0;
}
