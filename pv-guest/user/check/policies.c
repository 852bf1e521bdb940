/* Scheduling policies, and what else a process can say about itself: kept, told, and refused as on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t later[2];
};

static long set(int policy, int priority)
{
    return syscall(SYS_sched_setscheduler, 0, policy, &priority);
}

static long get(void)
{
    return syscall(SYS_sched_getscheduler, 0);
}

static void root_policies(void)
{
    int priority = -1, good = get() == SCHED_OTHER;
    struct timespec turn = {9, 9};
    good &= FAILS(set(SCHED_FIFO, 0), EINVAL) && FAILS(set(SCHED_FIFO, 100), EINVAL) &&
            FAILS(set(SCHED_OTHER, 1), EINVAL) && FAILS(set(99, 0), EINVAL) &&
            FAILS(set(-1, 0), EINVAL) && FAILS(set(6, 0), EINVAL);
    good &= set(SCHED_RR, 7) == 0 && get() == SCHED_RR &&
            syscall(SYS_sched_getparam, 0, &priority) == 0 && priority == 7;
    good &=
        syscall(SYS_sched_rr_get_interval, 0, &turn) == 0 && turn.tv_sec == 0 && turn.tv_nsec > 0;
    priority = 8;
    good &= syscall(SYS_sched_setparam, 0, &priority) == 0 && get() == SCHED_RR;
    priority = 0;
    good &= FAILS(syscall(SYS_sched_setparam, 0, &priority), EINVAL);
    good &= set(SCHED_FIFO, 1) == 0 && syscall(SYS_sched_rr_get_interval, 0, &turn) == 0 &&
            turn.tv_nsec == 0;
    const pid_t same = fork();
    if (!same)
        _exit(get() == SCHED_FIFO);
    int status;
    good &= waitpid(same, &status, 0) == same && WEXITSTATUS(status) == 1;
    good &= set(SCHED_FIFO | SCHED_RESET_ON_FORK, 1) == 0 &&
            get() == (SCHED_FIFO | SCHED_RESET_ON_FORK);
    const pid_t reset = fork();
    if (!reset)
        _exit(get() == SCHED_OTHER);
    good &= waitpid(reset, &status, 0) == reset && WEXITSTATUS(status) == 1;
    _exit(!good);
}

static void attributes(void)
{
    struct attr a, b;
    memset(&a, 0, sizeof(a));
    int good =
        syscall(SYS_sched_getattr, 0, &a, 48, 0) == 0 && a.size == 48 && a.policy == SCHED_OTHER;
    good &= FAILS(syscall(SYS_sched_getattr, 0, &a, 40, 0), EINVAL) &&
            FAILS(syscall(SYS_sched_getattr, 0, &a, 48, 1), EINVAL) &&
            FAILS(syscall(SYS_sched_getattr, 0, NULL, 48, 0), EINVAL) &&
            FAILS(syscall(SYS_sched_getattr, 0x3ffffff, &a, 48, 0), ESRCH);
    memset(&a, 0, sizeof(a));
    a.size = 48;
    a.policy = SCHED_BATCH;
    a.nice = 5;
    good &= syscall(SYS_sched_setattr, 0, &a, 0) == 0 && get() == SCHED_BATCH &&
            getpriority(PRIO_PROCESS, 0) == 5;
    good &= syscall(SYS_sched_getattr, 0, &b, 48, 0) == 0 && b.policy == SCHED_BATCH && b.nice == 5;
    a.policy = 6; /* SCHED_DEADLINE */
    a.nice = 0;
    a.runtime = 20000000;
    a.deadline = 10000000;
    good &= FAILS(syscall(SYS_sched_setattr, 0, &a, 0), EINVAL);
    a.size = 40;
    good &= FAILS(syscall(SYS_sched_setattr, 0, &a, 0), E2BIG) && a.size >= 48;
    good &= FAILS(syscall(SYS_sched_setattr, 0, &a, 1), EINVAL) &&
            FAILS(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL) &&
            FAILS(syscall(SYS_sched_setattr, -1, &a, 0), EINVAL);
    _exit(!good);
}

