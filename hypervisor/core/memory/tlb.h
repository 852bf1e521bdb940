/*
 * When must a TLB forget?  (Invariant I6 of page.h.)
 *
 * A guest may remove an entry and not ask for a flush; until some CPU's TLB has forgotten it the old
 * translation still works.  That is the guest's own affair as long as the frame stays the guest's and in its
 * role.  So nothing is flushed at removal: the frame is stamped with the value of tlb_clock, and the flush
 * happens when the frame is about to change role or owner, if still needed.
 *
 *   tlb_clock         ticks at every full flush of any CPU
 *   cpu.flushed_at    the tick of that CPU's last full flush
 *   page.stamp        the clock when an entry naming the page was last removed
 *
 * A CPU may hold a stale entry only if its last flush began no later than the removal: cpu.flushed_at <= page.stamp.
 * What that takes, each step with the variant of tests/models/flush.pml that goes wrong without it:
 *
 *   a flush   ticks, forgets, then publishes its tick        What a CPU fetches while it forgets, before an entry is removed
 *             (BROKEN=1: ticks last, BROKEN=2: publishes     and stamped, must not count as forgotten.
 *             before it has forgotten)
 *   removal   empties the entry with an exchange, which      Or the entry could still be seen, and fetched, by a CPU that has
 *             is visible to all before the clock is read     flushed since the clock was read.
 *             (BROKEN=3: a plain store)
 *   a stamp   never goes back (BROKEN=4: a plain store)      Two CPUs may remove entries for one frame, in the tables of
 *                                                            two domains; the later removal counts.
 *
 * The clock is 32 bits wide, and numbers are compared as on a circle: right as long as they are less than half a round
 * apart.  Stamps may be of any age; one that is too old to compare looks newer than it is, which costs a flush.  Flushes are kept
 * young: at each 2^28th tick all CPUs flush.  So the flushed_at of a CPU is never older than 2^29, if it answers a
 * request before 2^28 more flushes have happened.
 */
#pragma once

#include "atomic.h"
#include "page.h"

extern uint32_t tlb_clock;

#define TLB_CLOCK_ROUND BIT(28) /* ticks from one flush of all CPUs to the next */

/* An entry naming @pg went away without a flush: it was emptied by an atomic exchange.  A stamp that is what the clock shows since
 * is the one to write.  Of another the stamp is read before the clock, so it is not newer, and what replaces it is not older. */
static inline must_check bool tlb_try_stamp(struct page_info *pg)
{
    if (likely(atomic_equal(&pg->stamp, atomic_read(&tlb_clock))))
        return true;
    uint32_t old = atomic_read_acquire(&pg->stamp), now = atomic_read(&tlb_clock);

    return old == now || atomic_compare_exchange(&pg->stamp, &old, now);
}

static inline void tlb_stamp(struct page_info *pg)
{
    while (!tlb_try_stamp(pg))
        ; /* somebody else has stamped it: he has removed an entry, too */
}

void tlb_stamp_again(struct page_info *pg); /* the same, out of line */

/* The same for an entry that no CPU could come to any more when the clock showed @since: for whole tables. */
static inline void tlb_stamp_since(struct page_info *pg, uint32_t since)
{
    if (unlikely(!atomic_equal(&pg->stamp, since)))
        tlb_stamp_again(pg);
}

/* Make every CPU that may hold a stale entry for @pg forget it. */
void tlb_flush_for_page(struct page_info *pg);

/* Around a full flush of CPU @cpu by itself, a load of CR3; @began is what the first of the two returned. */
static inline uint32_t tlb_flush_begin(void)
{
    return atomic_add(&tlb_clock, 1);
}
void tlb_flush_end(unsigned cpu, uint32_t began);

/* Flush every CPU in @cpus: everything, or one page.  Returns when they have forgotten. */
void tlb_flush_cpus(uint64_t cpus);
void tlb_flush_page_cpus(uint64_t cpus, uint64_t va);
