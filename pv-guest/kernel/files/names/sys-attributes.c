/* System calls that change what is known about a file: size, mode, owner, times. */
#include "credentials.h"
#include "errno.h"
#include "exec.h"
#include "file.h"
#include "inotify.h"
#include "lease.h"
#include "syscall.h"
#include "timer.h"
#include "user-path.h"

static long truncate(struct inode *inode, uint64_t size)
{
    if (inode_is(inode, S_IFREG))
        access_drop_set_id(inode);
    return inode_is(inode, S_IFREG)   ? file_resize(inode, size)
           : inode_is(inode, S_IFDIR) ? -EISDIR
                                      : -EINVAL;
}

long syscall_truncate(const struct syscall_args *a)
{
    struct inode *inode;
    long rc = user_path_find(AT_FDCWD, a->arg[0], 0, &inode);
    if (rc)
        return rc;
    if ((int64_t)a->arg[1] < 0)
        rc = -EINVAL;
    else if (inode_is(inode, S_IFDIR))
        rc = -EISDIR;
    else
        rc = access_check(inode, MAY_WRITE);
    if (!rc && exec_runs(inode))
        rc = -ETXTBSY;
    if (!rc)
        rc = lease_break(inode, O_WRONLY);
    if (!rc)
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
    rc = access_own(inode);
    /* Nobody gives a program the rights of a group that is not his. */
    if (!access_capable(CAP_FSETID) && !access_in_group(inode->gid))
        mode &= ~S_ISGID;
    if (!rc) {
        inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
        inode_changed(inode);
        inotify(inode, IN_ATTRIB);
    }
    inode_put(inode);
    return rc;
}

/* May the running process give @inode to them?  The owner may give it to a group of his. */
static int may_give(const struct inode *inode, unsigned uid, unsigned gid)
{
    if (access_read_only(inode))
        return -EROFS;
    if (access_capable(CAP_CHOWN))
        return 0;
    const int rc = access_own(inode);
    if (rc)
        return rc;
    return (uid == ~0u || uid == inode->uid) &&
                   (gid == ~0u || gid == inode->gid || access_in_group(gid))
               ? 0
               : -EPERM;
}

static long set_owner(int rc, struct inode *inode, unsigned uid, unsigned gid)
{
    if (rc)
        return rc;
    rc = may_give(inode, uid, gid);
    if (!rc) {
        inode->uid = uid == ~0u ? inode->uid : uid;
        inode->gid = gid == ~0u ? inode->gid : gid;
        /* What it ran as was the old owner's to say. */
        if (!inode_is(inode, S_IFDIR))
            inode->mode &= ~(S_ISUID | (inode->mode & 010 ? S_ISGID : 0u));
        inode_changed(inode);
        inotify(inode, IN_ATTRIB);
    }
    inode_put(inode);
    return rc;
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
    if (a->arg[4] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    const int rc = user_path_find(a->arg[0], a->arg[1], a->arg[4], &inode);
    return set_owner(rc, inode, a->arg[2], a->arg[3]);
}

/* ---- Times ---- */

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

struct new_times {
    uint64_t atime, mtime; /* TIME_FAR: leave it */
    bool now;              /* both are the present time */
};

/* One time, of @sec and @ns, into *@to. */
static int new_time(int64_t sec, int64_t ns, uint64_t *to)
{
    if (ns == UTIME_OMIT)
        *to = TIME_FAR;
    else if (ns == UTIME_NOW)
        *to = clock_now();
    else if (ns < 0 || ns >= 1000000000)
        return -EINVAL;
    else
        *to = MIN(time_span(MAX(sec, 0l), ns), TIME_FAR - 1);
    return 0;
}

/* Two pairs of seconds and @unit nanoseconds at @from; both are now without it. */
static int read_times(user_t from, int64_t unit, struct new_times *t)
{
    int64_t pairs[4];
    t->atime = t->mtime = clock_now();
    t->now = true;
    if (!from)
        return 0;
    if (user_read(pairs, from, sizeof(pairs)))
        return -EFAULT;
    if (unit != 1 && (pairs[1] < 0 || pairs[1] >= 1000000 || pairs[3] < 0 || pairs[3] >= 1000000))
        return -EINVAL;
    t->now = unit == 1 && pairs[1] == UTIME_NOW && pairs[3] == UTIME_NOW;
    const int rc = new_time(pairs[0], pairs[1] * unit, &t->atime);
    return rc ? rc : new_time(pairs[2], pairs[3] * unit, &t->mtime);
}

/* Whoever may write may say that it was now; other times are the owner's to set. */
static int may_set_times(const struct inode *inode, const struct new_times *t)
{
    if (t->atime == TIME_FAR && t->mtime == TIME_FAR)
        return 0;
    const int rc = access_own(inode);
    return rc == -EPERM && t->now ? access_check(inode, MAY_WRITE) : rc;
}

static long set_times(int dirfd, user_t path, unsigned at_flags, const struct new_times *t)
{
    struct inode *inode;
    int rc = path ? user_path_find(dirfd, path, at_flags, &inode) : find_fd(dirfd, &inode);
    if (rc)
        return rc;
    rc = may_set_times(inode, t);
    if (rc) {
        inode_put(inode);
        return rc;
    }
    if (t->atime != TIME_FAR)
        inode->atime = t->atime;
    if (t->mtime != TIME_FAR)
        inode->mtime = t->mtime;
    inode_changed(inode);
    inotify(inode, IN_ATTRIB);
    inode_put(inode);
    return 0;
}

long syscall_utimensat(const struct syscall_args *a)
{
    struct new_times t;
    if (a->arg[3] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    const int rc = read_times(a->arg[2], 1, &t);
    if (!rc && t.atime == TIME_FAR && t.mtime == TIME_FAR)
        return 0; /* nothing changes, whatever it is about */
    if (!a->arg[1] && (int)a->arg[0] == AT_FDCWD)
        return -EFAULT;
    return rc ? rc : set_times(a->arg[0], a->arg[1], a->arg[3], &t);
}

long syscall_futimesat(const struct syscall_args *a)
{
    struct new_times t;
    const int rc = read_times(a->arg[2], 1000, &t);
    if (!rc && !a->arg[1] && (int)a->arg[0] == AT_FDCWD)
        return -EFAULT;
    return rc ? rc : set_times(a->arg[0], a->arg[1], 0, &t);
}

long syscall_utimes(const struct syscall_args *a)
{
    const struct syscall_args at = {.arg = {AT_FDCWD, a->arg[0], a->arg[1]}};
    return a->arg[0] ? syscall_futimesat(&at) : -EFAULT;
}

long syscall_utime(const struct syscall_args *a)
{
    int64_t t[2];
    struct new_times new = {clock_now(), clock_now(), true};
    if (a->arg[1] && user_read(t, a->arg[1], sizeof(t)))
        return -EFAULT;
    if (!a->arg[0])
        return -EFAULT;
    if (a->arg[1])
        new = (struct new_times){time_span(MAX(t[0], 0l), 0), time_span(MAX(t[1], 0l), 0), false};
    return set_times(AT_FDCWD, a->arg[0], 0, &new);
}
