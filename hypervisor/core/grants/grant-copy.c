/*
 * Copying between frames, of which either or both are others' by grant.
 *
 * A side is claimed (pinned, its frame referenced; the one that is written to typed as well) and stays so while the next
 * elements name the same: a backend's copies come in runs.  At a preemption point nothing is claimed.
 *
 * Of an entry that was pinned already the frame is what the pin says, not what the guest shows there now.  Both sides may be the same frame; what overlaps is copied forwards.
 */
#include "arch.h"
#include "grant-table.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

#define COPY_SPAN \
    8u /* elements between two preemption points: each up to 16,000 instructions (memmove) */

struct side {
    /* what was named */
    struct domain *d; /* referenced; NULL: nobody */
    domid_t id;
    bool by_ref;
    uint64_t name; /* reference, or frame */
    /* what was found */
    bool claimed;
    bool writes;
    struct grant_part part;
};

static struct page_info *side_page(const struct side *s)
{
    return mfn_to_page(s->part.mfn);
}

static uint32_t side_pins(const struct side *s)
{
    return s->writes ? PIN_HOST_WRITE : PIN_HOST_READ;
}

/* Pin and reference go in the same stretch; a copy needs no flush between them, as no page-table entry names the frame. */
static void side_release(struct side *s)
{
    if (!s->claimed)
        return;
    s->claimed = false;
    if (s->by_ref)
        grant_unpin(s->d->grants, (grant_ref_t)s->name, side_pins(s));
    page_put_mapped(side_page(s), s->writes);
}

static void side_end(struct side *s)
{
    side_release(s);
    if (s->d)
        domain_put(s->d);
    s->d = NULL;
}

/* Whose the side is: only a domain's own frames may be named by number.  GNTST_*. */
static int16_t side_domain(struct side *s, const struct domain *caller, domid_t id, bool by_ref)
{
    if (!by_ref && id != DOMID_SELF)
        return deny(GRANT_COPY_FRAME_NOT_SELF, GNTST_permission_denied, id);
    s->d = domain_get(id == DOMID_SELF ? caller->id : id);
    if (s->d && !s->d->grants) {
        domain_put(s->d);
        s->d = NULL;
    }
    if (!s->d)
        return deny(GRANT_GRANTER_MISSING, GNTST_bad_domain, id);
    s->id = id;
    return GNTST_okay;
}

/* The frame of @s, which has been named, and is pinned if by a reference. */
static int16_t side_frame(struct side *s)
{
    struct page_info *pg = side_page(s);

    if (!mfn_valid(s->part.mfn) || !page_get_quick(pg, s->d, s->d->id))
        return deny(GRANT_FRAME_NOT_GRANTERS, s->part.fresh ? GNTST_bad_page : GNTST_general_error,
                    s->part.mfn.n);
    if (!s->writes)
        return GNTST_okay;
    if (likely(!page_get_type(pg, s->d, PAGE_TYPE_WRITABLE)))
        return GNTST_okay;
    page_put(pg);
    return deny(GRANT_ROLE_CONFLICT, GNTST_general_error, s->part.mfn.n,
                page_state_type(atomic_read(&pg->state)));
}

static int16_t side_claim(struct side *s, const struct domain *caller, uint64_t name, bool by_ref)
{
    s->name = name;
    s->by_ref = by_ref;
    s->part = (struct grant_part){mfn(name), 0, PAGE_SIZE, true};
    if (by_ref) {
        int16_t status =
            grant_pin(s->d->grants, (grant_ref_t)name, caller->id, side_pins(s), false, &s->part);
        if (unlikely(status))
            return status;
    }
    int16_t status = side_frame(s);
    if (unlikely(status)) {
        if (by_ref)
            grant_unpin(s->d->grants, (grant_ref_t)name, side_pins(s));
        return status;
    }
    s->claimed = true;
    return GNTST_okay;
}

static inline uint64_t name_of(const struct gnttab_copy_ptr *p, bool by_ref)
{
    return by_ref ? p->u.ref : p->u.gmfn;
}

static inline bool side_is(const struct side *s, uint64_t name, bool by_ref)
{
    return s->claimed && s->name == name && s->by_ref == by_ref;
}

