/* System calls about processes: making, ending, waiting. */
#include "cpu-time.h"
#include "errno.h"
#include "exec.h"
#include "fork.h"
#include "heap.h"
#include "file.h"
#include "inode.h"
#include "pidfd.h"
#include "platform/platform.h"
#include "print.h"
#include "signal.h"
#include "syscall.h"
#include "sys-time.h"
#include "text.h"
#include "user-path.h"

#define CLONE_SIGNAL 0xff /* the signal that tells the parent when the child has ended; 0: none */

long syscall_fork(const struct syscall_args *a)
{
    const struct fork_request r = {.exit_signal = SIGCHLD};
    return task_fork(&r);
}

long syscall_vfork(const struct syscall_args *a)
{
    const struct fork_request r = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};
    return task_fork(&r);
}

long syscall_clone(const struct syscall_args *a)
{
    const struct fork_request r = {
        .flags = (uint32_t)a->arg[0] & ~(uint64_t)CLONE_SIGNAL,
        .exit_signal = a->arg[0] & CLONE_SIGNAL,
        .stack = a->arg[1],
        .parent_tid = a->arg[2],
        .child_tid = a->arg[3],
        .tls = a->arg[4],
        .pidfd = a->arg[2],
    };
    /* The descriptor goes where the parent would otherwise read the number. */
    if ((r.flags & CLONE_PIDFD) && (r.flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)))
        return -EINVAL;
    return task_fork(&r);
}

struct linux_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size, cgroup; /* came later: a caller may not know of them */
};
#define CLONE_ARGS_LEAST offsetof(struct linux_clone_args, set_tid)

/* A structure of @size bytes at @from, which may be of an older or of a newer kernel than ours: what it lacks is 0, and
 * what we do not know has to be. */
static int read_clone_args(struct linux_clone_args *c, user_t from, size_t size)
{
    if (size < CLONE_ARGS_LEAST)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    *c = (struct linux_clone_args){0};
    if (user_read(c, from, MIN(size, sizeof(*c))))
        return -EFAULT;
    return size > sizeof(*c) ? user_zeroes(from + sizeof(*c), size - sizeof(*c)) : 0;
}

long syscall_clone3(const struct syscall_args *a)
{
    struct linux_clone_args c;
    const int rc = read_clone_args(&c, a->arg[0], a->arg[1]);
    if (rc)
        return rc;
    if ((c.flags & (CLONE_SIGNAL | CLONE_DETACHED)) || !c.stack != !c.stack_size ||
        c.exit_signal > SIGNAL_COUNT || c.set_tid || c.set_tid_size)
        return -EINVAL;
    if ((c.flags & (CLONE_THREAD | CLONE_PARENT)) && c.exit_signal)
        return -EINVAL;
    const struct fork_request r = {
        .flags = c.flags,
        .exit_signal = c.exit_signal,
        .stack = c.stack + c.stack_size,
        .parent_tid = c.parent_tid,
        .child_tid = c.child_tid,
        .tls = c.tls,
        .pidfd = c.pidfd,
    };
    return task_fork(&r);
}

/* Append the strings that a NULL-terminated vector at @from points to; their number. */
static long add_strings(struct exec_args *args, user_t from)
{
    for (long count = 0;; count++) {
        user_t string = 0;
        if (from && user_read(&string, from + count * 8, 8))
            return -EFAULT;
        if (!string)
            return count;
        const int rc = exec_args_add_user(args, string);
        if (rc)
            return rc;
    }
}

/* Both vectors are copied before anything of the old program goes. */
static long exec_user(struct inode *program, const char *path, user_t arguments, user_t variables)
{
    struct exec_args args = {0};
    long n = add_strings(&args, arguments);
    if (n >= 0) {
        args.arguments = n;
        n = add_strings(&args, variables);
    }
    if (n >= 0) {
        args.variables = n;
        n = exec_path(program, path, &args);
    }
    exec_args_free(&args);
    return n;
}

long syscall_execve(const struct syscall_args *a)
{
    char *path = heap_alloc(PATH_MAX);
    if (!path)
        return -ENOMEM;
    long rc = user_read_text(path, a->arg[0], PATH_MAX);
    if (rc >= 0)
        rc = exec_user(NULL, path, a->arg[1], a->arg[2]);
    heap_free(path);
    return rc;
}

/* What a program is called that was found from descriptor @fd; false if that does not fit. */
static bool name_from(int fd, char *path)
{
    char name[24];
    const size_t n = print_to(name, sizeof(name), *path ? "/dev/fd/%d/" : "/dev/fd/%d", fd),
                 length = strlen(path);
    if (n + length >= PATH_MAX)
        return false;
    memmove(path + n, path, length + 1);
    memcpy(path, name, n);
    return true;
}

static long exec_at(const struct syscall_args *a, char *path)
{
    struct inode *program;
    const unsigned flags = a->arg[4];
    long rc = user_path_find_text(a->arg[0], a->arg[1], flags, &program, path);
    if (rc)
        return rc;
    if (inode_is(program, S_IFLNK))
        rc = -ELOOP;
    else if (*path != '/' && (int)a->arg[0] != AT_FDCWD && !name_from(a->arg[0], path))
        rc = -ENAMETOOLONG;
    else
        rc = exec_user(program, path, a->arg[2], a->arg[3]);
    inode_put(program);
    return rc;
}

