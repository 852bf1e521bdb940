/*
 * The four levels of page tables below an address space's root.
 *
 *      root (L4) -> L3 -> L2 -> L1 -> page
 *
 * Levels are data: one recursion visits any of them.  While a space is not yet
 * active its tables are plain memory; afterwards entries are queued with the
 * platform, and what is queued is not visible in the table until a commit, so
 * whoever hangs in a new table commits at once.
 */
#include "page.h"
#include "print.h"
#include "space.h"

#define USER_SLOTS (TABLE_ENTRIES / 2) /* entries of the root that belong to the process */

static pte_t *table_at(pte_t entry)
{
    return page_at(platform_pte_page(entry));
}

/* An empty table, as an entry for its parent; absent if there is no memory. */
static pte_t table_new(struct space *space)
{
    struct page *page = page_alloc_zero(PAGE_FOR_KERNEL);
    if (!page)
        return PTE_NONE;
    if (space->active)
        platform_table_seal(page_number(page));
    return platform_pte(page_number(page), PTE_TABLE);
}

pte_t *table_slot(struct space *space, uintptr_t address, bool create)
{
    const unsigned index = pte_index(address, 4);
    pte_t entry = platform_root_get(&space->root, index);
    if (!pte_present(entry)) {
        if (!create || !pte_present(entry = table_new(space)))
            return NULL;
        platform_root_set(&space->root, index, entry);
        if (space->active)
            platform_commit();
    }
    for (int level = 3; level > 1; level--) {
        pte_t *slot = table_at(entry) + pte_index(address, level);
        entry = *slot;
        if (pte_present(entry))
            continue;
        if (!create || !pte_present(entry = table_new(space)))
            return NULL;
        platform_pte_write(slot, entry);
        if (space->active)
            platform_commit();
    }
    return table_at(entry) + pte_index(address, 1);
}

struct walk {
    uintptr_t start, end;
    int (*visit)(pte_t *slot, uintptr_t address, void *arg);
    void *arg;
};

/* Visit the leaves below @entry, a table of @level whose first address is @base. */
static int walk_table(const struct walk *w, pte_t entry, int level, uintptr_t base)
{
    const uintptr_t span = PAGE_SIZE << 9 * (level - 1);
    pte_t *table = table_at(entry);
    const unsigned first = w->start > base ? (w->start - base) / span : 0;

    for (unsigned i = first; i < TABLE_ENTRIES && base + i * span < w->end; i++) {
        int rc = 0;
        if (level > 1 && pte_present(table[i]))
            rc = walk_table(w, table[i], level - 1, base + i * span);
        else if (level == 1 && (pte_present(table[i]) || leaf_held(table[i])))
            rc = w->visit(&table[i], base + i * span, w->arg);
        if (rc)
            return rc;
    }
    return 0;
}

int table_walk(struct space *space, uintptr_t start, uintptr_t end,
               int (*visit)(pte_t *slot, uintptr_t address, void *arg), void *arg)
{
    const struct walk w = {start, end, visit, arg};
    for (unsigned i = pte_index(start, 4); i < USER_SLOTS && (uintptr_t)i << 39 < end; i++) {
        const pte_t entry = platform_root_get(&space->root, i);
        const int rc = pte_present(entry) ? walk_table(&w, entry, 3, (uintptr_t)i << 39) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static void seal_below(pte_t entry, int level)
{
    const pte_t *table = table_at(entry);
    for (unsigned i = 0; level > 1 && i < TABLE_ENTRIES; i++)
        if (pte_present(table[i]))
            seal_below(table[i], level - 1);
    platform_table_seal(platform_pte_page(entry));
}

void table_activate(struct space *space)
{
    for (unsigned i = 0; i < USER_SLOTS; i++) {
        const pte_t entry = platform_root_get(&space->root, i);
        if (pte_present(entry))
            seal_below(entry, 3);
    }
    platform_root_activate(&space->root);
    platform_commit();
    space->active = true;
}

/* Drop the pages below @entry, unseal its tables and gather them in @tables. */
static void release_below(pte_t entry, int level, bool sealed, struct list *tables)
{
    const pte_t *table = table_at(entry);
    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        if (level > 1 && pte_present(table[i]))
            release_below(table[i], level - 1, sealed, tables);
        else if (level == 1 && (pte_present(table[i]) || leaf_held(table[i])))
            page_put(page_of(leaf_page(table[i])));
    }
    const pfn_t page = platform_pte_page(entry);
    if (sealed)
        platform_table_unseal(page);
    list_add(&page_of(page)->link, tables);
}

void table_destroy(struct space *space)
{
    struct list tables = LIST_INIT(tables);
    struct page *page, *after;

    /* Until the retired tree is no page table for anybody, its pages must not
     * get other uses; so commit before the first page is dropped. */
    if (space->active) {
        platform_root_retire(&space->root);
        platform_commit();
    }
    for (unsigned i = 0; i < USER_SLOTS; i++) {
        const pte_t entry = platform_root_get(&space->root, i);
        if (pte_present(entry))
            release_below(entry, 3, space->active, &tables);
    }
    if (space->active) {
        platform_tlb_flush();
        platform_commit();
    }
    list_for_each_safe(page, after, &tables, link)
    {
        list_remove(&page->link);
        page_put(page);
    }
    platform_root_free(&space->root);
}
