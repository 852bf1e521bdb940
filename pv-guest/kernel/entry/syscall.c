/* Dispatch of system calls, and a word about those that do not exist. */
#include "errno.h"
#include "print.h"
#include "syscall.h"
#include "task.h"

typedef long (*syscall_handler)(const struct syscall_args *a);

#define SYSCALL_HANDLER(number, name, arguments) [number] = syscall_##name,
static const syscall_handler handlers[] = {SYSCALL_LIST(SYSCALL_HANDLER, SYSCALL_NOTHING)};

static bool tracing;

void syscall_trace(bool on)
{
    tracing = on;
}

static long missing(uint64_t number)
{
    static bool said[SYSCALL_END];
    if (number < ARRAY_SIZE(said) && !said[number]) {
        said[number] = true;
        print_note("system call %lu (%s) is not implemented; %s (pid %d) wants it\n", number,
                   syscall_name(number), task_current()->name, task_current()->tid);
    }
    return -ENOSYS;
}

static void handle(struct frame *f)
{
    const uint64_t number = f->error;
    const bool known = number < ARRAY_SIZE(handlers) && handlers[number];

    f->rax = known ? handlers[number](&f->args) : missing(number);
}

static void trace(struct frame *f)
{
    const uint64_t number = f->error; /* exec makes another frame of it */

    syscall_trace_call(number, &f->args);
    handle(f);
    syscall_trace_result(number, f->rax);
}

void syscall_handle(struct frame *f)
{
    if (tracing)
        trace(f);
    else
        handle(f);
}
