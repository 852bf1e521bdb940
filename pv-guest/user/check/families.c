/* Families: waiting, groups, sessions, orphans. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void check_waitid(void)
{
    siginfo_t info;
    struct rusage usage;
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        for (volatile long i = 0; i < 20000000; i++)
            ;
        _exit(12);
    }
    int good = waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == pid &&
               info.si_code == CLD_EXITED && info.si_status == 12;
    good &= waitid(P_PID, pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid;
    good &= waitid(P_PID, pid, &info, WEXITED) == -1 && errno == ECHILD;
    result(good, "waitid looks, and takes");
    const pid_t sleeper = fork();
    if (sleeper == 0)
        for (;;)
            pause();
    good = waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0;
    good &= FAILS(waitid(P_ALL, 0, &info, 0), EINVAL) && FAILS(waitpid(-1, &status, 0x100), EINVAL);
    kill(sleeper, SIGTERM);
    good &= waitpid(sleeper, &status, 0) == sleeper && died_of(status, SIGTERM);
    result(good, "WNOHANG finds nothing; wrong options are refused");
    const pid_t busy = fork();
    if (busy == 0) {
        for (volatile long i = 0; i < 30000000; i++)
            ;
        _exit(0);
    }
    good = wait4(busy, &status, 0, &usage) == busy &&
           usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 0;
    result(good, "wait4 tells the time that the child has used");
}

static void check_groups(void)
{
    int status, fds[2];
    char c;
    if (pipe(fds))
        return;
    const pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (fork() == 0) {
            signal(SIGUSR1, SIG_DFL);
            c = write(fds[1], "x", 1) != 1;
            for (;;)
                pause();
        }
        wait(&status);
        _exit(died_of(status, SIGUSR1) ? 0 : 1);
    }
    setpgid(pid, pid);
    int good = read(fds[0], &c, 1) == 1 && getpgid(pid) == pid;
    /* To both members; the first of them has asked not to die of it. */
    kill(pid, 0);
    good &= killpg(pid, 0) == 0 && FAILS(killpg(999999, 0), ESRCH);
    kill(-pid, SIGTERM);
    good &= waitpid(-pid, &status, 0) == pid && died_of(status, SIGTERM);
    result(good, "a signal to a group; waiting for a group");
    close(fds[0]);
    close(fds[1]);
    const pid_t other = fork();
    if (other == 0) {
        const int fine = setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid() &&
                         setsid() == -1 && errno == EPERM && setpgid(0, 0) == -1 &&
                         errno == EPERM && open("/dev/tty", O_RDWR) == -1 && errno == ENXIO;
        _exit(!fine);
    }
    good = waitpid(other, &status, 0) == other && status == 0;
    result(good, "a new session has no terminal");
    result(FAILS(setpgid(999999, 0), ESRCH) && FAILS(getpgid(999999), ESRCH),
           "strangers are not moved to groups");
}

