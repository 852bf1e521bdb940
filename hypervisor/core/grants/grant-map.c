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
#include "grant-table.h"
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
    struct domain *granter; /* referenced; or NULL */
    bool locked;            /* d->mmu */
};

/* It takes the lock once a span, and the analysis of locks is told by mutex_is_held(). */
static void batch_lock(struct batch *b) NO_ANALYSIS
{
    if (b->locked)
        return;
    mutex_lock(&b->d->mmu);
    b->locked = true;
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

/* The page-table slot that an element names; NULL: none in a table of the caller's. */
static uint64_t *slot_of(const struct batch *b, uint64_t at, uint32_t flags) REQUIRES(&b->d->mmu)
{
    mutex_is_held(&b->v->domain->mmu);
    return flags & GNTMAP_contains_pte ? l1_slot_at(b->d, at) : l1_slot(b->v, at);
}

/* The entry for a mapping with these flags: as Xen's, never for code, and A and D are set. */
static pte_t pte_of(mfn_t m, uint32_t flags)
{
    uint64_t bits = PTE_P | PTE_A | PTE_D | PTE_NX;

    if (!(flags & GNTMAP_readonly))
        bits |= PTE_RW;
    if (flags & GNTMAP_application_map)
        bits |= PTE_US;
    bits |= ((uint64_t)flags >> _GNTMAP_guest_avail0 << 9) & PTE_AVAIL;
    return pte_make(m, bits);
}

static int16_t host_map(struct batch *b, struct domain *granter, uint64_t at, uint32_t flags,
                        mfn_t m)
{
    mutex_is_held(&b->d->mmu); /* map_one() */
    uint64_t *slot = slot_of(b, at, flags);
    if (unlikely(!slot))
        return deny(GRANT_NO_SLOT, GNTST_general_error, at, flags);
    /* The refusal, of a frame that is no memory to be mapped in this way, has been recorded. */
    return likely(!l1_update(b->d, granter, slot, pte_of(m, flags), false)) ? GNTST_okay
                                                                            : GNTST_general_error;
}

static int16_t device_map(struct domain *granter, uint32_t flags, struct page_info *pg)
{
    const bool got = flags & GNTMAP_readonly ? page_get_quick(pg, granter, granter->id)
                                             : !page_get_and_type(pg, granter, PAGE_TYPE_WRITABLE);

    return likely(got) ? GNTST_okay
                       : deny(GRANT_ROLE_CONFLICT, GNTST_general_error, page_to_mfn(pg).n,
                              page_state_type(atomic_read(&pg->state)));
}

/* The frame of a pinned entry, in both ways that @flags may ask for. */
static int16_t frame_map(struct batch *b, struct domain *granter, uint64_t at, uint32_t flags,
                         const struct grant_part *part)
{
    struct page_info *pg = mfn_to_page(part->mfn);

    /* A look that decides nothing yet, but for what is no memory at all: that stays so. */
    if (unlikely(atomic_read(&pg->owner) != granter->id))
        return deny(GRANT_FRAME_NOT_GRANTERS, part->fresh ? GNTST_bad_page : GNTST_general_error,
                    part->mfn.n);
    if (flags & GNTMAP_device_map) {
        int16_t status = device_map(granter, flags, pg);
        if (unlikely(status))
            return status;
    }
    if (flags & GNTMAP_host_map) {
        int16_t status = host_map(b, granter, at, flags, part->mfn);
        if (unlikely(status)) {
            if (flags & GNTMAP_device_map)
                page_put_mapped(pg, !(flags & GNTMAP_readonly));
            return status;
        }
    }
    return GNTST_okay;
}

static int16_t map_one(struct batch *b, struct gnttab_map_grant_ref *op)
{
    struct grant_part part;
    uint32_t handle;

    if (unlikely(!(op->flags & MAPTRACK_PARTS)))
        return deny(GRANT_MAP_FLAGS, GNTST_bad_gntref, op->flags);
    struct domain *granter = batch_granter(b, op->dom);
    if (unlikely(!granter))
        return deny(GRANT_GRANTER_MISSING, GNTST_bad_domain, op->dom);
    /* Before anything is pinned: whoever waits for the lock leaves nothing half done, which the audit could meet. */
    if (op->flags & GNTMAP_host_map)
        batch_lock(b);
    struct maptrack_entry *e = maptrack_new(b->v, &handle);
    if (unlikely(!e))
        return deny(GRANT_NO_HANDLE, GNTST_no_space, b->d->grants->max_maptrack_frames);

    const uint32_t pins = grant_pins_of(op->flags);
    int16_t status = grant_pin(granter->grants, op->ref, b->d->id, pins, true, &part);
    if (likely(!status)) {
        status = frame_map(b, granter, op->host_addr, op->flags, &part);
        if (unlikely(status))
            grant_unpin(granter->grants, op->ref, pins);
    }
    if (unlikely(status)) {
        maptrack_free(b->v, e, handle);
        return status;
    }
    atomic_add(&granter->refs, 1); /* the handle's */
    e->granter = granter;
    e->ref = op->ref;
    atomic_set_release(&e->flags, (uint16_t)(op->flags & (MAPTRACK_TAKEN - 1)));
    op->handle = handle;
    op->dev_bus_addr = mfn_to_maddr(part.mfn);
    return GNTST_okay;
}

/* Up to a span of elements at @ops; 0 or -EFAULT. */
static int map_span(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    struct batch b = {.v = v, .d = v->domain};
    int rc = 0;

    for (unsigned i = 0; i < count && !rc; i++) {
        const guest_ptr_t at = guest_ptr_add(ops, i * sizeof(struct gnttab_map_grant_ref));
        struct gnttab_map_grant_ref op;
        if (unlikely(guest_read(&op, at, sizeof(op)))) {
            rc = refuse(ARGUMENT_UNREADABLE, at.va);
            break;
        }
        op.status = map_one(&b, &op);
        if (unlikely(guest_write(at, &op, sizeof(op))))
            rc = refuse(ARGUMENT_UNREADABLE, at.va);
    }
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
static bool replace_host(const struct batch *b, const struct unmap_op *op, uint64_t *slot, mfn_t m,
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

static int16_t host_unmap(struct batch *b, const struct unmap_op *op, uint16_t flags, mfn_t m)
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
static int16_t unmap_one(struct batch *b, const struct unmap_op *op, struct unmapped *u)
{
    u->handle = op->handle;
    u->done = 0;
    u->e = maptrack_take(b->d, op->handle, &u->flags);
    if (unlikely(!u->e))
        return deny(GRANT_HANDLE_BAD, GNTST_bad_handle, op->handle);

    /* What the handle has pinned stays as it is. */
    const mfn_t m = mfn(grant_active_of(u->e->granter->grants, u->e->ref)->mfn);
    int16_t status = GNTST_okay;
    if (unlikely(op->device && (u->flags & GNTMAP_device_map) && op->device != mfn_to_maddr(m)))
        return deny(GRANT_DEVICE_ADDRESS, GNTST_bad_dev_addr, op->device, m.n);
    if (op->host && (u->flags & GNTMAP_host_map)) {
        status = host_unmap(b, op, u->flags, m);
        if (likely(!status))
            u->done |= GNTMAP_host_map;
    }
    if (likely(!status) && op->device && (u->flags & GNTMAP_device_map))
        u->done |= GNTMAP_device_map;
    return status;
}

/* Second pass: no TLB has the mapping any more.  The references first, then the pins and what the granter sees of them. */
static void unmap_finish(struct batch *b, const struct unmapped *u)
{
    const struct maptrack_entry *e = u->e;
    const uint16_t left = u->flags & ~u->done;

    if (likely(u->done)) {
        struct grant_table *t = e->granter->grants;
        struct page_info *pg = mfn_to_page(mfn(grant_active_of(t, e->ref)->mfn));
        const bool writable = !(u->flags & GNTMAP_readonly);
        if (u->done & GNTMAP_host_map)
            page_put_mapped(pg, writable);
        if (u->done & GNTMAP_device_map)
            page_put_mapped(pg, writable);
        grant_unpin(t, e->ref, grant_pins_of(u->done | (u->flags & GNTMAP_readonly)));
    }
    if (left & MAPTRACK_PARTS) {
        atomic_set_release(&u->e->flags, left);
        return;
    }
    domain_put(e->granter);
    maptrack_free(b->v, u->e, u->handle);
}

static void span_finish(struct batch *b, const struct unmapped *u, unsigned count)
{
    bool flush = false;

    for (unsigned i = 0; i < count && !flush; i++)
        flush = u[i].done & GNTMAP_host_map;
    /* The entries were emptied by exchanges: a CPU that comes to the tables only now does not find them. */
    if (flush)
        tlb_flush_cpus(atomic_read(&b->d->tlb_cpus));
    batch_unlock(b);
    for (unsigned i = 0; i < count; i++)
        if (u[i].e)
            unmap_finish(b, &u[i]);
}

/* Read the element at @at, of either kind. */
static int unmap_read(struct unmap_op *op, guest_ptr_t at)
{
    if (op->replace) {
        struct gnttab_unmap_and_replace r;
        if (guest_read(&r, at, sizeof(r)))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        *op = (struct unmap_op){
            .host = r.host_addr, .new = r.new_addr, .handle = r.handle, .replace = true};
        return 0;
    }
    struct gnttab_unmap_grant_ref u;
    if (unlikely(guest_read(&u, at, sizeof(u))))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    *op = (struct unmap_op){.host = u.host_addr, .device = u.dev_bus_addr, .handle = u.handle};
    return 0;
}

_Static_assert(sizeof(struct gnttab_unmap_grant_ref) == sizeof(struct gnttab_unmap_and_replace) &&
                   offsetof(struct gnttab_unmap_grant_ref, handle) ==
                       offsetof(struct gnttab_unmap_and_replace, handle) &&
                   offsetof(struct gnttab_unmap_grant_ref, status) == 20 &&
                   offsetof(struct gnttab_unmap_and_replace, status) == 20,
               "one writer for both");

static int unmap_span(struct vcpu *v, guest_ptr_t ops, unsigned count, bool replace)
{
    struct batch b = {.v = v, .d = v->domain};
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
        if (unlikely(guest_write_u64(guest_ptr_add(at, 16),
                                     op.handle | (uint64_t)(uint16_t)status << 32)))
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
