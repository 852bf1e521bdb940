/* What else descriptors can do: owners, locks of open files, seals; sets of sets, told once. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define NAME "/tmp/check-descriptors"

static int new_file(void)
{
    return open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
}

static void check_owner(void)
{
    const int fd = new_file();
    int good = fcntl(fd, F_GETOWN) == 0 && fcntl(fd, F_SETOWN, getpid()) == 0 &&
               fcntl(fd, F_GETOWN) == getpid();
    good &= fcntl(fd, F_SETOWN, -getpgrp()) == 0 && fcntl(fd, F_GETOWN) == -getpgrp() &&
            FAILS(fcntl(fd, F_SETOWN, 0x3ffffff), ESRCH);
    good &= fcntl(fd, F_GETSIG) == 0 && fcntl(fd, F_SETSIG, SIGUSR1) == 0 &&
            fcntl(fd, F_GETSIG) == SIGUSR1 && FAILS(fcntl(fd, F_SETSIG, 65), EINVAL);
    good &= fcntl(fd, F_GETLEASE) == F_UNLCK && FAILS(fcntl(fd, 9999), EINVAL);
    close(fd);
    result(good, "F_SETOWN and F_SETSIG are kept and told");
}

static int lock(int fd, int command, short type, off_t start, off_t length)
{
    struct flock l = {.l_type = type, .l_start = start, .l_len = length};
    return fcntl(fd, command, &l);
}

static void check_open_file_locks(void)
{
    const int one = new_file(), two = open(NAME, O_RDWR);
    struct flock l = {.l_type = F_WRLCK, .l_start = 3, .l_len = 1};
    int good = lock(one, F_OFD_SETLK, F_WRLCK, 0, 10) == 0 &&
               FAILS(lock(two, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN) &&
               FAILS(lock(two, F_SETLK, F_RDLCK, 5, 1), EAGAIN) &&
               lock(two, F_OFD_SETLK, F_RDLCK, 10, 1) == 0;
    good &= fcntl(two, F_OFD_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_start == 0 &&
            l.l_len == 10 && l.l_pid == -1;
    l.l_pid = 1;
    good &= FAILS(fcntl(two, F_OFD_SETLK, &l), EINVAL);
    const int same = dup(one);
    close(one);
    good &= FAILS(lock(two, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
    close(same);
    good &= lock(two, F_OFD_SETLK, F_RDLCK, 5, 1) == 0;
    close(two);
    result(good, "a lock of an open file ends with its last descriptor");
}

static void take_turns(void)
{
    const int fd = open(NAME, O_RDWR);
    int p[2];
    char c;
    pipe(p);
    lock(fd, F_SETLK, F_WRLCK, 0, 1);
    const pid_t pid = fork();
    if (!pid) {
        lock(fd, F_SETLK, F_WRLCK, 1, 1);
        write(p[1], "r", 1);
        _exit(lock(fd, F_SETLKW, F_WRLCK, 0, 1)); /* waits for its parent */
    }
    int status, good = read(p[0], &c, 1) == 1;
    /* One of the two is told; which, depends on who comes last. */
    const int told = lock(fd, F_SETLKW, F_WRLCK, 1, 1) == 0 ? 0 : errno;
    lock(fd, F_SETLK, F_UNLCK, 0, 0);
    good &= waitpid(pid, &status, 0) == pid && WIFEXITED(status);
    good &= (told == EDEADLK) != (WEXITSTATUS(status) != 0);
    _exit(!good);
}

static void check_deadlock(void)
{
    close(new_file());
    const int status = child(take_turns);
    result(WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "two that wait for each other's lock: one is told EDEADLK");
}

