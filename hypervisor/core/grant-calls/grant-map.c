/*
 * Mapping others' grants: a handle; the entry is pinned; a device mapping's references, or a page-table entry with its
 * own.
 *
 * Each element has a status of its own, and the call answers 0; only an element that cannot be read or written ends the
 * batch.  Lists are worked off in place: who was put aside between two elements goes on with the next.
 *
 * In the order of this file: an element by the general path; runs of everyday elements; the list.
 */
#include "arch.h"
#include "grant-batch.h"
#include "grant-fast.h"
#include "lib.h"
#include "maptrack.h"
#include "page-tables.h"
#include "refuse.h"
#include "sched.h"

#define MAP_SPAN 16u /* elements between two preemption points */

_Static_assert(sizeof(struct gnttab_map_grant_ref) == 32 &&
                   offsetof(struct gnttab_map_grant_ref, ref) == 12 &&
                   offsetof(struct gnttab_map_grant_ref, status) == 18 &&
                   offsetof(struct gnttab_map_grant_ref, handle) == 20 &&
                   offsetof(struct gnttab_map_grant_ref, dev_bus_addr) == 24,
               "an element is four words: address; flags, ref; dom, status, handle; address");

static inline guest_ptr_t element_at(guest_ptr_t ops, unsigned i)
{
    return guest_ptr_add(ops, i * sizeof(struct gnttab_map_grant_ref));
}

/* The entry for a mapping is as Xen's, never for code, and A and D are set. */
#define ENTRY_BITS (PTE_P | PTE_A | PTE_D | PTE_NX)

/* Bits of the guest's own for the entry. */
static inline uint64_t entry_avail(uint32_t flags)
{
    return ((uint64_t)flags >> _GNTMAP_guest_avail0 << 9) & PTE_AVAIL;
}

/* --- one element, in general --------------------------------------------------------------------------- */

static pte_t pte_of(mfn_t m, uint32_t flags)
{
    uint64_t bits = ENTRY_BITS | entry_avail(flags);

    if (!(flags & GNTMAP_readonly))
        bits |= PTE_RW;
    if (flags & GNTMAP_application_map)
        bits |= PTE_US;
    return pte_make(m, bits);
}

static int16_t host_map(struct batch *b, struct domain *granter, uint64_t at, uint32_t flags,
                        mfn_t m)
{
    mutex_is_held(&b->d->mmu); /* map_one() */
    uint64_t *slot = slot_look_up(b, at, flags);
    if (!slot)
        return deny(GRANT_NO_SLOT, GNTST_general_error, at, flags);
    /* The refusal, of a frame that is no memory to be mapped in this way, has been recorded. */
    return l1_update(b->d, granter, slot, pte_of(m, flags), AD_AS_GIVEN) ? GNTST_general_error
                                                                         : GNTST_okay;
}

static int16_t device_map(struct domain *granter, uint32_t flags, struct page_info *pg)
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
static int16_t frame_map(struct batch *b, struct domain *granter, const struct map_op *op,
                         const struct grant_part *part)
{
    struct page_info *pg = mfn_to_page(part->mfn);
    int16_t status = GNTST_okay;

    /* A look that decides nothing yet, but for what is no memory at all: that stays so. */
    if (atomic_read(&pg->owner) != granter->id)
        return deny(GRANT_FRAME_NOT_GRANTERS, part->fresh ? GNTST_bad_page : GNTST_general_error,
                    part->mfn.n);
    if (op->flags & GNTMAP_device_map) {
        status = device_map(granter, op->flags, pg);
        if (status)
            return status;
    }
    if (op->flags & GNTMAP_host_map) {
        status = host_map(b, granter, op->host, op->flags, part->mfn);
        if (status && op->flags & GNTMAP_device_map)
            page_put_mapped(pg, !(op->flags & GNTMAP_readonly));
    }
    return status;
}

