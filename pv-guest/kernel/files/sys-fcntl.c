/* fcntl: descriptors, flags, locks, owners, leases, seals. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "file-lock.h"
#include "lease.h"
#include "notice.h"
#include "pipe.h"
#include "process.h"
#include "signal.h"
#include "syscall.h"

/* A record lock of, maybe after waiting for it, what @fd is. */
static long lock_records(int fd, struct file *file, unsigned command, user_t arg)
{
    file_get(file);
    long rc = record_lock(file, command, arg);
    /* Meanwhile another thread may have closed @fd, which ends what the process has locked of the file. */
    if (!rc && command == F_SETLKW && fd_file(fd) != file) {
        record_locks_drop(task_current()->files, file);
        rc = -EBADF;
    }
    file_put(file);
    return rc;
}

static long set_pipe_size(const struct file *file, unsigned size)
{
    struct pipe *const p = pipe_of(file);
    if (!p)
        return -EBADF;
    if (size > INT32_MAX)
        return -EINVAL;
    if (size > PIPE_MOST)
        return access_capable(CAP_SYS_RESOURCE) ? -ENOMEM : -EPERM;
    return pipe_resize(p, MAX(size, (unsigned)PAGE_SIZE));
}

/* Has anybody memory through which @inode could be written? */
static bool written_by_memory(const struct inode *inode)
{
    const struct task *t;
    const struct area *area;
    for_each_task(t)
    {
        if (!t->space)
            continue;
        list_for_each(area, &t->space->areas, link)
        {
            if (area->file == inode && area->shared && (area->protection & PROT_WRITE))
                return true;
        }
    }
    return false;
}

static long add_seals(const struct file *file, unsigned seals)
{
    struct inode *const inode = file->inode;
    if (!inode || !inode->sealable || (seals & ~SEAL_ALL))
        return -EINVAL;
    if ((file->flags & O_ACCMODE) == O_RDONLY || inode_sealed(inode, SEAL_SEAL))
        return -EPERM;
    if ((seals & ~inode->seals & SEAL_WRITE) && written_by_memory(inode))
        return -EBUSY;
    inode->seals |= seals;
    return 0;
}

/* Who is to be told about @file by a signal (notice.c): a process, or a group, as a negative number. */
static long set_owner(struct file *file, int owner)
{
    if ((owner > 0 && !process_find(owner)) || owner == INT32_MIN)
        return -ESRCH;
    const struct signal_info nothing = {0};
    if (owner < 0 && signal_send_group(-owner, &nothing))
        return -ESRCH;
    file->owner = owner;
    file->owner_thread = 0;
    return 0;
}

/* The same with a word about which it is. */
struct linux_owner {
    int type, id;
};
enum { OWNER_THREAD, OWNER_PROCESS, OWNER_GROUP };

static long set_owner_ex(struct file *file, user_t from)
{
    struct linux_owner o;
    if (user_read(&o, from, sizeof(o)))
        return -EFAULT;
    if (o.type < OWNER_THREAD || o.type > OWNER_GROUP || o.id < 0)
        return -EINVAL;
    const struct task *t = o.type == OWNER_THREAD && o.id ? task_find(o.id) : NULL;
    if (o.type == OWNER_THREAD && o.id && !t)
        return -ESRCH;
    const long rc = set_owner(file, t ? t->process->pid : o.type == OWNER_GROUP ? -o.id : o.id);
    if (!rc)
        file->owner_thread = t ? t->tid : 0;
    return rc;
}

static long get_owner_ex(const struct file *file, user_t to)
{
    const struct linux_owner o = {file->owner_thread ? OWNER_THREAD
                                  : file->owner < 0  ? OWNER_GROUP
                                                     : OWNER_PROCESS,
                                  file->owner_thread ? file->owner_thread
                                  : file->owner < 0  ? -file->owner
                                                     : file->owner};
    return user_write(to, &o, sizeof(o));
}

static long set_owner_signal(struct file *file, user_t number)
{
    if (number > SIGNAL_COUNT)
        return -EINVAL;
    file->owner_signal = number;
    return 0;
}

#define FLAGS_CHANGEABLE (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC)

static long set_flags(struct file *file, unsigned flags)
{
    if ((flags & ~file->flags & O_NOATIME) && file->inode && access_own(file->inode) == -EPERM)
        return -EPERM;
    file->flags = (file->flags & ~FLAGS_CHANGEABLE) | (flags & FLAGS_CHANGEABLE);
    notice_changed(file);
    return 0;
}

/* What fcntl can do with a descriptor that O_PATH has made. */
static bool serves_places(unsigned command)
{
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_GETFD ||
           command == F_SETFD || command == F_GETFL;
}

long syscall_fcntl(const struct syscall_args *a)
{
    const int fd = a->arg[0];
    struct file *file = fd_file_or_path(fd);
    if (!file || ((file->flags & O_PATH) && !serves_places(a->arg[1])))
        return -EBADF;
    switch (a->arg[1]) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: {
        const int copy = fd_install(file, a->arg[2], a->arg[1] == F_DUPFD_CLOEXEC);
        if (copy >= 0)
            file_get(file);
        return copy;
    }
    case F_GETFD:
        return fd_close_on_exec(fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
        fd_set_close_on_exec(fd, a->arg[2] & FD_CLOEXEC);
        return 0;
    case F_GETFL:
        return file->flags;
    case F_SETFL:
        return set_flags(file, a->arg[2]);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return lock_records(fd, file, a->arg[1], a->arg[2]);
    case F_GETPIPE_SZ:
        return pipe_of(file) ? (long)pipe_of(file)->size : -EBADF;
    case F_SETPIPE_SZ:
        return set_pipe_size(file, a->arg[2]);
    case F_GETOWN:
        return file->owner;
    case F_SETOWN:
        return set_owner(file, a->arg[2]);
    case F_GETSIG:
        return file->owner_signal;
    case F_SETSIG:
        return set_owner_signal(file, a->arg[2]);
    case F_SETOWN_EX:
        return set_owner_ex(file, a->arg[2]);
    case F_GETOWN_EX:
        return get_owner_ex(file, a->arg[2]);
    case F_SETLEASE:
        return lease_set(file, a->arg[2]);
    case F_GETLEASE:
        return lease_of(file);
    case F_ADD_SEALS:
        return add_seals(file, a->arg[2]);
    case F_GET_SEALS:
        return file->inode && file->inode->sealable ? (long)file->inode->seals : -EINVAL;
    default:
        return -EINVAL;
    }
}
