/* System calls about signals. */
#include "errno.h"
#include "platform/platform.h"
#include "signal.h"
#include "syscall.h"

#define MASK_SIZE      8
#define ALARM_SHORTEST 100000ul /* ns; a shorter period would leave no time between */

static bool valid(int number)
{
    return number >= 0 && number <= SIGNAL_COUNT;
}

static long send_to_all(int number)
{
    struct task *t, *after;
    long rc = -ESRCH;
    list_for_each_safe(t, after, &all_tasks, link)
    {
        if (t == init_task || t == task_current())
            continue;
        if (number)
            signal_send(t, number);
        rc = 0;
    }
    return rc;
}

static long send_to(int pid, int number)
{
    struct task *t = task_find(pid);
    if (!t)
        return -ESRCH;
    if (number)
        signal_send(t, number);
    return 0;
}

long syscall_kill(const struct syscall_args *a)
{
    const int pid = (int)a->arg[0], number = (int)a->arg[1];
    if (!valid(number))
        return -EINVAL;
    if (pid > 0)
        return send_to(pid, number);
    if (pid == -1)
        return send_to_all(number);
    return signal_send_group(pid ? -pid : task_current()->group, number);
}

long syscall_tkill(const struct syscall_args *a)
{
    return valid(a->arg[1]) ? send_to(a->arg[0], a->arg[1]) : -EINVAL;
}

long syscall_tgkill(const struct syscall_args *a)
{
    return valid(a->arg[2]) ? send_to(a->arg[1], a->arg[2]) : -EINVAL;
}

long syscall_rt_sigaction(const struct syscall_args *a)
{
    const int number = (int)a->arg[0];
    if (number < 1 || number > SIGNAL_COUNT || a->arg[3] != MASK_SIZE)
        return -EINVAL;
    struct linux_sigaction *action = &task_current()->actions[number], wanted;
    if (a->arg[1] && user_read(&wanted, a->arg[1], sizeof(wanted)))
        return -EFAULT;
    if (a->arg[2] && user_write(a->arg[2], action, sizeof(*action)))
        return -EFAULT;
    if (!a->arg[1])
        return 0;
    if (number == SIGKILL || number == SIGSTOP)
        return -EINVAL;
    *action = wanted;
    return 0;
}

long syscall_rt_sigprocmask(const struct syscall_args *a)
{
    struct task *const task = task_current();
    const uint64_t old = task->blocked;
    uint64_t set = 0;

    if (a->arg[3] != MASK_SIZE || a->arg[0] > SIG_SETMASK)
        return -EINVAL;
    if (a->arg[1] && user_read(&set, a->arg[1], sizeof(set)))
        return -EFAULT;
    if (a->arg[2] && user_write(a->arg[2], &old, sizeof(old)))
        return -EFAULT;
    if (!a->arg[1])
        return 0;
    task->blocked = a->arg[0] == SIG_BLOCK     ? old | set
                    : a->arg[0] == SIG_UNBLOCK ? old & ~set
                                               : set;
    return 0;
}

long syscall_rt_sigreturn(const struct syscall_args *a)
{
    return signal_return(a->frame);
}

long syscall_rt_sigpending(const struct syscall_args *a)
{
    const uint64_t set = task_current()->pending & task_current()->blocked;
    return user_write(a->arg[0], &set, sizeof(set));
}

static long wait_for_signal(void)
{
    static struct wait_queue nothing = WAIT_QUEUE_INIT(nothing);
    while (!wait_until(&nothing, FOREVER))
        ;
    return -EINTR;
}

long syscall_rt_sigsuspend(const struct syscall_args *a)
{
    struct task *const task = task_current();
    uint64_t mask;
    if (a->arg[1] != MASK_SIZE)
        return -EINVAL;
    if (user_read(&mask, a->arg[0], sizeof(mask)))
        return -EFAULT;
    task->blocked_saved = task->blocked;
    task->restore_blocked = true;
    task->blocked = mask;
    return wait_for_signal();
}

long syscall_pause(const struct syscall_args *a)
{
    return wait_for_signal();
}

long syscall_sigaltstack(const struct syscall_args *a)
{
    struct task *const task = task_current();
    const struct linux_sigaltstack old = task->alternate;
    if (a->arg[0] && user_read(&task->alternate, a->arg[0], sizeof(old)))
        return -EFAULT;
    return a->arg[1] ? user_write(a->arg[1], &old, sizeof(old)) : 0;
}

/* alarm and setitimer: one timer a task, ITIMER_REAL. */

static uint64_t alarm_left(const struct task *task)
{
    if (!timer_running(&task->alarm))
        return 0;
    const uint64_t now = platform_time();
    return task->alarm.deadline > now ? task->alarm.deadline - now : 1;
}

static void alarm_set(struct task *task, uint64_t value, uint64_t interval)
{
    task->alarm_interval = interval ? MAX(interval, ALARM_SHORTEST) : 0;
    timer_stop(&task->alarm);
    if (value)
        timer_start(&task->alarm, platform_time() + value);
}

long syscall_alarm(const struct syscall_args *a)
{
    struct task *const task = task_current();
    const uint64_t left = alarm_left(task);
    alarm_set(task, (unsigned)a->arg[0] * 1000000000ul, 0);
    return (left + 999999999) / 1000000000;
}

static struct linux_timeval timeval(uint64_t ns)
{
    return (struct linux_timeval){ns / 1000000000, ns % 1000000000 / 1000};
}

static bool timeval_valid(struct linux_timeval t)
{
    return t.sec >= 0 && t.usec >= 0 && t.usec < 1000000;
}

static uint64_t nanoseconds(struct linux_timeval t)
{
    return time_span(t.sec, t.usec * 1000);
}

static struct linux_itimerval itimer(const struct task *task)
{
    return (struct linux_itimerval){timeval(task->alarm_interval), timeval(alarm_left(task))};
}

long syscall_getitimer(const struct syscall_args *a)
{
    const struct linux_itimerval now = itimer(task_current());
    return a->arg[0] ? -EINVAL : user_write(a->arg[1], &now, sizeof(now));
}

long syscall_setitimer(const struct syscall_args *a)
{
    struct task *const task = task_current();
    const struct linux_itimerval old = itimer(task);
    struct linux_itimerval wanted;
    if (a->arg[0])
        return -EINVAL;
    if (user_read(&wanted, a->arg[1], sizeof(wanted)) ||
        (a->arg[2] && user_write(a->arg[2], &old, sizeof(old))))
        return -EFAULT;
    if (!timeval_valid(wanted.value) || !timeval_valid(wanted.interval))
        return -EINVAL;
    alarm_set(task, nanoseconds(wanted.value), nanoseconds(wanted.interval));
    return 0;
}
