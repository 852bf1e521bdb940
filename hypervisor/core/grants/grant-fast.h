/*
 * The everyday pin and unpin, in line: version 1, an entry that nobody else has pinned, permitted to the mapper and
 * nothing else said.  Whatever differs is for grant-entry.c.
 */
#pragma once

#include "arch.h"
#include "grant-table.h"

/* @a, of an entry that nobody had pinned: all of frame @frame.  Two stores. */
static always_inline_ void grant_active_set(struct grant_active *a, uint32_t pins, uint32_t frame,
                                            domid_t mapper)
{
    typedef uint64_t __attribute__((may_alias)) word_t;

    _Static_assert(sizeof(*a) == 2 * sizeof(word_t) && offsetof(struct grant_active, mfn) == 4 &&
                       offsetof(struct grant_active, mapper) == 8 &&
                       offsetof(struct grant_active, start) == 10 &&
                       offsetof(struct grant_active, length) == 12,
                   "the fields of the two words");
    ((word_t *)a)[0] = (uint64_t)frame << 32 | pins;
    ((word_t *)a)[1] = (uint64_t)PAGE_SIZE << 32 | mapper;
}

static inline bool pin_fast_locked(struct grant_table *t, grant_ref_t ref, domid_t mapper,
                                   uint32_t pins, uint32_t bits, uint32_t *frame) REQUIRES(&t->lock)
{
    if (unlikely(ref >= t->fast))
        return false;
    struct grant_active *page = t->active[ref / ACTIVE_PER_PAGE];
    if (unlikely(!page))
        return false;
    struct grant_active *a = &page[ref % ACTIVE_PER_PAGE];
    if (unlikely(a->pins))
        return false;

    grant_entry_v1_t *e = grant_entry_v1(t, ref);
    uint32_t permitted = (uint32_t)mapper << 16 | GTF_permit_access;
    if (unlikely(!atomic_compare_exchange((uint32_t *)e, &permitted, permitted | bits)))
        return false;
    const uint32_t named = *frame = atomic_read(&e->frame);
    if (unlikely(named >= max_mfn)) {
        grant_unmark(t, ref, GTF_reading | GTF_writing);
        return false; /* and refused, if it is still so */
    }
    grant_active_set(a, pins, named, mapper);
    t->pinned++;
    return true;
}

/* grant_pin() of a whole frame that nobody has pinned; @bits: what GTF bits @pins mean.  False: nothing has been done,
 * ask grant_pin(). */
static always_inline_ bool grant_pin_fast(struct grant_table *t, grant_ref_t ref, domid_t mapper,
                                          uint32_t pins, uint32_t bits, uint32_t *frame)
{
    if (!FAST_PATHS)
        return false;
    spin_lock(&t->lock);
    const bool pinned = pin_fast_locked(t, ref, mapper, pins, bits, frame);
    spin_unlock(&t->lock);
    return pinned;
}

/* Entry @ref, whose active entry is @a, is pinned less often by @pins, and the granter sees it. */
static always_inline_ void grant_unpin_locked(struct grant_table *t, struct grant_active *a,
                                              grant_ref_t ref, uint32_t pins) REQUIRES(&t->lock)
{
    const uint32_t left = a->pins - pins;

    a->pins = left;
    if (likely(!left)) {
        t->pinned--;
        /* Whoever had it for reading alone left GTF_writing as it was: clear. */
        grant_unmark(t, ref, pins & PIN_WRITES ? GTF_reading | GTF_writing : GTF_reading);
    } else if ((pins & PIN_WRITES) && !(left & PIN_WRITES)) {
        grant_unmark(t, ref, GTF_writing);
    }
}

/* grant_unpin() of entry @ref, whose active entry is @a. */
static always_inline_ void grant_unpin_fast(struct grant_table *t, struct grant_active *a,
                                            grant_ref_t ref, uint32_t pins)
{
    spin_lock(&t->lock);
    grant_unpin_locked(t, a, ref, pins);
    spin_unlock(&t->lock);
}
