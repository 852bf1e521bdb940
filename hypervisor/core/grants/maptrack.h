/*
 * Handles: what a domain has mapped of others' grants (core/grants/maptrack.c).
 *
 * A handle's number is an index into pages of entries.  An entry belongs to whoever has set MAPTRACK_TAKEN in its flags, or has
 * just popped it: one exchange decides between two vCPUs that unmap the same handle.
 */
#pragma once

#include "arch.h"
#include "grant-table.h"

/* Beside the GNTMAP_* of what is mapped: somebody is at work on the entry. */
#define MAPTRACK_TAKEN 0x8000u
#define MAPTRACK_PARTS (GNTMAP_host_map | GNTMAP_device_map)

/* 16 bytes, 256 a page.  In a free entry @ref is the next handle of the list. */
struct maptrack_entry {
    struct domain *granter; /* referenced */
    uint32_t ref;
    uint16_t flags; /* GNTMAP_*; 0: free (atomic) */
};
_Static_assert(sizeof(struct maptrack_entry) == 16, "256 a page");

#define MAPTRACK_PER_PAGE ((uint32_t)(PAGE_SIZE / sizeof(struct maptrack_entry)))
#define MAPTRACK_NONE     ~0u

/* Free handles of one vCPU. */
struct maptrack_list {
    spinlock_t lock;
    uint32_t head, free;
} __attribute__((aligned(16))); /* found by a shift */

struct maptrack {
    spinlock_t lock; /* guards the growth of: */
    uint32_t limit;  /* handles below this exist (atomic; published when their page is whole) */
    uint32_t pages_most;
    struct maptrack_entry **page; /* pages never go before the domain does */
    uint32_t lists;
    struct maptrack_list list[]; /* of each vCPU */
};

static inline struct maptrack_entry *maptrack_at(const struct maptrack *m, uint32_t handle)
{
    return &m->page[handle / MAPTRACK_PER_PAGE][handle % MAPTRACK_PER_PAGE];
}

/* A handle for @v's domain, whose entry is the caller's until it has flags; NULL: at the limit, or no memory. */
struct maptrack_entry *maptrack_new(struct vcpu *v, uint32_t *handle) must_check;
/* The entry, which the caller owns, is free. */
void maptrack_free(struct vcpu *v, struct maptrack_entry *e, uint32_t handle);
/* Take the entry of @handle of @m (NULL: there are none): its flags before that are in *flags.  NULL: there is no such handle, or
 * somebody else has it just now. */
static inline must_check struct maptrack_entry *maptrack_take(const struct maptrack *m,
                                                              uint32_t handle, uint16_t *flags)
{
    if (unlikely(!m || handle >= atomic_read_acquire(&m->limit)))
        return NULL;
    struct maptrack_entry *e = maptrack_at(m, handle);
    uint16_t seen = atomic_read(&e->flags);
    if (unlikely(!seen || seen & MAPTRACK_TAKEN) ||
        unlikely(!atomic_compare_exchange(&e->flags, &seen, (uint16_t)(seen | MAPTRACK_TAKEN))))
        return NULL;
    *flags = seen;
    return e;
}
void maptrack_destroy(struct maptrack *m);
