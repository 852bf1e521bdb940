/*
 * Ownership, references and roles of frames: the counts of page.h.
 *
 * Every change of a frame's state is one compare-and-swap of its state word, so
 * a grant or foreign map from another CPU can race with the owner and one of
 * the two simply finds the frame taken.
 */
#include "page.h"
#include "arch.h"
#include "lib.h"
#include "page-tables.h"
#include "sched.h"
#include "tlb.h"

#define TYPE(name, text) [PAGE_TYPE_##name] = text,
const char *const page_type_name[PAGE_TYPE_LIMIT] = {PAGE_TYPES(TYPE)};
#undef TYPE

static bool type_is_table(enum page_type type)
{
    return type >= PAGE_TYPE_L1 && type <= PAGE_TYPE_L4;
}

bool page_get(struct page_info *pg, const struct domain *d)
{
    uint64_t old = atomic_read(&pg->state);

    do {
        if (atomic_read(&pg->owner) != d->id || old < PAGE_REF_ONE || unlikely((int64_t)old < 0))
            return false;
    } while (!atomic_compare_exchange(&pg->state, &old, old + PAGE_REF_ONE));

    /* The frame may have been freed and handed to another domain between our look at its owner and the
     * exchange; with a reference in hand the owner can no longer change. */
    if (likely(atomic_read(&pg->owner) == d->id))
        return true;
    page_put(pg);
    return false;
}

/* A frame of @d comes back: its next life may need it. */
static inline void promise_one(struct domain *d)
{
    uint32_t keep = atomic_read(&d->keep);

    while (keep && !atomic_compare_exchange(&d->keep, &keep, keep - 1))
        ;
    if (keep) {
        atomic_add(&d->promised, 1);
        page_promise(1);
    }
}

/* The last reference is gone: nobody can reach the frame any more except through a stale TLB entry, which page_free()
 * flushes. */
void page_reclaim(struct page_info *pg)
{
    struct domain *d = domain_get_owner(pg->owner);

    const bool counted = !(pg->state & PAGE_SHARED);

    ASSERT(page_state_count(pg->state) == 0);
    machine_to_phys[page_to_mfn(pg).n] = M2P_INVALID;
    if (d && counted)
        promise_one(d); /* before somebody else can take the frame */
    page_free(pg, 0);
    if (!d)
        return;
    if (counted)
        /* not before: a domain that counts no frames may be gone the next moment */
        atomic_sub(&d->tot_pages, 1);
    domain_put(d);
}

void page_put(struct page_info *pg)
{
    uint64_t now = atomic_sub(&pg->state, PAGE_REF_ONE);

    if (unlikely(now < PAGE_REF_ONE))
        page_reclaim(pg);
}

/*
 * Claimed but not yet earned: @pg of @d has just got protected role @type and count 1 by our exchange, from state @old.  Nobody
 * else gets the role before it is VALIDATED, nor another one while the count is not 0.  Forget old translations if the role is
 * another one, then check the contents.
 */
static int page_earn_type(struct page_info *pg, struct domain *d, uint64_t old, enum page_type type)
{
    int rc;

    if (page_state_type(old) != type)
        tlb_flush_for_page(pg);

    mutex_is_held(&d->mmu); /* whoever wants a protected type has it */
    if (type_is_table(type))
        rc = page_table_validate(d, pg, type - PAGE_TYPE_L1 + 1);
    else
        rc = arch_segment_page_validate(mfn_to_virt(page_to_mfn(pg)));

    if (rc) {
        /* No entry was kept, but the role stays, without a count: if it was this one before, a TLB may still know the frame
         * as a table, and whoever wants another role has to flush (page_claim). */
        atomic_sub(&pg->state, 1);
        return rc;
    }
    atomic_or(&pg->state, PAGE_VALIDATED);
    return 0;
}

/*
 * The state in which the first type reference @type is taken from @old, whose count is 0.  A frame that was a table must not be
 * written to before every TLB has forgotten it as one; but WRITABLE needs no earning, so the role would be anybody's at once.
 * Until the flush is done it is NONE, with a count.
 */
