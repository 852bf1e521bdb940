/*
 * What Linux programs for x86-64 pass to system calls: constants and structures
 * whose layout is fixed for ever.  Only what the kernel uses.
 */
#pragma once

#include "base.h"

/* open */
#define O_ACCMODE   3
#define O_RDONLY    0
#define O_WRONLY    1
#define O_RDWR      2
#define O_CREAT     0x40
#define O_EXCL      0x80
#define O_NOCTTY    0x100
#define O_TRUNC     0x200
#define O_APPEND    0x400
#define O_NONBLOCK  0x800
#define O_DSYNC     0x1000
#define O_SYNC      0x101000 /* O_DSYNC among it */
#define O_DIRECT    0x4000
#define O_ASYNC     0x2000
#define O_DIRECTORY 0x10000
#define O_NOATIME   0x40000
#define O_TMPFILE   0x400000 /* with O_DIRECTORY: a file without a name */
#define O_NOFOLLOW  0x20000
#define O_CLOEXEC   0x80000
#define O_PATH      0x200000

#define AT_FDCWD            -100
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR        0x200
#define AT_NO_AUTOMOUNT     0x800
#define AT_EMPTY_PATH       0x1000

/* modes */
#define S_IFMT   0170000
#define S_IFIFO  0010000
#define S_IFCHR  0020000
#define S_IFDIR  0040000
#define S_IFBLK  0060000
#define S_IFREG  0100000
#define S_IFLNK  0120000
#define S_IFSOCK 0140000
#define S_ISUID  04000
#define S_ISGID  02000
#define S_ISVTX  01000

