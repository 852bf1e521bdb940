/* POSIX message queues: names, order, limits, who is told. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define NAME "/check-queue"

static struct mq_attr small = {.mq_maxmsg = 2, .mq_msgsize = 16};

static mqd_t make(int flags)
{
    return mq_open(NAME, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &small);
}

static void check_names_of_queues(void)
{
    struct mq_attr a;
    struct stat st;
    const mqd_t q = make(0), other = mq_open(NAME, O_RDONLY);
    result(q >= 0 && other >= 0 && make(0) == -1 && errno == EEXIST && !mq_getattr(q, &a) &&
               a.mq_maxmsg == 2 && a.mq_msgsize == 16 && !a.mq_curmsgs && !a.mq_flags,
           "mq_open makes a queue and finds it");
    result(!fstat(q, &st) && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600 &&
               (fcntl(q, F_GETFD) & FD_CLOEXEC),
           "a queue is a file that exec closes");
    result(FAILS(mq_open("/no-such-queue", O_RDONLY), ENOENT) &&
               FAILS(syscall(SYS_mq_open, "", O_RDONLY, 0, 0), ENOENT) &&
               FAILS(syscall(SYS_mq_open, "a/b", O_RDONLY, 0, 0), EACCES) &&
               FAILS(syscall(SYS_mq_open, "check-queue", O_ACCMODE, 0, 0), EINVAL) &&
               FAILS(syscall(SYS_mq_open, 8, O_RDONLY, 0, 0), EFAULT) &&
               FAILS(syscall(SYS_mq_open, "new", O_RDWR | O_CREAT, 0600, 8), EFAULT),
           "mq_open's refusals");
    char name[300];
    memset(name, 'a', 299);
    name[0] = '/';
    name[299] = 0;
    result(FAILS(syscall(SYS_mq_open, name + 1, O_RDWR | O_CREAT, 0600, 0), ENAMETOOLONG),
           "a queue's name has 255 bytes at most");
    a = small;
    a.mq_maxmsg = 0;
    int good = FAILS(mq_open("/bad", O_CREAT | O_RDWR, 0600, &a), EINVAL);
    a.mq_maxmsg = 65537;
    good &= FAILS(mq_open("/bad", O_CREAT | O_RDWR, 0600, &a), EINVAL);
    a = small;
    a.mq_msgsize = 0;
    good &= FAILS(mq_open("/bad", O_CREAT | O_RDWR, 0600, &a), EINVAL);
    a.mq_msgsize = (16 << 20) + 1;
    good &= FAILS(mq_open("/bad", O_CREAT | O_RDWR, 0600, &a), EINVAL);
    result(good, "a queue has room for something, and not for everything");
    mq_close(other);
    result(!mq_unlink(NAME) && FAILS(mq_unlink(NAME), ENOENT) && !mq_send(q, "x", 1, 0) &&
               FAILS(mq_open(NAME, O_RDONLY), ENOENT),
           "a queue lives on without its name");
    mq_close(q);
}

static int next_is(mqd_t q, const char *text, unsigned priority)
{
    char got[17] = "";
    unsigned p;
    return mq_receive(q, got, 16, &p) == (ssize_t)strlen(text) && !strcmp(got, text) &&
           p == priority;
}

static void check_messages(void)
{
    struct mq_attr a = {.mq_flags = 0}, old;
    char got[16];
    struct timespec past = {1, 0}, bad = {1, 1000000000};
    const mqd_t q = make(O_NONBLOCK), in = mq_open(NAME, O_RDONLY), out = mq_open(NAME, O_WRONLY);
    struct pollfd p = {q, POLLIN | POLLOUT};
    result(poll(&p, 1, 0) == 1 && p.revents == POLLOUT && !mq_send(q, "low", 3, 1) &&
               !mq_send(q, "high", 4, 32767) && poll(&p, 1, 0) == 1 && p.revents == POLLIN &&
               FAILS(mq_send(q, "more", 4, 0), EAGAIN) && next_is(q, "high", 32767) &&
               next_is(q, "low", 1) && FAILS(mq_receive(q, got, 16, NULL), EAGAIN),
           "messages come by priority");
    result(FAILS(mq_send(q, "x", 1, 32768), EINVAL) && FAILS(mq_send(q, got, 17, 0), EMSGSIZE) &&
               FAILS(mq_receive(q, got, 15, NULL), EMSGSIZE) &&
               FAILS(mq_send(in, "x", 1, 0), EBADF) &&
               FAILS(mq_receive(out, got, 16, NULL), EBADF) &&
               FAILS(mq_send(0, "x", 1, 0), EBADF) && FAILS(mq_send(99, "x", 1, 0), EBADF) &&
               FAILS(syscall(SYS_mq_timedsend, q, 8, 4, 0, 0), EFAULT),
           "refusals of sending and receiving");
    result(FAILS(mq_timedreceive(in, got, 16, NULL, &past), ETIMEDOUT) &&
               FAILS(mq_timedreceive(in, got, 16, NULL, &bad), EINVAL) &&
               FAILS(mq_timedreceive(q, got, 16, NULL, &bad), EINVAL) &&
               FAILS(syscall(SYS_mq_timedreceive, in, got, 16, 0, 8), EFAULT),
           "a wait for a message ends by the time of day");
    result(!mq_setattr(q, &a, &old) && old.mq_flags == O_NONBLOCK && !mq_getattr(q, &a) &&
               !a.mq_flags,
           "mq_setattr changes O_NONBLOCK");
    a.mq_flags = O_APPEND;
    result(FAILS(mq_setattr(q, &a, NULL), EINVAL) && FAILS(mq_getattr(0, &a), EBADF),
           "and nothing else");
    mq_close(in);
    mq_close(out);
    mq_close(q);
    mq_unlink(NAME);
}

static int answer(pid_t pid)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_waiting(void)
{
    const mqd_t q = make(0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(!next_is(q, "late", 3));
    result(!mq_send(q, "late", 4, 3) && answer(pid) == 0, "mq_receive waits");
    mq_send(q, "1", 1, 0);
    mq_send(q, "2", 1, 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(mq_send(q, "3", 1, 0) != 0);
    result(next_is(q, "1", 0) && next_is(q, "2", 0) && next_is(q, "3", 0) && answer(pid) == 0,
           "mq_send waits");
    mq_close(q);
    mq_unlink(NAME);
}

static void check_notice(void)
{
    siginfo_t i;
    sigset_t set;
    const struct timespec none = {0, 0};
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    const mqd_t q = make(0);
    e.sigev_value.sival_int = 42;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    result(!mq_notify(q, &e) && FAILS(mq_notify(q, &e), EBUSY) && !mq_send(q, "x", 1, 0) &&
               sigtimedwait(&set, &i, &none) == SIGUSR1 && i.si_code == SI_MESGQ &&
               i.si_value.sival_int == 42 && i.si_pid == getpid() && i.si_uid == getuid(),
           "mq_notify sends a signal when a message arrives");
    result(!mq_notify(q, &e) && !mq_send(q, "y", 1, 0) &&
               FAILS(sigtimedwait(&set, &i, &none), EAGAIN) && !mq_notify(q, NULL) &&
               next_is(q, "x", 0) && next_is(q, "y", 0) && !mq_send(q, "z", 1, 0) &&
               FAILS(sigtimedwait(&set, &i, &none), EAGAIN),
           "only into an empty queue, and not to who has taken it back");
    e.sigev_notify = 99;
    int good = FAILS(mq_notify(q, &e), EINVAL);
    e.sigev_notify = SIGEV_SIGNAL;
    e.sigev_signo = 65;
    good &= FAILS(mq_notify(q, &e), EINVAL);
    e.sigev_signo = SIGUSR1;
    good &= FAILS(mq_notify(0, &e), EBADF) && FAILS(syscall(SYS_mq_notify, q, 8), EFAULT);
    result(good, "mq_notify's refusals");
    const mqd_t other = mq_open(NAME, O_RDWR);
    result(next_is(q, "z", 0) && !mq_notify(q, &e) && !mq_close(other) && !mq_notify(q, &e) &&
               FAILS(mq_notify(q, &e), EBUSY),
           "closing a queue takes the wish back");
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    mq_close(q);
    mq_unlink(NAME);
}

/* The program that a process executes has not asked: this is it. */
int queues_told(void)
{
    char c;
    return write(1, "x", 1) == 1 && read(0, &c, 1) == 1 ? 0 : 1;
}

