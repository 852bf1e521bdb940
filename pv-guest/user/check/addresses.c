/*
 * Every system call that takes an address gets a bad one.  It must say EFAULT,
 * whatever the address: unmapped, the kernel's, at the end of everything.
 *
 * A row is a call with one bad argument, BAD; the others are good, so that
 * nothing else is wrong with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* Stand-ins for arguments that are known only when the questions are asked. */
enum {
    BAD = 0x5a5a0000,
    BUFFER,
    PATH,
    FILE_FD,
    READER,
    WRITER,
    SOCKET,
    EPOLL,
    EVENT,
    TIMER,
    DIRECTORY,
    SELF,
    TIMER_ID,
    SLOT,
    PROGRAM,
};

static const struct {
    int number;
    const char *name;
    long arguments[6];
} rows[] = {
#define ROW(name, ...)     \
    {                      \
        SYS_##name, #name, \
        {                  \
            __VA_ARGS__    \
        }                  \
    }
    ROW(read, READER, BAD, 1),
    ROW(read, FILE_FD, BAD, 1),
    ROW(read, EVENT, BAD, 8),
    ROW(write, WRITER, BAD, 1),
    ROW(write, FILE_FD, BAD, 1),
    ROW(write, SOCKET, BAD, 1),
    ROW(open, BAD, O_RDONLY),
    ROW(stat, BAD, BUFFER),
    ROW(stat, PATH, BAD),
    ROW(fstat, FILE_FD, BAD),
    ROW(lstat, BAD, BUFFER),
    ROW(lstat, PATH, BAD),
    ROW(poll, BAD, 1, 0),
    ROW(rt_sigaction, SIGUSR1, BAD, 0, 8),
    ROW(rt_sigaction, SIGUSR1, 0, BAD, 8),
    ROW(rt_sigprocmask, SIG_BLOCK, BAD, 0, 8),
    ROW(rt_sigprocmask, SIG_BLOCK, 0, BAD, 8),
    ROW(ioctl, READER, 0x541b /* FIONREAD */, BAD),
    ROW(pread64, FILE_FD, BAD, 1, 0),
    ROW(pwrite64, FILE_FD, BAD, 1, 0),
    ROW(readv, FILE_FD, BAD, 1),
    ROW(writev, FILE_FD, BAD, 1),
    ROW(preadv, FILE_FD, BAD, 1, 0),
    ROW(pwritev, FILE_FD, BAD, 1, 0),
    ROW(access, BAD, F_OK),
    ROW(pipe, BAD),
    ROW(pipe2, BAD, 0),
    ROW(select, 1, BAD, 0, 0, 0),
    ROW(select, 1, 0, BAD, 0, 0),
    ROW(select, 0, 0, 0, 0, BAD),
    ROW(nanosleep, BAD, 0),
    ROW(getitimer, 0, BAD),
    ROW(setitimer, 0, BAD, 0),
    ROW(sendfile, WRITER, FILE_FD, BAD, 1),
    ROW(sendto, SOCKET, BAD, 1, 0, 0, 0),
    ROW(recvfrom, SOCKET, BAD, 1, MSG_DONTWAIT, 0, 0),
    ROW(sendmsg, SOCKET, BAD, 0),
    ROW(recvmsg, SOCKET, BAD, MSG_DONTWAIT),
    ROW(connect, SOCKET, BAD, 16),
    ROW(bind, SOCKET, BAD, 16),
    ROW(setsockopt, SOCKET, SOL_SOCKET, SO_REUSEADDR, BAD, 4),
    ROW(socketpair, AF_UNIX, SOCK_STREAM, 0, BAD),
    ROW(execve, BAD, 0, 0),
    ROW(execve, PROGRAM, BAD, 0),
    ROW(execve, PROGRAM, 0, BAD),
    ROW(uname, BAD),
    ROW(fcntl, FILE_FD, F_SETLK, BAD),
    ROW(fcntl, FILE_FD, F_GETLK, BAD),
    ROW(truncate, BAD, 0),
    ROW(getcwd, BAD, 4096),
    ROW(chdir, BAD),
    ROW(rename, BAD, PATH),
    ROW(rename, PATH, BAD),
    ROW(mkdir, BAD, 0),
    ROW(rmdir, BAD),
    ROW(creat, BAD, 0),
    ROW(link, BAD, PATH),
    ROW(link, PATH, BAD),
    ROW(unlink, BAD),
    ROW(symlink, BAD, PATH),
    ROW(symlink, PATH, BAD),
    ROW(readlink, BAD, BUFFER, 10),
    ROW(chmod, BAD, 0),
    ROW(chown, BAD, 0, 0),
    ROW(lchown, BAD, 0, 0),
    ROW(gettimeofday, BAD, 0),
    ROW(getrlimit, 0, BAD),
    ROW(setrlimit, 7, BAD),
    ROW(getrusage, 0, BAD),
    ROW(sysinfo, BAD),
    ROW(times, BAD),
    ROW(rt_sigpending, BAD, 8),
    ROW(rt_sigtimedwait, BAD, 0, 0, 8),
    ROW(rt_sigtimedwait, BUFFER, 0, BAD, 8),
    ROW(rt_sigsuspend, BAD, 8),
    ROW(sigaltstack, BAD, 0),
    ROW(sigaltstack, 0, BAD),
    ROW(utime, BAD, 0),
    ROW(utime, PATH, BAD),
    ROW(utimes, BAD, 0),
    ROW(mknod, BAD, 0100600, 0),
    ROW(statfs, BAD, BUFFER),
    ROW(statfs, PATH, BAD),
    ROW(fstatfs, FILE_FD, BAD),
    ROW(sched_setparam, 0, BAD),
    ROW(sched_getparam, 0, BAD),
    ROW(sched_rr_get_interval, 0, BAD),
    ROW(prctl, 15 /* PR_SET_NAME */, BAD),
    ROW(prctl, 16 /* PR_GET_NAME */, BAD),
    ROW(arch_prctl, 0x1003 /* ARCH_GET_FS */, BAD),
    ROW(time, BAD),
    ROW(futex, BAD, 1 /* wake */, 1, 0, 0, 0),
    ROW(futex, BUFFER, 0 /* wait */, 0, BAD, 0, 0),
    ROW(sched_getaffinity, 0, 128, BAD),
    ROW(sched_setaffinity, 0, 128, BAD),
    ROW(getdents64, DIRECTORY, BAD, 4096),
    ROW(timer_create, CLOCK_MONOTONIC, BAD, BUFFER),
    ROW(timer_create, CLOCK_MONOTONIC, 0, BAD),
    ROW(timer_settime, TIMER_ID, 0, BAD, 0),
    ROW(timer_gettime, TIMER_ID, BAD),
    ROW(clock_gettime, CLOCK_MONOTONIC, BAD),
    ROW(clock_getres, CLOCK_MONOTONIC, BAD),
    ROW(clock_nanosleep, CLOCK_MONOTONIC, 0, BAD, 0),
    ROW(epoll_wait, EPOLL, BAD, 1, 100),
    ROW(epoll_ctl, EPOLL, EPOLL_CTL_MOD, READER, BAD),
    ROW(openat, AT_FDCWD, BAD, 0),
    ROW(mkdirat, AT_FDCWD, BAD, 0),
    ROW(fchownat, AT_FDCWD, BAD, 0, 0, 0),
    ROW(newfstatat, AT_FDCWD, BAD, BUFFER, 0),
    ROW(newfstatat, AT_FDCWD, PATH, BAD, 0),
    ROW(unlinkat, AT_FDCWD, BAD, 0),
    ROW(renameat, AT_FDCWD, BAD, AT_FDCWD, PATH),
    ROW(renameat2, AT_FDCWD, PATH, AT_FDCWD, BAD, 0),
    ROW(linkat, AT_FDCWD, BAD, AT_FDCWD, PATH, 0),
    ROW(symlinkat, BAD, AT_FDCWD, PATH),
    ROW(readlinkat, AT_FDCWD, BAD, BUFFER, 10),
    ROW(fchmodat, AT_FDCWD, BAD, 0),
    ROW(faccessat, AT_FDCWD, BAD, 0),
    ROW(faccessat2, AT_FDCWD, BAD, 0, 0),
    ROW(pselect6, 1, BAD, 0, 0, 0, 0),
    ROW(ppoll, BAD, 1, 0, 0, 8),
    ROW(ppoll, 0, 0, BAD, 0, 8),
    ROW(ppoll, 0, 0, 0, BAD, 8),
    ROW(get_robust_list, 0, BAD, BUFFER),
    ROW(utimensat, AT_FDCWD, BAD, 0, 0),
    ROW(utimensat, AT_FDCWD, PATH, BAD, 0),
    ROW(timerfd_settime, TIMER, 0, BAD, 0),
    ROW(timerfd_gettime, TIMER, BAD),
    ROW(prlimit64, 0, 7, BAD, 0),
    ROW(prlimit64, 0, 7, 0, BAD),
    ROW(getcpu, BAD, 0, 0),
    ROW(getrandom, BAD, 16, 0),
    ROW(memfd_create, BAD, 0),
    ROW(copy_file_range, FILE_FD, BAD, FILE_FD, 0, 1, 0),
    ROW(statx, AT_FDCWD, BAD, 0, 0x7ff, BUFFER),
    ROW(statx, AT_FDCWD, PATH, 0, 0x7ff, BAD),
    ROW(mincore, SLOT, 1, BAD),
    ROW(waitid, 0 /* P_ALL */, 0, BAD, WEXITED | WNOHANG, 0),
    ROW(rt_sigqueueinfo, SELF, SIGUSR1, BAD),
    ROW(rt_tgsigqueueinfo, SELF, SELF, SIGUSR1, BAD),
    ROW(getresuid, BAD, BUFFER, BUFFER),
    ROW(getresgid, BUFFER, BUFFER, BAD),
    ROW(sethostname, BAD, 5),
    ROW(setdomainname, BAD, 5),
    ROW(mount, BAD, PATH, BUFFER, 0, 0),
    ROW(umount2, BAD, 0),
    ROW(chroot, BAD),
    ROW(clock_settime, CLOCK_REALTIME, BAD),
    ROW(settimeofday, BAD, 0),
    ROW(setgroups, 1, BAD),
    ROW(eventfd2, 0, 0), /* takes none: the end of the list, which the loop does not ask */
};