/* Of @granter, which has a table. */
static int16_t map_of(struct batch *b, struct domain *granter, const struct map_op *op,
                      uint32_t *handle, uint64_t *address)
{
    /* Before anything is pinned: whoever waits for the lock leaves nothing half done, which the audit could meet. */
    if (op->flags & GNTMAP_host_map)
        batch_lock(b);
    struct maptrack_entry *e = maptrack_new(b->v, handle);
    if (!e)
        return deny(GRANT_NO_HANDLE, GNTST_no_space, b->d->grants->max_maptrack_frames);

    const uint32_t pins = grant_pins_of(op->flags);
    struct grant_part part;
    int16_t status = grant_pin(granter->grants, op->ref, b->d->id, pins, GRANT_WHOLE_FRAME, &part);
    if (!status) {
        status = frame_map(b, granter, op, &part);
        if (status)
            grant_unpin(granter->grants, op->ref, pins);
    }
    if (status) {
        maptrack_free(b->v, e, *handle);
        return status;
    }
    atomic_add(&granter->refs, 1); /* the handle's */
    e->granter = granter;
    e->ref = op->ref;
    atomic_set_release(&e->flags, (uint16_t)(op->flags & (MAPTRACK_TAKEN - 1)));
    *address = mfn_to_maddr(part.mfn);
    return GNTST_okay;
}

/* The element's status, and what it gets back. */
static int16_t map_one(struct batch *b, const struct map_op *op, uint32_t *handle,
                       uint64_t *address)
{
    if (!(op->flags & MAPTRACK_PARTS))
        return deny(GRANT_MAP_FLAGS, GNTST_bad_gntref, op->flags);
    struct domain *granter = domain_get(op->granter);
    if (!granter)
        return deny(GRANT_GRANTER_MISSING, GNTST_bad_domain, op->granter);
    const int16_t status = granter->grants
                               ? map_of(b, granter, op, handle, address)
                               : deny(GRANT_GRANTER_MISSING, GNTST_bad_domain, op->granter);
    domain_put(granter);
    return status;
}

/* The element at @at: 0 or -EFAULT. */
static int map_element(struct batch *b, guest_ptr_t at)
{
    uint64_t word[3], address = 0;

    if (!guest_list_readable(at, sizeof(struct gnttab_map_grant_ref)) || read_three(word, at))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    const struct map_op op = {word[0], (uint32_t)word[1], (grant_ref_t)(word[1] >> 32),
                              (domid_t)word[2]};
    uint32_t handle = 0;
    const int16_t status = map_one(b, &op, &handle, &address);
    if (status) { /* what is not ours to say stays as it was */
        if (guest_write_u64_checked(WORD(at, 2),
                                    (word[2] & ~0xffff0000ull) | (uint64_t)(uint16_t)status << 16))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        return 0;
    }
    if (guest_write_u64_checked(WORD(at, 2), (word[2] & 0xffff) | (uint64_t)handle << 32) ||
        guest_write_u64_checked(WORD(at, 3), address))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    return 0;
}

/* --- runs of everyday elements -------------------------------------------------------------------------- */

/* What an element is, by the flags that decide it.  No @pins: it is not everyday. */
struct map_kind {
    uint32_t pins, gtf;
    uint64_t entry;             /* bits of the page-table entry, but the guest's own */
    uint64_t take;              /* what it adds to the frame's state */
} __attribute__((aligned(32))); /* found by a shift */

#define KIND_FLAGS 32u /* all below: GNTMAP_contains_pte is the highest, and never everyday */
#define KIND(flags, pins, gtf, entry, parts, writable)                     \
    [flags] = {(pins), (gtf), (entry) | PTE_US | PTE_GUEST_KERNEL,         \
               (parts) * (PAGE_REF_ONE + (writable))},                     \
    [(flags) | GNTMAP_application_map] = {(pins), (gtf), (entry) | PTE_US, \
                                          (parts) * (PAGE_REF_ONE + (writable))}
#define KINDS(flags, read, write, parts)                                          \
    KIND(flags, write, GTF_reading | GTF_writing, ENTRY_BITS | PTE_RW, parts, 1), \
        KIND((flags) | GNTMAP_readonly, read, GTF_reading, ENTRY_BITS, parts, 0)

static const struct map_kind map_kinds[KIND_FLAGS] = {
    KINDS(GNTMAP_device_map, PIN_DEVICE_READ, PIN_DEVICE_WRITE, 1),
    KINDS(GNTMAP_host_map, PIN_HOST_READ, PIN_HOST_WRITE, 1),
    KINDS(GNTMAP_host_map | GNTMAP_device_map, PIN_HOST_READ + PIN_DEVICE_READ,
          PIN_HOST_WRITE + PIN_DEVICE_WRITE, 2),
};
_Static_assert((GNTMAP_device_map | GNTMAP_host_map | GNTMAP_readonly | GNTMAP_application_map |
                GNTMAP_contains_pte) == KIND_FLAGS - 1,
               "the low bits");

