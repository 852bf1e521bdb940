/*
 * Page tables by plain stores.
 *
 * The kernel's half is built once: the direct map in pages of 2 MiB, the image
 * in pages of 4 KiB (text r-x, constants r--, data rw-), a window for devices.
 * All of it is global: it stays in the TLB when a process's tables are loaded.
 * A process's root has a copy of the 256 entries that lead there, and the tables
 * below them never change, so nothing has to be kept in step.
 */
#include "kernel/lib/errno.h"
#include "kernel/memory/page.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "platform/native/machine.h"
#include "platform/platform.h"

#define PTE_KERNEL_TABLE (PTE_P | PTE_W | PTE_A)
#define PTE_KERNEL       (PTE_P | PTE_A | PTE_GLOBAL)
#define PTE_KERNEL_DATA  (PTE_KERNEL | PTE_W | PTE_D | PTE_NX)
#define LARGE_SIZE       (1ul << 21)
#define DEVICE_SIZE      LARGE_SIZE /* what one L1 table covers */
#define PTE_ADDRESS      0x000ffffffffff000

static pfn_t next_table, kernel_root;
static uintptr_t device_next = DEVICE_BASE;

static void root_load(pfn_t root)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(root.n << PAGE_SHIFT) : "memory");
}

void tlb_flush_here(void)
{
    uint64_t root;
    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(root) : : "memory");
}

/* ---- The kernel's half ------------------------------------------------------------- */

static pfn_t table_take(void)
{
    const pfn_t table = next_table;
    memset(page_at(table), 0, PAGE_SIZE);
    next_table.n++;
    return table;
}

/* The entry of level @level for @address; the tables above it are made on the way. */
static pte_t *kernel_slot(uintptr_t address, int level)
{
    pte_t *table = page_at(kernel_root);
    for (int at = 4; at > level; at--) {
        pte_t *slot = &table[pte_index(address, at)];
        if (!pte_present(*slot))
            *slot = platform_pte(table_take(), PTE_KERNEL_TABLE);
        table = page_at(platform_pte_page(*slot));
    }
    return &table[pte_index(address, level)];
}

static void map(uintptr_t start, uintptr_t end, uint64_t physical, int level, uint64_t flags)
{
    const uint64_t step = PAGE_SIZE << 9 * (level - 1);
    for (uintptr_t at = start; at < end; at += step, physical += step)
        kernel_slot(at, level)->bits = physical | flags | (level > 1 ? PTE_LARGE : 0);
}

static void map_image(uintptr_t start, uintptr_t end, uint64_t flags)
{
    map(start, end, start - KERNEL_BASE, 1, flags);
}

/* What is left at the end of 2 MiB pages is mapped in those of 4 KiB. */
static void map_ram(uint64_t start, uint64_t end)
{
    const uint64_t large = end & ~(LARGE_SIZE - 1);
    map(DIRECT_MAP_BASE + start, DIRECT_MAP_BASE + large, start, 2, PTE_KERNEL_DATA);
    map(DIRECT_MAP_BASE + large, DIRECT_MAP_BASE + end, large, 1, PTE_KERNEL_DATA);
}

void mmu_init(pfn_t next, uint64_t low, uint64_t high)
{
    extern const char image_text_start[], image_text_end[], image_rodata_end[], image_end[];

    next_table = next;
    kernel_root = table_take();
    map_ram(0, low);
    map_ram(FOUR_GIB, high);
    map_image((uintptr_t)image_text_start, (uintptr_t)image_text_end, PTE_KERNEL);
    map_image((uintptr_t)image_text_end, (uintptr_t)image_rodata_end, PTE_KERNEL | PTE_NX);
    map_image((uintptr_t)image_rodata_end, (uintptr_t)image_end, PTE_KERNEL_DATA);
    (void)kernel_slot(DEVICE_BASE, 1); /* so that its tables are there before any root is */
    root_load(kernel_root);
}

uint64_t mmu_root(void)
{
    return kernel_root.n << PAGE_SHIFT;
}

pfn_t mmu_first_free(void)
{
    return next_table;
}

void *device_map(uint64_t physical, size_t size)
{
    const uint64_t offset = physical & ~PAGE_MASK, span = PAGES_FOR(offset + size) << PAGE_SHIFT;
    const uintptr_t at = device_next;
    if (span > DEVICE_BASE + DEVICE_SIZE - at)
        return NULL;
    device_next += span;
    map(at, at + span, physical - offset, 1, PTE_KERNEL_DATA | PTE_DEVICE);
    return (void *)(at + offset);
}

/* ---- The seam ---------------------------------------------------------------------- */

pte_t platform_pte(pfn_t page, uint64_t flags)
{
    return (pte_t){page.n << PAGE_SHIFT | flags};
}

pfn_t platform_pte_page(pte_t entry)
{
    return pfn((entry.bits & PTE_ADDRESS) >> PAGE_SHIFT);
}

void platform_pte_write(pte_t *slot, pte_t entry)
{
    *(volatile pte_t *)slot = entry;
}

void platform_leaf_write(pte_t *slot, pte_t entry, uintptr_t address, cpus_t cpus)
{
    platform_pte_write(slot, entry);
    if (cpus)
        platform_tlb_flush_page(cpus, address);
}

void platform_table_protect(pfn_t table)
{
}

void platform_table_unprotect(pfn_t table)
{
}

int platform_root_create(struct platform_root *root)
{
    struct page *page = page_alloc_zero(PAGE_FOR_KERNEL);
    if (!page)
        return -ENOMEM;
    const pte_t *kernel = page_at(kernel_root);
    memcpy((pte_t *)page_address(page) + TABLE_ENTRIES / 2, kernel + TABLE_ENTRIES / 2,
           PAGE_SIZE / 2);
    root->kernel = root->user = page_number(page);
    return 0;
}

pte_t platform_root_get(const struct platform_root *root, unsigned index)
{
    return ((pte_t *)page_at(root->kernel))[index];
}

void platform_root_set(const struct platform_root *root, unsigned index, pte_t entry)
{
    BUG_ON(index >= TABLE_ENTRIES / 2);
    platform_pte_write((pte_t *)page_at(root->kernel) + index, entry);
}

void platform_root_activate(const struct platform_root *root)
{
}

void platform_root_retire(const struct platform_root *root)
{
}

void platform_root_free(const struct platform_root *root)
{
    page_put(page_of(root->kernel));
}

void platform_root_load(const struct platform_root *root)
{
    root_load(root ? root->kernel : kernel_root);
}

void platform_tlb_flush(cpus_t cpus)
{
    tlb_flush_others(cpus);
    if (cpus >> cpu_number() & 1)
        tlb_flush_here();
}

void platform_tlb_flush_page(cpus_t cpus, uintptr_t address)
{
    tlb_flush_others(cpus);
    if (cpus >> cpu_number() & 1)
        __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

void platform_commit(void)
{
}
