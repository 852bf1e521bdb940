/*
 * Questions to a kernel about several processors, asked from inside, answered in
 * TAP.  It runs on one CPU as well, where it asks about preemption.
 *
 * A question about a race is asked many times, on all CPUs; an answer that is
 * wrong once is wrong.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE   4096
#define MANY   8 /* processes at once */
#define ROUNDS 50

static int asked, cpus;

static void result(int good, const char *what)
{
    printf("%s %d - %s\n", good ? "ok" : "not ok", ++asked, what);
    fflush(stdout);
}

static void *shared_page(void)
{
    return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static int go_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set);
}

static void go_anywhere(void)
{
    cpu_set_t set;
    memset(&set, 0xff, sizeof(set));
    sched_setaffinity(0, sizeof(set), &set);
}

/* True if the child ended with status 0. */
static int reap(pid_t pid)
{
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* ---- Being somewhere ---- */

static void check_affinity(void)
{
    cpu_set_t set;
    int good = 1;
    for (int i = 0; i < ROUNDS; i++) {
        const int cpu = i % cpus;
        good &= !go_to(cpu) && sched_getcpu() == cpu;
        good &= !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) == 1;
    }
    result(good, "a process is where it asked to be, at once");
    if (go_to(0) == 0 && reap(fork() ?: (_exit(sched_getcpu() != 0), 0)))
        result(1, "a child may be where its parent may");
    else
        result(0, "a child may be where its parent may");
    go_anywhere();
    result(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == cpus,
           "everywhere is as many CPUs as there are");
}

/* Each waits for all others without a system call: on too few CPUs they must be interrupted. */
static void check_together(void)
{
    volatile int *here = shared_page();
    pid_t child[MANY];
    int good = 1;
    for (int i = 0; i < MANY; i++) {
        child[i] = fork();
        if (child[i])
            continue;
        __atomic_fetch_add(here, 1, __ATOMIC_SEQ_CST);
        while (*here < MANY)
            ;
        _exit(0);
    }
    for (int i = 0; i < MANY; i++)
        good &= reap(child[i]);
    result(good, "processes that wait for each other without the kernel's help all end");
}

/* It never enters the kernel by itself, wherever it is. */
static void check_kill(void)
{
    int good = 1;
    for (int cpu = 0; cpu < cpus; cpu++) {
        volatile int *runs = shared_page();
        int status;
        const pid_t pid = fork();
        if (!pid) {
            go_to(cpu);
            for (*runs = 1;;)
                ;
        }
        while (!*runs)
            sched_yield();
        kill(pid, SIGKILL);
        good &= waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
    }
    result(good, "a process that only computes can be killed on any CPU");
}

static void check_sleep(void)
{
    const struct timespec span = {.tv_nsec = 2000000};
    int good = 1;
    for (int cpu = 0; cpu < cpus; cpu++) {
        struct timespec before, after;
        go_to(cpu);
        clock_gettime(CLOCK_MONOTONIC, &before);
        good &= nanosleep(&span, NULL) == 0;
        clock_gettime(CLOCK_MONOTONIC, &after);
        good &= (after.tv_sec - before.tv_sec) * 1000000000l + after.tv_nsec - before.tv_nsec >=
                span.tv_nsec;
    }
    go_anywhere();
    result(good, "every CPU has a clock that wakes up");
}

/* Time is compared across CPUs by handing it over in memory. */
static void check_time(void)
{
    volatile uint64_t *last = shared_page();
    pid_t child[MANY];
    int good = 1;
    for (int i = 0; i < MANY; i++) {
        child[i] = fork();
        if (child[i])
            continue;
        for (int n = 0; n < 2000; n++) {
            struct timespec t;
            const uint64_t seen = __atomic_load_n(last, __ATOMIC_SEQ_CST);
            clock_gettime(CLOCK_MONOTONIC, &t);
            const uint64_t now = t.tv_sec * 1000000000ull + t.tv_nsec;
            if (now < seen)
                _exit(1);
            __atomic_store_n(last, now, __ATOMIC_SEQ_CST);
        }
        _exit(0);
    }
    for (int i = 0; i < MANY; i++)
        good &= reap(child[i]);
    result(good, "time does not go back from one CPU to another");
}

/* ---- Registers ---- */

static double settled(double x)
{
    for (int i = 0; i < 200000; i++)
        x = x * 0.999 + 1.0 / (i + 1);
    return x;
}

