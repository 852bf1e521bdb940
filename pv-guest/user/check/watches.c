/* Files from which signals are read (signalfd), and what happens to other files (inotify). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FOLDER "/tmp/watches"

static void check_signal_files(void)
{
    sigset_t set, old, none;
    struct signalfd_siginfo got[3];
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, &old);
    const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    struct pollfd p = {fd, POLLIN, 0};
    int good = fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC &&
               FAILS(read(fd, got, sizeof(got)), EAGAIN) && FAILS(read(fd, got, 127), EINVAL) &&
               poll(&p, 1, 0) == 0;
    kill(getpid(), SIGUSR1);
    good &= poll(&p, 1, 0) == 1 && read(fd, got, sizeof(got)) == sizeof(got[0]) &&
            got[0].ssi_signo == SIGUSR1 && got[0].ssi_pid == (unsigned)getpid() &&
            got[0].ssi_code == SI_USER;
    union sigval value = {.sival_int = 77};
    sigqueue(getpid(), SIGRTMIN + 1, value);
    sigqueue(getpid(), SIGRTMIN + 1, value);
    good &= read(fd, got, sizeof(got)) == 2 * sizeof(got[0]) && got[1].ssi_int == 77 &&
            got[1].ssi_code == SI_QUEUE;
    result(good, "signals are read from a file");
    kill(getpid(), SIGUSR1);
    good = signalfd(fd, &none, 0) == fd && FAILS(read(fd, got, sizeof(got)), EAGAIN) &&
           signalfd(fd, &set, 0) == fd && read(fd, got, sizeof(got)) == sizeof(got[0]);
    good &= FAILS(signalfd(999, &set, 0), EBADF) && FAILS(signalfd(0, &set, 0), EINVAL) &&
            FAILS(signalfd(-1, &set, 4), EINVAL);
    result(good, "another set for the same file; what signalfd refuses");
    fcntl(fd, F_SETFL, 0);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(kill(getppid(), SIGUSR1));
    good = read(fd, got, sizeof(got)) == sizeof(got[0]) && got[0].ssi_pid == (unsigned)pid;
    while (waitpid(pid, NULL, 0) < 0)
        ;
    result(good, "who reads waits for a signal");
    close(fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* All that is to be read from @fd, as "wd mask name" lines. */
static const char *events(int fd)
{
    static char text[2048];
    char buffer[4096] __attribute__((aligned(8)));
    size_t used = 0;
    text[0] = 0;
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const struct inotify_event *)(buffer + at);
        used += snprintf(text + used, sizeof(text) - used, "%d %x %s\n", e->wd, e->mask,
                         e->len ? e->name : "-");
        at += sizeof(*e) + e->len;
    }
    return text;
}

static int told(int fd, const char *wanted)
{
    const char *got = events(fd);
    if (strcmp(got, wanted))
        printf("# wanted:\n# %s# got:\n# %s", wanted, got);
    return !strcmp(got, wanted);
}

static void check_directory(int in)
{
    int good = inotify_add_watch(in, ".", IN_ALL_EVENTS) == 1;
    int fd = open("a", O_CREAT | O_RDWR, 0644), bytes = 0;
    good &= write(fd, "x", 1) == 1 && close(fd) == 0 && ioctl(in, FIONREAD, &bytes) == 0 &&
            bytes == 4 * 32;
    good &= told(in, "1 100 a\n1 20 a\n1 2 a\n1 8 a\n");
    char c;
    fd = open("a", O_RDONLY);
    good &= read(fd, &c, 1) == 1 && close(fd) == 0 && chmod("a", 0600) == 0;
    good &= told(in, "1 20 a\n1 1 a\n1 10 a\n1 4 a\n");
    good &= mkdir("d", 0755) == 0 && rename("a", "b") == 0 && truncate("b", 0) == 0 &&
            unlink("b") == 0 && rmdir("d") == 0;
    good &= told(in, "1 40000100 d\n1 40 a\n1 80 b\n1 2 b\n1 200 b\n1 40000200 d\n");
    good &= FAILS(read(in, &c, 1), EAGAIN);
    result(good, "inotify tells what happens in a directory");
    good = inotify_rm_watch(in, 1) == 0 && told(in, "1 8000 -\n") &&
           FAILS(inotify_rm_watch(in, 1), EINVAL);
    result(good, "a watch that is removed says so");
}

static void check_file(int in)
{
    close(open("f", O_CREAT | O_RDWR, 0644));
    int good = inotify_add_watch(in, "f", IN_ALL_EVENTS) == 2 &&
               inotify_add_watch(in, "f", IN_ATTRIB | IN_DELETE_SELF) == 2;
    good &= link("f", "g") == 0 && unlink("f") == 0 && chmod("g", 0600) == 0 && told(in, "2 4 -\n");
    good &= rename("g", "h") == 0 && inotify_add_watch(in, "h", IN_MOVE_SELF | IN_MASK_ADD) == 2 &&
            rename("h", "f") == 0 && told(in, "2 800 -\n");
    good &= unlink("f") == 0 && told(in, "2 4 -\n2 400 -\n2 8000 -\n");
    result(good, "inotify tells what happens to a file, and when it is gone");
    good = FAILS(inotify_add_watch(in, "none", IN_OPEN), ENOENT) &&
           FAILS(inotify_add_watch(in, ".", 0), EINVAL) &&
           FAILS(inotify_add_watch(999, ".", IN_OPEN), EBADF) &&
           FAILS(inotify_add_watch(0, ".", IN_OPEN), EINVAL) &&
           FAILS(inotify_add_watch(in, (char *)8, IN_OPEN), EFAULT) &&
           FAILS(inotify_init1(4), EINVAL);
    close(open("f", O_CREAT | O_RDWR, 0644));
    good &= FAILS(inotify_add_watch(in, "f", IN_ONLYDIR | IN_OPEN), ENOTDIR);
    const int watch = inotify_add_watch(in, "f", IN_OPEN | IN_ONESHOT);
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "%d 20 -\n%d 8000 -\n", watch, watch);
    close(open("f", O_RDONLY));
    close(open("f", O_RDONLY));
    good &= told(in, wanted) && unlink("f") == 0;
    result(good, "what inotify refuses, and a watch for once");
}

void check_watches(void)
{
    check_signal_files();
    mkdir(FOLDER, 0755);
    if (chdir(FOLDER))
        return;
    const int in = inotify_init1(IN_NONBLOCK);
    check_directory(in);
    check_file(in);
    close(in);
    if (chdir("/"))
        return;
    rmdir(FOLDER);
}
