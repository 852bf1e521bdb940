/*
 * References to frames, in four pairs (the slow halves: core/mmu/page.c).
 *
 *   take                  give back            what is held                      lock
 *   ---------------------------------------------------------------------------------------------------------------
 *   page_get              page_put             a reference: the frame is not     none
 *                                              given away
 *   page_get_and_type     page_put_and_type    a reference and the role          the owner's mmu lock; none for WRITABLE
 *   page_get_type         page_put_and_type    the role for a reference that     the owner's mmu lock; none for WRITABLE
 *                                              the caller has; with it
 *   page_try_get_mapped   page_put_mapped      what an L1 entry holds: a         none
 *                                              reference, and the role
 *                                              WRITABLE if the entry is so
 *
 * Only the last may fail for no reason: its caller asks one of the others then, which knows.  A role but WRITABLE is earned
 * and lost by a look at all that the frame holds, which may take long; WRITABLE may flush TLBs.
 */
#pragma once

#include "domain.h"
#include "page.h"

/* What the pairs do when it is not the common case. */
bool page_get_slow(struct page_info *pg, const struct domain *d) must_check;
int page_get_and_type_slow(struct page_info *pg, struct domain *d, enum page_type type) must_check;
void page_put_and_type_slow(struct page_info *pg);
void page_reclaim(struct page_info *pg); /* the last reference is gone */

/* What an L1 entry lets its user do with the frame: also how many type references it holds. */
enum mapped_for { MAPPED_READ = 0, MAPPED_WRITE = 1 };

/* Is there a reference at all (free frames have none), and so few that neither count can be full?  Every type reference comes with a
 * reference (I4), so one look answers for both; where there are more, the slow functions look at each. */
static inline bool page_state_open(uint64_t state)
{
    return state - PAGE_REF_ONE < PAGE_COUNT_MASK / 2 * PAGE_REF_ONE;
}

/*
 * One exchange for what an L1 entry holds: a reference and, if it is writable, a type reference to a frame that is WRITABLE
 * already (with a count of 0, too: that role needs no earning).  False: nothing taken, which says nothing yet.  True: the owner
 * has to be looked at once more, as the frame may have been freed and given away between its look here and the exchange; with a
 * reference in hand it stays.
 */
static inline must_check bool page_try_get_mapped(struct page_info *pg, uint16_t id,
                                                  enum mapped_for right)
{
    uint64_t old = atomic_read(&pg->state);

    return likely((right == MAPPED_READ || (old & PAGE_TYPE_MASK) == (uint64_t)PAGE_TYPE_WRITABLE
                                                                         << PAGE_TYPE_SHIFT) &&
                  page_state_open(old) && atomic_equal(&pg->owner, id)) &&
           likely(atomic_compare_exchange(&pg->state, &old, old + PAGE_REF_ONE + right));
}

/* Give back in one step what an L1 entry held. */
static inline void page_put_mapped(struct page_info *pg, enum mapped_for right)
{
    if (unlikely(atomic_sub(&pg->state, PAGE_REF_ONE + right) < PAGE_REF_ONE))
        page_reclaim(pg);
}

/* The same for a table's role, which must have been earned, under the mmu lock of domain @id: with it the owner is known for good. */
static inline must_check bool page_try_get_table(struct page_info *pg, uint16_t id,
                                                 enum page_type type)
{
    uint64_t old = atomic_read_acquire(&pg->state);

    return likely((old & (PAGE_TYPE_MASK | PAGE_VALIDATED)) ==
                      ((uint64_t)type << PAGE_TYPE_SHIFT | PAGE_VALIDATED) &&
                  page_state_open(old) && (old & PAGE_COUNT_MASK) &&
                  atomic_read(&pg->owner) == id) &&
           likely(atomic_compare_exchange(&pg->state, &old, old + PAGE_REF_ONE + 1));
}

/* Take one reference to a frame of @d; false if it is not @d's (or not RAM). */
static inline must_check bool page_get(struct page_info *pg, const struct domain *d)
{
    const uint16_t id = d->id;

    if (FAST_PATHS && likely(page_try_get_mapped(pg, id, MAPPED_READ))) {
        if (likely(atomic_read(&pg->owner) == id))
            return true;
        page_put_mapped(pg, MAPPED_READ);
        return false;
    }
    return page_get_slow(pg, d);
}

static inline void page_put(struct page_info *pg)
{
    page_put_mapped(pg, MAPPED_READ);
}

/*
 * Take a reference and a type together.  0; -XEN_EINVAL if the frame is not @d's or has another role; or what
 * page_table_validate() says of a frame that gets a page-table role for the first time.
 */
static inline must_check int page_get_and_type(struct page_info *pg, struct domain *d,
                                               enum page_type type)
{
    const uint16_t id = d->id;

    if (!FAST_PATHS)
        return page_get_and_type_slow(pg, d, type);
    if (type != PAGE_TYPE_WRITABLE) {
        if (page_try_get_table(pg, id, type))
            return 0;
    } else if (page_try_get_mapped(pg, id, MAPPED_WRITE)) {
        if (likely(atomic_read(&pg->owner) == id))
            return 0;
        page_put_and_type_slow(pg);
        return -XEN_EINVAL;
    }
    return page_get_and_type_slow(pg, d, type);
}

/* A type reference that is not the last of a table's role takes nothing with it (its count moves under the owner's mmu lock). */
static inline void page_put_and_type(struct page_info *pg)
{
    if (FAST_PATHS && likely(page_state_count(atomic_read(&pg->state)) > 1))
        page_put_mapped(pg, MAPPED_WRITE);
    else
        page_put_and_type_slow(pg);
}

/* The type alone: a reference to @pg, which is @d's, is in the caller's hand and stays there; errors as above. */
int page_get_type(struct page_info *pg, struct domain *d, enum page_type type) must_check;
