/*
 * Every way into the kernel, after the platform has made a frame of it.
 */
#include "cpu-time.h"
#include "errno.h"
#include "frame.h"
#include "linux.h"
#include "oom.h"
#include "page.h"
#include "print.h"
#include "signal.h"
#include "syscall.h"
#include "task.h"
#include "user.h"
#include "platform/platform.h"

_Static_assert(offsetof(struct frame, vector) == FRAME_VECTOR, "entry code");
_Static_assert(offsetof(struct frame, error) == FRAME_ERROR, "entry code");
_Static_assert(offsetof(struct frame, rip) == FRAME_RIP, "entry code");
_Static_assert(sizeof(struct frame) == FRAME_SIZE, "entry code");

#define FAULT_WRITE 2
#define FAULT_FETCH 16

/* What a process gets for an exception. */
static const uint8_t exception_signals[32] = {
    [0] = SIGFPE,   [1] = SIGTRAP, [3] = SIGTRAP,  [4] = SIGSEGV, [5] = SIGSEGV, [6] = SIGILL,
    [7] = SIGFPE,   [9] = SIGFPE,  [10] = SIGSEGV, [11] = SIGBUS, [12] = SIGBUS, [13] = SIGSEGV,
    [14] = SIGSEGV, [16] = SIGFPE, [17] = SIGBUS,  [19] = SIGFPE,
};

static unsigned wanted_access(const struct frame *frame)
{
    if (frame->error & FAULT_WRITE)
        return PROT_WRITE;
    return frame->error & FAULT_FETCH ? PROT_EXEC : PROT_READ;
}

/*
 * There is no page for a fault.  A process goes back and faults again, when others
 * have run; the kernel, which copies for it, cannot wait and takes from the reserve.
 */
static int without_memory(struct task *task, uintptr_t address, unsigned want, bool in_kernel)
{
    if (!oom_choose())
        return in_kernel ? -EFAULT : 0;
    if (!in_kernel) {
        sched_ready(task);
        sched_switch();
        return 0;
    }
    page_emergency(true);
    const int rc = space_fault(task->space, address, want);
    page_emergency(false);
    return rc;
}

static void page_fault(struct frame *frame)
{
    const uintptr_t address = platform_fault_address();
    struct task *const task = task_current();
    const uintptr_t fixup = frame_from_user(frame) ? 0 : user_fixup(frame->rip);
    const unsigned want = wanted_access(frame);

    if (!frame_from_user(frame) && (!fixup || address >= USER_END))
        panic_frame(frame, "page fault in the kernel");
    int rc = address < USER_END ? space_fault(task->space, address, want) : -EFAULT;
    if (rc == -ENOMEM)
        rc = without_memory(task, address, want, fixup != 0);
    if (rc == 0)
        return;
    if (fixup) {
        frame->rip = fixup;
        return;
    }
    signal_fault(task, rc == -ENXIO ? SIGBUS : SIGSEGV, address);
}

static void exception(struct frame *frame)
{
    if (!frame_from_user(frame))
        panic_frame(frame, "exception in the kernel");
    signal_fault(task_current(), exception_signals[frame->vector & 31], frame->rip);
}

/* Between the kernel's work and the process: turns end here, signals arrive here. */
static void before_return(struct task *task, struct frame *frame)
{
    do {
        if (signal_due(task, frame))
            signal_deliver(frame);
    } while (sched_fair());
}

void trap_handle(struct frame *frame)
{
    /* Whoever is interrupted elsewhere, copying to or from a process, holds the lock already. */
    const bool from_user = frame_from_user(frame),
               entered = from_user || frame->vector == VECTOR_EVENT;
    struct task *const task = task_current();
    if (from_user)
        cpu_time_enter(task);
    if (entered)
        kernel_lock();
    if (frame->vector == VECTOR_SYSCALL)
        syscall_handle(frame);
    else if (frame->vector == VECTOR_EVENT)
        platform_interrupt();
    else if (frame->vector == VECTOR_PAGE_FAULT)
        page_fault(frame);
    else
        exception(frame);
    if (from_user) {
        before_return(task, frame);
        cpu_time_leave(task);
    }
    if (entered)
        kernel_unlock();
}
