/*
 * Is a wake-up ever lost?  Two sides pass a turn to each other, thousands of times, by each means of waiting that the
 * kernel has, with delays of a seeded random length between looking and waiting, where such faults live.  Somebody
 * else watches: if nobody gets a turn for a minute, both wait for what has been sent already.  Prints TAP.
 *
 *   wakeups [SEED [ROUNDS]]
 *
 * Runs on any Linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

#define PATIENCE 60 /* seconds without a turn */

static uint64_t seed = 1;
static long rounds = 1000;
static int asked, failed;
static volatile long turns; /* of both sides, of all means */

struct side {
    int id;
    uint64_t random;
    int in, out; /* of pipes, eventfds, or an epoll set and what is in it */
    int set;
    volatile int *word; /* of a futex: whose turn it is */
    pthread_t thread;
    pid_t tid;
    struct side *other;
    const struct means *means;
    int good;
};

/* A means: wait until it is @s's turn, and give it to the other side. */
struct means {
    const char *name;
    int (*prepare)(struct side sides[2]);
    int (*await)(struct side *s);
    int (*give)(struct side *s);
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Mostly nothing, sometimes as long as a wake-up takes, sometimes others' turn. */
static void delay(struct side *s)
{
    const uint64_t r = next_random(&s->random);
    if (r % 16 == 0)
        sched_yield();
    for (volatile unsigned i = 0; i < (r % 8 ? r >> 8 & 63 : r >> 8 & 4095); i++)
        ;
}

/* ---- Futexes ---- */

static volatile int word;

static int futex_prepare(struct side sides[2])
{
    word = 0;
    sides[0].word = sides[1].word = &word;
    return 0;
}

static int futex_await(struct side *s)
{
    int now;
    while ((now = __atomic_load_n(s->word, __ATOMIC_ACQUIRE)) != s->id) {
        delay(s);
        if (syscall(SYS_futex, s->word, FUTEX_WAIT_PRIVATE, now, NULL) && errno != EAGAIN &&
            errno != EINTR)
            return -1;
    }
    return 0;
}

static int futex_give(struct side *s)
{
    __atomic_store_n(s->word, s->other->id, __ATOMIC_RELEASE);
    return syscall(SYS_futex, s->word, FUTEX_WAKE_PRIVATE, 1) < 0;
}

/* ---- The C library's condition variables ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static int condition_await(struct side *s)
{
    pthread_mutex_lock(&mutex);
    while (*s->word != s->id)
        pthread_cond_wait(&changed, &mutex);
    return pthread_mutex_unlock(&mutex);
}

static int condition_give(struct side *s)
{
    pthread_mutex_lock(&mutex);
    *s->word = s->other->id;
    pthread_cond_broadcast(&changed);
    return pthread_mutex_unlock(&mutex);
}

/* ---- Pipes: reading them, poll ---- */

static int pipes_prepare(struct side sides[2])
{
    int there[2], back[2];
    if (pipe(there) || pipe(back))
        return -1;
    sides[0].out = there[1];
    sides[1].in = there[0];
    sides[1].out = back[1];
    sides[0].in = back[0];
    return write(back[1], "", 1) != 1; /* side 0 begins */
}

static int pipe_await(struct side *s)
{
    char c;
    return read(s->in, &c, 1) != 1;
}

static int pipe_give(struct side *s)
{
    return write(s->out, "", 1) != 1;
}

static int poll_await(struct side *s)
{
    struct pollfd p = {.fd = s->in, .events = POLLIN};
    return poll(&p, 1, -1) != 1 || pipe_await(s);
}

/* ---- eventfd in an epoll set, edge-triggered as event loops have it ---- */

static int epoll_prepare(struct side sides[2])
{
    const uint64_t one = 1;
    for (int i = 0; i < 2; i++) {
        struct epoll_event e = {.events = EPOLLIN};
        sides[i].in = eventfd(0, EFD_NONBLOCK);
        sides[i].set = epoll_create1(0);
        if (epoll_ctl(sides[i].set, EPOLL_CTL_ADD, sides[i].in, &e))
            return -1;
    }
    return write(sides[0].in, &one, sizeof(one)) != sizeof(one);
}

static int epoll_await(struct side *s)
{
    struct epoll_event e;
    uint64_t count;
    while (read(s->in, &count, sizeof(count)) != sizeof(count)) {
        delay(s);
        if (errno != EAGAIN || (epoll_wait(s->set, &e, 1, -1) != 1 && errno != EINTR))
            return -1;
    }
    return count != 1;
}

static int epoll_give(struct side *s)
{
    const uint64_t one = 1;
    return write(s->other->in, &one, sizeof(one)) != sizeof(one);
}

/* ---- Signals to a thread ---- */

static int signal_await(struct side *s)
{
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 5);
    return sigwait(&set, &number);
}

