/*
 * Frames that are not RAM: registers of devices, firmware, nothing.
 *
 *     mappable     what a domain with the hardware role may map: all that is not RAM, without what the hypervisor keeps
 *     read_only    of that, what it gets read-only, whatever it asks for: tables of messages (MSI-X) while they are in use, the
 *                  ECAM of PCI (configuration space in memory), and timers that can send messages (HPET)
 *
 * Hidden are the interrupt controllers; and all addresses at which a store is an interrupt (0xfee00000 and the MiB from there): who could
 * write there would send any vector to any CPU.
 */
#include "device-memory.h"

#include "guest.h"
#include "lock.h"
#include "machine.h"
#include "range-set.h"

#define MESSAGES_FIRST 0xfee00000ull /* Intel SDM volume 3, 11.11.1 */
#define MESSAGES_LAST  0xfeefffffull

static struct number_range mappable_room[MAX_RAM_RANGES + 32], read_only_room[128];
static struct range_set mappable = RANGE_SET(mappable_room), read_only = RANGE_SET(read_only_room);
static spinlock_t lock =
    SPINLOCK_INIT(DEVICES); /* guards both sets and the page of registers_at() */

void device_memory_hide(uint64_t first, uint64_t last)
{
    spin_lock(&lock);
    if (!range_set_remove(&mappable, first, last))
        mappable.count = 0; /* so many holes: then nothing may be mapped */
    spin_unlock(&lock);
}

/* May be read, not written: its timers can be told to send their interrupts as messages. */
static void protect_timers(void)
{
    const uint64_t m = acpi.hpet >> PAGE_SHIFT;

    if (m && !device_memory_protect(m, m))
        device_memory_hide(m, m);
}

void device_memory_init(void)
{
    if (!range_set_add(&mappable, 0, (BIT(arch_address_bits()) >> PAGE_SHIFT) - 1))
        BUG();
    for (unsigned i = 0; i < ram_count; i++)
        device_memory_hide(ram[i].start >> PAGE_SHIFT, (ram[i].end >> PAGE_SHIFT) - 1);
    device_memory_hide(MESSAGES_FIRST >> PAGE_SHIFT, MESSAGES_LAST >> PAGE_SHIFT);
    device_memory_hide(acpi.lapic >> PAGE_SHIFT, acpi.lapic >> PAGE_SHIFT);
    device_memory_hide(acpi.ioapic >> PAGE_SHIFT, acpi.ioapic >> PAGE_SHIFT);
    for (unsigned i = 0; i < acpi.ioapics; i++)
        device_memory_hide(acpi.all_ioapics[i] >> PAGE_SHIFT, acpi.all_ioapics[i] >> PAGE_SHIFT);
    protect_timers();
}

bool arch_device_frame_ok(mfn_t m)
{
    spin_lock(&lock);
    const bool ok = range_set_has(&mappable, m.n);
    spin_unlock(&lock);
    return ok;
}

bool arch_device_frame_read_only(mfn_t m)
{
    spin_lock(&lock);
    const bool answer = range_set_has(&read_only, m.n);
    spin_unlock(&lock);
    return answer;
}

bool device_memory_protect(uint64_t first, uint64_t last)
{
    spin_lock(&lock);
    const bool done = range_set_add(&read_only, first, last);
    spin_unlock(&lock);
    return done;
}

void device_memory_unprotect(uint64_t first, uint64_t last)
{
    spin_lock(&lock);
    if (!range_set_remove(&read_only, first, last))
        printk("device memory: frames %lx to %lx stay read-only\n", (unsigned long)first,
               (unsigned long)last);
    spin_unlock(&lock);
}

bool device_memory_is_free(uint64_t first, uint64_t last)
{
    bool answer = true;

    spin_lock(&lock);
    for (uint64_t m = first; m <= last && answer; m++)
        answer = range_set_has(&mappable, m) && !range_set_has(&read_only, m);
    spin_unlock(&lock);
    return answer;
}

/* --- registers: one page, mapped anew for each access, and flushed only here, as it is only used under the lock --- */

static volatile void *registers_at(uint64_t maddr) REQUIRES(&lock)
{
    static char *page;

    if (!page)
        page = device_map(maddr & PAGE_MASK, PAGE_SIZE);
    if (!page || hyp_map((uint64_t)page, maddr_to_mfn(maddr), PTE_OUR_DATA | PTE_PCD | PTE_PWT))
        return NULL;
    arch_tlb_invlpg_local((uint64_t)page);
    return page + maddr % PAGE_SIZE;
}

uint32_t device_memory_read(uint64_t maddr, unsigned bytes)
{
    uint32_t value = ~0u;

    spin_lock(&lock);
    volatile void *at = registers_at(maddr);
    if (at)
        value = bytes == 1   ? *(volatile uint8_t *)at
                : bytes == 2 ? *(volatile uint16_t *)at
                             : *(volatile uint32_t *)at;
    spin_unlock(&lock);
    return value;
}

void device_memory_write(uint64_t maddr, unsigned bytes, uint32_t value)
{
    spin_lock(&lock);
    volatile void *at = registers_at(maddr);
    if (at && bytes == 1)
        *(volatile uint8_t *)at = (uint8_t)value;
    else if (at && bytes == 2)
        *(volatile uint16_t *)at = (uint16_t)value;
    else if (at)
        *(volatile uint32_t *)at = value;
    spin_unlock(&lock);
}
