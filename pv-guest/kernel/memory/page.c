/*
 * The buddy allocator.
 *
 * Free memory is kept as aligned blocks of 2^order pages.  Allocation halves a
 * larger block as often as needed; freeing joins a block with its buddy, the
 * neighbour from which it was halved (pfn XOR 2^order), as often as that is free.
 */
#include "page.h"
#include "print.h"
#include "text.h"
#include "platform/platform.h"

struct page *page_array;
static bool emergency;
static unsigned long page_total;
static struct page_counts counts;
static struct list free_blocks[PAGE_ORDERS];

struct page_counts page_count(void)
{
    return counts;
}

static void block_free(unsigned long n, unsigned order)
{
    counts.free += 1ul << order;
    while (order < PAGE_ORDERS - 1) {
        const unsigned long buddy = n ^ (1ul << order);
        if (buddy + (1ul << order) > page_total || !page_array[buddy].free ||
            page_array[buddy].order != order)
            break;
        page_array[buddy].free = false;
        list_remove(&page_array[buddy].link);
        n &= ~(1ul << order);
        order++;
    }
    page_array[n].free = true;
    page_array[n].order = order;
    list_add_first(&page_array[n].link, &free_blocks[order]);
}

struct page *page_alloc(unsigned order)
{
    unsigned from = order;
    while (from < PAGE_ORDERS && list_empty(&free_blocks[from]))
        from++;
    if (from >= PAGE_ORDERS)
        return NULL;

    struct page *page = list_entry(free_blocks[from].next, struct page, link);
    BUG_ON(page->refs || !page->free);
    list_remove(&page->link);
    page->free = false;
    counts.free -= 1ul << order;
    while (from > order) {
        from--;
        struct page *half = page + (1ul << from);
        half->free = true;
        half->order = from;
        list_add_first(&half->link, &free_blocks[from]);
    }
    page->order = order;
    page->refs = 1;
    return page;
}

/* Pages that @user must leave: a 64th of memory or a MiB, whichever is less, for each rank. */
static unsigned long page_reserve(enum page_user user)
{
    if (emergency)
        return 0;
    return user * MIN(counts.total / 64, 256ul);
}

void page_emergency(bool on)
{
    emergency = on;
}

bool page_available(enum page_user user)
{
    return counts.free > page_reserve(user);
}

struct page *page_alloc_one(enum page_user user)
{
    return page_available(user) ? page_alloc(0) : NULL;
}

struct page *page_alloc_zero(enum page_user user)
{
    struct page *page = page_alloc_one(user);
    if (page)
        memset(page_address(page), 0, PAGE_SIZE);
    return page;
}

void page_put(struct page *page)
{
    BUG_ON(page->refs == 0 || page->protected);
    if (--page->refs == 0)
        block_free(page_number(page).n, page->order);
}

struct page *page_withdraw(void)
{
    struct page *page = page_alloc_one(PAGE_FOR_FILE);
    if (page)
        counts.total--;
    return page;
}

void page_restore(struct page *page)
{
    counts.total++;
    page_put(page);
}

void page_release_range(const void *start, size_t size)
{
    const unsigned long first = ((uintptr_t)start - DIRECT_MAP_BASE) >> PAGE_SHIFT;
    for (unsigned long n = first; n < first + PAGES_FOR(size); n++) {
        counts.total++;
        page_array[n].refs = 0;
        block_free(n, 0);
    }
}

static bool within(unsigned long n, unsigned long start, unsigned long end)
{
    return n >= start && n < end;
}

void page_init(const struct platform_boot *boot)
{
    const unsigned long count = boot->page_count, own = PAGES_FOR(count * sizeof(struct page));
    const unsigned long disk = ((uintptr_t)boot->ramdisk - DIRECT_MAP_BASE) >> PAGE_SHIFT;
    const unsigned long disk_end = boot->ramdisk_size ? disk + PAGES_FOR(boot->ramdisk_size) : disk;
    const unsigned long hole = boot->hole_start.n, hole_end = boot->hole_end.n;
    unsigned long at = boot->first_free.n;

    /* The array itself goes where there is room for it, if need be behind the ramdisk or the hole.
     */
    if (at < disk_end && at + own > disk)
        at = disk_end;
    if (at < hole_end && at + own > hole)
        at = hole_end;
    if (at + own > count)
        panic("%lu pages are too few: their own table needs %lu", count, own);
    page_array = page_at(pfn(at));
    page_total = count;
    memset(page_array, 0, count * sizeof(struct page));
    for (unsigned order = 0; order < PAGE_ORDERS; order++)
        list_init(&free_blocks[order]);

    for (unsigned long n = 0; n < count; n++) {
        list_init(&page_array[n].link);
        page_array[n].refs = 1;
        if (n < boot->first_free.n || within(n, disk, disk_end) || within(n, hole, hole_end) ||
            within(n, at, at + own))
            continue;
        page_release_range(page_at(pfn(n)), PAGE_SIZE);
    }
}
