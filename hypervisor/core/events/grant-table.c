/*
 * Grant tables: the pages in which a guest says who may use which of its frames.
 *
 * A table starts with one page (512 entries of version 1) and grows when the guest asks for more,
 * up to
 * 64.  The pages are the hypervisor's, mapped by the guest like shared_info; entries 0 and 1 are
 * Xen's reserved ones for console and xenstore.
 */
#include "grant-table.h"
#include "arch.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"

#include <xen/grant_table.h>

#define MAX_FRAMES ARRAY_SIZE(((struct grant_table *)0)->frame)

int grant_table_init(struct domain *d)
{
    struct grant_table *t = mem_alloc(sizeof(*t));

    if (!t)
        return -XEN_ENOMEM;
    t->lock = (spinlock_t)SPINLOCK_INIT(GRANT);
    t->max_frames = MAX_FRAMES;
    t->frame[0] = page_alloc_shared(d);
    if (!t->frame[0]) {
        mem_free(t, sizeof(*t));
        return -XEN_ENOMEM;
    }
    t->frames = 1;
    atomic_set_release(&d->grants, t); /* whole: the domain can be named already */
    return 0;
}

void grant_table_destroy(struct domain *d)
{
    struct grant_table *t = d->grants;

    if (!t)
        return;
    while (t->frames)
        page_unshare(d, t->frame[--t->frames]);
    d->grants = NULL;
    mem_free(t, sizeof(*t));
}

void grant_table_seed(struct domain *d, unsigned ref, domid_t backend, mfn_t frame)
{
    grant_entry_v1_t *e = (grant_entry_v1_t *)d->grants->frame[0] + ref;

    e->domid = backend;
    e->frame = (uint32_t)frame.n;
    e->flags = GTF_permit_access;
}

/* Add @page if the table still wants it, another CPU may have been faster; else it goes back. */
static void add_frame(struct domain *d, void *page, uint32_t want)
{
    struct grant_table *t = d->grants;

    spin_lock(&t->lock);
    const bool wanted = t->frames < want;
    if (wanted)
        t->frame[t->frames++] = page;
    spin_unlock(&t->lock);
    if (!wanted)
        page_unshare(d, page);
}

/* Have at least @want frames; GNTST_*.  The page's own lock is a mutex: each is made before the table is locked. */
static int16_t grow(struct domain *d, uint32_t want)
{
    struct grant_table *t = d->grants;

    if (want > t->max_frames)
        return GNTST_general_error;
    while (atomic_read(&t->frames) < want) {
        void *page = page_alloc_shared(d);
        if (!page)
            return GNTST_general_error;
        add_frame(d, page, want);
    }
    return GNTST_okay;
}

/*
 * The domain that a grant operation names: referenced, or NULL and *status.  Only a domain's own
 * table may be touched unless it controls others.
 */
static struct domain *grant_domain(struct vcpu *v, domid_t id, int16_t *status)
{
    if (id == DOMID_SELF)
        id = v->domain->id;
    /* Before looking, so that nobody learns from the answer which domains exist. */
    if (id != v->domain->id && !domain_has(v->domain, ROLE_CONTROL)) {
        (void)refuse(GRANT_DOMAIN_NOT_ALLOWED, id);
        *status = GNTST_permission_denied;
        return NULL;
    }
    struct domain *d = domain_get(id);
    if (d && d->grants)
        return d;
    if (d)
        domain_put(d);
    *status = GNTST_bad_domain;
    return NULL;
}

static long setup_table(struct vcpu *v, guest_ptr_t arg, unsigned count)
{
    struct gnttab_setup_table op;

    if (count != 1)
        return refuse(GRANT_COUNT, count);
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    struct domain *d = grant_domain(v, op.dom, &op.status);
    if (d) {
        op.status = grow(d, op.nr_frames);
        if (op.status)
            (void)refuse(GRANT_FRAMES_LIMIT, op.nr_frames, d->grants->max_frames);
        guest_ptr_t list = guest_ptr((uint64_t)op.frame_list.p);
        for (uint32_t i = 0; !op.status && i < op.nr_frames; i++)
            if (guest_write_u64(guest_ptr_add(list, i * 8ull), virt_to_mfn(d->grants->frame[i]).n))
                op.status = GNTST_bad_virt_addr;
        domain_put(d);
    }
    if (guest_write(arg, &op, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

static long query_size(struct vcpu *v, guest_ptr_t arg, unsigned count)
{
    struct gnttab_query_size op;

    if (count != 1)
        return refuse(GRANT_COUNT, count);
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    struct domain *d = grant_domain(v, op.dom, &op.status);
    if (d) {
        op.nr_frames = d->grants->frames;
        op.max_nr_frames = d->grants->max_frames;
        op.status = GNTST_okay;
        domain_put(d);
    }
    if (guest_write(arg, &op, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

static long set_version(guest_ptr_t arg)
{
    struct gnttab_set_version op;
    long rc = 0;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.version == 2)
        rc = refuse(GRANT_VERSION_2);
    else if (op.version != 1)
        rc = refuse(GRANT_VERSION_UNKNOWN, op.version);
    op.version = 1;
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
    domain_put(d);
    op.version = 1;
    if (guest_write(arg, &op, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

/* grant_table_op(cmd, arg, count) */
long hypercall_grant_table_op(struct vcpu *v, const struct hypercall_args *a)
{
    const unsigned cmd = (unsigned)a->arg[0];
    const guest_ptr_t arg = guest_ptr(a->arg[1]);
    const unsigned count = (unsigned)a->arg[2];

    if ((int)count < 0)
        return refuse(GRANT_COUNT, count);
    switch (cmd) {
    case GNTTABOP_setup_table:
        return setup_table(v, arg, count);
    case GNTTABOP_query_size:
        return query_size(v, arg, count);
    case GNTTABOP_set_version:
        return set_version(arg);
    case GNTTABOP_get_version:
        return get_version(v, arg);
    default:
        return refuse(GRANT_OP_UNKNOWN, cmd);
    }
}
