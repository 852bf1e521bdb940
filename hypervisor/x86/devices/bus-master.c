/*
 * Bus masters: devices that read and write memory by themselves (DMA), as a domain's driver tells them to.
 *
 * When a domain with the hardware role ends, its memory becomes others'; before that none of its devices may write there any more.  A
 * device is that of the domain that has switched it on last (PCI_COMMAND_MASTER).  One of which nobody is known, as the firmware
 * switched it on, ends with any of them.  So who switches on is always noted, and where there is no room the device stays off.
 *
 * What a device has begun before, it may still finish: that can only be its own reset's affair (SECURITY.md).
 */
#include "bus-master.h"

#include "domain.h"
#include "lib.h"
#include "lock.h"
#include "messages.h"
#include "pci.h"
#include "sched.h"

#define MASTERS        64u
#define HEADER_SEVERAL 0x80u /* a device of several functions */

static struct {
    uint16_t function;
    domid_t user;
} masters[MASTERS];
static unsigned count;
static spinlock_t lock = SPINLOCK_INIT(MASTERS); /* guards both */

bool bus_master_begin(uint16_t function, domid_t user)
{
    unsigned i = 0;

    spin_lock(&lock);
    while (i < count && masters[i].function != function)
        i++;
    const bool room = i < MASTERS;
    if (room) {
        masters[i].function = function;
        masters[i].user = user;
        count = MAX(count, i + 1);
    }
    spin_unlock(&lock);
    return room;
}

/* @d's are nobody's. */
static void masters_forget(const struct domain *d)
{
    spin_lock(&lock);
    for (unsigned i = 0; i < count;) {
        if (masters[i].user == d->id)
            masters[i] = masters[--count];
        else
            i++;
    }
    spin_unlock(&lock);
}

static bool is_somebodys(uint16_t function)
{
    bool found = false;

    spin_lock(&lock);
    for (unsigned i = 0; i < count; i++)
        found |= masters[i].function == function;
    spin_unlock(&lock);
    return found;
}

/* Bridges pass on what others send: whether they do is left alone. */
static void device_end(uint16_t first)
{
    const unsigned header = pci_read(first, PCI_HEADER_TYPE, 1),
                   functions = header & HEADER_SEVERAL ? 8 : 1;

    for (unsigned i = 0; i < functions; i++) {
        const uint16_t function = (uint16_t)(first + i);
        if (pci_is_there(function) && (pci_read(function, PCI_HEADER_TYPE, 1) & 0x7f) == 0 &&
            pci_read(function, PCI_CLASS, 2) != PCI_CLASS_HOST && !is_somebodys(function))
            messages_master_off(function);
    }
}

void bus_masters_end(const struct domain *d)
{
    if (!domain_has(d, ROLE_HARDWARE))
        return;
    masters_forget(d);
    for (unsigned first = 0; first < 0x10000; first += 8) {
        if (pci_is_there((uint16_t)first))
            device_end((uint16_t)first);
        if (first % 256 == 0) /* a bus */
            (void)preempt_point();
    }
}
