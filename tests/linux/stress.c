/*
 * Stress for a Linux guest: workers that all run at once, each doing one thing
 * again and again and checking its own results.
 *
 *   stress SECONDS
 *
 * There are two processes of each kind, so that on any number of vCPUs they take
 * the CPU from each other in the middle of what they check: vector registers
 * that hold a pattern, a counter in a page whose rights are changing, an alarm
 * on its way.  Prints TAP: a worker that found a wrong result says which, in a
 * comment; one that did nothing in all the time has failed as well.
 *
 * Each kind is a function that does one round and returns NULL or what was wrong.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static uint64_t seed; /* of this worker; no two are the same */

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static char *map(size_t pages)
{
    char *m = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return m == MAP_FAILED ? NULL : m;
}

/* --- Registers ----------------------------------------------------------- */

/* Sixteen vector registers hold a pattern while others have the CPU, also across a system call. */
#define HOLD(width, move)                                                                       \
    __attribute__((noinline, target(width))) static void hold_##move(const char *in, char *out, \
                                                                     long spins)                \
    {                                                                                           \
        __asm__ volatile(                                                                       \
            EACH_REGISTER(LOAD_##move) "mov $24, %%eax\n\tsyscall\n\t" /* yield */              \
                                       "1: dec %2\n\tjnz 1b\n\t" EACH_REGISTER(STORE_##move)    \
            : "+r"(in), "+r"(out), "+r"(spins)                                                  \
            :                                                                                   \
            : "rax", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",    \
              "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",      \
              "xmm15");                                                                         \
    }
#define EACH_REGISTER(M) \
    M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define LOAD_sse(n)  "movdqu " #n "*32(%0), %%xmm" #n "\n\t"
#define STORE_sse(n) "movdqu %%xmm" #n ", " #n "*32(%1)\n\t"
#define LOAD_avx(n)  "vmovdqu " #n "*32(%0), %%ymm" #n "\n\t"
#define STORE_avx(n) "vmovdqu %%ymm" #n ", " #n "*32(%1)\n\t"
HOLD("sse2", sse)
HOLD("avx", avx)

static const char *vectors(void)
{
    enum { BYTES = 16 * 32 };
    static char in[BYTES], out[BYTES];
    const bool avx = __builtin_cpu_supports("avx");

    for (int i = 0; i < BYTES; i += 8)
        *(uint64_t *)(in + i) = random_number();
    memcpy(out, in, BYTES);
    for (int i = 0; i < 16; i++)
        memset(out + i * 32, 0, avx ? 32 : 16);
    if (avx)
        hold_avx(in, out, 20000);
    else
        hold_sse(in, out, 20000);
    return memcmp(in, out, BYTES) ? "a vector register changed" : NULL;
}

/* Rounding mode and precision are the process's own; so are sums that take long. */
static const char *floating(void)
{
    const uint32_t mxcsr = 0x1f80 | (uint32_t)(random_number() & 3) << 13;
    const uint16_t control = 0x37f & (uint16_t) ~((random_number() & 1) << 9);
    uint32_t mxcsr_after;
    uint16_t control_after;
    long double x87 = 0;
    double sse = 0;

    __asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(control));
    for (int i = 1; i <= 2000; i++) {
        x87 += i; /* whole numbers: every rounding gives the same */
        sse += (double)i * i;
        if (i % 500 == 0)
            sched_yield();
    }
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr_after), "=m"(control_after));
    const uint32_t plain = 0x1f80;
    const uint16_t plain_control = 0x37f;
    __asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(plain), "m"(plain_control));
    if ((mxcsr_after & ~0x3fu) != mxcsr || control_after != control)
        return "MXCSR or the x87's control word changed";
    return x87 != 2001000 || sse != 2668667000.0 ? "a sum is wrong" : NULL;
}

