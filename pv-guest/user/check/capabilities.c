/* Capabilities: what root may give up, and what follows from becoming somebody else. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define VERSION_1 0x19980330u
#define VERSION_2 0x20071026u
#define VERSION_3 0x20080522u

#define CHOWN        0
#define DAC_OVERRIDE 1
#define DAC_SEARCH   2
#define KILL         5
#define SETUID       7
#define SETPCAP      8
#define SYS_CHROOT   18
#define SYS_PTRACE   19
#define SYS_ADMIN    21
#define BIT(n)       (1u << (n))

static struct {
    unsigned version;
    int pid;
} header;
static struct {
    unsigned effective, permitted, inheritable;
} data[2];

static int get(void)
{
    header.version = VERSION_3;
    header.pid = 0;
    return syscall(SYS_capget, &header, data);
}

static int put(void)
{
    header.version = VERSION_3;
    header.pid = 0;
    return syscall(SYS_capset, &header, data);
}

static int has(unsigned n)
{
    return get() == 0 && (data[0].effective & BIT(n));
}

/* Give up @n as effective, and as permitted, too, if @all. */
static int drop(unsigned n, int all)
{
    if (get())
        return -1;
    data[0].effective &= ~BIT(n);
    if (all)
        data[0].permitted &= ~BIT(n);
    return put();
}

static void check_versions(void)
{
    int good = 1;
    const unsigned versions[] = {VERSION_1, VERSION_2, VERSION_3};
    for (int i = 0; i < 3; i++) {
        header.version = versions[i];
        header.pid = getpid();
        good &= syscall(SYS_capget, &header, data) == 0;
    }
    header.version = 0;
    good &= FAILS(syscall(SYS_capget, &header, data), EINVAL) && header.version == VERSION_3;
    header.version = 0;
    good &= syscall(SYS_capget, &header, NULL) == 0 && header.version == VERSION_3;
    header.pid = -1;
    good &= FAILS(syscall(SYS_capget, &header, data), EINVAL);
    header.pid = 0x3fffffff;
    good &= FAILS(syscall(SYS_capget, &header, data), ESRCH);
    header.pid = 0;
    good &= FAILS(syscall(SYS_capget, (void *)16, data), EFAULT) &&
            FAILS(syscall(SYS_capget, &header, (void *)16), EFAULT) && get() == 0 && put() == 0 &&
            FAILS(syscall(SYS_capset, &header, (void *)16), EFAULT);
    header.pid = getpid() + 1;
    good &= FAILS(syscall(SYS_capset, &header, data), EPERM);
    header.version = 0;
    good &= FAILS(syscall(SYS_capset, &header, data), EINVAL) && header.version == VERSION_3;
    result(good, "capget and capset: versions, processes, addresses");
}

static int sum(void (*body)(void), const char *what)
{
    const int status = child(body);
    const int good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    result(good, what);
    return good;
}

static void gives_up(void)
{
    int good = drop(SYS_CHROOT, 0) == 0 && FAILS(chroot("/"), EPERM);
    data[0].effective |= BIT(SYS_CHROOT);
    good &= put() == 0 && chroot("/") == 0 && drop(SYS_CHROOT, 1) == 0;
    data[0].effective |= BIT(SYS_CHROOT);
    good &= FAILS(put(), EPERM);
    data[0].permitted |= BIT(SYS_CHROOT);
    good &= FAILS(put(), EPERM);
    good &= drop(CHOWN, 1) == 0 && FAILS(chown("/tmp/check-capable", 1, 1), EPERM) &&
            drop(KILL, 1) == 0 && drop(SYS_ADMIN, 1) == 0 && FAILS(sethostname("x", 1), EPERM) &&
            drop(SETUID, 1) == 0 && FAILS(setuid(5), EPERM);
    _exit(!good);
}

/* Without the right to override, root is one user among others. */
static void no_override(void)
{
    const int fd = open("/tmp/check-capable", O_RDONLY);
    int good = fd >= 0 && drop(DAC_OVERRIDE, 1) == 0 && open("/tmp/check-capable", O_RDONLY) >= 0 &&
               FAILS(open("/tmp/check-capable", O_WRONLY), EACCES) && drop(DAC_SEARCH, 1) == 0 &&
               FAILS(open("/tmp/check-capable", O_RDONLY), EACCES);
    _exit(!good);
}

static void becomes(void)
{
    int good = seteuid(1000) == 0 && !has(CHOWN) && (data[0].permitted & BIT(CHOWN)) &&
               seteuid(0) == 0 && has(CHOWN);
    setfsuid(1000);
    good &= !has(DAC_OVERRIDE) && has(SETUID);
    setfsuid(0);
    good &= has(DAC_OVERRIDE) && setresuid(1000, 1000, 1000) == 0 && get() == 0 &&
            !data[0].effective && !data[0].permitted;
    _exit(!good);
}

