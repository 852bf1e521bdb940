/*
 * System calls about scheduling policies.  Everybody takes turns: policies and priorities are checked, kept and told, and
 * make no difference.
 */
#include "credentials.h"
#include "errno.h"
#include "process.h"
#include "syscall.h"
#include "text.h"

#define SCHED_OTHER         0
#define SCHED_FIFO          1
#define SCHED_RR            2
#define SCHED_BATCH         3
#define SCHED_IDLE          5
#define SCHED_DEADLINE      6
#define SCHED_RESET_ON_FORK 0x40000000

#define PRIORITY_MOST 99

/* As sched_setattr has it. */
struct linux_sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* of SCHED_DEADLINE: ns */
};
#define ATTR_SIZE       48 /* of its first version, which is ours */
#define ATTR_FLAG_RESET 1  /* as SCHED_RESET_ON_FORK */
#define ATTR_FLAGS      0x7f

/* The task that @tid (0: the caller) means. */
static struct task *by_tid(int tid)
{
    struct task *t = tid ? task_find(tid) : task_current();
    return t && t->process ? t : NULL;
}

static bool real_time(unsigned policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool policy_known(unsigned policy)
{
    return real_time(policy) || policy == SCHED_OTHER || policy == SCHED_BATCH ||
           policy == SCHED_IDLE;
}

/* Would SCHED_DEADLINE take these times? */
static bool deadline_valid(const struct linux_sched_attr *a)
{
    const uint64_t period = a->period ? a->period : a->deadline;
    return a->deadline && a->runtime >= 1024 && a->runtime <= a->deadline &&
           a->deadline <= period && !((a->deadline | period) >> 63);
}

/* May the running process give @t what @a says? */
static int may_set(const struct task *t, const struct linux_sched_attr *a)
{
    const struct linux_rlimit *most = &t->process->limits[RLIMIT_RTPRIO];
    if (access_capable(CAP_SYS_NICE))
        return 0;
    if (!access_schedule(t->process) || a->policy == SCHED_DEADLINE)
        return -EPERM;
    if (real_time(a->policy) && a->priority > most->current && a->priority > t->policy.priority)
        return -EPERM;
    /* What has been promised about its children is not to be taken back. */
    return t->policy.reset_on_fork && !(a->flags & ATTR_FLAG_RESET) ? -EPERM : 0;
}

static int policy_set(int tid, const struct linux_sched_attr *a)
{
    struct task *t = by_tid(tid);
    if (!t)
        return -ESRCH;
    if (a->policy == SCHED_DEADLINE ? !deadline_valid(a) : !policy_known(a->policy))
        return -EINVAL;
    if (a->priority > PRIORITY_MOST || real_time(a->policy) != (a->priority != 0))
        return -EINVAL;
    const int rc = may_set(t, a);
    if (rc)
        return rc;
    t->policy = (struct sched_policy){.number = a->policy,
                                      .priority = a->priority,
                                      .reset_on_fork = a->flags & ATTR_FLAG_RESET,
                                      .runtime = a->runtime,
                                      .deadline = a->deadline,
                                      .period = a->period ? a->period : a->deadline};
    return 0;
}

long syscall_sched_getscheduler(const struct syscall_args *a)
{
    const struct task *t = by_tid(a->arg[0]);
    if ((int)a->arg[0] < 0)
        return -EINVAL;
    if (!t)
        return -ESRCH;
    return t->policy.number | (t->policy.reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

long syscall_sched_setscheduler(const struct syscall_args *a)
{
    int priority;
    const int policy = (int)a->arg[1];
    if ((int)a->arg[0] < 0 || !a->arg[2] || policy < 0)
        return -EINVAL;
    if (user_read(&priority, a->arg[2], sizeof(priority)))
        return -EFAULT;
    const struct linux_sched_attr wanted = {
        .policy = policy & ~SCHED_RESET_ON_FORK,
        .flags = policy & SCHED_RESET_ON_FORK ? ATTR_FLAG_RESET : 0,
        .priority = priority,
    };
    return wanted.policy == SCHED_DEADLINE ? -EINVAL : policy_set(a->arg[0], &wanted);
}

long syscall_sched_getparam(const struct syscall_args *a)
{
    const struct task *t = by_tid(a->arg[0]);
    if ((int)a->arg[0] < 0 || !a->arg[1])
        return -EINVAL;
    return t ? user_write(a->arg[1], &t->policy.priority, sizeof(int)) : -ESRCH;
}

long syscall_sched_setparam(const struct syscall_args *a)
{
    int priority;
    const struct task *t = by_tid(a->arg[0]);
    if ((int)a->arg[0] < 0 || !a->arg[1])
        return -EINVAL;
    if (user_read(&priority, a->arg[1], sizeof(priority)))
        return -EFAULT;
    if (!t)
        return -ESRCH;
    const struct linux_sched_attr wanted = {
        .policy = t->policy.number,
        .flags = t->policy.reset_on_fork ? ATTR_FLAG_RESET : 0,
        .priority = priority,
        .runtime = t->policy.runtime,
        .deadline = t->policy.deadline,
        .period = t->policy.period,
    };
    return policy_set(a->arg[0], &wanted);
}

/* A structure that says itself how long it is: what we do not know of it has to be 0. */
static int read_attr(struct linux_sched_attr *attr, user_t from)
{
    uint32_t size, ours = ATTR_SIZE;
    if (user_read(&size, from, sizeof(size)))
        return -EFAULT;
    size = size ? size : ATTR_SIZE;
    bool good = size >= ATTR_SIZE && size <= PAGE_SIZE;
    for (unsigned at = ATTR_SIZE; good && at < size; at++) {
        char byte;
        if (user_read(&byte, from + at, 1))
            return -EFAULT;
        good = !byte;
    }
    if (!good)
        return user_write(from, &ours, sizeof(ours)) ? -EFAULT : -E2BIG;
    return user_read(attr, from, ATTR_SIZE);
}

long syscall_sched_setattr(const struct syscall_args *a)
{
    struct linux_sched_attr attr;
    struct task *t = by_tid(a->arg[0]);
    if (!a->arg[1] || (int)a->arg[0] < 0 || (unsigned)a->arg[2])
        return -EINVAL;
    int rc = read_attr(&attr, a->arg[1]);
    if (rc)
        return rc;
    if ((int)attr.policy < 0 || (attr.flags & ~(uint64_t)ATTR_FLAGS))
        return -EINVAL;
    if (!t)
        return -ESRCH;
    const int nice = MIN(MAX(attr.nice, -20), 19);
    const bool fair = attr.policy == SCHED_OTHER || attr.policy == SCHED_BATCH;
    if (fair && nice < t->process->nice && !access_capable(CAP_SYS_NICE))
        return -EPERM;
    rc = policy_set(a->arg[0], &attr);
    if (!rc && fair)
        t->process->nice = nice;
    return rc;
}

long syscall_sched_getattr(const struct syscall_args *a)
{
    const struct task *t = by_tid(a->arg[0]);
    const size_t size = (unsigned)a->arg[2];
    if (!a->arg[1] || (int)a->arg[0] < 0 || size < ATTR_SIZE || size > PAGE_SIZE ||
        (unsigned)a->arg[3])
        return -EINVAL;
    if (!t)
        return -ESRCH;
    const struct linux_sched_attr attr = {
        .size = ATTR_SIZE,
        .policy = t->policy.number,
        .flags = t->policy.reset_on_fork ? ATTR_FLAG_RESET : 0,
        .nice = real_time(t->policy.number) ? 0 : t->process->nice,
        .priority = t->policy.priority,
        .runtime = t->policy.runtime,
        .deadline = t->policy.deadline,
        .period = t->policy.period,
    };
    return user_write(a->arg[1], &attr, ATTR_SIZE);
}

static long priority_bound(unsigned policy, int bound)
{
    return real_time(policy)                                  ? bound
           : policy_known(policy) || policy == SCHED_DEADLINE ? 0
                                                              : -EINVAL;
}

long syscall_sched_get_priority_max(const struct syscall_args *a)
{
    return priority_bound(a->arg[0], PRIORITY_MOST);
}

long syscall_sched_get_priority_min(const struct syscall_args *a)
{
    return priority_bound(a->arg[0], 1);
}

/* How long a turn is.  SCHED_FIFO knows none, which is told as 0. */
long syscall_sched_rr_get_interval(const struct syscall_args *a)
{
    const struct task *t = by_tid(a->arg[0]);
    if ((int)a->arg[0] < 0)
        return -EINVAL;
    if (!t)
        return -ESRCH;
    const struct linux_timespec turn = {.nsec = t->policy.number == SCHED_FIFO ? 0 : 10000000};
    return user_write(a->arg[1], &turn, sizeof(turn));
}
