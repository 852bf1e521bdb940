/* Threads, by the calls that a C library makes of them; and futexes. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define THREADS 8

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter;
static int turn;
static __thread long own = 1;

static void *count_up(void *argument)
{
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    own += (long)argument;
    return (void *)own;
}

static void *take_turns(void *argument)
{
    const int me = (int)(long)argument;
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me)
            pthread_cond_wait(&condition, &mutex);
        turn = !me;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static int tid(void)
{
    return (int)syscall(SYS_gettid);
}

static void *tell_numbers(void *argument)
{
    int *n = argument;
    n[0] = getpid();
    n[1] = tid();
    n[2] = getppid();
    return NULL;
}

static void check_pthreads(void)
{
    pthread_t t[THREADS];
    void *value;
    int good = 1, numbers[3];
    for (long i = 0; i < THREADS; i++)
        good &= pthread_create(&t[i], NULL, count_up, (void *)i) == 0;
    for (long i = 0; i < THREADS; i++)
        good &= pthread_join(t[i], &value) == 0 && (long)value == i + 1;
    result(good && counter == THREADS * 5000 && own == 1,
           "eight threads, one counter, memory of their own");
    for (long i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, take_turns, (void *)i);
    for (long i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    result(turn == 0, "two threads take turns");
    pthread_create(&t[0], NULL, tell_numbers, numbers);
    pthread_join(t[0], NULL);
    result(numbers[0] == getpid() && numbers[1] != getpid() && numbers[2] == getppid() &&
               tid() == getpid(),
           "threads have one pid and a tid each");
}

static void *wait_for_ever(void *argument)
{
    for (;;)
        pause();
    return NULL;
}

static void *leave_with_nine(void *argument)
{
    usleep(2000);
    exit(9);
}

static void *execute(void *argument)
{
    char tids[16];
    snprintf(tids, sizeof(tids), "%d", getpid());
    execl("/proc/self/exe", "check", "pid", tids, NULL);
    return NULL;
}

static pthread_t start(void *(*body)(void *), void *argument)
{
    pthread_t t;
    pthread_create(&t, NULL, body, argument);
    return t;
}

static void main_exits(void)
{
    start(wait_for_ever, NULL);
    _exit(4);
}

static void thread_exits(void)
{
    start(leave_with_nine, NULL);
    for (;;)
        pause();
}

static void leader_ends_first(void)
{
    start(leave_with_nine, NULL);
    pthread_exit(NULL);
}

static void dies_of_signal(void)
{
    start(wait_for_ever, NULL);
    start(wait_for_ever, NULL);
    kill(getpid(), SIGTERM);
    for (;;)
        pause();
}

static void thread_executes(void)
{
    start(wait_for_ever, NULL);
    start(execute, NULL);
    for (;;)
        pause();
}

static void *fault(void *argument)
{
    *(volatile char *)8 = 1;
    return NULL;
}

static void thread_faults(void)
{
    start(fault, NULL);
    for (;;)
        pause();
}

static void check_ends(void)
{
    result(child(main_exits) == 4 << 8, "exit of one thread ends all");
    result(child(thread_exits) == 9 << 8, "whichever thread it is");
    result(child(leader_ends_first) == 9 << 8, "a process outlives its first thread");
    result(died_of(child(dies_of_signal), SIGTERM), "a signal ends all threads");
    result(died_of(child(thread_faults), SIGSEGV), "so does a fault of one");
    result(child(thread_executes) == 7 << 8, "exec by a thread makes it the process");
}

static volatile int handler_tid;

static void on_signal(int signal)
{
    handler_tid = tid();
}

static void *wait_for_handler(void *argument)
{
    *(volatile int *)argument = tid();
    while (!handler_tid)
        usleep(500);
    return NULL;
}

static void *block_and_wait(void *argument)
{
    sigset_t set;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sem_post(argument);
    while (!handler_tid)
        usleep(500);
    return NULL;
}

static void *stay(void *argument)
{
    usleep(20000);
    return NULL;
}

static void check_thread_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    volatile int other = 0;
    sem_t ready;
    sigaction(SIGUSR1, &action, NULL);
    handler_tid = 0;
    pthread_t t = start(wait_for_handler, (void *)&other);
    while (!other)
        usleep(500);
    int good = syscall(SYS_tgkill, getpid(), other, SIGUSR1) == 0;
    pthread_join(t, NULL);
    good &= handler_tid == other && FAILS(syscall(SYS_tgkill, getpid() + 1, other, SIGUSR1), ESRCH);
    result(good, "tgkill reaches the thread it names");
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    handler_tid = other = 0;
    t = start(wait_for_handler, (void *)&other);
    while (!other)
        usleep(500);
    good = syscall(SYS_rt_sigqueueinfo, other, SIGUSR1, &info) == 0;
    handler_tid = good ? handler_tid : -1;
    pthread_join(t, NULL);
    good &= FAILS(syscall(SYS_rt_sigqueueinfo, other, SIGUSR1, &info), ESRCH);
    result(good, "rt_sigqueueinfo takes any thread's number for its process's");
    handler_tid = 0;
    sem_init(&ready, 0, 0);
    t = start(block_and_wait, &ready);
    sem_wait(&ready);
    kill(getpid(), SIGUSR1);
    pthread_join(t, NULL);
    result(handler_tid == getpid(), "kill finds the thread that does not block the signal");
    signal(SIGUSR1, SIG_DFL);
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        pthread_join(start(stay, NULL), NULL);
        _exit(6);
    }
    kill(pid, SIGSTOP);
    good = waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
    kill(pid, SIGCONT);
    good &= waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status);
    good &= waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 6;
    result(good, "a process with threads stops and continues");
}

enum { QUERY = 0, GLOBAL = 1, PRIVATE = 8, REGISTER_PRIVATE = 16 };

static long membarrier(int command, unsigned flags)
{
    return syscall(SYS_membarrier, command, flags, 0);
}

static void ask_barriers(void)
{
    const int all = GLOBAL | PRIVATE | REGISTER_PRIVATE;
    _exit((membarrier(QUERY, 0) & all) == all && FAILS(membarrier(QUERY, 1), EINVAL) &&
          FAILS(membarrier(GLOBAL | PRIVATE, 0), EINVAL) && FAILS(membarrier(-1, 0), EINVAL) &&
          membarrier(GLOBAL, 0) == 0 && FAILS(membarrier(PRIVATE, 0), EPERM) &&
          membarrier(REGISTER_PRIVATE, 0) == 0 && membarrier(PRIVATE, 0) == 0);
}

static void *lock_and_die(void *argument)
{
    pthread_mutex_lock(argument);
    return NULL;
}

static void *time_out(void *argument)
{
    sem_t never;
    struct timespec until;
    sem_init(&never, 0, 0);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec = (until.tv_nsec + 5000000) % 1000000000;
    until.tv_sec += until.tv_nsec < 5000000;
    return (void *)(long)(sem_timedwait(&never, &until) == -1 && errno == ETIMEDOUT);
}

static void check_library(void)
{
    static pthread_mutex_t robust;
    pthread_mutexattr_t attributes;
    void *value;
    pthread_t t = start(wait_for_ever, NULL);
    int good = pthread_cancel(t) == 0 && pthread_join(t, &value) == 0 && value == PTHREAD_CANCELED;
    result(good, "pthread_cancel");
    pthread_join(start(time_out, NULL), &value);
    result(value != NULL, "sem_timedwait times out");
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_join(start(lock_and_die, &robust), NULL);
    result(pthread_mutex_lock(&robust) == EOWNERDEAD, "a robust lock tells that its owner died");
}

void check_threads(void)
{
    check_pthreads();
    check_ends();
    check_thread_signals();
    result(child(ask_barriers) == 1 << 8, "membarrier: what there is, and who may ask for it");
    check_library();
}

/* ---- Futexes ---- */

