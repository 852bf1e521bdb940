/* The end of processes, and parents who wait for it. */
#include "errno.h"
#include "file.h"
#include "platform/platform.h"
#include "print.h"
#include "signal.h"
#include "task.h"
#include "tty.h"

/* The machine lives as long as pid 1 does. */
static NORETURN void init_exited(int status)
{
    if (status & 0x7f)
        print("init died by signal %d\n", status & 0x7f);
    else if (status)
        print("init exited with status %d\n", status >> 8 & 0xff);
    platform_shutdown(SHUTDOWN_AS_POWEROFF);
}

static void orphans_to_init(struct task *task)
{
    struct task *child, *after;
    list_for_each_safe(child, after, &task->children, sibling)
    {
        list_remove(&child->sibling);
        list_add(&child->sibling, &init_task->children);
        child->parent = init_task;
        if (child->state == TASK_ZOMBIE) {
            signal_send(init_task, SIGCHLD);
            wait_wake(&init_task->child_wait);
        }
    }
}

/* A terminal's session ends with its leader. */
static void leave_session(struct task *task)
{
    if (task->session != task->pid)
        return;
    tty_release(task->session);
}

static void release_resources(struct task *task)
{
    const uint32_t zero = 0;
    if (task->clear_tid)
        (void)!user_write(task->clear_tid, &zero, sizeof(zero));
    timer_stop(&task->alarm);
    files_put(task->files);
    task->files = NULL;
    inode_put(task->cwd);
    task->cwd = NULL;

    struct space *space = task->space;
    task->space = NULL;
    space_load(NULL);
    platform_commit();
    space_put(space);
}

/* Nobody will ask for this status: the parent has said so. */
static bool unwanted(const struct task *task)
{
    const struct linux_sigaction *a = &task->parent->actions[SIGCHLD];
    return a->handler == SIG_IGN || (a->flags & SA_NOCLDWAIT);
}

void task_exit(int status)
{
    struct task *const task = task_current();

    if (task == init_task)
        init_exited(status);
    release_resources(task);
    orphans_to_init(task);
    leave_session(task);
    task_vfork_done(task);
    task->exit_status = status;
    task->state = TASK_ZOMBIE;
    signal_send(task->parent, SIGCHLD);
    wait_wake(&task->parent->child_wait);
    if (unwanted(task))
        task_bury(task);
    sched_switch();
    panic("a dead task runs");
}

static bool matches(const struct task *waiter, const struct task *child, int pid)
{
    if (pid > 0)
        return child->pid == pid;
    if (pid == -1)
        return true;
    return child->group == (pid ? -pid : waiter->group);
}

/* What happened to @child that wait4 with @options would tell; -1 if nothing. */
static int news(struct task *child, unsigned options)
{
    if (child->state == TASK_ZOMBIE)
        return child->exit_status;
    if (child->state == TASK_STOPPED && child->stop_signal && (options & WUNTRACED)) {
        const int status = child->stop_signal << 8 | 0x7f;
        child->stop_signal = 0;
        return status;
    }
    if (child->continued && (options & WCONTINUED)) {
        child->continued = false;
        return 0xffff;
    }
    return -1;
}

static void reap(struct task *child)
{
    task_current()->children_time += child->run_time + child->children_time;
    task_free(child);
}

/* One look at the children: a pid, 0 if none has news, -ECHILD if there is none. */
static int look(struct task *task, int pid, unsigned options, int *status)
{
    struct task *child, *after;
    bool any = false;
    list_for_each_safe(child, after, &task->children, sibling)
    {
        if (child->self_reaping || !matches(task, child, pid))
            continue;
        any = true;
        *status = news(child, options);
        if (*status < 0)
            continue;
        const int found = child->pid;
        if (child->state == TASK_ZOMBIE)
            reap(child);
        return found;
    }
    return any ? 0 : -ECHILD;
}

long task_wait(int pid, unsigned options, int *status)
{
    struct task *const task = task_current();
    for (;;) {
        const int found = look(task, pid, options, status);
        if (found || (options & WNOHANG))
            return found;
        const int rc = wait_until(&task->child_wait, FOREVER);
        if (rc)
            return rc;
    }
}
