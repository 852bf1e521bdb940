/* System calls on open files and their descriptors. */
#include "block-cache.h"
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "file-lock.h"
#include "mount.h"
#include "process.h"
#include "signal.h"
#include "syscall.h"

long syscall_close(const struct syscall_args *a)
{
    return fd_close(a->arg[0]);
}

/* Is page @index of @inode none that is a hole: 1, 0 or -errno. */
static int inode_has(struct inode *inode, uint64_t index)
{
    if (!inode_on_disk(inode))
        return !!inode_page_at(inode, index, false);
    filesystem_lock_disk(inode->fs);
    const int rc = inode->fs->ops->has(inode, index);
    filesystem_unlock_disk(inode->fs);
    return rc;
}

/* SEEK_DATA and SEEK_HOLE: the first byte from @at on that is (not) in a page that there is. */
static long seek_hole(struct file *file, uint64_t at, bool hole)
{
    struct inode *const inode = file->inode;
    if (at >= inode->size)
        return -ENXIO;
    int rc = 0;
    while (at < inode->size && (rc = inode_has(inode, at >> PAGE_SHIFT)) >= 0 && !rc != hole)
        at = (at & PAGE_MASK) + PAGE_SIZE;
    if (rc < 0)
        return rc;
    if (at >= inode->size && !hole)
        return -ENXIO;
    return file->offset = MIN(at, inode->size);
}

long syscall_lseek(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (a->arg[2] > 4)
        return -EINVAL;
    if (!file_seekable(file))
        return -ESPIPE;
    if (a->arg[2] == 3 || a->arg[2] == 4) {
        file_get(file); /* another thread may close it meanwhile */
        const long at = seek_hole(file, a->arg[1], a->arg[2] == 4);
        file_put(file);
        return at;
    }
    int64_t base = 0;
    if (a->arg[2] == 1)
        base = file->offset;
    else if (a->arg[2] == 2)
        base = file->ops->size ? file->ops->size(file) : file->inode->size;
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
    struct inode *const inode = file->inode;
    inode_get(inode); /* another thread may close the file meanwhile */
    access_drop_set_id(inode);
    const int rc = file_resize(inode, a->arg[1]);
    inode_put(inode);
    return rc;
}

#define FALLOC_KEEP_SIZE  1
#define FALLOC_PUNCH_HOLE 2

/* Pages for all of [start, end), as far as there are any. */
static long provide(struct inode *inode, uint64_t start, uint64_t end)
{
    if (inode_on_disk(inode))
        return -EOPNOTSUPP; /* as Linux's ext2 says */
    const int rc = inode_reserve(inode, end);
    for (uint64_t at = start & PAGE_MASK; !rc && at < end; at += PAGE_SIZE) {
        if (!inode_page_at(inode, at >> PAGE_SHIFT, true))
            return -ENOSPC;
        if (at % (256 * PAGE_SIZE) == 0) {
            sched_point();
            if (signal_waiting(task_current()))
                return -EINTR;
            if (inode_reserve(inode, end))
                return -ENOSPC;
        }
    }
    return rc;
}

long syscall_fallocate(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    const uint64_t start = a->arg[2], size = a->arg[3];
    if (!file || (file->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (!file->inode || !inode_is(file->inode, S_IFREG))
        return file->inode && inode_is(file->inode, S_IFIFO) ? -ESPIPE : -ENODEV;
    if ((int64_t)start < 0 || (int64_t)size <= 0)
        return -EINVAL;
    if (start > FILE_SIZE_MAX || size > FILE_SIZE_MAX - start)
        return -EFBIG;
    if ((a->arg[1] & FALLOC_PUNCH_HOLE) && inode_sealed(file->inode, SEAL_WRITES))
        return -EPERM;
    if (a->arg[1] == (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE)) {
        struct inode *const punched = file->inode;
        inode_get(punched); /* another thread may close the file meanwhile */
        const int done =
            inode_punch(punched, start, MIN(start + size, ROUND_UP(punched->size, PAGE_SIZE)));
        inode_put(punched);
        return done;
    }
    if (a->arg[1] & ~(uint64_t)FALLOC_KEEP_SIZE)
        return -EOPNOTSUPP;
    if (inode_sealed(file->inode, SEAL_GROW) && start + size > file->inode->size)
        return -EPERM;
    if (!limit_file_size(start + size - 1, 1))
        return -EFBIG;
    struct inode *const inode = file->inode;
    inode_get(inode);
    long rc = provide(inode, start, start + size);
    if (!rc && inode_sealed(inode, SEAL_GROW) && start + size > inode->size)
        rc = -EPERM; /* by another thread, meanwhile */
    if (!rc && !a->arg[1] && start + size > inode->size)
        rc = file_resize(inode, start + size);
    inode_put(inode);
    return rc;
}

long syscall_close_range(const struct syscall_args *a)
{
    const unsigned first = a->arg[0], last = a->arg[1];
    if (first > last || (a->arg[2] & ~(uint64_t)(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)))
        return -EINVAL;
    if (a->arg[2] & CLOSE_RANGE_UNSHARE)
        files_unshare(task_current());
    for (int fd = first; fd < task_current()->files->end && (unsigned)fd <= last; fd++) {
        if (!fd_file_or_path(fd))
            continue;
        if (a->arg[2] & CLOSE_RANGE_CLOEXEC)
            fd_set_close_on_exec(fd, true);
        else
            (void)!fd_close(fd);
    }
    return 0;
}

/* There is no disk behind most; what could not have one says so. */
long syscall_fsync(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (file->ops->sync) {
        file_get(file); /* another thread may close it meanwhile */
        const int rc = file->ops->sync(file);
        file_put(file);
        return rc;
    }
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
    const struct file *const file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    struct inode *const inode = file->inode;
    if (!inode || !inode_on_disk(inode))
        return 0;
    inode_get(inode); /* another thread may close the file meanwhile */
    const int rc = inode->fs->ops->sync(inode->fs);
    inode_put(inode);
    return rc;
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
    mount_sync_all();
    block_cache_sync_all();
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
    if (!file || (file->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    return file->inode && inode_is(file->inode, S_IFREG) ? 0 : -EINVAL;
}
