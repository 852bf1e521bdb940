/* System calls about processors and turns. */
#include "cpu.h"
#include "errno.h"
#include "process.h"
#include "syscall.h"
#include "task.h"
#include "user.h"

long syscall_sched_yield(const struct syscall_args *a)
{
    sched_ready(task_current());
    sched_switch();
    return 0;
}

static cpus_t there_are(void)
{
    return CPUS_ALL >> (CPU_MAX - cpu_count);
}

static struct task *by_pid(int pid)
{
    return pid ? task_find(pid) : task_current();
}

/* A set that is shorter than ours has no CPUs behind its end; a longer one is cut off. */
long syscall_sched_setaffinity(const struct syscall_args *a)
{
    struct task *const t = by_pid(a->arg[0]);
    cpus_t want = 0;

    if (user_read(&want, a->arg[2], MIN(a->arg[1], sizeof(want))))
        return -EFAULT;
    if (!t || !t->process)
        return -ESRCH;
    if (!access_schedule(t->process))
        return -EPERM;
    want &= there_are();
    if (!want)
        return -EINVAL;
    sched_set_cpus(t, want);
    return 0;
}

long syscall_sched_getaffinity(const struct syscall_args *a)
{
    const struct task *const t = by_pid(a->arg[0]);

    if (a->arg[1] < sizeof(cpus_t) || a->arg[1] % sizeof(uint64_t))
        return -EINVAL;
    if (!t)
        return -ESRCH;
    const cpus_t allowed = t->cpus & there_are();
    return user_write(a->arg[2], &allowed, sizeof(allowed)) ? -EFAULT : (long)sizeof(allowed);
}

/* The CPU, and its memory node, of which there is one. */
long syscall_getcpu(const struct syscall_args *a)
{
    const unsigned cpu = cpu_this()->number, node = 0;
    if ((a->arg[0] && user_write(a->arg[0], &cpu, sizeof(cpu))) ||
        (a->arg[1] && user_write(a->arg[1], &node, sizeof(node))))
        return -EFAULT;
    return 0;
}