static inline uint64_t page_claim(uint64_t old, enum page_type type)
{
    const enum page_type was = page_state_type(old);
    const bool at_once =
        type != PAGE_TYPE_WRITABLE || was == PAGE_TYPE_WRITABLE || was == PAGE_TYPE_NONE;

    return ((old & ~(PAGE_TYPE_MASK | PAGE_VALIDATED)) | (uint64_t)(at_once ? type : PAGE_TYPE_NONE)
                                                             << PAGE_TYPE_SHIFT) +
           1;
}

/* A table's old translations are being flushed before it is WRITABLE. */
static inline bool page_is_claimed(uint64_t state)
{
    return page_state_count(state) && page_state_type(state) == PAGE_TYPE_NONE;
}

int page_get_type(struct page_info *pg, struct domain *d, enum page_type type)
{
    uint64_t old = atomic_read(&pg->state), want;

    do {
        while (unlikely(page_is_claimed(old))) {
            arch_relax();
            old = atomic_read(&pg->state);
        }
        if (page_state_count(old) == 0) {
            want = page_claim(old, type);
            continue;
        }
        if (page_state_type(old) != type || page_state_count(old) == PAGE_COUNT_MASK)
            return -XEN_EINVAL;
        /* A table that is being validated further up our own call chain: a loop. */
        if (type != PAGE_TYPE_WRITABLE && !(old & PAGE_VALIDATED))
            return -XEN_EINVAL;
        want = old + 1;
    } while (!atomic_compare_exchange(&pg->state, &old, want));

    if (page_state_count(old))
        return 0;
    if (type != PAGE_TYPE_WRITABLE)
        return page_earn_type(pg, d, old, type);
    if (unlikely(page_is_claimed(want))) {
        tlb_flush_for_page(pg);
        atomic_or(&pg->state, (uint64_t)PAGE_TYPE_WRITABLE << PAGE_TYPE_SHIFT);
    }
    return 0;
}

/* The reference first: with it in hand the frame is @d's and stays so while its role is looked at, and earned. */
int page_get_and_type_slow(struct page_info *pg, struct domain *d, enum page_type type)
{
    if (!page_get(pg, d))
        return -XEN_EINVAL;
    int rc = page_get_type(pg, d, type);
    if (rc)
        page_put(pg);
    return rc;
}

/* Give back a type reference of a role that is not WRITABLE, seen in state @old. */
static inline void page_put_role(struct page_info *pg, uint64_t old)
{
    enum page_type type = page_state_type(old);

    /* Page-table roles move under the owner's mmu lock, descriptor roles under it, too: the count is stable. */
    if (page_state_count(old) == 1) {
        if (type_is_table(type))
            page_table_invalidate(pg, type - PAGE_TYPE_L1 + 1);
        tlb_stamp(pg);
        atomic_and(&pg->state, ~PAGE_VALIDATED);
    }
    atomic_sub(&pg->state, 1);
}

void page_put_and_type_slow(struct page_info *pg)
{
    uint64_t old = atomic_read(&pg->state);

    if (page_state_type(old) == PAGE_TYPE_WRITABLE) {
        page_put_writable(pg);
        return;
    }
    page_put_role(pg, old);
    page_put(pg);
}

void page_restore(struct page_info *pg)
{
    atomic_or(&pg->state, PAGE_REF_ONE | PAGE_ALLOCATED);
}

void page_release(struct domain *d, struct page_info *pg)
{
    if (!(page_state_of(pg, d->id) & PAGE_ALLOCATED))
        return;
    atomic_and(&pg->state, ~PAGE_ALLOCATED); /* nobody else does: we hold the lock */
    page_put(pg);
}

/* --- giving frames to domains ---------------------------------------------------------------------- */

#define SCRUB_SPAN 64u /* frames between two preemption points */

/* Whatever a frame holds, from before the boot too, is nobody else's to read. */
static inline void frame_scrub(struct page_info *pg)
{
    if (pg->state & PAGE_USED_BEFORE)
        memset(mfn_to_virt(page_to_mfn(pg)), 0, PAGE_SIZE);
}

static noinline_ struct page_info *block_scrub(struct page_info *pg, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        frame_scrub(&pg[i]);
        if (i % SCRUB_SPAN == SCRUB_SPAN - 1)
            (void)preempt_point();
    }
    return pg;
}

struct page_info *page_prepare(struct domain *d, unsigned order, uint64_t leave)
{
    uint32_t count = 1u << order;