/*
 * A run: elements that name one granter.  Held meanwhile: a reference to the granter for each element that is left, its
 * table, the vCPU's free handles; and if @host the caller's page tables.  Nothing is half done while one of them is
 * waited for.
 */
struct map_run {
    struct vcpu *v;
    struct domain *granter;
    struct grant_table *t;
    const struct maptrack *m;
    uint32_t head; /* of the free handles */
    domid_t mapper, granter_id;
    bool host;
    struct last_table last;
    /* What was taken of a frame that had just changed hands: to be given back when nothing is held. */
    struct page_info *undo;
    uint64_t undo_take;
};

/* The frame @named of the run's granter, in its everyday state, as @kind wants it. */
static always_inline_ bool frame_take(struct map_run *r, uint32_t named,
                                      const struct map_kind *kind)
{
    struct page_info *pg = mfn_to_page(mfn(named));

    if (unlikely(named >= max_mfn))
        return false;
    const int got = page_try_add(pg, r->granter_id, kind->take);
    if (unlikely(got == PAGE_CHANGED_HANDS)) {
        r->undo = pg;
        r->undo_take = kind->take;
    }
    return likely(got == PAGE_ADDED);
}

/* The active entry of @ref, which names a frame for the run's mapper, and is pinned by nobody; or NULL. */
static always_inline_ struct grant_active *active_free(const struct map_run *r, grant_ref_t ref)
{
    if (unlikely(ref >= r->t->fast))
        return NULL;
    struct grant_active *page = r->t->active[ref / ACTIVE_PER_PAGE];
    if (unlikely(!page))
        return NULL;
    struct grant_active *a = &page[ref % ACTIVE_PER_PAGE];
    return likely(!a->pins) ? a : NULL;
}

enum { NOT_EVERYDAY, MAPPED, MAPPED_UNTOLD /* its answer could not be written */ };

/* The element at @at.  NOT_EVERYDAY: nothing has been done. */
static always_inline_ int map_fast(struct map_run *r, guest_ptr_t at) NO_ANALYSIS
{
    uint64_t word[3], *slot = NULL;

    if (unlikely(!guest_list_readable(at, sizeof(struct gnttab_map_grant_ref))) ||
        unlikely(read_three(word, at)))
        return NOT_EVERYDAY;
    const uint32_t flags = (uint32_t)word[1];
    const grant_ref_t ref = (grant_ref_t)(word[1] >> 32);
    const struct map_kind *kind = &map_kinds[flags % KIND_FLAGS];
    const uint32_t handle = r->head;
    if (unlikely(!kind->pins || (domid_t)word[2] != r->granter_id || handle == MAPTRACK_NONE))
        return NOT_EVERYDAY;
    if (flags & GNTMAP_host_map) {
        slot = likely(r->host) ? slot_of(r->v, &r->last, word[0]) : NULL;
        if (unlikely(!slot) || unlikely(pte_present(pte(atomic_read(slot)))))
            return NOT_EVERYDAY;
    }

    struct grant_active *a = active_free(r, ref);
    if (unlikely(!a))
        return NOT_EVERYDAY;
    grant_entry_v1_t *shared = grant_entry_v1(r->t, ref);
    uint32_t seen = (uint32_t)r->mapper << 16 | GTF_permit_access;
    if (unlikely(!atomic_compare_exchange((uint32_t *)shared, &seen, seen | kind->gtf)))
        return NOT_EVERYDAY;
    const uint32_t named = atomic_read(&shared->frame);
    if (unlikely(!frame_take(r, named, kind))) {
        grant_unmark(r->t, ref, GTF_reading | GTF_writing);
        return NOT_EVERYDAY; /* and refused, if it is still so */
    }

    grant_active_set(a, kind->pins, named, r->mapper);
    const uint64_t address = mfn_to_maddr(mfn(named));
    if (slot) /* visible to all before the clock is read: tlb.h */
        atomic_exchange(slot, address | kind->entry | entry_avail(flags));
    struct maptrack_entry *e = maptrack_at(r->m, handle);
    r->head = e->ref;
    e->granter = r->granter;
    e->ref = ref;
    atomic_set_release(&e->flags, (uint16_t)(flags & (MAPTRACK_TAKEN - 1)));
    return likely(!guest_write_u64_checked(WORD(at, 2),
                                           (word[2] & 0xffff) | (uint64_t)handle << 32)) &&
                   likely(!guest_write_u64_checked(WORD(at, 3), address))
               ? MAPPED
               : MAPPED_UNTOLD;
}

