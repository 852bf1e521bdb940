/* Signals: what is told about them, queues, waiting without a handler; and timers that send them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile siginfo_t got;
static volatile int count;

static void on_info(int signal, siginfo_t *info, void *context)
{
    got = *info;
    count++;
}

static void handle(int signal)
{
    struct sigaction action = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    sigaction(signal, &action, NULL);
}

static sigset_t only(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

static void check_info(void)
{
    int status;
    handle(SIGUSR1);
    handle(SIGCHLD);
    count = 0;
    kill(getpid(), SIGUSR1);
    int good =
        count == 1 && got.si_signo == SIGUSR1 && got.si_code == SI_USER && got.si_pid == getpid();
    raise(SIGUSR1);
    good &= count == 2 && got.si_code == SI_TKILL;
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77});
    good &= count == 3 && got.si_code == SI_QUEUE && got.si_value.sival_int == 77;
    result(good, "a handler is told who sent the signal, and what with it");
    const pid_t pid = fork();
    if (pid == 0)
        _exit(5);
    while (waitpid(pid, &status, 0) < 0)
        ;
    result(got.si_signo == SIGCHLD && got.si_code == CLD_EXITED && got.si_pid == pid &&
               got.si_status == 5,
           "SIGCHLD tells which child, and how it ended");
    signal(SIGCHLD, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
}

static void check_queue(void)
{
    const sigset_t set = only(SIGRTMIN + 3), usr = only(SIGUSR2);
    siginfo_t info;
    struct timespec none = {0, 0}, soon = {0, 20000000};
    int good = 1;
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &usr, NULL);
    for (int i = 0; i < 5; i++)
        sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
    for (int i = 0; i < 5; i++)
        good &= sigtimedwait(&set, &info, &none) == SIGRTMIN + 3 && info.si_value.sival_int == i;
    good &= FAILS(sigtimedwait(&set, &info, &none), EAGAIN);
    result(good, "real-time signals queue, in order");
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGUSR2);
    good = sigwaitinfo(&usr, &info) == SIGUSR2 && FAILS(sigtimedwait(&usr, &info, &soon), EAGAIN);
    result(good, "others do not; sigtimedwait times out");
    if (fork() == 0) {
        usleep(5000);
        _exit(kill(getppid(), SIGUSR2));
    }
    good = sigwaitinfo(&usr, &info) == SIGUSR2;
    wait(NULL);
    result(good, "sigwaitinfo waits");
    kill(getpid(), SIGUSR2);
    signal(SIGUSR2, SIG_IGN);
    sigset_t pending;
    sigpending(&pending);
    result(!sigismember(&pending, SIGUSR2), "ignoring a signal forgets a pending one");
    signal(SIGUSR2, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_UNBLOCK, &usr, NULL);
}

static volatile uintptr_t handler_stack;

static void on_stack(int signal)
{
    stack_t s;
    handler_stack = (uintptr_t)__builtin_frame_address(0);
    sigaltstack(NULL, &s);
    count = s.ss_flags == SS_ONSTACK;
}

static void check_stack(void)
{
    static char memory[65536];
    stack_t s = {.ss_sp = memory, .ss_size = sizeof(memory)}, old,
            small = {.ss_sp = memory, .ss_size = 100};
    struct sigaction action = {.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    int good = sigaltstack(&s, NULL) == 0;
    raise(SIGUSR1);
    good &= count && handler_stack > (uintptr_t)memory &&
            handler_stack < (uintptr_t)memory + sizeof(memory);
    good &= FAILS(sigaltstack(&small, NULL), ENOMEM);
    s.ss_flags = SS_DISABLE;
    good &= sigaltstack(&s, &old) == 0 && old.ss_sp == memory && old.ss_flags == 0;
    result(good, "sigaltstack");
    signal(SIGUSR1, SIG_DFL);
}

static void on_nothing(int signal)
{
}

static void check_masks(void)
{
    struct sigaction action = {.sa_handler = on_nothing};
    sigset_t usr = only(SIGUSR1), none, old;
    int status;
    sigemptyset(&none);
    sigaction(SIGUSR1, &action, NULL);
    sigprocmask(SIG_BLOCK, &usr, NULL);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(kill(getppid(), SIGUSR1));
    int good = sigsuspend(&none) == -1 && errno == EINTR;
    sigprocmask(SIG_BLOCK, NULL, &old);
    good &= sigismember(&old, SIGUSR1) == 1;
    waitpid(pid, &status, 0);
    result(good, "sigsuspend waits with another mask and puts the old one back");
    sigprocmask(SIG_UNBLOCK, &usr, NULL);
    uint64_t all = ~0ul, now = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 8);
    all = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
    result(!(now >> (SIGKILL - 1) & 1) && !(now >> (SIGSTOP - 1) & 1),
           "SIGKILL and SIGSTOP cannot be blocked");
    signal(SIGUSR1, SIG_DFL);
}

void check_queued_signals(void)
{
    check_info();
    check_queue();
    check_stack();
    check_masks();
}

static void check_posix_timers(void)
{
    struct sigevent e = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 31};
    struct itimerspec t = {{0, 1000000}, {0, 3000000}}, now;
    int id;
    handle(SIGRTMIN);
    count = 0;
    int good = syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id) == 0 &&
               syscall(SYS_timer_settime, id, 0, &t, NULL) == 0;
    while (count < 3)
        pause();
    good &= got.si_code == SI_TIMER && got.si_value.sival_int == 31 &&
            syscall(SYS_timer_gettime, id, &now) == 0 && now.it_interval.tv_nsec == 1000000;
    good &= syscall(SYS_timer_getoverrun, id) >= 0 && syscall(SYS_timer_delete, id) == 0 &&
            FAILS(syscall(SYS_timer_delete, id), EINVAL);
    result(good, "timer_create's timers send signals until they are deleted");
    e.sigev_notify = SIGEV_NONE;
    good = syscall(SYS_timer_create, CLOCK_REALTIME, &e, &id) == 0;
    clock_gettime(CLOCK_REALTIME, &t.it_value);
    t.it_value.tv_sec += 100;
    good &= syscall(SYS_timer_settime, id, TIMER_ABSTIME, &t, NULL) == 0 &&
            syscall(SYS_timer_gettime, id, &now) == 0 && now.it_value.tv_sec >= 98 &&
            now.it_value.tv_sec <= 100;
    result(good && syscall(SYS_timer_delete, id) == 0, "a timer set to a time of day");
    signal(SIGRTMIN, SIG_DFL);
}

static void check_clocks(void)
{
    struct timespec a, b, until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 10000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int good = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == 0;
    clock_gettime(CLOCK_REALTIME, &a);
    good &= a.tv_sec > until.tv_sec || (a.tv_sec == until.tv_sec && a.tv_nsec >= until.tv_nsec);
    result(good, "clock_nanosleep until a time of day");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    usleep(30000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    const int64_t slept = (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
    result(slept >= 0 && slept < 30000000, "sleeping costs no CPU time");
    good = FAILS(syscall(SYS_clock_gettime, 99, &a), EINVAL) &&
           clock_getres(CLOCK_MONOTONIC, &a) == 0 && a.tv_sec == 0;
    a.tv_nsec = 1000000000;
    good &= FAILS(syscall(SYS_nanosleep, &a, NULL), EINVAL);
    result(good, "clocks' errors");
    alarm(100);
    result(alarm(0) == 100 && alarm(0) == 0, "alarm tells what was left");
}

void check_timers(void)
{
    check_posix_timers();
    check_clocks();
}
