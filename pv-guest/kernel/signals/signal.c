/*
 * Signals: sending them, and acting upon them.
 *
 * A signal is sent to a process or to one thread, and pends there.  It is acted
 * upon when a thread that does not block it is about to return to its program;
 * @signal_pending in the task says that there is something to look at.
 *
 * A system call that was interrupted while waiting returns -ERESTART so far.
 * If no handler runs, or one with SA_RESTART, the process is set back to the
 * SYSCALL instruction; otherwise it sees -EINTR.  Being stopped and continued
 * interrupts nothing: that happens inside wait_until.
 */
#include "errno.h"
#include "platform/platform.h"
#include "signal.h"
#include "signalfd.h"

#define DEFAULT_IGNORE \
    (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))

static bool ignored(const struct process *p, int number)
{
    const uint64_t handler = p->actions[number].handler;
    if (p == init_process && handler == SIG_DFL)
        return true; /* pid 1 gets only what it asked for */
    return handler == SIG_IGN || (handler == SIG_DFL && (DEFAULT_IGNORE & SIGNAL_BIT(number)));
}

/* Pending signals that @task does not block. */
static uint64_t candidates(const struct task *task)
{
    return (task->signals.pending | task->process->signals.pending) & ~task->blocked;
}

/* Its process ends, or goes on without it. */
static bool must_end(const struct task *task)
{
    const struct process *p = task->process;
    return p->exiting || (p->sole && p->sole != task);
}

bool signal_waiting(const struct task *task)
{
    const struct process *p = task->process;
    if (must_end(task) || ((task->signals.pending | p->signals.pending) & task->wanted))
        return true;
    for (uint64_t left = candidates(task); left; left &= left - 1)
        if (!ignored(p, __builtin_ctzl(left) + 1))
            return true;
    return false;
}

/* ---- Sending ---- */

void signal_set_pending(struct process *p, const struct task *except)
{
    struct task *t;
    for_each_thread(t, p)
    {
        if (t == except)
            continue;
        t->signal_pending = true;
        if (t->state == TASK_WAITING || t->state == TASK_STOPPED)
            sched_ready(t);
        else
            sched_poke(t);
    }
}

/* @number has become pending for @task: have it look. */
static void signal_tell(struct task *task, int number)
{
    if (task->blocked & ~task->wanted & SIGNAL_BIT(number))
        return;
    task->signal_pending = true;
    if (task->state == TASK_WAITING && signal_waiting(task))
        sched_ready(task);
    else
        sched_poke(task);
}

static void resume(struct process *p)
{
    struct task *t;
    signal_set_drop(&p->signals, SIGNALS_STOP);
    for_each_thread(t, p) signal_set_drop(&t->signals, SIGNALS_STOP);
    if (!p->stopped)
        return;
    p->stopped = false;
    p->stop_signal = 0;
    p->continued = true;
    signal_set_pending(p, NULL);
    signal_parent(p, CLD_CONTINUED, SIGCONT);
}

/* What a signal does just by being sent.  False if there is no more to it. */
static bool send_effects(struct process *p, uint64_t blocked, int number)
{
    if (p->zombie || p->exiting)
        return false;
    if (number == SIGCONT)
        resume(p);
    if (SIGNALS_STOP & SIGNAL_BIT(number))
        signal_set_drop(&p->signals, SIGNAL_BIT(SIGCONT));
    if (number == SIGKILL && p != init_process) {
        p->stopped = false;
        signal_set_pending(p, NULL);
    }
    return !ignored(p, number) || (blocked & SIGNAL_BIT(number));
}

void signal_send_info(struct process *p, const struct signal_info *info)
{
    struct task *t;
    uint64_t blocked = 0;
    for_each_thread(t, p) blocked |= t->blocked | t->wanted;
    if (!send_effects(p, blocked, info->number))
        return;
    signal_set_add(&p->signals, info);
    signalfd_notice();
    for_each_thread(t, p) signal_tell(t, info->number);
}

void signal_send_task(struct task *task, const struct signal_info *info)
{
    if (!send_effects(task->process, task->blocked | task->wanted, info->number))
        return;
    signal_set_add(&task->signals, info);
    signalfd_notice();
    signal_tell(task, info->number);
}