/* What the run's elements share, which begins with the one at @ops.  False: nothing is held. */
static always_inline_ bool map_run_begin(struct map_run *r, guest_ptr_t ops, unsigned count)
{
    uint64_t word[3];

    /* A first look, which says only what to hold. */
    if (!FAST_PATHS || unlikely(!r->m) ||
        unlikely(!guest_list_readable(ops, sizeof(struct gnttab_map_grant_ref))) ||
        unlikely(read_three(word, ops)))
        return false;
    r->host = word[1] & GNTMAP_host_map;
    r->granter_id = (domid_t)word[2];
    r->granter = domain_get_refs(r->granter_id, count);
    if (unlikely(!r->granter))
        return false;
    r->t = r->granter->grants;
    if (likely(r->t))
        return true;
    domain_put_refs(r->granter, count);
    return false;
}

/* How many of the @count elements at @ops have been mapped as a run; *rc is -EFAULT if the last one's answer could not
 * be written. */
static always_inline_ unsigned map_run(struct vcpu *v, guest_ptr_t ops, unsigned count,
                                       long *rc) NO_ANALYSIS
{
    struct domain *d = v->domain;
    struct maptrack *m = atomic_read_acquire(&d->grants->maptrack);
    struct map_run r = {.v = v, .m = m, .mapper = d->id, .last = LAST_TABLE_NONE};

    if (unlikely(!map_run_begin(&r, ops, count)))
        return 0;
    if (r.host)
        mutex_lock(&d->mmu);
    struct maptrack_list *free = &m->list[v->id];
    spin_lock(&r.t->lock);
    spin_lock(&free->lock);
    r.head = free->head;

    const guest_ptr_t end = element_at(ops, count);
    guest_ptr_t at = ops;
    int what;
    do {
        what = map_fast(&r, at);
        if (likely(what != NOT_EVERYDAY))
            at = element_at(at, 1);
    } while (likely(what == MAPPED) && at.va != end.va);

    const unsigned n = (unsigned)(at.va - ops.va) / sizeof(struct gnttab_map_grant_ref);
    free->head = r.head;
    free->free -= n;
    r.t->pinned += n;
    spin_unlock(&free->lock);
    spin_unlock(
        &r.t->lock); /* the last look at the granter, if its references are the handles' by now */
    if (r.host)
        mutex_unlock(&d->mmu);
    if (unlikely(n < count))
        domain_put_refs(r.granter, count - n);
    if (unlikely(r.undo))
        page_sub(r.undo, r.undo_take);
    if (unlikely(what == MAPPED_UNTOLD))
        *rc = refuse(ARGUMENT_UNREADABLE, at.va);
    return n;
}

/* --- the list ------------------------------------------------------------------------------------------- */

/* @count elements by the general path; 0 or -EFAULT. */
static noinline_ long map_elements(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    struct batch b = {.v = v, .d = v->domain};
    long rc = 0;

    for (unsigned i = 0; i < count && !rc; i++)
        rc = map_element(&b, element_at(ops, i));
    batch_unlock(&b);
    return rc;
}

/* A span of elements, of which @n have been mapped. */
static long map_span(struct vcpu *v, guest_ptr_t ops, unsigned count, unsigned n)
{
    long rc = 0;

    while (n < count && !rc) {
        const unsigned run = map_run(v, element_at(ops, n), count - n, &rc);
        n += run;
        if (n < count && !rc) {
            /* What did not even begin as a run is likely to go on like that. */
            const unsigned others = run ? 1 : count - n;
            rc = map_elements(v, element_at(ops, n), others);
            n += others;
        }
    }
    return rc;
}

/* The elements of a list of which @n have been mapped. */
static noinline_ long map_list(struct vcpu *v, guest_ptr_t ops, unsigned count, unsigned n)
{
    for (unsigned i = 0; i < count; i += MAP_SPAN) {
        if (i && pause_point())
            break;
        const unsigned span = MIN(count - i, MAP_SPAN);
        long rc = map_span(v, element_at(ops, i), span, MIN(n, span));
        if (rc)
            return rc;
        n = 0;
    }
    return 0;
}

long grant_map(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    long rc = 0;

    if (unlikely(!count))
        return 0;
    /* Most calls are one run. */
    const unsigned span = MIN(count, MAP_SPAN), n = map_run(v, ops, span, &rc);
    return likely(n == count) || unlikely(rc) ? rc : map_list(v, ops, count, n);
}
