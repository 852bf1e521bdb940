/* A line for each system call, and one for its result, as the command line may ask (strace=1). */
#include "errno.h"
#include "print.h"
#include "syscall.h"
#include "task.h"
#include "text.h"

static const struct {
    const char *name, *arguments;
} calls[SYSCALL_END] = {
#define CALL_NAME(number, name, arguments) [number] = {#name, arguments},
#define NONE_NAME(number, name)            [number] = {#name, "xxxxxx"},
    SYSCALL_LIST(CALL_NAME, NONE_NAME)};

static const char *const errors[] = {
#define ERROR_NAME(name, number) [number] = #name,
    ERRNO_LIST(ERROR_NAME)};

const char *syscall_name(uint64_t number)
{
    return number < SYSCALL_END && calls[number].name ? calls[number].name : "unknown";
}

/* The start of a text of the process, with a point for what is no letter. */
static void show_text(user_t from)
{
    char text[64];
    const long n = user_read_text(text, from, sizeof(text));
    if (n == -EFAULT) {
        print("0x%lx", from);
        return;
    }
    text[sizeof(text) - 1] = 0;
    for (char *c = text; *c; c++)
        *c = *c < 32 ? '.' : *c;
    print("\"%s\"%s", text, n < 0 ? "..." : "");
}

static void syscall_trace_show(char kind, uint64_t value)
{
    if (kind == 's')
        show_text(value);
    else if (kind == 'd')
        print("%ld", value <= ~0u ? (long)(int)value : (long)value);
    else if (kind == 'u')
        print("%lu", value);
    else if (kind == 'o')
        print("0%o", (unsigned)value);
    else if (kind == '*' && !value)
        print("NULL");
    else
        print("0x%lx", value);
}

void syscall_trace_call(uint64_t number, const struct syscall_args *a)
{
    const char *kinds =
        number < SYSCALL_END && calls[number].name ? calls[number].arguments : "xxxxxx";
    print("[%d] %s(", task_current()->tid, syscall_name(number));
    for (unsigned i = 0; kinds[i]; i++) {
        if (i)
            print(", ");
        syscall_trace_show(kinds[i], a->arg[i]);
    }
    print(")\n");
}

void syscall_trace_result(uint64_t number, long result)
{
    const unsigned error = result < 0 && result > -4096 ? -result : 0;
    print("[%d] %s = ", task_current()->tid, syscall_name(number));
    if (error == ERESTART)
        print("interrupted\n");
    else if (error && error < ARRAY_SIZE(errors) && errors[error])
        print("-1 %s\n", errors[error]);
    else
        print(result > 0xffffff ? "0x%lx\n" : "%ld\n", result);
}
