/* The paravirtual clock: nanoseconds of system time from TSC and vcpu_time_info. */
#pragma once

#include <stdint.h>
#include <xen/xen.h>

static inline uint64_t clock_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

uint64_t clock_ns_of(const volatile struct vcpu_time_info *info);
/* vCPU 0's. */
uint64_t clock_ns(void);