/* A segment of the LDT, and the thread's own: GS with a base. */
static const char *segments(void)
{
    static uint64_t cell;
    const unsigned entry = 5;
    struct user_desc d = {
        .entry_number = entry, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1};
    char *low = mmap((void *)0x10000000, PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    const char *wrong = NULL;

    if (low == MAP_FAILED)
        return "mmap";
    d.base_addr = 0x10000000;
    *(uint64_t *)low = cell = random_number();
    if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
        return "modify_ldt";
    __asm__ volatile("mov %0, %%gs" : : "r"((unsigned short)(entry * 8 + 7)));
    for (int i = 0; i < 10 && !wrong; i++) {
        uint64_t seen;
        sched_yield();
        __asm__ volatile("mov %%gs:0, %0" : "=r"(seen));
        if (seen != cell)
            wrong = "GS names another segment";
    }
    __asm__ volatile("mov %0, %%gs" : : "r"((unsigned short)0));
    memset(&d, 0, sizeof(d));
    d.entry_number = entry;
    d.read_exec_only = d.seg_not_present = 1;
    syscall(SYS_modify_ldt, 1, &d, sizeof(d));
    munmap(low, PAGE);
    return wrong;
}

/* --- Memory -------------------------------------------------------------- */

static sigjmp_buf fault_jump;
static volatile uintptr_t fault_address;

static void on_fault(int number, siginfo_t *info, void *context)
{
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(fault_jump, number);
}

/* Does a write to @p fault, at @p? */
static bool write_faults(char *p)
{
    fault_address = 0;
    if (sigsetjmp(fault_jump, 1) == 0) {
        *(volatile char *)p = 1;
        return false;
    }
    return fault_address == (uintptr_t)p;
}

static const char *memory(void)
{
    enum { PAGES = 64 };
    const uint64_t mark = random_number();
    char *m = map(PAGES);
    struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &a, NULL);
    if (!m)
        return "mmap";
    for (int i = 0; i < PAGES; i++)
        *(uint64_t *)(m + i * PAGE) = mark + i;
    const int hole = (int)(random_number() % PAGES);
    mprotect(m + hole * PAGE, PAGE, PROT_READ);
    if (!write_faults(m + hole * PAGE))
        return "a page without write permission could be written";
    mprotect(m + hole * PAGE, PAGE, PROT_READ | PROT_WRITE);
    if (write_faults(m + hole * PAGE + 8))
        return "a page with write permission could not be written";
    m = mremap(m, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE);
    if (m == MAP_FAILED)
        return "mremap";
    for (int i = 0; i < PAGES; i++)
        if (*(uint64_t *)(m + i * PAGE) != mark + i)
            return "memory changed";
    for (int i = PAGES; i < 2 * PAGES; i++)
        if (*(uint64_t *)(m + i * PAGE) != 0)
            return "new memory is not zero";
    munmap(m, 2 * PAGES * PAGE);
    return write_faults(m) ? NULL : "memory that was given back could be written";
}

/* A child writes to what it shares with its parent, and neither sees the other's. */
static const char *copies(void)
{
    enum { PAGES = 32 };
    char *m = map(PAGES);
    int status;

    if (!m)
        return "mmap";
    memset(m, 'p', PAGES * PAGE);
    pid_t child = fork();
    if (child < 0)
        return "fork";
    if (child == 0) {
        for (int i = 0; i < PAGES * PAGE; i += 64)
            if (m[i] != 'p')
                _exit(1);
        memset(m, 'c', PAGES * PAGE);
        sched_yield();
        _exit(m[0] == 'c' && m[PAGES * PAGE - 1] == 'c' ? 42 : 2);
    }
    memset(m, 'q', PAGES / 2 * PAGE);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 42)
        return "the child saw something else";
    for (int i = 0; i < PAGES * PAGE; i++)
        if (m[i] != (i < PAGES / 2 * PAGE ? 'q' : 'p'))
            return "the parent saw the child's writes";
    munmap(m, PAGES * PAGE);
    return NULL;
}

/* --- Threads ------------------------------------------------------------- */

/*
 * One thread writes to a page as fast as it can, another takes the permission
 * away.  From mprotect()'s return on nothing may change there: every CPU's TLB
 * must have forgotten it.
 */
static volatile uint64_t *raced;
static volatile bool race_over;
static __thread sigjmp_buf race_jump;

static void on_race_fault(int number)
{
    siglongjmp(race_jump, 1);
}

static void *race_writer(void *unused)
{
    while (!race_over) {
        sigsetjmp(race_jump, 1);
        while (!race_over)
            ++*raced;
    }
    return NULL;
}

static const char *shootdown(void)
{
    const char *wrong = NULL;
    pthread_t thread;

    signal(SIGSEGV, on_race_fault);
    raced = (volatile uint64_t *)map(1);
    race_over = false;
    if (!raced || pthread_create(&thread, NULL, race_writer, NULL))
        return "a thread";
    for (int i = 0; i < 20 && !wrong; i++) {
        const uint64_t before = *raced;
        for (int patience = 0; *raced == before && patience < 1000; patience++)
            sched_yield();
        mprotect((void *)raced, PAGE, PROT_READ);
        const uint64_t at_rest = *raced;
        for (volatile int spin = 0; spin < 5000; spin++)
            ;
        sched_yield();
        if (*raced != at_rest)
            wrong = "a page was written after its permission was taken";
        mprotect((void *)raced, PAGE, PROT_READ | PROT_WRITE);
    }
    race_over = true;
    pthread_join(thread, NULL);
    munmap((void *)raced, PAGE);
    return wrong;
}

enum { THREADS = 4, TURNS = 500 };
static pthread_mutex_t counter_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_taken = PTHREAD_COND_INITIALIZER;
static uint64_t counter;
static int whose_turn;
static __thread uint64_t own;

