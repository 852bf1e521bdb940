/*
 * Nonsense of somebody who is not root: system calls whose arguments are of the
 * right kind now and then, descriptors of every sort, ids, addresses at the edge
 * of memory.  No answer is wrong; the kernel has to be there afterwards, with all
 * its memory but a little, and others' processes with it.
 *
 *   check nonsense SEED ROUNDS      more of it than check itself asks for
 *
 * Only on a machine of our own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define USER    1000
#define CALLS   2000
#define FOLDER  "/tmp/nonsense"
#define NUMBERS 362 /* of system calls: 0 to 334, and from 424 on */

static __thread uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d >> 16;
}

#define MEMORY 65536
static char *memory;                 /* a hole behind it */
static volatile unsigned long *made; /* calls, of all children */

static const char *const paths[] = {"a",
                                    "b",
                                    "d/c",
                                    "d",
                                    "link",
                                    "fifo",
                                    "/proc/self/fd/5",
                                    "/proc/self/mem",
                                    "/proc/self",
                                    "/",
                                    "/dev/ptmx",
                                    "/dev/zero",
                                    "/dev/tty",
                                    "..",
                                    "/proc/1/environ",
                                    "",
                                    "/bin/sh",
                                    "sock",
                                    "/dev/random",
                                    "/dev/full",
                                    "memory",
                                    "q",
                                    "/dev/null/x",
                                    "./d/../a"};

static long address(uint64_t r)
{
    static const long edges[] = {
        0, 1, 4096, 0x7ffffffff000, -4096l, (long)0xffff880000000000, -1, (long)0xffffffff80000000};
    if (r % 16 == 0)
        return edges[(r >> 4) % 8];
    if (r % 16 < 3)
        return (long)(memory + MEMORY - (r >> 4 & 255)); /* runs into the hole */
    return (long)(memory + ((r >> 4) % (MEMORY / 2) & ~7ul));
}

static long number_of_any_kind(uint64_t r)
{
    static const long values[] = {
        0,    1,         2,        3, 4, 8, 16, 64, -1, 0x1000, 0x10000, 0x7fffffff, -0x80000000l,
        -100, INT64_MAX, INT64_MIN};
    return r & 16 ? values[r & 15] : 1l << (r >> 5 & 63);
}

static long argument(void)
{
    const uint64_t r = next(), more = r >> 4;
    switch (r & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        return (long)(more % 40); /* a descriptor, an id, a command, a signal */
    case 4:
    case 5:
        return (long)paths[more % (sizeof(paths) / sizeof(paths[0]))];
    case 6:
        return more & 1 ? getpid() : getppid();
    case 7:
        return (long)(more % 5000);
    case 8:
    case 9:
        return number_of_any_kind(more);
    default:
        return address(more);
    }
}

/* What would only end the child that asks; or mostly, so that it is asked for seldom. */
static int useless(long number)
{
    static const int seldom[] = {SYS_kill,
                                 SYS_tkill,
                                 SYS_tgkill,
                                 SYS_rt_sigqueueinfo,
                                 SYS_rt_tgsigqueueinfo,
                                 SYS_rt_sigaction,
                                 SYS_rt_sigprocmask,
                                 SYS_setrlimit,
                                 SYS_prlimit64,
                                 SYS_rt_sigsuspend,
                                 SYS_ppoll,
                                 SYS_pselect6,
                                 424};
    static const int numbers[] = {SYS_exit, SYS_exit_group, SYS_vfork, SYS_rt_sigreturn, SYS_pause};
    for (unsigned i = 0; i < sizeof(seldom) / sizeof(seldom[0]); i++)
        if (seldom[i] == number && next() % 32)
            return 1;
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i] == number)
            return 1;
    return 0;
}

/* Memory that holds small numbers, descriptors, addresses of itself, and a path now and then. */
static void fill_memory(void)
{
    for (unsigned i = 0; i < MEMORY / 8; i++) {
        const uint64_t r = next();
        const long value = r & 7   ? (long)(r >> 3 & 31)
                           : r & 8 ? address(r >> 4)
                                   : number_of_any_kind(r >> 4);
        memcpy(memory + 8 * i, &value, 8);
        if (r % 61 == 0)
            strcpy(memory + 8 * i, paths[r / 61 % (sizeof(paths) / sizeof(paths[0]))]);
    }
}

