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
#include "task.h"

#define PAUSE_TABLES 8 /* 16 MiB of pages that are there are a lot of work */

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
    list_add(&page->link, &space->tables);
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
    bool may_pause;
    unsigned tables; /* of leaves, visited so far */
    int (*visit)(pte_t *slot, uintptr_t address, void *arg);
    void *arg;
};

/* The entries of the table at @base that [start, end) covers, @span bytes each. */
static unsigned walk_first(const struct walk *w, uintptr_t base, uintptr_t span)
{
    return w->start > base ? (w->start - base) / span : 0;
}

static unsigned walk_last(const struct walk *w, uintptr_t base, uintptr_t span)
{
    const uintptr_t entries = (w->end - base + span - 1) / span;
    return MIN(entries, (uintptr_t)TABLE_ENTRIES);
}

/* The lowest level on its own: these are the many entries, most of them empty. */
static int walk_leaves(const struct walk *w, pte_t *table, uintptr_t base)
{
    const pte_t *end = table + walk_last(w, base, PAGE_SIZE);
    for (pte_t *slot = table + walk_first(w, base, PAGE_SIZE); slot < end; slot++) {
        if (!slot->bits) /* neither present nor held */
            continue;
        const int rc = w->visit(slot, base + (slot - table) * PAGE_SIZE, w->arg);
        if (rc)
            return rc;
    }
    return 0;
}

/* Visit the leaves below @entry, a table of @level whose first address is @base. */
static int walk_table(struct walk *w, pte_t entry, int level, uintptr_t base)
{
    const uintptr_t span = PAGE_SIZE << 9 * (level - 1);
    pte_t *table = table_at(entry);
    if (level == 1) {
        if (++w->tables % PAUSE_TABLES == 0 && w->may_pause)
            sched_point();
        return walk_leaves(w, table, base);
    }

    const unsigned end = walk_last(w, base, span);
    for (unsigned i = walk_first(w, base, span); i < end; i++) {
        const int rc =
            pte_present(table[i]) ? walk_table(w, table[i], level - 1, base + i * span) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

int table_walk(struct space *space, uintptr_t start, uintptr_t end,
               int (*visit)(pte_t *slot, uintptr_t address, void *arg), void *arg)
{
    struct walk w = {start, end, space->users <= 1, 0, visit, arg};
    for (unsigned i = pte_index(start, 4); (uintptr_t)i << 39 < end; i++) {
        const pte_t entry = platform_root_get(&space->root, i);
        const int rc = pte_present(entry) ? walk_table(&w, entry, 3, (uintptr_t)i << 39) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

void table_activate(struct space *space)
{
    struct page *table;
    list_for_each(table, &space->tables, link) platform_table_seal(page_number(table));
    platform_root_activate(&space->root);
    platform_commit();
    space->active = true;
}

static int leaf_drop(pte_t *slot, uintptr_t address, void *arg)
{
    page_put(page_of(leaf_page(*slot)));
    return 0;
}

/* Leaves lie in areas only, so nothing else of the tables needs to be looked at. */
void table_destroy(struct space *space)
{
    struct page *table, *after;
    struct area *area;

    /* Until the retired tree is no page table for anybody, its pages must not
     * get other uses; so commit before the first page is dropped. */
    if (space->active) {
        platform_root_retire(&space->root);
        list_for_each(table, &space->tables, link) platform_table_unseal(page_number(table));
        platform_commit();
    }
    list_for_each(area, &space->areas, link)
        table_walk(space, area->start, area->end, leaf_drop, NULL);
    list_for_each_safe(table, after, &space->tables, link)
    {
        list_remove(&table->link);
        page_put(table);
    }
    platform_root_free(&space->root);
}
