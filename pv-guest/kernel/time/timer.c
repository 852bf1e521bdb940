/*
 * Timers in order of their deadlines; the earliest is programmed.  Each CPU has
 * those that were started on it.
 *
 * There is no tick: with nothing to run and no timer started the machine sleeps
 * until somebody types.
 */
#include "cpu.h"
#include "platform/platform.h"
#include "task.h"
#include "timer.h"

static uint64_t boot_time_of_day;

static void program(struct cpu *cpu)
{
    uint64_t next = cpu->slice_deadline;
    if (!list_empty(&cpu->timers)) {
        const struct timer *first = list_entry(cpu->timers.next, struct timer, link);
        if (first->deadline < next)
            next = first->deadline;
    }
    if (next >= TIME_FAR)
        next = ~0ul;
    if (next == cpu->programmed)
        return;
    cpu->programmed = next;
    platform_timer_set(next);
}

void timer_init(struct timer *timer, void (*expired)(struct timer *timer))
{
    list_init(&timer->link);
    timer->expired = expired;
}

void timer_start(struct timer *timer, uint64_t deadline)
{
    struct cpu *const cpu = cpu_this();
    struct timer *at;
    list_remove(&timer->link);
    timer->deadline = deadline;
    list_for_each(at, &cpu->timers, link)
    {
        if (at->deadline > deadline)
            break;
    }
    list_add_before(&timer->link, &at->link);
    program(cpu);
}

void timer_stop(struct timer *timer)
{
    list_remove(&timer->link);
}

bool timer_running(const struct timer *timer)
{
    return !list_empty(&timer->link);
}

void timer_set_slice(struct cpu *cpu, uint64_t deadline)
{
    cpu->slice_deadline = deadline;
    /* An earlier deadline that is no longer wanted costs one interrupt at worst. */
    if (deadline < cpu->programmed)
        program(cpu);
}

void timer_interrupt(void)
{
    struct cpu *const cpu = cpu_this();
    const uint64_t now = platform_time();

    cpu->programmed = ~0ul;
    if (now >= cpu->slice_deadline) {
        cpu->slice_deadline = ~0ul;
        cpu->slice_over = true;
    }
    while (!list_empty(&cpu->timers)) {
        struct timer *first = list_entry(cpu->timers.next, struct timer, link);
        if (first->deadline > now)
            break;
        list_remove(&first->link);
        first->expired(first);
    }
    program(cpu);
}

void clock_init(void)
{
    boot_time_of_day = platform_time_of_day();
}

uint64_t clock_now(void)
{
    return boot_time_of_day + platform_time();
}

void clock_set(uint64_t now)
{
    boot_time_of_day = now - platform_time();
}
