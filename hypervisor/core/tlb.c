/* The flush clock; see tlb.h for the idea. */
#include "tlb.h"
#include "arch.h"

uint32_t tlb_clock = 1;

static uint32_t flushed_at[MAX_CPUS];

void tlb_flushed(unsigned cpu)
{
    uint32_t now = atomic_add(&tlb_clock, 1);
    atomic_set(&flushed_at[cpu], now);

    /* Wrapped: stamps of the old round could compare as older than this flush although other CPUs did not flush
     * since.  One flush of everybody ends the old round. */
    if (unlikely(now == 0))
        arch_tlb_flush(arch_cpus_online() & ~BIT(cpu), true, 0);
}

void tlb_flush_for_page(struct page_info *pg)
{
    uint32_t stamp = atomic_read(&pg->stamp);
    uint64_t stale = 0;

    for (uint64_t cpus = arch_cpus_online(); cpus; cpus &= cpus - 1) {
        unsigned cpu = __builtin_ctzll(cpus);
        if (atomic_read(&flushed_at[cpu]) <= stamp)
            stale |= BIT(cpu);
    }
    if (stale)
        arch_tlb_flush(stale, true, 0);
}

void tlb_flush_cpus(uint64_t cpus)
{
    if (cpus)
        arch_tlb_flush(cpus, true, 0);
}

void tlb_flush_page_cpus(uint64_t cpus, uint64_t va)
{
    if (cpus)
        arch_tlb_flush(cpus, false, va);
}
