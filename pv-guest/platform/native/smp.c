/* Several CPUs: not yet. */
#include "kernel/errno.h"
#include "platform/native/machine.h"
#include "platform/platform.h"

unsigned platform_cpu_count(void)
{
    return 1;
}

int platform_cpu_start(unsigned cpu, void *stack)
{
    return -EINVAL;
}

void platform_cpu_kick(unsigned cpu)
{
}

void platform_cpu_stop_others(void)
{
}

void platform_relax(unsigned turns)
{
    __asm__ volatile("pause");
}

void tlb_flush_others(cpus_t cpus)
{
}
