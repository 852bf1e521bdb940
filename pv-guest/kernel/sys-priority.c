/*
 * System calls about who gets the CPU.  Everybody takes turns: priorities are kept and
 * told, and make no difference.
 */
#include "errno.h"
#include "platform/platform.h"
#include "process.h"
#include "syscall.h"

#define SCHED_OTHER    0
#define SCHED_FIFO     1
#define SCHED_RR       2
#define SCHED_BATCH    3
#define SCHED_IDLE     5
#define SCHED_DEADLINE 6

/* The task that @tid (0: the caller) means. */
static struct task *by_tid(int tid)
{
    return tid ? task_find(tid) : task_current();
}

long syscall_sched_getscheduler(const struct syscall_args *a)
{
    if ((int)a->arg[0] < 0)
        return -EINVAL;
    return by_tid(a->arg[0]) ? SCHED_OTHER : -ESRCH;
}

static bool policy_known(unsigned policy)
{
    return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

/* Turns have no priority: 0 is all that can be asked for. */
static long set_priority(int tid, int priority)
{
    const struct task *t = by_tid(tid);
    if (!t || !t->process)
        return -ESRCH;
    if (priority)
        return -EINVAL;
    return access_schedule(t->process) ? 0 : -EPERM;
}

long syscall_sched_setscheduler(const struct syscall_args *a)
{
    int priority;
    if ((int)a->arg[0] < 0 || !a->arg[2])
        return -EINVAL;
    if (!policy_known(a->arg[1]))
        return a->arg[1] == SCHED_FIFO || a->arg[1] == SCHED_RR
                   ? -EPERM
                   : -EINVAL; /* they would be promises */
    if (user_read(&priority, a->arg[2], sizeof(priority)))
        return -EFAULT;
    return set_priority(a->arg[0], priority);
}

long syscall_sched_getparam(const struct syscall_args *a)
{
    if ((int)a->arg[0] < 0 || !a->arg[1])
        return -EINVAL;
    if (!by_tid(a->arg[0]))
        return -ESRCH;
    return user_zero(a->arg[1], sizeof(int));
}

long syscall_sched_setparam(const struct syscall_args *a)
{
    int priority;
    if ((int)a->arg[0] < 0 || !a->arg[1])
        return -EINVAL;
    if (user_read(&priority, a->arg[1], sizeof(priority)))
        return -EFAULT;
    return set_priority(a->arg[0], priority);
}

static long priority_bound(unsigned policy, int realtime)
{
    return policy == SCHED_FIFO || policy == SCHED_RR         ? realtime
           : policy_known(policy) || policy == SCHED_DEADLINE ? 0
                                                              : -EINVAL;
}

long syscall_sched_get_priority_max(const struct syscall_args *a)
{
    return priority_bound(a->arg[0], 99);
}

long syscall_sched_get_priority_min(const struct syscall_args *a)
{
    return priority_bound(a->arg[0], 1);
}

long syscall_sched_rr_get_interval(const struct syscall_args *a)
{
    const struct linux_timespec turn = {.nsec = 10000000};
    if ((int)a->arg[0] < 0)
        return -EINVAL;
    return by_tid(a->arg[0]) ? user_write(a->arg[1], &turn, sizeof(turn)) : -ESRCH;
}

enum membarrier {
    MEMBARRIER_QUERY = 0,
    MEMBARRIER_GLOBAL = 1,
    MEMBARRIER_GLOBAL_EXPEDITED = 2,
    MEMBARRIER_REGISTER_GLOBAL = 4,
    MEMBARRIER_PRIVATE = 8,
    MEMBARRIER_REGISTER_PRIVATE = 16,
    MEMBARRIER_ALL = 31,
};

/* Have each CPU of @cpus pass a barrier: flushing its TLB interrupts it, and an interrupt is one. */
static long barrier_on(cpus_t which)
{
    platform_tlb_flush(which);
    platform_commit();
    return 0;
}

/* A CPU that does not run a thread of the process passes a barrier before it does. */
long syscall_membarrier(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    if (a->arg[1])
        return -EINVAL;
    switch ((int)a->arg[0]) {
    case MEMBARRIER_QUERY:
        return MEMBARRIER_ALL;
    case MEMBARRIER_GLOBAL:
    case MEMBARRIER_GLOBAL_EXPEDITED:
        return barrier_on(CPUS_ALL >> (CPU_MAX - cpu_count));
    case MEMBARRIER_REGISTER_PRIVATE:
        space->barriers = true;
        return 0;
    case MEMBARRIER_REGISTER_GLOBAL: /* every process is reached */
        return 0;
    case MEMBARRIER_PRIVATE:
        return space->barriers ? barrier_on(space->cpus) : -EPERM;
    default:
        return -EINVAL;
    }
}

/* ---- Niceness ---- */

#define PRIO_PROCESS 0
#define PRIO_USER    2
#define NICE_LEAST   -20
#define NICE_MOST    19

/* Is @p one that @which and @who mean? */
static bool meant(const struct process *p, unsigned which, int who)
{
    const struct process *const self = process_current();
    if (which == PRIO_PROCESS)
        return who ? p->pid == who : p == self;
    if (which == PRIO_USER)
        return p->credentials.user.real == (who ? (unsigned)who : self->credentials.user.real);
    return p->group == (who ? who : self->group);
}

/* The lowest, in the form in which the kernel tells it: 1 to 40, the nicest first. */
long syscall_getpriority(const struct syscall_args *a)
{
    const struct process *p;
    long best = -ESRCH;
    if (a->arg[0] > PRIO_USER)
        return -EINVAL;
    for_each_process(p) if (meant(p, a->arg[0], a->arg[1])) best = MAX(best, 20 - p->nice);
    return best;
}

long syscall_setpriority(const struct syscall_args *a)
{
    struct process *p;
    long rc = -ESRCH;
    if (a->arg[0] > PRIO_USER)
        return -EINVAL;
    for_each_process(p)
    {
        if (!meant(p, a->arg[0], a->arg[1]))
            continue;
        const int nice = MIN(MAX((int)a->arg[2], NICE_LEAST), NICE_MOST);
        if (!access_schedule(p)) {
            rc = -EPERM;
        } else if (nice < p->nice && !access_root()) {
            rc = -EACCES;
        } else {
            p->nice = nice;
            rc = rc == -ESRCH ? 0 : rc;
        }
    }
    return rc;
}
