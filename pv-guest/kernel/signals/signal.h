/* Signals: sending, waiting for, delivering. */
#pragma once

#include "errno.h"
#include "process.h"

/* Who sent it: siginfo's code. */
#define SI_USER       0
#define SI_KERNEL     0x80
#define SI_QUEUE      -1
#define SI_TIMER      -2
#define SI_TKILL      -6
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_STOPPED   5
#define CLD_CONTINUED 6

/* To a process: one of its threads takes it. */
void signal_send_info(struct process *process, const struct signal_info *info);
/* The same, from the kernel, which has no more to say. */
void signal_send(struct process *process, int number);
/* To the running task, which writes where nobody will read. */
void signal_broken_pipe(void);
/* To one thread and no other. */
void signal_send_task(struct task *task, const struct signal_info *info);
/* What kill(2) tells: who sends it. */
struct signal_info signal_info_user(int number, int code);
/*
 * What the caller has made up about signal @number, at @from: 0; -EFAULT; -EINVAL if there is no such signal; -EPERM if it
 * pretends to be the kernel's or kill's, which is allowed only to oneself.
 */
MUST_CHECK int signal_info_read(user_t from, int number, bool to_self, struct signal_info *info);
/* To every process of group @group; -ESRCH if there is none. */
int signal_send_group(int group, const struct signal_info *info);
/* From the kernel to every process of @group. */
void signal_group(int group, int number);
/* Something happened to @process that wait4 tells: say so to its parent, with @code CLD_*. */
void signal_parent(struct process *process, int code, int status);

/* An exception of the running task: cannot be ignored or blocked. */
void signal_fault(struct task *task, int number, uint64_t address);
/* Is there one that would not be ignored or blocked? */
bool signal_waiting(const struct task *task);
/* The same for the running task, which waits; if all it has to do is stop, it does so first. */
bool signal_interrupts(struct task *task);
/* Wake all threads of @process but @except: it ends, stops, or loses them. */
void signal_set_pending(struct process *process, const struct task *except);

/* Called with the frame through which @task returns to its process: enter handlers, die, stop. */
void signal_deliver(struct frame *frame);
/* Has signal_deliver anything to do?  Mostly not, and every system call asks. */
static inline bool signal_due(const struct task *task, const struct frame *frame)
{
    return task->signal_pending || frame->rax == (uint64_t)-ERESTART;
}
/* From now on the running task blocks the signals of @mask. */
void signal_block(uint64_t mask);
/* The same until the present system call has returned, or a handler that ends it. */
void signal_block_for_call(uint64_t mask);
/* The next pending signal of @mask to act upon: its number, no longer pending; 0 if none. */
int signal_take(struct task *task, uint64_t mask, struct signal_info *info);
/* rt_sigreturn: put back what signal_deliver saved. */
long signal_return(struct frame *frame);
/* signal-frame.c: have @frame enter the handler of info->number; -EFAULT without a stack. */
MUST_CHECK int signal_enter(struct task *task, struct frame *frame, const struct signal_info *info,
                            uint64_t mask);

/* A process's alarm timer has expired. */
void signal_alarm_over(struct timer *timer);
/* The running process has a new action for @number: if it ignores it, none is pending any more. */
void signal_forget_ignored(int number);
/* exec: handlers do not survive. */
void signal_reset(struct process *process);

#define SIGNAL_BIT(number)  (1ul << ((number)-1))
#define SIGNALS_UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
#define SIGNALS_STOP \
    (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
