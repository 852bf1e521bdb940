/*
 * Copying between frames, of which either or both are others' by grant.
 *
 * A side is claimed (pinned, its frame referenced; the one that is written to typed as well) and stays so while the
 * next elements name the same: a backend's copies come in runs.  At a preemption point nothing is claimed.
 *
 * Of an entry that was pinned already the frame is what the pin says, not what the guest shows there now.  Both sides
 * may be the same frame; what overlaps is copied forwards.
 */
#include "arch.h"
#include "grant-fast.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

#define COPY_SPAN 8u /* elements between two preemption points: each copies up to a page */

/* An element, as it was read. */
struct copy_op {
    uint64_t from, to; /* references, or frames */
    domid_t from_id, to_id;
    uint16_t from_offset, to_offset, length, flags;
};

/* If it is not @claimed, only @d has a meaning. */
struct side {
    struct domain *d; /* the caller, or another that is referenced; NULL: nobody */
    bool claimed;
    bool by_ref;
    bool whole; /* all of the frame may be copied; else: */
    bool fresh; /* nobody had it pinned before: its frame was named just now */
    domid_t id; /* as it was named */
    uint16_t start, length;
    mfn_t mfn;
    uint64_t name; /* reference, or frame */
};

/* Which of the two sides a function is about: constant in each call, so that the compiler makes one version for
 * each. */
enum { READ, WRITE };

struct copy_batch {
    struct domain *caller;
    struct side from, to;
};

static inline struct page_info *side_page(const struct side *s)
{
    return mfn_to_page(s->mfn);
}

static always_inline_ uint32_t side_pins(int how)
{
    return how == WRITE ? PIN_HOST_WRITE : PIN_HOST_READ;
}

static always_inline_ void side_unpin(const struct side *s, int how)
{
    struct grant_table *t = s->d->grants;
    const grant_ref_t ref = (grant_ref_t)s->name;

    grant_unpin_fast(t, grant_active_of(t, ref), ref, side_pins(how));
}

/* Pin and reference go in the same stretch; a copy needs no flush between them, as no page-table entry names the
 * frame. */
static always_inline_ void side_release(struct side *s, int how)
{
    if (!s->claimed)
        return;
    s->claimed = false;
    if (s->by_ref)
        side_unpin(s, how);
    page_put_mapped(side_page(s), how == WRITE);
}

static always_inline_ void side_end(const struct copy_batch *b, struct side *s, int how)
{
    side_release(s, how);
    if (s->d && s->d != b->caller)
        domain_put(s->d);
    s->d = NULL;
}

/* Whose the side is: only a domain's own frames may be named by number.  GNTST_*. */
static inline int16_t side_domain(struct side *s, struct domain *caller, domid_t id, bool by_ref)
{
    if (unlikely(!by_ref && id != DOMID_SELF))
        return deny(GRANT_COPY_FRAME_NOT_SELF, GNTST_permission_denied, id);
    struct domain *d = caller;
    if (id != DOMID_SELF) {
        d = domain_get(id);
        if (d == caller || (d && !d->grants)) {
            domain_put(d); /* the caller lives as long as its call */
            d = d == caller ? d : NULL;
        }
    }
    s->d = d;
    if (!d)
        return deny(GRANT_GRANTER_MISSING, GNTST_bad_domain, id);
    s->id = id;
    return GNTST_okay;
}

/* The frame of @s, which has been named, and is pinned if by a reference. */
static noinline_ int16_t side_frame_slow(const struct side *s, int how)
{
    struct page_info *pg = side_page(s);

    if (!mfn_valid(s->mfn) || !page_get_quick(pg, s->d, s->d->id))
        return deny(GRANT_FRAME_NOT_GRANTERS, s->fresh ? GNTST_bad_page : GNTST_general_error,
                    s->mfn.n);
    if (how == READ || !page_get_type(pg, s->d, PAGE_TYPE_WRITABLE))
        return GNTST_okay;
    page_put(pg);
    return deny(GRANT_ROLE_CONFLICT, GNTST_general_error, s->mfn.n,
                page_state_type(atomic_read(&pg->state)));
}