static void check_registers(void)
{
    pid_t child[MANY];
    int good = 1;
    double expected[MANY];
    for (int i = 0; i < MANY; i++)
        expected[i] = settled(i);
    for (int i = 0; i < MANY; i++) {
        child[i] = fork();
        if (child[i])
            continue;
        for (int n = 0; n < 10; n++) {
            go_to((i + n) % cpus);
            if (settled(i) != expected[i])
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < MANY; i++)
        good &= reap(child[i]);
    result(good, "floating point survives moving from CPU to CPU");
}

static int has_avx(void)
{
    uint32_t a = 1, b, c, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    if (!(c & 1u << 27) || !(c & 1u << 28))
        return 0;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & 6) == 6;
}

/* The upper half of a register through switches; compilers need not know AVX for this. */
static int avx_keeps(uint64_t value)
{
    uint64_t in[4] = {value, value + 1, value + 2, value + 3}, out[4];
    __asm__ volatile("vmovups %0, %%ymm7" : : "m"(in) : "xmm7");
    for (int i = 0; i < 5; i++)
        sched_yield();
    __asm__ volatile("vmovups %%ymm7, %0" : "=m"(out) : : "xmm7");
    return !memcmp(in, out, sizeof(in));
}

static void check_avx(void)
{
    if (!has_avx()) {
        printf("ok %d - AVX registers survive # SKIP there is no AVX\n", ++asked);
        return;
    }
    pid_t child[MANY];
    int good = 1;
    for (int i = 0; i < MANY; i++) {
        child[i] = fork();
        if (child[i])
            continue;
        for (int n = 0; n < 50; n++)
            if (go_to((i + n) % cpus) || !avx_keeps(i * 1000 + n))
                _exit(1);
        _exit(0);
    }
    for (int i = 0; i < MANY; i++)
        good &= reap(child[i]);
    result(good, "AVX registers survive");
}

/* ---- One memory, several CPUs ---- */

static volatile int stop;
static char *volatile page;

static void *count(void *argument)
{
    volatile uint64_t *counter = argument;
    while (!stop)
        ++*counter;
    return NULL;
}

/*
 * A thread writes all the time; a child made meanwhile must see a memory that
 * stands still.  Were a CPU to go on writing through what it remembers of the
 * page, it would write into the child's.
 */
static void check_fork_and_write(void)
{
    static uint64_t counter;
    pthread_t thread;
    int good = 1;

    stop = 0;
    if (pthread_create(&thread, NULL, count, &counter)) {
        result(0, "a thread");
        return;
    }
    for (int i = 0; i < ROUNDS; i++) {
        const pid_t pid = fork();
        if (!pid) {
            const uint64_t first = *(volatile uint64_t *)&counter;
            usleep(2000); /* for the writer to be running */
            _exit(*(volatile uint64_t *)&counter != first);
        }
        good &= reap(pid);
    }
    stop = 1;
    pthread_join(thread, NULL);
    result(good, "after fork, a thread of the parent does not write into the child");
}

static __thread sigjmp_buf back;
static volatile int faults;

static void on_fault(int signal)
{
    siglongjmp(back, 1);
}

