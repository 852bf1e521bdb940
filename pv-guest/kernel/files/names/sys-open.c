/* System calls that open files by path. */
#include "credentials.h"
#include "errno.h"
#include "exec.h"
#include "file.h"
#include "inotify.h"
#include "lease.h"
#include "process.h"
#include "syscall.h"
#include "user-path.h"

/* What is to be opened, and how far the path may lead. */
struct opening {
    int dirfd;
    user_t path;
    unsigned flags, mode;
    unsigned resolve; /* PATH_BENEATH and its kin */
};

/* What a file that is opened with @flags will be used for. */
static unsigned open_wanted(unsigned flags)
{
    static const uint8_t of_mode[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE,
                                      MAY_READ | MAY_WRITE};
    return of_mode[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

/* Find or make what open(2) asks for. */
static int open_inode(const struct opening *o, struct inode **inode)
{
    const unsigned flags = o->flags;
    const bool no_follow = flags & (O_NOFOLLOW | (flags & O_CREAT ? O_EXCL : 0));
    int rc = user_path_find(o->dirfd, o->path, o->resolve | (no_follow ? AT_SYMLINK_NOFOLLOW : 0),
                            inode);
    if (rc == -ENOENT && (flags & O_CREAT))
        return user_path_make(o->dirfd, o->path,
                              o->resolve | PATH_FILE | (no_follow ? 0 : PATH_FOLLOW),
                              S_IFREG | (o->mode & 07777), inode);
    if (rc)
        return rc;
    const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if ((flags & O_CREAT) && (flags & O_EXCL))
        rc = -EEXIST;
    else if ((flags & O_CREAT) && inode_is(*inode, S_IFDIR))
        rc = -EISDIR;
    else if ((flags & O_DIRECTORY) && !inode_is(*inode, S_IFDIR))
        rc = -ENOTDIR;
    else if (writes && exec_runs(*inode))
        rc = -ETXTBSY;
    else
        rc = access_check(*inode, open_wanted(flags));
    if (!rc && (flags & O_NOATIME))
        rc = access_own(*inode) == -EPERM ? -EPERM : 0;
    if (rc)
        inode_put(*inode);
    return rc;
}

/* O_TMPFILE: a file in the directory at @path that has no name; linkat can give it one. */
static int nameless_inode(const struct opening *o, struct inode **inode)
{
    struct inode *dir;
    if ((o->flags & O_ACCMODE) == O_RDONLY || (o->flags & O_CREAT))
        return -EINVAL;
    int rc = user_path_find(o->dirfd, o->path, o->resolve, &dir);
    if (rc)
        return rc;
    rc = !inode_is(dir, S_IFDIR) ? -ENOTDIR
         : dir->dynamic          ? -EOPNOTSUPP
                                 : access_check(dir, MAY_WRITE | MAY_EXECUTE);
    filesystem_lock(dir->fs);
    if (!rc)
        rc = inode_new_in(dir, S_IFREG | (o->mode & 07777 & ~process_current()->places->umask),
                          inode);
    filesystem_unlock(dir->fs);
    inode_put(dir);
    return rc;
}

/* O_PATH: all other flags but three mean nothing then, and a symbolic link can be meant itself. */
static long open_place(const struct opening *o)
{
    const unsigned flags = o->flags;
    struct inode *inode;
    const int rc = user_path_find(
        o->dirfd, o->path, o->resolve | (flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0), &inode);
    if (rc)
        return rc;
    struct file *file = NULL;
    const bool other = (flags & O_DIRECTORY) && !inode_is(inode, S_IFDIR);
    if (!other)
        file = file_new(inode, &path_ops, O_PATH | (flags & (O_DIRECTORY | O_NOFOLLOW)));
    inode_put(inode);
    return other ? -ENOTDIR : fd_open(file, flags & O_CLOEXEC);
}

static long open_path(const struct opening *o)
{
    const unsigned flags = o->flags;
    struct inode *inode;
    struct file *file = NULL;
    if (flags & O_PATH)
        return open_place(o);
    int rc = flags & O_TMPFILE ? nameless_inode(o, &inode) : open_inode(o, &inode);
    if (rc)
        return rc;
    rc = lease_break(inode, flags);
    if (rc) {
        inode_put(inode);
        return rc;
    }
    rc = file_open(inode, flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC), &file);
    if (!rc && (flags & O_TRUNC) && inode_is(inode, S_IFREG))
        rc = inode_resize(inode, 0);
    if (!rc && (flags & O_TRUNC))
        inotify(inode, IN_MODIFY);
    if (!rc)
        inotify(inode, IN_OPEN);
    inode_put(inode);
    if (!rc)
        return fd_open(file, flags & O_CLOEXEC);
    if (file)
        file_put(file);
    return rc;
}

long syscall_open(const struct syscall_args *a)
{
    const struct opening o = {AT_FDCWD, a->arg[0], a->arg[1], a->arg[2], 0};
    return open_path(&o);
}

long syscall_openat(const struct syscall_args *a)
{
    const struct opening o = {a->arg[0], a->arg[1], a->arg[2], a->arg[3], 0};
    return open_path(&o);
}

long syscall_creat(const struct syscall_args *a)
{
    const struct opening o = {AT_FDCWD, a->arg[0], O_CREAT | O_TRUNC | O_WRONLY, a->arg[1], 0};
    return open_path(&o);
}

/* As openat2 has it. */
struct linux_open_how {
    uint64_t flags, mode, resolve;
};

#define O_LARGEFILE 0x8000
#define O_KNOWN                                                                                    \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_ASYNC |         \
     O_DIRECT | O_LARGEFILE | O_SYNC | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | \
     O_TMPFILE)
#define RESOLVE_CACHED 0x20

/* What open overlooks is refused. */
static int check_how(const struct linux_open_how *how)
{
    const unsigned both = (PATH_BENEATH | PATH_IN_ROOT) / PATH_RESOLVE_UNIT;
    const uint64_t makes = how->flags & (O_CREAT | O_TMPFILE);
    if (how->flags & ~(uint64_t)O_KNOWN)
        return -EINVAL;
    if ((how->resolve & ~(uint64_t)(PATH_RESOLVE / PATH_RESOLVE_UNIT | RESOLVE_CACHED)) ||
        (how->resolve & both) == both)
        return -EINVAL;
    if (makes ? how->mode & ~07777ul : how->mode)
        return -EINVAL;
    if ((how->flags & O_TMPFILE) && !(how->flags & O_DIRECTORY))
        return -EINVAL;
    if ((how->flags & O_PATH) &&
        (how->flags & ~(uint64_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)))
        return -EINVAL;
    if ((how->resolve & RESOLVE_CACHED) && (makes || (how->flags & O_TRUNC)))
        return -EAGAIN;
    return 0;
}

long syscall_openat2(const struct syscall_args *a)
{
    struct linux_open_how how;
    if (a->arg[3] < sizeof(how))
        return -EINVAL;
    if (a->arg[3] > PAGE_SIZE)
        return -E2BIG;
    if (user_read(&how, a->arg[2], sizeof(how)))
        return -EFAULT;
    int rc = user_zeroes(a->arg[2] + sizeof(how), a->arg[3] - sizeof(how));
    if (!rc)
        rc = check_how(&how);
    const struct opening o = {a->arg[0], a->arg[1], how.flags, how.mode,
                              how.resolve * PATH_RESOLVE_UNIT & PATH_RESOLVE};
    return rc ? rc : open_path(&o);
}
