/* System calls about signals. */
#include "errno.h"
#include "platform/platform.h"
#include "signal.h"
#include "syscall.h"
#include "sys-time.h"
#include "text.h"

#define MASK_SIZE 8

static bool valid(int number)
{
    return number >= 0 && number <= SIGNAL_COUNT;
}

static long send_to_all(const struct signal_info *info)
{
    struct process *p, *after;
    long rc = -ESRCH;
    list_for_each_safe(p, after, &all_processes, link)
    {
        if (p == init_process || p == process_current() || !access_signal(p, info->number))
            continue;
        if (info->number)
            signal_send_info(p, info);
        rc = 0;
    }
    return rc;
}

static long send_to(int pid, const struct signal_info *info)
{
    struct process *p = process_find(pid);
    if (!p)
        return -ESRCH;
    if (!access_signal(p, info->number))
        return -EPERM;
    if (info->number)
        signal_send_info(p, info);
    return 0;
}

/* To those of a group to which the caller may send; -EPERM if there are others only. */
static long send_to_group(int group, const struct signal_info *info)
{
    struct process *p, *after;
    long rc = -ESRCH;
    list_for_each_safe(p, after, &all_processes, link)
    {
        if (p->group != group)
            continue;
        if (!access_signal(p, info->number)) {
            rc = rc ? -EPERM : 0;
            continue;
        }
        if (info->number)
            signal_send_info(p, info);
        rc = 0;
    }
    return rc;
}

long syscall_kill(const struct syscall_args *a)
{
    const int pid = (int)a->arg[0];
    if (!valid(a->arg[1]))
        return -EINVAL;
    const struct signal_info info = signal_info_user(a->arg[1], SI_USER);
    if (pid > 0)
        return send_to(pid, &info);
    if (pid == -1)
        return send_to_all(&info);
    return send_to_group(pid ? -pid : process_current()->group, &info);
}

/* To thread @tid, which must be of process @pid if that is not 0. */
static long send_to_thread(int pid, int tid, const struct signal_info *info)
{
    struct task *t = task_find(tid);
    if (!t || !t->process || (pid && t->process->pid != pid))
        return -ESRCH;
    if (!access_signal(t->process, info->number))
        return -EPERM;
    if (info->number)
        signal_send_task(t, info);
    return 0;
}

long syscall_tkill(const struct syscall_args *a)
{
    if (!valid(a->arg[1]) || (int)a->arg[0] <= 0)
        return -EINVAL;
    const struct signal_info info = signal_info_user(a->arg[1], SI_TKILL);
    return send_to_thread(0, a->arg[0], &info);
}

long syscall_tgkill(const struct syscall_args *a)
{
    if (!valid(a->arg[2]) || (int)a->arg[0] <= 0 || (int)a->arg[1] <= 0)
        return -EINVAL;
    const struct signal_info info = signal_info_user(a->arg[2], SI_TKILL);
    return send_to_thread(a->arg[0], a->arg[1], &info);
}

int signal_info_read(user_t from, int number, bool to_self, struct signal_info *info)
{
    struct linux_siginfo s;
    if (user_read(&s, from, sizeof(s)))
        return -EFAULT;
    if (!valid(number))
        return -EINVAL;
    if ((s.code >= 0 || s.code == SI_TKILL) && !to_self)
        return -EPERM;
    *info = (struct signal_info){.number = number, .code = s.code};
    memcpy(info->words, s.space, sizeof(info->words));
    return 0;
}

/* Does all that waits for @to, and is told something about, reach its limit?  Signals that count once always have room. */
static bool too_many_pending(const struct process *to, int number)
{
    const struct task *t;
    if (!to || number < SIGRTMIN)
        return false;
    uint64_t count = to->signals.count;
    for_each_thread(t, to) count += t->signals.count;
    return count >= to->limits[RLIMIT_SIGPENDING].current;
}

long syscall_rt_sigqueueinfo(const struct syscall_args *a)
{
    struct signal_info info;
    const struct task *t = task_find(a->arg[0]); /* any thread's number names its process here */
    const bool to_self = (int)a->arg[0] == process_current()->pid;
    const int rc = signal_info_read(a->arg[2], a->arg[1], to_self, &info);
    if (rc)
        return rc;
    if (too_many_pending(t ? t->process : NULL, info.number))
        return -EAGAIN;
    return send_to(t && t->process ? t->process->pid : (int)a->arg[0], &info);
}

long syscall_rt_tgsigqueueinfo(const struct syscall_args *a)
{
    struct signal_info info;
    const bool to_self = (int)a->arg[0] == process_current()->pid;
    const int rc = signal_info_read(a->arg[3], a->arg[2], to_self, &info);
    if (!rc && ((int)a->arg[0] <= 0 || (int)a->arg[1] <= 0))
        return -EINVAL;
    return rc ? rc : send_to_thread(a->arg[0], a->arg[1], &info);
}

