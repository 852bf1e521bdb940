/*
 * What the kernel's services cost a process, in ticks of the TSC.
 *
 * Under QEMU's `-icount shift=0` a tick is one executed instruction, the
 * hypervisor's included, so the numbers repeat exactly.  One line each: name,
 * ticks per operation.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

#define MEASURE(name, count, operation)                                             \
    do {                                                                            \
        const uint64_t start = ticks();                                             \
        for (int i = 0; i < (count); i++)                                           \
            operation;                                                              \
        printf("%-24s %8lu\n", name, (unsigned long)((ticks() - start) / (count))); \
    } while (0)

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

static int there[2], back[2];

static void echo(void)
{
    char c;
    if (fork())
        return;
    close(there[1]);
    while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
        ;
    _exit(0);
}

static void ping(void)
{
    char c = 'p';
    if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
        exit(1);
}

int main(int argc, char **argv)
{
    enum { PAGES = 1000 };
    if (argc > 1)
        return 0;
    char *m = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    MEASURE("null system call", 10000, syscall(SYS_getppid));
    MEASURE("page fault, anonymous", PAGES, m[i * 4096] = 1);
    if (fork() == 0) {
        MEASURE("page fault, after fork", PAGES, m[i * 4096] = 2);
        exit(0);
    }
    wait(NULL);
    MEASURE("munmap, per page", PAGES, munmap(m + i * 4096, 4096));
    MEASURE("fork, exit, wait", 100, fork_exit());
    MEASURE("vfork, exit, wait", 100, vfork_exit());
    MEASURE("fork, exec, exit, wait", 100, fork_exec(argv[0]));
    if (pipe(there) || pipe(back))
        return 1;
    fflush(stdout);
    echo();
    MEASURE("pipe, there and back", 1000, ping());
    return 0;
}
