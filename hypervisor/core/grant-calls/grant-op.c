/*
 * grant_table_op: the hypercall, and the operations that are about the table itself.
 *
 * An operation's own failure is a status in its structure; errors of the call are what has no place there.
 */
#include "arch.h"
#include "grant-table.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

/* Bits of the command above these say, in Xen, where a call that was interrupted goes on; here none is. */
#define CMD_BITS 20

#define LIST_SPAN 64u /* short elements between two preemption points */

/*
 * The domain that a grant operation names: referenced, or NULL and *status.  Only a domain's own
 * table may be touched unless it controls others.
 */
static struct domain *grant_domain(struct vcpu *v, domid_t id, int16_t *status)
{
    if (id == DOMID_SELF)
        id = v->domain->id;
    /* Before looking: the refusal says nothing about that domain. */
    if (id != v->domain->id && !domain_has(v->domain, ROLE_CONTROL)) {
        *status = deny(GRANT_DOMAIN_NOT_ALLOWED, GNTST_permission_denied, id);
        return NULL;
    }
    struct domain *d = domain_get(id);
    if (d && d->grants)
        return d;
    if (d)
        domain_put(d);
    *status = deny(GRANT_TABLE_MISSING, GNTST_bad_domain, id);
    return NULL;
}

/* Frame numbers of @n pages at @page to @list; GNTST_*. */
static int16_t frames_write(guest_ptr_t list, void *const *page, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (guest_write_u64(guest_ptr_add(list, i * 8ull), virt_to_mfn(page[i]).n))
            return deny(GRANT_LIST_UNWRITABLE, GNTST_bad_virt_addr, list.va);
    return GNTST_okay;
}

