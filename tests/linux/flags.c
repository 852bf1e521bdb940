/*
 * What a program does with RFLAGS, and what its kernel makes of it: the same lines on every machine.
 *
 *   flags [bare]    one line an experiment; each runs in a child, which may die of it
 *
 * bare: without those that QEMU's emulator gets wrong on the machine itself (7.2: it reads the stacks of far returns as ring 0, and
 * Linux takes that for a fault of its own).
 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define NT 0x4000u
#define ID 0x200000u

static char alternate[65536];

static void say_and_end(int signal, siginfo_t *i, void *context)
{
    (void)context;
    printf("signal %d, code %d, address %s\n", signal, i->si_code, i->si_addr ? "some" : "none");
    fflush(stdout);
    _exit(0);
}

/* Every fault is said, on a stack that exists. */
static void say_faults(void)
{
    const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP};
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    struct sigaction a = {.sa_sigaction = say_and_end, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigaltstack(&stack, NULL);
    for (unsigned n = 0; n < sizeof(signals) / sizeof(signals[0]); n++)
        sigaction(signals[n], &a, NULL);
}

/* --- system calls with DF set: the kernel's string instructions must not run downwards -------- */

static long call_downwards(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("std; syscall; cld"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static void direction(void)
{
    static char buffer[65536];
    struct utsname u;
    int bad = 0, pipes[2];

    for (int i = 0; i < 100; i++) {
        memset(&u, 0, sizeof(u));
        call_downwards(SYS_uname, (long)&u, 0, 0);
        bad += strcmp(u.sysname, "Linux") != 0;
        call_downwards(SYS_pipe, (long)pipes, 0, 0);
        bad += call_downwards(SYS_write, pipes[1], (long)buffer, 4000) != 4000;
        bad += call_downwards(SYS_read, pipes[0], (long)buffer, 4000) != 4000;
        call_downwards(SYS_close, pipes[0], 0, 0);
        call_downwards(SYS_close, pipes[1], 0, 0);
        if (call_downwards(SYS_fork, 0, 0, 0) == 0)
            _exit(0);
        wait(NULL);
    }
    printf("%d wrong results\n", bad);
}

/* --- flags that a system call and a signal leave alone ---------------------------------------- */

static void kept(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; orl %1, (%%rsp); popfq; mov $39, %%eax; syscall; pushfq; pop %0; "
                     "pushq $0x202; popfq"
                     : "=&r"(flags)
                     : "i"(NT | ID)
                     : "rax", "rcx", "r11", "memory", "cc");
    printf("behind a system call%s%s, IF %u, IOPL %u\n", flags & NT ? " NT" : "",
           flags & ID ? " ID" : "", (unsigned)(flags >> 9 & 1), (unsigned)(flags >> 12 & 3));
}

/* --- a debugger's breakpoint in a register: once, not for ever -------------------------------- */

__attribute__((noinline)) static void spot(void)
{
    __asm__ volatile("nop");
}

static void breakpoint(void)
{
    int status, hits = 0;
    pid_t child = fork();

    if (!child) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        spot();
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[0]), spot) ||
        ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]), 1))
        printf("no debug registers, ");
    while (hits < 20) {
        ptrace(PTRACE_CONT, child, 0, 0);
        waitpid(child, &status, 0);
        if (WIFEXITED(status))
            break;
        hits += WSTOPSIG(status) == SIGTRAP;
    }
    kill(child, SIGKILL);
    printf("hits %d\n", hits);
}

/* --- faults whose error code an emulator, or the CPU, writes for ring 0 ----------------------- */

static void iret_without_stack(void)
{
    __asm__ volatile("mov $0x10000, %rsp; iretq");
}

static void far_return_without_stack(void)
{
    __asm__ volatile("mov $0x10000, %rsp; lretq");
}

static void jump_nowhere(void)
{
    __asm__ volatile("jmp *%0" : : "r"(0x800000000000ul));
}

static void jump_to_kernel(void)
{
    __asm__ volatile("jmp *%0" : : "r"(0xffffffff81000000ul));
}

static void sysenter(void)
{
    __asm__ volatile("std; sysenter");
}

static const struct {
    const char *name;
    void (*run)(void);
    int not_bare;
} experiments[] = {
    {"system calls with DF", direction, 0},
    {"flags", kept, 0},
    {"a breakpoint in a register", breakpoint, 0},
    {"iret without a stack", iret_without_stack, 1},
    {"far return without a stack", far_return_without_stack, 1},
    {"a jump to no address", jump_nowhere, 0},
    {"a jump to the kernel", jump_to_kernel, 0},
    {"sysenter in 64-bit code", sysenter, 0},
};

int main(int count, char **word)
{
    const int bare = count > 1 && !strcmp(word[1], "bare");

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned n = 0; n < sizeof(experiments) / sizeof(experiments[0]); n++) {
        int status = 0;
        if (bare && experiments[n].not_bare)
            continue;
        printf("%s: ", experiments[n].name);
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            say_faults();
            experiments[n].run();
            fflush(stdout);
            _exit(0);
        }
        waitpid(child, &status, 0);
        if (status)
            printf("status %x\n", status);
    }
    return 0;
}
