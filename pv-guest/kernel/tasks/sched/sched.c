/*
 * The scheduler: one queue for all processors, turns of ten milliseconds.
 *
 * Whoever becomes ready goes to the end of the queue, and every CPU takes from
 * its front, so the load is balanced by construction; queues of their own would
 * spare the CPUs a lock that the kernel has anyway (cpu.h).
 *
 * An idle CPU sleeps until somebody kicks it.  Waking up a task does not do
 * that: often the waker is about to sleep itself and its CPU goes on with the
 * task it woke.  Only when a CPU has finished its work in the kernel, and tasks
 * still wait in the queue, it fetches idle CPUs for them (share).
 *
 * A task that wakes up does not wait for the rest of the running task's turn if
 * it has run less than that one: it runs as soon as the kernel is left.  Otherwise
 * a program that drops a lock, wakes up who waits for it, and takes it again at
 * once would have it for ever.  @vruntime says how much each has run; of the time
 * that a task has been idle it counts one turn at most.  LEAD_NS keeps tasks that
 * wake up each other from switching at each wake-up; and nobody takes the place of
 * the first in the queue who has not run less than that one, too, so none starves.
 *
 * A turn ends only when somebody waits for the CPU.  One CPU alone starts its
 * clock when the queue stops being empty; of several, each has its clock running
 * while it is not idle, because the others cannot set it.
 */
#include "cpu.h"
#include "cpu-time.h"
#include "errno.h"
#include "fpu.h"
#include "page.h"
#include "print.h"
#include "signal.h"
#include "task.h"
#include "text.h"
#include "platform/platform.h"

#define TURN_NS 10000000ul
#define LEAD_NS 1000000ul /* by which a task must have run more than one that takes its place */

struct list sched_queue = LIST_INIT(sched_queue);
cpus_t sched_sleeping;
static cpus_t kicked;                                          /* on their way out of their sleep */
static struct wait_queue unloaded = WAIT_QUEUE_INIT(unloaded); /* for CPUs to let go of a space */
static uint64_t switches;
static uint64_t vruntime_most; /* of all that have ever run */

static bool may_run(const struct task *task, const struct cpu *cpu)
{
    return task->cpus & cpu_bit(cpu);
}

/* The first in the queue that may run on @cpu; NULL if there is none. */
static struct task *first_for(const struct cpu *cpu)
{
    struct task *t;
    list_for_each(t, &sched_queue, run)
    {
        if (may_run(t, cpu))
            return t;
    }
    return NULL;
}

static void slice_start(struct cpu *cpu, uint64_t now)
{
    cpu->slice_over = false;
    timer_set_slice(cpu, now + TURN_NS);
}

static bool slice_running(const struct cpu *cpu)
{
    return cpu->slice_over || cpu->slice_deadline != ~0ul;
}

/* The turn of @next begins, or the CPU has none to count. */
static void turn_begin(struct cpu *cpu, const struct task *next, uint64_t now)
{
    if (next != cpu->idle && (cpu_count > 1 || !list_empty(&sched_queue))) {
        slice_start(cpu, now);
    } else if (slice_running(cpu)) {
        cpu->slice_over = false;
        timer_set_slice(cpu, ~0ul);
    }
}

/* Does @task, which wakes up, run at once in the place of the one that runs on @cpu? */
static bool preempts(const struct task *task, const struct cpu *cpu, uint64_t now)
{
    const struct task *const current = cpu->current;
    const uint64_t least = task->vruntime + LEAD_NS;
    if (least >= current->vruntime + (now - current->run_since) || !may_run(task, cpu) ||
        (sched_sleeping & task->cpus))
        return false;
    const struct task *const first = first_for(cpu);
    return !first || least < first->vruntime;
}

void sched_ready(struct task *task)
{
    struct cpu *const cpu = cpu_this();
    const bool wakes_up = task->state != TASK_READY;
    list_remove(&task->run);
    task->state = TASK_READY;
    if (cpu->current == cpu->idle || (!wakes_up && slice_running(cpu))) {
        list_add(&task->run, &sched_queue);
        return;
    }
    const uint64_t now = platform_time();
    if (!slice_running(cpu))
        slice_start(cpu, now);
    if (wakes_up && preempts(task, cpu, now)) {
        list_add_first(&task->run, &sched_queue);
        cpu->slice_over = true;
    } else {
        list_add(&task->run, &sched_queue);
    }
}

/* One of @idle, not empty, for @task: where it was last, if possible. */
static unsigned choose(const struct task *task, cpus_t idle)
{
    return idle & cpu_bit(task->cpu) ? task->cpu->number : (unsigned)__builtin_ctzl(idle);
}

/* Fetch an idle CPU for each task in the queue, as far as there are any. */
static void share(void)
{
    cpus_t coming = kicked;
    struct task *t;
    if (!sched_sleeping)
        return;
    list_for_each(t, &sched_queue, run)
    {
        if (coming & t->cpus) {
            coming &= ~cpu_bit(&cpus[choose(t, coming & t->cpus)]);
        } else if (sched_sleeping & t->cpus) {
            const unsigned cpu = choose(t, sched_sleeping & t->cpus);
            sched_sleeping &= ~cpu_bit(&cpus[cpu]);
            kicked |= cpu_bit(&cpus[cpu]);
            platform_cpu_kick(cpu);
        }
    }
}

bool sched_turn_over(void)
{
    struct cpu *const cpu = cpu_this();

    share();
    if (!cpu->slice_over)
        return false;
    if (!first_for(cpu) && may_run(cpu->current, cpu)) {
        turn_begin(cpu, cpu->current, platform_time());
        return false;
    }
    sched_ready(cpu->current);
    sched_switch();
    return true;
}

