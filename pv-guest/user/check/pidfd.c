/* Descriptors of processes: they stand for one process, its end can be waited for, and they outlive it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PIDFD_SEND_SIGNAL 424
#define PIDFD_OPEN        434
#define CLONE3            435
#define PIDFD_GETFD       438
#define ALSO_PIDFD        3 /* P_PIDFD, which not every C library knows */

static int open_process(pid_t pid, unsigned flags)
{
    return syscall(PIDFD_OPEN, pid, flags);
}

static int ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static pid_t sleeper(void)
{
    const pid_t pid = fork();
    while (!pid)
        pause();
    return pid;
}

static long send(int fd, int number, siginfo_t *info, unsigned flags)
{
    return syscall(PIDFD_SEND_SIGNAL, fd, number, info, flags);
}

static long wait_for(int fd, siginfo_t *info, int options)
{
    memset(info, 0, sizeof(*info));
    return syscall(SYS_waitid, ALSO_PIDFD, fd, info, options, NULL);
}

static void check_life(void)
{
    const pid_t pid = sleeper();
    const int fd = open_process(pid, 0);
    siginfo_t info;
    char c;
    int good = fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && ready(fd) == 0;
    good &= FAILS(open_process(0, 0), EINVAL) && FAILS(open_process(-1, 0), EINVAL) &&
            FAILS(open_process(pid, 0x10000000), EINVAL) &&
            FAILS(open_process(0x3ffffff, 0), ESRCH);
    good &= FAILS(read(fd, &c, 1), EINVAL) && FAILS(write(fd, &c, 1), EINVAL);
    result(good, "pidfd_open: a descriptor, closed by exec, that nothing can be read from");
    good = wait_for(fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0;
    good &= FAILS(wait_for(-1, &info, WEXITED), EINVAL) &&
            FAILS(wait_for(0, &info, WEXITED), EBADF) &&
            FAILS(wait_for(1000, &info, WEXITED), EBADF) && FAILS(wait_for(fd, &info, 0), EINVAL);
    const int other = open_process(pid, O_NONBLOCK);
    good &= FAILS(wait_for(other, &info, WEXITED), EAGAIN);
    close(other);
    result(good, "waitid does not wait for a descriptor that is opened not to");
    good = send(fd, 0, NULL, 0) == 0 && FAILS(send(fd, 65, NULL, 0), EINVAL) &&
           FAILS(send(fd, 0, NULL, 0x10000000), EINVAL) && FAILS(send(0, 0, NULL, 0), EBADF) &&
           FAILS(send(fd, 0, (siginfo_t *)8, 0), EFAULT);
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGUSR1;
    info.si_code = SI_USER;
    good &= FAILS(send(fd, SIGUSR2, &info, 0), EINVAL) && FAILS(send(fd, SIGUSR1, &info, 0), EPERM);
    good &= send(fd, SIGTERM, NULL, 0) == 0 && wait_for(fd, &info, WEXITED | WNOWAIT) == 0 &&
            info.si_pid == pid && info.si_code == CLD_KILLED && info.si_status == SIGTERM;
    result(good, "pidfd_send_signal and its refusals");
    good = ready(fd) == POLLIN && send(fd, 0, NULL, 0) == 0 && wait_for(fd, &info, WEXITED) == 0 &&
           info.si_pid == pid;
    good &= (ready(fd) & POLLIN) && FAILS(send(fd, 0, NULL, 0), ESRCH) &&
            FAILS(wait_for(fd, &info, WEXITED), ECHILD);
    good &= FAILS(syscall(PIDFD_GETFD, fd, 0, 0), ESRCH);
    result(good, "it is readable when the process has ended, and outlives it");
    close(fd);
}

static int noted;

static void note(int signal, siginfo_t *info, void *context)
{
    noted = info->si_code == SI_QUEUE ? info->si_value.sival_int : -1;
}

static void check_self(void)
{
    const int fd = open_process(getpid(), 0);
    struct sigaction a = {.sa_sigaction = note, .sa_flags = SA_SIGINFO}, old;
    siginfo_t info;
    sigaction(SIGUSR1, &a, &old);
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 4711;
    int good = fd >= 0 && send(fd, SIGUSR1, &info, 0) == 0 && noted == 4711;
    info.si_code = SI_USER; /* which only oneself may claim */
    good &= send(fd, SIGUSR1, &info, 0) == 0 && noted == -1;
    good &= FAILS(wait_for(fd, &info, WEXITED), ECHILD);
    sigaction(SIGUSR1, &old, NULL);
    close(fd);
    result(good, "a signal brings what was said with it");
}

static void check_getfd(void)
{
    int pipe_ends[2];
    char c = 0;
    pipe(pipe_ends);
    const pid_t pid = fork();
    if (!pid) {
        dup2(pipe_ends[1], 700);
        write(pipe_ends[1], "r", 1);
        for (;;)
            pause();
    }
    int good = read(pipe_ends[0], &c, 1) == 1;
    const int fd = open_process(pid, 0);
    const int got = syscall(PIDFD_GETFD, fd, 700, 0);
    good &= got >= 0 && fcntl(got, F_GETFD) == FD_CLOEXEC && write(got, "x", 1) == 1 &&
            read(pipe_ends[0], &c, 1) == 1 && c == 'x';
    good &= FAILS(syscall(PIDFD_GETFD, fd, 701, 0), EBADF) &&
            FAILS(syscall(PIDFD_GETFD, fd, 700, 1), EINVAL) &&
            FAILS(syscall(PIDFD_GETFD, pipe_ends[0], 700, 0), EBADF);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(got);
    close(fd);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    result(good, "pidfd_getfd takes what another process has open");
}

static void check_clone(void)
{
    int fd = -1;
    siginfo_t info;
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD};
    pid_t pid = syscall(CLONE3, &args, sizeof(args));
    if (!pid)
        _exit(fcntl(fd, F_GETFD) == -1 && errno == EBADF ? 5 : 6);
    int good = pid > 0 && fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC &&
               wait_for(fd, &info, WEXITED) == 0 && info.si_pid == pid &&
               info.si_code == CLD_EXITED && info.si_status == 5;
    close(fd);
    pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL, 0);
    if (!pid)
        _exit(7);
    good &=
        pid > 0 && wait_for(fd, &info, WEXITED) == 0 && info.si_pid == pid && info.si_status == 7;
    close(fd);
    good &=
        FAILS(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, &fd, NULL, 0),
              EINVAL);
    args.pidfd = 8;
    good &= FAILS(syscall(CLONE3, &args, sizeof(args)), EFAULT) &&
            FAILS(waitpid(-1, NULL, WNOHANG), ECHILD);
    result(good, "clone and clone3 give the descriptor of the child to its parent alone");
}

void check_pidfds(void)
{
    check_life();
    check_self();
    check_getfd();
    check_clone();
}
