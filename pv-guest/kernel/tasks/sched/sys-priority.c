/* System calls about niceness and priorities of input and output, which are kept and told and make no difference, and
 * about barriers between processors. */
#include "credentials.h"
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
        } else if (nice < p->nice && !access_capable(CAP_SYS_NICE)) {
            rc = -EACCES;
        } else {
            p->nice = nice;
            rc = rc == -ESRCH ? 0 : rc;
        }
    }
    return rc;
}

/* ---- Priorities of input and output ---- */

#define IOPRIO_SHIFT  13
#define IOPRIO_LEVELS 8
#define IOPRIO_NORMAL 4
enum { IOPRIO_NONE, IOPRIO_REAL_TIME, IOPRIO_BEST_EFFORT, IOPRIO_IDLE };
enum { IOPRIO_PROCESS = 1, IOPRIO_GROUP, IOPRIO_USER };

static int check_io_priority(unsigned priority)
{
    const unsigned class = priority >> IOPRIO_SHIFT, level = priority % (1u << IOPRIO_SHIFT);
    switch (class) {
    case IOPRIO_NONE:
        return level ? -EINVAL : 0;
    case IOPRIO_REAL_TIME:
        if (!access_capable(CAP_SYS_NICE))
            return -EPERM;
        return level < IOPRIO_LEVELS ? 0 : -EINVAL;
    case IOPRIO_BEST_EFFORT:
        return level < IOPRIO_LEVELS ? 0 : -EINVAL;
    case IOPRIO_IDLE:
        return 0;
    default:
        return -EINVAL;
    }
}

long syscall_ioprio_set(const struct syscall_args *a)
{
    struct process *p;
    long rc = check_io_priority(a->arg[2]);
    if (rc)
        return rc;
    if (a->arg[0] - 1 > PRIO_USER)
        return -EINVAL;
    rc = -ESRCH;
    for_each_process(p)
    {
        if (!meant(p, a->arg[0] - 1, a->arg[1]))
            continue;
        if (!access_schedule(p))
            return -EPERM;
        p->io_priority = a->arg[2];
        rc = 0;
    }
    return rc;
}

/* The best of all: the lowest number, but that no class is worse than best effort. */
long syscall_ioprio_get(const struct syscall_args *a)
{
    const struct process *p;
    long best = -ESRCH;
    if (a->arg[0] - 1 > PRIO_USER)
        return -EINVAL;
    for_each_process(p)
    {
        if (!meant(p, a->arg[0] - 1, a->arg[1]))
            continue;
        const long its = p->io_priority ? p->io_priority : IOPRIO_NORMAL;
        best = best == -ESRCH ? its : MIN(best, its);
    }
    return best;
}
