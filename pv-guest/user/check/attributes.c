/* Extended attributes, leases, and files that are told about by a signal. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define NAME "/tmp/attributes"

static void check_values(void)
{
    char got[64];
    int good = setxattr(NAME, "trusted.a", "one", 3, 0) == 0 &&
               getxattr(NAME, "trusted.a", got, 64) == 3 && !memcmp(got, "one", 3) &&
               getxattr(NAME, "trusted.a", got, 0) == 3;
    good &= FAILS(getxattr(NAME, "trusted.a", got, 2), ERANGE) &&
            FAILS(getxattr(NAME, "trusted.b", got, 64), ENODATA);
    good &= FAILS(setxattr(NAME, "trusted.a", "x", 1, XATTR_CREATE), EEXIST) &&
            FAILS(setxattr(NAME, "trusted.b", "x", 1, XATTR_REPLACE), ENODATA) &&
            setxattr(NAME, "trusted.a", "", 0, XATTR_REPLACE) == 0 &&
            getxattr(NAME, "trusted.a", got, 64) == 0;
    good &= listxattr(NAME, got, 64) == 10 && !strcmp(got, "trusted.a") &&
            FAILS(listxattr(NAME, got, 5), ERANGE) && listxattr(NAME, NULL, 0) == 10;
    good &= removexattr(NAME, "trusted.a") == 0 && FAILS(removexattr(NAME, "trusted.a"), ENODATA) &&
            listxattr(NAME, got, 64) == 0;
    result(good, "extended attributes: set, told, listed, removed");
    char name[300];
    memset(name, 'n', sizeof(name) - 1);
    memcpy(name, "trusted.", 8);
    name[299] = 0;
    good = FAILS(setxattr(NAME, name, "x", 1, 0), ERANGE) &&
           FAILS(setxattr(NAME, "", "x", 1, 0), ERANGE) &&
           FAILS(setxattr(NAME, "other", "x", 1, 0), EOPNOTSUPP) &&
           FAILS(setxattr(NAME, "trusted.a", "x", 1, 9), EINVAL) &&
           FAILS(setxattr(NAME, "trusted.a", "x", 70000, 0), E2BIG) &&
           FAILS(listxattr("/tmp/none", got, 1), ENOENT) &&
           FAILS(setxattr(NAME, "trusted.a", (void *)8, 1, 0), EFAULT) &&
           FAILS(fgetxattr(-1, "trusted.a", got, 1), EBADF);
    result(good, "what they refuse");
}

static void as_somebody(void)
{
    char got[8];
    if (setuid(1234))
        _exit(2);
    _exit(!(FAILS(setxattr(NAME, "trusted.c", "x", 1, 0), EPERM) &&
            FAILS(getxattr(NAME, "trusted.c", got, 8), ENODATA) && listxattr(NAME, got, 8) == 0));
}

static volatile int arrived;

static void note(int number)
{
    arrived = number;
}

static void check_leases(void)
{
    int in = open(NAME, O_RDONLY), good;
    good = fcntl(in, F_GETLEASE) == F_UNLCK && fcntl(in, F_SETLEASE, F_RDLCK) == 0 &&
           fcntl(in, F_GETLEASE) == F_RDLCK;
    good &= fcntl(in, F_SETLEASE, F_WRLCK) == 0 && fcntl(in, F_GETLEASE) == F_WRLCK &&
            fcntl(in, F_SETLEASE, F_UNLCK) == 0 && FAILS(fcntl(in, F_SETLEASE, 9), EINVAL);
    int out = open(NAME, O_RDWR);
    good &= FAILS(fcntl(in, F_SETLEASE, F_RDLCK), EAGAIN) &&
            FAILS(fcntl(out, F_SETLEASE, F_WRLCK), EAGAIN);
    close(out);
    result(good, "leases: taken, told, given back, refused while others have the file open");
    signal(SIGIO, note);
    arrived = 0;
    good = fcntl(in, F_SETLEASE, F_RDLCK) == 0 &&
           FAILS(open(NAME, O_WRONLY | O_NONBLOCK), EAGAIN) && arrived == SIGIO;
    good &= fcntl(in, F_GETLEASE) == F_UNLCK && fcntl(in, F_SETLEASE, F_UNLCK) == 0;
    result(good, "who has a lease is told when it is in somebody's way");
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, &old);
    good = fcntl(in, F_SETLEASE, F_RDLCK) == 0;
    const pid_t pid = fork();
    if (pid == 0) {
        out = open(NAME, O_WRONLY); /* waits */
        _exit(out < 0);
    }
    const struct timespec minute = {60, 0};
    good &= sigtimedwait(&set, NULL, &minute) == SIGIO;
    good &= waitpid(pid, NULL, WNOHANG) == 0 && fcntl(in, F_SETLEASE, F_UNLCK) == 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
    int status = 1;
    good &= waitpid(pid, &status, 0) == pid && status == 0;
    result(good, "and who is in the way waits until it is given back");
    close(in);
    signal(SIGIO, SIG_DFL);
}

/* O_ASYNC: SIGIO, or another signal that was asked for, when something arrives. */
static void check_notices(void)
{
    int fds[2], good = socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
    struct f_owner_ex owner = {F_OWNER_PID, getpid()}, told = {9, 9};
    signal(SIGIO, note);
    signal(SIGUSR1, note);
    arrived = 0;
    good &= fcntl(fds[0], F_SETOWN_EX, &owner) == 0 && fcntl(fds[0], F_GETOWN_EX, &told) == 0 &&
            told.type == F_OWNER_PID && told.pid == getpid() &&
            fcntl(fds[0], F_SETFL, O_ASYNC) == 0;
    good &=
        (fcntl(fds[0], F_GETFL) & O_ASYNC) != 0 && write(fds[1], "x", 1) == 1 && arrived == SIGIO;
    good &=
        fcntl(fds[0], F_SETSIG, SIGUSR1) == 0 && write(fds[1], "x", 1) == 1 && arrived == SIGUSR1;
    arrived = 0;
    good &= fcntl(fds[0], F_SETFL, 0) == 0 && write(fds[1], "x", 1) == 1 && arrived == 0;
    close(fds[0]);
    close(fds[1]);
    result(good, "O_ASYNC: a signal when something arrives");
    owner.type = 77;
    good = pipe(fds) == 0 && FAILS(fcntl(fds[0], F_SETOWN_EX, &owner), EINVAL) &&
           FAILS(fcntl(fds[0], F_SETOWN, 999999), ESRCH) &&
           FAILS(fcntl(fds[0], F_SETOWN, -999999), ESRCH);
    good &= fcntl(fds[0], F_SETOWN, -getpgrp()) == 0 && fcntl(fds[0], F_GETOWN_EX, &told) == 0 &&
            told.type == F_OWNER_PGRP && told.pid == getpgrp();
    result(good, "owners: processes, groups, and none that do not exist");
    close(fds[0]);
    close(fds[1]);
    signal(SIGIO, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
}

void check_file_attributes(void)
{
    close(open(NAME, O_CREAT | O_TRUNC | O_RDWR, 0666));
    check_values();
    setxattr(NAME, "trusted.c", "x", 1, 0);
    result(child(as_somebody) == 0, "attributes that are root's are nobody else's");
    check_leases();
    check_notices();
    unlink(NAME);
}
