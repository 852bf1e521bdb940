/*
 * A guest that wants all of its CPU, and measures what it gets: for=MS (default
 * 2000) of system time it computes, then it says how long it ran.
 */
#include "guest.h"
#include "clock.h"
#include "console.h"

#include <paravane/hypercall.h>
#include <xen/vcpu.h>

static uint64_t time_running(void)
{
    struct vcpu_runstate_info info;

    if (hypercall_vcpu_op(VCPUOP_get_runstate_info, 0, &info))
        return 0;
    return info.time[RUNSTATE_running];
}

void guest_main(void)
{
    const uint64_t span = guest_option("for", 2000) * 1000000, start = clock_ns(),
                   ran = time_running();

    console_printf("share: computing\n");
    while (clock_ns() - start < span)
        ;
    const uint64_t all = clock_ns() - start, mine = time_running() - ran;
    console_printf("share: %lu of %lu us, that is %lu in a thousand\n", mine / 1000, all / 1000,
                   mine * 1000 / all);
}
