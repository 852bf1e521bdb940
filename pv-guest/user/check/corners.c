/*
 * Corners of calls about files, names, time and processes: slashes behind names, the root itself, sizes and offsets at
 * the end of what there is, pieces of memory of which one is bad.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define FOLDER "/tmp/corners"
#define BAD    ((void *)-1ul)

#define REFUSED(rc, error, what)                                                   \
    do {                                                                           \
        errno = 0;                                                                 \
        const long r_ = (rc);                                                      \
        if (!FAILS(r_, error))                                                     \
            printf("# %s: %ld, errno %d instead of %d\n", what, r_, errno, error); \
        good &= FAILS(r_, error);                                                  \
    } while (0)

static void check_slashes(void)
{
    int good = 1;
    REFUSED(open("new/", O_CREAT | O_RDWR, 0644), EISDIR, "open of new/");
    REFUSED(rename("f/", "g"), ENOTDIR, "rename of f/");
    REFUSED(rename("f", "g/"), ENOTDIR, "rename to g/");
    REFUSED(unlink("f/"), ENOTDIR, "unlink of f/");
    REFUSED(link("f", "g/"), ENOENT, "link to g/");
    REFUSED(symlink("f", "f/x"), ENOTDIR, "symlink below a file");
    REFUSED(rmdir("/"), EBUSY, "rmdir of the root");
    REFUSED(unlink("/"), EISDIR, "unlink of the root");
    REFUSED(mkdir("/", 0755), EEXIST, "mkdir of the root");
    REFUSED(readlink("", (char[1]){0}, 1), ENOENT, "readlink of no name");
    good &= mkdir("dir/", 07777) == 0 && rename("dir/", "other/") == 0;
    struct stat s;
    good &= stat("other", &s) == 0 && (s.st_mode & 06000) == 0 && rmdir("other") == 0;
    result(good, "names with a slash behind are directories' names; the root stays");
}

static void check_nameless(void)
{
    int good = 1;
    char name[64];
    const int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    struct stat s;
    good &= fd >= 0 && write(fd, "abc", 3) == 3 && fstat(fd, &s) == 0 && s.st_nlink == 0 &&
            S_ISREG(s.st_mode);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    good &= linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 &&
            stat("named", &s) == 0 && s.st_size == 3 && s.st_nlink == 1 && unlink("named") == 0;
    REFUSED(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL, "O_TMPFILE for reading");
    REFUSED(open("f", O_TMPFILE | O_RDWR, 0600), ENOTDIR, "O_TMPFILE in a file");
    close(fd);
    result(good, "O_TMPFILE makes a file without a name, which can get one");
}

static void check_gone(void)
{
    char buffer[256];
    int good = mkdir("gone", 0755) == 0;
    const int fd = open("gone", O_RDONLY);
    good &= rmdir("gone") == 0;
    REFUSED(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), ENOENT,
            "getdents64 of a removed directory");
    REFUSED(openat(fd, "x", O_CREAT | O_RDWR, 0644), ENOENT, "open in a removed directory");
    close(fd);
    result(good, "a directory that has been removed is empty, and stays so");
}

static void check_room(void)
{
    struct stat s;
    int good = 1, fds[2], left;
    const int fd = open("room", O_CREAT | O_RDWR, 0644);
    good &= fallocate(fd, 0, 0, 16384) == 0 && fstat(fd, &s) == 0 && s.st_size == 16384 &&
            s.st_blocks >= 32;
    good &= pwrite(fd, &s, sizeof(s), 0) == sizeof(s) && lseek(fd, 0, SEEK_DATA) == 0;
    good &= fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 16384) == 0 &&
            fstat(fd, &s) == 0 && s.st_size == 16384 && s.st_blocks < 32;
    REFUSED(lseek(fd, 0, SEEK_DATA), ENXIO, "SEEK_DATA in a hole");
    REFUSED(lseek(fd, 0, 9), EINVAL, "lseek from nowhere");
    good &= pipe(fds) == 0;
    REFUSED(lseek(fds[0], 0, 9), EINVAL, "lseek of a pipe from nowhere");
    REFUSED(fallocate(fds[1], 0, 0, 1), ESPIPE, "fallocate of a pipe");
    good &= fcntl(fds[1], F_SETPIPE_SZ, 0) == 4096;
    lseek(fd, 16380, SEEK_SET);
    good &= ioctl(fd, FIONREAD, &left) == 0 && left == 4;
    result(good, "room for a file: given, told, taken back");
    good = 1;
    struct iovec v[2] = {{&left, 4}, {BAD, 4}};
    REFUSED(readv(fd, v, 2), EFAULT, "readv with a bad piece");
    REFUSED(writev(fd, v, 2), EFAULT, "writev with a bad piece");
    v[1] = (struct iovec){&left, -1};
    REFUSED(readv(fd, v, 2), EINVAL, "readv with an impossible piece");
    int64_t at = -1;
    REFUSED(syscall(SYS_sendfile, fds[1], fd, &at, 1l), EINVAL, "sendfile from -1");
    const int out = open("room", O_WRONLY);
    REFUSED(syscall(SYS_readahead, out, 0l, 1l), EBADF, "readahead of what is open for writing");
    result(good, "all pieces are looked at before the first one is used");
    struct statx {
        uint32_t mask, pad[63];
    } x;
    good = syscall(SYS_statx, AT_FDCWD, "room", 0, 0xfff, &x) == 0 && (x.mask & 0x7ff) == 0x7ff;
    struct statfs f;
    good &= fstatfs(fds[0], &f) == 0 && f.f_type == 0x50495045;
    result(good, "statx, and the file system that pipes are in");
    close(fds[0]);
    close(fds[1]);
    close(out);
    close(fd);
    unlink("room");
}

static void check_fifo(void)
{
    int good = mkfifo("fifo", 0600) == 0;
    REFUSED(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO, "open of a pipe that nobody reads");
    const int in = open("fifo", O_RDONLY | O_NONBLOCK), out = open("fifo", O_WRONLY | O_NONBLOCK);
    good &= in >= 0 && out >= 0;
    close(in);
    close(out);
    unlink("fifo");
    result(good, "a named pipe without a reader");
}

static void check_rest(void)
{
    struct timespec t = {0, 0}, omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    int good = utimensat(AT_FDCWD, "none", omit, 0) == 0;
    REFUSED(syscall(SYS_utimensat, AT_FDCWD, 0, 0, 0), EFAULT, "utimensat of nothing");
    REFUSED(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &t, 0), EOPNOTSUPP,
            "sleep on a coarse clock");
    int id;
    REFUSED(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, 0, &id), EOPNOTSUPP,
            "a timer on a clock without");
    good &= syscall(SYS_timer_create, CLOCK_TAI, 0, &id) == 0;
    REFUSED(syscall(SYS_timer_settime, id, 0, 0, 0), EINVAL, "timer_settime to nothing");
    syscall(SYS_timer_delete, id);
    result(good, "clocks and times");
    good = 1;
    const int set = epoll_create1(0), other = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    REFUSED(epoll_wait(set, &e, 1 << 28, 0), EINVAL, "epoll_wait for too many");
    REFUSED(epoll_ctl(set, EPOLL_CTL_ADD, other, &e), EINVAL, "EPOLLEXCLUSIVE of a set");
    close(set);
    close(other);
    REFUSED(syscall(SYS_ppoll, 0, 0, &t, &t, 5), EINVAL, "ppoll with a short mask");
    result(good, "waiting for many");
    good = 1;
    REFUSED(waitpid(INT_MIN, NULL, WNOHANG), ESRCH, "waitpid of the smallest number");
    REFUSED(setpgid(-1, 0), EINVAL, "setpgid of -1");
    REFUSED(syscall(SYS_getrandom, &t, 1, 6), EINVAL, "getrandom with contradicting flags");
    REFUSED(prctl(PR_CAPBSET_READ, 99), EINVAL, "prctl about a capability that there is not");
    good &= prctl(PR_GET_SECCOMP) == 0 && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 &&
            prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1 &&
            prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0;
    uint64_t mask;
    good &= syscall(SYS_rt_sigprocmask, 9, 0, &mask, 8) == 0;
    struct flock l = {.l_type = F_UNLCK};
    const int fd = open("f", O_RDWR);
    REFUSED(fcntl(fd, F_GETLK, &l), EINVAL, "F_GETLK about an unlock");
    close(fd);
    good &= syscall(SYS_close_range, 900, 1000, 2) == 0;
    result(good, "processes, locks and descriptors");
}

void check_corners(void)
{
    mkdir(FOLDER, 0755);
    if (chdir(FOLDER))
        return;
    close(open("f", O_CREAT | O_RDWR, 0644));
    check_slashes();
    check_nameless();
    check_gone();
    check_room();
    check_fifo();
    check_rest();
    unlink("f");
    if (chdir("/"))
        return;
    rmdir(FOLDER);
}
