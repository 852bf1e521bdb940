/* Signals: sending, waiting for, delivering. */
#pragma once

#include "errno.h"
#include "task.h"

void signal_send(struct task *task, int number);
/* To every task of process group @group; -ESRCH if there is none. */
int signal_send_group(int group, int number);
/* An exception of the running task: cannot be ignored or blocked. */
void signal_fault(struct task *task, int number, uint64_t address);
/* Is there one that would not be ignored or blocked? */
bool signal_waiting(const struct task *task);
/* Called with the frame through which @task returns to its process: enter handlers, die, stop. */
void signal_deliver(struct frame *frame);
/* Has signal_deliver anything to do?  Mostly not, and every system call asks. */
static inline bool signal_due(const struct task *task, const struct frame *frame)
{
    return task->pending || task->restore_blocked || frame->rax == (uint64_t)-ERESTART;
}
/* rt_sigreturn: put back what signal_deliver saved. */
long signal_return(struct frame *frame);
/* A task's alarm timer has expired. */
void signal_alarm_over(struct timer *timer);
/* exec: handlers do not survive. */
void signal_reset(struct task *task);
