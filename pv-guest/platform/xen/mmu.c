/*
 * Page tables under direct paging.
 *
 * A table is in one of two conditions.  Unprotected, it is a page like any other:
 * the kernel fills it with plain stores and the hypervisor knows nothing of it.
 * Protected, its direct mapping is read-only and every change is a request.  A new
 * process is built unprotected, protected in one batch and pinned, which makes the
 * hypervisor check each table once; later changes go one entry at a time.
 *
 * Each process has two L4 tables over the same lower tables: the kernel's, with
 * the kernel's upper half in it, and one for user mode, whose upper half is
 * empty (the hypervisor puts its own 16 slots into both).
 */
#include "kernel/lib/errno.h"
#include "kernel/lib/layout.h"
#include "kernel/memory/page.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

#define HYPERVISOR_SLOT_END 272 /* L4 slots 256 to 271 are the hypervisor's */

pte_t platform_pte(pfn_t page, uint64_t flags)
{
    if (!pte_nx)
        flags &= ~PTE_NX;
    return (pte_t){mfn_of(page).n << PAGE_SHIFT | flags};
}

pfn_t platform_pte_page(pte_t entry)
{
    return pfn_of(mfn((entry.bits >> PAGE_SHIFT) & ((1ul << 40) - 1)));
}

void platform_pte_write(pte_t *slot, pte_t entry)
{
    if (page_of_address(slot)->protected)
        queue_pte(machine_address(slot), entry.bits);
    else
        *slot = entry;
}

void platform_leaf_write(pte_t *slot, pte_t entry, uintptr_t address, cpus_t cpus)
{
    const unsigned long scope = cpus & ~((cpus_t)1 << vcpu_this()->number) ? UVMF_ALL : UVMF_LOCAL;
    queue_mapping(address, entry.bits, cpus ? UVMF_INVLPG | scope : UVMF_NONE);
}

static void direct_map_set(pfn_t page, uint64_t flags)
{
    queue_pte(direct_map_entry(page), platform_pte(page, flags | PTE_P | PTE_A | PTE_NX).bits);
}

void platform_table_protect(pfn_t table)
{
    struct page *page = page_of(table);
    BUG_ON(page->protected);
    page->protected = true;
    direct_map_set(table, 0);
}

/* The stale read-only translation is harmless until somebody writes, so one flush
 * will do for all tables that a batch unseals. */
void platform_table_unprotect(pfn_t table)
{
    struct page *page = page_of(table);
    BUG_ON(!page->protected);
    page->protected = false;
    direct_map_set(table, PTE_W | PTE_D);
    queue_flush_at_end();
}

int platform_root_create(struct platform_root *root)
{
    struct page *kernel = page_alloc_zero(PAGE_FOR_KERNEL),
                *user = page_alloc_zero(PAGE_FOR_KERNEL);
    if (!kernel || !user) {
        if (kernel)
            page_put(kernel);
        if (user)
            page_put(user);
        return -ENOMEM;
    }
    pte_t *table = page_address(kernel);
    memcpy(&table[HYPERVISOR_SLOT_END], &kernel_table[HYPERVISOR_SLOT_END],
           (TABLE_ENTRIES - HYPERVISOR_SLOT_END) * sizeof(pte_t));
    *root = (struct platform_root){page_number(kernel), page_number(user)};
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
    platform_pte_write((pte_t *)page_at(root->user) + index, entry);
}

void platform_root_activate(const struct platform_root *root)
{
    platform_table_protect(root->kernel);
    platform_table_protect(root->user);
    queue_mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(root->kernel).n);
    queue_mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(root->user).n);
}

void platform_root_retire(const struct platform_root *root)
{
    queue_mmuext(MMUEXT_UNPIN_TABLE, mfn_of(root->kernel).n);
    queue_mmuext(MMUEXT_UNPIN_TABLE, mfn_of(root->user).n);
    platform_table_unprotect(root->kernel);
    platform_table_unprotect(root->user);
}

void platform_root_free(const struct platform_root *root)
{
    page_put(page_of(root->kernel));
    page_put(page_of(root->user));
}

void platform_root_load(const struct platform_root *root)
{
    queue_mmuext(MMUEXT_NEW_BASEPTR, root ? mfn_of(root->kernel).n : kernel_root.n);
    queue_mmuext(MMUEXT_NEW_USER_BASEPTR, root ? mfn_of(root->user).n : 0);
}

void platform_tlb_flush(cpus_t cpus)
{
    queue_flush(MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_TLB_FLUSH_MULTI, cpus, 0);
}

void platform_tlb_flush_page(cpus_t cpus, uintptr_t address)
{
    /* linear_addr shares arg1 with mfn */
    queue_flush(MMUEXT_INVLPG_LOCAL, MMUEXT_INVLPG_MULTI, cpus, address);
}
