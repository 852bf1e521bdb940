/*
 * The four levels of page tables below an address space's root.
 *
 *      root (L4) -> L3 -> L2 -> L1 -> page
 *
 * Levels are data: one recursion visits any of them.  While a space is not yet
 * active its tables are plain memory; afterwards entries are queued with the
 * platform, and what is queued is not visible in the table until a commit, so
 * whoever hangs in a new table commits at once.
 *
 * A process has some dozens of pages, and tables have 512 entries: each table
 * remembers which groups of eight may have any (struct page, used), and a walk
 * looks nowhere else.
 */
#include "page.h"
#include "print.h"
#include "space.h"
#include "task.h"

#define GROUP        8 /* entries */
#define GROUP_SIZE   (GROUP * sizeof(pte_t))
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
    page->used = 0;
    list_add(&page->link, &space->tables);
    space->table_count++;
    if (space->active)
        platform_table_protect(page_number(page));
    return platform_pte(page_number(page), PTE_TABLE);
}

static uint64_t *used_groups(const pte_t *slot)
{
    return &page_of_address(slot)->used;
}

void table_use(const pte_t *slot)
{
    *used_groups(slot) |= 1ul << ((uintptr_t)slot / GROUP_SIZE % 64);
}

void table_set(pte_t *slot, pte_t entry)
{
    table_use(slot);
    platform_pte_write(slot, entry);
}

pte_t *table_slot(struct space *space, uintptr_t address, bool create)
{
    const unsigned index = pte_index(address, 4);
    pte_t entry = platform_root_get(&space->root, index);
    if (!pte_present(entry)) {
        if (!create || !pte_present(entry = table_new(space)))
            return NULL;
        page_of(space->root.kernel)->used |= 1ul << index / GROUP;
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
        table_set(slot, entry);
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

static int walk_table(struct walk *w, pte_t *table, int level, uintptr_t base);

static int walk_entry(struct walk *w, pte_t *slot, int level, uintptr_t address)
{
    if (level == 1)
        return w->visit(slot, address, w->arg);
    if (level == 2 && ++w->tables % PAUSE_TABLES == 0 && w->may_pause)
        sched_point();
    return walk_table(w, table_at(*slot), level - 1, address);
}

/*
 * Visit the leaves of @table of @level, whose first address is @base.  A group that turns out to
 * be empty is forgotten, but only if all of it was looked at.
 */
static int walk_table(struct walk *w, pte_t *table, int level, uintptr_t base)
{
    const unsigned shift = PAGE_SHIFT + 9 * (level - 1);
    const unsigned first = w->start > base ? (w->start - base) >> shift : 0;
    const uintptr_t reach = (w->end - 1 - base) >> shift;
    const unsigned last = MIN(reach, TABLE_ENTRIES - 1ul);
    uint64_t *const used = used_groups(table);

    for (uint64_t left = *used & ~0ul << first / GROUP; left; left &= left - 1) {
        const unsigned group = __builtin_ctzl(left) * GROUP;
        if (group > last)
            break;
        bool any = group < first || group + GROUP - 1 > last;
        for (unsigned i = MAX(group, first); i <= MIN(group + GROUP - 1, last); i++) {
            if (!table[i].bits) /* neither present nor held */
                continue;
            any = true;
            const int rc = walk_entry(w, &table[i], level, base + ((uintptr_t)i << shift));
            if (rc)
                return rc;
        }
        if (!any)
            *used &= ~(left & -left);
    }
    return 0;
}

int table_walk(struct space *space, uintptr_t start, uintptr_t end,
               int (*visit)(pte_t *slot, uintptr_t address, void *arg), void *arg)
{
    struct walk w = {start, end, space->users <= 1, 0, visit, arg};
    return walk_table(&w, page_at(space->root.kernel), 4, 0);
}

void table_activate(struct space *space)
{
    struct page *table;
    list_for_each(table, &space->tables, link) platform_table_protect(page_number(table));
    platform_root_activate(&space->root);
    platform_commit();
    space->active = true;
}

static int leaf_drop(pte_t *slot, uintptr_t address, void *arg)
{
    if (!leaf_foreign(*slot))
        page_put(page_of(leaf_page(*slot)));
    return 0;
}

void table_destroy(struct space *space)
{
    struct page *table, *after;

    /* Until the retired tree is no page table for anybody, its pages must not
     * get other uses; so commit before the first page is dropped. */
    if (space->active) {
        platform_root_retire(&space->root);
        list_for_each(table, &space->tables, link) platform_table_unprotect(page_number(table));
        platform_commit();
    }
    table_walk(space, USER_START, USER_END, leaf_drop, NULL);
    list_for_each_safe(table, after, &space->tables, link)
    {
        list_remove(&table->link);
        page_put(table);
    }
    platform_root_free(&space->root);
}