long syscall_execveat(const struct syscall_args *a)
{
    if (a->arg[4] & ~(uint64_t)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    char *path = heap_alloc(PATH_MAX);
    const long rc = path ? exec_at(a, path) : -ENOMEM;
    heap_free(path);
    return rc;
}

long syscall_exit(const struct syscall_args *a)
{
    task_exit((a->arg[0] & 0xff) << 8);
}

long syscall_exit_group(const struct syscall_args *a)
{
    process_exit((a->arg[0] & 0xff) << 8);
}

/* struct rusage: the time that @result's child has used; everything else is unknown. */
static long give_usage(user_t to, const struct wait_result *result)
{
    return give_rusage(to, cpu_time(result->time, result->cycles));
}

#define WAIT_WHICH    (WAIT_NO_THREAD | WAIT_ALL | WAIT_CLONE)
#define WAIT4_OPTIONS (WNOHANG | WUNTRACED | WCONTINUED | WAIT_WHICH)

long syscall_wait4(const struct syscall_args *a)
{
    struct wait_result r;
    const int pid = (int)a->arg[0];
    const enum wait_for which = pid > 0 ? WAIT_PID : pid == -1 ? WAIT_ANY : WAIT_GROUP;
    if ((unsigned)a->arg[2] & ~WAIT4_OPTIONS)
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    const int rc = process_wait(which,
                                pid > 0 ? pid
                                : pid   ? -pid
                                        : process_current()->group,
                                a->arg[2] | WEXITED, &r);
    if (rc)
        return rc;
    if (r.pid && a->arg[1] && user_write(a->arg[1], &r.status, sizeof(r.status)))
        return -EFAULT;
    if (r.pid && a->arg[3] && give_usage(a->arg[3], &r))
        return -EFAULT;
    return r.pid;
}

/* wait4's status in waitid's terms. */
static struct linux_siginfo child_info(const struct wait_result *r)
{
    struct linux_siginfo s = {.number = r->pid ? SIGCHLD : 0, .pid = r->pid, .uid = r->uid};
    if (r->status == 0xffff) {
        s.code = CLD_CONTINUED;
        s.status = SIGCONT;
    } else if ((r->status & 0xff) == 0x7f) {
        s.code = CLD_STOPPED;
        s.status = r->status >> 8;
    } else {
        s.code = r->status & 0x7f ? CLD_KILLED : CLD_EXITED;
        s.status = r->status & 0x7f ? r->status & 0x7f : r->status >> 8;
    }
    return s;
}

#define WAITID_OPTIONS (WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | WAIT_WHICH)

#define WAIT_PIDFD 3

/* Wait for the child that descriptor @fd stands for. */
static int wait_by_descriptor(int fd, unsigned options, struct wait_result *r)
{
    struct process *p;
    const int rc = fd < 0 ? -EINVAL : pidfd_process(fd, &p);
    if (rc)
        return rc == -ESRCH ? -ECHILD : rc;
    const bool now = fd_file(fd)->flags & O_NONBLOCK;
    const int found = process_wait(WAIT_PID, p->pid, options | (now ? WNOHANG : 0), r);
    return !found && !r->pid && now && !(options & WNOHANG) ? -EAGAIN : found;
}

long syscall_waitid(const struct syscall_args *a)
{
    struct wait_result r = {0};
    const unsigned options = a->arg[3];
    const int which = (int)a->arg[0], id = (int)a->arg[1];
    if ((options & ~WAITID_OPTIONS) || !(options & (WEXITED | WUNTRACED | WCONTINUED)) ||
        which < WAIT_ANY || which > WAIT_PIDFD || (which == WAIT_PID && id <= 0) ||
        (which == WAIT_GROUP && id < 0))
        return -EINVAL;
    const int rc = which == WAIT_PIDFD
                       ? wait_by_descriptor(id, options, &r)
                       : process_wait(which, id ? id : process_current()->group, options, &r);
    const struct linux_siginfo s = child_info(&r);
    if (a->arg[2] && user_write(a->arg[2], &s, sizeof(s)))
        return -EFAULT;
    return !rc && r.pid && a->arg[4] ? give_usage(a->arg[4], &r) : rc;
}

long syscall_set_tid_address(const struct syscall_args *a)
{
    task_current()->clear_tid = a->arg[0];
    return task_current()->tid;
}

/* Restartable sequences are an optimization that the C library tries at each
 * start; it goes without, and needs no word about it on the console. */
long syscall_rseq(const struct syscall_args *a)
{
    return -ENOSYS;
}

/* Only what is told: nothing here depends on it. */
long syscall_personality(const struct syscall_args *a)
{
    struct process *const p = process_current();
    const unsigned old = p->personality;
    if ((unsigned)a->arg[0] != ~0u)
        p->personality = a->arg[0];
    return old;
}

long syscall_arch_prctl(const struct syscall_args *a)
{
    struct task *const task = task_current();
    switch (a->arg[0]) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (a->arg[1] >= USER_END)
            return -EPERM;
        *(a->arg[0] == ARCH_SET_FS ? &task->fs_base : &task->gs_base) = a->arg[1];
        platform_user_bases(task->fs_base, task->gs_base);
        platform_commit();
        return 0;
    case ARCH_GET_FS:
        return user_write(a->arg[1], &task->fs_base, 8);
    case ARCH_GET_GS:
        return user_write(a->arg[1], &task->gs_base, 8);
    default:
        return -EINVAL;
    }
}
