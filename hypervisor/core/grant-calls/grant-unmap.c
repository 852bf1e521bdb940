/*
 * Unmapping others' grants: page-table entries are emptied; one flush of all CPUs that know the domain; then the
 * frames' references, the pins and the GTF bits are given back.
 *
 * "Unused" is told to the granter by the GTF bits, last: what it does with the frame then, no TLB of the mapper's sees.
 * The flush is of whole TLBs, since a table may be reached by more addresses than the one that was named.
 *
 * In the order of this file: what an element holds, and giving it back; elements by the general path; runs of everyday
 * elements, of host mappings in two passes and of device mappings in one; the list.
 */
#include "arch.h"
#include "grant-batch.h"
#include "grant-fast.h"
#include "lib.h"
#include "maptrack.h"
#include "page-tables.h"
#include "refuse.h"
#include "sched.h"
#include "tlb.h"

#define UNMAP_SPAN 32u /* elements with one flush */

_Static_assert(
    sizeof(struct gnttab_unmap_grant_ref) == sizeof(struct gnttab_unmap_and_replace) &&
        offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) == 8 &&
        offsetof(struct gnttab_unmap_and_replace, new_addr) == 8 &&
        offsetof(struct gnttab_unmap_grant_ref, handle) == 16 &&
        offsetof(struct gnttab_unmap_and_replace, handle) == 16 &&
        offsetof(struct gnttab_unmap_grant_ref, status) == 20 &&
        offsetof(struct gnttab_unmap_and_replace, status) == 20,
    "one reader and one writer for both: address, address, and a word with handle and status");

static inline guest_ptr_t element_at(guest_ptr_t ops, unsigned i)
{
    return guest_ptr_add(ops, i * sizeof(struct gnttab_unmap_grant_ref));
}

/* The answer: the handle, too, as it was read, as it is one word. */
static inline int answer(guest_ptr_t at, uint32_t handle, int16_t status)
{
    return guest_write_u64_checked(WORD(at, 2), handle | (uint64_t)(uint16_t)status << 32);
}

/* --- giving back ---------------------------------------------------------------------------------------- */

/* An element between the two passes: what is unmapped, and not given back yet. */
struct unmapped {
    struct maptrack_entry *e; /* ours; NULL: nothing */
    struct grant_active *a;   /* of the entry that it has pinned */
    uint32_t handle;
    uint16_t flags; /* what the handle had */
    uint16_t done;  /* parts that are gone */
};

/* What @parts of a mapping with @flags hold of the frame. */
static always_inline_ uint64_t holds_of(uint32_t parts, uint32_t flags)
{
    const uint64_t one = flags & GNTMAP_readonly ? PAGE_REF_ONE : PAGE_REF_ONE + 1;

    return (parts & MAPTRACK_PARTS) == MAPTRACK_PARTS ? 2 * one : one;
}

/*
 * Giving back to one granter.  Held meanwhile: its table, and the vCPU's list of free handles.  What may need others'
 * locks is put off to the end, when nothing is held.
 */
struct giving {
    struct domain *granter;
    struct grant_table *t;
    struct maptrack_list *free;
    uint32_t head; /* of the list */
    uint32_t gone; /* handles, with a reference to the granter each */
    struct page_info
        *last; /* had its last reference given back: nothing more is given back then; or NULL */
};

static always_inline_ void giving_begin(struct giving *g, const struct vcpu *v,
                                        struct domain *granter) NO_ANALYSIS
{
    g->granter = granter;
    g->t = granter->grants;
    g->free = &v->domain->grants->maptrack->list[v->id];
    g->gone = 0;
    g->last = NULL;
    spin_lock(&g->t->lock);
    spin_lock(&g->free->lock);
    g->head = g->free->head;
}

static always_inline_ void giving_end(struct giving *g) NO_ANALYSIS
{
    g->free->head = g->head;
    g->free->free += g->gone;
    spin_unlock(&g->free->lock);
    spin_unlock(&g->t->lock); /* the last look at the granter, if all its references are these */
    if (unlikely(g->last))
        page_reclaim(g->last);
    if (likely(g->gone))
        domain_put_refs(g->granter, g->gone);
}

