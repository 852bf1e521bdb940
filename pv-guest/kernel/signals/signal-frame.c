/*
 * A signal's way into a process's handler and back.
 *
 * A handler is entered by making room on the process's stack for what Linux puts
 * there,
 *
 *      siginfo | ucontext (registers, mask) | restorer's address  <- rsp
 *
 * with the FPU's registers above, and returning to the handler instead.  The
 * restorer calls rt_sigreturn, which puts it all back.
 */
#include "errno.h"
#include "signal.h"
#include "text.h"
#include "user.h"

#define RED_ZONE 128 /* below a process's rsp, still its own */

struct signal_frame {
    uint64_t restorer;
    struct linux_ucontext context;
    struct linux_siginfo info;
};

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
        .error = f->vector == VECTOR_PAGE_FAULT ? f->error : 0,
        .cr2 = task->fault_address,
        .mask = mask,
    };
}

static bool on_alternate(const struct task *task, uint64_t sp)
{
    return sp - task->alternate.sp < task->alternate.size;
}

int signal_enter(struct task *task, struct frame *frame, const struct signal_info *info,
                 uint64_t mask)
{
    const struct linux_sigaction *action = &task->process->actions[info->number];
    struct signal_frame s = {.restorer = action->restorer};
    uint64_t sp = frame->rsp - RED_ZONE;

    if ((action->flags & SA_ONSTACK) && !(task->alternate.flags & SS_DISABLE) &&
        !on_alternate(task, frame->rsp))
        sp = task->alternate.sp + task->alternate.size;
    const uint64_t fpu_at = (sp - fpu_size()) & ~63ul;
    const uint64_t at = ((fpu_at - sizeof(s)) & ~15ul) - 8;

    save_context(task, frame, mask, &s.context);
    s.context.fpu = fpu_at;
    s.info.number = info->number;
    s.info.code = info->code;
    memcpy(s.info.space, info->words, sizeof(info->words));
    fpu_save(task);
    if (user_write(fpu_at, task->fpu, fpu_size()) || user_write(at, &s, sizeof(s)))
        return -EFAULT;

    frame->rip = action->handler;
    frame->rsp = at;
    frame->rdi = info->number;
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
    signal_block(c.mask);
    frame->r8 = c.r8, frame->r9 = c.r9, frame->r10 = c.r10, frame->r11 = c.r11;
    frame->r12 = c.r12, frame->r13 = c.r13, frame->r14 = c.r14, frame->r15 = c.r15;
    frame->rdi = c.rdi, frame->rsi = c.rsi, frame->rbp = c.rbp, frame->rbx = c.rbx;
    frame->rdx = c.rdx, frame->rcx = c.rcx, frame->rsp = c.rsp, frame->rip = c.rip;
    frame->rflags = (frame->rflags & ~(uint64_t)RFLAGS_USER_MASK) | (c.rflags & RFLAGS_USER_MASK);
    frame->vector = 0; /* not a system call any more: do not restart it */
    return c.rax;
}
