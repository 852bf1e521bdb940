/* The end of tasks and processes, and parents who wait for it. */
#include "aio.h"
#include "cpu-time.h"
#include "errno.h"
#include "file.h"
#include "futex.h"
#include "ipc.h"
#include "mount.h"
#include "pidfd.h"
#include "platform/platform.h"
#include "posix-timer.h"
#include "print.h"
#include "signal.h"
#include "text.h"
#include "tty.h"

/* The machine lives as long as pid 1 does. */
static NORETURN void init_exited(int status)
{
    if (status & 0x7f)
        print("init died by signal %d\n", status & 0x7f);
    else if (status)
        print("init exited with status %d\n", status >> 8 & 0xff);
    mount_end_all();
    platform_shutdown(SHUTDOWN_AS_POWEROFF);
}

/* What a task gives back when it ends, whether or not others hold it, too. */
static void release_resources(struct task *task)
{
    futex_task_exit(task);
    files_put(task->files);
    task->files = NULL;

    struct space *space = task->space;
    task->space = NULL;
    space_load(NULL);
    platform_commit();
    space_put(space);
    task_vfork_done(task);
}

/* A group that a terminal has stopped, and whose shell is gone, must not stay so for ever. */
static void check_orphaned(int group, int session)
{
    struct process *p;
    if (!process_group_orphaned(group, session))
        return;
    for_each_process(p)
    {
        if (p->group != group || !p->stopped)
            continue;
        signal_group(group, SIGHUP);
        signal_group(group, SIGCONT);
        return;
    }
}

/* Who takes @p's children: the next ancestor that has said so, else pid 1. */
static struct process *guardian(const struct process *p)
{
    struct process *next = p->parent;
    while (next && next != init_process && !(next->subreaper && !next->zombie))
        next = next->parent;
    return next ? next : init_process;
}

static void orphans_leave(struct process *p)
{
    struct process *const to = guardian(p);
    struct process *child, *after;
    list_for_each_safe(child, after, &p->children, sibling)
    {
        list_remove(&child->sibling);
        list_add(&child->sibling, &to->children);
        child->parent = to;
        child->exit_signal = SIGCHLD;
        if (child->zombie)
            signal_parent(child, CLD_EXITED, child->exit_status);
        else if (child->parent_death_signal)
            signal_send(child, child->parent_death_signal);
        if (child->session == p->session && child->group != p->group)
            check_orphaned(child->group, child->session);
    }
}

/* Nobody will ask for this status: the parent has said so. */
static bool unwanted(const struct process *p)
{
    const struct linux_sigaction *a = &p->parent->actions[SIGCHLD];
    return p->exit_signal == SIGCHLD && (a->handler == SIG_IGN || (a->flags & SA_NOCLDWAIT));
}

/* Its last task has ended. */
static void process_end(struct process *p)
{
    const int status = p->exit_status;

    text_copy(p->name, task_current()->name, sizeof(p->name));
    p->zombie = true;
    pidfd_ended(p);
    timer_stop(&p->alarm);
    posix_timers_delete(p);
    if (!list_empty(&p->aio_contexts))
        aio_drop(p);
    cpu_timers_free(p);
    places_drop(p);
    if (p->program)
        inode_put(p->program);
    p->program = NULL; /* /proc still shows the zombie */
    signal_set_drop(&p->signals, ~0ul);
    orphans_leave(p);
    if (p->session == p->pid)
        tty_session_end(p);
    if (p->parent->session == p->session && p->parent->group != p->group)
        check_orphaned(p->group, p->session);
    signal_parent(p, status & 0x7f ? CLD_KILLED : CLD_EXITED,
                  status & 0x7f ? status & 0x7f : status >> 8);
    if (unwanted(p)) {
        process_free(p);
        task_reap_soon();
    }
}

void task_exit(int status)
{
    struct task *const task = task_current();
    struct process *const p = task->process;

    if (!p->exiting && task->tid == p->pid)
        p->exit_status = status;
    if (p == init_process && p->thread_count == 1)
        init_exited(p->exit_status);
    release_resources(task);
    /* Here, as it may let others run: of several threads the last one to come by. */
    if (p->thread_count == 1 && !list_empty(&p->undos))
        semaphores_undo(p);
    cpu_time_leave(task);
    p->ended_cycles += task->system_cycles;
    p->ended_time += task->run_time + platform_time() - task->run_since;
    task_die(task);
    if (!p->thread_count) {
        process_end(p);
    } else {
        wait_wake(&p->threads_end);
        task_reap_soon();
    }
    sched_switch();
    panic("a dead task runs");
}

void process_exit(int status)
{
    struct process *const p = process_current();
    if (!p->exiting) {
        p->exiting = true;
        p->exit_status = status;
        signal_set_pending(p, task_current());
    }
    task_exit(status);
}

int process_threads_end(void)
{
    struct task *const task = task_current();
    struct process *const p = task->process;
    if (p->exiting || p->sole)
        return -EINTR;
    p->sole = task;
    signal_set_pending(p, task);
    while (p->thread_count > 1)
        wait_uninterruptible(&p->threads_end);
    p->sole = NULL;
    task->tid = p->pid;
    return p->exiting ? -EINTR : 0;
}

/* ---- Waiting ---- */

static bool matches(const struct process *child, enum wait_for which, int id, unsigned options)
{
    const bool clone = child->exit_signal != SIGCHLD;
    if (!(options & WAIT_ALL) && clone != !!(options & WAIT_CLONE))
        return false;
    return which == WAIT_ANY || id == (which == WAIT_PID ? child->pid : child->group);
}

/* What happened to @child that @options ask for, as wait4 reports it; -1 if nothing. */
static int news(struct process *child, unsigned options)
{
    const bool keep = options & WNOWAIT;
    if (child->zombie)
        return options & WEXITED ? child->exit_status : -1;
    if (child->stopped && child->stop_signal && (options & WUNTRACED)) {
        const int status = child->stop_signal << 8 | 0x7f;
        child->stop_signal = keep ? child->stop_signal : 0;
        return status;
    }
    if (child->continued && (options & WCONTINUED)) {
        child->continued = keep;
        return 0xffff;
    }
    return -1;
}

static void reap(struct process *child)
{
    process_current()->children_time += child->ended_time + child->children_time;
    process_current()->children_cycles += child->ended_cycles + child->children_cycles;
    process_free(child);
    task_reap();
}

/* One look at the children: a pid, 0 if none has news, -ECHILD if there is none. */
static int exit_look(enum wait_for which, int id, unsigned options, struct wait_result *result)
{
    struct process *child, *after;
    bool any = false;
    list_for_each_safe(child, after, &process_current()->children, sibling)
    {
        if (!matches(child, which, id, options))
            continue;
        any = true;
        const int status = news(child, options);
        if (status < 0)
            continue;
        *result = (struct wait_result){child->pid, status, child->ended_time, child->ended_cycles,
                                       child->credentials.user.real};
        if (child->zombie && !(options & WNOWAIT))
            reap(child);
        return result->pid;
    }
    return any ? 0 : -ECHILD;
}

int process_wait(enum wait_for which, int id, unsigned options, struct wait_result *result)
{
    *result = (struct wait_result){0};
    for (;;) {
        const int found = exit_look(which, id, options, result);
        if (found || (options & WNOHANG))
            return MIN(found, 0);
        const int rc = wait_until(&process_current()->child_wait, FOREVER);
        if (rc)
            return rc;
    }
}