void signal_send(struct process *p, int number)
{
    const struct signal_info info = {.number = number, .code = SI_KERNEL};
    signal_send_info(p, &info);
}

void signal_broken_pipe(void)
{
    const struct signal_info info = {.number = SIGPIPE, .code = SI_KERNEL};
    signal_send_task(task_current(), &info);
}

struct signal_info signal_info_user(int number, int code)
{
    const struct process *p = process_current();
    return (struct signal_info){
        number, code, {p->pid | (uint64_t)p->credentials.user.real << 32, 0}};
}

int signal_send_group(int group, const struct signal_info *info)
{
    struct process *p, *after;
    int rc = -ESRCH;
    list_for_each_safe(p, after, &all_processes, link)
    {
        if (p->group != group)
            continue;
        if (info->number)
            signal_send_info(p, info);
        rc = 0;
    }
    return rc;
}

void signal_group(int group, int number)
{
    const struct signal_info info = {.number = number, .code = SI_KERNEL};
    (void)signal_send_group(group, &info);
}

void signal_parent(struct process *p, int code, int status)
{
    const bool ended = code != CLD_STOPPED && code != CLD_CONTINUED;
    const int number = ended ? p->exit_signal : SIGCHLD;
    const struct signal_info info = {
        number, code, {p->pid | (uint64_t)p->credentials.user.real << 32, (unsigned)status}};
    if (number > 0 && number <= SIGNAL_COUNT &&
        (ended || !(p->parent->actions[SIGCHLD].flags & SA_NOCLDSTOP)))
        signal_send_info(p->parent, &info);
    wait_wake(&p->parent->child_wait);
}

/* The code that tells a handler why. */
static int fault_code(const struct task *task, int number, uint64_t address)
{
    if (number == SIGSEGV)
        return area_find(task->space, address) ? 2 : 1; /* may not, or nothing there */
    if (number == SIGTRAP || number == SIGFPE)
        return 1;
    return number == SIGBUS || number == SIGILL ? 2 : SI_KERNEL;
}

void signal_fault(struct task *task, int number, uint64_t address)
{
    struct linux_sigaction *action = &task->process->actions[number];
    const struct signal_info info = {number, fault_code(task, number, address), {address}};
    if ((task->blocked & SIGNAL_BIT(number)) || action->handler == SIG_IGN)
        action->handler = SIG_DFL;
    task->blocked &= ~SIGNAL_BIT(number);
    signal_set_add(&task->signals, &info);
    task->signal_pending = true;
    task->fault_signal = number;
    task->fault_address = address;
}

void signal_forget_ignored(int number)
{
    struct process *const p = process_current();
    struct task *t;
    if (!ignored(p, number))
        return;
    signal_set_drop(&p->signals, SIGNAL_BIT(number));
    for_each_thread(t, p) signal_set_drop(&t->signals, SIGNAL_BIT(number));
}

void signal_reset(struct process *p)
{
    actions_unshare(p);
    for (int n = 1; n <= SIGNAL_COUNT; n++) {
        const uint64_t keep = p->actions[n].handler == SIG_IGN ? SIG_IGN : SIG_DFL;
        p->actions[n] = (struct linux_sigaction){.handler = keep};
    }
    task_current()->alternate = (struct linux_sigaltstack){.flags = SS_DISABLE};
}

void signal_alarm_over(struct timer *timer)
{
    struct process *p = container_of(timer, struct process, alarm);
    /* From now, not from the old deadline: a tiny interval must not pile up. */
    if (p->alarm_interval)
        timer_start(timer, MAX(timer->deadline, platform_time()) + p->alarm_interval);
    signal_send(p, SIGALRM);
}

/* ---- Masks ---- */

void signal_block(uint64_t mask)
{
    struct task *const task = task_current();
    task->blocked = mask & ~SIGNALS_UNBLOCKABLE;
    if (candidates(task))
        task->signal_pending = true;
}

void signal_block_for_call(uint64_t mask)
{
    struct task *const task = task_current();
    task->blocked_saved = task->blocked;
    task->restore_blocked = true;
    task->blocked = mask & ~SIGNALS_UNBLOCKABLE;
    task->signal_pending = true;
}

/* ---- Stopping ---- */

static void stop_process(struct process *p, int number)
{
    p->stopped = true;
    p->stop_signal = number;
    signal_set_pending(p, task_current());
    signal_parent(p, CLD_STOPPED, number);
}

