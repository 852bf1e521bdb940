/* CPU time: what tasks and processes have used of it, as programs and in the kernel, and the timers that it drives. */
#include "cpu-time.h"
#include "heap.h"
#include "platform/platform.h"
#include "signal.h"
#include "sys-time.h"

/* Looking closer than this would cost more than it tells; Linux looks at its ticks, every four milliseconds. */
#define LOOK_SHORTEST 1000000ul

static uint64_t cycles_all(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* The TSC and platform_time() run at a constant rate, so their ratio since the first call is the length of a cycle. */
static uint64_t cycles_to_ns(uint64_t cycles)
{
    static uint64_t cycles_first, time_first;
    const uint64_t now = cycles_all(), time = platform_time();
    if (!cycles_first) {
        cycles_first = now - 1;
        time_first = time;
    }
    uint64_t passed = time - time_first, turns = now - cycles_first;
    while (passed >> 32) {
        passed >>= 1;
        turns >>= 1;
    }
    const uint64_t ratio = (passed << 32) / MAX(turns, 1ul);
    return (unsigned __int128)cycles * ratio >> 32;
}

static uint64_t task_total(const struct task *task)
{
    return task->run_time + (task == task_current() ? platform_time() - task->run_since : 0);
}

static uint64_t task_system_cycles(const struct task *task)
{
    return task->system_cycles +
           (task == task_current() ? (uint32_t)(cycles_now() - task->entered) : 0);
}

struct cpu_time cpu_time(uint64_t total, uint64_t cycles)
{
    return (struct cpu_time){total, MIN(total, cycles_to_ns(cycles))};
}

struct cpu_time task_cpu_time(const struct task *task)
{
    return cpu_time(task_total(task), task_system_cycles(task));
}

struct cpu_time process_cpu_time(const struct process *p)
{
    const struct task *t;
    uint64_t total = p->ended_time, cycles = p->ended_cycles;
    for_each_thread(t, p)
    {
        total += task_total(t);
        cycles += task_system_cycles(t);
    }
    return cpu_time(total, cycles);
}

struct cpu_time children_cpu_time(const struct process *p)
{
    return cpu_time(p->children_time, p->children_cycles);
}

static uint64_t cpu_time_show(struct cpu_time t, enum cpu_clock clock)
{
    return clock == CPU_CLOCK_ALL ? t.total : t.total - t.system;
}

uint64_t cpu_clock_read(const struct process *p, int tid, enum cpu_clock clock)
{
    const struct task *t = tid ? task_find(tid) : NULL;
    return cpu_time_show(t && t->process == p ? task_cpu_time(t) : process_cpu_time(p), clock);
}

/* ---- Timers ---- */

void cpu_timer_init(struct cpu_timer *timer, enum cpu_clock clock, int tid,
                    void (*expired)(struct cpu_timer *, struct process *, uint64_t))
{
    *timer = (struct cpu_timer){.clock = clock, .tid = tid, .expired = expired};
    list_init(&timer->link);
}

void cpu_timer_start(struct process *p, struct cpu_timer *timer, uint64_t at, uint64_t interval)
{
    struct cpu_timers *const all = p->cpu_timers;
    cpu_timer_stop(timer);
    timer->at = at;
    timer->interval = interval;
    if (!at)
        return;
    list_add(&timer->link, &all->running);
    all->needed = true;
    timer_stop(&all->look);
    cpu_timers_watch(all);
}

void cpu_timer_stop(struct cpu_timer *timer)
{
    list_remove(&timer->link);
    timer->at = 0;
}

static void cpu_time_expire(struct cpu_timer *timer, struct process *p, uint64_t now)
{
    const uint64_t periods = timer->interval ? (now - timer->at) / timer->interval + 1 : 1;
    if (timer->interval)
        timer->at += periods * timer->interval;
    else
        cpu_timer_stop(timer);
    timer->expired(timer, p, periods);
}

/* RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one. */
static uint64_t enforce_limit(struct process *p, uint64_t used)
{
    struct linux_rlimit *l = &p->limits[RLIMIT_CPU];
    const uint64_t maximum = time_span(l->maximum, 0);
    if (l->current >= TIME_FAR / NS)
        return TIME_FAR;
    if (used >= maximum) {
        signal_send(p, SIGKILL);
        return TIME_FAR;
    }
    if (used >= time_span(l->current, 0)) {
        signal_send(p, SIGXCPU);
        l->current = used / NS + 1;
    }
    return MIN(time_span(l->current, 0), maximum) - used;
}

/* Act on what has expired; the shortest time that is left to anything, on this process's clocks. */
static uint64_t cpu_time_look(struct cpu_timers *all)
{
    struct process *const p = all->process;
    struct cpu_timer *t, *after;
    uint64_t left = enforce_limit(p, process_cpu_time(p).total);
    list_for_each_safe(t, after, &all->running, link)
    {
        const uint64_t now = cpu_clock_read(p, t->tid, t->clock);
        if (now >= t->at)
            cpu_time_expire(t, p, now);
        if (t->at)
            left = MIN(left, t->at > now ? t->at - now : 0);
    }
    all->needed = left < TIME_FAR;
    return left;
}

static bool runs(const struct process *p)
{
    const struct task *t;
    for_each_thread(t, p)
    {
        if (t->state == TASK_READY)
            return true;
    }
    return false;
}

/* Several threads may use up what is left at the same time. */
static void look_again(struct cpu_timers *all, uint64_t left)
{
    const uint64_t soon = MAX(left / MAX(all->process->thread_count, 1u), LOOK_SHORTEST);
    if (all->needed)
        timer_start(&all->look, platform_time() + soon);
}

/* Who sleeps uses nothing; cpu_timers_watch() begins again. */
static void look_over(struct timer *timer)
{
    struct cpu_timers *all = container_of(timer, struct cpu_timers, look);
    const uint64_t left = cpu_time_look(all);
    if (runs(all->process))
        look_again(all, left);
}

void cpu_timers_watch(struct cpu_timers *all)
{
    if (all->needed && !timer_running(&all->look))
        look_again(all, cpu_time_look(all));
}

/* ---- Interval timers, in CPU time ---- */

static void itimer_over(struct cpu_timer *timer, struct process *p, uint64_t periods)
{
    signal_send(p, timer->clock == CPU_CLOCK_PROGRAM ? SIGVTALRM : SIGPROF);
}

struct cpu_timers *cpu_timers_get(struct process *p)
{
    struct cpu_timers *all = p->cpu_timers ? p->cpu_timers : heap_alloc(sizeof(*all));
    if (!all || all == p->cpu_timers)
        return all;
    all->process = p;
    list_init(&all->running);
    timer_init(&all->look, look_over);
    for (unsigned i = 0; i < CPU_CLOCK_KINDS; i++)
        cpu_timer_init(&all->itimers[i], (enum cpu_clock)i, 0, itimer_over);
    return p->cpu_timers = all;
}

int cpu_limit_changed(struct process *p)
{
    struct cpu_timers *all = cpu_timers_get(p);
    if (!all)
        return -ENOMEM;
    all->needed = true;
    timer_stop(&all->look);
    cpu_timers_watch(all);
    return 0;
}

void cpu_timers_free(struct process *p)
{
    if (!p->cpu_timers)
        return;
    timer_stop(&p->cpu_timers->look);
    heap_free(p->cpu_timers);
    p->cpu_timers = NULL;
}
