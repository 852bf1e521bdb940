/* memory_op in parts: lists of extents and questions in memory-op.c, maps, claims, and what others register. */
#pragma once

#include "domain.h"

/*
 * The domain @id that a memory operation of @v is about: @v's own, or, for the control role, another one.  NULL and
 * *rc: -XEN_EPERM, -XEN_ESRCH.  To be given back with memory_target_put(); the caller's own domain outlives its
 * hypercall and needs no reference.
 */
struct domain *memory_target_other(struct vcpu *v, domid_t id, int *rc) must_check;
static inline struct domain *memory_target_get(struct vcpu *v, domid_t id, int *rc)
{
    *rc = 0;
    return likely(id == DOMID_SELF || id == v->domain->id) ? v->domain
                                                           : memory_target_other(v, id, rc);
}

static inline void memory_target_put(struct vcpu *v, struct domain *d)
{
    if (unlikely(d != v->domain))
        domain_put(d);
}

/* --- memory-map.c: which memory a domain is told that it has --- */

long memory_map_get(struct vcpu *v, guest_ptr_t arg);
long memory_map_set(struct vcpu *v, guest_ptr_t arg);
long memory_map_machine(struct vcpu *v, guest_ptr_t arg);
void memory_map_free(struct memory_map *map); /* or NULL */

/* --- claim.c: memory that nobody else takes, for a domain that is being built --- */

long claim_pages(struct vcpu *v, guest_ptr_t arg);
/* Are the 2^@order frames that @d is about to get claimed for it?  Then they count as claimed no more: how many; else
 * 0. */
uint32_t claim_take(struct domain *d, unsigned order) must_check;
/* They are the domain's now; or they were not to be had, and are claimed again. */
void claim_used(uint32_t count);
void claim_give_back(struct domain *d, uint32_t count);
void claim_end(struct domain *d); /* nothing is claimed for @d any more */

/* --- for the layers above --- */

/* XENMEM_acquire_resource: core/grant-calls/grant-resource.c, from boot on. */
extern long (*memory_acquire_resource)(struct vcpu *v, guest_ptr_t arg);