static void check_seals(void)
{
    const int fd = memfd_create("seals", MFD_ALLOW_SEALING), plain = memfd_create("plain", 0);
    int good = fcntl(fd, F_GET_SEALS) == 0 && fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL &&
               FAILS(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM) &&
               FAILS(fcntl(0, F_GET_SEALS), EINVAL) &&
               FAILS(fcntl(fd, F_ADD_SEALS, 0x1000), EINVAL);
    good &= ftruncate(fd, 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 &&
            FAILS(ftruncate(fd, 100), EPERM) && ftruncate(fd, 8192) == 0;
    good &= fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0 && FAILS(ftruncate(fd, 9000), EPERM) &&
            FAILS(pwrite(fd, "x", 1, 8192), EPERM) && pwrite(fd, "x", 1, 0) == 1 &&
            FAILS(fallocate(fd, 0, 0, 9000), EPERM) &&
            fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW);
    result(good, "a file is sealed against changes of its size");
    char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    good = m != MAP_FAILED && FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY) &&
           munmap(m, 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) == 0 &&
           FAILS(pwrite(fd, "x", 1, 0), EPERM) &&
           FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM) &&
           FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    good &=
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM;
    m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    good &= m != MAP_FAILED && *m == 'x' && munmap(m, 4096) == 0;
    result(good, "and against being written, also by way of memory");
    close(fd);
    close(plain);
}

static int add(int set, int fd, unsigned events)
{
    struct epoll_event e = {.events = events, .data = {.fd = fd}};
    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
}

static int ready(int set)
{
    struct epoll_event e[4];
    return epoll_wait(set, e, 4, 0);
}

static void check_nested(void)
{
    int sets[6], p[2];
    pipe(p);
    for (int i = 0; i < 6; i++)
        sets[i] = epoll_create1(0);
    int good = add(sets[0], p[0], EPOLLIN) == 0;
    for (int i = 0; i < 4; i++)
        good &= add(sets[i + 1], sets[i], EPOLLIN) == 0;
    good &= FAILS(add(sets[5], sets[4], EPOLLIN), ELOOP) &&
            FAILS(add(sets[0], sets[4], EPOLLIN), ELOOP) &&
            FAILS(add(sets[0], sets[0], EPOLLIN), EINVAL);
    good &= ready(sets[4]) == 0 && write(p[1], "x", 1) == 1 && ready(sets[4]) == 1;
    close(sets[2]);
    good &= ready(sets[4]) == 0 && ready(sets[1]) == 1;
    for (int i = 0; i < 6; i++)
        close(sets[i]);
    close(p[0]);
    close(p[1]);
    result(good, "a set in a set, five deep, and none in itself");
}

static void check_edges(void)
{
    int p[2], s[2], set = epoll_create1(0);
    const int count = eventfd(0, 0);
    char c[4];
    pipe2(p, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    int good = add(set, p[0], EPOLLIN | EPOLLET) == 0 && ready(set) == 0 &&
               write(p[1], "one", 3) == 3 && ready(set) == 1 && ready(set) == 0 &&
               read(p[0], c, 1) == 1 && ready(set) == 0 && write(p[1], "x", 1) == 1 &&
               ready(set) == 1 && ready(set) == 0;
    good &= add(set, s[0], EPOLLIN | EPOLLET) == 0 && ready(set) == 0 && write(s[1], "a", 1) == 1 &&
            ready(set) == 1 && ready(set) == 0 && write(s[1], "b", 1) == 1 && ready(set) == 1;
    good &= add(set, count, EPOLLIN | EPOLLET) == 0 && ready(set) == 0 &&
            eventfd_write(count, 1) == 0 && ready(set) == 1 && ready(set) == 0 &&
            eventfd_write(count, 1) == 0 && ready(set) == 1;
    close(s[1]);
    good &= ready(set) == 1;
    result(good, "EPOLLET: input is told once for each time that some comes");
    struct timespec t = {0, 1000000};
    struct epoll_event e;
    const int none = epoll_create1(0);
    good = syscall(441 /* epoll_pwait2 */, none, &e, 1, &t, NULL, 8ul) == 0;
    t.tv_nsec = 1000000000;
    good &= FAILS(syscall(441, none, &e, 1, &t, NULL, 8ul), EINVAL);
    good &= add(none, p[0], EPOLLIN) == 0 && syscall(441, none, &e, 1, NULL, NULL, 8ul) == 1;
    result(good, "epoll_pwait2");
    close(none);
    close(set);
    close(count);
    close(p[0]);
    close(p[1]);
    close(s[0]);
}

void check_more_of_descriptors(void)
{
    check_owner();
    check_open_file_locks();
    check_deadlock();
    check_seals();
    check_nested();
    check_edges();
    unlink(NAME);
}