static void *count_in_turn(void *argument)
{
    const int me = (int)(intptr_t)argument;
    for (int i = 0; i < TURNS; i++) {
        pthread_mutex_lock(&counter_lock);
        counter++;
        own += (uint64_t)me;
        pthread_mutex_unlock(&counter_lock);
    }
    for (int i = 0; i < 8; i++) {
        pthread_mutex_lock(&counter_lock);
        while (whose_turn % THREADS != me)
            pthread_cond_wait(&turn_taken, &counter_lock);
        whose_turn++;
        pthread_cond_broadcast(&turn_taken);
        pthread_mutex_unlock(&counter_lock);
    }
    return (void *)(uintptr_t)(own == (uint64_t)me * TURNS);
}

static const char *threads(void)
{
    pthread_t thread[THREADS];
    const char *wrong = NULL;
    counter = 0;
    whose_turn = 0;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, count_in_turn, (void *)(intptr_t)i))
            return "pthread_create";
    for (int i = 0; i < THREADS; i++) {
        void *good;
        pthread_join(thread[i], &good);
        if (!good)
            wrong = "a thread's own variable is wrong";
    }
    return wrong                                                     ? wrong
           : counter != THREADS * TURNS || whose_turn != 8 * THREADS ? "a count is wrong"
                                                                     : NULL;
}

/* --- Processes and pipes ------------------------------------------------- */

static const char *processes(void)
{
    pid_t child[4];
    int status;
    for (int i = 0; i < 4; i++) {
        child[i] = i & 1 ? vfork() : fork();
        if (child[i] < 0)
            return "fork";
        if (child[i] == 0) {
            const char code[2] = {(char)('0' + i), 0};
            execl("/proc/self/exe", "stress", "exit", code, (char *)NULL);
            _exit(99);
        }
    }
    for (int i = 3; i >= 0; i--)
        if (waitpid(child[i], &status, 0) != child[i] || !WIFEXITED(status) ||
            WEXITSTATUS(status) != 40 + i)
            return "a child ended otherwise";
    return NULL;
}

static const char *pipes(void)
{
    enum { SIZE = 20000, TIMES = 20 };
    static unsigned char block[SIZE];
    uint64_t sent = 0, received = 0;
    int p[2], status;

    if (pipe(p))
        return "pipe";
    pid_t child = fork();
    if (child == 0) {
        close(p[0]);
        for (int t = 0; t < TIMES; t++) {
            for (int i = 0; i < SIZE; i++)
                block[i] = (unsigned char)(i * 7 + t);
            for (int at = 0; at < SIZE;) {
                ssize_t n = write(p[1], block + at, (size_t)(SIZE - at));
                if (n <= 0)
                    _exit(1);
                at += (int)n;
            }
        }
        _exit(0);
    }
    close(p[1]);
    for (int t = 0; t < TIMES; t++)
        for (int i = 0; i < SIZE; i++)
            sent += (uint64_t)((i * 7 + t) & 0xff) * (uint64_t)(i % 31 + 1);
    int place = 0;
    ssize_t n;
    while ((n = read(p[0], block, SIZE)) > 0)
        for (ssize_t i = 0; i < n; i++, place++)
            received += (uint64_t)block[i] * (uint64_t)(place % SIZE % 31 + 1);
    close(p[0]);
    waitpid(child, &status, 0);
    return status || place != SIZE * TIMES || sent != received ? "a pipe changed what went through"
                                                               : NULL;
}

/* --- Time and signals ---------------------------------------------------- */

static volatile sig_atomic_t alarms, queued;

static void on_signal(int number)
{
    if (number == SIGALRM)
        alarms++;
    else
        queued++;
}

static const char *timers(void)
{
    const struct itimerval tick = {{0, 2000}, {0, 2000}}, none = {{0, 0}, {0, 0}};
    const struct itimerspec beat = {{0, 3000000}, {0, 3000000}};
    struct timespec nap = {0, 10000000}, left;
    uint64_t beats = 0;

    signal(SIGALRM, on_signal);
    alarms = 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    const uint64_t start = now_ns();
    timerfd_settime(fd, 0, &beat, NULL);
    setitimer(ITIMER_REAL, &tick, NULL);
    while (nanosleep(&nap, &left) && errno == EINTR)
        nap = left;
    setitimer(ITIMER_REAL, &none, NULL);
    while (read(fd, &beats, sizeof(beats)) != sizeof(beats))
        ;
    const uint64_t took = now_ns() - start;
    close(fd);
    if (took < 10000000)
        return "it slept too short";
    if (alarms == 0 || (uint64_t)alarms > took / 2000000 + 1)
        return "the alarms are too few or too many";
    return beats == 0 || beats > took / 3000000 ? "the timer's beats are too few or too many"
                                                : NULL;
}

