/*
 * Areas and faults.
 *
 * Mapping only records an area; pages come one by one when they are touched
 * (space_fault).  A private page that may be shared, with a file or with another
 * process since fork, is mapped read-only; the first write to it copies it,
 * unless nobody else has it any more.
 */
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "linux.h"
#include "page.h"
#include "print.h"
#include "space.h"
#include "task.h"
#include "text.h"

#define AROUND_PAGES 16 /* divides what one L1 table covers */

/*
 * Spaces of processes that have ended, their trees of tables empty but still
 * active: the next process fills one of them instead of having tables cleared,
 * checked and given up again.  Large ones are not kept: entries that go one by
 * one cost more than a tree that goes as a whole.
 */
#define SPARE_SPACES 4
#define SPARE_TABLES 8   /* below the root; at most so much memory waits in a spare */
#define SPARE_LEAVES 256 /* to clear one by one */

static struct space *spare[SPARE_SPACES];
static unsigned spare_count;

unsigned long space_spare_pages(void)
{
    unsigned long sum = 0;
    for (unsigned i = 0; i < spare_count; i++)
        sum += spare[i]->table_count + (spare[i]->root.kernel.n == spare[i]->root.user.n ? 1 : 2);
    return sum;
}

static struct space *space_new(void)
{
    struct space *space;
    if (spare_count) {
        space = spare[--spare_count];
        space->users = 1;
        return space;
    }
    space = heap_alloc(sizeof(*space));
    if (!space)
        return NULL;
    if (platform_root_create(&space->root)) {
        heap_free(space);
        return NULL;
    }
    page_of(space->root.kernel)->used = 0;
    space->users = 1;
    list_init(&space->areas);
    list_init(&space->tables);
    return space;
}

struct space *space_create(void)
{
    struct space *space = space_new();
    if (space && !space->active)
        table_activate(space);
    return space;
}

static bool range_valid(uintptr_t start, size_t size)
{
    return start % PAGE_SIZE == 0 && size && size % PAGE_SIZE == 0 && start >= USER_START &&
           start < USER_END && size <= USER_END - start;
}

/* Entries of [start, end) become absent now; their pages are dropped once no TLB has them. */
struct clearing {
    struct space *space;
    struct list gone;
};

static int leaf_clear(pte_t *slot, uintptr_t address, void *arg)
{
    struct clearing *c = arg;
    struct page *page = leaf_foreign(*slot) ? NULL : page_of(leaf_page(*slot));
    platform_pte_write(slot, PTE_NONE);
    if (!page)
        ;
    else if (page->refs == 1 && list_empty(&page->link))
        list_add(&page->link, &c->gone);
    else
        page_put(page);
    c->space->resident--;
    return 0;
}

static void pages_drop(struct space *space, uintptr_t start, uintptr_t end)
{
    struct clearing c = {space, LIST_INIT(c.gone)};
    struct page *page, *after;
    table_walk(space, start, end, leaf_clear, &c);
    platform_tlb_flush(space->cpus);
    platform_commit();
    list_for_each_safe(page, after, &c.gone, link)
    {
        list_remove(&page->link);
        page_put(page);
    }
}

/* Empty @space, which nobody has loaded, for the next process; or say no. */
static bool space_keep(struct space *space)
{
    if (!space->active || spare_count == SPARE_SPACES || space->table_count > SPARE_TABLES ||
        space->resident > SPARE_LEAVES)
        return false;
    pages_drop(space, USER_START, USER_END);
    space->brk_start = space->brk = 0;
    space->lock_future = space->barriers = false;
    spare[spare_count++] = space;
    return true;
}

void space_put(struct space *space)
{
    if (--space->users)
        return;
    struct area *area, *after;
    space_unload(space);
    if (space->foreign)
        platform_foreign_forget(space, USER_START, USER_END);
    space->foreign = false;
    const bool kept = space_keep(space);
    if (!kept)
        table_destroy(space);
    list_for_each_safe(area, after, &space->areas, link) area_free(area);
    if (!kept)
        heap_free(space);
}

int space_drop(struct space *space, uintptr_t start, size_t size)
{
    if (!range_valid(start, size))
        return -EINVAL;
    pages_drop(space, start, start + size);
    return 0;
}

int space_unmap(struct space *space, uintptr_t start, size_t size)
{
    struct area *area, *after;
    bool any = false;

    if (!range_valid(start, size))
        return -EINVAL;
    const uintptr_t end = start + size;
    if (area_split(space, start) || area_split(space, end))
        return -ENOMEM;
    list_for_each_safe(area, after, &space->areas, link)
    {
        if (area->start >= end || area->end <= start)
            continue;
        any = true;
        if (area->flags & AREA_FOREIGN)
            platform_foreign_forget(space, start, end);
        area_free(area);
    }
    if (any)
        pages_drop(space, start, end);
    return 0;
}

