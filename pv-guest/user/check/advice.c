/* What can be said about memory: advice, locks, and mappings that move, or are mapped twice. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PAGE            4096
#define DONTNEED_LOCKED 24
#define POPULATE_READ   22
#define POPULATE_WRITE  23
#define DONTUNMAP       4

static char *map(size_t pages)
{
    return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *advised;

static void look(void)
{
    unsigned char there;
    _exit(mincore(advised, PAGE, &there) ? 100 : advised[0]);
}

static void check_children(void)
{
    advised = map(2);
    advised[0] = 5;
    int good = madvise(advised, PAGE, MADV_DONTFORK) == 0 && WEXITSTATUS(child(look)) == 100;
    good &= madvise(advised, PAGE, MADV_DOFORK) == 0 && WEXITSTATUS(child(look)) == 5;
    result(good, "memory that a child does not get (MADV_DONTFORK), until it does again");
    good = madvise(advised, PAGE, MADV_WIPEONFORK) == 0 && WEXITSTATUS(child(look)) == 0 &&
           advised[0] == 5;
    good &= madvise(advised, PAGE, MADV_KEEPONFORK) == 0 && WEXITSTATUS(child(look)) == 5;
    result(good, "memory that a child gets empty (MADV_WIPEONFORK)");
    munmap(advised, 2 * PAGE);
}

static void check_locked(void)
{
    char *m = map(3);
    m[0] = 1;
    int good = mlock(m, PAGE) == 0 && FAILS(madvise(m, PAGE, MADV_DONTNEED), EINVAL) &&
               FAILS(madvise(m, PAGE, MADV_FREE), EINVAL) &&
               FAILS(msync(m, PAGE, MS_INVALIDATE), EBUSY);
    good &= madvise(m, PAGE, DONTNEED_LOCKED) == 0 && m[0] == 0;
    good &= munlock(m, PAGE) == 0 && madvise(m, PAGE, MADV_DONTNEED) == 0;
    good &= msync(m, PAGE, MS_INVALIDATE) == 0;
    result(good, "what is locked is not dropped by advice");
    munmap(m + PAGE, PAGE);
    m[0] = m[2 * PAGE] = 1;
    good = FAILS(madvise(m, 3 * PAGE, MADV_DONTNEED), ENOMEM) && m[0] == 0 && m[2 * PAGE] == 0;
    good &= FAILS(mlock(m, 3 * PAGE), ENOMEM);
    result(good, "advice about a range with a hole: taken, and told");
    good = FAILS(mlockall(0), EINVAL) && FAILS(mlockall(8), EINVAL) && FAILS(mlockall(4), EINVAL) &&
           munlockall() == 0 && FAILS(syscall(SYS_mlock2, m, PAGE, 2), EINVAL);
    result(good, "mlockall and mlock2 refuse what they do not know");
    munmap(m, 3 * PAGE);
}

/* As a user who may lock one page. */
static void lock_little(void)
{
    const struct rlimit one = {PAGE, PAGE}, none = {0, 0};
    char *m = map(2);
    int good = setrlimit(RLIMIT_MEMLOCK, &one) == 0 && setuid(1234) == 0;
    good &= mlock(m, PAGE) == 0 && FAILS(mlock(m + PAGE, PAGE), ENOMEM);
    good &= munlock(m, PAGE) == 0 && setrlimit(RLIMIT_MEMLOCK, &none) == 0 &&
            FAILS(mlock(m, PAGE), EPERM) && FAILS(mlockall(MCL_CURRENT), EPERM);
    _exit(!good);
}

