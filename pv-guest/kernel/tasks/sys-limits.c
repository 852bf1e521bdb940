/* System calls about what a process may use, and what it has used. */
#include "cpu-time.h"
#include "errno.h"
#include "file.h"
#include "process.h"
#include "signal.h"
#include "sys-time.h"
#include "syscall.h"

#define UNLIMITED (~0ul)

/* Honoured: RLIMIT_CPU by cpu-time.c, RLIMIT_FSIZE by what writes, RLIMIT_MEMLOCK by mlock, RLIMIT_SIGPENDING by sigqueue, RLIMIT_RTPRIO by policies, RLIMIT_STACK by exec, RLIMIT_NPROC by fork, RLIMIT_NOFILE by whatever opens. */
struct linux_rlimit limit_default(unsigned which)
{
    if (which == RLIMIT_STACK)
        return (struct linux_rlimit){USER_STACK_SIZE, UNLIMITED};
    if (which == RLIMIT_NOFILE)
        return (struct linux_rlimit){FILES_MAX, FILES_MAX};
    if (which == RLIMIT_CORE)
        return (struct linux_rlimit){0, UNLIMITED};
    if (which == RLIMIT_MEMLOCK)
        return (struct linux_rlimit){8ul << 20, 8ul << 20};
    if (which == RLIMIT_MSGQUEUE)
        return (struct linux_rlimit){819200, 819200};
    if (which == RLIMIT_NICE || which == RLIMIT_RTPRIO)
        return (struct linux_rlimit){0, 0};
    return (struct linux_rlimit){UNLIMITED, UNLIMITED};
}

size_t limit_file_size(uint64_t offset, size_t size)
{
    const struct process *p = process_current();
    const uint64_t limit = p ? p->limits[RLIMIT_FSIZE].current : UNLIMITED;
    const size_t most = offset < limit ? MIN(size, limit - offset) : 0;
    const struct signal_info info = {.number = SIGXFSZ, .code = SI_KERNEL};
    if (!most && size)
        signal_send_task(task_current(), &info);
    return most;
}

static long limits_set(struct process *p, unsigned which, user_t from)
{
    struct linux_rlimit l;
    if (user_read(&l, from, sizeof(l)))
        return -EFAULT;
    if (l.current > l.maximum)
        return -EINVAL;
    if (which == RLIMIT_NOFILE && l.maximum > FILES_MAX)
        return -EPERM;
    if (l.maximum > p->limits[which].maximum && !access_capable(CAP_SYS_RESOURCE))
        return -EPERM;
    p->limits[which] = l;
    if (which == RLIMIT_CPU)
        return cpu_limit_changed(p);
    return 0;
}

static long get_and_set(struct process *p, unsigned which, user_t from, user_t to)
{
    if (which >= RLIMITS)
        return -EINVAL;
    const struct linux_rlimit old = p->limits[which];
    const long rc = from ? limits_set(p, which, from) : 0;
    return !rc && to ? user_write(to, &old, sizeof(old)) : rc;
}

long syscall_getrlimit(const struct syscall_args *a)
{
    struct process *const p = process_current();
    return a->arg[0] >= RLIMITS ? -EINVAL
                                : user_write(a->arg[1], &p->limits[a->arg[0]], sizeof(*p->limits));
}

long syscall_setrlimit(const struct syscall_args *a)
{
    return a->arg[0] >= RLIMITS ? -EINVAL : limits_set(process_current(), a->arg[0], a->arg[1]);
}

long syscall_prlimit64(const struct syscall_args *a)
{
    struct process *p = a->arg[0] ? process_find(a->arg[0]) : process_current();
    if (!p)
        return -ESRCH;
    return access_limit(p) ? get_and_set(p, a->arg[1], a->arg[2], a->arg[3]) : -EPERM;
}

#define RUSAGE_CHILDREN -1
#define RUSAGE_THREAD   1

long give_rusage(user_t to, struct cpu_time used)
{
    const uint64_t program = used.total - used.system;
    const struct linux_timeval t[2] = {{program / NS, program % NS / 1000},
                                       {used.system / NS, used.system % NS / 1000}};
    if (user_zero(to, RUSAGE_SIZE))
        return -EFAULT;
    return user_write(to, t, sizeof(t));
}

long syscall_getrusage(const struct syscall_args *a)
{
    const struct process *const p = process_current();
    const int who = (int)a->arg[0];
    if (who < RUSAGE_CHILDREN || who > RUSAGE_THREAD)
        return -EINVAL;
    return give_rusage(a->arg[1], who == RUSAGE_CHILDREN ? children_cpu_time(p)
                                  : who == RUSAGE_THREAD ? task_cpu_time(task_current())
                                                         : process_cpu_time(p));
}
