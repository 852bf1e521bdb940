/*
 * A process looks at its kernel: do system calls keep what Linux promises, and
 * does the kernel survive what a process should not do?  Prints TAP.
 *
 * Runs on any Linux, too (static, musl or glibc), which is how its own
 * expectations are checked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static int number, failed;

void result(int good, const char *what)
{
    printf("%sok %d - %s\n", good ? "" : "not ", ++number, what);
    fflush(stdout);
    failed += !good;
}

/* Run @body in a child; its wait status. */
int child(void (*body)(void))
{
    int status;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

int died_of(int status, int signal)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

int asleep(pid_t pid, pid_t tid)
{
    char path[60], line[200] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    fgets(line, sizeof(line), f);
    fclose(f);
    return strstr(line, ") S ") != NULL;
}

/* Protection of the kernel. */

static const uintptr_t kernel_addresses[] = {
    0xffffffff80000000,
    0xffff880000000000,
    0xffff880000100000,
    0xffffffff80018000,
};
static volatile uintptr_t target;

static void read_target(void)
{
    *(volatile char *)target;
}

static void write_target(void)
{
    *(volatile char *)target = 1;
}

static void check_kernel_memory(void)
{
    int good = 1;
    for (unsigned i = 0; i < 4; i++) {
        target = kernel_addresses[i];
        good &= died_of(child(read_target), SIGSEGV) && died_of(child(write_target), SIGSEGV);
    }
    result(good, "a process cannot read or write the kernel's memory");
}

static void check_pointers(void)
{
    static const uintptr_t bad[] = {0,
                                    8,
                                    0x7fffffffeff0,
                                    0x800000000000,
                                    0xffff800000000000,
                                    0xffffffff80000000,
                                    0xffffffffffffffff,
                                    0xffff880000000000};
    int good = 1;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const long p = bad[i];
        int fds[2];
        good &= syscall(SYS_stat, "/", p) == -1 && errno == EFAULT;
        good &= syscall(SYS_open, p, 0) == -1 && errno == EFAULT;
        good &= syscall(SYS_uname, p) == -1 && errno == EFAULT;
        good &= syscall(SYS_pipe, p) == -1 && errno == EFAULT;
        good &= syscall(SYS_rt_sigaction, SIGUSR1, p ? p : 8, 0, 8) == -1 && errno == EFAULT;
        good &= syscall(SYS_execve, p, 0, 0) == -1 && errno == EFAULT;
        good &= syscall(SYS_nanosleep, p, 0) == -1 && errno == EFAULT;
        if (pipe(fds))
            good = 0;
        good &= syscall(SYS_write, fds[1], p, 100) == -1 && errno == EFAULT;
        close(fds[0]);
        close(fds[1]);
    }
    result(good, "bad pointers give EFAULT");
    static char edge[4096] __attribute__((aligned(4096)));
    int fds[2];
    if (pipe(fds))
        return;
    munmap(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 8192);
    char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(two + 4096, 4096);
    two[4095] = 'x';
    result(write(fds[1], two + 4095, 1) == 1 && read(fds[0], edge, 1) == 1 && edge[0] == 'x',
           "a buffer may end where memory does");
    close(fds[0]);
    close(fds[1]);
}

/* Exceptions become signals. */

static void divide(void)
{
    volatile int one = 10, zero = 0;
    one = one / zero;
}
static void undefined(void)
{
    __asm__ volatile("ud2");
}
static void halt(void)
{
    __asm__ volatile("hlt");
}
static void interrupts_off(void)
{
    __asm__ volatile("cli");
}
static void breakpoint(void)
{
    __asm__ volatile("int3");
}
static void software_interrupt(void)
{
    __asm__ volatile("int $0x81");
}
static void io(void)
{
    __asm__ volatile("outb %%al, $0x80" : : "a"(0));
}
static void bad_segment(void)
{
    __asm__ volatile("mov %0, %%ds" : : "r"(0x1234));
}
static void noncanonical(void)
{
    *(volatile char *)0x8000000000000000;
}
static void jump_nowhere(void)
{
    ((void (*)(void))0x800000000000)();
}
static void overflow_stack(void)
{
    __asm__ volatile("1: push %rax; jmp 1b");
}
static void execute_data(void)
{
    static char code[] = {(char)0xc3};
    void (*f)(void);
    char *p = code;
    memcpy(&f, &p, sizeof(f));
    f();
}
static void write_text(void)
{
    void (*f)(void) = execute_data;
    char *p;
    memcpy(&p, &f, sizeof(p));
    *(volatile char *)p = 1;
}

