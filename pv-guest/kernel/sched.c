/*
 * The scheduler: one queue, turns of ten milliseconds.
 *
 * A turn ends only when somebody else is waiting for the CPU; alone, a process
 * is never interrupted.
 */
#include "errno.h"
#include "page.h"
#include "print.h"
#include "signal.h"
#include "task.h"
#include "text.h"
#include "platform/platform.h"

#define TURN_NS 10000000ul

static struct list run_queue = LIST_INIT(run_queue);
static struct task *idle_task;
static struct space *loaded;
static bool slice_running;

void context_switch(uint64_t *save_sp, uint64_t load_sp);

void fpu_save(struct task *task)
{
    __asm__ volatile("fxsave64 %0" : "=m"(task->fpu));
}

void fpu_load(const struct task *task)
{
    __asm__ volatile("fxrstor64 %0" : : "m"(task->fpu));
}

/* What a process starts with: all exceptions masked, registers empty. */
void fpu_reset(struct task *task)
{
    memset(task->fpu, 0, sizeof(task->fpu));
    task->fpu[0] = 0x7f; /* FCW = 0x37f */
    task->fpu[1] = 0x03;
    task->fpu[24] = 0x80; /* MXCSR = 0x1f80 */
    task->fpu[25] = 0x1f;
}

static void slice_start(void)
{
    timer_set_slice(platform_time() + TURN_NS);
    slice_running = true;
}

void sched_ready(struct task *task)
{
    list_remove(&task->run);
    task->state = TASK_READY;
    list_add(&task->run, &run_queue);
    if (!slice_running && task_current() != idle_task)
        slice_start();
}

bool sched_wanted(void)
{
    return timer_slice_over() && !list_empty(&run_queue);
}

void space_load(struct space *space)
{
    if (loaded == space)
        return;
    loaded = space;
    platform_root_load(space ? &space->root : NULL);
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
}

void sched_switch(void)
{
    struct task *const previous = task_current();
    struct task *next = idle_task;

    if (!list_empty(&run_queue)) {
        next = list_entry(run_queue.next, struct task, run);
        list_remove(&next->run);
    }
    if (!list_empty(&run_queue))
        slice_start();
    else if (slice_running) {
        timer_set_slice(~0ul);
        slice_running = false;
    }
    if (next == previous)
        return;

    const uint64_t now = platform_time();
    previous->run_time += now - previous->run_since;
    next->run_since = now;
    if (previous->space)
        fpu_save(previous);
    if (next != idle_task)
        switch_process(next);
    context_switch(&previous->sp, next->sp);
}

void sched_yield_to(struct task *next)
{
    sched_ready(task_current());
    list_remove(&next->run);
    list_add_first(&next->run, &run_queue);
    sched_switch();
}

void sched_idle(void)
{
    idle_task = task_current();
    for (;;) {
        while (list_empty(&run_queue))
            platform_idle();
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

    if (signal_waiting(task))
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
    return signal_waiting(task) ? -ERESTART : 0;
}

void wait_deaf(struct wait_queue *q)
{
    struct task *const task = task_current();
    task->state = TASK_DEAF;
    list_add(&task->run, &q->tasks);
    sched_switch();
}

void wait_wake(struct wait_queue *q)
{
    while (!list_empty(&q->tasks))
        sched_ready(list_entry(q->tasks.next, struct task, run));
}
