/* What mmu_update and mmuext_op share (core/memory-calls/mmu-update.c). */
#pragma once

#include "domain.h"

/* Top bit of a batch's count: Xen marks its own continuations with it; from a guest it means nothing. */
#define CONTINUATION 0x80000000u

/*
 * The domain that @id names for @d, which is not DOMID_SELF: referenced, if @d controls others.  DOMID_IO and DOMID_XEN
 * give owners that own no frame a guest could name.  NULL after a refusal, with *rc set.
 */
struct domain *mmu_foreign_domain(struct domain *d, domid_t id, int *rc);

/* Store the number of operations done at @done_ptr, unless that is NULL. */
void mmu_report_done_slow(guest_ptr_t done_ptr, uint32_t done);
static inline void mmu_report_done(guest_ptr_t done_ptr, uint32_t done)
{
    if (unlikely(done_ptr.va))
        mmu_report_done_slow(done_ptr, done);
}