static always_inline_ int16_t side_frame(const struct side *s, int how)
{
    struct page_info *pg = side_page(s);
    const domid_t id = s->d->id;

    if (!FAST_PATHS || unlikely(!mfn_valid(s->mfn)) ||
        unlikely(!page_try_get_mapped(pg, id, how == WRITE)))
        return side_frame_slow(s, how);
    if (likely(atomic_read(&pg->owner) == id))
        return GNTST_okay;
    page_put_mapped(pg, how == WRITE); /* it had just changed hands */
    return side_frame_slow(s, how);
}

static noinline_ int16_t side_pin_slow(struct side *s, domid_t caller, int how)
{
    struct grant_part part;
    const int16_t status = grant_pin(s->d->grants, (grant_ref_t)s->name, caller, side_pins(how),
                                     GRANT_ANY_PART, &part);

    if (!status) {
        s->mfn = part.mfn;
        s->start = part.start;
        s->length = part.length;
        s->whole = false; /* perhaps */
        s->fresh = part.fresh;
    }
    return status;
}

static always_inline_ int16_t side_pin(struct side *s, domid_t caller, int how)
{
    uint32_t frame;

    if (unlikely(!grant_pin_fast(s->d->grants, (grant_ref_t)s->name, caller, side_pins(how),
                                 how == WRITE ? GTF_reading | GTF_writing : GTF_reading, &frame)))
        return side_pin_slow(s, caller, how);
    s->mfn = mfn(frame);
    return GNTST_okay;
}

static always_inline_ int16_t side_claim(struct side *s, const struct domain *caller, uint64_t name,
                                         bool by_ref, int how)
{
    int16_t status = GNTST_okay;

    s->name = name;
    s->by_ref = by_ref;
    s->mfn = mfn(name);
    s->whole = s->fresh = true;
    if (by_ref) {
        status = side_pin(s, caller->id, how);
        if (unlikely(status))
            return status;
    }
    status = side_frame(s, how);
    if (unlikely(status)) {
        if (by_ref)
            side_unpin(s, how);
        return status;
    }
    s->claimed = true;
    return GNTST_okay;
}

static inline bool side_is(const struct side *s, uint64_t name, bool by_ref)
{
    return s->claimed && s->name == name && s->by_ref == by_ref;
}

static void copy_end(struct copy_batch *b)
{
    side_end(b, &b->from, READ);
    side_end(b, &b->to, WRITE);
}

static inline int16_t copy_domains(struct copy_batch *b, const struct copy_op *op)
{
    if (b->from.d || b->to.d)
        copy_end(b);
    int16_t status = side_domain(&b->from, b->caller, op->from_id, op->flags & GNTCOPY_source_gref);
    return unlikely(status)
               ? status
               : side_domain(&b->to, b->caller, op->to_id, op->flags & GNTCOPY_dest_gref);
}

static inline bool within(const struct side *s, unsigned offset, unsigned length)
{
    return likely(s->whole) ||
           (offset >= s->start && offset + length <= (unsigned)s->start + s->length);
}

/* memcpy() is not for a frame that is copied to itself, and memmove() would take 16,000 instructions: what overlaps is
 * copied as far as the guest can expect, from the first word to the last. */
static void copy_within(char *to, const char *from, unsigned n)
{
    for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t), to += 8, from += 8) {
        uint64_t word;
        __builtin_memcpy(&word, from, sizeof(word));
        __builtin_memcpy(to, &word, sizeof(word));
    }
    while (n--)
        *to++ = *from++;
}

static inline int16_t copy_bytes(const struct copy_batch *b, const struct copy_op *op)
{
    const unsigned from = op->from_offset, to = op->to_offset, length = op->length;

    if (unlikely(from + length > PAGE_SIZE || to + length > PAGE_SIZE))
        return deny(GRANT_COPY_BOUNDS, GNTST_bad_copy_arg, from, to, length);
    if (unlikely(!within(&b->from, from, length) || !within(&b->to, to, length)))
        return deny(GRANT_COPY_PART, GNTST_general_error, from, to, length);
    char *dest = (char *)mfn_to_virt(b->to.mfn) + to;
    const char *source = (const char *)mfn_to_virt(b->from.mfn) + from;
    if (unlikely(b->to.mfn.n == b->from.mfn.n))
        copy_within(dest, source, length);
    else
        memcpy(dest, source, length);
    return GNTST_okay;
}

