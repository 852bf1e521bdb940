/*
 * The page allocator: binary buddies.
 *
 * A free block of 2^order frames starts at a multiple of 2^order; its buddy is the
 * other half of the block of twice the size.  The list links of a free block lie
 * in its first frame, so free memory costs nothing; page_info.linear of that frame
 * holds order + 1, which is how a buddy is recognised as free.  The links are wiped when the block
 * leaves its list: a guest that gets the frame finds no address of ours.
 *
 * Single frames that come back are kept aside first (@aside), so that a guest that gives and takes
 * frames one by one does not pay for merging and splitting blocks each time.  They are merged when
 * somebody asks for a large block, or none is big enough.
 *
 * A frame is flushed from every TLB that may still hold it when it is freed (tlb.h), so
 * allocation never needs to.  PAGE_USED_BEFORE tells frames that may hold somebody's data, from
 * before the boot too, from those that are known to be zero.
 */
#include "arch.h"
#include "lib.h"
#include "list.h"
#include "page.h"
#include "tlb.h"

struct page_info *frame_table;
uint64_t frame_table_size;
uint64_t max_mfn;
uint64_t *machine_to_phys;

#define ASIDE       32u /* single frames kept aside */
#define LARGE_ORDER 4u  /* blocks from here on are worth merging for */
#define ORDERS      19  /* blocks up to 2^18 frames, 1 GiB */

static struct {
    spinlock_t lock;
    struct list free[ORDERS];
    uint64_t mask; /* bit set: that list is not empty */
    uint64_t count;
    uint64_t promised; /* of those that are free, or will be in a moment (atomic) */
    struct page_info *aside[ASIDE];
    unsigned asides;
    bool ready;
} pages = {.lock = SPINLOCK_INIT(PAGES)};

static struct list *block_links(struct page_info *pg)
{
    return mfn_to_virt(page_to_mfn(pg));
}

static struct page_info *links_block(struct list *l)
{
    return mfn_to_page(virt_to_mfn(l));
}

static void block_insert(struct page_info *pg, unsigned order)
{
    pg->linear = (int16_t)(order + 1);
    list_add_before(pages.free[order].next, block_links(pg));
    pages.mask |= BIT(order);
}

static void block_remove(struct page_info *pg, unsigned order)
{
    struct list *links = block_links(pg);

    pg->linear = 0;
    list_remove(links);
    *links = (struct list){0};
    if (list_empty(&pages.free[order]))
        pages.mask &= ~BIT(order);
}

/* Insert a block whose frames are already marked free, merging with free buddies. */
static void block_merge(uint64_t first, unsigned order)
{
    while (order < ORDERS - 1) {
        uint64_t buddy = first ^ (1ull << order);
        if (buddy + (1ull << order) > max_mfn)
            break;
        struct page_info *pg = mfn_to_page(mfn(buddy));
        if (pg->owner != OWNER_NONE || pg->linear != (int16_t)(order + 1))
            break;
        block_remove(pg, order);
        first &= ~(1ull << order);
        order++;
    }
    block_insert(mfn_to_page(mfn(first)), order);
}

/* Entries of free frames for [first, first + count): copied from a few, as a large machine has millions. */
static void entries_mark_free(uint64_t first, uint64_t count, bool zero)
{
    enum { FEW = 64 };
    static struct page_info free_entry[FEW];

    for (unsigned i = 0; i < FEW; i++)
        free_entry[i] =
            (struct page_info){.owner = OWNER_NONE, .state = zero ? 0 : PAGE_USED_BEFORE};
    for (uint64_t done = 0, now; done < count; done += now) {
        now = MIN(count - done, (uint64_t)FEW);
        memcpy(mfn_to_page(mfn(first + done)), free_entry, now * sizeof(struct page_info));
    }
}

void page_alloc_add(mfn_t first, uint64_t count, bool zero)
{
    if (!pages.ready) {
        for (unsigned i = 0; i < ORDERS; i++)
            list_init(&pages.free[i]);
        pages.ready = true;
    }
    spin_lock(&pages.lock);
    pages.count += count;
    entries_mark_free(first.n, count, zero);
    uint64_t at = first.n, end = first.n + count;
    while (at < end) {
        unsigned order = at ? (unsigned)__builtin_ctzll(at) : ORDERS - 1;
        if (order > ORDERS - 1)
            order = ORDERS - 1;
        while (at + (1ull << order) > end)
            order--;
        block_merge(at, order);
        at += 1ull << order;
    }
    spin_unlock(&pages.lock);
}

/* Merge the frames kept aside. */
static void merge_aside(void)
{
    while (pages.asides)
        block_merge(page_to_mfn(pages.aside[--pages.asides]).n, 0);
}