long syscall_rt_sigaction(const struct syscall_args *a)
{
    const int number = (int)a->arg[0];
    if (number < 1 || number > SIGNAL_COUNT || a->arg[3] != MASK_SIZE)
        return -EINVAL;
    struct linux_sigaction *action = &process_current()->actions[number], wanted;
    if (a->arg[1] && user_read(&wanted, a->arg[1], sizeof(wanted)))
        return -EFAULT;
    if (a->arg[2] && user_write(a->arg[2], action, sizeof(*action)))
        return -EFAULT;
    if (!a->arg[1])
        return 0;
    if (number == SIGKILL || number == SIGSTOP)
        return -EINVAL;
    *action = wanted;
    action->mask &= ~SIGNALS_UNBLOCKABLE;
    signal_forget_ignored(number);
    return 0;
}

long syscall_rt_sigprocmask(const struct syscall_args *a)
{
    const uint64_t old = task_current()->blocked;
    uint64_t set = 0;

    if (a->arg[3] != MASK_SIZE || (a->arg[1] && a->arg[0] > SIG_SETMASK))
        return -EINVAL;
    if (a->arg[1] && user_read(&set, a->arg[1], sizeof(set)))
        return -EFAULT;
    if (a->arg[2] && user_write(a->arg[2], &old, sizeof(old)))
        return -EFAULT;
    if (!a->arg[1])
        return 0;
    signal_block(a->arg[0] == SIG_BLOCK ? old | set : a->arg[0] == SIG_UNBLOCK ? old & ~set : set);
    return 0;
}

long syscall_rt_sigreturn(const struct syscall_args *a)
{
    return signal_return(task_frame(task_current()));
}

long syscall_rt_sigpending(const struct syscall_args *a)
{
    const struct task *const task = task_current();
    const uint64_t set = (task->signals.pending | task->process->signals.pending) & task->blocked;
    if (a->arg[1] > MASK_SIZE)
        return -EINVAL;
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
    uint64_t mask;
    if (a->arg[1] != MASK_SIZE)
        return -EINVAL;
    if (user_read(&mask, a->arg[0], sizeof(mask)))
        return -EFAULT;
    signal_block_for_call(mask);
    return wait_for_signal();
}

long syscall_pause(const struct syscall_args *a)
{
    return wait_for_signal();
}

/* Wait for a signal of a set that the caller blocks, and take it without a handler. */
long syscall_rt_sigtimedwait(const struct syscall_args *a)
{
    static struct wait_queue nothing = WAIT_QUEUE_INIT(nothing);
    struct task *const task = task_current();
    struct signal_info info;
    uint64_t mask, ns, deadline = FOREVER;
    int rc = 0, number;

    if (a->arg[3] != MASK_SIZE)
        return -EINVAL;
    if (user_read(&mask, a->arg[0], sizeof(mask)))
        return -EFAULT;
    if (a->arg[2] && (rc = timespec_read(a->arg[2], &ns)))
        return rc;
    if (a->arg[2])
        deadline = platform_time() + ns;
    mask &= ~SIGNALS_UNBLOCKABLE;
    while (!(number = signal_take(task, mask, &info)) && !rc) {
        task->wanted = mask;
        rc = wait_until(&nothing, deadline);
        task->wanted = 0;
        if (rc == -ERESTART)
            rc = -EINTR;
    }
    if (!number)
        return rc == -ETIMEDOUT ? -EAGAIN : rc;
    struct linux_siginfo s = {.number = number, .code = info.code};
    memcpy(s.space, info.words, sizeof(info.words));
    return a->arg[1] && user_write(a->arg[1], &s, sizeof(s)) ? -EFAULT : number;
}

#define ALTERNATE_LEAST 2048

long syscall_sigaltstack(const struct syscall_args *a)
{
    struct task *const task = task_current();
    const uint64_t sp = task_frame(task)->rsp;
    struct linux_sigaltstack old = task->alternate, wanted = {0};
    const bool on = !(old.flags & SS_DISABLE) && sp - old.sp < old.size;
    old.flags = old.flags & SS_DISABLE ? SS_DISABLE : on ? SS_ONSTACK : 0;
    if (a->arg[0] && user_read(&wanted, a->arg[0], sizeof(wanted)))
        return -EFAULT;
    if (a->arg[0] && on)
        return -EPERM;
    if (a->arg[0] && (wanted.flags & ~(SS_ONSTACK | SS_DISABLE)))
        return -EINVAL;
    if (a->arg[0] && !(wanted.flags & SS_DISABLE) && wanted.size < ALTERNATE_LEAST)
        return -ENOMEM;
    if (a->arg[1] && user_write(a->arg[1], &old, sizeof(old)))
        return -EFAULT;
    if (a->arg[0])
        task->alternate = wanted;
    return 0;
}

/* For the kernel's own use: a signal's handler that calls it has interrupted nothing that could go on. */
long syscall_restart_syscall(const struct syscall_args *a)
{
    return -EINTR;
}
