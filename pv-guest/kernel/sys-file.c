/* System calls on open files and their descriptors. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "file-lock.h"
#include "pipe.h"
#include "process.h"
#include "syscall.h"

long syscall_close(const struct syscall_args *a)
{
    return fd_close(a->arg[0]);
}

/* SEEK_DATA and SEEK_HOLE: the first byte from @at on that is (not) in a page that there is. */
static long seek_hole(struct file *file, uint64_t at, bool hole)
{
    struct inode *const inode = file->inode;
    if (at >= inode->size)
        return -ENXIO;
    while (at < inode->size && !inode_page_at(inode, at >> PAGE_SHIFT, false) != hole)
        at = (at & PAGE_MASK) + PAGE_SIZE;
    if (at >= inode->size && !hole)
        return -ENXIO;
    return file->offset = MIN(at, inode->size);
}

long syscall_lseek(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (!file_seekable(file))
        return -ESPIPE;
    if (a->arg[2] == 3 || a->arg[2] == 4)
        return seek_hole(file, a->arg[1], a->arg[2] == 4);
    int64_t base = 0;
    if (a->arg[2] == 1)
        base = file->offset;
    else if (a->arg[2] == 2)
        base = file->inode->size;
    else if (a->arg[2] != 0)
        return -EINVAL;
    if (base + (int64_t)a->arg[1] < 0)
        return -EINVAL;
    return file->offset = base + a->arg[1];
}

long syscall_dup(const struct syscall_args *a)
{
    struct file *file = fd_file_or_path(a->arg[0]);
    if (!file)
        return -EBADF;
    const int fd = fd_install(file, 0, false);
    if (fd >= 0)
        file_get(file);
    return fd;
}

static long dup_to(int from, int to, bool close_on_exec)
{
    struct file *file = fd_file_or_path(from);
    if (!file)
        return -EBADF;
    file_get(file);
    const int rc = fd_replace(to, file, close_on_exec);
    if (rc < 0)
        file_put(file);
    return rc;
}

long syscall_dup2(const struct syscall_args *a)
{
    if (a->arg[0] == a->arg[1])
        return fd_file_or_path(a->arg[0]) ? (long)a->arg[0] : -EBADF;
    return dup_to(a->arg[0], a->arg[1], false);
}

long syscall_dup3(const struct syscall_args *a)
{
    if (a->arg[0] == a->arg[1] || (a->arg[2] & ~(uint64_t)O_CLOEXEC))
        return -EINVAL;
    return dup_to(a->arg[0], a->arg[1], a->arg[2] & O_CLOEXEC);
}

/* Call @fn, which may wait: another thread could close @file meanwhile. */
static long with_file(struct file *file, long (*fn)(struct file *, unsigned, user_t), unsigned what,
                      user_t arg)
{
    file_get(file);
    const long rc = fn(file, what, arg);
    file_put(file);
    return rc;
}

static long set_pipe_size(const struct file *file, unsigned size)
{
    struct pipe *const p = pipe_of(file);
    if (!p)
        return -EBADF;
    if (!size || size > INT32_MAX)
        return -EINVAL;
    if (size > PIPE_MOST)
        return access_root() ? -ENOMEM : -EPERM;
    return pipe_resize(p, size);
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

/* Who is to be told about @file by a signal; nobody ever is, so it is only kept. */
static long set_owner(struct file *file, int owner)
{
    if (owner > 0 && !process_find(owner))
        return -ESRCH;
    file->owner = owner;
    return 0;
}

static long set_owner_signal(struct file *file, user_t number)
{
    if (number > SIGNAL_COUNT)
        return -EINVAL;
    file->owner_signal = number;
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
        file->flags =
            (file->flags & ~(O_APPEND | O_NONBLOCK)) | (a->arg[2] & (O_APPEND | O_NONBLOCK));
        return 0;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return with_file(file, record_lock, a->arg[1], a->arg[2]);
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
    case F_GETLEASE: /* none can be taken */
        return 2;    /* F_UNLCK */
    case F_ADD_SEALS:
        return add_seals(file, a->arg[2]);
    case F_GET_SEALS:
        return file->inode && file->inode->sealable ? (long)file->inode->seals : -EINVAL;
    default:
        return -EINVAL;
    }
}

static long lock_whole(struct file *file, unsigned operation, user_t unused)
{
    return file_lock(file, operation);
}

long syscall_flock(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    return file ? with_file(file, lock_whole, a->arg[1], 0) : -EBADF;
}

static long set_nonblocking(struct file *file, user_t arg)
{
    int on;
    if (user_read(&on, arg, sizeof(on)))
        return -EFAULT;
    file->flags = on ? file->flags | O_NONBLOCK : file->flags & ~O_NONBLOCK;
    return 0;
}

static long ioctl(struct file *file, unsigned command, user_t arg)
{
    return file->ops->ioctl ? file->ops->ioctl(file, command, arg) : -ENOTTY;
}

