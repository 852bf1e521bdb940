/*
 * Mapping others' grants, and unmapping.
 *
 *     map      a handle; the entry is pinned; a device mapping's references, or a page-table entry with its own
 *     unmap    page-table entries of up to 32 elements are emptied; one flush of all CPUs that know the domain; then the
 *              frames' references, the pins and the GTF bits are given back
 *
 * "Unused" is told to the granter by the GTF bits, last: what it does with the frame then, no TLB of the mapper's sees.
 * The flush is of whole TLBs, since a table may be reached by more addresses than the one that was named.
 *
 * Each element has a status of its own, and the call answers 0; only an element that cannot be read or written ends the batch.
 * Lists are worked off in place: who was put aside between two elements goes on with the next.
 */
#include "arch.h"
#include "grant-quick.h"
#include "lib.h"
#include "maptrack.h"
#include "page-tables.h"
#include "refuse.h"
#include "sched.h"
#include "tlb.h"

#define MAP_SPAN   16u /* elements between two preemption points */
#define UNMAP_SPAN 32u /* elements with one flush */

/* What consecutive elements share.  Between two spans nothing of it is held. */
struct batch {
    struct vcpu *v;
    struct domain *d;
    struct domain *granter;    /* referenced; or NULL */
    struct maptrack *maptrack; /* of @d, if it had one as the span began; or NULL */
    bool locked;               /* d->mmu */
    /* While it is locked: the L1 table of the last slot that was looked for, and which 2 MiB it maps; or NULL. */
    uint64_t *table;
    uint64_t table_maps;
};

/* It takes the lock once a span, and the analysis of locks is told by mutex_is_held(). */
static inline void batch_lock(struct batch *b) NO_ANALYSIS
{
    if (b->locked)
        return;
    mutex_lock(&b->d->mmu);
    b->locked = true;
    b->table = NULL;
}

static void batch_unlock(struct batch *b) NO_ANALYSIS
{
    if (b->locked)
        mutex_unlock(&b->d->mmu);
    b->locked = false;
}

static void batch_end(struct batch *b)
{
    batch_unlock(b);
    if (b->granter)
        domain_put(b->granter);
    b->granter = NULL;
}

static noinline_ struct domain *batch_granter_new(struct batch *b, domid_t id)
{
    if (b->granter)
        domain_put(b->granter);
    b->granter = domain_get(id);
    if (b->granter && !b->granter->grants) {
        domain_put(b->granter);
        b->granter = NULL;
    }
    return b->granter;
}

/* Domain @id, which has a table, as long as the batch lasts or another is asked for; or NULL. */
static inline struct domain *batch_granter(struct batch *b, domid_t id)
{
    return likely(b->granter && b->granter->id == id) ? b->granter : batch_granter_new(b, id);
}

/* --- map ----------------------------------------------------------------------------------------------- */

#define TABLE_SHIFT 21 /* 2 MiB: what an L1 table maps */

static noinline_ uint64_t *slot_look_up(struct batch *b, uint64_t at, uint32_t flags)
    REQUIRES(&b->d->mmu)
{
    mutex_is_held(&b->v->domain->mmu);
    if (flags & GNTMAP_contains_pte)
        return l1_slot_at(b->d, at);
    uint64_t *slot = l1_slot(b->v, at);
    b->table = slot ? (uint64_t *)((uintptr_t)slot & PAGE_MASK) : NULL;
    b->table_maps = at >> TABLE_SHIFT;
    return slot;
}

/* The page-table slot that an element names; NULL: none in a table of the caller's.  With the lock held no table changes its
 * place: what an element changes is an entry of an L1 table. */
static inline uint64_t *slot_of(struct batch *b, uint64_t at, uint32_t flags) REQUIRES(&b->d->mmu)
{
    if (likely(b->table && at >> TABLE_SHIFT == b->table_maps && !(flags & GNTMAP_contains_pte)))
        return &b->table[pt_index(at, 1)];
    return slot_look_up(b, at, flags);
}