int space_map(struct space *space, uintptr_t start, size_t size, unsigned protection,
              enum sharing sharing, struct inode *file, uint64_t offset)
{
    int rc = space_unmap(space, start, size);
    if (rc)
        return rc;
    struct area *area = heap_alloc(sizeof(*area));
    if (!area)
        return -ENOMEM;
    area->start = start;
    area->end = start + size;
    area->protection = protection;
    area->shared = sharing != SHARING_NONE;
    area->keep_read_only = sharing == SHARING_READ_ONLY;
    area->file = file;
    area->offset = offset;
    if (file)
        inode_get(file);
    area_insert(space, area);
    area_merge(space, area);
    return 0;
}

/* Flags for a page of @area; @own says that nobody else has the page. */
static uint64_t leaf_flags(const struct area *area, bool own)
{
    uint64_t flags = PTE_P | PTE_U | PTE_A;
    if ((area->protection & PROT_WRITE) && own)
        flags |= PTE_W | PTE_D;
    if (!(area->protection & PROT_EXEC))
        flags |= PTE_NX;
    return flags;
}

static int leaf_protect(pte_t *slot, uintptr_t address, void *arg)
{
    const struct area *area = arg;
    const pfn_t page = leaf_page(*slot);
    /* Write access comes back by the fault that also decides about copying. */
    const bool keep_write = pte_present(*slot) && pte_writable(*slot);
    platform_pte_write(slot, area->protection ? platform_pte(page, leaf_flags(area, keep_write))
                                              : leaf_hold(page));
    return 0;
}

int space_protect(struct space *space, uintptr_t start, size_t size, unsigned protection)
{
    struct area *area;

    if (!range_valid(start, size))
        return -EINVAL;
    const uintptr_t end = start + size;
    for (uintptr_t at = start; at < end; at = area->end) {
        if (!(area = area_find(space, at)))
            return -ENOMEM;
        if (((protection & PROT_WRITE) && area->keep_read_only) || (area->flags & AREA_FOREIGN))
            return -EACCES;
    }
    if (area_split(space, start) || area_split(space, end))
        return -ENOMEM;
    list_for_each(area, &space->areas, link)
    {
        if (area->start < start || area->end > end)
            continue;
        area->protection = protection;
        table_walk(space, area->start, area->end, leaf_protect, area);
        area_merge(space, area);
    }
    platform_tlb_flush(space->cpus);
    platform_commit();
    return 0;
}

uintptr_t space_gap(struct space *space, size_t size)
{
    uintptr_t top = USER_MAP_TOP;
    for (struct list *l = space->areas.prev; l != &space->areas; l = l->prev) {
        const struct area *area = list_entry(l, struct area, link);
        if (area->end <= top && top - area->end >= size)
            break;
        top = MIN(top, area->start);
    }
    return top > size && top - size >= USER_START ? top - size : 0;
}

bool space_is_free(struct space *space, uintptr_t start, size_t size)
{
    struct area *area;
    list_for_each(area, &space->areas, link)
    {
        if (area->start < start + size && area->end > start)
            return false;
    }
    return true;
}

/* A page that belongs to nobody else: a copy of @from, or zeroes. */
static struct page *page_copy(struct page *from)
{
    if (!from)
        return page_alloc_zero(PAGE_FOR_PROCESS);
    struct page *page = page_alloc_one(PAGE_FOR_PROCESS);
    if (page)
        memcpy(page_address(page), page_address(from), PAGE_SIZE);
    return page;
}

/*
 * Map what the file already has in memory around @address, too: a program reads
 * on, and one entry more in a batch costs far less than another fault.
 */
static void map_around(struct space *space, struct area *area, uintptr_t address)
{
    const uintptr_t span = AROUND_PAGES * PAGE_SIZE, base = address & ~(span - 1);
    const uintptr_t end = MIN(base + span, area->end);
    for (uintptr_t at = MAX(base, area->start); at < end; at += PAGE_SIZE) {
        pte_t *slot = table_slot(space, at, false);
        struct page *page =
            inode_page_at(area->file, (area->offset + (at - area->start)) >> PAGE_SHIFT, false);
        if (at == address || !page || pte_present(*slot) || leaf_held(*slot))
            continue;
        page_get(page);
        space->resident++;
        table_set(slot, platform_pte(page_number(page), leaf_flags(area, false)));
    }
}

