/* Creating, finding and freeing tasks. */
#include "cpu-time.h"
#include "heap.h"
#include "page.h"
#include "print.h"
#include "process.h"
#include "signal.h"
#include "task.h"
#include "text.h"
#include "platform/platform.h"

struct list all_tasks = LIST_INIT(all_tasks);
unsigned task_count;

static struct task idle;                   /* of the first CPU */
static struct list dead = LIST_INIT(dead); /* linked by run */
static struct wait_queue reaper_wait = WAIT_QUEUE_INIT(reaper_wait);

static void task_setup(struct task *task)
{
    list_init(&task->sibling);
    list_init(&task->link);
    list_init(&task->run);
    signal_set_init(&task->signals);
    timer_init(&task->sleep_timer, sched_sleep_over);
    task->cpus = CPUS_ALL;
}

void task_init(void)
{
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
    idle.stack = (void *)(sp & ~(uintptr_t)KERNEL_STACK_MASK);
    *(struct task **)idle.stack = &idle;
    task_setup(&idle);
    text_copy(idle.name, "idle", sizeof(idle.name));
    cpu_boot(&idle);
}

struct task *task_find(int tid)
{
    struct task *t;
    for_each_task(t)
    {
        if (t->tid == tid)
            return t;
    }
    return NULL;
}

/* Process groups and sessions outlive the process that they are named after. */
static bool number_taken(int number)
{
    const struct process *p;
    for_each_process(p)
    {
        if (p->pid == number || p->group == number || p->session == number)
            return true;
    }
    return task_find(number);
}

int task_number_new(void)
{
    static int last;
    do {
        last = last >= PID_MAX - 1 ? 2 : last + 1;
    } while (number_taken(last));
    return last;
}

/* Where a new task's first context_switch returns to. */
static void task_begin(void)
{
    struct task *const task = task_current();
    if (task->set_tid)
        (void)!user_write(task->set_tid, &task->tid, sizeof(task->tid));
    task->set_tid = 0;
    /* It may have been born into a process that ends. */
    if (task->signal_pending)
        signal_deliver(task_frame(task));
    task_return();
}

void task_return(void)
{
    struct frame *const frame = task_frame(task_current());
    cpu_time_leave(task_current());
    kernel_unlock();
    platform_return(frame);
}

/* What all tasks have: a stack, on which it looks as if @start had called context_switch. */
static struct task *new (void (*start)(void))
{
    struct task *task = heap_alloc(sizeof(*task));
    struct page *stack = page_alloc(KERNEL_STACK_SIZE / PAGE_SIZE / 2);
    if (!task || !stack) {
        heap_free(task);
        if (stack)
            page_put(stack);
        return NULL;
    }
    task_setup(task);
    task->stack = page_address(stack);
    *(struct task **)task->stack = task;
    memset(task_frame(task), 0, sizeof(struct frame));

    /* The picture that context_switch pops: six registers, then where to go;
     * one word more keeps the stack as after a call. */
    uint64_t *sp = (uint64_t *)task_frame(task) - 8;
    memset(sp, 0, 64);
    sp[6] = (uint64_t)start;
    task->sp = (uint64_t)sp;
    task->cpu = cpu_this();
    const struct task *const parent =
        task_current(); /* with what it has run since it got the CPU */
    task->vruntime = parent->vruntime + (platform_time() - parent->run_since);
    return task;
}

struct task *task_create_kernel(const char *name, void (*start)(void))
{
    struct task *task = new (start);
    if (task)
        text_copy(task->name, name, sizeof(task->name));
    return task;
}

struct task *task_create(struct process *process, void (*start)(void))
{
    struct task *task = new (start ? start : task_begin);
    if (!task)
        return NULL;
    task->process = process;
    task->tid = process->thread_count++ ? task_number_new() : process->pid;
    list_add(&task->sibling, &process->threads);
    list_add(&task->link, &all_tasks);
    task_count++;
    return task;
}

static void leave(struct task *task)
{
    list_remove(&task->link);
    list_remove(&task->sibling);
    task_count--;
    task->process->thread_count--;
    task->process = NULL;
}

static void release(struct task *task)
{
    list_remove(&task->run);
    page_put(page_of_address(task->stack));
    heap_free(task);
}

void task_free(struct task *task)
{
    leave(task);
    release(task);
}

void task_die(struct task *task)
{
    leave(task);
    signal_set_drop(&task->signals, ~0ul);
    task->state = TASK_DEAD;
    list_add(&task->run, &dead);
}

/* No task can free the stack it stands on. */
void task_reap(void)
{
    struct task *t, *after;
    list_for_each_safe(t, after, &dead, run)
    {
        if (t != task_current())
            release(t);
    }
}

void task_reap_soon(void)
{
    wait_wake(&reaper_wait);
}

static void reaper(void)
{
    for (;;) {
        task_reap();
        wait_uninterruptible(&reaper_wait);
    }
}

void task_reaper_start(void)
{
    struct task *task = task_create_kernel("reaper", reaper);
    if (!task)
        panic("no memory for a kernel thread");
    sched_ready(task);
}
