/*
 * The domain builder maps the image, its own tables and at least 512 KiB past
 * the boot stack with 4 KiB entries.  What lies behind the boot stack is our
 * pool: pages whose address, pfn and mfn are one subtraction or table look-up
 * apart.
 *
 *   VIRT_BASE  image | p2m | start_info | ... | page tables | boot stack | pool
 *
 * Mapping a foreign frame takes a pool page and puts the frame in its place;
 * the page's own frame then is one that is mapped nowhere (frame_alloc).
 */
#include "memory.h"
#include "guest.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>

static unsigned long *p2m;
static uint64_t *root;
static unsigned long pool_next, pool_end;
static unsigned free_pages;
static void *free_list; /* linked through their first words */

void memory_init(const start_info_t *si)
{
    p2m = (unsigned long *)si->mfn_list;
    root = (uint64_t *)si->pt_base;

    /* The boot stack is one page behind the tables, or in them nowhere: its
     * top is what rsp was at entry. */
    unsigned long tables_end = si->pt_base + si->nr_pt_frames * PAGE_SIZE;
    pool_next = (guest_entry_rsp + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    if (pool_next < tables_end)
        pool_next = tables_end;
    for (pool_end = pool_next;; pool_end += PAGE_SIZE) {
        uint64_t *e = memory_entry(pool_end, 1);
        if (!e || !(*e & PTE_P))
            break;
    }
    free_pages = (pool_end - pool_next) / PAGE_SIZE;
}

unsigned memory_free_pages(void)
{
    return free_pages;
}

unsigned long memory_mapped_end(void)
{
    return pool_end;
}

void *page_alloc(void)
{
    void *page = free_list;

    if (page) {
        free_list = *(void **)page;
    } else {
        if (pool_next == pool_end)
            tap_bail_out("no page left");
        page = (void *)pool_next;
        pool_next += PAGE_SIZE;
    }
    free_pages--;
    return memset(page, 0, PAGE_SIZE);
}

void page_free(void *page)
{
    *(void **)page = free_list;
    free_list = page;
    free_pages++;
}

unsigned long page_pfn(const void *page)
{
    return ((unsigned long)page - VIRT_BASE) >> PAGE_SHIFT;
}

unsigned long page_mfn(const void *page)
{
    return p2m[page_pfn(page)];
}

void *memory_of_mfn(unsigned long mfn)
{
    return (void *)(VIRT_BASE + (machine_to_phys_mapping[mfn] << PAGE_SHIFT));
}

unsigned long memory_root_mfn(void)
{
    return page_mfn(root);
}

long page_protect(void *page, uint64_t flags)
{
    uint64_t pte = flags ? pte_of(page_mfn(page), flags) : 0;
    return hypercall_update_va_mapping((unsigned long)page, pte, UVMF_INVLPG | UVMF_ALL);
}

static long set_mapping(void *at, uint64_t pte)
{
    return hypercall_update_va_mapping((unsigned long)at, pte, UVMF_INVLPG | UVMF_ALL);
}

unsigned long frame_alloc(void)
{
    void *page = page_alloc();
    if (set_mapping(page, 0))
        tap_bail_out("cannot unmap a page of our own");
    return page_mfn(page);
}

void *memory_map_frame(unsigned long mfn, uint64_t flags)
{
    void *at = page_alloc();
    long rc = set_mapping(at, pte_of(mfn, flags));
    if (rc)
        tap_bail_out("cannot map frame 0x%lx: %ld", mfn, rc);
    return at;
}

void memory_unmap_frame(void *at)
{
    if (page_protect(at, PTE_RW))
        tap_bail_out("cannot map a page of our own again");
    page_free(at);
}

uint64_t *memory_entry(unsigned long va, int level)
{
    uint64_t *table = root;

    for (int l = 4;; l--) {
        uint64_t *e = &table[va >> (3 + 9 * l) & 511];
        if (l == level)
            return e;
        if (!(*e & PTE_P))
            return NULL;
        table = memory_of_mfn(pte_mfn(*e));
    }
}

uint64_t memory_entry_ma(unsigned long va, int level)
{
    uint64_t *e = memory_entry(va, level);
    return e ? table_entry_ma((void *)((unsigned long)e & ~(PAGE_SIZE - 1)),
                              ((unsigned long)e & (PAGE_SIZE - 1)) / 8)
             : 0;
}

uint64_t table_entry_ma(const void *table, unsigned index)
{
    return ((uint64_t)page_mfn(table) << PAGE_SHIFT) + index * 8;
}

uint64_t *table_alloc(void)
{
    void *page = page_alloc();
    if (page_protect(page, PTE_RO))
        tap_bail_out("cannot make a page read-only");
    return page;
}

void table_free(uint64_t *table)
{
    if (page_protect(table, PTE_RW))
        tap_bail_out("a freed table cannot be mapped writable: it is still in use");
    page_free(table);
}

long mmu_set(uint64_t ptr, uint64_t val)
{
    mmu_update_t request = {ptr, val};
    return hypercall_mmu_update(&request, 1, NULL, DOMID_SELF);
}

long mmuext(unsigned cmd, unsigned long mfn)
{
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn};
    return hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

long memory_map_at(unsigned long va, uint64_t pte)
{
    for (int level = 4; level > 1; level--) {
        if (*memory_entry(va, level) & PTE_P)
            continue;
        long rc = mmu_set(memory_entry_ma(va, level), pte_of(page_mfn(table_alloc()), PTE_TABLE));
        if (rc)
            return rc;
    }
    return mmu_set(memory_entry_ma(va, 1), pte);
}