static void keeps(void)
{
    int good = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setuid(1000) == 0 && get() == 0 &&
               !data[0].effective && (data[0].permitted & BIT(SYS_CHROOT));
    data[0].effective = BIT(SYS_CHROOT);
    good &= put() == 0 && chroot("/") == 0 && FAILS(chown("/tmp", 1, 1), EPERM);
    _exit(!good);
}

static void bounded(void)
{
    int good = prctl(PR_CAPBSET_READ, CHOWN, 0, 0, 0) == 1 &&
               prctl(PR_CAPBSET_DROP, CHOWN, 0, 0, 0) == 0 &&
               prctl(PR_CAPBSET_READ, CHOWN, 0, 0, 0) == 0 && has(CHOWN) &&
               FAILS(prctl(PR_CAPBSET_READ, 64, 0, 0, 0), EINVAL) &&
               FAILS(prctl(PR_CAPBSET_DROP, 64, 0, 0, 0), EINVAL);
    data[0].inheritable |= BIT(CHOWN);
    good &= FAILS(put(), EPERM) && drop(SETPCAP, 1) == 0 &&
            FAILS(prctl(PR_CAPBSET_DROP, KILL, 0, 0, 0), EPERM);
    /* What is not in the bounding set is gone after exec. */
    if (good)
        execl("/proc/self/exe", "check", "capable", NULL);
    _exit(1);
}

static void inherits(void)
{
    int good = FAILS(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, KILL, 0, 0), EPERM) && get() == 0;
    data[0].inheritable = BIT(KILL);
    good &= put() == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, KILL, 0, 0) == 0 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, KILL, 0, 0) == 1;
    data[0].inheritable = 0;
    good &= put() == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, KILL, 0, 0) == 0;
    _exit(!good);
}

/* What was given up stays so: exec gives nothing back to whoever wants no new privileges. */
static void no_more(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && drop(CHOWN, 1) == 0)
        execl("/proc/self/exe", "check", "capable", NULL);
    _exit(1);
}

/* Whoever has fewer capabilities than another process takes no file of it. */
static void looks_up(void)
{
    const pid_t pid = fork();
    while (!pid)
        pause();
    const int fd = syscall(SYS_pidfd_open, pid, 0), taken = syscall(SYS_pidfd_getfd, fd, 0, 0);
    int good = taken >= 0 && drop(SYS_PTRACE, 1) == 0 &&
               FAILS(syscall(SYS_pidfd_getfd, fd, 0, 0), EPERM) &&
               FAILS(syscall(SYS_kcmp, pid, getpid(), 0, 0, 0), EPERM) &&
               syscall(SYS_prlimit64, pid, RLIMIT_CORE, NULL, NULL) == 0;
    kill(pid, SIGKILL);
    _exit(!good);
}

/* A process that is not to be dumped is not looked into by others of its user. */
static void not_dumpable(void)
{
    int ends[2], good = pipe(ends) == 0 && setresgid(1000, 1000, 1000) == 0 &&
                        setresuid(1000, 1000, 1000) == 0;
    char c = 0;
    for (int dumpable = 1; dumpable >= 0; dumpable--) {
        const pid_t pid = fork();
        if (!pid) {
            prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
            c = write(ends[1], "x", 1);
        }
        while (!pid)
            pause();
        good &= read(ends[0], &c, 1) == 1;
        const int fd = syscall(SYS_pidfd_open, pid, 0);
        const int taken = syscall(SYS_pidfd_getfd, fd, ends[0], 0);
        good &= dumpable ? taken >= 0 : taken == -1 && errno == EPERM;
        kill(pid, SIGKILL);
    }
    _exit(!good);
}

int capabilities_after_exec(void)
{
    return !(get() == 0 && !(data[0].permitted & BIT(CHOWN)) && (data[0].effective & BIT(KILL)));
}

void check_capabilities(void)
{
    check_versions();
    if (geteuid() != 0) {
        result(1, "capabilities # SKIP for root");
        return;
    }
    const int fd = open("/tmp/check-capable", O_RDWR | O_CREAT, 0600);
    if (fchown(fd, 1000, 1000))
        printf("# cannot give a file away\n");
    close(fd);
    sum(gives_up, "root without a capability may not do what needs it, and does not get it back");
    sum(no_override,
        "root without CAP_DAC_OVERRIDE reads, without CAP_DAC_READ_SEARCH it does not");
    sum(becomes, "capabilities come and go with user 0");
    sum(keeps, "PR_SET_KEEPCAPS");
    sum(bounded, "the bounding set, also after exec");
    sum(inherits, "ambient capabilities");
    sum(no_more, "PR_SET_NO_NEW_PRIVS: exec permits nothing that was not permitted");
    sum(looks_up, "pidfd_getfd and kcmp want no fewer capabilities, prlimit does not care");
    sum(not_dumpable, "PR_SET_DUMPABLE 0: no other process of the user takes a file");
    unlink("/tmp/check-capable");
}
