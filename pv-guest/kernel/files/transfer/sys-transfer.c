/* System calls that move bytes between files and memory, or from file to file. */
#include "errno.h"
#include "file.h"
#include "inotify.h"
#include "process.h"
#include "signal.h"
#include "syscall.h"
#include "transfer.h"

long file_read(struct file *file, user_t to, size_t size)
{
    if ((file->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    const long n = file->ops->read ? file->ops->read(file, to, size) : -EINVAL;
    if (inotify_watches && n > 0 && file->inode)
        inotify_tell_inode(file->inode, IN_ACCESS);
    return n;
}

long file_write(struct file *file, user_t from, size_t size)
{
    if ((file->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    const long n = file->ops->write ? file->ops->write(file, from, size) : -EINVAL;
    if (inotify_watches && n > 0 && file->inode)
        inotify_tell_inode(file->inode, IN_MODIFY);
    return n;
}

/* Another thread may close the file while we wait in it: hold on. */
static long transfer_held(int fd, user_t at, size_t size, transfer_fn fn)
{
    struct file *file = fd_file(fd);
    if (!file)
        return -EBADF;
    file_get(file);
    const long rc = fn(file, at, size);
    file_put(file);
    return rc;
}

long syscall_read(const struct syscall_args *a)
{
    return transfer_held(a->arg[0], a->arg[1], a->arg[2], file_read);
}

long syscall_write(const struct syscall_args *a)
{
    return transfer_held(a->arg[0], a->arg[1], a->arg[2], file_write);
}

/* ---- At a place other than the file's own ---- */

long file_transfer_at(struct file *file, user_t at, size_t size, uint64_t offset, transfer_fn fn)
{
    if (!file_seekable(file))
        return -ESPIPE;
    if ((int64_t)offset < 0)
        return -EINVAL;
    /* The file's own offset is others' to use meanwhile. */
    struct file view = *file;
    view.offset = offset;
    const long rc = fn(&view, at, size);
    file->object = view.object; /* a text that was made (proc.c) is kept */
    return rc;
}

static long transfer_at(const struct syscall_args *a, transfer_fn fn)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    file_get(file); /* another thread may close it meanwhile */
    const long rc = file_transfer_at(file, a->arg[1], a->arg[2], a->arg[3], fn);
    file_put(file);
    return rc;
}

long syscall_pread64(const struct syscall_args *a)
{
    return transfer_at(a, file_read);
}

long syscall_pwrite64(const struct syscall_args *a)
{
    return transfer_at(a, file_write);
}

/* ---- Several pieces of memory ---- */

/* All pieces are looked at before the first one is used. */
static int vector_check(user_t vector, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct linux_iovec v;
        if (user_read(&v, vector + i * sizeof(v), sizeof(v)))
            return -EFAULT;
        if ((int64_t)v.size < 0)
            return -EINVAL;
        if (v.base > USER_END || v.size > USER_END - v.base)
            return -EFAULT;
    }
    return 0;
}

long file_vector(struct file *file, user_t vector, unsigned count, uint64_t offset, transfer_fn fn)
{
    long done = 0;
    const int wrong = vector_check(vector, count);
    if (wrong)
        return wrong;
    for (unsigned i = 0; i < count; i++) {
        struct linux_iovec v;
        if (user_read(&v, vector + i * sizeof(v), sizeof(v)))
            return done ? done : -EFAULT;
        if (!v.size)
            continue;
        const long rc = offset == HERE ? fn(file, v.base, v.size)
                                       : file_transfer_at(file, v.base, v.size, offset + done, fn);
        if (rc < 0)
            return done ? done : rc;
        done += rc;
        if ((uint64_t)rc < v.size)
            break;
    }
    return done;
}

static long transfer_vector(const struct syscall_args *a, uint64_t offset, transfer_fn fn)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (a->arg[2] > IOV_MAX)
        return -EINVAL;
    if (offset != HERE && !file_seekable(file))
        return -ESPIPE;
    file_get(file);
    const long rc = file_vector(file, a->arg[1], a->arg[2], offset, fn);
    file_put(file);
    return rc;
}

long syscall_readv(const struct syscall_args *a)
{
    return transfer_vector(a, HERE, file_read);
}

long syscall_writev(const struct syscall_args *a)
{
    return transfer_vector(a, HERE, file_write);
}

long syscall_preadv(const struct syscall_args *a)
{
    return a->arg[3] == HERE ? -EINVAL : transfer_vector(a, a->arg[3], file_read);
}

long syscall_pwritev(const struct syscall_args *a)
{
    return a->arg[3] == HERE ? -EINVAL : transfer_vector(a, a->arg[3], file_write);
}

/* Flags of one transfer.  Nothing has to be written through to anything, and what is in memory does not wait. */
#define RWF_HIPRI  1
#define RWF_DSYNC  2
#define RWF_SYNC   4
#define RWF_NOWAIT 8
#define RWF_APPEND 16
#define RWF_ALL    31

static long transfer_with_flags(const struct syscall_args *a, transfer_fn fn)
{
    struct file *file = fd_file(a->arg[0]);
    const unsigned flags = a->arg[5];
    const unsigned meanwhile =
        (flags & RWF_APPEND ? O_APPEND : 0) | (flags & RWF_NOWAIT ? O_NONBLOCK : 0);
    if (!file)
        return -EBADF;
    if (flags & ~RWF_ALL)
        return -EOPNOTSUPP;
    if (!meanwhile)
        return transfer_vector(a, a->arg[3], fn);
    if (a->arg[2] > IOV_MAX)
        return -EINVAL;
    if (a->arg[3] != HERE && !file_seekable(file))
        return -ESPIPE;
    struct file view = *file;
    view.flags |= meanwhile;
    file_get(file);
    const long rc = file_vector(&view, a->arg[1], a->arg[2], a->arg[3], fn);
    if (a->arg[3] == HERE)
        file->offset = view.offset;
    file_put(file);
    return rc;
}

/* An offset of -1 is the file's own. */
long syscall_preadv2(const struct syscall_args *a)
{
    return transfer_with_flags(a, file_read);
}

long syscall_pwritev2(const struct syscall_args *a)
{
    return transfer_with_flags(a, file_write);
}

/* ---- From file to file ---- */

long end_transfer(struct end *e, user_t at, size_t size, transfer_fn fn)
{
    if (e->offset == HERE)
        return fn(e->file, at, size);
    const long n = file_transfer_at(e->file, at, size, e->offset, fn);
    e->offset += n > 0 ? n : 0;
    return n;
}

/* @n bytes have been read in vain. */
static void end_back(struct end *e, size_t n)
{
    if (e->offset == HERE)
        e->file->offset -= n;
    else
        e->offset -= n;
}

/*
 * Copy through memory of the process itself, mapped for as long as it takes: so
 * this needs nothing of files but that they can be read and written.
 */
static long copy_through(struct end *from, struct end *to, size_t size, user_t bounce)
{
    size_t done = 0;
    size = MIN(size, TRANSFER_MOST);
    while (done < size) {
        /* A file that is copied behind its own end has none. */
        if (done && signal_waiting(task_current()))
            break;
        const long n = end_transfer(from, bounce, MIN(size - done, BOUNCE_SIZE), file_read);
        if (n <= 0)
            return done ? (long)done : n;
        const long written = end_transfer(to, bounce, n, file_write);
        if (written < n)
            end_back(from, n - MAX(written, 0l));
        if (written < 0)
            return done ? (long)done : written;
        done += written;
        if (written < n)
            break;
    }
    return done;
}

long transfer_with_bounce(struct end *from, struct end *to, size_t size, bounce_fn fn)
{
    struct space *const space = task_current()->space;
    const uintptr_t bounce = space_gap(space, BOUNCE_SIZE);
    if (!bounce ||
        space_map(space, bounce, BOUNCE_SIZE, PROT_READ | PROT_WRITE, SHARING_NONE, NULL, 0))
        return -ENOMEM;
    file_get(from->file);
    file_get(to->file);
    const long rc = fn(from, to, size, bounce);
    file_put(from->file);
    file_put(to->file);
    (void)!space_unmap(space, bounce, BOUNCE_SIZE);
    return rc;
}

/* Where @e is in its file, if the caller keeps that itself. */
int end_read(struct end *e, int fd, user_t offset)
{
    e->file = fd_file(fd);
    e->offset = HERE;
    if (!e->file)
        return -EBADF;
    if (!offset)
        return 0;
    if (!file_seekable(e->file))
        return -ESPIPE;
    if (user_read(&e->offset, offset, sizeof(e->offset)))
        return -EFAULT;
    return e->offset == HERE ? -EINVAL : 0;
}

int end_write(const struct end *e, user_t offset)
{
    return offset ? user_write(offset, &e->offset, sizeof(e->offset)) : 0;
}

static bool is_regular(const struct end *e)
{
    return e->file->inode && inode_is(e->file->inode, S_IFREG);
}

long syscall_sendfile(const struct syscall_args *a)
{
    struct end from, to;
    int rc = end_read(&to, a->arg[0], 0);
    if (!rc)
        rc = end_read(&from, a->arg[1], a->arg[2]);
    if (rc)
        return rc;
    if ((from.file->flags & O_ACCMODE) == O_WRONLY || (to.file->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (!is_regular(&from) || (to.file->flags & O_APPEND) || (int64_t)a->arg[3] < 0 ||
        (from.offset != HERE && (int64_t)from.offset < 0))
        return -EINVAL;
    const long n = transfer_with_bounce(&from, &to, a->arg[3], copy_through);
    return end_write(&from, a->arg[2]) ? -EFAULT : n;
}

long syscall_copy_file_range(const struct syscall_args *a)
{
    struct end from, to;
    int rc = end_read(&from, a->arg[0], a->arg[1]);
    if (!rc)
        rc = end_read(&to, a->arg[2], a->arg[3]);
    if (rc)
        return rc;
    if (a->arg[5])
        return -EINVAL;
    if ((from.file->inode && inode_is(from.file->inode, S_IFDIR)) ||
        (to.file->inode && inode_is(to.file->inode, S_IFDIR)))
        return -EISDIR;
    if (!is_regular(&from) || !is_regular(&to))
        return -EINVAL;
    if ((from.file->flags & O_ACCMODE) == O_WRONLY || (to.file->flags & O_ACCMODE) == O_RDONLY ||
        (to.file->flags & O_APPEND))
        return -EBADF;
    const uint64_t at = from.offset == HERE ? from.file->offset : from.offset;
    if (at + a->arg[4] < at || (int64_t)at < 0)
        return -EOVERFLOW;
    const uint64_t goal = to.offset == HERE ? to.file->offset : to.offset;
    if (from.file->inode == to.file->inode && at < goal + a->arg[4] && goal < at + a->arg[4])
        return -EINVAL;
    const long n = transfer_with_bounce(&from, &to, a->arg[4], copy_through);
    return end_write(&from, a->arg[1]) || end_write(&to, a->arg[3]) ? -EFAULT : n;
}