struct linux_stat {
    uint64_t dev, ino, nlink;
    uint32_t mode, uid, gid, pad;
    uint64_t rdev;
    int64_t size, block_size, blocks;
    uint64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
    int64_t unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat");

struct linux_statfs {
    int64_t type, block_size, blocks, free, available, files, files_free;
    int32_t id[2];
    int64_t name_max, fragment_size, flags, spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");

struct linux_dirent64 {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

/* fcntl */
#define F_DUPFD             0
#define F_GETFD             1
#define F_SETFD             2
#define F_GETFL             3
#define F_SETFL             4
#define F_GETLK             5
#define F_SETLK             6
#define F_SETLKW            7
#define F_SETOWN            8
#define F_GETOWN            9
#define F_SETSIG            10
#define F_GETSIG            11
#define F_OFD_GETLK         36
#define F_OFD_SETLK         37
#define F_OFD_SETLKW        38
#define F_SETOWN_EX         15
#define F_GETOWN_EX         16
#define F_SETLEASE          1024
#define F_GETLEASE          1025
#define F_DUPFD_CLOEXEC     1030
#define F_SETPIPE_SZ        1031
#define F_GETPIPE_SZ        1032
#define F_ADD_SEALS         1033
#define F_GET_SEALS         1034
#define FD_CLOEXEC          1
#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4

/* memory */
#define PROT_READ           1
#define PROT_WRITE          2
#define PROT_EXEC           4
#define MAP_SHARED          1
#define MAP_PRIVATE         2
#define MAP_SHARED_VALIDATE 3
#define MAP_TYPE            0xf
#define MAP_FIXED           0x10
#define MAP_ANONYMOUS       0x20
#define MAP_LOCKED          0x2000
#define MAP_HUGETLB         0x40000
#define MAP_KNOWN           0x17f9f3 /* of what MAP_SHARED_VALIDATE takes */
#define MAP_POPULATE        0x8000
#define MAP_NOREPLACE       0x100000

/* processes */
#define CLONE_VM             0x100
#define CLONE_FS             0x200
#define CLONE_FILES          0x400
#define CLONE_SIGHAND        0x800
#define CLONE_PIDFD          0x1000
#define CLONE_VFORK          0x4000
#define CLONE_PARENT         0x8000
#define CLONE_THREAD         0x10000
#define CLONE_SETTLS         0x80000
#define CLONE_PARENT_SETTID  0x100000
#define CLONE_CHILD_CLEARTID 0x200000
#define CLONE_DETACHED       0x400000
#define CLONE_CHILD_SETTID   0x1000000
#define CLONE_NAMESPACES     0x7e020000 /* of mounts, names, processes, users... */

#define WNOHANG        1
#define WUNTRACED      2
#define WEXITED        4
#define WCONTINUED     8
#define WNOWAIT        0x01000000
#define WAIT_NO_THREAD 0x20000000 /* __WNOTHREAD: children are a process's here, not a thread's */
#define WAIT_ALL       0x40000000 /* __WALL: children of any exit signal */
#define WAIT_CLONE     0x80000000 /* __WCLONE: of another one than SIGCHLD, and no others */
#define RUSAGE_SIZE    144        /* struct rusage, user time first */

#define PID_MAX 32768

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

/* the auxiliary vector */
#define AT_NULL     0
#define AT_PHDR     3
#define AT_PHENT    4
#define AT_PHNUM    5
#define AT_PAGESZ   6
#define AT_BASE     7
#define AT_FLAGS    8
#define AT_ENTRY    9
#define AT_UID      11
#define AT_EUID     12
#define AT_GID      13
#define AT_EGID     14
#define AT_PLATFORM 15
#define AT_HWCAP    16
#define AT_CLKTCK   17
#define AT_SECURE   23
#define AT_RANDOM   25
#define AT_EXECFN   31

/* time */
struct linux_timespec {
    int64_t sec, nsec;
};
struct linux_timeval {
    int64_t sec, usec;
};
struct linux_itimerval {
    struct linux_timeval interval, value;
};
struct linux_itimerspec {
    struct linux_timespec interval, value;
};
#define CLOCK_REALTIME        0
#define CLOCK_MONOTONIC       1
#define CLOCK_PROCESS_CPUTIME 2
#define CLOCK_THREAD_CPUTIME  3
#define CLOCK_BOOTTIME        7
#define CLOCK_TAI             11
#define TIMER_ABSTIME         1

/* signals */
#define SIGHUP       1
#define SIGINT       2
#define SIGQUIT      3
#define SIGILL       4
#define SIGTRAP      5
#define SIGABRT      6
#define SIGBUS       7
#define SIGFPE       8
#define SIGKILL      9
#define SIGUSR1      10
#define SIGSEGV      11
#define SIGUSR2      12
#define SIGPIPE      13
#define SIGALRM      14
#define SIGTERM      15
#define SIGCHLD      17
#define SIGCONT      18
#define SIGSTOP      19
#define SIGTSTP      20
#define SIGTTIN      21
#define SIGTTOU      22
#define SIGURG       23
#define SIGXCPU      24
#define SIGXFSZ      25
#define SIGVTALRM    26
#define SIGPROF      27
#define SIGWINCH     28
#define SIGIO        29
#define SIGSYS       31
#define SIGRTMIN     32
#define SIGNAL_COUNT 64

#define SIG_DFL     0
#define SIG_IGN     1
#define SIG_BLOCK   0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

#define SA_NOCLDSTOP 1
#define SA_NOCLDWAIT 2
#define SA_SIGINFO   4
#define SA_RESTORER  0x04000000
#define SA_ONSTACK   0x08000000
#define SA_RESTART   0x10000000
#define SA_NODEFER   0x40000000
#define SA_RESETHAND 0x80000000
#define SS_ONSTACK   1
#define SS_DISABLE   2

struct linux_sigaction {
    uint64_t handler, flags, restorer, mask;
};

struct linux_sigaltstack {
    uint64_t sp;
    int32_t flags, pad;
    uint64_t size;
};

/* What a signal handler's third argument points to. */
struct linux_ucontext {
    uint64_t flags, link;
    struct linux_sigaltstack stack;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2, fpu, reserved[8];
    uint64_t mask;
};
_Static_assert(sizeof(struct linux_ucontext) == 40 + 256 + 8, "struct ucontext");

struct linux_siginfo {
    int32_t number, error, code, pad;
    union {
        struct {
            int32_t pid, uid, status;
        };
        uint64_t address;
        uint8_t space[112];
    };
};
_Static_assert(sizeof(struct linux_siginfo) == 128, "siginfo");

/* the terminal */
#define TCGETS     0x5401
#define TCSETS     0x5402
#define TCSETSW    0x5403
#define TCSETSF    0x5404
#define TCSBRK     0x5409
#define TCXONC     0x540a
#define TCFLSH     0x540b
#define TIOCSCTTY  0x540e
#define TIOCGPGRP  0x540f
#define TIOCSPGRP  0x5410
#define TIOCGWINSZ 0x5413
#define TIOCSWINSZ 0x5414
#define TIOCOUTQ   0x5411
#define FIONREAD   0x541b

/* ioctl on disks */
#define BLKROGET     0x125e
#define BLKGETSIZE   0x1260
#define BLKFLSBUF    0x1261
#define BLKSSZGET    0x1268
#define BLKDISCARD   0x1277
#define BLKPBSZGET   0x127b
#define BLKBSZGET    0x80081270
#define BLKGETSIZE64 0x80081272
#define FIONBIO      0x5421
#define TIOCPKT      0x5420
#define TIOCNOTTY    0x5422
#define TCSBRKP      0x5425
#define TIOCGSID     0x5429
#define TIOCGPTPEER  0x5441
#define TIOCSPTLCK   0x40045431
#define TIOCSIG      0x40045436
#define TIOCGPTN     0x80045430
#define TIOCGPKT     0x80045438
#define TIOCGPTLCK   0x80045439
#define FIONCLEX     0x5450
#define FIOCLEX      0x5451

#define ISTRIP  0x20
#define INLCR   0x40
#define IGNCR   0x80
#define ICRNL   0x100
#define IXON    0x400
#define IXANY   0x800
#define OPOST   1
#define ONLCR   4
#define OCRNL   8
#define B38400  0xf
#define CS8     0x30
#define CREAD   0x80
#define ISIG    1
#define ICANON  2
#define ECHO    8
#define ECHOE   0x10
#define ECHOK   0x20
#define ECHONL  0x40
#define NOFLSH  0x80
#define ECHOCTL 0x200
#define ECHOKE  0x800
#define TOSTOP  0x100
#define IEXTEN  0x8000

#define VINTR    0
#define VQUIT    1
#define VERASE   2
#define VKILL    3
#define VEOF     4
#define VTIME    5
#define VMIN     6
#define VSTART   8
#define VSTOP    9
#define VSUSP    10
#define VEOL     11
#define VREPRINT 12
#define VDISCARD 13
#define VWERASE  14
#define VLNEXT   15
#define VEOL2    16

struct linux_termios {
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line, cc[19];
};
_Static_assert(sizeof(struct linux_termios) == 36, "struct termios of the kernel");

struct linux_winsize {
    uint16_t rows, columns, x, y;
};

/* poll */
#define POLLIN     1
#define POLLPRI    2
#define POLLOUT    4
#define POLLERR    8
#define POLLHUP    0x10
#define POLLNVAL   0x20
#define POLLRDNORM 0x40
#define POLLWRNORM 0x100
#define POLLRDHUP  0x2000

struct linux_pollfd {
    int32_t fd;
    int16_t events, revents;
};

struct linux_utsname {
    char system[65], node[65], release[65], version[65], machine[65], domain[65];
};

struct linux_sysinfo {
    int64_t uptime;
    uint64_t loads[3], total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
    uint16_t procs, pad;
    uint64_t total_high, free_high;
    uint32_t unit, pad2;
};
_Static_assert(sizeof(struct linux_sysinfo) == 112, "struct sysinfo");

struct linux_rlimit {
    uint64_t current, maximum;
};
#define RLIMIT_CPU        0
#define RLIMIT_FSIZE      1
#define RLIMIT_STACK      3
#define RLIMIT_CORE       4
#define RLIMIT_NPROC      6
#define RLIMIT_NOFILE     7
#define RLIMIT_MEMLOCK    8
#define RLIMIT_AS         9
#define RLIMIT_SIGPENDING 11
#define RLIMIT_MSGQUEUE   12
#define RLIMIT_NICE       13
#define RLIMIT_RTPRIO     14
#define RLIMITS           16

struct linux_iovec {
    uint64_t base, size;
};

#define REBOOT_RESTART   0x01234567
#define REBOOT_POWER_OFF 0x4321fedc
#define REBOOT_HALT      0xcdef0123
