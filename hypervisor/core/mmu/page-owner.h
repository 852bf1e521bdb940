/*
 * Whose a frame is: given to a domain, taken back, shared with it (core/mmu/page.c).
 */
#pragma once

#include "page.h"

/*
 * Giving a block of 2^@order frames to @d.  page_prepare() allocates it, @leave frames are free afterwards besides those that
 * are promised, counts it in d->tot_pages and scrubs it: the block is under construction, out of everybody's reach.  NULL: out of
 * memory, past d->max_pages, or @d is dying.  Then page_assign()
 * makes it @d's (each frame ALLOCATED, refs 1): other CPUs may take it, even give it back, before that returns, so whatever
 * belongs to the frame (its contents, machine_to_phys) is written before.  page_discard() gives up instead.
 * page_alloc_for() is page_prepare() and page_assign(), and takes what is promised to @d (d->promised).  page_assign() takes @d->mmu.
 * page_prepare() is a preemption point.
 */
struct page_info *page_prepare(struct domain *d, unsigned order, uint64_t leave) must_check;
void page_assign(struct domain *d, struct page_info *pg, unsigned order);
void page_discard(struct domain *d, struct page_info *pg, unsigned order);
struct page_info *page_alloc_for(struct domain *d, unsigned order) must_check;

/*
 * These need @d->mmu and leave a frame that is not @d's alone.  page_release() drops the domain's own reference (ALLOCATED): the
 * frame is freed when the last other one goes.  page_take_back() takes a frame to which @d's own reference is the only one, and
 * which has no role, out of everybody's reach: true, and the caller calls page_free() or page_restore().  @id is the domain's.
 */
static inline must_check bool page_take_back(struct page_info *pg, uint16_t id)
{
    uint64_t old = page_state_of(pg, id);

    do {
        if (page_state_refs(old) != 1 || !(old & PAGE_ALLOCATED) || page_state_count(old))
            return false;
        /* Whoever had the frame writable may still reach it through a TLB: page_free() sees to that by its stamp.  The role that it had
         * last is kept: were it forgotten, a frame that is restored could become a page table without the flush that takes. */
    } while (!atomic_compare_exchange(&pg->state, &old, old & PAGE_TYPE_MASK));
    return true;
}
void page_restore(struct page_info *pg);
void page_release(struct domain *d, struct page_info *pg);

/* An anonymous hypervisor page that guest @d may map writable (shared_info, grant table): owner @d, type
 * WRITABLE, never counted in tot_pages; given back with page_unshare().  Takes @d->mmu. */
void *page_alloc_shared(struct domain *d);
void page_unshare(struct domain *d, void *va);
/* Nobody but us refers to it: who can find its domain may at any moment. */
bool page_shared_is_alone(void *va);
/* Take one back that no guest maps: true, and it is out of everybody's reach, for page_free_virt() or page_shared_restore(). */
bool page_shared_take(void *va) must_check;
void page_shared_restore(void *va);
