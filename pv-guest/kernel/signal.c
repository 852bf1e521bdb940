/*
 * Signals.
 *
 * A pending signal is acted upon when its task is about to return to its
 * process.  A handler is entered by making room on the process's stack for what
 * Linux puts there,
 *
 *      siginfo | ucontext (registers, mask) | restorer's address  <- rsp
 *
 * with the FPU's registers above, and returning to the handler instead.  The
 * restorer calls rt_sigreturn, which puts it all back.
 *
 * A system call that was interrupted while waiting returns -ERESTART so far.
 * If no handler runs, or one with SA_RESTART, the process is set back to the
 * SYSCALL instruction; otherwise it sees -EINTR.
 */
#include "errno.h"
#include "platform/platform.h"
#include "print.h"
#include "signal.h"
#include "text.h"
#include "user.h"

#define BIT(number)    (1ul << ((number)-1))
#define UNBLOCKABLE    (BIT(SIGKILL) | BIT(SIGSTOP))
#define DEFAULT_IGNORE (BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH))
#define DEFAULT_STOP   (BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU))
#define RED_ZONE       128 /* below a process's rsp, still its own */

struct signal_frame {
    uint64_t restorer;
    struct linux_ucontext context;
    struct linux_siginfo info;
};

static bool ignored(const struct task *task, int number)
{
    const uint64_t handler = task->actions[number].handler;
    if (task == init_task && handler == SIG_DFL)
        return true; /* pid 1 gets only what it asked for */
    return handler == SIG_IGN || (handler == SIG_DFL && (DEFAULT_IGNORE & BIT(number)));
}

bool signal_waiting(const struct task *task)
{
    const uint64_t candidates = task->pending & ~(task->blocked & ~UNBLOCKABLE);
    for (uint64_t left = candidates; left; left &= left - 1)
        if (!ignored(task, __builtin_ctzl(left) + 1))
            return true;
    return false;
}

static void resume(struct task *task)
{
    task->pending &= ~DEFAULT_STOP;
    if (task->state != TASK_STOPPED)
        return;
    task->stop_signal = 0;
    task->continued = true;
    sched_ready(task);
}

void signal_send(struct task *task, int number)
{
    if (task->state == TASK_ZOMBIE)
        return;
    if (number == SIGCONT)
        resume(task);
    if (DEFAULT_STOP & BIT(number))
        task->pending &= ~BIT(SIGCONT);
    if (ignored(task, number) && !(task->blocked & BIT(number)))
        return;
    task->pending |= BIT(number);
    if (task->state == TASK_WAITING && signal_waiting(task))
        sched_ready(task);
    else if (task->state == TASK_STOPPED && number == SIGKILL)
        sched_ready(task);
    else
        sched_poke(task);
}

int signal_send_group(int group, int number)
{
    struct task *t, *after;
    int rc = -ESRCH;
    list_for_each_safe(t, after, &all_tasks, link)
    {
        if (t->group != group || t->state == TASK_ZOMBIE)
            continue;
        if (number)
            signal_send(t, number);
        rc = 0;
    }
    return rc;
}

void signal_fault(struct task *task, int number, uint64_t address)
{
    struct linux_sigaction *action = &task->actions[number];
    if ((task->blocked & BIT(number)) || action->handler == SIG_IGN)
        action->handler = SIG_DFL;
    task->blocked &= ~BIT(number);
    task->pending |= BIT(number);
    task->fault_signal = number;
    task->fault_address = address;
}

void signal_reset(struct task *task)
{
    for (int n = 1; n <= SIGNAL_COUNT; n++) {
        const uint64_t keep = task->actions[n].handler == SIG_IGN ? SIG_IGN : SIG_DFL;
        task->actions[n] = (struct linux_sigaction){.handler = keep};
    }
    task->alternate = (struct linux_sigaltstack){.flags = SS_DISABLE};
}

void signal_alarm_over(struct timer *timer)
{
    struct task *task = container_of(timer, struct task, alarm);
    /* From now, not from the old deadline: a tiny interval must not pile up. */
    if (task->alarm_interval)
        timer_start(timer, MAX(timer->deadline, platform_time()) + task->alarm_interval);
    signal_send(task, SIGALRM);
}

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

static void save_context(const struct task *task, const struct frame *f, uint64_t mask,
                         struct linux_ucontext *c)
{
    *c = (struct linux_ucontext){
        .stack = task->alternate,
        .r8 = f->r8,
        .r9 = f->r9,
        .r10 = f->r10,
        .r11 = f->r11,
        .r12 = f->r12,
        .r13 = f->r13,
        .r14 = f->r14,
        .r15 = f->r15,
        .rdi = f->rdi,
        .rsi = f->rsi,
        .rbp = f->rbp,
        .rbx = f->rbx,
        .rdx = f->rdx,
        .rax = f->rax,
        .rcx = f->rcx,
        .rsp = f->rsp,
        .rip = f->rip,
        .rflags = f->rflags,
        .cs = 0x33,
        .ss = 0x2b,
        .trap = f->vector,
        .cr2 = task->fault_address,
        .mask = mask,
    };
}

