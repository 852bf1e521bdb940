/* System calls on open files. */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "page.h"
#include "syscall.h"
#include "text.h"
#include "timer.h"

#define IOV_MAX 1024

static long file_read(struct file *file, user_t to, size_t size)
{
    if ((file->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    return file->ops->read ? file->ops->read(file, to, size) : -EINVAL;
}

static long file_write(struct file *file, user_t from, size_t size)
{
    if ((file->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    return file->ops->write ? file->ops->write(file, from, size) : -EINVAL;
}

typedef long (*transfer_fn)(struct file *file, user_t at, size_t size);

/* A file may be closed by a signal handler's exit while we wait in it: hold on. */
static long transfer(int fd, user_t at, size_t size, transfer_fn fn)
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
    return transfer(a->arg[0], a->arg[1], a->arg[2], file_read);
}

long syscall_write(const struct syscall_args *a)
{
    return transfer(a->arg[0], a->arg[1], a->arg[2], file_write);
}

static long transfer_vector(const struct syscall_args *a, transfer_fn fn)
{
    const unsigned count = a->arg[2];
    long done = 0;
    if (count > IOV_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        struct linux_iovec v;
        if (user_read(&v, a->arg[1] + i * sizeof(v), sizeof(v)))
            return done ? done : -EFAULT;
        if (!v.size)
            continue;
        const long rc = transfer(a->arg[0], v.base, v.size, fn);
        if (rc < 0)
            return done ? done : rc;
        done += rc;
        if ((uint64_t)rc < v.size)
            break;
    }
    return done;
}

long syscall_readv(const struct syscall_args *a)
{
    return transfer_vector(a, file_read);
}

long syscall_writev(const struct syscall_args *a)
{
    return transfer_vector(a, file_write);
}

static long transfer_at(const struct syscall_args *a, transfer_fn fn)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (!file->inode || !inode_is(file->inode, S_IFREG))
        return -ESPIPE;
    const uint64_t offset = file->offset;
    file->offset = a->arg[3];
    const long rc = fn(file, a->arg[1], a->arg[2]);
    file->offset = offset;
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

/* Callers fall back to read and write. */
long syscall_sendfile(const struct syscall_args *a)
{
    return -EINVAL;
}

long syscall_close(const struct syscall_args *a)
{
    return fd_close(a->arg[0]);
}

long syscall_lseek(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (!file->inode || inode_is(file->inode, S_IFCHR) || inode_is(file->inode, S_IFIFO))
        return -ESPIPE;
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
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    const int fd = fd_install(file, 0, false);
    if (fd >= 0)
        file_get(file);
    return fd;
}

static long dup_to(int from, int to, bool close_on_exec)
{
    struct file *file = fd_file(from);
    if (!file || to < 0 || to >= FILES_MAX)
        return -EBADF;
    file_get(file);
    return fd_replace(to, file, close_on_exec);
}

long syscall_dup2(const struct syscall_args *a)
{
    if (a->arg[0] == a->arg[1])
        return fd_file(a->arg[0]) ? (long)a->arg[0] : -EBADF;
    return dup_to(a->arg[0], a->arg[1], false);
}

long syscall_dup3(const struct syscall_args *a)
{
    if (a->arg[0] == a->arg[1])
        return -EINVAL;
    return dup_to(a->arg[0], a->arg[1], a->arg[2] & O_CLOEXEC);
}

long syscall_fcntl(const struct syscall_args *a)
{
    const int fd = a->arg[0];
    struct file *file = fd_file(fd);
    if (!file)
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
    case 5: /* F_GETLK and F_SETLK: nobody else has a lock */
    case 6:
    case 7:
        return 0;
    default:
        return -EINVAL;
    }
}

long syscall_flock(const struct syscall_args *a)
{
    return fd_file(a->arg[0]) ? 0 : -EBADF;
}

long syscall_ioctl(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    return file->ops->ioctl ? file->ops->ioctl(file, a->arg[1], a->arg[2]) : -ENOTTY;
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
    return pipe_make(a->arg[0], a->arg[1]);
}

long syscall_ftruncate(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (!file->inode || !inode_is(file->inode, S_IFREG) || (file->flags & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    return inode_resize(file->inode, a->arg[1]);
}

/* There is no disk behind anything. */
long syscall_fsync(const struct syscall_args *a)
{
    return fd_file(a->arg[0]) ? 0 : -EBADF;
}

long syscall_fdatasync(const struct syscall_args *a)
{
    return syscall_fsync(a);
}

long syscall_sync(const struct syscall_args *a)
{
    return 0;
}

long syscall_fadvise64(const struct syscall_args *a)
{
    return 0;
}

static uint8_t entry_type(const struct inode *inode)
{
    return inode->mode >> 12 & 15; /* DT_* are the type bits of the mode */
}

/* One directory record at @to, if it fits: its length, 0, or -EFAULT. */
static long give_entry(user_t to, size_t room, const struct inode *inode, uint64_t cookie,
                       const char *name)
{
    const size_t length = ROUND_UP(sizeof(struct linux_dirent64) + strlen(name) + 1, 8ul);
    uint64_t buffer[(sizeof(struct linux_dirent64) + NAME_MAX + 8) / 8] = {0};
    struct linux_dirent64 *record = (struct linux_dirent64 *)buffer;

    if (length > room)
        return 0;
    record->ino = inode->number;
    record->off = cookie;
    record->reclen = length;
    record->type = entry_type(inode);
    text_copy(record->name, name, NAME_MAX + 1);
    return user_write(to, record, length) ? -EFAULT : (long)length;
}

/* Cookies 1 and 2 are "." and "..", entries follow with theirs + 2. */
long syscall_getdents64(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    const user_t to = a->arg[1];
    const size_t size = (unsigned)a->arg[2];
    if (!file)
        return -EBADF;
    struct inode *dir = file->inode;
    if (!dir || !inode_is(dir, S_IFDIR))
        return -ENOTDIR;

    size_t done = 0;
    long n = 1;
    for (uint64_t cookie = file->offset + 1; cookie <= 2; cookie++) {
        const struct inode *self = cookie == 1 || !dir->parent ? dir : dir->parent;
        n = give_entry(to + done, size - done, self, cookie, cookie == 1 ? "." : "..");
        if (n <= 0)
            return done ? (long)done : n < 0 ? n : -EINVAL;
        done += n;
        file->offset = cookie;
    }
    struct entry *e;
    list_for_each(e, &dir->entries, link)
    {
        if (e->cookie + 2 <= file->offset)
            continue;
        n = give_entry(to + done, size - done, e->inode, e->cookie + 2, e->name);
        if (n <= 0)
            break;
        done += n;
        file->offset = e->cookie + 2;
    }
    return done || n > 0 ? (long)done : n < 0 ? n : -EINVAL;
}
