/*
 * The everyday pin and unpin, in line: version 1, an entry that nobody else has pinned, permitted to the mapper and nothing else said.
 * Whatever differs is for grant-entry.c.
 */
#pragma once

#include "arch.h"
#include "grant-table.h"

/* What a mapping with @flags (GNTMAP_*) is in its entry's counts: grant_pins_of(), without a decision. */
static inline uint32_t grant_pins_quick(uint32_t flags)
{
    static const uint32_t pins[8] = {
        [GNTMAP_device_map] = PIN_DEVICE_WRITE,
        [GNTMAP_host_map] = PIN_HOST_WRITE,
        [GNTMAP_host_map | GNTMAP_device_map] = PIN_HOST_WRITE + PIN_DEVICE_WRITE,
        [GNTMAP_readonly | GNTMAP_device_map] = PIN_DEVICE_READ,
        [GNTMAP_readonly | GNTMAP_host_map] = PIN_HOST_READ,
        [GNTMAP_readonly | GNTMAP_host_map | GNTMAP_device_map] = PIN_HOST_READ + PIN_DEVICE_READ,
    };
    _Static_assert((GNTMAP_device_map | GNTMAP_host_map | GNTMAP_readonly) == 7, "the low bits");

    return pins[flags & 7];
}

/* The GTF bits that stand for it. */
static inline uint32_t gtf_quick(uint32_t flags)
{
    return flags & GNTMAP_readonly ? GTF_reading : GTF_reading | GTF_writing;
}

static inline bool pin_quick_locked(struct grant_table *t, grant_ref_t ref, domid_t mapper,
                                    uint32_t pins, uint32_t bits, uint32_t *frame)
    REQUIRES(&t->lock)
{
    if (unlikely(ref >= t->quick))
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
    *a = (struct grant_active){.pins = pins, .mfn = named, .mapper = mapper, .length = PAGE_SIZE};
    t->pinned++;
    return true;
}

/* grant_pin() of a whole frame that nobody has pinned; @bits: what GTF bits @pins mean.  False: nothing has been done, ask grant_pin(). */
static always_inline_ bool grant_pin_quick(struct grant_table *t, grant_ref_t ref, domid_t mapper,
                                           uint32_t pins, uint32_t bits, uint32_t *frame)
{
    if (!FAST_PATHS)
        return false;
    spin_lock(&t->lock);
    const bool pinned = pin_quick_locked(t, ref, mapper, pins, bits, frame);
    spin_unlock(&t->lock);
    return pinned;
}

/* grant_unpin() of entry @ref, whose active entry is @a. */
static always_inline_ void grant_unpin_quick(struct grant_table *t, struct grant_active *a,
                                             grant_ref_t ref, uint32_t pins)
{
    spin_lock(&t->lock);
    const uint32_t left = a->pins - pins;
    a->pins = left;
    if (likely(!left)) {
        t->pinned--;
        /* Whoever had it for reading alone left GTF_writing as it was: clear. */
        grant_unmark(t, ref, pins & PIN_WRITES ? GTF_reading | GTF_writing : GTF_reading);
    } else if ((pins & PIN_WRITES) && !(left & PIN_WRITES)) {
        grant_unmark(t, ref, GTF_writing);
    }
    spin_unlock(&t->lock);
}
