/* Creating, finding and freeing tasks. */
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "page.h"
#include "print.h"
#include "signal.h"
#include "task.h"
#include "text.h"
#include "platform/platform.h"

struct list all_tasks = LIST_INIT(all_tasks);
struct task *init_task;

static struct task idle; /* of the first CPU */
static int last_pid;

static struct list dead = LIST_INIT(dead); /* self-reaping; linked by run */
static struct wait_queue reaper_wait = WAIT_QUEUE_INIT(reaper_wait);

static void task_setup(struct task *task)
{
    list_init(&task->children);
    list_init(&task->sibling);
    list_init(&task->link);
    list_init(&task->run);
    wait_init(&task->child_wait);
    timer_init(&task->sleep_timer, sched_sleep_over);
    timer_init(&task->alarm, signal_alarm_over);
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

struct task *task_find(int pid)
{
    struct task *t;
    for_each_task(t)
    {
        if (t->pid == pid)
            return t;
    }
    return NULL;
}

static int pid_new(void)
{
    do {
        last_pid = last_pid >= 32767 ? 2 : last_pid + 1;
    } while (task_find(last_pid));
    return last_pid;
}

/* Where a new task's first context_switch returns to. */
static void task_begin(void)
{
    struct task *const task = task_current();
    if (task->set_tid)
        (void)!user_write(task->set_tid, &task->pid, sizeof(task->pid));
    task->set_tid = 0;
    task_return();
}

void task_return(void)
{
    struct frame *const frame = task_frame(task_current());
    kernel_unlock();
    platform_return(frame);
}

/* No task can free the stack it stands on; this thread stands on another one. */
static void reaper(void)
{
    for (;;) {
        while (!list_empty(&dead))
            task_free(list_entry(dead.next, struct task, run));
        wait_deaf(&reaper_wait);
    }
}

void task_reaper_start(void)
{
    struct task *task = task_create_kernel("reaper", reaper);
    if (!task)
        panic("no memory for a kernel thread");
    sched_ready(task);
}

void task_bury(struct task *task)
{
    task->self_reaping = true;
    list_add(&task->run, &dead);
    wait_wake(&reaper_wait);
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
    return task;
}

struct task *task_create_kernel(const char *name, void (*start)(void))
{
    struct task *task = new (start);
    if (task)
        text_copy(task->name, name, sizeof(task->name));
    return task;
}

struct task *task_create(struct task *parent, void (*start)(void))
{
    struct task *task = new (start ? start : task_begin);
    if (!task)
        return NULL;
    task->pid = pid_new();
    task->parent = parent;
    if (parent)
        list_add(&task->sibling, &parent->children);
    list_add(&task->link, &all_tasks);
    return task;
}

/* Everything but memory and files, which a zombie has given back already. */
void task_free(struct task *task)
{
    list_remove(&task->sibling);
    list_remove(&task->link);
    list_remove(&task->run);
    page_put(page_of_address(task->stack));
    heap_free(task);
}
