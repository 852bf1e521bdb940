/*
 * Claims: a toolstack has memory put by for a domain before it fills it, so that two domains that are built at the same
 * time do not both find out late that there is too little.
 *
 * What is claimed and not yet taken is promised (page_promise): others leave it there.  Each frame that the domain
 * gets, by whomever, makes the claim smaller.
 */
/* Before anything includes <xen/...>: the operations of toolstacks. */
#define __XEN_TOOLS__ 1

#include "memory-op.h"

#include "arch.h"
#include "refuse.h"

#include <xen/memory.h>

uint32_t claim_take(struct domain *d, unsigned order)
{
    uint32_t claimed = atomic_read(&d->claimed);
    const uint32_t count = 1u << order;

    do {
        if (claimed < count)
            return 0;
    } while (!atomic_compare_exchange(&d->claimed, &claimed, claimed - count));
    return count;
}

void claim_used(uint32_t count)
{
    page_promise_end(count);
}

void claim_give_back(struct domain *d, uint32_t count)
{
    atomic_add(&d->claimed, count);
}

void claim_end(struct domain *d)
{
    page_promise_end(atomic_exchange(&d->claimed, 0));
}

/* @pages is how many frames @d is to have in all; 0 ends the claim. */
static int claim(struct domain *d, uint64_t pages)
{
    if (!pages) {
        claim_end(d);
        return 0;
    }
    const uint32_t has = atomic_read(&d->tot_pages), most = atomic_read(&d->max_pages),
                   claimed = atomic_read(&d->claimed);
    if (claimed)
        return refuse(CLAIMED_ALREADY, claimed);
    if (atomic_read(&d->dying) || pages <= has || pages > most)
        return refuse(CLAIM_RANGE, pages, has, most);
    if (!page_promise_free(pages - has))
        return refuse(CLAIM_NO_MEMORY, pages - has);
    /* Not set: an extent that failed may have been put back meanwhile. */
    atomic_add(&d->claimed, (uint32_t)(pages - has));
    return 0;
}

/* XENMEM_claim_pages */
long claim_pages(struct vcpu *v, guest_ptr_t arg)
{
    struct xen_memory_reservation r;

    if (guest_read(&r, arg, sizeof(r)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!domain_has(v->domain, ROLE_CONTROL))
        return refuse(ROLE_MISSING, __HYPERVISOR_memory_op, XENMEM_claim_pages);
    if (r.extent_order || r.mem_flags)
        return refuse(CLAIM_OF_EXTENTS, r.extent_order, r.mem_flags);
    struct domain *d = domain_get(r.domid);
    if (!d)
        return refuse(CLAIM_DOMAIN_MISSING, r.domid);
    mutex_lock(&d->control);
    const int rc = claim(d, r.nr_extents);
    mutex_unlock(&d->control);
    domain_put(d);
    return rc;
}
