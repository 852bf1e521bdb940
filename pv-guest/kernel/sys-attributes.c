/* System calls that change what is known about a file: size, mode, owner, times. */
#include "errno.h"
#include "file.h"
#include "syscall.h"
#include "timer.h"
#include "user-path.h"

static long truncate(struct inode *inode, uint64_t size)
{
    return inode_is(inode, S_IFREG)   ? inode_resize(inode, size)
           : inode_is(inode, S_IFDIR) ? -EISDIR
                                      : -EINVAL;
}

long syscall_truncate(const struct syscall_args *a)
{
    struct inode *inode;
    long rc = user_path_find(AT_FDCWD, a->arg[0], 0, &inode);
    if (rc)
        return rc;
    rc = truncate(inode, a->arg[1]);
    inode_put(inode);
    return rc;
}

static int find_fd(int fd, struct inode **inode)
{
    struct file *file = fd_file(fd);
    if (!file || !file->inode)
        return -EBADF;
    *inode = file->inode;
    inode_get(*inode);
    return 0;
}

/* Ends a call that found @inode with @rc: apply a mode, and drop it. */
static long set_mode(int rc, struct inode *inode, unsigned mode)
{
    if (rc)
        return rc;
    inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
    inode_put(inode);
    return 0;
}

static long set_owner(int rc, struct inode *inode, unsigned uid, unsigned gid)
{
    if (rc)
        return rc;
    inode->uid = uid == ~0u ? inode->uid : uid;
    inode->gid = gid == ~0u ? inode->gid : gid;
    inode_put(inode);
    return 0;
}

long syscall_chmod(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = user_path_find(AT_FDCWD, a->arg[0], 0, &inode);
    return set_mode(rc, inode, a->arg[1]);
}

long syscall_fchmod(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = find_fd(a->arg[0], &inode);
    return set_mode(rc, inode, a->arg[1]);
}

long syscall_fchmodat(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = user_path_find(a->arg[0], a->arg[1], 0, &inode);
    return set_mode(rc, inode, a->arg[2]);
}

long syscall_chown(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = user_path_find(AT_FDCWD, a->arg[0], 0, &inode);
    return set_owner(rc, inode, a->arg[1], a->arg[2]);
}

long syscall_lchown(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = user_path_find(AT_FDCWD, a->arg[0], AT_SYMLINK_NOFOLLOW, &inode);
    return set_owner(rc, inode, a->arg[1], a->arg[2]);
}

long syscall_fchown(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = find_fd(a->arg[0], &inode);
    return set_owner(rc, inode, a->arg[1], a->arg[2]);
}

long syscall_fchownat(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = user_path_find(a->arg[0], a->arg[1], a->arg[4], &inode);
    return set_owner(rc, inode, a->arg[2], a->arg[3]);
}

/* The time to set from element @i of an array of pairs in units of @unit ns. */
static int new_time(user_t times, unsigned i, uint64_t unit, uint64_t *result)
{
    int64_t t[2];
    *result = clock_now();
    if (!times)
        return 0;
    if (user_read(t, times + i * sizeof(t), sizeof(t)))
        return -EFAULT;
    if (unit == 1 && t[1] >= 0x3ffffffe) /* UTIME_NOW, UTIME_OMIT */
        return t[1] == 0x3fffffff ? 0 : 1;
    *result = time_span(t[0], MIN((uint64_t)t[1], 1ul << 40) * unit);
    return 0;
}

static long set_times(int dirfd, user_t path, unsigned at_flags, uint64_t mtime)
{
    struct inode *inode;
    const int rc = path ? user_path_find(dirfd, path, at_flags, &inode) : find_fd(dirfd, &inode);
    if (rc)
        return rc;
    inode->mtime = mtime;
    inode_put(inode);
    return 0;
}

long syscall_utimensat(const struct syscall_args *a)
{
    uint64_t mtime;
    const int rc = new_time(a->arg[2], 1, 1, &mtime);
    return rc ? MIN(rc, 0) : set_times(a->arg[0], a->arg[1], a->arg[3], mtime);
}

long syscall_utimes(const struct syscall_args *a)
{
    uint64_t mtime;
    const int rc = new_time(a->arg[1], 1, 1000, &mtime);
    return rc ? rc : set_times(AT_FDCWD, a->arg[0], 0, mtime);
}

long syscall_utime(const struct syscall_args *a)
{
    int64_t t[2] = {0, clock_now() / 1000000000};
    if (a->arg[1] && user_read(t, a->arg[1], sizeof(t)))
        return -EFAULT;
    return set_times(AT_FDCWD, a->arg[0], 0, time_span(t[1], 0));
}
