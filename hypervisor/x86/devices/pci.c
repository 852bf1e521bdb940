/*
 * PCI configuration space, and who may write what there.
 *
 *     hypervisor ---------------> pci_read(), pci_write() ---> ports 0xcf8, 0xcfc, under a lock
 *     domain: ports 0xcf8..0xcff -> its own latch -> messages_config_write() -^
 *     domain: memory (ECAM) ------> read-only for it; its stores are made here, by the same way
 *
 * The port 0xcf8 holds an address, and 0xcfc is what is there: between the two nobody else may come.  So a domain's address stays in a
 * latch of its own, and reaches the port only together with the access.  What a device would send as interrupts is the
 * hypervisor's to say: messages.c looks at every write.
 */
#include "pci.h"

#include "device-memory.h"
#include "lock.h"
#include "machine.h"
#include "messages.h"
#include "pci-extended.h"
#include "refuse.h"

#define ADDRESS_PORT   0xcf8
#define DATA_PORT      0xcfc
#define ADDRESS_ENABLE BIT(31)

#define STATUS              0x06
#define STATUS_CAPABILITIES BIT(4)
#define CAPABILITIES        0x34
#define CAPABILITIES_MOST   48u /* there is no room for more */

static spinlock_t lock = SPINLOCK_INIT(PCI);

static void address_set(uint16_t function, unsigned offset)
{
    outl(ADDRESS_PORT, (uint32_t)(ADDRESS_ENABLE | (uint32_t)function << 8 | (offset & 0xfc)));
}

uint32_t pci_read(uint16_t function, unsigned offset, unsigned bytes)
{
    const uint16_t port = (uint16_t)(DATA_PORT + offset % 4);

    spin_lock(&lock);
    address_set(function, offset);
    const uint32_t value = bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
    spin_unlock(&lock);
    return value;
}

void pci_write(uint16_t function, unsigned offset, unsigned bytes, uint32_t value)
{
    const uint16_t port = (uint16_t)(DATA_PORT + offset % 4);

    spin_lock(&lock);
    address_set(function, offset);
    if (bytes == 1)
        outb(port, (uint8_t)value);
    else if (bytes == 2)
        outw(port, (uint16_t)value);
    else
        outl(port, value);
    spin_unlock(&lock);
}

bool pci_is_there(uint16_t function)
{
    return pci_read(function, 0, 2) != 0xffff;
}

unsigned pci_capability(uint16_t function, uint8_t id)
{
    if (!pci_is_there(function) || !(pci_read(function, STATUS, 2) & STATUS_CAPABILITIES))
        return 0;
    unsigned at = pci_read(function, CAPABILITIES, 1) & 0xfc;
    for (unsigned i = 0; at >= 0x40 && i < CAPABILITIES_MOST; i++) {
        const uint32_t head = pci_read(function, at, 2);
        if ((head & 0xff) == id)
            return at;
        at = head >> 8 & 0xfc;
    }
    return 0;
}

/* --- the ports, as a domain sees them --- */

/* An access that lies across two registers reaches none, as on the bus. */
static bool is_data(uint32_t latch, uint16_t port, unsigned bytes)
{
    return port >= DATA_PORT && port % 4 + bytes <= 4 && port % bytes == 0 &&
           (latch & ADDRESS_ENABLE);
}

uint32_t pci_port_read(const uint32_t *latch, uint16_t port, unsigned bytes)
{
    const uint32_t at = atomic_read(latch);

    if (port == ADDRESS_PORT && bytes == 4)
        return at;
    if (!is_data(at, port, bytes))
        return ~0u;
    return pci_read((uint16_t)(at >> 8), (at & 0xfc) + port % 4, bytes);
}

void pci_port_write(uint32_t *latch, uint16_t port, unsigned bytes, uint32_t value)
{
    const uint32_t at = atomic_read(latch);

    if (port == ADDRESS_PORT && bytes == 4)
        atomic_set(latch, value);
    else if (is_data(at, port, bytes))
        messages_config_write((uint16_t)(at >> 8), (at & 0xfc) + port % 4, bytes, value);
}

/* --- ECAM, configuration space in memory: a page for each function, its first 256 bytes as by the ports --- */

void pci_ecam_init(void)
{
    for (unsigned i = 0; i < acpi.ecams; i++) {
        const struct pci_ecam *e = &acpi.ecam[i];
        const uint64_t first = (e->address >> PAGE_SHIFT) + e->first_bus * 256u;
        /* a list that is full: some of it is out of reach, which is safe */
        if (!device_memory_protect(first, first + (e->last_bus - e->first_bus + 1u) * 256 - 1))
            device_memory_hide(first, first + (e->last_bus - e->first_bus + 1u) * 256 - 1);
    }
}

int pci_ecam_confirm(uint64_t address, unsigned segment, unsigned first_bus, unsigned last_bus)
{
    for (unsigned i = 0; i < acpi.ecams; i++) {
        const struct pci_ecam *e = &acpi.ecam[i];
        if (e->segment == segment && e->first_bus == first_bus && e->last_bus == last_bus)
            return e->address == address ? 0 : refuse(PCI_ECAM_ELSEWHERE, address, e->address);
    }
    return refuse(PCI_ECAM_MISSING, segment, first_bus, last_bus);
}

static const struct pci_ecam *ecam_at(uint64_t maddr)
{
    for (unsigned i = 0; i < acpi.ecams; i++) {
        const struct pci_ecam *e = &acpi.ecam[i];
        if (maddr - e->address >= (uint64_t)e->first_bus << 20 &&
            maddr - e->address < (e->last_bus + 1ull) << 20)
            return e;
    }
    return NULL;
}

static uint32_t extended_read(uint64_t page, unsigned offset)
{
    return device_memory_read(page + offset, 4);
}

void pci_ecam_write(uint64_t maddr, unsigned bytes, uint64_t value)
{
    const struct pci_ecam *e = ecam_at(maddr);
    const unsigned offset = maddr % PAGE_SIZE;

    if (!e || bytes > 4 || offset % bytes)
        return;
    /* Behind the first 256 bytes there are no messages.  What gives BARs another size is nobody's.  Segments other than
     * the first are not served: nothing is written to their first 256 bytes. */
    if (offset >= 256 && device_memory_read((maddr & PAGE_MASK) + PCI_CLASS, 2) == PCI_CLASS_HOST)
        return;
    if (offset >= 256 && !pci_extended_resizes(extended_read, maddr & PAGE_MASK, offset))
        device_memory_write(maddr, bytes, (uint32_t)value);
    if (offset >= 256)
        return;
    if (!e->segment)
        messages_config_write((uint16_t)((maddr - e->address) >> PAGE_SHIFT), offset, bytes,
                              (uint32_t)value);
}