static void others(void)
{
    if (setuid(1001))
        _exit(2);
    int good = FAILS(set(SCHED_FIFO, 1), EPERM) && set(SCHED_BATCH, 0) == 0 &&
               set(SCHED_OTHER | SCHED_RESET_ON_FORK, 0) == 0 && FAILS(set(SCHED_OTHER, 0), EPERM);
    _exit(!good);
}

static void subreaper(void)
{
    int is = -1, p[2];
    pid_t parent;
    int good = prctl(PR_GET_CHILD_SUBREAPER, &is, 0, 0, 0) == 0 && is == 0 &&
               prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 &&
               prctl(PR_GET_CHILD_SUBREAPER, &is, 0, 0, 0) == 0 && is == 1;
    pipe(p);
    const pid_t middle = fork();
    if (!middle) {
        const pid_t self = getpid();
        if (!fork()) {
            while (getppid() == self)
                sched_yield();
            parent = getppid();
            write(p[1], &parent, sizeof(parent));
            _exit(0);
        }
        _exit(0);
    }
    good &= read(p[0], &parent, sizeof(parent)) == sizeof(parent) && parent == getpid();
    good &= wait(NULL) > 0 && wait(NULL) > 0 && FAILS(wait(NULL), ECHILD);
    _exit(!good);
}

static void yourself(void)
{
    int good = prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 &&
               prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 1 &&
               FAILS(prctl(PR_SET_KEEPCAPS, 2, 0, 0, 0), EINVAL);
    good &= prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 50000 &&
            prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0) == 0 &&
            prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 1000 &&
            prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0) == 0 &&
            prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 50000;
    good &= prctl(PR_GET_TIMING, 0, 0, 0, 0) == 0 &&
            FAILS(prctl(PR_SET_TIMING, 1, 0, 0, 0), EINVAL) &&
            FAILS(prctl(PR_SET_PDEATHSIG, 65, 0, 0, 0), EINVAL) &&
            FAILS(prctl(999, 0, 0, 0, 0), EINVAL) &&
            FAILS(prctl(PR_SET_DUMPABLE, 2, 0, 0, 0), EINVAL) &&
            prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
    _exit(!good);
}

static volatile int signals;

static void note(int signal)
{
    signals++;
}

/* RLIMIT_FSIZE: a write up to it is cut short, the next one refused. */
static void long_files(void)
{
    const struct rlimit l = {100, 100};
    char text[200];
    memset(text, 'x', sizeof(text));
    const int fd = syscall(SYS_memfd_create, "long", 0);
    signal(SIGXFSZ, note);
    int good = setrlimit(RLIMIT_FSIZE, &l) == 0 && write(fd, text, 200) == 100 && signals == 0 &&
               FAILS(write(fd, text, 1), EFBIG) && signals == 1 &&
               FAILS(ftruncate(fd, 101), EFBIG) && signals == 2 && ftruncate(fd, 100) == 0;
    _exit(!good);
}

/* RLIMIT_SIGPENDING: how many signals may wait that something is told about. */
static void many_signals(void)
{
    const struct rlimit l = {2, 2};
    sigset_t all;
    union sigval v = {.sival_int = 1};
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (setuid(1003) || setrlimit(RLIMIT_SIGPENDING, &l))
        _exit(2);
    int good = sigqueue(getpid(), SIGRTMIN, v) == 0 && sigqueue(getpid(), SIGRTMIN, v) == 0 &&
               FAILS(sigqueue(getpid(), SIGRTMIN, v), EAGAIN) && kill(getpid(), SIGUSR1) == 0;
    _exit(!good);
}

static void ask(void (*body)(void), const char *what)
{
    const int status = child(body);
    result(WIFEXITED(status) && WEXITSTATUS(status) == 0, what);
}

void check_policies(void)
{
    ask(root_policies, "scheduling policies and priorities are kept, told and inherited");
    ask(attributes, "sched_setattr and sched_getattr");
    ask(others, "who is not root cannot have a real-time policy, nor undo a promise");
    ask(subreaper, "orphans go to the next ancestor that asked for them");
    ask(yourself, "prctl keeps what it is told");
    ask(long_files, "RLIMIT_FSIZE");
    ask(many_signals, "RLIMIT_SIGPENDING");
}