/* The entry for a mapping with these flags: as Xen's, never for code, and A and D are set. */
static inline pte_t pte_of(mfn_t m, uint32_t flags)
{
    uint64_t bits = PTE_P | PTE_A | PTE_D | PTE_NX;

    if (!(flags & GNTMAP_readonly))
        bits |= PTE_RW;
    if (flags & GNTMAP_application_map)
        bits |= PTE_US;
    bits |= ((uint64_t)flags >> _GNTMAP_guest_avail0 << 9) & PTE_AVAIL;
    return pte_make(m, bits);
}

static inline int16_t host_map(struct batch *b, struct domain *granter, uint64_t at, uint32_t flags,
                               mfn_t m)
{
    mutex_is_held(&b->d->mmu); /* map_one() */
    uint64_t *slot = slot_of(b, at, flags);
    if (unlikely(!slot))
        return deny(GRANT_NO_SLOT, GNTST_general_error, at, flags);
    if (likely(l1_map_quick(granter, slot, mfn_to_page(m), pte_of(m, flags))))
        return GNTST_okay;
    /* The refusal, of a frame that is no memory to be mapped in this way, has been recorded. */
    return likely(!l1_update(b->d, granter, slot, pte_of(m, flags), AD_AS_GIVEN))
               ? GNTST_okay
               : GNTST_general_error;
}

static inline int16_t device_map(struct domain *granter, uint32_t flags, struct page_info *pg)
{
    const bool got = flags & GNTMAP_readonly ? page_get_quick(pg, granter, granter->id)
                                             : !page_get_and_type(pg, granter, PAGE_TYPE_WRITABLE);

    return likely(got) ? GNTST_okay
                       : deny(GRANT_ROLE_CONFLICT, GNTST_general_error, page_to_mfn(pg).n,
                              page_state_type(atomic_read(&pg->state)));
}

/* What an element says. */
struct map_op {
    uint64_t host;
    uint32_t flags;
    grant_ref_t ref;
    domid_t granter;
};

/* The frame of a pinned entry, in both ways that @op may ask for. */
static inline int16_t frame_map(struct batch *b, struct domain *granter, const struct map_op *op,
                                mfn_t m, bool fresh)
{
    struct page_info *pg = mfn_to_page(m);
    int16_t status = GNTST_okay;

    /* A look that decides nothing yet, but for what is no memory at all: that stays so. */
    if (unlikely(atomic_read(&pg->owner) != granter->id))
        return deny(GRANT_FRAME_NOT_GRANTERS, fresh ? GNTST_bad_page : GNTST_general_error, m.n);
    if (op->flags & GNTMAP_device_map) {
        status = device_map(granter, op->flags, pg);
        if (unlikely(status))
            return status;
    }
    if (op->flags & GNTMAP_host_map) {
        status = host_map(b, granter, op->host, op->flags, m);
        if (unlikely(status) && op->flags & GNTMAP_device_map)
            page_put_mapped(pg, !(op->flags & GNTMAP_readonly));
    }
    return status;
}

#define FRESH (1ll << 32)

/* Pin what is not everyday: the frame, and FRESH if nobody else had it pinned; or the status, which is negative. */
static noinline_ int64_t pin_slow(const struct batch *b, const struct domain *granter,
                                  grant_ref_t ref, uint32_t pins)
{
    struct grant_part part;
    const int16_t status = grant_pin(granter->grants, ref, b->d->id, pins, true, &part);

    return status ? status : (int64_t)part.mfn.n | (part.fresh ? FRESH : 0);
}

static always_inline_ int64_t pin_one(const struct batch *b, const struct domain *granter,
                                      const struct map_op *op, uint32_t pins)
{
    uint32_t frame;

    return likely(grant_pin_quick(granter->grants, op->ref, b->d->id, pins, gtf_quick(op->flags),
                                  &frame))
               ? frame | FRESH
               : pin_slow(b, granter, op->ref, pins);
}

