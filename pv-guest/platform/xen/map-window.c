/*
 * The window: addresses of the kernel's at which it sees memory that is not its own.
 *
 * It is two megabytes at WINDOW_BASE.  Its two tables hang in an L3 that all processes' tables share, so what is mapped
 * there is mapped everywhere.
 */
#include "platform/xen/map-window.h"

#include "kernel/lib/layout.h"
#include "kernel/memory/page.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

#define WINDOW_PAGES (WINDOW_SIZE / PAGE_SIZE)

static bool made;
static bool taken[WINDOW_PAGES];

static bool make_tables(void)
{
    struct page *const l2 = page_alloc_zero(PAGE_FOR_KERNEL);
    struct page *const l1 = l2 ? page_alloc_zero(PAGE_FOR_KERNEL) : NULL;
    if (!l1) {
        if (l2)
            page_put(l2);
        return false;
    }
    ((pte_t *)page_address(l2))[pte_index(WINDOW_BASE, 2)] =
        platform_pte(page_number(l1), PTE_TABLE);
    platform_table_protect(page_number(l1));
    platform_table_protect(page_number(l2));
    const pte_t l3 = kernel_table[pte_index(WINDOW_BASE, 4)];
    queue_pte((mfn_of(platform_pte_page(l3)).n << PAGE_SHIFT) +
                  pte_index(WINDOW_BASE, 3) * sizeof(pte_t),
              platform_pte(page_number(l2), PTE_TABLE).bits);
    platform_commit();
    return true;
}

uintptr_t map_window_take(unsigned pages)
{
    made = made || make_tables();
    for (unsigned first = 0, run = 0; made && first + run < WINDOW_PAGES;) {
        if (taken[first + run]) {
            first += run + 1;
            run = 0;
        } else if (++run == pages) {
            for (unsigned i = 0; i < pages; i++)
                taken[first + i] = true;
            return WINDOW_BASE + first * PAGE_SIZE;
        }
    }
    return 0;
}

void map_window_give(uintptr_t at, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++)
        taken[(at - WINDOW_BASE) / PAGE_SIZE + i] = false;
}
