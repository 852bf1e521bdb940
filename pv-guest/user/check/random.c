/*
 * Nonsense: system calls with arguments drawn at random from what may hurt.  No
 * answer is wrong; the kernel just has to be there afterwards.
 *
 * Only on a machine of our own, as they may do anything that root can do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define CHILDREN 60
#define CALLS    1500

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d >> 16;
}

static char *memory; /* readable and writable, a hole behind it */
static char names[4][16] = {"/tmp/r1", "/tmp/r2", "/proc/self/fd/3", "."};

static long argument(void)
{
    static const long interesting[] = {0,
                                       1,
                                       -1,
                                       -100,
                                       4096,
                                       0x7fffffff,
                                       -0x80000000l,
                                       0x7ffffffff000,
                                       (long)0xffff880000000000,
                                       1l << 62};
    const uint64_t r = next();
    switch (r % 8) {
    case 0:
    case 1:
        return (long)(r >> 8 & 15);
    case 2:
        return interesting[(r >> 8) % 10];
    case 3:
        return (long)names[r >> 8 & 3];
    case 4:
        return 1l << (r >> 8 & 63);
    case 5:
        return (long)(memory + 65536 - (r >> 8 & 31));
    default:
        return (long)(memory + (r >> 8 & 0xfff8));
    }
}

/* Those that would end the machine, the test, or its witnesses. */
static int forbidden(long number)
{
    static const int numbers[] = {SYS_reboot,
                                  SYS_kill,
                                  SYS_tkill,
                                  SYS_tgkill,
                                  SYS_exit,
                                  SYS_exit_group,
                                  SYS_vfork,
                                  SYS_rt_sigqueueinfo,
                                  SYS_rt_tgsigqueueinfo,
                                  SYS_pause,
                                  SYS_umount2,
                                  SYS_chroot,
                                  SYS_settimeofday,
                                  SYS_clock_settime,
                                  SYS_rt_sigreturn,
                                  SYS_setrlimit,
                                  SYS_prlimit64};
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i] == number)
            return 1;
    return 0;
}

static void nonsense(void)
{
    memory = mmap(NULL, 65536 + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(memory + 65536, 4096);
    for (unsigned i = 0; i < 65536; i++)
        memory[i] = (char)next();
    for (int i = 0; i < 2; i++) {
        int fds[2];
        if (pipe(fds) || open(names[0], O_RDWR | O_CREAT, 0600) < 0)
            _exit(1);
    }
    const pid_t self = getpid();
    setsid();
    for (int i = 0; i < CALLS; i++) {
        const long n = (long)(next() % 362),
                   number = n < 335 ? n : n + 89; /* to 334, and from 424 on */
        if (forbidden(number))
            continue;
        syscall(number, argument(), argument(), argument(), argument(), argument(), argument());
        if (getpid() != self) /* a child of clone */
            _exit(0);
    }
}

/* Wait for @pid; if it waits for ever, as is its right, end it. */
static int wait_or_kill(pid_t pid)
{
    int status;
    for (int i = 0; i < 40; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return 1;
        usleep(5000);
    }
    kill(pid, SIGKILL);
    return waitpid(pid, &status, 0) == pid;
}

void check_random(void)
{
    struct utsname u;
    int status, answered = 0;
    uname(&u);
    if (!strstr(u.version, "pv-guest"))
        return;
    for (int i = 0; i < CHILDREN; i++) {
        state = 88172645463325252ul + i;
        fflush(stdout);
        const pid_t pid = fork();
        if (pid == 0) {
            close(1); /* its output is nonsense, too */
            close(2);
            close(0);
            nonsense();
            _exit(0);
        }
        answered += wait_or_kill(pid);
        while (waitpid(-1, &status, WNOHANG) > 0)
            ;
    }
    unlink(names[0]);
    unlink(names[1]);
    result(answered == CHILDREN, "nonsense does not hurt the kernel");
}
