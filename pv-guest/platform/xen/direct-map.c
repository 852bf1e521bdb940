/*
 * The direct map: all RAM, writable, from DIRECT_MAP_BASE on.
 *
 * It needs one L1 table for every 512 pages, far more than the builder's spare
 * mapping has room for, and no table may be reachable through a writable
 * mapping once it is one.  So:
 *
 *   1. Choose the tables' pages: the first free ones, in one run, L1s first.
 *   2. Remove the builder's mappings behind the boot tables, which would be
 *      writable aliases of them.
 *   3. Fill each table through one window page that is remapped from table to
 *      table; map the tables themselves and the builder's read-only.
 *   4. Hang the finished tree into the builder's L4, which the hypervisor
 *      checks in one go.  From here on every page has a known address.
 *   5. Make the image W^X and drop what else the builder mapped.
 */
#include <paravane/hypercall.h>

#include "kernel/lib/layout.h"
#include "kernel/memory/page.h"
#include "kernel/lib/print.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

mfn_t kernel_root;
pte_t *kernel_table;

static unsigned long tables_start, tables_count; /* L1s, then L2s, then L3s */
static unsigned long boot_tables_start, boot_tables_end;

static char window[PAGE_SIZE] __attribute__((aligned(4096)));

uint64_t direct_map_entry(pfn_t page)
{
    const pfn_t l1 = pfn(tables_start + page.n / TABLE_ENTRIES);
    return (mfn_of(l1).n << PAGE_SHIFT) + page.n % TABLE_ENTRIES * sizeof(pte_t);
}

static void map(uintptr_t address, uint64_t entry)
{
    const long rc = hypercall_update_va_mapping(address, entry, UVMF_INVLPG | UVMF_LOCAL);
    if (rc)
        panic("update_va_mapping(%lx, %lx) refused: %ld", address, entry, rc);
}

static pte_t *window_onto(pfn_t page)
{
    map((uintptr_t)window, mfn_of(page).n << PAGE_SHIFT | PTE_P | PTE_W | PTE_A | PTE_D | pte_nx);
    return (pte_t *)window;
}

/* A table of the builder's: all of them are in the image's mapping. */
static const pte_t *boot_table(pte_t entry)
{
    const pfn_t page = platform_pte_page(entry);
    return (const pte_t *)(KERNEL_BASE + (page.n << PAGE_SHIFT));
}

static bool boot_mapped(uintptr_t address)
{
    const pte_t *table = (const pte_t *)boot_info.pt_base;
    for (int level = 4; level > 1; level--) {
        const pte_t entry = table[pte_index(address, level)];
        if (!pte_present(entry))
            return false;
        table = boot_table(entry);
    }
    return pte_present(table[pte_index(address, 1)]);
}

/* The builder maps a few hundred pages behind the boot tables. */
static void unmap_behind(unsigned long first)
{
    for (uintptr_t at = KERNEL_BASE + (first << PAGE_SHIFT); boot_mapped(at); at += PAGE_SIZE)
        queue_mapping(at, 0, UVMF_NONE);
    platform_tlb_flush(CPUS_ALL);
    platform_commit();
}

static bool is_table(unsigned long n)
{
    return (n >= tables_start && n < tables_start + tables_count) ||
           (n >= boot_tables_start && n < boot_tables_end);
}

static void fill_l1(pte_t *table, unsigned long first, unsigned long end)
{
    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        const unsigned long n = first + i;
        const uint64_t flags =
            PTE_P | PTE_A | pte_nx | (n < end && is_table(n) ? 0 : PTE_W | PTE_D);
        const bool backed = n < end && p2m[n] != ~0ul && !(p2m[n] >> 52);
        table[i].bits = backed ? p2m[n] << PAGE_SHIFT | flags : 0;
    }
}

