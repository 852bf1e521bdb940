/* Waiting for several things: poll, select, epoll, eventfd, timerfd. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static void check_poll(void)
{
    int fds[2];
    if (pipe(fds))
        return;
    struct pollfd p[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLOUT}};
    int good = poll(p, 2, 0) == 1 && p[0].revents == 0 && p[1].revents == POLLOUT;
    good &= write(fds[1], "x", 1) == 1 && poll(p, 2, -1) == 2 && p[0].revents == POLLIN;
    close(fds[1]);
    p[1].fd = 999;
    char c;
    good &= read(fds[0], &c, 1) == 1 && poll(p, 2, -1) == 2 && p[0].revents == POLLHUP &&
            p[1].revents == POLLNVAL;
    result(good, "poll tells POLLIN, POLLOUT, POLLHUP and POLLNVAL");
    close(fds[0]);

    fd_set in, out;
    if (pipe(fds))
        return;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fds[0], &in);
    FD_SET(fds[1], &out);
    struct timeval t = {0, 1000};
    good = select(fds[1] + 1, &in, &out, NULL, NULL) == 1 && !FD_ISSET(fds[0], &in) &&
           FD_ISSET(fds[1], &out);
    FD_SET(fds[0], &in);
    good &= select(fds[1] + 1, &in, NULL, NULL, &t) == 0 && !FD_ISSET(fds[0], &in);
    if (fork() == 0) {
        usleep(10000);
        _exit(write(fds[1], "x", 1) != 1);
    }
    FD_SET(fds[0], &in);
    good &= select(fds[1] + 1, &in, NULL, NULL, NULL) == 1 && FD_ISSET(fds[0], &in);
    wait(NULL);
    result(good, "select waits, and times out");
    close(fds[0]);
    close(fds[1]);
}

static void check_epoll(void)
{
    int fds[2], good;
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0}, got[4];
    const int set = epoll_create1(EPOLL_CLOEXEC);
    if (pipe(fds))
        return;
    good = epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &e) == 0 &&
           FAILS(epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &e), EEXIST);
    good &= epoll_wait(set, got, 4, 0) == 0 && write(fds[1], "x", 1) == 1 &&
            epoll_wait(set, got, 4, -1) == 1 && got[0].events == EPOLLIN &&
            got[0].data.u64 == 0x123456789abcdef0;
    result(good, "epoll tells what is ready, with the caller's word");
    e.events = EPOLLIN | EPOLLONESHOT;
    good = epoll_ctl(set, EPOLL_CTL_MOD, fds[0], &e) == 0 && epoll_wait(set, got, 4, 0) == 1 &&
           epoll_wait(set, got, 4, 0) == 0;
    good &= epoll_ctl(set, EPOLL_CTL_MOD, fds[0], &e) == 0 && epoll_wait(set, got, 4, 0) == 1;
    result(good, "EPOLLONESHOT tells it once");
    e.events = EPOLLOUT | EPOLLET;
    good = epoll_ctl(set, EPOLL_CTL_ADD, fds[1], &e) == 0 && epoll_wait(set, got, 4, 0) == 1 &&
           got[0].events == EPOLLOUT && epoll_wait(set, got, 4, 0) == 0;
    result(good, "EPOLLET tells of room once");
    good = epoll_ctl(set, EPOLL_CTL_DEL, fds[1], NULL) == 0 &&
           FAILS(epoll_ctl(set, EPOLL_CTL_DEL, fds[1], NULL), ENOENT) &&
           FAILS(epoll_ctl(set, EPOLL_CTL_ADD, set, &e), EINVAL) &&
           FAILS(epoll_ctl(set, EPOLL_CTL_ADD, 999, &e), EBADF);
    const int regular = open("/proc/self/exe", O_RDONLY);
    good &= FAILS(epoll_ctl(set, EPOLL_CTL_ADD, regular, &e), EPERM) &&
            FAILS(epoll_wait(regular, got, 4, 0), EINVAL);
    result(good, "epoll's errors");
    close(regular);
    e.events = EPOLLIN;
    epoll_ctl(set, EPOLL_CTL_MOD, fds[0], &e);
    close(fds[0]);
    result(epoll_wait(set, got, 4, 0) == 0, "a closed file leaves the set");
    close(fds[1]);
    close(set);
}

static void check_counters(void)
{
    uint64_t n = 5;
    const int fd = eventfd(3, EFD_NONBLOCK);
    int good =
        write(fd, &n, 8) == 8 && read(fd, &n, 8) == 8 && n == 8 && FAILS(read(fd, &n, 8), EAGAIN);
    n = ~0ul;
    good &= FAILS(write(fd, &n, 8), EINVAL) && FAILS(read(fd, &n, 4), EINVAL);
    close(fd);
    const int one = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    good &= read(one, &n, 8) == 8 && n == 1 && read(one, &n, 8) == 8 && n == 1 &&
            FAILS(read(one, &n, 8), EAGAIN);
    close(one);
    result(good, "eventfd counts, or counts down");

    const int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec t = {{0, 2000000}, {0, 5000000}}, now;
    struct pollfd p = {.fd = timer, .events = POLLIN};
    good = timerfd_settime(timer, 0, &t, NULL) == 0 && timerfd_gettime(timer, &now) == 0 &&
           now.it_interval.tv_nsec == 2000000;
    good &= poll(&p, 1, -1) == 1 && read(timer, &n, 8) == 8 && n >= 1;
    usleep(10000);
    good &= read(timer, &n, 8) == 8 && n >= 3;
    result(good, "timerfd expires, and counts how often");
    memset(&t, 0, sizeof(t));
    good = timerfd_settime(timer, 0, &t, NULL) == 0 && poll(&p, 1, 0) == 0;
    result(good, "a disarmed timerfd is silent");
    close(timer);
}

void check_events(void)
{
    check_poll();
    check_epoll();
    check_counters();
}
