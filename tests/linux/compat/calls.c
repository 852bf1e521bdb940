/*
 * 32-bit system calls by each instruction there is for them: INT 0x80, SYSENTER, SYSCALL, and what the vDSO chooses.
 *
 * Behind SYSENTER and SYSCALL Linux returns to a place in its vDSO, which pops EBP, EDX and ECX and returns: so the stack must be
 * as the vDSO's own code makes it.
 */
#include "runtime.h"
#include <linux/mman.h>

struct registers {
    word ax, bx, cx, dx, si, di, bp, flags;
};

word call_target_; /* what makes the call, with the registers of a system call */
void make_call(struct registers *r);
void by_int80(void);
void by_sysenter(void);
void by_syscall(void);
__asm__("make_call: push %ebp; push %edi; push %esi; push %ebx\n"
        "        mov 20(%esp), %eax; push %eax\n"
        "        mov 4(%eax), %ebx; mov 8(%eax), %ecx; mov 12(%eax), %edx; mov 16(%eax), %esi; mov "
        "20(%eax), %edi\n"
        "        mov 24(%eax), %ebp; mov (%eax), %eax\n"
        "        call *call_target_\n"
        "        pushf; push %eax; mov 8(%esp), %eax\n"
        "        mov %ebx, 4(%eax); mov %ecx, 8(%eax); mov %edx, 12(%eax); mov %esi, 16(%eax); mov "
        "%edi, 20(%eax)\n"
        "        mov %ebp, 24(%eax); pop (%eax); pop 28(%eax)\n"
        "        pop %eax; pop %ebx; pop %esi; pop %edi; pop %ebp; ret\n"
        "by_int80: int $0x80; ret\n"
        "by_sysenter: push %ecx; push %edx; push %ebp; mov %esp, %ebp; sysenter\n"
        "by_syscall: push %ecx; push %edx; push %ebp; mov %ecx, %ebp; syscall\n");

static long call_by(long number, word b, word c, word d, word si, word di, word bp)
{
    struct registers r = {(word)number, b, c, d, si, di, bp, 0};

    make_call(&r);
    return (long)r.ax;
}

/* All registers but ax come back. */
static void registers_kept(void)
{
    struct registers r = {NR(getpid), 0x11111111, 0x22222222, 0x33333333,
                          0x44444444, 0x55555555, 0x66666666, 0};

    make_call(&r);
    say("the process: %ld, bx %lx cx %lx dx %lx si %lx di %lx bp %lx, flags %lx\n",
        (long)(r.ax == (word)CALL(NR(getpid))), r.bx, r.cx, r.dx, r.si, r.di, r.bp,
        r.flags & FLAGS_SHOWN & ~0xd5ul);
}

/* mmap2() has six arguments. */
static void six_arguments(void)
{
    const long file = CALL(NR(memfd_create), "six", 0);
    char *page = map_memory(4096, 0);

    for (unsigned i = 0; i < 3; i++) {
        fill(page, 'a' + (int)i, 4096);
        CALL(NR(write), file, page, 4096);
    }
    const long at = call_by(NR(mmap2), (word)page, 8192 - 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED,
                            (word)file, 2);
    say("six arguments: at its place %ld, the third page's byte %lx\n", (long)(at == (long)page),
        (word)page[100]);
    CALL(NR(close), file);
}

static void no_such_call(void)
{
    say("no such call: %ld %ld, a bad pointer %ld\n", call_by(100000, 1, 2, 3, 4, 5, 6),
        call_by(-1, 1, 2, 3, 4, 5, 6), call_by(NR(write), 1, 16, 8, 0, 0, 0));
}

/* A call that a signal interrupts, again and again until its handler gives it what it waits for. */
static int ends[2];
static unsigned alarms;

static void on_alarm(int signal, siginfo_t *info, struct ucontext *context)
{
    (void)signal;
    (void)info;
    (void)context;
    if (++alarms == 3)
        CALL(NR(write), ends[1], "x", 1);
}

static void set_alarm(long microseconds)
{
    const long value[4] = {0, microseconds, 0, microseconds};
    CALL(NR(setitimer), 0, value, 0);
}

static void restarted(void)
{
    char c = 0;

    CALL(NR(pipe), ends);
    on_signal(SIGALRM, on_alarm, SA_RESTART);
    alarms = 0;
    set_alarm(50000);
    const long n = call_by(NR(read), (word)ends[0], (word)&c, 1, 0x44, 0x55, 0x66);
    set_alarm(0);
    say("restarted: %ld, %lx\n", n, (word)c);
    on_signal(SIGALRM, on_alarm, 0);
    alarms = 10;
    set_alarm(50000);
    say("not restarted: %ld\n", call_by(NR(read), (word)ends[0], (word)&c, 1, 0x44, 0x55, 0x66));
    set_alarm(0);
}