/* An operation about one table: its structure, of @size, is read, and written back with its status. */
static int table_op_read(void *op, guest_ptr_t arg, unsigned count, size_t size)
{
    if (count != 1)
        return refuse(GRANT_COUNT, count);
    return guest_read(op, arg, size) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static int table_op_write(guest_ptr_t arg, const void *op, size_t size)
{
    return guest_write(arg, op, size) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long setup_table(struct vcpu *v, guest_ptr_t arg, unsigned count)
{
    struct gnttab_setup_table op;
    int rc = table_op_read(&op, arg, count, sizeof(op));

    if (rc)
        return rc;
    struct domain *d = grant_domain(v, op.dom, &op.status);
    if (d) {
        op.status = grant_table_grow(d, op.nr_frames)
                        ? GNTST_okay
                        : deny(GRANT_FRAMES_LIMIT, GNTST_general_error, op.nr_frames,
                               d->grants->max_frames);
        if (!op.status)
            op.status =
                frames_write(guest_ptr((uint64_t)op.frame_list.p), d->grants->frame, op.nr_frames);
        domain_put(d);
    }
    return table_op_write(arg, &op, sizeof(op));
}

static long get_status_frames(struct vcpu *v, guest_ptr_t arg, unsigned count)
{
    struct gnttab_get_status_frames op;
    int rc = table_op_read(&op, arg, count, sizeof(op));

    if (rc)
        return rc;
    struct domain *d = grant_domain(v, op.dom, &op.status);
    if (d) {
        struct grant_table *t = d->grants;
        mutex_lock(&t->change);
        const uint32_t there = t->version == 2 ? t->status_frames : 0;
        op.status = op.nr_frames > there
                        ? deny(GRANT_STATUS_FRAMES, GNTST_general_error, op.nr_frames, there)
                        : frames_write(guest_ptr((uint64_t)op.frame_list.p),
                                       (void *const *)t->status, op.nr_frames);
        mutex_unlock(&t->change);
        domain_put(d);
    }
    return table_op_write(arg, &op, sizeof(op));
}

static long query_size(struct vcpu *v, guest_ptr_t arg, unsigned count)
{
    struct gnttab_query_size op;
    int rc = table_op_read(&op, arg, count, sizeof(op));

    if (rc)
        return rc;
    struct domain *d = grant_domain(v, op.dom, &op.status);
    if (d) {
        op.nr_frames = atomic_read(&d->grants->frames);
        op.max_nr_frames = d->grants->max_frames;
        op.status = GNTST_okay;
        domain_put(d);
    }
    return table_op_write(arg, &op, sizeof(op));
}

/* The version in force goes back to the guest whatever the answer. */
static long set_version(struct vcpu *v, guest_ptr_t arg)
{
    struct gnttab_set_version op;
    struct domain *d = v->domain;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    /* Up to 72 frames will be cleared, and a batch may ask for it over and over. */
    (void)pause_point();
    const long rc = op.version == 1 || op.version == 2 ? grant_table_set_version(d, op.version)
                                                       : refuse(GRANT_VERSION_UNKNOWN, op.version);
    op.version = atomic_read(&d->grants->version);
    if (guest_write(arg, &op, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return rc;
}

static long get_version(struct vcpu *v, guest_ptr_t arg)
{
    struct gnttab_get_version op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    int16_t status = GNTST_okay;
    struct domain *d = grant_domain(v, op.dom, &status);
    if (!d)
        return status == GNTST_bad_domain ? refuse(GRANT_DOMAIN_MISSING, op.dom)
                                          : refuse(GRANT_DOMAIN_NOT_ALLOWED, op.dom);
    op.version = atomic_read(&d->grants->version);
    domain_put(d);
    if (guest_write(arg, &op, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

static long swap_refs(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const guest_ptr_t at = guest_ptr_add(ops, i * sizeof(struct gnttab_swap_grant_ref));
        struct gnttab_swap_grant_ref op;
        if (i && i % LIST_SPAN == 0 && pause_point())
            break;
        if (guest_read(&op, at, sizeof(op)))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        op.status = grant_table_swap(v->domain->grants, op.ref_a, op.ref_b);
        if (guest_write(at, &op, sizeof(op)))
            return refuse(ARGUMENT_UNREADABLE, at.va);
    }
    return 0;
}

/* One range to be written back, or forgotten, by caches.  On x86 devices see what CPUs write: there is nothing to do, but to say
 * what was wrong. */
static int cache_flush_one(const struct domain *d, const struct gnttab_cache_flush *op)
{
    const mfn_t m = maddr_to_mfn(op->a.dev_bus_addr);

    if (op->offset >= PAGE_SIZE || op->length > PAGE_SIZE ||
        op->offset + op->length > (int)PAGE_SIZE ||
        op->op & ~(GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL))
        return refuse(GRANT_CACHE_RANGE, op->offset, op->length, op->op);
    if (!op->length || !op->op)
        return 0;
    if (!mfn_valid(m))
        return refuse(GRANT_CACHE_RANGE, op->offset, op->length, op->op);
    if (!page_get(mfn_to_page(m), d))
        return refuse(GRANT_CACHE_FRAME, m.n);
    page_put(mfn_to_page(m));
    return op->op & GNTTAB_CACHE_CLEAN ? 0 : refuse(GRANT_CACHE_INVALIDATE);
}

static long cache_flush(struct vcpu *v, guest_ptr_t ops, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const guest_ptr_t at = guest_ptr_add(ops, i * sizeof(struct gnttab_cache_flush));
        struct gnttab_cache_flush op;
        if (i && i % LIST_SPAN == 0 && pause_point())
            break;
        if (guest_read(&op, at, sizeof(op)))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        int rc = cache_flush_one(v->domain, &op);
        if (rc)
            return rc;
    }
    return 0;
}

/* Operations on lists. */
static const struct {
    long (*serve)(struct vcpu *v, guest_ptr_t ops, unsigned count);
    size_t size; /* of an element */
} lists[] = {
    [GNTTABOP_map_grant_ref] = {grant_map, sizeof(struct gnttab_map_grant_ref)},
    [GNTTABOP_unmap_grant_ref] = {grant_unmap, sizeof(struct gnttab_unmap_grant_ref)},
    [GNTTABOP_copy] = {grant_copy, sizeof(struct gnttab_copy)},
    [GNTTABOP_unmap_and_replace] = {grant_unmap_and_replace,
                                    sizeof(struct gnttab_unmap_and_replace)},
    [GNTTABOP_swap_grant_ref] = {swap_refs, sizeof(struct gnttab_swap_grant_ref)},
    [GNTTABOP_cache_flush] = {cache_flush, sizeof(struct gnttab_cache_flush)},
};

/* Operations on one structure. */
static noinline_ long table_op(struct vcpu *v, unsigned cmd, guest_ptr_t arg, unsigned count)
{
    switch (cmd) {
    case GNTTABOP_setup_table:
        return setup_table(v, arg, count);
    case GNTTABOP_query_size:
        return query_size(v, arg, count);
    case GNTTABOP_set_version:
        return set_version(v, arg);
    case GNTTABOP_get_status_frames:
        return get_status_frames(v, arg, count);
    case GNTTABOP_get_version:
        return get_version(v, arg);
    case GNTTABOP_transfer:
        return refuse(GRANT_TRANSFER);
    default:
        return cmd >> CMD_BITS ? refuse(GRANT_CONTINUATION, cmd) : refuse(GRANT_OP_UNKNOWN, cmd);
    }
}

/* grant_table_op(cmd, arg, count) */
long hypercall_grant_table_op(struct vcpu *v, const struct hypercall_args *a)
{
    const unsigned cmd = (unsigned)a->arg[0];
    const guest_ptr_t arg = guest_ptr(a->arg[1]);
    const unsigned count = (unsigned)a->arg[2];

    if (unlikely((int)count < 0))
        return refuse(GRANT_COUNT, count);
    if (unlikely(cmd >= ARRAY_SIZE(lists) || !lists[cmd].serve))
        return table_op(v, cmd, arg, count);
    if (unlikely(!guest_range_ok(arg.va, (uint64_t)count * lists[cmd].size)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return lists[cmd].serve(v, arg, count);
}