/* The element's status, and what it gets back. */
static always_inline_ int16_t map_one(struct batch *b, const struct map_op *op, uint32_t *handle,
                                      uint64_t *address)
{
    if (unlikely(!(op->flags & MAPTRACK_PARTS)))
        return deny(GRANT_MAP_FLAGS, GNTST_bad_gntref, op->flags);
    struct domain *granter = batch_granter(b, op->granter);
    if (unlikely(!granter))
        return deny(GRANT_GRANTER_MISSING, GNTST_bad_domain, op->granter);
    /* Before anything is pinned: whoever waits for the lock leaves nothing half done, which the audit could meet. */
    if (op->flags & GNTMAP_host_map)
        batch_lock(b);
    struct maptrack_entry *e = maptrack_new_quick(b->maptrack, b->v, handle);
    if (unlikely(!e)) {
        e = maptrack_new(b->v, handle);
        if (!e)
            return deny(GRANT_NO_HANDLE, GNTST_no_space, b->d->grants->max_maptrack_frames);
    }

    const uint32_t pins = grant_pins_quick(op->flags);
    const int64_t pinned = pin_one(b, granter, op, pins);
    const mfn_t m = mfn((uint32_t)pinned);
    int16_t status = (int16_t)pinned;
    if (likely(pinned >= 0)) {
        status = frame_map(b, granter, op, m, pinned & FRESH);
        if (unlikely(status))
            grant_unpin(granter->grants, op->ref, pins);
    }
    if (unlikely(status)) {
        maptrack_free(b->v, e, *handle);
        return status;
    }
    atomic_add(&granter->refs, 1); /* the handle's */
    e->granter = granter;
    e->ref = op->ref;
    atomic_set_release(&e->flags, (uint16_t)(op->flags & (MAPTRACK_TAKEN - 1)));
    *address = mfn_to_maddr(m);
    return GNTST_okay;
}

#define WORD(ops, i) guest_ptr_add(ops, (i) * sizeof(uint64_t))

/* What elements say is in their first three words. */
static always_inline_ int read_three(uint64_t *word, guest_ptr_t at)
{
    return guest_read_word_checked(&word[0], at, 0) || guest_read_word_checked(&word[1], at, 1) ||
           guest_read_word_checked(&word[2], at, 2);
}

_Static_assert(sizeof(struct gnttab_map_grant_ref) == 32 &&
                   offsetof(struct gnttab_map_grant_ref, ref) == 12 &&
                   offsetof(struct gnttab_map_grant_ref, status) == 18 &&
                   offsetof(struct gnttab_map_grant_ref, handle) == 20 &&
                   offsetof(struct gnttab_map_grant_ref, dev_bus_addr) == 24,
               "an element is four words: address; flags, ref; dom, status, handle; address");

/* The element at @at: 0 or -EFAULT. */
static always_inline_ int map_element(struct batch *b, guest_ptr_t at)
{
    uint64_t word[3], address = 0;

    if (unlikely(!guest_list_readable(at, sizeof(struct gnttab_map_grant_ref))) ||
        unlikely(read_three(word, at)))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    const struct map_op op = {word[0], (uint32_t)word[1], (grant_ref_t)(word[1] >> 32),
                              (domid_t)word[2]};
    uint32_t handle = 0;
    const int16_t status = map_one(b, &op, &handle, &address);
    if (unlikely(status)) { /* what is not ours to say stays as it was */
        if (guest_write_u64_checked(WORD(at, 2),
                                    (word[2] & ~0xffff0000ull) | (uint64_t)(uint16_t)status << 16))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        return 0;
    }
    if (unlikely(
            guest_write_u64_checked(WORD(at, 2), (word[2] & 0xffff) | (uint64_t)handle << 32)) ||
        unlikely(guest_write_u64_checked(WORD(at, 3), address)))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    return 0;
}

/* Up to a span of elements at @ops; 0 or -EFAULT. */
static int map_span(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    struct batch b = {
        .v = v, .d = v->domain, .maptrack = atomic_read_acquire(&v->domain->grants->maptrack)};
    int rc = 0;

    for (unsigned i = 0; i < count && !rc; i++)
        rc = map_element(&b, guest_ptr_add(ops, i * sizeof(struct gnttab_map_grant_ref)));
    batch_end(&b);
    return rc;
}

long grant_map(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    for (unsigned i = 0; i < count; i += MAP_SPAN) {
        if (i && pause_point())
            break;
        int rc = map_span(v, guest_ptr_add(ops, i * sizeof(struct gnttab_map_grant_ref)),
                          MIN(count - i, MAP_SPAN));
        if (rc)
            return rc;
    }
    return 0;
}