static void open_all_kinds(void)
{
    int fds[2];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    for (int type = 0; type < 2; type++) {
        (void)!socketpair(AF_UNIX, type ? SOCK_DGRAM : SOCK_STREAM, 0, fds);
        (void)!socket(AF_INET, type ? SOCK_DGRAM : SOCK_STREAM, 0);
        (void)!pipe2(fds, O_NONBLOCK);
    }
    (void)!open("a", O_RDWR | O_CREAT, 0644);
    (void)!open("d", O_RDONLY);
    (void)!open("fifo", O_RDWR | O_NONBLOCK);
    (void)!open("/dev/ptmx", O_RDWR | O_NOCTTY);
    (void)!open("/dev/zero", O_RDWR);
    (void)!open("/proc/self/status", O_RDONLY);
    (void)!open(".", O_PATH);
    eventfd(0, EFD_NONBLOCK);
    epoll_create1(0);
    timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    inotify_init1(IN_NONBLOCK);
    signalfd(-1, &set, SFD_NONBLOCK);
    memfd_create("m", MFD_ALLOW_SEALING);
    syscall(SYS_pidfd_open, getpid(), 0);
    mq_open("/nonsense", O_CREAT | O_RDWR | O_NONBLOCK, 0600, NULL);
}

static void interrupted(int number)
{
}

/* The memory has been taken away: there it is again. */
static void restore_memory(int number, siginfo_t *info, void *context)
{
    const char *const at = info->si_addr;
    if (at < memory || at >= memory + MEMORY ||
        mmap(memory, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) != memory)
        _exit(2);
}

/* Whatever waits is interrupted soon, unless the nonsense has put an end to that; no other signal ends it but by chance. */
static void interrupt_often(void)
{
    const struct sigaction action = {.sa_handler = interrupted};
    const struct sigaction restore = {.sa_sigaction = restore_memory,
                                      .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGALRM);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigprocmask(SIG_SETMASK, &set, NULL);
    sigaction(SIGSEGV, &restore, NULL);
    sigaction(SIGBUS, &restore, NULL);
    const struct itimerval often = {{0, 20000}, {0, 20000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

/* Two threads do this, who may close each other's files and take each other's memory. */
static void *calls(void *seed)
{
    const pid_t self = getpid();
    state = (uint64_t)seed;
    for (int i = 0; i < CALLS; i++) {
        const long n = (long)(next() % NUMBERS), number = n < 335 ? n : n + 89;
        if (i % 256 == 0)
            fill_memory();
        if (useless(number))
            continue;
        __atomic_add_fetch(made, 1, __ATOMIC_RELAXED);
        syscall(number, argument(), argument(), argument(), argument(), argument(), argument());
        if (getpid() != self) /* a child of clone */
            _exit(0);
    }
    return NULL;
}

static void nonsense(void)
{
    setsid();
    if (chdir(FOLDER) || setgid(USER) || setuid(USER))
        _exit(1);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    memory = mmap(NULL, MEMORY + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(memory + MEMORY, 4096);
    open_all_kinds();
    interrupt_often();
    const uint64_t seed = state;
    pthread_t other;
    if (pthread_create(&other, NULL, calls, (void *)(seed ^ 0x5555)))
        _exit(1);
    calls((void *)seed);
}

/* End all processes of the user, and take what is left of them. */
static void sweep(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        if (setuid(USER))
            _exit(1);
        kill(-1, SIGKILL);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

/* Wait for @pid, a moment; if it waits for ever, as is its right, end it. */
static int ends(pid_t pid)
{
    int status;
    for (int i = 0; i < 100; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return 1;
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    kill(pid, SIGKILL);
    return waitpid(pid, &status, 0) == pid;
}

static int round_of(uint64_t seed)
{
    state = 88172645463325252ul + seed * 0x9e3779b97f4a7c15ul;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        nonsense();
        _exit(0);
    }
    const int good = ends(pid);
    sweep();
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return good;
}

static void prepare(void)
{
    made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const mode_t mask = umask(0);
    mkdir(FOLDER, 0777);
    mkdir(FOLDER "/d", 0777);
    symlink("a", FOLDER "/link");
    mkfifo(FOLDER "/fifo", 0666);
    umask(mask);
}

/* check nonsense SEED ROUNDS: says where it is, so that the last line names the round that did harm. */
int nonsense_rounds(int argc, char **argv)
{
    const uint64_t seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1,
                   rounds = argc > 3 ? strtoul(argv[3], NULL, 0) : 100;
    struct sysinfo system;
    prepare();
    for (uint64_t i = 0; i < rounds; i++) {
        sysinfo(&system);
        printf("round %lu, %lu KiB free, %u processes\n", seed + i,
               system.freeram * system.mem_unit / 1024, system.procs);
        if (!round_of(seed + i))
            return 1;
    }
    printf("%lu rounds, %lu calls\n", rounds, *made);
    return 0;
}

void check_nonsense(void)
{
    struct utsname u;
    int good = 1;
    uname(&u);
    if (!strstr(u.version, "pv-guest"))
        return;
    prepare();
    for (uint64_t i = 0; i < 10; i++)
        good &= round_of(i);
    result(good, "nonsense of a user who is not root does not hurt the kernel");
}
