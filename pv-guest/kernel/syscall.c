/* Dispatch of system calls, and a word about those that do not exist. */
#include "errno.h"
#include "print.h"
#include "syscall.h"
#include "task.h"

typedef long (*syscall_handler)(const struct syscall_args *a);

#define SYSCALL_HANDLER(number, name) [number] = syscall_##name,
static const syscall_handler handlers[] = {SYSCALL_LIST(SYSCALL_HANDLER, SYSCALL_NOTHING)};

#define SYSCALL_NAME(number, name) [number] = #name,
static const char *const names[] = {SYSCALL_LIST(SYSCALL_NAME, SYSCALL_NAME)};

static bool tracing;

void syscall_trace(bool on)
{
    tracing = on;
}

static const char *name_of(uint64_t number)
{
    return number < ARRAY_SIZE(names) && names[number] ? names[number] : "unknown";
}

static long missing(uint64_t number)
{
    static bool said[ARRAY_SIZE(names)];
    if (number < ARRAY_SIZE(said) && !said[number]) {
        said[number] = true;
        print_note("system call %lu (%s) is not implemented; %s (pid %d) wants it\n", number,
                   name_of(number), task_current()->name, task_current()->tid);
    }
    return -ENOSYS;
}

void syscall_handle(struct frame *f)
{
    const struct syscall_args a = {
        .arg = {f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9},
        .frame = f,
    };
    const uint64_t number = f->error;
    const bool known = number < ARRAY_SIZE(handlers) && handlers[number];

    if (tracing)
        print("[%d] %s(%lx, %lx, %lx, %lx)\n", task_current()->tid, name_of(number), a.arg[0],
              a.arg[1], a.arg[2], a.arg[3]);
    f->rax = known ? handlers[number](&a) : missing(number);
    if (tracing)
        print("[%d] %s = %ld\n", task_current()->tid, name_of(number), (long)f->rax);
}
