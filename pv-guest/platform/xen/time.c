/*
 * Time as the hypervisor tells it: a scale for the TSC in vcpu_info, the wall
 * clock of boot in shared_info, and a one-shot timer that arrives as an event.
 */
#include <paravane/hypercall.h>
#include <xen/vcpu.h>

#include "platform/platform.h"
#include "platform/xen/machine.h"

#define BARRIER() __asm__ volatile("" : : : "memory")

static uint64_t tsc_read(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* (ticks << shift) * mul / 2^32, in 128 bits so that no product is cut off. */
static uint64_t scale(uint64_t ticks, uint32_t mul, int shift)
{
    ticks = shift >= 0 ? ticks << shift : ticks >> -shift;
    return (uint64_t)(((unsigned __int128)ticks * mul) >> 32);
}

uint64_t platform_time(void)
{
    const volatile struct vcpu_time_info *t = &vcpu_this()->info->time;
    static uint64_t last; /* told to anybody: two CPUs' records need not agree to the nanosecond */
    uint32_t version;
    uint64_t now;

    do {
        version = t->version & ~1u; /* odd: being written, so never equal below */
        BARRIER();
        now = t->system_time +
              scale(tsc_read() - t->tsc_timestamp, t->tsc_to_system_mul, t->tsc_shift);
        BARRIER();
    } while (version != t->version);
    uint64_t seen = __atomic_load_n(&last, __ATOMIC_RELAXED);
    while (now > seen && !__atomic_compare_exchange_n(&last, &seen, now, true, __ATOMIC_RELAXED,
                                                      __ATOMIC_RELAXED))
        ;
    return now > seen ? now : seen;
}

uint64_t platform_time_of_day(void)
{
    const volatile struct shared_info *s = shared;
    uint32_t version;
    uint64_t seconds, nanoseconds;

    do {
        version = s->wc_version & ~1u;
        BARRIER();
        seconds = (uint64_t)s->wc_sec_hi << 32 | s->wc_sec;
        nanoseconds = s->wc_nsec;
        BARRIER();
    } while (version != s->wc_version);
    return seconds * 1000000000 + nanoseconds;
}

void platform_timer_set(uint64_t deadline)
{
    if (deadline == ~0ul) {
        (void)hypercall_vcpu_op(VCPUOP_stop_singleshot_timer, vcpu_this()->number, NULL);
        return;
    }
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = deadline};
    (void)hypercall_vcpu_op(VCPUOP_set_singleshot_timer, vcpu_this()->number, &t);
}

void time_events_init(struct vcpu *v)
{
    (void)hypercall_vcpu_op(VCPUOP_stop_periodic_timer, v->number, NULL);
    event_bind_virq(v, VIRQ_TIMER, timer_interrupt);
}