static int signal_give(struct side *s)
{
    struct side *other = s->other;
    while (!__atomic_load_n(&other->tid, __ATOMIC_ACQUIRE))
        sched_yield();
    /* After its last turn it is gone. */
    return syscall(SYS_tgkill, getpid(), other->tid, SIGRTMIN + 5) && errno != ESRCH;
}

/* ---- Children: each turn is one that ends ---- */

static int child_await(struct side *s)
{
    const pid_t pid = fork();
    if (pid == 0) {
        delay(s);
        _exit(7);
    }
    int status;
    delay(s);
    return waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7;
}

/* ---- Time ---- */

static int sleep_await(struct side *s)
{
    const struct timespec t = {.tv_nsec = next_random(&s->random) % 50000};
    return nanosleep(&t, NULL);
}

static int timer_prepare(struct side sides[2])
{
    for (int i = 0; i < 2; i++)
        sides[i].in = timerfd_create(CLOCK_MONOTONIC, 0);
    return sides[1].in < 0;
}

static int timer_await(struct side *s)
{
    const struct itimerspec t = {.it_value.tv_nsec = 1 + next_random(&s->random) % 50000};
    uint64_t count;
    return timerfd_settime(s->in, 0, &t, NULL) ||
           read(s->in, &count, sizeof(count)) != sizeof(count);
}

static int nothing(struct side *s)
{
    return 0;
}

static int nothing_to_prepare(struct side sides[2])
{
    return 0;
}

static const struct means all_means[] = {
    {"futex", futex_prepare, futex_await, futex_give},
    {"condition variable", futex_prepare, condition_await, condition_give},
    {"pipe", pipes_prepare, pipe_await, pipe_give},
    {"poll", pipes_prepare, poll_await, pipe_give},
    {"epoll and eventfd", epoll_prepare, epoll_await, epoll_give},
    {"signal to a thread", nothing_to_prepare, signal_await, signal_give},
    {"wait for a child", nothing_to_prepare, child_await, nothing},
    {"nanosleep", nothing_to_prepare, sleep_await, nothing},
    {"timerfd", timer_prepare, timer_await, nothing},
};

static void *play(void *arg)
{
    struct side *s = arg;
    const struct means *m = s->means;
    const int first = m->give == signal_give && s->id == 0; /* nobody has sent it one */
    __atomic_store_n(&s->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
    s->good = 1;
    for (long i = 0; s->good && i < rounds; i++) {
        s->good = (first && i == 0) || m->await(s) == 0;
        __atomic_fetch_add(&turns, 1, __ATOMIC_RELAXED);
        delay(s);
        s->good &= m->give(s) == 0;
    }
    return NULL;
}

/* Says which means stands still, and ends everything. */
static const char *volatile playing;

static void *watch(void *unused)
{
    long before = -1;
    for (;;) {
        const struct timespec t = {.tv_sec = PATIENCE};
        nanosleep(&t, NULL);
        const long now = __atomic_load_n(&turns, __ATOMIC_RELAXED);
        if (now == before) {
            printf("not ok %d - %s: a wake-up was lost after %ld turns, seed %lu\n1..%d\n",
                   asked + 1, playing, now, (unsigned long)seed, asked + 1);
            exit(1);
        }
        before = now;
    }
    return NULL;
}

static void ask(const struct means *m)
{
    struct side sides[2] = {{.id = 0}, {.id = 1}};
    int good = 1;
    playing = m->name;
    for (int i = 0; i < 2; i++) {
        sides[i].random = (seed * 2 + i + 1) * 0x9e3779b97f4a7c15 ^ (uint64_t)(asked + 1) << 32;
        sides[i].other = &sides[1 - i];
        sides[i].means = m;
        sides[i].set = sides[i].in = sides[i].out = -1;
    }
    if (m->prepare(sides)) {
        printf("# cannot prepare: errno %d\n", errno);
        good = 0;
    }
    for (int i = 0; good && i < 2; i++)
        good &= pthread_create(&sides[i].thread, NULL, play, &sides[i]) == 0;
    for (int i = 0; good && i < 2; i++)
        pthread_join(sides[i].thread, NULL);
    good &= sides[0].good && sides[1].good;
    for (int i = 0; i < 2; i++) {
        close(sides[i].in);
        close(sides[i].out);
        close(sides[i].set);
    }
    printf("%sok %d - %s, seed %lu: %ld turns each\n", good ? "" : "not ", ++asked, m->name,
           (unsigned long)seed, rounds);
    fflush(stdout);
    failed += !good;
}

int main(int argc, char **argv)
{
    sigset_t set;
    pthread_t watcher;
    if (argc > 1)
        seed = strtoul(argv[1], NULL, 0);
    if (argc > 2)
        rounds = strtol(argv[2], NULL, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 5);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_create(&watcher, NULL, watch, NULL);
    for (unsigned i = 0; i < sizeof(all_means) / sizeof(all_means[0]); i++)
        ask(&all_means[i]);
    printf("1..%d\n", asked);
    return failed != 0;
}