static void check_exceptions(void)
{
    static const struct {
        void (*body)(void);
        int signal;
        const char *what;
    } cases[] = {
        {divide, SIGFPE, "division by zero"},
        {undefined, SIGILL, "undefined instruction"},
        {halt, SIGSEGV, "HLT"},
        {interrupts_off, SIGSEGV, "CLI"},
        {breakpoint, SIGTRAP, "breakpoint"},
        {software_interrupt, SIGSEGV, "INT 0x81"},
        {io, SIGSEGV, "OUT"},
        {bad_segment, SIGSEGV, "bad segment"},
        {noncanonical, SIGSEGV, "a non-canonical access"},
        {jump_nowhere, SIGSEGV, "a jump out of the process"},
        {overflow_stack, SIGSEGV, "stack overflow"},
        {execute_data, SIGSEGV, "execution of data"},
        {write_text, SIGSEGV, "writing to text"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        result(died_of(child(cases[i].body), cases[i].signal), cases[i].what);
}

/* Memory. */

static void check_copy_on_write(void)
{
    const int pages = 200;
    char *m = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < pages; i++)
        m[i * 4096] = i;
    const pid_t pid = fork();
    if (pid == 0) {
        int good = 1;
        for (int i = 0; i < pages; i++)
            good &= m[i * 4096] == (char)i;
        for (int i = 0; i < pages; i += 2)
            m[i * 4096] = 99;
        for (int i = 1; i < pages; i += 2) /* the kernel's writes count, too */
            good &= getcwd(&m[i * 4096], 4096) != NULL;
        shared[0] = 42;
        _exit(!good);
    }
    int status, good = waitpid(pid, &status, 0) == pid && status == 0;
    for (int i = 0; i < pages; i++)
        good &= m[i * 4096] == (char)i;
    result(good, "fork copies private memory");
    result(shared[0] == 42, "fork shares shared memory");
    munmap(m, pages * 4096);
}

static sigjmp_buf after_fault;

static void on_fault(int signal)
{
    siglongjmp(after_fault, 1);
}

static int faults(volatile char *p, int write)
{
    if (sigsetjmp(after_fault, 1))
        return 1;
    if (write)
        *p = 1;
    else
        (void)*p;
    return 0;
}

static void check_protection(void)
{
    signal(SIGSEGV, on_fault);
    char *m = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(m, 7, 3 * 4096);
    int good = mprotect(m + 4096, 4096, PROT_READ) == 0;
    good &= !faults(m + 4096, 0) && faults(m + 4096, 1) && !faults(m, 1) && !faults(m + 8192, 1);
    good &= mprotect(m + 4096, 4096, PROT_NONE) == 0 && faults(m + 4096, 0);
    good &= mprotect(m + 4096, 4096, PROT_READ | PROT_WRITE) == 0;
    good &= !faults(m + 4096, 1) && m[4097] == 7;
    result(good, "mprotect gives and takes access and keeps the content");
    munmap(m + 4096, 4096);
    result(faults(m + 4096, 0) && !faults(m, 0) && !faults(m + 8192, 0), "munmap makes a hole");
    signal(SIGSEGV, SIG_DFL);
}

static void check_files_in_memory(void)
{
    char text[16] = "";
    const int fd = open("/tmp/check-map", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int good = write(fd, "hello, file", 11) == 11;
    char *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    good &= !memcmp(private, "hello, file", 12);
    private[0] = 'J';
    shared[1] = 'E';
    good &= pread(fd, text, 11, 0) == 11 && !strcmp(text, "hEllo, file") && private[0] == 'J';
    result(good, "private and shared file mappings");
    close(fd);
    unlink("/tmp/check-map");
    result(shared[1] == 'E', "a mapping outlives its file's name");
}

static void hog(void)
{
    for (;;) {
        char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (m == MAP_FAILED)
            _exit(1);
        memset(m, 1, 1 << 20);
    }
}

static void bomb(void)
{
    for (int i = 0; i < 12; i++)
        if (fork() < 0)
            break;
    usleep(1000);
}

/* Signals. */

static volatile int caught;

static void on_signal(int signal)
{
    caught = signal;
}

static volatile double sum;

/* Spoil every SSE register. */
static void on_alarm(int signal)
{
    double x = 1.5;
    for (int i = 0; i < 10; i++)
        x = x * 1.25 + i;
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pxor %%xmm7, %%xmm7;"
                     "pxor %%xmm15, %%xmm15"
                     :
                     :
                     : "xmm0", "xmm1", "xmm7", "xmm15");
    caught++;
}

static void check_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;

    sigaction(SIGUSR1, &action, NULL);
    kill(getpid(), SIGUSR1);
    result(caught == SIGUSR1, "a signal to oneself is handled before kill returns");
    caught = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);
    const int held = caught == 0;
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    result(held && caught == SIGUSR1, "a blocked signal waits");

    int fds[2], status;
    char c;
    if (pipe(fds))
        return;
    const pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 500; i++) { /* one that comes before the read proves nothing */
            usleep(20000);
            kill(getppid(), SIGUSR1);
        }
        _exit(write(fds[1], "x", 1) != 1); /* ten seconds in vain: end the read otherwise */
    }
    errno = 0;
    result(read(fds[0], &c, 1) == -1 && errno == EINTR, "a signal interrupts read");
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    if (fork() == 0) {
        usleep(20000);
        kill(getppid(), SIGUSR1);
        usleep(20000);
        _exit(write(fds[1], "y", 1) != 1);
    }
    result(read(fds[0], &c, 1) == 1 && c == 'y', "SA_RESTART continues it");
    wait(&status);
    close(fds[0]);
    close(fds[1]);
}

