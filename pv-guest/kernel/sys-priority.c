/* System calls about niceness, which is kept and told and makes no difference, and about barriers between processors. */
#include "errno.h"
#include "platform/platform.h"
#include "process.h"
#include "syscall.h"

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