static void check_advice_itself(void)
{
    const int fd = open("/tmp/advice", O_RDWR | O_CREAT | O_TRUNC, 0600),
              in = open("/tmp/advice", O_RDONLY);
    char *m = map(1);
    int good = ftruncate(fd, 2 * PAGE) == 0;
    char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *only_read = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, in, 0);
    shared[0] = 7;
    good &= madvise(shared, PAGE, MADV_DONTNEED) == 0 && shared[0] == 7;
    good &= FAILS(madvise(shared, PAGE, MADV_FREE), EINVAL);
    good &= madvise(shared, PAGE, MADV_REMOVE) == 0 && shared[0] == 0;
    good &= FAILS(madvise(only_read, PAGE, MADV_REMOVE), EACCES) &&
            FAILS(madvise(m, PAGE, MADV_REMOVE), EINVAL);
    good &= FAILS(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL);
    result(good, "advice about a file's memory; MADV_REMOVE makes a hole in the file");
    good = FAILS(madvise(m, PAGE, 1212), EINVAL) && FAILS(madvise(m, 0, 1212), EINVAL) &&
           FAILS(madvise(m + 1, PAGE, 0), EINVAL) && FAILS(madvise(m, -1ul, 0), EINVAL) &&
           madvise(m, PAGE, MADV_COLD) == 0 && madvise(m, PAGE, POPULATE_WRITE) == 0;
    unsigned char there = 0;
    result(good && mincore(m, PAGE, &there) == 0 && (there & 1),
           "unknown advice, and some that is new");
    good = FAILS(mprotect(m, PAGE, 0x100), EINVAL) &&
           FAILS(mprotect(m, PAGE, PROT_GROWSDOWN), EINVAL) &&
           FAILS(syscall(SYS_mprotect, m, -1ul, PROT_READ), ENOMEM) && munmap(NULL, PAGE) == 0 &&
           mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0x7ffffffffffff000) == MAP_FAILED &&
           errno == EOVERFLOW &&
           mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_SHARED | 8, fd, 0) == MAP_FAILED &&
           errno == EINVAL &&
           mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0) == MAP_FAILED &&
           errno == EOPNOTSUPP;
    result(good, "mmap and mprotect refuse what they do not know");
    munmap(shared, 2 * PAGE);
    munmap(only_read, PAGE);
    munmap(m, PAGE);
    close(in);
    close(fd);
    unlink("/tmp/advice");
}

static void check_remapping(void)
{
    char *m = map(4), *to = map(4);
    m[PAGE] = 9;
    int good = mremap(m, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | DONTUNMAP, to) == to;
    good &= to[PAGE] == 9 && m[PAGE] == 0;
    result(good, "MREMAP_DONTUNMAP: the content moves, the old range stays, empty");
    good = mremap(m, PAGE, 2 * PAGE, MREMAP_MAYMOVE | DONTUNMAP) == MAP_FAILED && errno == EINVAL;
    good &= mremap(m, PAGE, PAGE, DONTUNMAP) == MAP_FAILED && errno == EINVAL;
    good &= mremap(m, PAGE, PAGE, 8) == MAP_FAILED && errno == EINVAL;
    good &= mremap(m, 0, PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL;
    result(good, "what mremap refuses");
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *again = mremap(shared, 0, PAGE, MREMAP_MAYMOVE);
    good = again != MAP_FAILED && again != shared;
    if (good)
        shared[3] = 4;
    result(good && again[3] == 4, "mremap of 0 bytes maps what is shared a second time");
    munmap(shared, PAGE);
    munmap(again, PAGE);
    munmap(m, 4 * PAGE);
    munmap(to, 4 * PAGE);
}

static void lock_future(void)
{
    _exit(mlockall(MCL_FUTURE) ||
          syscall(SYS_membarrier, 16 /* REGISTER_PRIVATE_EXPEDITED */, 0, 0));
}

/* Memory that is locked is not dropped; a barrier among threads wants that the process has registered. */
static void is_new(void)
{
    char *m = map(1);
    _exit(madvise(m, PAGE, MADV_DONTNEED) ||
          !FAILS(syscall(SYS_membarrier, 8 /* PRIVATE_EXPEDITED */, 0, 0), EPERM));
}

/* What a process has said about its memory ends with it. */
static void check_successor(void)
{
    int good = 1;
    for (int i = 0; i < 20; i++)
        good &= child(lock_future) == 0 && child(is_new) == 0;
    result(good, "a process begins with nothing of what another one has said about its memory");
}

void check_memory_advice(void)
{
    check_children();
    check_locked();
    result(child(lock_little) == 0, "RLIMIT_MEMLOCK binds all but root");
    check_advice_itself();
    check_remapping();
    check_successor();
}