static void check_fpu(void)
{
    struct itimerval t = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    signal(SIGALRM, on_alarm);
    caught = 0;
    fflush(stdout);
    const pid_t pid = fork(); /* both sides compute: registers change hands */
    setitimer(ITIMER_REAL, &t, NULL);
    int good = 1;
    for (int round = 0; good && (round < 200 || caught < 5) && round < 200000; round++) {
        double x = pid ? 1.0 : 3.0;
        const double step = pid ? 0.5 : 0.25;
        for (int i = 0; i < 2000; i++)
            x += step;
        good = x == (pid ? 1001.0 : 503.0);
    }
    setitimer(ITIMER_REAL, &off, NULL);
    if (pid == 0)
        _exit(!good);
    int status = 1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    result(good && status == 0 && caught >= 5,
           "SSE registers survive switches and signal handlers");
}

static void check_time(void)
{
    struct timespec a, b, w = {0, 30000000};
    clock_gettime(CLOCK_MONOTONIC, &a);
    nanosleep(&w, NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    const int64_t ns = (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
    result(ns >= 30000000, "nanosleep sleeps at least as long as asked");
    int good = 1;
    for (int i = 0; i < 1000; i++) {
        a = b;
        clock_gettime(CLOCK_MONOTONIC, &b);
        good &= b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec);
    }
    result(good, "time does not go back");
    result(time(NULL) > 1600000000, "the clock shows this century's time");
    struct pollfd p = {.fd = -1};
    result(poll(&p, 1, 10) == 0, "poll times out");
}

static void check_files(void)
{
    struct stat s;
    char text[64];
    int good = mkdir("/tmp/check-dir", 0755) == 0 && chdir("/tmp/check-dir") == 0;
    good &= getcwd(text, sizeof(text)) && !strcmp(text, "/tmp/check-dir");
    const int fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0644);
    good &= fd >= 0 && open("file", O_RDWR | O_CREAT | O_EXCL, 0644) == -1 && errno == EEXIST;
    good &= lseek(fd, 100000, SEEK_SET) == 100000 && write(fd, "end", 3) == 3;
    good &= fstat(fd, &s) == 0 && s.st_size == 100003;
    good &= pread(fd, text, 4, 50000) == 4 && !memcmp(text, "\0\0\0\0", 4);
    good &= ftruncate(fd, 10) == 0 && pread(fd, text, 20, 0) == 10;
    good &= link("file", "other") == 0 && stat("other", &s) == 0 && s.st_nlink == 2;
    good &= symlink("other", "sym") == 0 && readlink("sym", text, sizeof(text)) == 5;
    good &= rename("sym", "../check-dir/sym2") == 0 && stat("sym2", &s) == 0 && s.st_size == 10;
    good &= rmdir("/tmp/check-dir") == -1 && errno == ENOTEMPTY;
    good &= unlink("file") == 0 && unlink("other") == 0 && unlink("sym2") == 0;
    good &= write(fd, "x", 1) == 1; /* open, though nameless */
    good &= chdir("/") == 0 && rmdir("/tmp/check-dir") == 0;
    close(fd);
    result(good, "files, directories, links, renames");
    result(open("/nowhere/file", O_RDONLY) == -1 && errno == ENOENT, "ENOENT");
    result(open("/etc/motd/file", O_RDONLY) == -1 && errno == ENOTDIR, "ENOTDIR");
}