/* Read the page until it is gone. */
static void *look(void *argument)
{
    volatile int *ready = argument;
    if (sigsetjmp(back, 1) == 0) {
        *ready = 1;
        while (!stop)
            (void)*(volatile char *)page;
        return NULL;
    }
    __atomic_fetch_add(&faults, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* All threads read a page when @take takes it away: all must notice. */
static int all_notice(void (*take)(void))
{
    enum { READERS = 3 };
    pthread_t thread[READERS];
    volatile int ready[READERS] = {0};

    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 1;
    faults = stop = 0;
    for (int i = 0; i < READERS; i++)
        if (pthread_create(&thread[i], NULL, look, (void *)&ready[i]))
            return 0;
    for (int i = 0; i < READERS; i++)
        while (!ready[i])
            sched_yield();
    take();
    for (int i = 0; i < 2000 && faults < READERS; i++)
        usleep(1000);
    stop = 1;
    for (int i = 0; i < READERS; i++)
        pthread_join(thread[i], NULL);
    return faults == READERS;
}

static void take_by_munmap(void)
{
    munmap(page, PAGE);
}

static void take_by_mprotect(void)
{
    mprotect(page, PAGE, PROT_NONE);
}

static void check_flush(void)
{
    struct sigaction action = {.sa_handler = on_fault}, old;
    int gone = 1, forbidden = 1;
    sigaction(SIGSEGV, &action, &old);
    for (int i = 0; i < 10 && gone && forbidden; i++) {
        gone &= all_notice(take_by_munmap);
        forbidden &= all_notice(take_by_mprotect);
    }
    sigaction(SIGSEGV, &old, NULL);
    result(gone, "what one thread unmaps is gone for all");
    result(forbidden, "what one thread protects is protected from all");
}

static void *touch(void *argument)
{
    volatile char *memory = argument;
    uintptr_t bad = 0;
    for (int i = 0; i < 64; i++)
        bad += __atomic_fetch_add(&memory[i * PAGE], 1, __ATOMIC_SEQ_CST) < 0;
    return (void *)bad;
}

/* Several threads touch the same pages first: each page must come once. */
static void check_faults(void)
{
    int good = 1;
    for (int round = 0; round < 10; round++) {
        pthread_t thread[4];
        char *m = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < 4; i++)
            good &= !pthread_create(&thread[i], NULL, touch, m);
        for (int i = 0; i < 4; i++)
            pthread_join(thread[i], NULL);
        for (int i = 0; i < 64; i++)
            good &= m[i * PAGE] == 4;
        munmap(m, 64 * PAGE);
    }
    result(good, "threads that touch a page at the same time get the same page");
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long guarded;

static void *add(void *argument)
{
    for (int i = 0; i < 3000; i++) {
        pthread_mutex_lock(&lock);
        guarded++;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void check_mutex(void)
{
    pthread_t thread[4];
    int good = 1;
    for (int i = 0; i < 4; i++)
        good &= !pthread_create(&thread[i], NULL, add, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    result(good && guarded == 4 * 3000, "a mutex keeps threads apart");
}

/* ---- A lot at once ---- */

/* Fork, exec, pipe, map: what the kernel does under its lock, from all sides. */
static int mixture(const char *self, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        int ends[2];
        char text[8] = "", *m;
        if (pipe(ends))
            return 1;
        const pid_t pid = fork();
        if (!pid) {
            char fd[12];
            snprintf(fd, sizeof(fd), "%d", ends[1]);
            execl(self, self, "write", fd, NULL);
            _exit(1);
        }
        close(ends[1]);
        m = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(m, i, 16 * PAGE);
        if (read(ends[0], text, sizeof(text)) != 5 || strcmp(text, "hello") || !reap(pid))
            return 1;
        if (m[15 * PAGE] != (char)i || munmap(m, 16 * PAGE))
            return 1;
        close(ends[0]);
    }
    return 0;
}

static void check_mixture(const char *self, int rounds)
{
    pid_t child[MANY];
    int good = 1;
    for (int i = 0; i < MANY; i++) {
        child[i] = fork();
        if (!child[i])
            _exit(mixture(self, rounds));
    }
    for (int i = 0; i < MANY; i++)
        good &= reap(child[i]);
    result(good, "fork, exec, pipe, map, from eight processes at once");
}

static uint64_t free_memory(void)
{
    struct sysinfo info;
    sysinfo(&info);
    return info.freeram * info.mem_unit;
}

/* The dead are reaped by a kernel thread: it gets its turn before the memory is counted. */
static void check_leaks(const char *self)
{
    struct utsname u;
    uname(&u);
    const int alone = strstr(u.version, "pv-guest") != NULL;
    uint64_t before = 0, after = 1;
    for (int i = 0; i < 10 && before != after; i++) {
        before = free_memory();
        for (int n = 0; n < 20; n++) {
            go_to(n % cpus);
            mixture(self, 1);
        }
        go_anywhere();
        usleep(1000);
        after = free_memory();
    }
    if (alone && before != after)
        printf("# %ld bytes are gone\n", (long)(before - after));
    result(!alone || before == after, "nothing leaks");
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "write"))
        return write(atoi(argv[2]), "hello", 5) != 5;
    const char *self = argv[0][0] == '/' ? argv[0] : "/bin/parallel";
    const int rounds = argc > 1 ? atoi(argv[1]) : 10;

    cpus = sysconf(_SC_NPROCESSORS_ONLN);
    printf("# %d CPUs\n", cpus);
    check_affinity();
    check_together();
    check_kill();
    check_sleep();
    check_time();
    check_registers();
    check_avx();
    check_fork_and_write();
    check_flush();
    check_faults();
    check_mutex();
    check_mixture(self, rounds);
    if (argc > 2 && !strcmp(argv[2], "beside"))
        result(1, "nothing leaks # SKIP others run beside this program, with memory of their own");
    else
        check_leaks(self);
    printf("1..%d\n", asked);
    return 0;
}