/* Fill one table whose entry i points to page first + i, as far as @end. */
static void fill_upper(pte_t *table, unsigned long first, unsigned long end)
{
    for (unsigned i = 0; i < TABLE_ENTRIES; i++)
        table[i].bits = first + i < end ? mfn_of(pfn(first + i)).n << PAGE_SHIFT | PTE_TABLE : 0;
}

/* First page of a run of @count that avoids the ramdisk's pages. */
static unsigned long choose_run(unsigned long first, unsigned long count)
{
    unsigned long start = boot_info.mod_start;
    if (!(boot_info.flags & SIF_MOD_START_PFN))
        start = (start - KERNEL_BASE) >> PAGE_SHIFT;
    const unsigned long end = start + PAGES_FOR(boot_info.mod_len);
    if (boot_info.mod_len && first < end && first + count > start)
        return end;
    return first;
}

static void remap(uintptr_t address, uint64_t entry)
{
    queue_mapping(address, entry, UVMF_NONE);
}

void image_protect(void)
{
    extern const char image_text_start[], image_text_end[], image_rodata_end[], image_end[];
    const uintptr_t mapped_end = KERNEL_BASE + (boot_tables_end << PAGE_SHIFT);

    for (uintptr_t at = (uintptr_t)image_text_start; at < mapped_end; at += PAGE_SIZE) {
        const pfn_t page = pfn((at - KERNEL_BASE) >> PAGE_SHIFT);
        const uint64_t entry = mfn_of(page).n << PAGE_SHIFT | PTE_P | PTE_A;
        if (at < (uintptr_t)image_text_end)
            remap(at, entry);
        else if (at < (uintptr_t)image_rodata_end)
            remap(at, entry | pte_nx);
        else if (at >= (uintptr_t)image_end)
            remap(at, 0);
        else if (at != (uintptr_t)shared)
            remap(at, entry | PTE_W | PTE_D | pte_nx);
    }
    platform_tlb_flush(CPUS_ALL);
    platform_commit();
}

pfn_t direct_map_build(void)
{
    const unsigned long count = boot_info.nr_pages;
    const unsigned long l1s = (count + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
    const unsigned long l2s = (l1s + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
    BUG_ON(l2s > TABLE_ENTRIES); /* one L3 covers 512 GiB */

    boot_tables_start = (boot_info.pt_base - KERNEL_BASE) >> PAGE_SHIFT;
    boot_tables_end = boot_tables_start + boot_info.nr_pt_frames;
    tables_count = l1s + l2s + 1;
    tables_start = choose_run(boot_tables_end, tables_count);
    if (tables_start + tables_count >= count)
        panic("%lu pages are too few for their own page tables", count);
    unmap_behind(boot_tables_end);

    const unsigned long l2_start = tables_start + l1s, l3 = l2_start + l2s;
    for (unsigned long i = 0; i < l1s; i++)
        fill_l1(window_onto(pfn(tables_start + i)), i * TABLE_ENTRIES, count);
    for (unsigned long i = 0; i < l2s; i++)
        fill_upper(window_onto(pfn(l2_start + i)), tables_start + i * TABLE_ENTRIES, l2_start);
    fill_upper(window_onto(pfn(l3)), l2_start, l3);
    window_onto(pfn(((uintptr_t)window - KERNEL_BASE) >> PAGE_SHIFT));

    kernel_root = mfn_of(pfn(boot_tables_start));
    queue_pte((kernel_root.n << PAGE_SHIFT) + pte_index(DIRECT_MAP_BASE, 4) * sizeof(pte_t),
              mfn_of(pfn(l3)).n << PAGE_SHIFT | PTE_TABLE);
    platform_commit();
    kernel_table = page_at(pfn(boot_tables_start));

    /* The list of frames has been reached through the image's mapping so far. */
    if ((uintptr_t)p2m >= KERNEL_BASE)
        p2m = (unsigned long *)((uintptr_t)p2m - KERNEL_BASE + DIRECT_MAP_BASE);
    return pfn(l3 + 1);
}
