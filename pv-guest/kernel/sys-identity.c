/* System calls about who a process is: numbers, groups, sessions, users. */
#include "errno.h"
#include "process.h"
#include "syscall.h"

long syscall_getpid(const struct syscall_args *a)
{
    return process_current()->pid;
}

long syscall_gettid(const struct syscall_args *a)
{
    return task_current()->tid;
}

long syscall_getppid(const struct syscall_args *a)
{
    const struct process *parent = process_current()->parent;
    return parent ? parent->pid : 0;
}

/* The process that @pid (0: the caller) means. */
static struct process *by_pid(int pid)
{
    return pid ? process_find(pid) : process_current();
}

long syscall_getpgid(const struct syscall_args *a)
{
    const struct process *p = by_pid(a->arg[0]);
    return p ? p->group : -ESRCH;
}

long syscall_getpgrp(const struct syscall_args *a)
{
    return process_current()->group;
}

long syscall_getsid(const struct syscall_args *a)
{
    const struct process *p = by_pid(a->arg[0]);
    return p ? p->session : -ESRCH;
}

static bool group_in_session(int group, int session)
{
    const struct process *p;
    for_each_process(p)
    {
        if (p->group == group && p->session == session)
            return true;
    }
    return false;
}

long syscall_setpgid(const struct syscall_args *a)
{
    struct process *const self = process_current(), *p = by_pid(a->arg[0]);
    const int group = (int)a->arg[1] ? (int)a->arg[1] : p ? p->pid : 0;

    if (group < 0)
        return -EINVAL;
    if (!p || (p != self && p->parent != self))
        return -ESRCH;
    if (p->session != self->session || p->pid == p->session)
        return -EPERM;
    if (p != self && p->has_exec)
        return -EACCES;
    if (group != p->pid && !group_in_session(group, self->session))
        return -EPERM;
    p->group = group;
    return 0;
}

long syscall_setsid(const struct syscall_args *a)
{
    struct process *const self = process_current();
    const struct process *p;
    for_each_process(p)
    {
        if (p->group == self->pid)
            return -EPERM;
    }
    return self->session = self->group = self->pid;
}

/* ---- Users: there is root, as in a user namespace into which no other is mapped ---- */

#define ALWAYS_ZERO(name)                             \
    long syscall_##name(const struct syscall_args *a) \
    {                                                 \
        return 0;                                     \
    }
ALWAYS_ZERO(getuid)
ALWAYS_ZERO(getgid)
ALWAYS_ZERO(geteuid)
ALWAYS_ZERO(getegid)
ALWAYS_ZERO(setfsuid) /* tell the old one */
ALWAYS_ZERO(setfsgid)
ALWAYS_ZERO(getgroups)

/* The first @count arguments are users to become, or -1. */
static long become(const struct syscall_args *a, unsigned count, bool keep)
{
    for (unsigned i = 0; i < count; i++)
        if (a->arg[i] && !(keep && (unsigned)a->arg[i] == ~0u))
            return -EINVAL;
    return 0;
}

#define BECOME(name, count, keep)                     \
    long syscall_##name(const struct syscall_args *a) \
    {                                                 \
        return become(a, count, keep);                \
    }
BECOME(setuid, 1, false)
BECOME(setgid, 1, false)
BECOME(setreuid, 2, true)
BECOME(setregid, 2, true)
BECOME(setresuid, 3, true)
BECOME(setresgid, 3, true)

long syscall_getresuid(const struct syscall_args *a)
{
    for (unsigned i = 0; i < 3; i++)
        if (user_zero(a->arg[i], sizeof(uint32_t)))
            return -EFAULT;
    return 0;
}

long syscall_getresgid(const struct syscall_args *a)
{
    return syscall_getresuid(a);
}

long syscall_setgroups(const struct syscall_args *a)
{
    if (a->arg[0] > 65536)
        return -EINVAL;
    for (unsigned i = 0; i < a->arg[0]; i++) {
        uint32_t group;
        if (user_read(&group, a->arg[1] + i * sizeof(group), sizeof(group)))
            return -EFAULT;
        if (group)
            return -EINVAL;
    }
    return 0;
}