/* What every file can do, and then what this one can. */
long syscall_ioctl(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    switch ((unsigned)a->arg[1]) {
    case FIOCLEX:
    case FIONCLEX:
        fd_set_close_on_exec(a->arg[0], a->arg[1] == FIOCLEX);
        return 0;
    case FIONBIO:
        return set_nonblocking(file, a->arg[2]);
    default:
        return with_file(file, ioctl, a->arg[1], a->arg[2]);
    }
}

static long pipe_make(user_t to, unsigned flags)
{
    struct file *reader, *writer;
    int rc = pipe_new(flags, &reader, &writer);
    if (rc)
        return rc;
    const int fds[2] = {fd_install(reader, 0, flags & O_CLOEXEC),
                        fd_install(writer, 0, flags & O_CLOEXEC)};
    rc = fds[0] < 0 || fds[1] < 0 ? -EMFILE : user_write(to, fds, sizeof(fds));
    if (!rc)
        return 0;
    if (fds[0] < 0 || fd_close(fds[0]))
        file_put(reader);
    if (fds[1] < 0 || fd_close(fds[1]))
        file_put(writer);
    return rc;
}

long syscall_pipe(const struct syscall_args *a)
{
    return pipe_make(a->arg[0], 0);
}

long syscall_pipe2(const struct syscall_args *a)
{
    if (a->arg[1] & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    return pipe_make(a->arg[0], a->arg[1]);
}

long syscall_ftruncate(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (!file->inode || !inode_is(file->inode, S_IFREG) || (file->flags & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    if ((int64_t)a->arg[1] < 0)
        return -EINVAL;
    return file_resize(file->inode, a->arg[1]);
}

#define FALLOC_KEEP_SIZE  1
#define FALLOC_PUNCH_HOLE 2

/* Pages come when they are written to; here only the size can be provided for. */
long syscall_fallocate(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    const uint64_t start = a->arg[2], size = a->arg[3];
    if (!file || (file->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (!file->inode || !inode_is(file->inode, S_IFREG))
        return -ENODEV;
    if ((int64_t)start < 0 || (int64_t)size <= 0)
        return -EINVAL;
    if (start > FILE_SIZE_MAX || size > FILE_SIZE_MAX - start)
        return -EFBIG;
    if ((a->arg[1] & FALLOC_PUNCH_HOLE) && inode_sealed(file->inode, SEAL_WRITES))
        return -EPERM;
    if (a->arg[1] == (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE))
        return inode_punch(file->inode, start, MIN(start + size, file->inode->size));
    if (a->arg[1] & ~(uint64_t)FALLOC_KEEP_SIZE)
        return -EOPNOTSUPP;
    if (a->arg[1] || start + size <= file->inode->size)
        return 0;
    return file_resize(file->inode, start + size);
}

long syscall_close_range(const struct syscall_args *a)
{
    const unsigned first = a->arg[0], last = a->arg[1];
    if (first > last || (a->arg[2] & ~(uint64_t)CLOSE_RANGE_CLOEXEC))
        return -EINVAL;
    for (int fd = first; fd < task_current()->files->end && (unsigned)fd <= last; fd++) {
        if (!fd_file_or_path(fd))
            continue;
        if (a->arg[2])
            fd_set_close_on_exec(fd, true);
        else
            (void)!fd_close(fd);
    }
    return 0;
}

/* There is no disk behind anything; what could not have one says so. */
long syscall_fsync(const struct syscall_args *a)
{
    const struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    return file->inode && (inode_is(file->inode, S_IFREG) || inode_is(file->inode, S_IFDIR))
               ? 0
               : -EINVAL;
}

long syscall_fdatasync(const struct syscall_args *a)
{
    return syscall_fsync(a);
}

long syscall_syncfs(const struct syscall_args *a)
{
    return fd_file(a->arg[0]) ? 0 : -EBADF;
}

#define SYNC_FILE_RANGE_KNOWN 7

long syscall_sync_file_range(const struct syscall_args *a)
{
    const struct file *file = fd_file(a->arg[0]);
    const int64_t start = a->arg[1], size = a->arg[2];
    if (!file)
        return -EBADF;
    if (start < 0 || size < 0 || (uint64_t)start + (uint64_t)size > INT64_MAX ||
        (a->arg[3] & ~(uint64_t)SYNC_FILE_RANGE_KNOWN))
        return -EINVAL;
    return file->inode && (inode_is(file->inode, S_IFREG) || inode_is(file->inode, S_IFDIR) ||
                           inode_is(file->inode, S_IFBLK))
               ? 0
               : -ESPIPE;
}

long syscall_sync(const struct syscall_args *a)
{
    return 0;
}

#define FADV_LAST 5

/* Advice about what is in memory anyway. */
long syscall_fadvise64(const struct syscall_args *a)
{
    const struct file *file = fd_file(a->arg[0]);
    return !file                    ? -EBADF
           : !file_seekable(file)   ? -ESPIPE
           : (int64_t)a->arg[2] < 0 ? -EINVAL
           : a->arg[3] > FADV_LAST  ? -EINVAL
                                    : 0;
}

long syscall_readahead(const struct syscall_args *a)
{
    const struct file *file = fd_file(a->arg[0]);
    return !file ? -EBADF : file->inode && inode_is(file->inode, S_IFREG) ? 0 : -EINVAL;
}