/* --- unmap --------------------------------------------------------------------------------------------- */

/* An element between the two passes: what is unmapped, and not given back yet. */
struct unmapped {
    struct maptrack_entry *e; /* ours; NULL: nothing */
    struct grant_active *a;   /* of the entry that it has pinned */
    uint32_t handle;
    uint16_t flags; /* what the handle had */
    uint16_t done;  /* parts that are gone */
};

/* All kinds of unmapping.  @replace: the entry at @new takes the place of the host mapping's. */
struct unmap_op {
    uint64_t host, device, new;
    uint32_t handle;
    bool replace;
};

/* The entry at @op->new moves to @slot, with all that it holds. */
static bool replace_host(struct batch *b, const struct unmap_op *op, uint64_t *slot, mfn_t m,
                         bool writable) REQUIRES(&b->d->mmu)
{
    mutex_is_held(&b->v->domain->mmu);
    uint64_t *from = l1_slot(b->v, op->new);

    if (!from || from == slot)
        return false;
    const pte_t moved = pte(atomic_read(from));
    /* A processor may set A and D in the old place until all have forgotten it; nobody misses them. */
    if (!l1_remove(slot, m, writable, moved))
        return false;
    atomic_exchange(from, 0);
    return true;
}

static inline int16_t host_unmap(struct batch *b, const struct unmap_op *op, uint16_t flags,
                                 mfn_t m)
{
    const bool writable = !(flags & GNTMAP_readonly);

    batch_lock(b);
    mutex_is_held(&b->d->mmu);
    uint64_t *slot = slot_of(b, op->host, flags);
    if (unlikely(op->replace && op->new)) {
        if (flags & GNTMAP_contains_pte)
            return deny(GRANT_REPLACE_BY_PTE, GNTST_general_error, op->handle);
        if (slot && replace_host(b, op, slot, m, writable))
            return GNTST_okay;
    } else if (likely(slot && l1_remove(slot, m, writable, pte(0)))) {
        return GNTST_okay;
    }
    return deny(GRANT_NOT_MAPPED_THERE, GNTST_general_error, op->host, m.n);
}

/* First pass: empty the entry. */
static always_inline_ int16_t unmap_one(struct batch *b, const struct unmap_op *op,
                                        struct unmapped *u)
{
    uint16_t flags, done = 0;
    struct maptrack_entry *e = maptrack_take(b->maptrack, op->handle, &flags);

    u->e = e;
    if (unlikely(!e))
        return deny(GRANT_HANDLE_BAD, GNTST_bad_handle, op->handle);

    /* What the handle has pinned stays as it is. */
    struct grant_active *a = grant_active_of(e->granter->grants, e->ref);
    const mfn_t m = mfn(a->mfn);
    int16_t status = GNTST_okay;
    if (unlikely(op->device && (flags & GNTMAP_device_map) && op->device != mfn_to_maddr(m))) {
        status = deny(GRANT_DEVICE_ADDRESS, GNTST_bad_dev_addr, op->device, m.n);
    } else {
        if (op->host && (flags & GNTMAP_host_map)) {
            status = host_unmap(b, op, flags, m);
            if (likely(!status))
                done = GNTMAP_host_map;
        }
        if (likely(!status) && op->device)
            done |= flags & GNTMAP_device_map;
    }
    *u = (struct unmapped){e, a, op->handle, flags, done};
    return status;
}

/* A handle of @d's is gone: so is its reference.  The batch has one more, so that few are the last. */
static inline void batch_put(struct batch *b, struct domain *d)
{
    if (likely(b->granter == d)) {
        atomic_sub(&d->refs, 1);
        return;
    }
    if (b->granter)
        domain_put(b->granter);
    b->granter = d; /* with the handle's */
}

/* Second pass: no TLB has the mapping any more.  The references first, then the pins and what the granter sees of them. */
static always_inline_ void unmap_finish(struct batch *b, const struct unmapped *u,
                                        struct maptrack_chain *freed)
{
    struct maptrack_entry *e = u->e;
    const uint16_t left = u->flags & ~u->done;

