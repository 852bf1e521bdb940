/*
 * Timers in order of their deadlines; the earliest is programmed.
 *
 * There is no tick: with nothing to run and no timer started the machine sleeps
 * until somebody types.
 */
#include "platform/platform.h"
#include "timer.h"

static struct list timers = LIST_INIT(timers);
static uint64_t slice_deadline = ~0ul, programmed = ~0ul;
static bool slice_over;
static uint64_t boot_time_of_day;

static void program(void)
{
    uint64_t next = slice_deadline;
    if (!list_empty(&timers)) {
        const struct timer *first = list_entry(timers.next, struct timer, link);
        if (first->deadline < next)
            next = first->deadline;
    }
    if (next >= TIME_FAR)
        next = ~0ul;
    if (next == programmed)
        return;
    programmed = next;
    platform_timer_set(next);
}

void timer_init(struct timer *timer, void (*expired)(struct timer *timer))
{
    list_init(&timer->link);
    timer->expired = expired;
}

void timer_start(struct timer *timer, uint64_t deadline)
{
    struct timer *at;
    list_remove(&timer->link);
    timer->deadline = deadline;
    list_for_each(at, &timers, link)
    {
        if (at->deadline > deadline)
            break;
    }
    list_add_before(&timer->link, &at->link);
    program();
}

void timer_stop(struct timer *timer)
{
    list_remove(&timer->link);
}

bool timer_running(const struct timer *timer)
{
    return !list_empty(&timer->link);
}

void timer_set_slice(uint64_t deadline)
{
    slice_deadline = deadline;
    slice_over = false;
    /* An earlier deadline that is no longer wanted costs one interrupt at worst. */
    if (deadline < programmed)
        program();
}

bool timer_slice_over(void)
{
    return slice_over;
}

void timer_interrupt(void)
{
    const uint64_t now = platform_time();

    programmed = ~0ul;
    if (now >= slice_deadline) {
        slice_deadline = ~0ul;
        slice_over = true;
    }
    while (!list_empty(&timers)) {
        struct timer *first = list_entry(timers.next, struct timer, link);
        if (first->deadline > now)
            break;
        list_remove(&first->link);
        first->expired(first);
    }
    program();
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