static void check_pipes(void)
{
    int fds[2], status;
    char buffer[8192];
    size_t total = 0;
    ssize_t n;
    if (pipe(fds))
        return;
    const pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        memset(buffer, 'p', sizeof(buffer));
        for (int i = 0; i < 64; i++)
            if (write(fds[1], buffer, sizeof(buffer)) != sizeof(buffer))
                _exit(1);
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], buffer, sizeof(buffer))) > 0)
        total += n;
    close(fds[0]);
    waitpid(pid, &status, 0);
    result(total == 64 * 8192 && n == 0 && status == 0,
           "half a mebibyte through a pipe, then end of file");
    signal(SIGPIPE, SIG_IGN);
    if (pipe(fds))
        return;
    close(fds[0]);
    result(write(fds[1], "x", 1) == -1 && errno == EPIPE, "EPIPE without a reader");
    close(fds[1]);
    signal(SIGPIPE, SIG_DFL);
}

static void check_processes(void)
{
    int status;
    const pid_t quick = vfork();
    if (quick == 0)
        _exit(7);
    result(waitpid(quick, &status, 0) == quick && WEXITSTATUS(status) == 7, "vfork");
    result(waitpid(-1, &status, 0) == -1 && errno == ECHILD, "ECHILD without children");
    const pid_t stopped = fork();
    if (stopped == 0) {
        raise(SIGSTOP);
        _exit(5);
    }
    int good = waitpid(stopped, &status, WUNTRACED) == stopped && WIFSTOPPED(status);
    kill(stopped, SIGCONT);
    good &= waitpid(stopped, &status, 0) == stopped && WEXITSTATUS(status) == 5;
    result(good, "stop and continue");
    good = 1;
    for (int i = 0; i < 300 && good; i++) {
        const pid_t pid = fork();
        if (pid == 0)
            _exit(i & 63);
        good = pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == (i & 63);
    }
    result(good, "300 children, one after the other");
}