/* What @u let go of, parts @done of it: the references first, then the pins and what the granter sees of them. */
static always_inline_ void give_back(struct giving *g, const struct unmapped *u,
                                     uint16_t done) NO_ANALYSIS
{
    struct maptrack_entry *e = u->e;
    const uint16_t left = u->flags & ~done;

    if (likely(done)) {
        struct page_info *pg = mfn_to_page(mfn(u->a->mfn));
        if (unlikely(page_sub_is_last(pg, holds_of(done, u->flags))))
            g->last = pg;
        grant_unpin_locked(g->t, u->a, e->ref, grant_pins_of(done | (u->flags & GNTMAP_readonly)));
    }
    if (unlikely(left & MAPTRACK_PARTS)) {
        atomic_set_release(&e->flags, left);
        return;
    }
    e->ref = g->head;
    g->head = u->handle;
    g->gone++;
    atomic_set(&e->flags, 0);
}

/* All of @u, of which no TLB has a mapping any more.  @everyday: the part that each of them had, and has let go of; or
 * 0. */
static always_inline_ void give_back_all(const struct vcpu *v, const struct unmapped *u,
                                         unsigned count, uint16_t everyday)
{
    const struct unmapped *end = &u[count];

    while (u < end) {
        if (!everyday && !u->e) {
            u++;
            continue;
        }
        struct giving g;
        giving_begin(&g, v, u->e->granter);
        do {
            give_back(&g, u, everyday ? everyday : u->done);
            u++;
        } while (u < end && likely(!g.last) && (everyday || u->e) &&
                 likely(u->e->granter == g.granter));
        giving_end(&g);
    }
}

/* The mappings that the batch has removed are forgotten, and its lock is given back. */
static always_inline_ void batch_flush(struct batch *b)
{
    if (!b->locked)
        return;
    /* The entries were emptied by exchanges: a CPU that comes to the tables only now does not find them. */
    tlb_flush_cpus(atomic_read(&b->d->tlb_cpus));
    batch_unlock(b);
}

/* --- elements, in general ------------------------------------------------------------------------------- */

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

static int16_t host_unmap(struct batch *b, const struct unmap_op *op, uint16_t flags, mfn_t m)
{
    const bool writable = !(flags & GNTMAP_readonly);

    batch_lock(b);
    mutex_is_held(&b->d->mmu);
    uint64_t *slot = slot_look_up(b, op->host, flags);
    if (op->replace && op->new) {
        if (flags & GNTMAP_contains_pte)
            return deny(GRANT_REPLACE_BY_PTE, GNTST_general_error, op->handle);
        if (slot && replace_host(b, op, slot, m, writable))
            return GNTST_okay;
    } else if (slot && l1_remove(slot, m, writable, pte(0))) {
        return GNTST_okay;
    }
    return deny(GRANT_NOT_MAPPED_THERE, GNTST_general_error, op->host, m.n);
}

/* First pass: empty the entry. */
static int16_t unmap_one(struct batch *b, const struct unmap_op *op, struct unmapped *u)
{
    uint16_t flags, done = 0;
    struct maptrack_entry *e =
        maptrack_take(atomic_read_acquire(&b->d->grants->maptrack), op->handle, &flags);

    u->e = e;
    if (!e)
        return deny(GRANT_HANDLE_BAD, GNTST_bad_handle, op->handle);

    /* What the handle has pinned stays as it is. */
    struct grant_active *a = grant_active_of(e->granter->grants, e->ref);
    const mfn_t m = mfn(a->mfn);
    int16_t status = GNTST_okay;
    if (op->device && (flags & GNTMAP_device_map) && op->device != mfn_to_maddr(m)) {
        status = deny(GRANT_DEVICE_ADDRESS, GNTST_bad_dev_addr, op->device, m.n);
    } else {
        if (op->host && (flags & GNTMAP_host_map)) {
            status = host_unmap(b, op, flags, m);
            if (!status)
                done = GNTMAP_host_map;
        }
        if (!status && op->device)
            done |= flags & GNTMAP_device_map;
    }
    *u = (struct unmapped){e, a, op->handle, flags, done};
    return status;
}

/* Read the element at @at, of either kind. */
static int unmap_read(struct unmap_op *op, guest_ptr_t at)
{
    uint64_t word[3];

    if (!guest_list_readable(at, sizeof(word)) || read_three(word, at))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    op->host = word[0];
    op->device = op->replace ? 0 : word[1];
    op->new = op->replace ? word[1] : 0;
    op->handle = (uint32_t)word[2];
    return 0;
}