static always_inline_ int16_t copy_one(struct copy_batch *b, const struct copy_op *op)
{
    const bool from_ref = op->flags & GNTCOPY_source_gref, to_ref = op->flags & GNTCOPY_dest_gref;
    const uint64_t from = from_ref ? (grant_ref_t)op->from : op->from,
                   to = to_ref ? (grant_ref_t)op->to : op->to;
    int16_t status = GNTST_okay;

    if (!b->from.d || !b->to.d || op->from_id != b->from.id || op->to_id != b->to.id) {
        status = copy_domains(b, op);
        if (unlikely(status))
            return status;
    }
    /* The same domain, named by a frame where it was by a reference before. */
    if (unlikely((!from_ref && op->from_id != DOMID_SELF) || (!to_ref && op->to_id != DOMID_SELF)))
        return deny(GRANT_COPY_FRAME_NOT_SELF, GNTST_permission_denied, op->from_id, op->to_id);
    if (!side_is(&b->from, from, from_ref)) {
        side_release(&b->from, READ);
        status = side_claim(&b->from, b->caller, from, from_ref, READ);
        if (unlikely(status))
            return status;
    }
    if (!side_is(&b->to, to, to_ref)) {
        side_release(&b->to, WRITE);
        status = side_claim(&b->to, b->caller, to, to_ref, WRITE);
        if (unlikely(status))
            return status;
    }
    return copy_bytes(b, op);
}

_Static_assert(
    sizeof(struct gnttab_copy) == 40 && offsetof(struct gnttab_copy, source.domid) == 8 &&
        offsetof(struct gnttab_copy, source.offset) == 10 &&
        offsetof(struct gnttab_copy, dest) == 16 && offsetof(struct gnttab_copy, len) == 32 &&
        offsetof(struct gnttab_copy, flags) == 34 && offsetof(struct gnttab_copy, status) == 36,
    "an element is five words: name; domid, offset; name; domid, offset; len, flags, status");

/* The element at @at: 0 or -EFAULT. */
static always_inline_ int copy_element(struct copy_batch *b, guest_ptr_t at)
{
    struct copy_op op;
    uint64_t from, to, last;

    if (unlikely(!guest_list_readable(at, sizeof(struct gnttab_copy))) ||
        unlikely(guest_read_word_checked(&op.from, at, 0) ||
                 guest_read_word_checked(&from, at, 1) || guest_read_word_checked(&op.to, at, 2) ||
                 guest_read_word_checked(&to, at, 3) || guest_read_word_checked(&last, at, 4)))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    op.from_id = (domid_t)from;
    op.from_offset = (uint16_t)(from >> 16);
    op.to_id = (domid_t)to;
    op.to_offset = (uint16_t)(to >> 16);
    op.length = (uint16_t)last;
    op.flags = (uint16_t)(last >> 16);
    const int16_t status = copy_one(b, &op);
    if (unlikely(status))
        copy_end(b);
    const guest_ptr_t to_last = guest_ptr_add(at, 4 * sizeof(uint64_t));
    last = (last & ~(0xffffull << 32)) | (uint64_t)(uint16_t)status << 32;
    return likely(!guest_write_u64_checked(to_last, last))
               ? 0
               : refuse(ARGUMENT_UNREADABLE, to_last.va);
}

/* Up to a span of elements; 0 or -EFAULT. */
static int copy_span(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    struct copy_batch b;
    int rc = 0;

    b.caller = v->domain;
    b.from.d = b.to.d = NULL;
    b.from.claimed = b.to.claimed = false;
    for (unsigned i = 0; i < count && !rc; i++)
        rc = copy_element(&b, guest_ptr_add(ops, i * sizeof(struct gnttab_copy)));
    copy_end(&b);
    return rc;
}

long grant_copy(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    for (unsigned i = 0; i < count; i += COPY_SPAN) {
        if (i && pause_point())
            break;
        int rc = copy_span(v, guest_ptr_add(ops, i * sizeof(struct gnttab_copy)),
                           MIN(count - i, COPY_SPAN));
        if (rc)
            return rc;
    }
    return 0;
}