/* May @count frames be taken?  Whoever promises frames that come back does so before: a look under the lock sees both. */
static inline bool enough(uint64_t count, uint64_t leave)
{
    return leave == PAGE_LEAVE_NOTHING ||
           pages.count >= count + leave + atomic_read(&pages.promised);
}

/* One of the frames kept aside, or NULL. */
static inline struct page_info *aside_take(uint64_t leave)
{
    struct page_info *one = NULL;

    spin_lock(&pages.lock);
    if (likely(pages.asides && enough(1, leave))) {
        one = pages.aside[--pages.asides];
        atomic_set(&pages.count, pages.count - 1);
        atomic_set(&one->owner, OWNER_HYPERVISOR);
    }
    spin_unlock(&pages.lock);
    return one;
}

static noinline_ struct page_info *block_take(unsigned order, uint64_t leave)
{
    spin_lock(&pages.lock);
    if (order >= ORDERS || !enough(1ull << order, leave)) {
        spin_unlock(&pages.lock);
        return NULL;
    }
    if (order >= LARGE_ORDER || !(pages.mask >> order))
        merge_aside();
    uint64_t fits = pages.mask >> order << order;
    if (!fits) {
        spin_unlock(&pages.lock);
        return NULL;
    }
    unsigned have = (unsigned)__builtin_ctzll(fits);
    struct page_info *pg = links_block(pages.free[have].next);
    block_remove(pg, have);
    /* Keep the lower half, give back the upper ones. */
    while (have > order) {
        have--;
        block_insert(pg + (1ull << have), have);
    }
    atomic_set(&pages.count, pages.count - (1ull << order));
    /* refs stays 0 until somebody publishes the frame (page_assign): no other CPU can take hold of it. */
    for (uint64_t i = 0; i < 1ull << order; i++)
        atomic_set(&pg[i].owner, OWNER_HYPERVISOR);
    spin_unlock(&pages.lock);
    return pg;
}

struct page_info *page_alloc_leaving(unsigned order, uint64_t leave)
{
    struct page_info *one = order ? NULL : aside_take(leave);

    return one ? one : block_take(order, leave);
}

struct page_info *page_alloc(unsigned order)
{
    return page_alloc_leaving(order, current_vcpu()->takes_promised ? PAGE_LEAVE_NOTHING : 0);
}

bool page_alloc_is_short(void)
{
    return unlikely(atomic_read(&pages.count) < atomic_read(&pages.promised)) &&
           !current_vcpu()->takes_promised;
}

uint64_t page_promised(void)
{
    return atomic_read(&pages.promised);
}

void page_promise(uint64_t count)
{
    atomic_add(&pages.promised, count);
}

bool page_promise_free(uint64_t count)
{
    spin_lock(&pages.lock);
    const bool ok = enough(count, PAGE_LEAVE_US);
    if (ok)
        page_promise(count);
    spin_unlock(&pages.lock);
    return ok;
}

void page_promise_end(uint64_t count)
{
    atomic_sub(&pages.promised, count);
}

void *page_alloc_zeroed(unsigned order)
{
    struct page_info *pg = page_alloc(order);
    if (!pg)
        return NULL;
    void *va = mfn_to_virt(page_to_mfn(pg));
    memset(va, 0, PAGE_SIZE << order);
    return va;
}

static void frame_mark_free(struct page_info *pg)
{
    ASSERT(pg->owner != OWNER_NONE);
    atomic_set(&pg->owner, OWNER_NONE);
    pg->linear = 0;
    atomic_set(&pg->state, PAGE_USED_BEFORE);
}

static void frame_free(struct page_info *pg)
{
    tlb_flush_for_page(pg);
    spin_lock(&pages.lock);
    frame_mark_free(pg);
    atomic_set(&pages.count, pages.count + 1);
    if (likely(pages.asides < ASIDE))
        pages.aside[pages.asides++] = pg;
    else
        block_merge(page_to_mfn(pg).n, 0);
    spin_unlock(&pages.lock);
}

static noinline_ void block_free(struct page_info *pg, unsigned order)
{
    /* The list links go into the frame itself: no CPU may still write there. */
    for (uint64_t i = 0; i < 1ull << order; i++)
        tlb_flush_for_page(&pg[i]);

    spin_lock(&pages.lock);
    for (uint64_t i = 0; i < 1ull << order; i++)
        frame_mark_free(&pg[i]);
    atomic_set(&pages.count, pages.count + (1ull << order));
    block_merge(page_to_mfn(pg).n, order);
    spin_unlock(&pages.lock);
}

void page_free(struct page_info *pg, unsigned order)
{
    if (likely(order == 0))
        frame_free(pg);
    else
        block_free(pg, order);
}

void page_free_virt(void *va, unsigned order)
{
    page_free(mfn_to_page(virt_to_mfn(va)), order);
}

uint64_t page_free_count(void)
{
    return atomic_read(&pages.count);
}