/* Up to a span of elements at @ops; 0 or -EFAULT. */
static noinline_ long unmap_elements(struct vcpu *v, guest_ptr_t ops, unsigned count, bool replace)
{
    struct batch b = {.v = v, .d = v->domain};
    struct unmapped u[UNMAP_SPAN];
    unsigned n;
    int rc = 0;

    for (n = 0; n < count && !rc; n++) {
        const guest_ptr_t at = element_at(ops, n);
        struct unmap_op op = {.replace = replace};
        rc = unmap_read(&op, at);
        if (rc)
            break;
        const int16_t status = unmap_one(&b, &op, &u[n]);
        if (answer(at, op.handle, status))
            rc = refuse(ARGUMENT_UNREADABLE, at.va);
    }
    batch_flush(&b);
    give_back_all(v, u, n, 0);
    return rc;
}

/* --- runs of everyday elements: host mappings ----------------------------------------------------------- */

/* How a handle is everyday: of these, the flags have only @part. */
#define EVERYDAY_MASK (MAPTRACK_TAKEN | MAPTRACK_PARTS | GNTMAP_contains_pte)

/* maptrack_take() of a handle that has @part, and is everyday; else NULL, and nothing is done. */
static always_inline_ struct maptrack_entry *
take_everyday(const struct maptrack *m, uint32_t handle, uint16_t part, uint16_t *flags)
{
    if (unlikely(handle >= atomic_read_acquire(&m->limit)))
        return NULL;
    struct maptrack_entry *e = maptrack_at(m, handle);
    uint16_t seen = atomic_read(&e->flags);
    if (unlikely((seen & EVERYDAY_MASK) != part) ||
        unlikely(!atomic_compare_exchange(&e->flags, &seen, (uint16_t)(seen | MAPTRACK_TAKEN))))
        return NULL;
    *flags = seen;
    return e;
}

enum { NOT_EVERYDAY, UNMAPPED, UNMAPPED_UNTOLD /* its answer could not be written */ };

/* The element at @at, a host mapping: its page-table entry is emptied, and *u says what is to be given back.
 * NOT_EVERYDAY: nothing has been done. */
static always_inline_ int host_fast(const struct vcpu *v, const struct maptrack *m,
                                    struct last_table *last, guest_ptr_t at, struct unmapped *u)
    REQUIRES(&v->domain->mmu)
{
    uint64_t word[3];
    uint16_t flags;

    if (unlikely(!guest_list_readable(at, sizeof(word))) || unlikely(read_three(word, at)) ||
        unlikely(!word[0]))
        return NOT_EVERYDAY;
    uint64_t *slot = slot_of(v, last, word[0]);
    if (unlikely(!slot))
        return NOT_EVERYDAY;
    const uint32_t handle = (uint32_t)word[2];
    struct maptrack_entry *e = take_everyday(m, handle, GNTMAP_host_map, &flags);
    if (unlikely(!e))
        return NOT_EVERYDAY;
    struct grant_active *a = grant_active_of(e->granter->grants, e->ref);
    if (unlikely(!l1_remove(slot, mfn(a->mfn), !(flags & GNTMAP_readonly), pte(0)))) {
        atomic_set_release(&e->flags, flags);
        return NOT_EVERYDAY;
    }
    *u = (struct unmapped){e, a, handle, flags, GNTMAP_host_map};
    return likely(!answer(at, handle, GNTST_okay)) ? UNMAPPED : UNMAPPED_UNTOLD;
}

static always_inline_ unsigned host_run(struct vcpu *v, const struct maptrack *m, guest_ptr_t ops,
                                        unsigned count, long *rc) NO_ANALYSIS
{
    struct domain *d = v->domain;
    struct unmapped u[UNMAP_SPAN];
    struct last_table last = LAST_TABLE_NONE;
    unsigned n = 0;
    int what;

    mutex_lock(&d->mmu);
    do {
        what = host_fast(v, m, &last, element_at(ops, n), &u[n]);
        n += what != NOT_EVERYDAY;
    } while (likely(what == UNMAPPED) && n < count);
    if (likely(n))
        tlb_flush_cpus(atomic_read(&d->tlb_cpus));
    mutex_unlock(&d->mmu);
    give_back_all(v, u, n, GNTMAP_host_map);
    if (unlikely(what == UNMAPPED_UNTOLD))
        *rc = refuse(ARGUMENT_UNREADABLE, ops.va);
    return n;
}

/* --- runs of everyday elements: device mappings ---------------------------------------------------------- */

/* No entry, so no TLB, knows of these: each is given back at once.  The run's granter is its first element's; @g begins
 * with it. */
static always_inline_ int device_fast(const struct vcpu *v, const struct maptrack *m,
                                      struct giving *g, guest_ptr_t at)
{
    uint64_t word[3];
    uint16_t flags;

