/*
 * XENMEM_acquire_resource: a control domain is told the frames of another domain's grant table, to map them as that domain's own
 * (mmu_update naming it): so a toolstack writes the first entries of a domain that does not run yet.
 *
 * The frames are hypervisor pages that the domain may map anyway (page_alloc_shared); whoever maps one holds a reference to it, and
 * the domain that it belongs to waits for that when it ends.
 */
/* Before anything includes <xen/...>: the operations of toolstacks. */
#define __XEN_TOOLS__ 1

#include "memory-op.h"

#include "arch.h"
#include "grant-table.h"
#include "refuse.h"
#include "sched.h"

#include <xen/memory.h>

/* (A domain that others find has a grant table.)  How many frames @d's table can have of kind @id; 0: there is no such kind. */
static uint32_t frames_most(const struct domain *d, uint32_t id)
{
    switch (id) {
    case XENMEM_resource_grant_table_id_shared:
        return d->grants->max_frames;
    case XENMEM_resource_grant_table_id_status:
        return grant_status_frames_for(d->grants->max_frames);
    default:
        return 0;
    }
}

/* Frame @n of the kind @id, which has to exist. */
static mfn_t frame_at(const struct grant_table *t, uint32_t id, uint32_t n) REQUIRES(&t->change)
{
    const bool shared = id == XENMEM_resource_grant_table_id_shared;

    if (n >= (shared ? t->frames : t->status_frames))
        return mfn(MFN_NONE);
    return virt_to_mfn(shared ? (const void *)t->frame[n] : (const void *)t->status[n]);
}

/* The same, made if it does not exist yet; MFN_NONE if it cannot. */
static mfn_t frame_of(struct domain *d, uint32_t id, uint32_t n)
{
    struct grant_table *t = d->grants;
    const uint32_t per = GRANT_STATUS_PER_FRAME / GRANTS_PER_FRAME_V2;
    const bool shared = id == XENMEM_resource_grant_table_id_shared;

    if (!shared && atomic_read(&t->version) != 2)
        return mfn(MFN_NONE);
    if (!grant_table_grow(d, MIN(shared ? n + 1 : n * per + 1, t->max_frames)))
        return mfn(MFN_NONE);
    mutex_lock(&t->change);
    const mfn_t m = frame_at(t, id, n);
    mutex_unlock(&t->change);
    return m;
}

static int frames_tell(struct domain *d, const struct xen_mem_acquire_resource *op)
{
    const guest_ptr_t to = guest_ptr((uint64_t)op->frame_list.p);

    for (uint32_t i = 0; i < op->nr_frames; i++) {
        const mfn_t m = frame_of(d, op->id, (uint32_t)op->frame + i);
        if (m.n == MFN_NONE)
            return refuse(RESOURCE_FRAME_MISSING, op->frame + i);
        if (guest_write_u64(guest_ptr_add(to, i * 8ull), m.n))
            return refuse(ARGUMENT_UNREADABLE, to.va);
        (void)preempt_point();
    }
    return 0;
}

static int serve(struct domain *d, guest_ptr_t arg, const struct xen_mem_acquire_resource *op)
{
    if (op->type != XENMEM_resource_grant_table)
        return refuse(RESOURCE_UNKNOWN, op->type);
    const uint32_t most = frames_most(d, op->id);
    if (!most)
        return refuse(RESOURCE_PART_UNKNOWN, op->id);
    if (op->frame_list.p) {
        if (op->frame > most || op->nr_frames > most - op->frame)
            return refuse(RESOURCE_RANGE, op->frame, op->nr_frames, most);
        return frames_tell(d, op);
    }
    if (op->nr_frames)
        return refuse(RESOURCE_RANGE, op->frame, op->nr_frames, most);
    const uint64_t at = arg.va + offsetof(struct xen_mem_acquire_resource, nr_frames);
    return guest_write_u32(guest_ptr(at), most) ? refuse(ARGUMENT_UNREADABLE, at) : 0;
}

static long acquire(struct vcpu *v, guest_ptr_t arg)
{
    struct xen_mem_acquire_resource op;

    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.pad)
        return refuse(RESOURCE_PAD, op.pad);
    if (!domain_has(v->domain, ROLE_CONTROL))
        return refuse(ROLE_MISSING, __HYPERVISOR_memory_op, XENMEM_acquire_resource);
    if (op.domid == DOMID_SELF || op.domid == v->domain->id)
        return refuse(RESOURCE_OF_SELF);
    struct domain *d = domain_get(op.domid);
    if (!d)
        return refuse(MEMORY_DOMAIN_MISSING, op.domid);
    const int rc = serve(d, arg, &op);
    domain_put(d);
    return rc;
}

void grant_resource_init(void)
{
    memory_acquire_resource = acquire;
}