/* The kernel's <linux/futex.h> is not where a musl compiler looks. */
enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_CMP_REQUEUE = 4,
    FUTEX_WAKE_OP = 5,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_WAKE_BITSET = 10,
};
#define SET_TO_5_IF_0 (5 << 12) /* FUTEX_OP(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 0) */

static long futex(uint32_t *word, int operation, uint32_t value, const void *timeout,
                  uint32_t *second, uint32_t third)
{
    return syscall(SYS_futex, word, operation, value, timeout, second, third);
}

static void check_futex_errors(void)
{
    static uint32_t words[2];
    const struct timespec soon = {0, 1000000}, wrong = {0, 1000000000};
    int good =
        FAILS(futex(words, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN) &&
        FAILS(futex(words, FUTEX_WAIT, 0, &soon, NULL, 0), ETIMEDOUT) &&
        FAILS(futex(words, FUTEX_WAIT, 0, &wrong, NULL, 0), EINVAL) &&
        FAILS(futex((uint32_t *)((char *)words + 1), FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL) &&
        FAILS(futex(words, FUTEX_WAIT_BITSET, 0, &soon, NULL, 0), EINVAL) &&
        FAILS(futex(words, FUTEX_CMP_REQUEUE, 1, (void *)1, words + 1, 5), EAGAIN) &&
        FAILS(futex(words, 99, 1, NULL, NULL, 0), ENOSYS) &&
        futex(words, FUTEX_WAKE, 1, NULL, NULL, 0) == 0;
    result(good, "futex's errors");
}

/* Three children wait on a word of shared memory, with bits 1, 2 and 4. */
static void check_futex_queues(void)
{
    uint32_t *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, good = 1;
    for (int i = 0; i < 3; i++) {
        if (fork())
            continue;
        __atomic_fetch_add(&w[2], 1, __ATOMIC_SEQ_CST);
        _exit(futex(w, FUTEX_WAIT_BITSET, 0, NULL, NULL, 1u << i) ? 100 : i);
    }
    while (__atomic_load_n(&w[2], __ATOMIC_SEQ_CST) < 3)
        usleep(500);
    while (futex(w, FUTEX_CMP_REQUEUE, 0, (void *)3, w + 1, 0) <
           3) { /* all of them, once they wait */
        usleep(500);
        futex(w + 1, FUTEX_CMP_REQUEUE, 0, (void *)3, w, 0);
    }
    good &= futex(w, FUTEX_WAKE, 10, NULL, NULL, 0) == 0;
    good &= futex(w + 1, FUTEX_WAKE_BITSET, 10, NULL, NULL, 2) == 1 && wait(&status) > 0 &&
            WEXITSTATUS(status) == 1;
    result(good, "waiters are requeued, and woken by their bits, across processes");
    /* w[1] becomes 5; it was 0, so its waiters are woken, too. */
    good = futex(w, FUTEX_WAKE_OP, 1, (void *)10, w + 1, SET_TO_5_IF_0) == 2 && w[1] == 5;
    for (int i = 0; i < 2; i++)
        good &= wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) % 2 == 0;
    result(good, "FUTEX_WAKE_OP");
    munmap(w, 4096);
}

/*
 * One thread has a lock nearly always: it lets go, wakes who waits, and takes it again at once,
 * as interpreters do with their global lock.  Who waits on the same CPU gets it only by running
 * right after having been woken; by running when the other's turn ends, once in thousands of
 * rounds.  Real waiting times do not count here, only how often the lock was let go.
 */
#define TIMES  10
#define ROUNDS (200 * TIMES)

static uint32_t busy_lock;
static volatile int times_taken;

static void busy_lock_take(void)
{
    uint32_t nobody = 0;
    while (!__atomic_compare_exchange_n(&busy_lock, &nobody, 1, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
        futex(&busy_lock, FUTEX_WAIT, 1, NULL, NULL, 0);
        nobody = 0;
    }
}

static void busy_lock_drop(void)
{
    __atomic_store_n(&busy_lock, 0, __ATOMIC_SEQ_CST);
    futex(&busy_lock, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void *take_sometimes(void *argument)
{
    while (times_taken < TIMES) {
        busy_lock_take();
        times_taken++;
        busy_lock_drop();
    }
    return NULL;
}

static void ask_busy_lock(void)
{
    const uint64_t first_cpu = 1;
    int rounds = 0;
    const int pinned = syscall(SYS_sched_setaffinity, 0, sizeof(first_cpu), &first_cpu) == 0;
    start(take_sometimes, NULL);
    for (; times_taken < TIMES && rounds < ROUNDS; rounds++) {
        busy_lock_take();
        for (volatile int i = 0; i < 50000; i++)
            ;
        busy_lock_drop();
    }
    _exit(pinned && rounds < ROUNDS);
}

void check_futexes(void)
{
    check_futex_errors();
    check_futex_queues();
    result(child(ask_busy_lock) == 1 << 8,
           "who waits for a lock gets it, though another takes it again at once");
}