    if (unlikely(!guest_list_readable(at, sizeof(word))) || unlikely(read_three(word, at)))
        return NOT_EVERYDAY;
    const uint32_t handle = (uint32_t)word[2];
    struct maptrack_entry *e = take_everyday(m, handle, GNTMAP_device_map, &flags);
    if (unlikely(!e))
        return NOT_EVERYDAY;
    /* While it waits for the locks, a handle that has been taken is all that is half done: it still has its pins. */
    if (unlikely(!g->granter))
        giving_begin(g, v, e->granter);
    struct grant_active *a =
        likely(e->granter == g->granter) ? grant_active_of(g->t, e->ref) : NULL;
    if (unlikely(!a) || unlikely(word[1] != mfn_to_maddr(mfn(a->mfn)))) {
        atomic_set_release(&e->flags, flags);
        return NOT_EVERYDAY;
    }
    const struct unmapped u = {e, a, handle, flags, GNTMAP_device_map};
    give_back(g, &u, GNTMAP_device_map);
    return likely(!answer(at, handle, GNTST_okay)) ? UNMAPPED : UNMAPPED_UNTOLD;
}

static always_inline_ unsigned device_run(const struct vcpu *v, const struct maptrack *m,
                                          guest_ptr_t ops, unsigned count, long *rc)
{
    struct giving g = {.granter = NULL, .last = NULL};
    const guest_ptr_t end = element_at(ops, count);
    guest_ptr_t at = ops;
    int what;

    do {
        what = device_fast(v, m, &g, at);
        if (likely(what != NOT_EVERYDAY))
            at = element_at(at, 1);
    } while (likely(what == UNMAPPED) && at.va != end.va && likely(!g.last));
    if (unlikely(!g.granter))
        return 0;
    giving_end(&g);
    if (unlikely(what == UNMAPPED_UNTOLD))
        *rc = refuse(ARGUMENT_UNREADABLE, at.va);
    return (unsigned)(at.va - ops.va) / sizeof(struct gnttab_unmap_grant_ref);
}

/* --- the list ------------------------------------------------------------------------------------------- */

/* How many of the @count elements at @ops have been unmapped as a run; *rc is -EFAULT if the last one's answer could
 * not be written. */
static always_inline_ unsigned unmap_run(struct vcpu *v, guest_ptr_t ops, unsigned count, long *rc)
{
    const struct maptrack *m = atomic_read_acquire(&v->domain->grants->maptrack);
    uint64_t host;

    /* A first look, which says only what kind of run to try. */
    if (!FAST_PATHS || unlikely(!m) || unlikely(!guest_list_readable(ops, sizeof(host))) ||
        unlikely(guest_read_word_checked(&host, ops, 0)))
        return 0;
    return host ? host_run(v, m, ops, count, rc) : device_run(v, m, ops, count, rc);
}

/* A span of elements, of which @n have been unmapped. */
static long unmap_span(struct vcpu *v, guest_ptr_t ops, unsigned count, unsigned n)
{
    long rc = 0;

    while (n < count && !rc) {
        const unsigned run = unmap_run(v, element_at(ops, n), count - n, &rc);
        n += run;
        if (n < count && !rc) {
            /* What did not even begin as a run is likely to go on like that. */
            const unsigned others = run ? 1 : count - n;
            rc = unmap_elements(v, element_at(ops, n), others, false);
            n += others;
        }
    }
    return rc;
}

/* The elements of a list of which @n have been unmapped. */
static noinline_ long unmap_list(struct vcpu *v, guest_ptr_t ops, unsigned count, unsigned n)
{
    for (unsigned i = 0; i < count; i += UNMAP_SPAN) {
        if (i && pause_point())
            break;
        const unsigned span = MIN(count - i, UNMAP_SPAN);
        long rc = unmap_span(v, element_at(ops, i), span, MIN(n, span));
        if (rc)
            return rc;
        n = 0;
    }
    return 0;
}

long grant_unmap(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    long rc = 0;

    if (unlikely(!count))
        return 0;
    /* Most calls are one run. */
    const unsigned span = MIN(count, UNMAP_SPAN), n = unmap_run(v, ops, span, &rc);
    return likely(n == count) || unlikely(rc) ? rc : unmap_list(v, ops, count, n);
}

long grant_unmap_and_replace(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    for (unsigned i = 0; i < count; i += UNMAP_SPAN) {
        if (i && pause_point())
            break;
        long rc = unmap_elements(v, element_at(ops, i), MIN(count - i, UNMAP_SPAN), true);
        if (rc)
            return rc;
    }
    return 0;
}