static char state_of(long pid)
{
    char name[32] = "/proc/", text[256], *at = name + 6;
    unsigned divisor = 1;

    while (pid / (long)divisor >= 10)
        divisor *= 10;
    for (; divisor; divisor /= 10)
        *at++ = (char)('0' + (unsigned)pid / divisor % 10);
    for (const char *s = "/stat"; *s; s++)
        *at++ = *s;
    *at = 0;
    const long file = CALL(NR(open), name, 0, 0), n = CALL(NR(read), file, text, sizeof(text));
    CALL(NR(close), file);
    for (long i = 0; i + 2 < n; i++)
        if (text[i] == ')')
            return text[i + 2];
    return 0;
}

/* Until it sleeps, or has ended. */
static void wait_asleep(long pid)
{
    char state;

    while ((state = state_of(pid)) && state != 'S' && state != 'Z')
        yield();
}

/* poll() is stopped and goes on by restart_syscall(). */
static void goes_on(void)
{
    int status;

    CALL(NR(pipe), ends);
    const long pid = fork_process();
    if (!pid) {
        struct {
            int file;
            short wanted, got;
        } p = {ends[0], 1, 0};
        const long n = call_by(NR(poll), (word)&p, 1, 1000000, 0x44, 0x55, 0x66);
        leave((int)n == 1 && p.got == 1 ? 7 : 8);
    }
    wait_asleep(pid);
    CALL(NR(kill), pid, SIGSTOP);
    CALL(NR(wait4), pid, &status, 2, 0);
    if ((status & 0xff) != 0x7f) {
        say("stopped and restarted: status %lx\n", (word)status);
        return;
    }
    CALL(NR(kill), pid, SIGCONT);
    wait_asleep(pid);
    CALL(NR(write), ends[1], "x", 1);
    status = wait_process(pid);
    say("stopped and restarted: %lx\n", (word)status);
}

/* Calls that return twice. */
static void forks(void)
{
    const long pid = call_by(NR(fork), 0, 0, 0, 0, 0, 0);

    if (!pid)
        leave(3);
    say("fork: %lx\n", (word)wait_process(pid));
    /* vfork() is not tried: its child would use our stack, and what make_call() pushed is read again. */
    const long child = call_by(NR(clone), SIGCHLD, 0, 0, 0, 0, 0);
    if (!child)
        leave(4);
    say("clone: %lx\n", (word)wait_process(child));
}

/* Flags that the kernel must not take over, and those that are to come back. */
static void flags_kept(void)
{
    static const struct {
        const char *name;
        word flag;
    } flags[] = {{"DF", FLAG_DF}, {"NT", FLAG_NT}, {"AC", FLAG_AC}, {"ID", FLAG_ID}, {"CF", 1}};

    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct registers r = {NR(getpid), 1, 2, 3, 4, 5, 6, 0};
        const long pid = fork_process();
        if (!pid) {
            __asm__ volatile("pushf; orl %0, (%%esp); popf"
                             :
                             : "r"(flags[i].flag)
                             : "memory", "cc");
            make_call(&r);
            __asm__ volatile("push $0x202; popf" : : : "memory", "cc");
            leave(r.flags & flags[i].flag ? 1 : 0);
        }
        say("%s behind it: status %lx\n", flags[i].name, (word)wait_process(pid));
    }
}

/* A clock_gettime() by this way lies between two by INT 0x80. */
static void gettimes(void)
{
    long before[2], by_call[2], after[2];
    unsigned wrong = 0;

    for (unsigned i = 0; i < 1000; i++) {
        CALL(NR(clock_gettime), 1, before);
        call_by(NR(clock_gettime), 1, (word)by_call, 0, 0, 0, 0);
        CALL(NR(clock_gettime), 1, after);
        wrong += by_call[0] < before[0] || by_call[0] > after[0];
    }
    say("a thousand: %ld wrong\n", (long)wrong);
}

static void try_way(word target)
{
    static const struct {
        const char *name;
        void (*ask)(void);
    } questions[] = {
        {"registers", registers_kept}, {"arguments", six_arguments}, {"errors", no_such_call},
        {"restarts", restarted},       {"stops", goes_on},           {"forks", forks},
        {"flags", flags_kept},         {"time", gettimes},
    };

    call_target_ = target;
    for (unsigned i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        const long pid = fork_process();
        if (!pid) {
            questions[i].ask();
            leave(0);
        }
        const int status = wait_process(pid);
        if (status)
            say("%s: status %lx\n", questions[i].name, (word)status);
    }
}

static void int80(void)
{
    try_way((word)by_int80);
}

static void sysenter(void)
{
    try_way((word)by_sysenter);
}

/* An Intel processor has it in 64-bit code only.  QEMU 7.2 executes it, and Linux on the bare machine dies of that. */
static void syscall(void)
{
    if (!is_amd())
        return;
    try_way((word)by_syscall);
}

static void vdso(void)
{
    try_way(auxiliary(32)); /* AT_SYSINFO: __kernel_vsyscall */
}

const struct experiment call_experiments[] = {
    {"calls by INT 0x80: ", int80},
    {"calls by the vDSO: ", vdso},
    {"calls by SYSENTER: ", sysenter},
    {"calls by SYSCALL: ", syscall},
    {0},
};