static bool on_alternate(const struct task *task, uint64_t sp)
{
    return sp - task->alternate.sp < task->alternate.size;
}

/* Lay out the handler's frame and point @frame at the handler. */
static int enter_handler(struct task *task, struct frame *frame, int number, uint64_t mask)
{
    const struct linux_sigaction *action = &task->actions[number];
    struct signal_frame s = {.restorer = action->restorer};
    uint64_t sp = frame->rsp - RED_ZONE;

    if ((action->flags & SA_ONSTACK) && !(task->alternate.flags & SS_DISABLE) &&
        !on_alternate(task, frame->rsp))
        sp = task->alternate.sp + task->alternate.size;
    const uint64_t fpu_at = (sp - fpu_size()) & ~63ul;
    const uint64_t at = ((fpu_at - sizeof(s)) & ~15ul) - 8;

    save_context(task, frame, mask, &s.context);
    s.context.fpu = fpu_at;
    s.info.number = number;
    s.info.address = task->fault_address;
    fpu_save(task);
    if (user_write(fpu_at, task->fpu, fpu_size()) || user_write(at, &s, sizeof(s)))
        return -EFAULT;

    frame->rip = action->handler;
    frame->rsp = at;
    frame->rdi = number;
    frame->rsi = at + offsetof(struct signal_frame, info);
    frame->rdx = at + offsetof(struct signal_frame, context);
    frame->rax = 0;
    frame->rflags &= ~(uint64_t)(RFLAGS_DF | RFLAGS_TF);
    return 0;
}

long signal_return(struct frame *frame)
{
    struct task *const task = task_current();
    struct linux_ucontext c;
    const uint64_t at = frame->rsp - 8 + offsetof(struct signal_frame, context);

    if (user_read(&c, at, sizeof(c)) || c.rip >= USER_END ||
        (c.fpu && user_read(task->fpu, c.fpu, fpu_size()))) {
        signal_fault(task, SIGSEGV, at);
        return 0;
    }
    if (c.fpu) {
        fpu_mend(task);
        fpu_load(task);
    }
    task->blocked = c.mask & ~UNBLOCKABLE;
    frame->r8 = c.r8, frame->r9 = c.r9, frame->r10 = c.r10, frame->r11 = c.r11;
    frame->r12 = c.r12, frame->r13 = c.r13, frame->r14 = c.r14, frame->r15 = c.r15;
    frame->rdi = c.rdi, frame->rsi = c.rsi, frame->rbp = c.rbp, frame->rbx = c.rbx;
    frame->rdx = c.rdx, frame->rcx = c.rcx, frame->rsp = c.rsp, frame->rip = c.rip;
    frame->rflags = (frame->rflags & ~(uint64_t)RFLAGS_USER_MASK) | (c.rflags & RFLAGS_USER_MASK);
    frame->vector = 0; /* not a system call any more: do not restart it */
    return c.rax;
}

static void stop(struct task *task, int number)
{
    task->stop_signal = number;
    task->state = TASK_STOPPED;
    signal_send(task->parent, SIGCHLD);
    wait_wake(&task->parent->child_wait);
    sched_switch();
}

static void default_action(struct task *task, int number)
{
    if (DEFAULT_STOP & BIT(number))
        stop(task, number);
    else if (!(DEFAULT_IGNORE & BIT(number)))
        task_exit(number);
}

/* The next signal to act upon, no longer pending; 0 if there is none. */
static int take_signal(struct task *task)
{
    uint64_t candidates = task->pending & ~(task->blocked & ~UNBLOCKABLE);
    for (; candidates; candidates &= candidates - 1) {
        const int number = __builtin_ctzl(candidates) + 1;
        const bool forced = number == task->fault_signal;
        task->pending &= ~BIT(number);
        if (forced)
            task->fault_signal = 0;
        if (forced || !ignored(task, number))
            return number;
    }
    return 0;
}

void signal_deliver(struct frame *frame)
{
    struct task *const task = task_current();
    int number;

    while ((number = take_signal(task))) {
        struct linux_sigaction *action = &task->actions[number];
        if (action->handler == SIG_DFL || action->handler == SIG_IGN || number == SIGKILL) {
            default_action(task, number);
            continue;
        }
        settle_restart(frame, action->flags & SA_RESTART);
        const uint64_t mask = task->restore_blocked ? task->blocked_saved : task->blocked;
        task->restore_blocked = false;
        if (enter_handler(task, frame, number, mask)) {
            task_exit(SIGSEGV);
        }
        task->blocked |= action->mask & ~UNBLOCKABLE;
        if (!(action->flags & SA_NODEFER))
            task->blocked |= BIT(number);
        if (action->flags & SA_RESETHAND)
            action->handler = SIG_DFL;
        frame->vector = 0;
    }
    settle_restart(frame, true);
    if (task->restore_blocked) {
        task->blocked = task->blocked_saved;
        task->restore_blocked = false;
    }
}
