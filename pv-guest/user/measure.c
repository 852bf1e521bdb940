/*
 * What the kernel's services cost a process, in ticks of the TSC.
 *
 * Under QEMU's `-icount shift=0` a tick is one executed instruction, the
 * hypervisor's included, so the numbers repeat.  One file for every kernel that
 * runs static Linux binaries: pv-guest, and Linux itself on the bare machine, on
 * Paravane and on Xen (tests/bench/linux).  One line each: `bench: NAME = TICKS`,
 * ticks per operation; a service that the kernel does not have gets no line.
 *
 * As the first process (rdinit=/bin/measure) it also tells the TSC that it found
 * at its first instruction, and powers the machine off at the end.
 *   measure          measure everything
 *   measure WORD     the program that fork+exec starts: end at once
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 1000, FILE_PAGES = 256, RING = 8 };

static uint64_t ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

__attribute__((noinline)) static void report(const char *name, uint64_t value)
{
    printf("bench: %s = %lu\n", name, (unsigned long)value);
    fflush(stdout);
}

#define MEASURE(name, count, operation)            \
    do {                                           \
        const uint64_t start = ticks();            \
        for (int i = 0; i < (count); i++)          \
            operation;                             \
        report(name, (ticks() - start) / (count)); \
    } while (0)

static void give_up(const char *what)
{
    printf("measure: %s failed\n", what);
    fflush(stdout);
    exit(1);
}

/* --- Processes ----------------------------------------------------------- */

static void fork_exit(void)
{
    if (fork() == 0)
        _exit(0);
    wait(NULL);
}

static void vfork_exit(void)
{
    if (vfork() == 0)
        _exit(0);
    wait(NULL);
}

static void fork_exec(const char *self)
{
    if (fork() == 0) {
        execl(self, self, "nothing", (char *)NULL);
        _exit(1);
    }
    wait(NULL);
}

static void *no_work(void *argument)
{
    return argument;
}

static int create_and_join(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, no_work, NULL) || pthread_join(thread, NULL);
}

/* --- Memory -------------------------------------------------------------- */

static char *map(size_t size)
{
    char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED)
        give_up("mmap");
    return m;
}

static void map_touch_unmap(void)
{
    const size_t size = 1 << 20;
    char *m = map(size);
    for (size_t at = 0; at < size; at += PAGE)
        m[at] = 1;
    munmap(m, size);
}

static void measure_memory(void)
{
    char *m = map(PAGES * PAGE);
    MEASURE("page fault, anonymous", PAGES, m[i * PAGE] = 1);
    fflush(stdout);
    if (fork() == 0) {
        MEASURE("page fault, copy on write", PAGES, m[i * PAGE] = 2);
        _exit(0);
    }
    wait(NULL);
    const uint64_t start = ticks();
    munmap(m, PAGES * PAGE);
    report("munmap, per page", (ticks() - start) / PAGES);
    MEASURE("mmap 1 MiB, touch, munmap", 10, map_touch_unmap());
}

static void measure_file_fault(void)
{
    static const char name[] = "/measure.tmp";
    static char page[PAGE];
    volatile char sum = 0;
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

    for (int i = 0; i < FILE_PAGES; i++)
        if (fd < 0 || write(fd, page, PAGE) != PAGE)
            return;
    char *m = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (m != MAP_FAILED) {
        MEASURE("page fault, file, read", FILE_PAGES, sum += m[i * PAGE]);
        MEASURE("page fault, file, write", FILE_PAGES, m[i * PAGE] = 1);
        munmap(m, FILE_PAGES * PAGE);
    }
    close(fd);
    unlink(name);
}

/* --- Pipes --------------------------------------------------------------- */

/* A ring of @n processes, this one among them, that pass a byte round and round. */
struct ring {
    int in, out;
    pid_t child[RING];
    int children;
};

static void ring_open(struct ring *r, int n)
{
    int first[2], next[2];
    if (pipe(first))
        give_up("pipe");
    int in = first[0];
    for (r->children = 0; r->children < n - 1; r->children++) {
        if (pipe(next))
            give_up("pipe");
        pid_t pid = fork();
        if (pid == 0) {
            char c;
            close(first[1]);
            close(next[0]);
            while (read(in, &c, 1) == 1 && write(next[1], &c, 1) == 1)
                ;
            _exit(0);
        }
        r->child[r->children] = pid;
        close(in);
        close(next[1]);
        in = next[0];
    }
    r->in = in;
    r->out = first[1];
}

static void ring_round(const struct ring *r)
{
    char c = 'p';
    if (write(r->out, &c, 1) != 1 || read(r->in, &c, 1) != 1)
        give_up("a pipe");
}

static void ring_close(struct ring *r)
{
    close(r->out);
    close(r->in);
    while (r->children)
        waitpid(r->child[--r->children], NULL, 0);
}

static void measure_pipes(void)
{
    enum { ROUNDS = 200 };
    struct ring r;

    ring_open(&r, 2);
    ring_round(&r);
    MEASURE("pipe, there and back", 1000, ring_round(&r));
    ring_close(&r);

    ring_open(&r, RING);
    ring_round(&r);
    const uint64_t start = ticks();
    for (int i = 0; i < ROUNDS; i++)
        ring_round(&r);
    report("context switch, 8 processes", (ticks() - start) / (ROUNDS * RING));
    ring_close(&r);
}

/* --- Signals, and none of the kernel's ----------------------------------- */

static volatile int heard;

static void hear(int number)
{
    heard += number > 0;
}

static void compute(void)
{
    uint64_t x = 88172645463325252;
    for (int i = 0; i < 1000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    __asm__ volatile("" : : "r"(x));
}

int main(int argc, char **argv)
{
    const uint64_t first = ticks();
    if (argc > 1)
        return 0;
    if (getpid() == 1)
        report("first process", first);

    const uint64_t start = ticks();
    MEASURE("null system call", 10000, syscall(SYS_getppid));
    measure_memory();
    measure_file_fault();
    fork_exit();
    MEASURE("fork, exit, wait", 100, fork_exit());
    MEASURE("vfork, exit, wait", 100, vfork_exit());
    fork_exec(argv[0]);
    MEASURE("fork, exec, exit, wait", 100, fork_exec(argv[0]));
    measure_pipes();
    if (signal(SIGUSR1, hear) != SIG_ERR)
        MEASURE("signal, to itself", 1000, raise(SIGUSR1));
    if (create_and_join() == 0)
        MEASURE("thread, create and join", 100, create_and_join());
    MEASURE("computing, 10^6 rounds", 3, compute());
    report("whole benchmark", ticks() - start);
    printf("bench: done\n");
    fflush(stdout);
    if (getpid() == 1)
        reboot(RB_POWER_OFF);
    return 0;
}