static void stay_stopped(struct task *task)
{
    while (task->process->stopped && !must_end(task)) {
        task->state = TASK_STOPPED;
        sched_switch();
    }
}

/* Nobody could continue a member of an orphaned group that the terminal has stopped. */
static bool stop_is_void(const struct process *p, int number)
{
    return number != SIGSTOP && process_group_orphaned(p->group, p->session);
}

/* The signal by which @task is to stop, if that is all it has to do; else 0. */
static int only_stop(const struct task *task)
{
    const struct process *p = task->process;
    int found = 0;
    for (uint64_t left = candidates(task); left; left &= left - 1) {
        const int number = __builtin_ctzl(left) + 1;
        if (ignored(p, number))
            continue;
        if (!(SIGNALS_STOP & SIGNAL_BIT(number)) || p->actions[number].handler != SIG_DFL)
            return 0;
        found = number;
    }
    return found;
}

bool signal_interrupts(struct task *task)
{
    struct process *const p = task->process;
    if (!p)
        return false;
    for (;;) {
        struct signal_info info;
        if (must_end(task))
            return true;
        if (p->stopped) {
            stay_stopped(task);
            continue;
        }
        const int number = only_stop(task);
        if (!number)
            return signal_waiting(task);
        (void)signal_take(task, SIGNAL_BIT(number), &info);
        if (!stop_is_void(p, number))
            stop_process(p, number);
    }
}

/* ---- Acting ---- */

/* Decide about an interrupted system call: again from the start, or -EINTR. */
static void settle_restart(struct frame *frame, bool again)
{
    if (frame->vector != VECTOR_SYSCALL || frame->rax != (uint64_t)-ERESTART)
        return;
    if (again) {
        frame->rax = frame->error;
        frame->rip -= 2;
    } else {
        frame->rax = -EINTR;
    }
}

int signal_take(struct task *task, uint64_t mask, struct signal_info *info)
{
    const uint64_t own = task->signals.pending & mask;
    const uint64_t all = own | (task->process->signals.pending & mask);
    if (!all)
        return 0;
    const bool fault = task->fault_signal && (own & SIGNAL_BIT(task->fault_signal));
    const int number = fault ? task->fault_signal : __builtin_ctzl(all) + 1;
    signal_set_take(own & SIGNAL_BIT(number) ? &task->signals : &task->process->signals, number,
                    info);
    return number;
}

static void default_action(struct task *task, int number)
{
    if (!(SIGNALS_STOP & SIGNAL_BIT(number)))
        process_exit(number);
    if (!stop_is_void(task->process, number))
        stop_process(task->process, number);
}

/* Act upon one signal that has been taken. */
static void act(struct task *task, struct frame *frame, const struct signal_info *info)
{
    const int number = info->number;
    struct linux_sigaction *action = &task->process->actions[number];
    const bool forced = number == task->fault_signal;

    if (forced)
        task->fault_signal = 0;
    else if (ignored(task->process, number))
        return;
    if (action->handler == SIG_DFL || action->handler == SIG_IGN || number == SIGKILL) {
        default_action(task, number);
        return;
    }
    settle_restart(frame, action->flags & SA_RESTART);
    const uint64_t mask = task->restore_blocked ? task->blocked_saved : task->blocked;
    task->restore_blocked = false;
    if (signal_enter(task, frame, info, mask))
        process_exit(SIGSEGV);
    task->blocked |= action->mask & ~SIGNALS_UNBLOCKABLE;
    if (!(action->flags & SA_NODEFER))
        task->blocked |= SIGNAL_BIT(number);
    if (action->flags & SA_RESETHAND)
        action->handler = SIG_DFL;
    frame->vector = 0; /* not a system call any more: do not restart it */
}

void signal_deliver(struct frame *frame)
{
    struct task *const task = task_current();
    struct signal_info info;

    for (;;) {
        stay_stopped(task);
        if (must_end(task))
            task_exit(0);
        if (signal_take(task, ~task->blocked, &info)) {
            act(task, frame, &info);
            continue;
        }
        settle_restart(frame, true);
        if (!task->restore_blocked)
            break;
        task->restore_blocked = false;
        task->blocked = task->blocked_saved;
    }
    task->signal_pending = false;
}
