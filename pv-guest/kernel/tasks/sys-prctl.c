/* prctl: what a process may say about itself and be told. */
#include "credentials.h"
#include "errno.h"
#include "process.h"
#include "signal.h"
#include "syscall.h"
#include "task.h"
#include "text.h"
#include "user.h"

#define PR_SET_PDEATHSIG    1
#define PR_GET_PDEATHSIG    2
#define PR_GET_DUMPABLE     3
#define PR_SET_DUMPABLE     4
#define PR_GET_KEEPCAPS     7
#define PR_SET_KEEPCAPS     8
#define PR_GET_TIMING       13
#define PR_SET_TIMING       14
#define PR_SET_NAME         15
#define PR_GET_NAME         16
#define PR_GET_SECCOMP      21
#define PR_CAPBSET_READ     23
#define PR_CAPBSET_DROP     24
#define PR_GET_TSC          25
#define PR_GET_SECUREBITS   27
#define PR_SET_SECUREBITS   28
#define PR_SET_TIMERSLACK   29
#define PR_GET_TIMERSLACK   30
#define PR_MCE_KILL_GET     34
#define PR_SET_MM           35
#define PR_SET_SUBREAPER    36
#define PR_GET_SUBREAPER    37
#define PR_SET_NO_NEW_PRIVS 38
#define PR_GET_NO_NEW_PRIVS 39
#define PR_GET_TID_ADDRESS  40
#define PR_SET_THP_DISABLE  41
#define PR_GET_THP_DISABLE  42
#define PR_CAP_AMBIENT      47

/* Set what can only be on or off. */
static long set_flag(bool *flag, user_t value)
{
    if (value > 1)
        return -EINVAL;
    *flag = value;
    return 0;
}

#define MCE_KILL_DEFAULT 2

enum { AMBIENT_IS_SET = 1, AMBIENT_RAISE, AMBIENT_LOWER, AMBIENT_CLEAR_ALL };

/* Capabilities that a program would keep beyond exec. */
static long ambient(const struct syscall_args *a)
{
    struct capabilities *const own = &process_current()->credentials.capabilities;
    const bool clear = a->arg[1] == AMBIENT_CLEAR_ALL;
    if (a->arg[3] || a->arg[4] || (clear && a->arg[2]) || a->arg[1] < AMBIENT_IS_SET ||
        a->arg[1] > AMBIENT_CLEAR_ALL || a->arg[2] > CAP_LAST)
        return -EINVAL;
    const uint64_t bit = 1ul << a->arg[2];
    switch (a->arg[1]) {
    case AMBIENT_IS_SET:
        return (own->ambient & bit) != 0;
    case AMBIENT_RAISE:
        if (!(own->permitted & own->inheritable & bit))
            return -EPERM;
        own->ambient |= bit;
        return 0;
    case AMBIENT_LOWER:
        own->ambient &= ~bit;
        return 0;
    default:
        own->ambient = 0;
        return 0;
    }
}

/* What exec can give, from which something can only be taken. */
static long bounding(const struct syscall_args *a)
{
    struct capabilities *const own = &process_current()->credentials.capabilities;
    const bool drop = a->arg[0] == PR_CAPBSET_DROP;
    if (drop && !access_capable(CAP_SETPCAP))
        return -EPERM;
    if (a->arg[1] > CAP_LAST)
        return -EINVAL;
    const uint64_t bit = 1ul << a->arg[1];
    if (!drop)
        return (own->bounding & bit) != 0;
    own->bounding &= ~bit;
    return 0;
}

static long set_name(struct task *task, user_t text)
{
    char name[sizeof(task->name)] = "";
    const long n = user_read_text(name, text, sizeof(name) - 1);
    if (n == -EFAULT)
        return n;
    memcpy(task->name, name, sizeof(name));
    return 0;
}

/* What cannot be had back, and what needs a capability. */
static long privileges(const struct syscall_args *a)
{
    struct process *const process = process_current();
    switch ((int)a->arg[0]) {
    case PR_GET_KEEPCAPS:
        return process->keep_capabilities;
    case PR_SET_KEEPCAPS:
        return set_flag(&process->keep_capabilities, a->arg[1]);
    case PR_GET_NO_NEW_PRIVS:
        return a->arg[1] || a->arg[2] || a->arg[3] || a->arg[4] ? -EINVAL
                                                                : process->no_new_privileges;
    case PR_SET_NO_NEW_PRIVS:
        if (a->arg[1] != 1 || a->arg[2] || a->arg[3] || a->arg[4])
            return -EINVAL;
        process->no_new_privileges = true;
        return 0;
    case PR_SET_SECUREBITS:
        return access_capable(CAP_SETPCAP) ? -EINVAL : -EPERM;
    case PR_SET_MM:
        return access_capable(CAP_SYS_RESOURCE) ? -EINVAL : -EPERM;
    case PR_CAPBSET_DROP:
    case PR_CAPBSET_READ:
        return bounding(a);
    case PR_CAP_AMBIENT:
        return ambient(a);
    default:
        return -EINVAL;
    }
}

long syscall_prctl(const struct syscall_args *a)
{
    struct task *const task = task_current();
    const int tsc_enabled = 1;
    switch ((int)a->arg[0]) {
    case PR_SET_NAME:
        return set_name(task, a->arg[1]);
    case PR_GET_NAME:
        return user_write(a->arg[1], task->name, sizeof(task->name));
    case PR_SET_PDEATHSIG:
        if (a->arg[1] > SIGNAL_COUNT)
            return -EINVAL;
        task->process->parent_death_signal = a->arg[1];
        return 0;
    case PR_GET_PDEATHSIG:
        return user_write(a->arg[1], &task->process->parent_death_signal, sizeof(int));
    case PR_GET_DUMPABLE: /* there are no dumps */
        return !task->process->not_dumpable;
    case PR_SET_DUMPABLE:
        return a->arg[1] > 1 ? -EINVAL : set_flag(&task->process->not_dumpable, !a->arg[1]);
    case PR_GET_TIMING: /* statistical */
        return 0;
    case PR_SET_TIMING:
        return a->arg[1] ? -EINVAL : 0;
    case PR_SET_TIMERSLACK:
        task->timer_slack = (int64_t)a->arg[1] > 0 ? a->arg[1] : task->timer_slack_first;
        return 0;
    case PR_GET_TIMERSLACK:
        return task->timer_slack;
    case PR_SET_SUBREAPER:
        task->process->subreaper = a->arg[1];
        return 0;
    case PR_GET_SUBREAPER: {
        const int is = task->process->subreaper;
        return user_write(a->arg[1], &is, sizeof(is));
    }
    case PR_GET_THP_DISABLE:
        return a->arg[1] || a->arg[2] || a->arg[3] || a->arg[4] ? -EINVAL
                                                                : task->process->no_huge_pages;
    case PR_SET_THP_DISABLE:
        if (a->arg[2] || a->arg[3] || a->arg[4])
            return -EINVAL;
        task->process->no_huge_pages = a->arg[1];
        return 0;
    case PR_GET_SECCOMP:
    case PR_GET_SECUREBITS:
        return 0;
    case PR_GET_TSC:
        return user_write(a->arg[1], &tsc_enabled, sizeof(tsc_enabled));
    case PR_GET_TID_ADDRESS:
        return user_write(a->arg[1], &task->clear_tid, sizeof(task->clear_tid));
    case PR_MCE_KILL_GET:
        return a->arg[1] || a->arg[2] || a->arg[3] || a->arg[4] ? -EINVAL : MCE_KILL_DEFAULT;
    default:
        return privileges(a);
    }
}