/* First touch of @address in @area. */
static int fault_absent(struct space *space, struct area *area, pte_t *slot, uintptr_t address,
                        unsigned want)
{
    struct page *page = NULL;
    bool own = true;

    if (area->file) {
        int rc = inode_page(area->file, area->offset + (address - area->start), &page);
        if (rc)
            return rc;
        own = area->shared;
    }
    if (!own && (want & PROT_WRITE)) {
        page = page_copy(page);
        own = true;
    } else if (page) {
        page_get(page);
    } else {
        page = page_alloc_zero(PAGE_FOR_PROCESS);
    }
    if (!page)
        return -ENOMEM;
    space->resident++;
    const pte_t entry = platform_pte(page_number(page), leaf_flags(area, own));
    table_use(slot);
    if (area->file && !own) {
        platform_pte_write(slot, entry);
        map_around(space, area, address);
    } else {
        platform_leaf_write(slot, entry, address, 0);
    }
    platform_commit();
    return 0;
}

/* There is a page, but the entry does not allow what the area does. */
static int fault_present(struct space *space, struct area *area, pte_t *slot, uintptr_t address,
                         unsigned want)
{
    struct page *page = page_of(leaf_page(*slot)), *old = page;
    bool own = area->shared || page->refs == 1;

    if ((want & PROT_WRITE) && !own) {
        page = page_copy(old);
        if (!page)
            return -ENOMEM;
        own = true;
    }
    /* Nobody needs to forget what allows less: a CPU that faults for it looks again. */
    platform_leaf_write(slot, platform_pte(page_number(page), leaf_flags(area, own)), address,
                        page != old ? space->cpus : 0);
    platform_commit();
    if (page != old)
        page_put(old);
    return 0;
}

int space_fault(struct space *space, uintptr_t address, unsigned want)
{
    struct area *area = area_find(space, address);
    if (!area || (want & ~area->protection))
        return -EFAULT;
    if (area->flags & AREA_FOREIGN)
        return -ENXIO;
    address &= PAGE_MASK;
    pte_t *slot = table_slot(space, address, true);
    if (!slot)
        return -ENOMEM;
    if (pte_present(*slot) || leaf_held(*slot))
        return fault_present(space, area, slot, address, want);
    return fault_absent(space, area, slot, address, want);
}

struct fork {
    struct space *child;
    const struct area *area; /* the first that ends behind what was visited last */
    pte_t *table;            /* the child's L1 that covers @region */
    uintptr_t region;
    uintptr_t hot[2]; /* pages that both sides are about to write to */
};

/* Share one page: neither side may write to it from now on.  A hot one is copied at once, if
 * there is memory, which saves each side a fault. */
static int leaf_fork(pte_t *slot, uintptr_t address, void *arg)
{
    struct fork *f = arg;
    const uintptr_t region = address >> 21;

    while (f->area->end <= address)
        f->area = list_entry(f->area->link.next, struct area, link);
    if (f->area->flags & (AREA_NO_FORK | AREA_WIPE)) {
        f->child->resident--;
        return 0;
    }
    if (!f->table || f->region != region) {
        pte_t *child_slot = table_slot(f->child, address, true);
        if (!child_slot)
            return -ENOMEM;
        f->table = child_slot - pte_index(address, 1);
        f->region = region;
    }
    pte_t entry = *slot;
    struct page *page = page_of(leaf_page(entry)), *copy = NULL;
    if (pte_writable(entry) && pte_present(entry) && !f->area->shared) {
        if (address == f->hot[0] || address == f->hot[1])
            copy = page_copy(page);
        if (copy) {
            entry = platform_pte(page_number(copy), leaf_flags(f->area, true));
        } else {
            entry.bits &= ~PTE_W;
            platform_pte_write(slot, entry);
        }
    }
    table_set(&f->table[pte_index(address, 1)], entry);
    if (!copy)
        page_get(page);
    return 0;
}

struct space *space_fork(struct space *from, uintptr_t stack, uintptr_t tls)
{
    struct space *child = space_new();
    struct area *area;
    if (!child)
        return NULL;

    child->brk_start = from->brk_start;
    child->resident = from->resident;
    child->brk = from->brk;
    list_for_each(area, &from->areas, link)
    {
        struct area *copy = area->flags & AREA_NO_FORK ? NULL : area_copy(area);
        if (!copy && (area->flags & AREA_NO_FORK))
            continue;
        if (!copy)
            goto fail;
        copy->flags &= ~AREA_LOCKED;
        list_add(&copy->link, &child->areas);
    }
    struct fork f = {.child = child,
                     .area = list_entry(from->areas.next, struct area, link),
                     .hot = {stack & PAGE_MASK, tls & PAGE_MASK}};
    if (table_walk(from, USER_START, USER_END, leaf_fork, &f))
        goto fail;
    platform_tlb_flush(from->cpus);
    if (child->active)
        platform_commit();
    else
        table_activate(child);
    return child;

fail:
    platform_tlb_flush(from->cpus);
    platform_commit();
    space_put(child);
    return NULL;
}
