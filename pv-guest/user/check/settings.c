/* What is kept and told, what is compared, and what Linux says where it has not got something. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define IOPRIO(class, level) ((class) << 13 | (level))

static long get_io(int which, int who)
{
    return syscall(SYS_ioprio_get, which, who);
}

static long set_io(int which, int who, int priority)
{
    return syscall(SYS_ioprio_set, which, who, priority);
}

static void check_io_priority(void)
{
    int good = set_io(1, 0, IOPRIO(2, 6)) == 0 && get_io(1, 0) == IOPRIO(2, 6) &&
               get_io(1, getpid()) == IOPRIO(2, 6) && set_io(1, getpid(), IOPRIO(3, 0)) == 0 &&
               get_io(1, 0) == IOPRIO(3, 0);
    good &=
        FAILS(set_io(1, 0, IOPRIO(4, 0)), EINVAL) && FAILS(set_io(0, 0, IOPRIO(2, 4)), EINVAL) &&
        FAILS(set_io(4, 0, IOPRIO(2, 4)), EINVAL) && FAILS(set_io(1, 0, IOPRIO(0, 4)), EINVAL) &&
        FAILS(set_io(1, 0x3fffffff, IOPRIO(2, 4)), ESRCH) && FAILS(get_io(9, 0), EINVAL) &&
        FAILS(get_io(1, 0x3fffffff), ESRCH);
    good &= set_io(1, 0, IOPRIO(2, 4)) == 0;
    const pid_t pid = fork();
    if (pid == 0)
        _exit(get_io(1, 0) != IOPRIO(2, 4));
    int status = 1;
    waitpid(pid, &status, 0);
    result(good && status == 0, "ioprio_set and ioprio_get");
}

static void check_handles(void)
{
    struct {
        unsigned size;
        int type;
        char bytes[128];
    } h = {.size = 0};
    int mount;
    const int fd = open("/", O_RDONLY);
    int good = FAILS(syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &h, &mount, 0x8000), EINVAL) &&
               FAILS(syscall(SYS_name_to_handle_at, AT_FDCWD, "/none", &h, &mount, 0), ENOENT) &&
               FAILS(syscall(SYS_name_to_handle_at, -1, "x", &h, &mount, 0), EBADF) &&
               FAILS(syscall(SYS_name_to_handle_at, AT_FDCWD, "/", 16, &mount, 0), EFAULT);
    h.size = 129;
    good &= FAILS(syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &h, &mount, 0), EINVAL);
    if (geteuid() == 0) {
        good &= FAILS(syscall(SYS_open_by_handle_at, fd, 16, 0), EFAULT) &&
                FAILS(syscall(SYS_open_by_handle_at, fd, &h, 0), EINVAL);
        h.size = 0;
        good &= FAILS(syscall(SYS_open_by_handle_at, fd, &h, 0), EINVAL);
        h.size = 8;
        good &= FAILS(syscall(SYS_open_by_handle_at, -1, &h, 0), EBADF);
    }
    result(good, "handles of files: what is asked wrongly is refused");
    close(fd);
}

static void check_keys(void)
{
    char *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int good = FAILS(syscall(SYS_pkey_alloc, 1, 0), EINVAL) &&
               FAILS(syscall(SYS_pkey_alloc, 0, 8), EINVAL) &&
               FAILS(syscall(SYS_pkey_free, 15), EINVAL) &&
               FAILS(syscall(SYS_pkey_mprotect, m, 4096, PROT_READ, 15), EINVAL) &&
               syscall(SYS_pkey_mprotect, m, 4096, PROT_READ | PROT_WRITE, -1) == 0;
    m[0] = 1;
    result(good && m[0] == 1, "protection keys");
    munmap(m, 4096);
}

/* One that ends has files no more, but its memory takes a while. */
static void check_compare_with_one_that_ends(void)
{
    int good = 1;
    for (int round = 0; round < 20; round++) {
        const pid_t pid = fork();
        for (uintptr_t i = 0; !pid && i < 1000; i++) {
            char *far = mmap((void *)(0x100000000ul + (i << 21)), 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            if (far != MAP_FAILED)
                *far = 1;
        }
        if (!pid)
            _exit(0);
        while (waitpid(pid, NULL, WNOHANG) == 0) {
            const long order = syscall(SYS_kcmp, pid, getpid(), 0, 0, 0);
            good &= order >= 0 || errno == EBADF || errno == ESRCH;
        }
    }
    result(good, "kcmp: of a process that ends there is nothing to compare, or it is gone");
}

static void check_compare(void)
{
    const int one = open("/", O_RDONLY), same = dup(one), other = open("/", O_RDONLY);
    const pid_t self = getpid(), pid = fork();
    if (pid == 0) {
        const long files = syscall(SYS_kcmp, self, getpid(), 2, 0, 0);
        const int ok = syscall(SYS_kcmp, self, getpid(), 0, one, one) == 0 &&
                       syscall(SYS_kcmp, self, getpid(), 0, one, other) > 0 &&
                       syscall(SYS_kcmp, self, getpid(), 1, 0, 0) > 0 && files > 0 &&
                       files + syscall(SYS_kcmp, getpid(), self, 2, 0, 0) == 3;
        _exit(!ok);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    int good = status == 0 && syscall(SYS_kcmp, self, self, 0, one, same) == 0 &&
               syscall(SYS_kcmp, self, self, 1, 0, 0) == 0 &&
               FAILS(syscall(SYS_kcmp, self, self, 0, one, 999), EBADF) &&
               FAILS(syscall(SYS_kcmp, self, self, 99, 0, 0), EINVAL) &&
               FAILS(syscall(SYS_kcmp, self, 0x3fffffff, 1, 0, 0), ESRCH);
    result(good, "kcmp: what two processes share");
    check_compare_with_one_that_ends();
    good = unshare(0) == 0 && unshare(CLONE_FILES | CLONE_FS) == 0 && FAILS(unshare(1), EINVAL) &&
           fcntl(one, F_GETFD) == 0 && FAILS(syscall(SYS_setns, -1, 0), EBADF) &&
           FAILS(syscall(SYS_setns, one, 0), EINVAL);
    result(good, "unshare and setns");
    close(one);
    close(same);
    close(other);
}

static void check_adjust(void)
{
    struct timex t = {.modes = 0}, was;
    const time_t before = time(NULL);
    int state = adjtimex(&t), good = state >= 0 && t.tick >= 9000 && t.tick <= 11000;
    was = t;
    good &= t.time.tv_sec >= before && t.time.tv_sec <= time(NULL) &&
            FAILS(syscall(SYS_adjtimex, 16), EFAULT) &&
            syscall(SYS_clock_adjtime, CLOCK_REALTIME, &t) == state &&
            FAILS(syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, &t), EOPNOTSUPP) &&
            FAILS(syscall(SYS_clock_adjtime, 77, &t), EINVAL);
    t.modes = 0x8000;
    good &= FAILS(adjtimex(&t), EINVAL);
    if (geteuid() == 0) {
        t.modes = ADJ_TICK;
        t.tick = 8999;
        good &= FAILS(adjtimex(&t), EINVAL);
        t.tick = 11001;
        good &= FAILS(adjtimex(&t), EINVAL);
        t.modes = ADJ_TICK | ADJ_ESTERROR;
        t.tick = was.tick;
        t.esterror = 4321;
        good &= adjtimex(&t) >= 0 && t.esterror == 4321;
        t.modes = ADJ_ESTERROR;
        t.esterror = was.esterror;
        good &= adjtimex(&t) >= 0;
        const pid_t pid = fork();
        if (pid == 0)
            _exit(setuid(1000) || !FAILS(adjtimex(&t), EPERM) || (t.modes = 0, adjtimex(&t)) < 0);
        int status = 1;
        waitpid(pid, &status, 0);
        good &= status == 0;
    }
    result(good, "adjtimex and clock_adjtime");
}

/* A program does not change while it runs, and does not run while it may change. */
static void check_busy(void)
{
    static const char script[] = "#!/bin/sh\nexit 7\n";
    char *const arguments[] = {"busy", NULL};
    const int fd = open("/check-busy", O_WRONLY | O_CREAT | O_TRUNC, 0755);
    if (fd < 0) {
        result(1, "ETXTBSY # SKIP nowhere to write");
        return;
    }
    int good = write(fd, script, sizeof(script) - 1) == sizeof(script) - 1 &&
               FAILS(execve("/check-busy", arguments, NULL), ETXTBSY);
    close(fd);
    const int reader = open("/check-busy", O_RDONLY);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(execve("/check-busy", arguments, NULL));
    int status = 0;
    waitpid(pid, &status, 0);
    good &= WIFEXITED(status) && WEXITSTATUS(status) == 7;
    close(reader);
    unlink("/check-busy");
    good &= FAILS(open("/proc/self/exe", O_WRONLY), ETXTBSY) &&
            FAILS(open("/proc/self/exe", O_RDONLY | O_TRUNC), ETXTBSY) &&
            FAILS(truncate("/proc/self/exe", 0), ETXTBSY);
    result(good, "ETXTBSY: what runs is not written, what is written does not run");
}

static void check_refused_settings(void)
{
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    int good = FAILS(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info), EINVAL) &&
               FAILS(syscall(SYS_rt_tgsigqueueinfo, -1, getpid(), SIGUSR1, &info), EINVAL) &&
               FAILS(syscall(SYS_timerfd_create, 11 /* CLOCK_TAI */, 0), EINVAL) &&
               FAILS(syscall(SYS_futimesat, AT_FDCWD, NULL, NULL), EFAULT) &&
               FAILS(setxattr("/", "user.", "x", 1, 0), EINVAL);
    if (geteuid() == 0)
        good &= FAILS(klogctl(8, NULL, 0), EINVAL) && FAILS(klogctl(8, NULL, 9), EINVAL) &&
                FAILS(klogctl(8, NULL, -1), EINVAL) && FAILS(klogctl(11, NULL, 0), EINVAL) &&
                klogctl(6, NULL, 0) == 0 && klogctl(7, NULL, 0) == 0;
    result(good, "settings that there are not");
}

void check_settings(void)
{
    check_busy();
    check_refused_settings();
    check_io_priority();
    check_handles();
    check_keys();
    check_compare();
    check_adjust();
}
