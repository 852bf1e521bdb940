/* What exec does, and limits. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define NAME "/tmp/check-program"

/* What we do when a test has executed us; the exit status is the answer. */
int program(int argc, char **argv)
{
    const char *what = argv[1];
    if (!strcmp(what, "pid")) /* pid: we were a thread of that process */
        return atoi(argv[2]) == getpid() && syscall(SYS_gettid) == getpid() ? 7 : 1;
    if (!strcmp(what, "open")) /* fd...: which of these are open? */
        return (fcntl(atoi(argv[2]), F_GETFD) >= 0) + 2 * (fcntl(atoi(argv[3]), F_GETFD) >= 0);
    if (!strcmp(what, "signals")) { /* which of these are ignored, which is blocked? */
        struct sigaction usr1, usr2;
        sigset_t blocked;
        sigaction(SIGUSR1, NULL, &usr1);
        sigaction(SIGUSR2, NULL, &usr2);
        sigprocmask(SIG_BLOCK, NULL, &blocked);
        return (usr1.sa_handler == SIG_IGN) + 2 * (usr2.sa_handler == SIG_DFL) +
               4 * sigismember(&blocked, SIGHUP);
    }
    if (!strcmp(what, "told"))
        return queues_told();
    if (!strcmp(what, "capable"))
        return capabilities_after_exec();
    if (!strcmp(what, "ids") || !strcmp(what, "same-ids")) /* run as another user? */
        return users_set_id(*what == 's');
    if (!strcmp(what, "vector")) { /* is the auxiliary vector good? */
        const char *random = (const char *)getauxval(AT_RANDOM),
                   *name = (const char *)getauxval(AT_EXECFN);
        return getauxval(AT_PAGESZ) == 4096 && getauxval(AT_PHDR) && getauxval(AT_PHNUM) &&
                       getauxval(AT_PHENT) == 56 && getauxval(AT_ENTRY) &&
                       getauxval(AT_CLKTCK) == 100 && getauxval(AT_HWCAP) && random && name &&
                       !strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") &&
                       getauxval(AT_SECURE) == 0 && !strcmp(name, "/proc/self/exe") && argc == 4 &&
                       !strcmp(argv[2], "") && !strcmp(argv[3], "last") && getenv("ONE") &&
                       !strcmp(getenv("ONE"), "1")
                   ? 3
                   : 1;
    }
    return 0;
}

static char *const no_environment[] = {NULL};

/* The wait status of @path executed with @argv. */
static int run(const char *path, char *const argv[], char *const environment[])
{
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        execve(path, argv, environment);
        _exit(200 + errno % 50);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void make(const char *name, const char *text, mode_t mode)
{
    const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (write(fd, text, strlen(text)) < 0)
        perror(name);
    close(fd);
    chmod(name, mode);
}

static void check_scripts(void)
{
    char *const plain[] = {"script", "a", NULL};
    make(NAME, "#! /proc/self/exe   signals  \n", 0755);
    /* argv becomes: the interpreter, "signals", the script, "a" */
    result(run(NAME, plain, no_environment) == 2, "#! with an argument");
    make(NAME "2", "#!" NAME "\n", 0755);
    result(run(NAME "2", plain, no_environment) == 2, "a script run by a script");
    make(NAME, "#!" NAME "2\n", 0755);
    result(run(NAME, plain, no_environment) == 200 + ELOOP, "scripts in a circle: ELOOP");
    make(NAME, "#!/nowhere/interpreter\n", 0755);
    result(run(NAME, plain, no_environment) == 200 + ENOENT, "no interpreter: ENOENT");
    make(NAME, "neither a script nor a program\n", 0755);
    result(run(NAME, plain, no_environment) == 200 + ENOEXEC, "no program: ENOEXEC");
    make(NAME, "#!/bin/sh\n", 0644);
    result(run(NAME, plain, no_environment) == 200 + EACCES &&
               run("/tmp", plain, no_environment) == 200 + EACCES,
           "not executable: EACCES");
    unlink(NAME);
    unlink(NAME "2");
}

static void check_exec(void)
{
    char *const vector[] = {"check", "vector", "", "last", NULL}, *const environment[] = {
                                                                      "ONE=1", "TWO=2", NULL};
    result(run("/proc/self/exe", vector, environment) == 3,
           "arguments, environment, auxiliary vector");
    const int kept = fcntl(0, F_DUPFD, 40), closed = fcntl(0, F_DUPFD_CLOEXEC, 41);
    char a[8], b[8];
    snprintf(a, sizeof(a), "%d", kept);
    snprintf(b, sizeof(b), "%d", closed);
    char *const open_files[] = {"check", "open", a, b, NULL};
    result(run("/proc/self/exe", open_files, no_environment) == 1, "close-on-exec closes");
    close(kept);
    close(closed);
    char *const signals[] = {"check", "signals", NULL};
    sigset_t set;
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, (void (*)(int))check_exec);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    result(run("/proc/self/exe", signals, no_environment) == 7,
           "ignored and blocked signals stay so, handlers go");
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    const size_t size = 32 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    text[size - 1] = 0;
    char *const huge[] = {"check", text, NULL};
    result(run("/proc/self/exe", huge, no_environment) == 200 + E2BIG, "too many arguments: E2BIG");
    free(text);
    const int fd = open("/proc/self/exe", O_RDWR);
    result(fd == -1 && errno == ETXTBSY, "a running program cannot be written to");
}

void check_programs(void)
{
    check_scripts();
    check_exec();
}

static void grow_stack(void)
{
    volatile char frame[65536];
    frame[0] = 1;
    static volatile int depth;
    if (++depth < 32) /* two mebibytes */
        grow_stack();
    frame[1] = frame[0];
}

static void small_stack(void)
{
    const struct rlimit l = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_STACK, &l);
    execl("/proc/self/exe", "check", "stack", NULL);
}

void check_limits(void)
{
    struct rlimit l, old;
    int good = getrlimit(RLIMIT_NOFILE, &old) == 0;
    l = old;
    l.rlim_cur = 20;
    int fds[32], n = 0;
    good &= setrlimit(RLIMIT_NOFILE, &l) == 0;
    while (n < 32 && (fds[n] = dup(0)) >= 0)
        n++;
    good &= errno == EMFILE && n > 0 && n < 20 && FAILS(dup2(0, 25), EBADF);
    while (n)
        close(fds[--n]);
    good &= setrlimit(RLIMIT_NOFILE, &old) == 0;
    result(good, "RLIMIT_NOFILE");
    l.rlim_cur = 10;
    l.rlim_max = 5;
    result(FAILS(setrlimit(RLIMIT_NOFILE, &l), EINVAL) && FAILS(getrlimit(99, &l), EINVAL),
           "limits' errors");
    result(child(grow_stack) == 0, "the stack grows to mebibytes");
    result(child(small_stack) == 0, "exec with a small stack");
    good = setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5 &&
           setpriority(PRIO_PROCESS, 0, 0) == 0;
    result(good && FAILS(getpriority(PRIO_PROCESS, 999999), ESRCH), "niceness is kept");
}