struct copy_batch {
    struct domain *caller;
    struct side from, to;
};

static void copy_end(struct copy_batch *b)
{
    side_end(&b->from);
    side_end(&b->to);
}

static noinline_ int16_t copy_domains(struct copy_batch *b, const struct gnttab_copy *op)
{
    copy_end(b);
    int16_t status =
        side_domain(&b->from, b->caller, op->source.domid, op->flags & GNTCOPY_source_gref);
    return status ? status
                  : side_domain(&b->to, b->caller, op->dest.domid, op->flags & GNTCOPY_dest_gref);
}

static bool within(const struct grant_part *p, unsigned offset, unsigned length)
{
    return offset >= p->start && offset + length <= (unsigned)p->start + p->length;
}

/* memcpy() is not for a frame that is copied to itself, and memmove() would take 16,000 instructions: what overlaps is copied as far as
 * the guest can expect, from the first word to the last. */
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

static int16_t copy_bytes(const struct copy_batch *b, const struct gnttab_copy *op)
{
    const unsigned from = op->source.offset, to = op->dest.offset, length = op->len;

    if (unlikely(from + length > PAGE_SIZE || to + length > PAGE_SIZE))
        return deny(GRANT_COPY_BOUNDS, GNTST_bad_copy_arg, from, to, length);
    if (unlikely(!within(&b->from.part, from, length) || !within(&b->to.part, to, length)))
        return deny(GRANT_COPY_PART, GNTST_general_error, from, to, length);
    char *dest = (char *)mfn_to_virt(b->to.part.mfn) + to;
    const char *source = (const char *)mfn_to_virt(b->from.part.mfn) + from;
    if (unlikely(b->to.part.mfn.n == b->from.part.mfn.n))
        copy_within(dest, source, length);
    else
        memcpy(dest, source, length);
    return GNTST_okay;
}

static int16_t copy_one(struct copy_batch *b, const struct gnttab_copy *op)
{
    const bool from_ref = op->flags & GNTCOPY_source_gref, to_ref = op->flags & GNTCOPY_dest_gref;
    const uint64_t from = name_of(&op->source, from_ref), to = name_of(&op->dest, to_ref);
    int16_t status = GNTST_okay;

    if (!b->from.d || !b->to.d || op->source.domid != b->from.id || op->dest.domid != b->to.id) {
        status = copy_domains(b, op);
        if (unlikely(status))
            return status;
    }
    /* The same domain, named by a frame where it was by a reference before. */
    if (unlikely((!from_ref && op->source.domid != DOMID_SELF) ||
                 (!to_ref && op->dest.domid != DOMID_SELF)))
        return deny(GRANT_COPY_FRAME_NOT_SELF, GNTST_permission_denied, op->source.domid,
                    op->dest.domid);
    if (!side_is(&b->from, from, from_ref)) {
        side_release(&b->from);
        status = side_claim(&b->from, b->caller, from, from_ref);
        if (unlikely(status))
            return status;
    }
    if (!side_is(&b->to, to, to_ref)) {
        side_release(&b->to);
        status = side_claim(&b->to, b->caller, to, to_ref);
        if (unlikely(status))
            return status;
    }
    return copy_bytes(b, op);
}

/* Up to a span of elements; 0 or -EFAULT. */
static int copy_span(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    struct copy_batch b = {.caller = v->domain, .to.writes = true};
    int rc = 0;

    for (unsigned i = 0; i < count && !rc; i++) {
        const guest_ptr_t at = guest_ptr_add(ops, i * sizeof(struct gnttab_copy));
        struct gnttab_copy op;
        if (unlikely(guest_read(&op, at, sizeof(op)))) {
            rc = refuse(ARGUMENT_UNREADABLE, at.va);
            break;
        }
        op.status = copy_one(&b, &op);
        if (unlikely(op.status))
            copy_end(&b);
        const guest_ptr_t status = guest_ptr_add(at, offsetof(struct gnttab_copy, status));
        if (unlikely(guest_write(status, &op.status, sizeof(op.status))))
            rc = refuse(ARGUMENT_UNREADABLE, status.va);
    }
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
