/*
 * When must a TLB forget?  (Invariant I6 of page.h.)
 *
 * A guest may remove an entry and not ask for a flush; until some CPU's TLB has forgotten it the old
 * translation still works.  That is the guest's own affair as long as the frame stays the guest's and in its
 * role.  So nothing is flushed at removal: the frame is stamped with the value of tlb_clock, and the flush
 * happens when the frame is about to change role or owner, if still needed.
 *
 *   tlb_clock         ticks at every full flush of any CPU
 *   cpu.flushed_at    its value at that CPU's last full flush
 *   page.stamp        its value when an entry naming the page was last removed
 *
 * A CPU may hold a stale entry only if cpu.flushed_at <= page.stamp.  The clock wraps at 2^32: the stamps of an
 * earlier round compare as newer, which flushes once too often and never too seldom (tlb_clock_tick flushes all
 * at the wrap).
 */
#pragma once

#include "atomic.h"
#include "page.h"

extern uint32_t tlb_clock;

/* An entry naming @pg went away without a flush. */
static inline void tlb_stamp(struct page_info *pg)
{
    atomic_set(&pg->stamp, atomic_read(&tlb_clock));
}

/* Make every CPU that may hold a stale entry for @pg forget it. */
void tlb_flush_for_page(struct page_info *pg);

/* Record a full flush by CPU @cpu that has just happened (arch calls it after loading CR3 for a new root). */
void tlb_flushed(unsigned cpu);

/* Flush every CPU in @cpus: everything, or one page.  Returns when they have forgotten. */
void tlb_flush_cpus(uint64_t cpus);
void tlb_flush_page_cpus(uint64_t cpus, uint64_t va);