static void check_orphans(void)
{
    int fds[2], status;
    pid_t parent = 0;
    if (pipe(fds))
        return;
    const pid_t pid = fork();
    if (pid == 0) {
        const pid_t self = getpid();
        if (fork() == 0) {
            while (getppid() == self)
                usleep(500);
            parent = getppid();
            _exit(write(fds[1], &parent, sizeof(parent)) < 0);
        }
        _exit(0);
    }
    waitpid(pid, &status, 0);
    int good =
        read(fds[0], &parent, sizeof(parent)) == sizeof(parent) && parent != pid && parent > 0;
    result(good, "an orphan gets another parent");
    const pid_t middle = fork();
    if (middle == 0) {
        const pid_t self = getpid();
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            parent = 1;
            if (write(fds[1], &parent, sizeof(parent)) < 0)
                _exit(1);
            while (getppid() == self)
                pause();
            sleep(20);
            _exit(write(fds[1], "bad!", 4) < 0);
        }
        _exit(read(fds[0], &parent, sizeof(parent)) != sizeof(parent));
    }
    waitpid(middle, &status, 0);
    close(fds[1]);
    result(status == 0 && read(fds[0], &parent, 1) == 0, "PR_SET_PDEATHSIG");
    close(fds[0]);
    signal(SIGCHLD, SIG_IGN);
    const pid_t ignored = fork();
    if (ignored == 0)
        _exit(0);
    good = FAILS(waitpid(ignored, &status, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
    result(good, "who ignores SIGCHLD has no zombies");
}

static int share_and_exit(void *argument)
{
    *(int *)argument = getpid();
    return 5;
}

static void check_clone(void)
{
    static char stack[65536] __attribute__((aligned(16)));
    int seen = 0, status;
    const pid_t pid = clone(share_and_exit, stack + sizeof(stack), CLONE_VM | SIGCHLD, &seen);
    int good =
        pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5 && seen == pid;
    result(good, "a child may share memory");
    result(FAILS(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL) &&
               FAILS(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL),
           "half a thread is refused");
    good = 1;
    for (int i = 0; i < 3; i++) {
        uint64_t arguments[8] = {0, 0, 0, 0, SIGCHLD, 0, 0, 0};
        const long p = syscall(SYS_clone3, arguments, sizeof(arguments));
        if (p == 0)
            _exit(i);
        good &= p > 0 && waitpid((pid_t)p, &status, 0) == p && WEXITSTATUS(status) == i;
    }
    result(good, "clone3");
}

static void other_handler(int number)
{
}

/* A child that goes elsewhere, closes a descriptor and has another handler. */
static int change_everything(void *arg)
{
    const struct sigaction action = {.sa_handler = other_handler};
    umask(0123);
    close(*(int *)arg);
    sigaction(SIGUSR2, &action, NULL);
    return chdir("/tmp") != 0;
}

/* What of it a process sees whose child was made with @flags: bits. */
static int seen_changes(unsigned flags)
{
    static char stack[65536] __attribute__((aligned(16)));
    struct sigaction action = {.sa_handler = SIG_IGN};
    char place[64] = "";
    int status, fd = dup(0);
    sigaction(SIGUSR2, &action, NULL);
    const mode_t mask = umask(022);
    if (chdir("/") ||
        waitpid(clone(change_everything, stack + sizeof(stack), CLONE_VM | flags | SIGCHLD, &fd),
                &status, 0) < 0 ||
        status)
        return -1;
    sigaction(SIGUSR2, NULL, &action);
    const int seen = (getcwd(place, sizeof(place)) && !strcmp(place, "/tmp")) |
                     (umask(mask) == 0123) << 1 | (action.sa_handler == other_handler) << 2 |
                     (fcntl(fd, F_GETFD) == -1) << 3;
    close(fd);
    signal(SIGUSR2, SIG_DFL);
    return chdir("/") ? -1 : seen;
}

static pid_t tester;

/* A sibling's end is its parent's business. */
static void make_sibling(void)
{
    const pid_t pid = syscall(SYS_clone, CLONE_PARENT | SIGUSR2, 0, 0, 0, 0);
    if (pid == 0)
        _exit(getppid() == tester ? 5 : 9);
    _exit(pid < 0 || !FAILS(waitpid(pid, NULL, 0), ECHILD));
}

static void check_sharing(void)
{
    int status, good = 1, fives = 0;
    tester = getpid();
    result(seen_changes(0) == 0,
           "a child that shares memory has its own place, mask, handlers and descriptors");
    result(seen_changes(CLONE_FS) == 3 && seen_changes(CLONE_SIGHAND) == 4 &&
               seen_changes(CLONE_FILES) == 8 &&
               seen_changes(CLONE_FS | CLONE_SIGHAND | CLONE_FILES) == 15,
           "CLONE_FS, CLONE_SIGHAND and CLONE_FILES share them");
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0)
        make_sibling();
    for (int i = 0; i < 2; i++) {
        const pid_t ended = waitpid(-1, &status, 0);
        good &= WIFEXITED(status) && WEXITSTATUS(status) == (ended == pid ? 0 : 5);
        fives += ended != pid;
    }
    result(good && fives == 1, "CLONE_PARENT makes a sibling");
    result(FAILS(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL) &&
               FAILS(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0), EINVAL) &&
               FAILS(syscall(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0), EINVAL),
           "handlers are shared with memory alone, and threads share both");
}

void check_families(void)
{
    check_sharing();
    check_waitid();
    check_groups();
    check_orphans();
    check_clone();
}
