/* What a call that sleeps finds when it wakes up: another thread has closed, sealed or left what it works on. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define NAME "/tmp/check-meanwhile"
#define MUCH (16 << 20)
#define MORE 8 /* pipes */

/* A call in a thread of its own. */
struct call {
    long (*body)(int fd);
    int fd;
    pthread_t thread;
    volatile pid_t tid;
    long rc;
    int error;
};

static void *make_call(void *arg)
{
    struct call *c = arg;
    c->tid = syscall(SYS_gettid);
    c->rc = c->body(c->fd);
    c->error = errno;
    return NULL;
}

/* Begin the call @c: does it sleep within a minute? */
static int begins(struct call *c)
{
    if (pthread_create(&c->thread, NULL, make_call, c))
        return 0;
    for (int i = 0; i < 60000; i++) {
        if (c->tid && asleep(getpid(), c->tid))
            return 1;
        usleep(1000);
    }
    return 0;
}

static int fails(const struct call *c, int error)
{
    return c->rc == -1 && c->error == error;
}

/* ---- Connections ---- */

static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
static struct sockaddr_in there;

static int listener(int backlog)
{
    socklen_t size = sizeof(there);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    there = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (void *)&there, sizeof(there)) || listen(fd, backlog) ||
        getsockname(fd, (void *)&there, &size))
        return -1;
    return fd;
}

static long do_connect(int fd)
{
    return connect(fd, (void *)&there, sizeof(there));
}

static long do_accept(int fd)
{
    return accept(fd, NULL, NULL);
}

static long do_receive(int fd)
{
    char c;
    return recv(fd, &c, 1, 0);
}

static long do_send(int fd)
{
    static char much[MUCH];
    return send(fd, much, sizeof(much), MSG_NOSIGNAL);
}

/* A connection over 127.0.0.1. */
static void connection(int ends[2])
{
    const int l = listener(5);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    do_connect(ends[0]);
    ends[1] = accept(l, NULL, NULL);
    close(l);
}

/* Linux may refuse to leave while others wait, or tell them of it in its own way: what is asked is whether they end. */
static void check_connect(void)
{
    const int l = listener(0), first = socket(AF_INET, SOCK_STREAM, 0);
    struct call c = {.body = do_connect, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    const int good = do_connect(first) == 0 && begins(&c);
    connect(c.fd, &nowhere, sizeof(nowhere));
    const int end = accept(l, NULL, NULL);
    pthread_join(c.thread, NULL);
    result(good && end >= 0,
           "connect waits for its turn, and another thread leaves the connection");
    close(end);
    close(l);
    close(first);
    close(c.fd);
}

static void check_send(void)
{
    int ends[2], error;
    socklen_t size = sizeof(error);
    connection(ends);
    struct call c = {.body = do_send, .fd = ends[0]};
    const int good = begins(&c);
    connect(c.fd, &nowhere, sizeof(nowhere));
    getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    close(ends[1]);
    pthread_join(c.thread, NULL);
    result(good && c.rc < MUCH, "send waits for room, and another thread leaves the connection");
    close(ends[0]);
}

static void check_receive(void)
{
    int ends[2];
    connection(ends);
    struct call c = {.body = do_receive, .fd = ends[0]};
    const int good = begins(&c);
    connect(c.fd, &nowhere, sizeof(nowhere));
    close(ends[1]);
    pthread_join(c.thread, NULL);
    result(good && c.rc <= 0, "recv waits for bytes, and another thread leaves the connection");
    close(ends[0]);
}

static void check_accept(void)
{
    struct call c = {.body = do_accept, .fd = listener(5)};
    const int good = begins(&c);
    shutdown(c.fd, SHUT_RD);
    pthread_join(c.thread, NULL);
    result(good && fails(&c, EINVAL), "accept waits, and another thread ends the listening");
    close(c.fd);
}

/* ---- Files ---- */

static int file;

/* Long enough at work that who wakes this thread goes on, and does more before it runs. */
static void work(void)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000l + now.tv_nsec - begin.tv_nsec < 30000000);
}

static long do_splice(int fd)
{
    work();
    return splice(fd, NULL, file, NULL, 4096, 0);
}

/* The first pipe's place may be another's by the time that the call looks at it. */
static void check_splice(void)
{
    int p[2], more[MORE][2];
    file = open(NAME, O_CREAT | O_RDWR, 0600);
    int good = pipe(p) == 0;
    struct call c = {.body = do_splice, .fd = p[0]};
    good &= begins(&c);
    close(p[0]);
    close(p[1]);
    for (int i = 0; i < MORE; i++)
        good &= pipe(more[i]) == 0;
    pthread_join(c.thread, NULL);
    result(good && c.rc == 0,
           "splice waits for a pipe's content, and another thread closes the pipe");
    for (int i = 0; i < MORE; i++) {
        close(more[i][0]);
        close(more[i][1]);
    }
    close(file);
    unlink(NAME);
}

static int lock(int fd, int command)
{
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, command, &f);
}

static long do_lock(int fd)
{
    return lock(fd, F_SETLKW);
}

static pid_t locker(int fd)
{
    int p[2];
    char c;
    if (pipe(p))
        return -1;
    const pid_t pid = fork();
    if (pid == 0) {
        if (lock(fd, F_SETLK) || write(p[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(p[1]);
    const int good = read(p[0], &c, 1) == 1;
    close(p[0]);
    return good ? pid : -1;
}

static void check_lock(void)
{
    int status;
    const int mine = open(NAME, O_CREAT | O_RDWR, 0600);
    const pid_t holder = locker(mine);
    struct call c = {.body = do_lock, .fd = open(NAME, O_RDWR)};
    int good = holder > 0 && begins(&c);
    close(c.fd);
    kill(holder, SIGKILL);
    good &= waitpid(holder, &status, 0) == holder;
    pthread_join(c.thread, NULL);
    const pid_t other = locker(mine);
    result(good && fails(&c, EBADF) && other > 0,
           "F_SETLKW waits, and another thread closes the file, which ends all its locks");
    kill(other, SIGKILL);
    waitpid(other, &status, 0);
    close(mine);
    unlink(NAME);
}

static long do_write(int fd)
{
    static char much[MUCH];
    return write(fd, much, sizeof(much));
}

static void check_seal(void)
{
    struct stat sealed, after;
    struct call c = {.body = do_write, .fd = memfd_create("check", MFD_ALLOW_SEALING)};
    int good = c.fd >= 0 && pthread_create(&c.thread, NULL, make_call, &c) == 0;
    do {
        sched_yield();
        good &= fstat(c.fd, &sealed) == 0;
    } while (good && !sealed.st_size);
    good &= fcntl(c.fd, F_ADD_SEALS, F_SEAL_WRITE) == 0 && fstat(c.fd, &sealed) == 0;
    pthread_join(c.thread, NULL);
    good &= fstat(c.fd, &after) == 0;
    result(good && sealed.st_size == after.st_size && c.rc == after.st_size,
           "a file that another thread seals is not written to any more");
    close(c.fd);
}

void check_meanwhile(void)
{
    check_connect();
    check_send();
    check_receive();
    check_accept();
    check_splice();
    check_lock();
    check_seal();
}