    /* Count first, then look: either we see that the domain is dying, or its teardown sees a frame to wait for. */
    if (atomic_add(&d->tot_pages, count) > d->max_pages || unlikely(atomic_read(&d->dying))) {
        atomic_sub(&d->tot_pages, count);
        return NULL;
    }
    struct page_info *pg = page_alloc_leaving(order, leave);
    if (!pg) {
        atomic_sub(&d->tot_pages, count);
        return NULL;
    }
    if (unlikely(order))
        return block_scrub(pg, count);
    frame_scrub(pg);
    return pg;
}

void page_discard(struct domain *d, struct page_info *pg, unsigned order)
{
    page_free(pg, order);
    atomic_sub(&d->tot_pages, 1u << order);
}

static void bounds_widen(struct domain *d, uint64_t first, uint64_t last) REQUIRES(&d->mmu)
{
    if (d->lowest_mfn > first || d->highest_mfn == 0)
        d->lowest_mfn = first;
    if (d->highest_mfn < last)
        d->highest_mfn = last;
}

void page_assign(struct domain *d, struct page_info *pg, unsigned order)
{
    uint64_t first = page_to_mfn(pg).n, count = 1ull << order;

    mutex_lock(&d->mmu);
    bounds_widen(d, first, first + count - 1);
    for (uint64_t i = 0; i < count; i++) {
        pg[i].linear = 0;
        atomic_set(&pg[i].owner, d->id);
        /* Until here refs was 0, so nobody has taken any.  It starts as one that nobody has writable any more: most frames
         * get no other role, and this one need not be earned.  Like any frame that changes its role it becomes a table
         * after a look at its stamp (page_earn_type). */
        atomic_set_release(&pg[i].state, PAGE_REF_ONE | PAGE_ALLOCATED |
                                             (uint64_t)PAGE_TYPE_WRITABLE << PAGE_TYPE_SHIFT);
    }
    mutex_unlock(&d->mmu);
}

/* While @d is built nobody else touches what is promised to it.  The promise ends when the frames are taken, not before. */
struct page_info *page_alloc_for(struct domain *d, unsigned order)
{
    const uint32_t own = d->promised >> order ? 1u << order : 0;
    struct page_info *pg = page_prepare(d, order, own ? PAGE_LEAVE_NOTHING : 0);

    if (!pg)
        return NULL;
    page_assign(d, pg, order);
    d->promised -= own;
    page_promise_end(own);
    return pg;
}

/* Of a page that the hypervisor shares, and that nobody maps. */
#define SHARED_STATE \
    (PAGE_REF_ONE | PAGE_SHARED | 1 | (uint64_t)PAGE_TYPE_WRITABLE << PAGE_TYPE_SHIFT)

void *page_alloc_shared(struct domain *d)
{
    struct page_info *pg = page_alloc(0);

    if (!pg)
        return NULL;
    void *va = mfn_to_virt(page_to_mfn(pg));
    memset(va, 0, PAGE_SIZE);
    /* The hypervisor writes to it, too: a writable type reference of ours keeps every other role away. */
    mutex_lock(&d->mmu);
    pg->linear = 0;
    atomic_set(&pg->owner, d->id);
    atomic_set_release(&pg->state, SHARED_STATE);
    mutex_unlock(&d->mmu);
    return va;
}

void page_show(struct page_info *pg)
{
    atomic_set(&pg->owner, DOMID_XEN);
    atomic_set_release(&pg->state, PAGE_REF_ONE | (uint64_t)PAGE_TYPE_SHOWN << PAGE_TYPE_SHIFT | 1);
}

void page_unshare(struct domain *d, void *va)
{
    page_put_and_type(mfn_to_page(virt_to_mfn(va)));
}

bool page_shared_is_alone(void *va)
{
    return atomic_read(&mfn_to_page(virt_to_mfn(va))->state) == SHARED_STATE;
}

bool page_shared_take(void *va)
{
    uint64_t alone = SHARED_STATE;

    return atomic_compare_exchange(&mfn_to_page(virt_to_mfn(va))->state, &alone,
                                   (uint64_t)PAGE_TYPE_WRITABLE << PAGE_TYPE_SHIFT);
}

void page_shared_restore(void *va)
{
    atomic_set_release(&mfn_to_page(virt_to_mfn(va))->state, SHARED_STATE);
}
