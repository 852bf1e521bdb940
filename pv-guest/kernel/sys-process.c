/* System calls about processes: making, ending, waiting, identity. */
#include "errno.h"
#include "exec.h"
#include "fork.h"
#include "heap.h"
#include "inode.h"
#include "platform/platform.h"
#include "signal.h"
#include "syscall.h"
#include "text.h"

long syscall_fork(const struct syscall_args *a)
{
    const struct fork_request r = {0};
    return task_fork(&r);
}

long syscall_vfork(const struct syscall_args *a)
{
    const struct fork_request r = {.flags = CLONE_VFORK | CLONE_VM};
    return task_fork(&r);
}

long syscall_clone(const struct syscall_args *a)
{
    const struct fork_request r = {
        .flags = a->arg[0],
        .stack = a->arg[1],
        .parent_tid = a->arg[2],
        .child_tid = a->arg[3],
        .tls = a->arg[4],
    };
    return task_fork(&r);
}

/* Append the strings that a NULL-terminated vector at @from points to; their number. */
static long add_strings(struct exec_args *args, user_t from)
{
    for (long count = 0;; count++) {
        user_t string = 0;
        if (from && user_read(&string, from + count * 8, 8))
            return -EFAULT;
        if (!string)
            return count;
        const int rc = exec_args_add_user(args, string);
        if (rc)
            return rc;
    }
}

/* Both vectors are copied before anything of the old program goes. */
static long exec_user(const char *path, user_t arguments, user_t variables)
{
    struct exec_args args = {0};
    long n = add_strings(&args, arguments);
    if (n >= 0) {
        args.arguments = n;
        n = add_strings(&args, variables);
    }
    if (n >= 0) {
        args.variables = n;
        n = exec_path(path, &args);
    }
    exec_args_free(&args);
    return n;
}

long syscall_execve(const struct syscall_args *a)
{
    char *path = heap_alloc(PATH_MAX);
    if (!path)
        return -ENOMEM;
    long rc = user_read_text(path, a->arg[0], PATH_MAX);
    if (rc >= 0)
        rc = exec_user(path, a->arg[1], a->arg[2]);
    heap_free(path);
    return rc;
}

long syscall_exit(const struct syscall_args *a)
{
    task_exit((a->arg[0] & 0xff) << 8);
}

long syscall_exit_group(const struct syscall_args *a)
{
    task_exit((a->arg[0] & 0xff) << 8);
}

long syscall_wait4(const struct syscall_args *a)
{
    int status;
    const long pid = task_wait((int)a->arg[0], a->arg[2], &status);
    if (pid > 0 && a->arg[1] && user_write(a->arg[1], &status, sizeof(status)))
        return -EFAULT;
    if (pid > 0 && a->arg[3] && user_zero(a->arg[3], 144)) /* struct rusage */
        return -EFAULT;
    return pid;
}

long syscall_getpid(const struct syscall_args *a)
{
    return task_current()->pid;
}

long syscall_gettid(const struct syscall_args *a)
{
    return task_current()->pid;
}

long syscall_getppid(const struct syscall_args *a)
{
    const struct task *parent = task_current()->parent;
    return parent ? parent->pid : 0;
}

/* The task that @pid (0: the caller) means. */
static struct task *by_pid(int pid)
{
    return pid ? task_find(pid) : task_current();
}

long syscall_getpgid(const struct syscall_args *a)
{
    const struct task *t = by_pid(a->arg[0]);
    return t ? t->group : -ESRCH;
}

long syscall_getpgrp(const struct syscall_args *a)
{
    return task_current()->group;
}

long syscall_getsid(const struct syscall_args *a)
{
    const struct task *t = by_pid(a->arg[0]);
    return t ? t->session : -ESRCH;
}

static bool group_in_session(int group, int session)
{
    const struct task *t;
    for_each_task(t)
    {
        if (t->group == group && t->session == session)
            return true;
    }
    return false;
}

long syscall_setpgid(const struct syscall_args *a)
{
    struct task *const self = task_current(), *t = by_pid(a->arg[0]);
    const int group = (int)a->arg[1] ? (int)a->arg[1] : t ? t->pid : 0;

    if (!t || (t != self && t->parent != self))
        return -ESRCH;
    if (group < 0)
        return -EINVAL;
    if (t->session != self->session || t->pid == t->session)
        return -EPERM;
    if (t != self && t->has_exec)
        return -EACCES;
    if (group != t->pid && !group_in_session(group, self->session))
        return -EPERM;
    t->group = group;
    return 0;
}

long syscall_setsid(const struct syscall_args *a)
{
    struct task *const self = task_current();
    const struct task *t;
    for_each_task(t)
    {
        if (t->group == self->pid)
            return -EPERM;
    }
    return self->session = self->group = self->pid;
}

/* Everybody is root. */
#define ALWAYS_ZERO(name)                             \
    long syscall_##name(const struct syscall_args *a) \
    {                                                 \
        return 0;                                     \
    }
ALWAYS_ZERO(getuid)
ALWAYS_ZERO(getgid)
ALWAYS_ZERO(geteuid)
ALWAYS_ZERO(getegid)
ALWAYS_ZERO(setuid)
ALWAYS_ZERO(setgid)
ALWAYS_ZERO(getgroups)
ALWAYS_ZERO(setgroups)
ALWAYS_ZERO(setpriority)

/* Nice 0, in the form in which the kernel tells it. */
long syscall_getpriority(const struct syscall_args *a)
{
    return 20;
}

long syscall_set_tid_address(const struct syscall_args *a)
{
    task_current()->clear_tid = a->arg[0];
    return task_current()->pid;
}

ALWAYS_ZERO(set_robust_list) /* no threads, so no owner of a lock dies unnoticed */

long syscall_futex(const struct syscall_args *a)
{
    /* FUTEX_WAKE finds nobody; to wait without threads is to have been woken. */
    return 0;
}

/* Restartable sequences are an optimization that the C library tries at each
 * start; it goes without, and needs no word about it on the console. */
long syscall_rseq(const struct syscall_args *a)
{
    return -ENOSYS;
}

#define PR_SET_NAME 15
#define PR_GET_NAME 16

long syscall_prctl(const struct syscall_args *a)
{
    struct task *const task = task_current();
    char name[sizeof(task->name)] = "";
    switch (a->arg[0]) {
    case PR_SET_NAME: {
        const long n = user_read_text(name, a->arg[1], sizeof(name) - 1);
        if (n == -EFAULT)
            return n;
        memcpy(task->name, name, sizeof(name));
        return 0;
    }
    case PR_GET_NAME:
        return user_write(a->arg[1], task->name, sizeof(task->name));
    default:
        return -EINVAL;
    }
}

long syscall_arch_prctl(const struct syscall_args *a)
{
    struct task *const task = task_current();
    switch (a->arg[0]) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (a->arg[1] >= USER_END)
            return -EPERM;
        *(a->arg[0] == ARCH_SET_FS ? &task->fs_base : &task->gs_base) = a->arg[1];
        platform_user_bases(task->fs_base, task->gs_base);
        platform_commit();
        return 0;
    case ARCH_GET_FS:
        return user_write(a->arg[1], &task->fs_base, 8);
    case ARCH_GET_GS:
        return user_write(a->arg[1], &task->gs_base, 8);
    default:
        return -EINVAL;
    }
}