/* One of everything that takes memory and gives it back. */
static void cycle(void)
{
    int fds[2], status;
    char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(m, 1, 1 << 20);
    const int fd = open("/tmp/check-cycle", O_RDWR | O_CREAT, 0600);
    if (write(fd, m, 100000) != 100000 || pipe(fds))
        _exit(1);
    char *file = mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    file[5000] = 1;
    close(fd);
    unlink("/tmp/check-cycle");
    const pid_t pid = fork();
    if (pid == 0) {
        m[0] = file[0] = 2;
        execl("/proc/self/exe", "check", "nothing", NULL);
        execl("/bin/check", "check", "nothing", NULL);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    munmap(m, 1 << 20);
    munmap(file, 100000);
    close(fds[0]);
    close(fds[1]);
    for (int i = 0; i < 30; i++) /* more than what the heap has got to spare */
        sockets_cycle();
}

static uint64_t free_memory(void)
{
    struct sysinfo s;
    sysinfo(&s);
    return s.freeram * s.mem_unit;
}

/* On a machine of our own, what is free before is free afterwards, to the page. */
static void check_leaks(void)
{
    struct utsname u;
    uname(&u);
    for (int i = 0; i < 10; i++)
        cycle();
    const uint64_t before = free_memory();
    for (int i = 0; i < 50; i++)
        cycle();
    const uint64_t after = free_memory();
    const int alone = strstr(u.version, "pv-guest") != NULL;
    if (alone && after != before)
        printf("# %ld bytes are gone\n", (long)(before - after));
    result(!alone || after == before, "nothing leaks");
}

/* Thousands of small objects of the kernel: when they have gone, their memory is anybody's. */
static void check_small_objects(void)
{
    struct utsname u;
    char name[40];
    uint64_t before = 0;
    int good = 1;
    uname(&u);
    for (int round = 0; round < 2; round++) {
        if (round)
            before = free_memory();
        for (int i = 0; i < 4000; i++) {
            snprintf(name, sizeof(name), "/tmp/small-%d-%d", round, round ? i : i % 50);
            good &= mkdir(name, 0755) == 0 || (!round && errno == EEXIST);
        }
        for (int i = 0; i < 4000; i++) {
            snprintf(name, sizeof(name), "/tmp/small-%d-%d", round, round ? i : i % 50);
            rmdir(name);
        }
    }
    const int64_t lost = (int64_t)(before - free_memory());
    if (lost > 65536)
        printf("# %ld bytes are gone\n", (long)lost);
    result(good && (lost <= 65536 || !strstr(u.version, "pv-guest")),
           "memory of small objects comes back");
}

/* What takes all there is, for a while. */
static void survive(void)
{
    result(child(hog) != 0, "a memory hog ends, the kernel does not");
    child(bomb);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    result(child(divide) != 0, "after a fork bomb, fork works again");
}

/* In the order in which they are asked. */
static const struct {
    const char *name;
    void (*questions)(void);
} groups[] = {
    {"kernel-memory", check_kernel_memory},
    {"pointers", check_pointers},
    {"exceptions", check_exceptions},
    {"copy-on-write", check_copy_on_write},
    {"protection", check_protection},
    {"files-in-memory", check_files_in_memory},
    {"signals", check_signals},
    {"fpu", check_fpu},
    {"time", check_time},
    {"files", check_files},
    {"pipes", check_pipes},
    {"processes", check_processes},
    {"addresses", check_addresses},
    {"mappings", check_mappings},
    {"names", check_names},
    {"transfers", check_transfers},
    {"locks", check_locks},
    {"events", check_events},
    {"queued-signals", check_queued_signals},
    {"timers", check_timers},
    {"threads", check_threads},
    {"futexes", check_futexes},
    {"families", check_families},
    {"programs", check_programs},
    {"proc", check_proc},
    {"mounts", check_mounts},
    {"limits", check_limits},
    {"refusals", check_refusals},
    {"users", check_users},
    {"cpu-time", check_cpu_time},
    {"terminals", check_terminals},
    {"pidfds", check_pidfds},
    {"splices", check_splices},
    {"more-of-descriptors", check_more_of_descriptors},
    {"policies", check_policies},
    {"memory-advice", check_memory_advice},
    {"corners", check_corners},
    {"watches", check_watches},
    {"file-attributes", check_file_attributes},
    {"capabilities", check_capabilities},
    {"more-of-mounts", check_more_of_mounts},
    {"sockets", check_sockets},
    {"openings", check_openings},
    {"settings", check_settings},
    {"aio", check_aio},
    {"inet", check_inet},
    {"ipc", check_ipc},
    {"queues", check_queues},
    {"meanwhile", check_meanwhile},
    {"privcmd", check_privcmd},
    {"leaks", check_leaks},
    {"small-objects", check_small_objects},
    {"random", check_random},
    {"nonsense", check_nonsense},
};

/* Ask all of them; or one, for who works on what it asks about (check only NAME). */
static void ask(const char *name)
{
    for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if (!name || !strcmp(name, groups[i].name))
            groups[i].questions();
}

int main(int argc, char **argv)
{
    const char *only = argc > 2 && !strcmp(argv[1], "only") ? argv[2] : NULL;
    if (argc > 1 && !strcmp(argv[1], "hog"))
        hog();
    if (argc > 1 && !strcmp(argv[1], "nonsense"))
        return nonsense_rounds(argc, argv);
    if (argc > 1 && !only)
        return program(argc, argv);
    ask(only);
    if (!only)
        survive();
    printf("1..%d\n", number);
    return failed != 0;
}
