/* Memory: mremap, madvise, mincore and what mappings share. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096ul

static char *anonymous(size_t pages)
{
    return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static sigjmp_buf after_fault;
static volatile int fault_signal, fault_code;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    fault_signal = signal;
    fault_code = info->si_code;
    siglongjmp(after_fault, 1);
}

/* The signal that touching @p raises; 0 if none. */
static int touch(volatile char *p, int write)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    fault_signal = 0;
    if (!sigsetjmp(after_fault, 1)) {
        if (write)
            *p = 1;
        else
            (void)*p;
    }
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    return fault_signal;
}

static void check_mremap(void)
{
    char *m = anonymous(8);
    for (int i = 0; i < 8; i++)
        m[i * PAGE] = i;
    result(mremap(m, 8 * PAGE, 4 * PAGE, 0) == m && touch(m + 4 * PAGE, 0) == SIGSEGV &&
               m[PAGE] == 1,
           "mremap shrinks");
    result(mremap(m, 4 * PAGE, 6 * PAGE, 0) == m && m[3 * PAGE] == 3 && m[5 * PAGE] == 0,
           "mremap grows in place where there is room");
    char *wall =
        mmap(m + 6 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    result(mremap(m, 6 * PAGE, 600 * PAGE, 0) == MAP_FAILED && errno == ENOMEM,
           "mremap does not move unasked");
    char *n = mremap(m, 6 * PAGE, 600 * PAGE, MREMAP_MAYMOVE);
    int good = n != MAP_FAILED && n != m && touch(m, 0) == SIGSEGV;
    for (int i = 0; good && i < 4; i++)
        good &= n[i * PAGE] == i;
    n[599 * PAGE] = 9;
    result(good && n[599 * PAGE] == 9, "mremap moves pages with their content");
    char *place = anonymous(700);
    char *to = mremap(n, 600 * PAGE, 600 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 50 * PAGE);
    result(to == place + 50 * PAGE && to[2 * PAGE] == 2 && to[599 * PAGE] == 9 &&
               touch(place, 1) == 0 && touch(place + 650 * PAGE, 1) == 0,
           "mremap moves to where it is told");
    result(mremap(to, PAGE, PAGE, MREMAP_FIXED, place) == MAP_FAILED && errno == EINVAL &&
               mremap(to + 1, PAGE, PAGE, 0) == MAP_FAILED && errno == EINVAL &&
               mremap((void *)PAGE, PAGE, 2 * PAGE, 0) == MAP_FAILED && errno == EFAULT,
           "mremap refuses what makes no sense");
    munmap(wall, PAGE);
    munmap(place, 700 * PAGE);
}

static void check_protection_of_parts(void)
{
    char *m = anonymous(16);
    int good = 1;
    memset(m, 3, 16 * PAGE);
    for (int i = 0; i < 16; i += 2)
        good &= mprotect(m + i * PAGE, PAGE, PROT_READ) == 0;
    for (int i = 0; i < 16; i++)
        good &= (touch(m + i * PAGE, 1) == SIGSEGV) == !(i & 1);
    good &= mprotect(m, 16 * PAGE, PROT_READ | PROT_WRITE) == 0;
    for (int i = 0; i < 16; i++)
        good &= touch(m + i * PAGE, 1) == 0 && m[i * PAGE + 1] == 3;
    result(good, "mprotect of every other page, and of all again");
    mprotect(m, PAGE, PROT_READ);
    touch(m, 1);
    const int denied = fault_code;
    munmap(m, PAGE);
    touch(m, 1);
    result(denied == SEGV_ACCERR && fault_code == SEGV_MAPERR,
           "si_code tells a forbidden address from an empty one");
    result(FAILS(mprotect(m, 4 * PAGE, PROT_READ), ENOMEM), "mprotect of a hole is ENOMEM");
    munmap(m, 16 * PAGE);
}

static void check_advice(void)
{
    char *m = anonymous(4);
    unsigned char there[4];
    memset(m, 7, 3 * PAGE);
    int good =
        mincore(m, 4 * PAGE, there) == 0 && (there[0] & 1) && (there[2] & 1) && !(there[3] & 1);
    result(good, "mincore tells which pages there are");
    good = madvise(m, PAGE, MADV_DONTNEED) == 0 && m[0] == 0 && m[PAGE] == 7;
    result(good, "MADV_DONTNEED gives back zeroes");
    result(madvise(m, PAGE, MADV_WILLNEED) == 0 && FAILS(madvise(m, PAGE, 12345), EINVAL),
           "unknown advice is refused");
    munmap(m + PAGE, PAGE);
    result(FAILS(mincore(m, 4 * PAGE, there), ENOMEM) &&
               FAILS(msync(m, 4 * PAGE, MS_SYNC), ENOMEM) && msync(m, PAGE, MS_SYNC) == 0,
           "mincore and msync refuse holes");
    munmap(m, 4 * PAGE);
}

static void check_sharing(void)
{
    const int fd = (int)syscall(SYS_memfd_create, "check", 0);
    int status, good = fd >= 0 && ftruncate(fd, 3 * PAGE) == 0;
    char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    private[PAGE] = 1;
    if (fork() == 0) {
        shared[0] = 'c';
        private[0] = 'p';
        _exit(0);
    }
    wait(&status);
    char c = 0;
    good &= shared[0] == 'c' && private[0] == 'c' && pread(fd, &c, 1, 0) == 1 && c == 'c';
    shared[PAGE] = 5;
    result(good && private[PAGE] == 1,
           "a shared file mapping is shared across fork, a private one is not");
    result(touch(shared + 3 * PAGE, 0) == SIGBUS, "behind the end of the file is SIGBUS");
    const int reader = open("/proc/self/exe", O_RDONLY);
    char *text = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
    result(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED &&
               errno == EACCES && FAILS(mprotect(text, PAGE, PROT_READ | PROT_WRITE), EACCES),
           "a file open for reading cannot be mapped for writing");
    char *to = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *moved = mremap(text, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    char *twice = mremap(moved, 0, PAGE, MREMAP_MAYMOVE);
    result(moved == to && twice != MAP_FAILED &&
               FAILS(mprotect(moved, PAGE, PROT_READ | PROT_WRITE), EACCES) &&
               FAILS(mprotect(twice, PAGE, PROT_READ | PROT_WRITE), EACCES),
           "nor when the mapping has been moved");
    munmap(twice, PAGE);
    text = moved;
    munmap(shared, 4 * PAGE);
    munmap(private, 3 * PAGE);
    munmap(text, PAGE);
    close(fd);
    close(reader);
}

/* The system call; a C library may have its own idea of who uses it. */
static char *set_break(char *to)
{
    return (char *)syscall(SYS_brk, to);
}

static void check_heap(void)
{
    char *start = set_break(NULL), *aligned = start + (-(uintptr_t)start & (PAGE - 1));
    int good = set_break(aligned + 100 * PAGE) == aligned + 100 * PAGE;
    memset(aligned, 1, 100 * PAGE);
    set_break(aligned + 10 * PAGE);
    good &= touch(aligned + 50 * PAGE, 0) == SIGSEGV;
    set_break(aligned + 100 * PAGE);
    good &= aligned[50 * PAGE] == 0 && aligned[5 * PAGE] == 1;
    result(good && set_break(start) == start, "brk gives and takes the heap");
    void *m = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    result(mmap(m, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | 0x100000 /* FIXED_NOREPLACE */,
                -1, 0) == MAP_FAILED &&
               errno == EEXIST,
           "MAP_FIXED_NOREPLACE does not replace");
    munmap(m, PAGE);
    result(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
               errno == EINVAL &&
               mmap(NULL, 1ul << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
               errno == ENOMEM,
           "mmap refuses nothing and too much");
}

void check_mappings(void)
{
    check_mremap();
    check_protection_of_parts();
    check_advice();
    check_sharing();
    check_heap();
}