static char buffer[8192] __attribute__((aligned(4096)));
static char path[64] = "/tmp/check-address";
static long stand_ins[20];

static long real(long argument, long bad)
{
    if (argument == BAD)
        return bad;
    return argument > BAD && argument <= PROGRAM ? stand_ins[argument - BAD] : argument;
}

static void prepare(void)
{
    static struct epoll_event event = {.events = EPOLLIN};
    int fds[2], pair[2], id = 0;
    long *s = stand_ins;
    memset(buffer, 0, sizeof(buffer));
    s[BUFFER - BAD] = (long)buffer;
    s[PATH - BAD] = (long)path;
    s[FILE_FD - BAD] = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (pipe(fds) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
        write((int)s[FILE_FD - BAD], buffer, 4096) != 4096 || write(fds[1], "x", 1) != 1 ||
        write(pair[1], "x", 1) != 1)
        return;
    lseek((int)s[FILE_FD - BAD], 0, SEEK_SET);
    s[READER - BAD] = fds[0];
    s[WRITER - BAD] = fds[1];
    s[SOCKET - BAD] = pair[0];
    s[EPOLL - BAD] = epoll_create1(0);
    epoll_ctl((int)s[EPOLL - BAD], EPOLL_CTL_ADD, fds[0], &event);
    s[EVENT - BAD] = eventfd(100, EFD_SEMAPHORE); /* reading in vain may count */
    s[TIMER - BAD] = syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0);
    s[DIRECTORY - BAD] = open("/", O_RDONLY | O_DIRECTORY);
    s[SELF - BAD] = getpid();
    syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id);
    s[TIMER_ID - BAD] = id;
    s[SLOT - BAD] = (long)buffer;
    s[PROGRAM - BAD] = (long)"/proc/self/exe";
}

