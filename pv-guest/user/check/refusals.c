/*
 * What Linux refuses: flags that do not exist, sizes that cannot be, descriptors that are open for something else.
 * A program that tries out what a kernel knows depends on each of these errors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FOLDER "/tmp/refusals"

/* A call by number, its arguments, and the error that it has to give. */
struct refusal {
    const char *what;
    long number, arg[6];
    int error;
};

#define TEXT(...) ((long)(__VA_ARGS__))
static long in, out, folder, queue[2], set;
static char buffer[64];

static void ask_table(const struct refusal *table, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct refusal *r = &table[i];
        const long *a = r->arg;
        errno = 0;
        const long rc = syscall(r->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (!FAILS(rc, r->error))
            printf("# %ld, errno %d instead of %d\n", rc, errno, r->error);
        result(FAILS(rc, r->error), r->what);
    }
}

static void check_table(void)
{
    const struct refusal table[] = {
        {"unlinkat with an unknown flag", SYS_unlinkat, {AT_FDCWD, TEXT("f"), 9999}, EINVAL},
        {"faccessat2 with an unknown flag", 439, {AT_FDCWD, TEXT("f"), 0, 0x10000}, EINVAL},
        {"access with an unknown mode, of no file", SYS_access, {TEXT("none"), 8}, EINVAL},
        {"linkat with an unknown flag",
         SYS_linkat,
         {AT_FDCWD, TEXT("f"), AT_FDCWD, TEXT("x"), 1},
         EINVAL},
        {"fchownat with an unknown flag", SYS_fchownat, {AT_FDCWD, TEXT("f"), 0, 0, 1}, EINVAL},
        {"utimensat with an unknown flag", SYS_utimensat, {AT_FDCWD, TEXT("f"), 0, 1}, EINVAL},
        {"newfstatat with an unknown flag",
         SYS_newfstatat,
         {AT_FDCWD, TEXT("f"), TEXT(buffer), 1},
         EINVAL},
        {"statx with an unknown flag",
         SYS_statx,
         {AT_FDCWD, TEXT("f"), 1, 0, TEXT(buffer)},
         EINVAL},
        {"statx with a reserved bit in its mask",
         SYS_statx,
         {AT_FDCWD, TEXT("f"), 0, (int)0x80000000, TEXT(buffer)},
         EINVAL},
        {"readlink into 0 bytes", SYS_readlink, {TEXT("l"), TEXT(buffer), 0}, EINVAL},
        {"getcwd into 0 bytes", SYS_getcwd, {TEXT(buffer), 0}, ERANGE},
        {"sync_file_range from -1", SYS_sync_file_range, {in, -1, 1, 1}, EINVAL},
        {"sync_file_range with an unknown flag", SYS_sync_file_range, {in, 0, 1, 8}, EINVAL},
        {"sync_file_range of a pipe", SYS_sync_file_range, {queue[0], 0, 1, 1}, ESPIPE},
        {"fsync of a pipe", SYS_fsync, {queue[0]}, EINVAL},
        {"fadvise64 of unknown advice", SYS_fadvise64, {in, 0, 0, 99}, EINVAL},
        {"sendfile to a file open for reading", SYS_sendfile, {in, in, 0, 1}, EBADF},
        {"sendfile from a file open for writing", SYS_sendfile, {out, out, 0, 1}, EBADF},
        {"copy_file_range to a file open for reading",
         SYS_copy_file_range,
         {in, 0, in, 0, 1, 0},
         EBADF},
        {"copy_file_range of a directory", SYS_copy_file_range, {folder, 0, out, 0, 1, 0}, EISDIR},
    };
    ask_table(table, sizeof(table) / sizeof(table[0]));
}

static void check_numbers(void)
{
    const struct refusal table[] = {
        {"epoll_ctl of a directory",
         SYS_epoll_ctl,
         {set, EPOLL_CTL_ADD, folder, TEXT(buffer)},
         EPERM},
        {"sched_getparam of a negative number", SYS_sched_getparam, {-1, TEXT(buffer)}, EINVAL},
        {"sched_getparam without a place", SYS_sched_getparam, {0, 0}, EINVAL},
        {"sched_setparam without parameters", SYS_sched_setparam, {0, 0}, EINVAL},
        {"sched_setscheduler without parameters",
         SYS_sched_setscheduler,
         {0, SCHED_OTHER, 0},
         EINVAL},
        {"sched_getscheduler of a negative number", SYS_sched_getscheduler, {-1}, EINVAL},
        {"socketpair of an impossible type",
         SYS_socketpair,
         {AF_UNIX, 75, 0, TEXT(buffer)},
         EINVAL},
        {"clone3 with a signal that does not exist",
         SYS_clone3,
         {TEXT((uint64_t[8]){0, 0, 0, 0, 65}), 64},
         EINVAL},
        {"clone3 with bytes that it does not know",
         SYS_clone3,
         {TEXT((uint64_t[16]){[4] = SIGCHLD, [15] = 1}), 128},
         E2BIG},
    };
    ask_table(table, sizeof(table) / sizeof(table[0]));
}