/* The clock never goes back, whatever CPU reads it, by vDSO or system call. */
static const char *clocks(void)
{
    uint64_t last = now_ns();
    for (int i = 0; i < 300; i++) {
        struct timespec t;
        uint64_t next;
        if (i % 3) {
            next = now_ns();
        } else {
            syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
            next = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
        }
        if (next < last)
            return "the clock went back";
        last = next;
        if (i % 50 == 0) {
            cpu_set_t cpus;
            CPU_ZERO(&cpus);
            CPU_SET(random_number() % (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
            sched_setaffinity(0, sizeof(cpus), &cpus);
        }
    }
    return NULL;
}

/* Queued signals arrive each once, on a stack of their own. */
static const char *signals(void)
{
    enum { COUNT = 50 };
    static char stack[64 << 10];
    const stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
    int status;

    sigaltstack(&other, NULL);
    sigaction(SIGRTMIN, &a, NULL);
    queued = 0;
    const pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < COUNT; i++)
            while (sigqueue(parent, SIGRTMIN, (union sigval){.sival_int = i}))
                sched_yield();
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return queued != COUNT || status ? "queued signals were lost or doubled" : NULL;
}

/* A debugger: single steps, and a breakpoint in a debug register. */
static volatile int watched;

static const char *tracing(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        for (int i = 0; i < 10; i++)
            watched = i;
        _exit(7);
    }
    const char *wrong = NULL;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        wrong = "no stop";
    for (int i = 0; i < 20 && !wrong; i++) {
        const uint64_t before =
            (uint64_t)ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, regs.rip), NULL);
        ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
            WSTOPSIG(status) != SIGTRAP)
            wrong = "a single step did not trap";
        else if ((uint64_t)ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, regs.rip), NULL) ==
                 before)
            wrong = "a single step stood still";
    }
    ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[0]), &watched);
    ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]),
           0xd0001); /* 4 bytes, written */
    for (int i = 0; i < 10 && !wrong; i++) {
        ptrace(PTRACE_CONT, child, NULL, NULL);
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
            WSTOPSIG(status) != SIGTRAP)
            wrong = "a watched variable did not trap";
        else if ((int)ptrace(PTRACE_PEEKDATA, child, &watched, NULL) != i)
            wrong = "a watched variable has another value";
    }
    ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]), 0);
    ptrace(PTRACE_CONT, child, NULL, NULL);
    waitpid(child, &status, 0);
    return wrong                                           ? wrong
           : WIFEXITED(status) && WEXITSTATUS(status) == 7 ? NULL
                                                           : "the child ended otherwise";
}

/* --- All together -------------------------------------------------------- */

static const struct kind {
    const char *name;
    const char *(*round)(void);
} kinds[] = {
    {"vectors", vectors}, {"floating", floating},   {"segments", segments},
    {"memory", memory},   {"copies", copies},       {"shootdown", shootdown},
    {"threads", threads}, {"processes", processes}, {"pipes", pipes},
    {"timers", timers},   {"clocks", clocks},       {"signals", signals},
    {"tracing", tracing},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), EACH = 2, WORKERS = KINDS * EACH };

/* What the workers tell: written by them, read at the end. */
struct told {
    uint64_t rounds;
    char wrong[100];
};

static void work(const struct kind *k, struct told *told, int number, uint64_t until)
{
    seed = 0x9e3779b97f4a7c15u * (uint64_t)(number + 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    do {
        const char *wrong = k->round();
        if (wrong) {
            snprintf(told->wrong, sizeof(told->wrong), "round %lu: %s (errno %d)",
                     (unsigned long)told->rounds, wrong, errno);
            _exit(1);
        }
        told->rounds++;
    } while (now_ns() < until);
    _exit(0);
}

int main(int argc, char **argv)
{
    if (argc == 3) /* a child of processes() */
        return 40 + argv[2][0] - '0';
    const uint64_t until = now_ns() + (argc > 1 ? (uint64_t)atoi(argv[1]) : 10) * 1000000000u;
    struct told *told = mmap(NULL, sizeof(*told) * WORKERS, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t worker[WORKERS];

    printf("1..%d\n", WORKERS);
    fflush(stdout);
    for (int i = 0; i < WORKERS; i++)
        if ((worker[i] = fork()) == 0)
            work(&kinds[i % KINDS], &told[i], i, until);
    for (int i = 0; i < WORKERS; i++) {
        int status;
        const bool ended = waitpid(worker[i], &status, 0) == worker[i] && status == 0;
        printf("%sok %d - %s: %lu rounds\n", ended && told[i].rounds ? "" : "not ", i + 1,
               kinds[i % KINDS].name, (unsigned long)told[i].rounds);
        if (!ended)
            printf("# %s, status %#x\n", told[i].wrong, (unsigned)status);
        fflush(stdout);
    }
    return 0;
}