    if (likely(u->done)) {
        struct page_info *pg = mfn_to_page(mfn(u->a->mfn));
        const bool writable = !(u->flags & GNTMAP_readonly);
        if (u->done & GNTMAP_host_map)
            page_put_mapped(pg, writable);
        if (u->done & GNTMAP_device_map)
            page_put_mapped(pg, writable);
        grant_unpin_quick(e->granter->grants, u->a, e->ref,
                          grant_pins_quick(u->done | (u->flags & GNTMAP_readonly)));
    }
    if (left & MAPTRACK_PARTS) {
        atomic_set_release(&e->flags, left);
        return;
    }
    batch_put(b, e->granter);
    maptrack_chain(freed, e, u->handle);
}

static always_inline_ void span_finish(struct batch *b, const struct unmapped *u, unsigned count)
{
    struct maptrack_chain freed = {0};

    /* The entries were emptied by exchanges: a CPU that comes to the tables only now does not find them. */
    if (b->locked) {
        tlb_flush_cpus(atomic_read(&b->d->tlb_cpus));
        batch_unlock(b);
    }
    for (unsigned i = 0; i < count; i++)
        if (likely(u[i].e))
            unmap_finish(b, &u[i], &freed);
    maptrack_free_chain(b->v, &freed);
    batch_end(b);
}

/* Read the element at @at, of either kind: address, address, and a word with the handle. */
static inline int unmap_read(struct unmap_op *op, guest_ptr_t at)
{
    uint64_t word[3];

    if (unlikely(!guest_list_readable(at, sizeof(word))) || unlikely(read_three(word, at)))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    op->host = word[0];
    op->device = op->replace ? 0 : word[1];
    op->new = op->replace ? word[1] : 0;
    op->handle = (uint32_t)word[2];
    return 0;
}

_Static_assert(sizeof(struct gnttab_unmap_grant_ref) == sizeof(struct gnttab_unmap_and_replace) &&
                   offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) == 8 &&
                   offsetof(struct gnttab_unmap_and_replace, new_addr) == 8 &&
                   offsetof(struct gnttab_unmap_grant_ref, handle) == 16 &&
                   offsetof(struct gnttab_unmap_and_replace, handle) == 16 &&
                   offsetof(struct gnttab_unmap_grant_ref, status) == 20 &&
                   offsetof(struct gnttab_unmap_and_replace, status) == 20,
               "one writer for both");

static int unmap_span(struct vcpu *v, guest_ptr_t ops, unsigned count, bool replace)
{
    struct batch b = {
        .v = v, .d = v->domain, .maptrack = atomic_read_acquire(&v->domain->grants->maptrack)};
    struct unmapped u[UNMAP_SPAN];
    unsigned n;
    int rc = 0;

    for (n = 0; n < count && !rc; n++) {
        const guest_ptr_t at = guest_ptr_add(ops, n * sizeof(struct gnttab_unmap_grant_ref));
        struct unmap_op op = {.replace = replace};
        rc = unmap_read(&op, at);
        if (unlikely(rc))
            break;
        const int16_t status = unmap_one(&b, &op, &u[n]);
        /* the handle, too, as it was read: one word */
        if (unlikely(
                guest_write_u64_checked(WORD(at, 2), op.handle | (uint64_t)(uint16_t)status << 32)))
            rc = refuse(ARGUMENT_UNREADABLE, at.va);
    }
    span_finish(&b, u, n);
    return rc;
}

static long unmap_all(struct vcpu *v, guest_ptr_t ops, unsigned count, bool replace)
{
    for (unsigned i = 0; i < count; i += UNMAP_SPAN) {
        if (i && pause_point())
            break;
        int rc = unmap_span(v, guest_ptr_add(ops, i * sizeof(struct gnttab_unmap_grant_ref)),
                            MIN(count - i, UNMAP_SPAN), replace);
        if (rc)
            return rc;
    }
    return 0;
}

long grant_unmap(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    return unmap_all(v, ops, count, false);
}

long grant_unmap_and_replace(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    return unmap_all(v, ops, count, true);
}
