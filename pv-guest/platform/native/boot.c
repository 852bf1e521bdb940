/*
 * Start of day: from what a PVH or Multiboot 2 loader left to kernel_start.
 *
 * Page numbers are the machine's own, with the first megabyte's among them:
 *
 *      BIOS, loader's data | image | kernel's page tables | free ... [ramdisk] | devices | more RAM
 *      0                   IMAGE_PHYS                     first_free           hole      4 GiB
 */
#include <stdint.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "kernel/memory/page.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "platform/native/machine.h"
#include "platform/platform.h"

#define EARLY_END 0x40000000ul /* the boot's page tables map the first gigabyte */

NORETURN void boot_start(uint32_t info_at, uint32_t magic);

/* What the loader wrote at physical address @at; the direct map has it, early and late. */
static const void *loader_data(uint64_t at)
{
    return (const void *)(DIRECT_MAP_BASE + at);
}

/* Where the RAM ends that begins at or below @start; @start if there is none. */
static uint64_t ram_end(const struct hvm_start_info *info, uint64_t start)
{
    const struct hvm_memmap_table_entry *map = loader_data(info->memmap_paddr);
    const uint32_t entries = info->version >= 1 ? info->memmap_entries : 0;
    for (uint32_t i = 0; i < entries; i++)
        if (map[i].type == XEN_HVM_MEMMAP_TYPE_RAM && map[i].addr <= start &&
            map[i].addr + map[i].size > start)
            return map[i].addr + map[i].size;
    return start;
}

static struct hvm_modlist_entry ramdisk_of(const struct hvm_start_info *info)
{
    const struct hvm_modlist_entry *modules = loader_data(info->modlist_paddr);
    return info->nr_modules ? modules[0] : (struct hvm_modlist_entry){0};
}

/* Tables go behind the image, or behind the ramdisk if that is where it is. */
static pfn_t tables_start(const struct hvm_modlist_entry *ramdisk, uint64_t ram)
{
    extern const char image_end[];
    const uint64_t image = (uintptr_t)image_end - KERNEL_BASE;
    const uint64_t tables = (ram / (1ul << 21) + TABLE_ENTRIES) * 8; /* amply */
    const bool in_the_way = ramdisk->size && ramdisk->paddr < image + tables;
    const uint64_t start = in_the_way ? ramdisk->paddr + ramdisk->size : image;
    if (start + tables > EARLY_END)
        panic("kernel and ramdisk leave no room for page tables below 1 GiB");
    return pfn(PAGES_FOR(start));
}

void boot_start(uint32_t info_at, uint32_t magic)
{
    static char command_line[COMMAND_LINE_SIZE];
    const struct hvm_start_info *info = loader_data(info_at);
    if (magic == MULTIBOOT_LOADED)
        info = multiboot_read(info);

    /* Once these have run a panic is heard, has a verdict, and knows its CPU. */
    serial_init();
    if (info->cmdline_paddr)
        text_copy(command_line, loader_data(info->cmdline_paddr), sizeof(command_line));
    shutdown_init(command_line);
    cpu_init(0);
    if (info->magic != XEN_HVM_START_MAGIC_VALUE)
        panic("the loader speaks neither PVH nor Multiboot 2");

    const uint64_t low = ram_end(info, IMAGE_PHYS), high = ram_end(info, FOUR_GIB);
    if (low == IMAGE_PHYS)
        panic("the loader's map of memory does not have the kernel in it");
    const struct hvm_modlist_entry ramdisk = ramdisk_of(info);
    if (ramdisk.paddr + ramdisk.size > low)
        panic("the ramdisk at %lx lies outside of RAM, which ends at %lx", ramdisk.paddr, low);
    mmu_init(tables_start(&ramdisk, high), low, high);
    acpi_init(info->rsdp_paddr);
    apic_init();
    serial_interrupt_on();
    time_init();

    const struct platform_boot boot = {
        .command_line = command_line,
        .page_count = (high > FOUR_GIB ? high : low) >> PAGE_SHIFT,
        .hole_start = pfn(high > FOUR_GIB ? low >> PAGE_SHIFT : 0),
        .hole_end = pfn(high > FOUR_GIB ? FOUR_GIB >> PAGE_SHIFT : 0),
        .first_free = mmu_first_free(),
        .ramdisk = ramdisk.size ? loader_data(ramdisk.paddr) : NULL,
        .ramdisk_size = ramdisk.size,
        .name = "bare machine",
    };
    kernel_start(&boot);
}