void sched_point(void)
{
    /* What is queued must not be left to others. */
    platform_commit();
    kernel_unlock();
    platform_interrupts_take();
    kernel_lock();
    (void)sched_fair();
}

void sched_poke(const struct task *task)
{
    if (task->cpu->current == task && task->cpu != cpu_this())
        platform_cpu_kick(task->cpu->number);
}

void sched_set_cpus(struct task *task, cpus_t allowed)
{
    task->cpus = allowed;
    if (task->cpu->current == task && !may_run(task, task->cpu)) {
        task->cpu->slice_over = true;
        sched_poke(task);
    }
}

uint64_t sched_idle_time(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < cpu_count; i++)
        sum += cpus[i].idle->run_time;
    return sum;
}

uint64_t sched_switch_count(void)
{
    return switches;
}

void space_load(struct space *space)
{
    struct cpu *const cpu = cpu_this();
    struct space *const old = cpu->loaded;
    if (old == space)
        return;
    if (old) {
        old->cpus &= ~cpu_bit(cpu);
        if (!old->users)
            wait_wake(&unloaded);
    }
    if (space)
        space->cpus |= cpu_bit(cpu);
    cpu->loaded = space;
    platform_root_load(space ? &space->root : NULL);
}

void space_unload(struct space *space)
{
    while (space->cpus) {
        for (cpus_t left = space->cpus; left; left &= left - 1)
            platform_cpu_kick(__builtin_ctzl(left));
        wait_uninterruptible(&unloaded);
    }
}

/* Nobody's memory must not wait for this CPU to have something else to do. */
static void drop_dead_space(struct cpu *cpu)
{
    if (!cpu->loaded || cpu->loaded->users)
        return;
    space_load(NULL);
    platform_commit();
}

/* @task is going to run: it has been idle, but that shall not count for more than a turn. */
static void vruntime_begin(struct task *task)
{
    if (task->vruntime + TURN_NS < vruntime_most)
        task->vruntime = vruntime_most - TURN_NS;
    vruntime_most = MAX(vruntime_most, task->vruntime);
}

/* Give the CPU's user half to @next.  All of it is one batch. */
static void switch_process(struct task *next)
{
    space_load(next->space);
    platform_kernel_stack((char *)next->stack + KERNEL_STACK_SIZE);
    platform_user_selectors_clear();
    platform_user_bases(next->fs_base, next->gs_base);
    platform_commit();
    fpu_load(next);
    if (next->process->cpu_timers)
        cpu_timers_watch(next->process->cpu_timers);
}

void sched_switch(void)
{
    struct task *const previous = task_current();
    struct cpu *const cpu = previous->cpu;
    struct task *next = first_for(cpu);
    const uint64_t now = platform_time();

    if (next)
        list_remove(&next->run);
    else
        next = cpu->idle;
    turn_begin(cpu, next, now);
    share();
    if (next == previous)
        return;

    switches++;
    previous->run_time += now - previous->run_since;
    previous->vruntime += now - previous->run_since;
    next->run_since = now;
    const uint32_t cycles = cycles_now();
    previous->system_cycles += (uint32_t)(cycles - previous->entered);
    next->entered = cycles;
    if (previous->space)
        fpu_save(previous);
    next->cpu = cpu;
    cpu->current = next;
    if (next->tid) {
        vruntime_begin(next);
        switch_process(next);
    }
    context_switch(&previous->sp, next->sp);
    /* Here any CPU may be running us; @cpu was the one we left. */
}

void sched_yield_to(struct task *next)
{
    sched_ready(task_current());
    list_remove(&next->run);
    list_add_first(&next->run, &sched_queue);
    sched_switch();
}

void sched_idle(void)
{
    struct cpu *const cpu = cpu_this();
    for (;;) {
        while (!first_for(cpu)) {
            drop_dead_space(cpu);
            share(); /* an interrupt may have woken somebody who may not run here */
            sched_sleeping |= cpu_bit(cpu);
            kernel_unlock();
            platform_idle();
            kernel_lock();
            sched_sleeping &= ~cpu_bit(cpu);
            kicked &= ~cpu_bit(cpu);
        }
        sched_switch();
    }
}

void sched_sleep_over(struct timer *timer)
{
    struct task *task = container_of(timer, struct task, sleep_timer);
    if (task->state == TASK_WAITING)
        sched_ready(task);
}

int wait_until(struct wait_queue *q, uint64_t deadline)
{
    struct task *const task = task_current();

    if (task->signal_pending && signal_interrupts(task))
        return -ERESTART;
    if (deadline != FOREVER) {
        if (platform_time() >= deadline)
            return -ETIMEDOUT;
        timer_start(&task->sleep_timer, deadline);
    }
    task->state = TASK_WAITING;
    list_add(&task->run, &q->tasks);
    sched_switch();
    if (deadline != FOREVER) {
        timer_stop(&task->sleep_timer);
        if (platform_time() >= deadline)
            return -ETIMEDOUT;
    }
    return task->signal_pending && signal_interrupts(task) ? -ERESTART : 0;
}

void wait_uninterruptible(struct wait_queue *q)
{
    struct task *const task = task_current();
    task->state = TASK_UNINTERRUPTIBLE;
    list_add(&task->run, &q->tasks);
    sched_switch();
}

void wait_wake_sleepers(struct wait_queue *q)
{
    while (!list_empty(&q->tasks))
        sched_ready(list_entry(q->tasks.next, struct task, run));
}