/* Ask all rows with one bad address; every answer but EFAULT is told. */
static int ask(long bad)
{
    int good = 1;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]) - 1; i++) {
        long a[6];
        for (int n = 0; n < 6; n++)
            a[n] = real(rows[i].arguments[n], bad);
        errno = 0;
        const long rc = syscall(rows[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (rc == -1 && errno == EFAULT)
            continue;
        printf("# %s(%lx, %lx, %lx, %lx) with %lx: %ld, errno %d\n", rows[i].name,
               rows[i].arguments[0], rows[i].arguments[1], rows[i].arguments[2],
               rows[i].arguments[3], bad, rc, errno);
        good = 0;
    }
    return good;
}

static const long bad_addresses[] = {8,
                                     0x7fffffffeff0,
                                     (long)0x800000000000,
                                     (long)0xffff800000000000,
                                     (long)0xffff880000000000,
                                     (long)0xffffffff80000000,
                                     (long)0xfffffffffffff000};

static void ask_all(void)
{
    int good = 1;
    signal(SIGALRM, SIG_DFL);
    alarm(60); /* whatever waits for ever has not said EFAULT */
    prepare();
    for (unsigned i = 0; i < sizeof(bad_addresses) / sizeof(bad_addresses[0]); i++)
        good &= ask(bad_addresses[i]);
    unlink(path);
    fflush(stdout);
    _exit(!good);
}

void check_addresses(void)
{
    result(child(ask_all) == 0, "every system call answers a bad address with EFAULT");
}
