/* version odd: being written; changed: written while we read. */
#include "clock.h"
#include "event.h"

uint64_t clock_ns_of(const volatile struct vcpu_time_info *info)
{
    uint32_t version;
    uint64_t ns;

    do {
        version = info->version;
        __asm__ volatile("" ::: "memory");
        uint64_t delta = clock_tsc() - info->tsc_timestamp;
        delta = info->tsc_shift >= 0 ? delta << info->tsc_shift : delta >> -info->tsc_shift;
        ns = info->system_time +
             (uint64_t)((unsigned __int128)delta * info->tsc_to_system_mul >> 32);
        __asm__ volatile("" ::: "memory");
    } while ((version & 1) || version != info->version);
    return ns;
}

uint64_t clock_ns(void)
{
    return clock_ns_of(&event_vcpu_info(0)->time);
}
