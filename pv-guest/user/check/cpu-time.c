/* CPU time: who has used how much of it, and the timers, clocks and limits that it drives. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t arrived;

static void note(int number)
{
    arrived = number;
}

static uint64_t microseconds(struct timeval t)
{
    return t.tv_sec * 1000000ul + t.tv_usec;
}

static uint64_t clock_us(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) ? 0 : t.tv_sec * 1000000ul + t.tv_nsec / 1000;
}

/* Compute until @signal arrives; 0 if that took more than ten seconds. */
static int compute_until(int signal)
{
    const time_t end = time(NULL) + 10;
    while (arrived != signal && time(NULL) < end)
        for (volatile int i = 0; i < 10000; i++)
            ;
    return arrived == signal;
}

static void check_shares(void)
{
    struct rusage before, after;
    struct tms t;
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 300000; i++)
        syscall(SYS_getppid);
    getrusage(RUSAGE_SELF, &after);
    const uint64_t system = microseconds(after.ru_stime) - microseconds(before.ru_stime);
    result(system >= 10000 && times(&t) != (clock_t)-1 && t.tms_stime > 0,
           "time in the kernel is told as the system's");
    getrusage(RUSAGE_SELF, &before);
    const uint64_t start = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    while (clock_us(CLOCK_PROCESS_CPUTIME_ID) < start + 100000)
        for (volatile int i = 0; i < 100000; i++)
            ;
    getrusage(RUSAGE_SELF, &after);
    const uint64_t program = microseconds(after.ru_utime) - microseconds(before.ru_utime);
    result(program >= 50000, "time outside is the program's own");
    result(clock_us(CLOCK_THREAD_CPUTIME_ID) <= clock_us(CLOCK_PROCESS_CPUTIME_ID),
           "a thread has used no more than its process");
}

static void use_up(void)
{
    const uint64_t start = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    while (clock_us(CLOCK_PROCESS_CPUTIME_ID) < start + 50000)
        ;
}

static void check_children(void)
{
    struct rusage before, after;
    getrusage(RUSAGE_CHILDREN, &before);
    child(use_up);
    getrusage(RUSAGE_CHILDREN, &after);
    const uint64_t used = microseconds(after.ru_utime) + microseconds(after.ru_stime) -
                          microseconds(before.ru_utime) - microseconds(before.ru_stime);
    result(used >= 40000, "children's time is told when they have been waited for");
}

static void check_itimer(int which, int number, const char *what)
{
    struct itimerval t = {{0, 10000}, {0, 10000}}, left;
    const struct itimerval late = {{0, 0}, {1000, 0}};
    signal(number, note);
    arrived = 0;
    int good = setitimer(which, &late, NULL) == 0 && getitimer(which, &left) == 0 &&
               left.it_value.tv_sec > 0;
    good &=
        setitimer(which, &t, &left) == 0 && left.it_interval.tv_usec == 0 && compute_until(number);
    arrived = 0;
    good &= compute_until(number);
    memset(&t, 0, sizeof(t));
    good &= setitimer(which, &t, &left) == 0 && left.it_interval.tv_usec == 10000;
    good &= getitimer(which, &left) == 0 && left.it_value.tv_usec == 0;
    signal(number, SIG_DFL);
    result(good, what);
}

static void check_timer(clockid_t clock, const char *what)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    const struct itimerspec t = {.it_value = {0, 20000000}};
    struct itimerspec left;
    timer_t id;
    signal(SIGUSR1, note);
    arrived = 0;
    int good = timer_create(clock, &e, &id) == 0 && timer_settime(id, 0, &t, NULL) == 0;
    good &= timer_gettime(id, &left) == 0 && left.it_value.tv_nsec > 0 &&
            left.it_value.tv_nsec <= 20000000;
    good &= compute_until(SIGUSR1) && timer_gettime(id, &left) == 0 && left.it_value.tv_nsec == 0;
    good &= timer_delete(id) == 0;
    signal(SIGUSR1, SIG_DFL);
    result(good, what);
}

static void run_out(void)
{
    const struct rlimit l = {1, 2};
    signal(SIGXCPU, note);
    setrlimit(RLIMIT_CPU, &l);
    if (!compute_until(SIGXCPU))
        _exit(1);
    compute_until(0);
}

static void check_others(void)
{
    clockid_t clock;
    const pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    int good =
        clock_getcpuclockid(pid, &clock) == 0 && clock_us(clock) <= clock_us(CLOCK_MONOTONIC);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    struct timespec t;
    good &= FAILS(clock_gettime(clock, &t), EINVAL);
    result(good, "another process has a clock as long as it is there");
}

void check_cpu_time(void)
{
    check_shares();
    check_children();
    check_itimer(ITIMER_VIRTUAL, SIGVTALRM, "ITIMER_VIRTUAL counts the program's time");
    check_itimer(ITIMER_PROF, SIGPROF, "ITIMER_PROF counts all CPU time");
    check_timer(CLOCK_PROCESS_CPUTIME_ID, "a timer that counts a process's time");
    check_timer(CLOCK_THREAD_CPUTIME_ID, "a timer that counts a thread's time");
    result(died_of(child(run_out), SIGKILL), "RLIMIT_CPU: SIGXCPU, and SIGKILL a second later");
    check_others();
}