/* A descriptor that stands for a place, of a symbolic link, too. */
static void check_places(void)
{
    struct stat s;
    const int link = open("l", O_PATH | O_NOFOLLOW), dir = open(".", O_PATH),
              file = open("f", O_PATH | O_TRUNC);
    int good = fstat(link, &s) == 0 && S_ISLNK(s.st_mode) && readlinkat(link, "", buffer, 64) == 1;
    result(good, "O_PATH and O_NOFOLLOW open a symbolic link itself");
    good = FAILS(read(file, buffer, 1), EBADF) && FAILS(write(file, buffer, 1), EBADF) &&
           FAILS(syscall(SYS_fchmod, file, 0), EBADF) && FAILS(lseek(file, 0, SEEK_SET), EBADF) &&
           FAILS(ftruncate(file, 0), EBADF) &&
           mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED && errno == EBADF;
    good &= fstat(file, &s) == 0 && s.st_size == 4;
    result(good, "O_PATH gives no way to what is in a file");
    const int beside = openat(dir, "f", O_RDONLY), copy = dup(file);
    good =
        beside >= 0 && copy >= 0 && fchdir(dir) == 0 && (fcntl(file, F_GETFL) & O_PATH) == O_PATH;
    result(good, "O_PATH of a directory is a place to start from, and can be copied");
    for (int fd = beside; fd >= dir; fd--)
        close(fd);
    close(copy);
    close(file);
    close(dir);
    close(link);
}

static volatile int arrived;

static void note(int number)
{
    arrived = number;
}

/* The signal that a child ends with is its creator's choice. */
static void check_exit_signals(void)
{
    int status;
    signal(SIGUSR2, note);
    arrived = 0;
    pid_t pid = syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);
    if (pid == 0)
        _exit(3);
    int good = 1;
    while (waitpid(pid, &status, __WALL) < 0)
        good &= errno == EINTR;
    good &= arrived == SIGUSR2 && WEXITSTATUS(status) == 3;
    result(good, "clone: the signal at the child's end is the one asked for");

    struct {
        uint64_t word[8];
    } c = {{[4] = SIGUSR2}};
    arrived = 0;
    pid = syscall(SYS_clone3, &c, sizeof(c));
    if (pid == 0)
        _exit(0);
    while (waitpid(pid, &status, __WALL) < 0)
        good &= errno == EINTR;
    result(good && arrived == SIGUSR2, "clone3: so it is there");

    pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    good = FAILS(waitpid(pid, &status, 0), ECHILD) && waitpid(pid, &status, __WCLONE) == pid;
    result(good, "a child without SIGCHLD is waited for by __WCLONE and __WALL only");
    signal(SIGUSR2, SIG_DFL);
}

/* Each that is ready is told once in a call, and each has its turn. */
static void check_turns(void)
{
    struct epoll_event e = {.events = EPOLLIN}, got[4];
    const int fd = epoll_create1(0);
    int a[2], b[2], good;
    if (pipe(a) || pipe(b) || write(a[1], "x", 1) != 1)
        return;
    e.data.fd = a[0];
    epoll_ctl(fd, EPOLL_CTL_ADD, a[0], &e);
    e.data.fd = b[0];
    epoll_ctl(fd, EPOLL_CTL_ADD, b[0], &e);
    good = epoll_wait(fd, got, 4, -1) == 1 && got[0].data.fd == a[0];
    good &= write(b[1], "x", 1) == 1 && epoll_wait(fd, got, 4, -1) == 2 &&
            got[0].data.fd != got[1].data.fd;
    good &= epoll_wait(fd, got, 1, -1) == 1 && epoll_wait(fd, got + 1, 1, -1) == 1 &&
            got[0].data.fd != got[1].data.fd;
    result(good,
           "epoll_wait tells no descriptor twice, and in turns if there is room for one only");
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
    close(fd);
}

/* Messages keep their borders. */
static void check_messages(void)
{
    int fds[2], good = 1;
    char got[8];
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        good &= socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK, 0, fds) == 0;
        good &= write(fds[0], "one", 3) == 3 && write(fds[0], "second", 6) == 6 &&
                send(fds[0], "", 0, 0) == 0;
        good &= read(fds[1], got, 8) == 3 && !memcmp(got, "one", 3);
        good &= recv(fds[1], got, 2, MSG_TRUNC) == 6 && read(fds[1], got, 8) == 0;
        good &= FAILS(read(fds[1], got, 8), EAGAIN);
        close(fds[0]);
        good &= i ? read(fds[1], got, 8) == 0 : FAILS(read(fds[1], got, 8), EAGAIN);
        good &= FAILS(send(fds[1], "x", 1, 0), i ? EPIPE : ECONNREFUSED);
        close(fds[1]);
    }
    result(good, "datagrams and packets of a socket pair come as they were sent");
    good = pipe2(fds, O_DIRECT | O_NONBLOCK) == 0 && write(fds[1], "one", 3) == 3 &&
           write(fds[1], "two", 3) == 3;
    good &= read(fds[0], got, 1) == 1 && *got == 'o' && read(fds[0], got, 8) == 3 &&
            !memcmp(got, "two", 3);
    result(good, "so do the packets of a pipe with O_DIRECT");
    close(fds[0]);
    close(fds[1]);
}

/* A stack without limit must not be laid over anything else: the child is this program again. */
static void check_stack(void)
{
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
        setrlimit(RLIMIT_STACK, &all);
        execl("/bin/sh", "sh", "-c", "exit 7", NULL);
        _exit(9);
    }
    result(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7,
           "a program starts with an unlimited stack");
}

void check_refusals(void)
{
    mkdir(FOLDER, 0755);
    if (chdir(FOLDER))
        return;
    out = open("f", O_CREAT | O_WRONLY | O_TRUNC, 0644);
    int fds[2];
    if (pipe(fds) || write(out, "abcd", 4) != 4 || symlink("f", "l"))
        return;
    queue[0] = fds[0];
    queue[1] = fds[1];
    in = open("f", O_RDONLY);
    folder = open(".", O_RDONLY);
    set = epoll_create1(0);
    check_table();
    check_numbers();
    check_places();
    check_exit_signals();
    check_turns();
    check_messages();
    check_stack();
    for (int fd = set; fd >= out; fd--)
        close(fd);
    unlink("l");
    unlink("f");
    if (chdir("/"))
        return;
    rmdir(FOLDER);
}