static void check_notice_of_program(void)
{
    int in[2], out[2];
    char c;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    const mqd_t q = make(0);
    if (pipe(in) || pipe(out))
        return;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        fcntl(q, F_SETFD, 0);
        dup2(in[0], 0);
        dup2(out[1], 1);
        if (!mq_notify(q, &e))
            execl("/proc/self/exe", "check", "told", NULL);
        _exit(2);
    }
    const int good =
        read(out[0], &c, 1) == 1 && !mq_send(q, "x", 1, 0) && write(in[1], "x", 1) == 1;
    result(good && answer(pid) == 0, "a program that has been executed is not told");
    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
    mq_close(q);
    mq_unlink(NAME);
}

static void as_user(void)
{
    struct mq_attr a = {.mq_maxmsg = 11, .mq_msgsize = 16};
    if (setgid(1000) || setuid(1000))
        _exit(1);
    if (!FAILS(mq_open(NAME, O_RDONLY), EACCES))
        _exit(2);
    if (!FAILS(syscall(SYS_mq_unlink, NAME + 1), EPERM))
        _exit(3);
    if (!FAILS(mq_open("/user", O_CREAT | O_RDWR, 0600, &a), EINVAL))
        _exit(4);
    a = (struct mq_attr){.mq_maxmsg = 10, .mq_msgsize = 8193};
    if (!FAILS(mq_open("/user", O_CREAT | O_RDWR, 0600, &a), EINVAL))
        _exit(5);
    setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){10 * (8192 + 96) - 1, 10 * (8192 + 96)});
    if (!FAILS(mq_open("/user", O_CREAT | O_RDWR, 0600, NULL), EMFILE))
        _exit(6);
    setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){10 * (8192 + 96), 10 * (8192 + 96)});
    if (mq_open("/user", O_CREAT | O_RDWR, 0600, NULL) < 0 || mq_unlink("/user"))
        _exit(7);
}

static void check_users_of_queues(void)
{
    const mqd_t q = make(0);
    result(child(as_user) == 0, "another user's queue is refused, and RLIMIT_MSGQUEUE counts");
    mq_close(q);
    mq_unlink(NAME);
}

void check_queues(void)
{
    check_names_of_queues();
    check_messages();
    check_waiting();
    check_notice();
    check_notice_of_program();
    check_users_of_queues();
}
