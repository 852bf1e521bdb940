/* System calls about what processes share: kcmp tells, unshare ends it; there are no namespaces. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "ipc.h"
#include "process.h"
#include "syscall.h"

enum kcmp { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM };

/* 0: the same; 1 and 2: an order that lasts as long as both are there. */
static long order(const void *one, const void *other)
{
    return one == other ? 0 : one < other ? 1 : 2;
}

/* kcmp(pid, pid, what, fd, fd) */
long syscall_kcmp(const struct syscall_args *a)
{
    const struct task *t[2];
    for (int i = 0; i < 2; i++) {
        t[i] = task_find(a->arg[i]);
        if (!t[i] || !t[i]->process)
            return -ESRCH;
    }
    if (!access_look(t[0]->process) || !access_look(t[1]->process))
        return -EPERM;
    switch ((int)a->arg[2]) {
    case KCMP_FILE: {
        const struct file *one = files_find(t[0]->files, a->arg[3]);
        const struct file *other = files_find(t[1]->files, a->arg[4]);
        return one && other ? order(one, other) : -EBADF;
    }
    case KCMP_VM:
        return order(t[0]->space, t[1]->space);
    case KCMP_FILES:
        return order(t[0]->files, t[1]->files);
    case KCMP_FS:
        return order(t[0]->process->places, t[1]->process->places);
    case KCMP_SIGHAND:
        return order(t[0]->process->actions, t[1]->process->actions);
    case KCMP_IO:
    case KCMP_SYSVSEM: /* what a process has is shared by its threads and nobody else */
        return order(t[0]->process, t[1]->process);
    default:
        return -EINVAL;
    }
}

#define UNSHARE_ALONE (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD) /* nothing to do for who is alone */
#define UNSHARE_KNOWN \
    (UNSHARE_ALONE | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_NEWTIME | CLONE_NAMESPACES)
#define CLONE_SYSVSEM 0x40000
#define CLONE_NEWTIME 0x80

long syscall_unshare(const struct syscall_args *a)
{
    struct task *const self = task_current();
    const uint64_t flags = a->arg[0];
    if (flags & ~(uint64_t)UNSHARE_KNOWN)
        return -EINVAL;
    if ((flags & UNSHARE_ALONE) && self->process->thread_count > 1)
        return -EINVAL;
    if (flags & (CLONE_NAMESPACES | CLONE_NEWTIME))
        return access_capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
    if ((flags & CLONE_SYSVSEM) && self->process->thread_count == 1)
        semaphores_undo(self->process);
    if (flags & CLONE_FS)
        places_unshare(self->process);
    if (flags & CLONE_FILES)
        files_unshare(self);
    return (flags & CLONE_FILES) && self->files->refs > 1 ? -ENOMEM : 0;
}

long syscall_setns(const struct syscall_args *a)
{
    return fd_file(a->arg[0]) ? -EINVAL : -EBADF;
}
