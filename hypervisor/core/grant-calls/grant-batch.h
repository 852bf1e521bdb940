/*
 * What consecutive elements of one call share (grant-map.c, grant-unmap.c).
 *
 * Elements are of two kinds.  The everyday ones go in runs: their locks are taken once for all of them, and nothing is done
 * for one before it is known to be of that kind.  Of every other nothing has been done when the run ends there; it is
 * read anew, and goes by the general path, with every case and every refusal.
 */
#pragma once

#include "arch.h"
#include "grant-table.h"
#include "page-tables.h"
#include "refuse.h"

/* Between two spans nothing of it is held. */
struct batch {
    struct vcpu *v;
    struct domain *d;
    bool locked; /* d->mmu */
};

/* It takes the lock once a span, and the analysis of locks is told by mutex_is_held(). */
static inline void batch_lock(struct batch *b) NO_ANALYSIS
{
    if (b->locked)
        return;
    mutex_lock(&b->d->mmu);
    b->locked = true;
}

static inline void batch_unlock(struct batch *b) NO_ANALYSIS
{
    if (b->locked)
        mutex_unlock(&b->d->mmu);
    b->locked = false;
}

#define WORD(ops, i) guest_ptr_add(ops, (i) * sizeof(uint64_t))

/* What elements say is in their first three words. */
static always_inline_ int read_three(uint64_t *word, guest_ptr_t at)
{
    return guest_read_word_checked(&word[0], at, 0) || guest_read_word_checked(&word[1], at, 1) ||
           guest_read_word_checked(&word[2], at, 2);
}

/* The page-table slot that an element names; NULL: none in a table of the caller's. */
static inline uint64_t *slot_look_up(const struct batch *b, uint64_t at, uint32_t flags)
    REQUIRES(&b->d->mmu)
{
    mutex_is_held(&b->v->domain->mmu);
    return flags & GNTMAP_contains_pte ? l1_slot_at(b->d, at) : l1_slot(b->v, at);
}

/* For runs: the L1 table of the last slot that was looked for, and which 2 MiB it maps.  With the lock held no table changes
 * its place: what an element changes is an entry of an L1 table. */
struct last_table {
    uint64_t *table, maps;
};
#define TABLE_SHIFT 21 /* 2 MiB: what an L1 table maps */
#define LAST_TABLE_NONE \
    {                   \
        NULL, ~0ull     \
    }

/* slot_look_up() of an address, for @v. */
static always_inline_ uint64_t *slot_of(const struct vcpu *v, struct last_table *last, uint64_t at)
    REQUIRES(&v->domain->mmu)
{
    if (likely(at >> TABLE_SHIFT == last->maps))
        return &last->table[pt_index(at, 1)];
    uint64_t *slot = l1_slot(v, at);
    if (likely(slot)) {
        last->table = (uint64_t *)((uintptr_t)slot & PAGE_MASK);
        last->maps = at >> TABLE_SHIFT;
    }
    return slot;
}
