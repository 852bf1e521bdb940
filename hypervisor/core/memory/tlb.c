/* The flush clock; see tlb.h for the idea. */
#include "tlb.h"
#include "arch.h"

uint32_t tlb_clock = 1;

static uint32_t flushed_at[MAX_CPUS];

void tlb_flush_end(unsigned cpu, uint32_t began)
{
    atomic_set(&flushed_at[cpu], began);

    if (unlikely(began % TLB_CLOCK_ROUND == 0))
        arch_tlb_flush(arch_cpus_online() & ~BIT(cpu), true, 0);
}

void tlb_stamp_again(struct page_info *pg)
{
    tlb_stamp(pg);
}

/* Did the flush that began at @flushed come after the removal that was stamped with @stamp? */
static bool is_later(uint32_t flushed, uint32_t stamp)
{
    return (int32_t)(flushed - stamp) > 0;
}

void tlb_flush_for_page(struct page_info *pg)
{
    uint32_t stamp = atomic_read(&pg->stamp);
    uint64_t stale = 0;

    for (uint64_t cpus = arch_cpus_online(); cpus; cpus &= cpus - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(cpus);
        if (!is_later(atomic_read(&flushed_at[cpu]), stamp))
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
