/* System calls that name files by path. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "inotify.h"
#include "lease.h"
#include "process.h"
#include "syscall.h"
#include "text.h"
#include "user-path.h"

/* A program that runs must not change under its processes. */
static bool executes(const struct inode *inode)
{
    const struct process *p;
    if (!(inode->mode & 0111))
        return false;
    for_each_process(p)
    {
        if (p->program == inode && !p->zombie)
            return true;
    }
    return false;
}

/* What a file that is opened with @flags will be used for. */
static unsigned wanted(unsigned flags)
{
    static const uint8_t of_mode[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE,
                                      MAY_READ | MAY_WRITE};
    return of_mode[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

/* Find or make what open(2) asks for. */
static int open_inode(int dirfd, user_t path, unsigned flags, unsigned mode, struct inode **inode)
{
    const bool no_follow = flags & (O_NOFOLLOW | (flags & O_CREAT ? O_EXCL : 0));
    int rc = user_path_find(dirfd, path, no_follow ? AT_SYMLINK_NOFOLLOW : 0, inode);
    if (rc == -ENOENT && (flags & O_CREAT))
        return user_path_make(dirfd, path, PATH_FILE | (no_follow ? 0 : PATH_FOLLOW),
                              S_IFREG | (mode & 07777), inode);
    if (rc)
        return rc;
    const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if ((flags & O_CREAT) && (flags & O_EXCL))
        rc = -EEXIST;
    else if ((flags & O_CREAT) && inode_is(*inode, S_IFDIR))
        rc = -EISDIR;
    else if ((flags & O_DIRECTORY) && !inode_is(*inode, S_IFDIR))
        rc = -ENOTDIR;
    else if (writes && executes(*inode))
        rc = -ETXTBSY;
    else
        rc = access_check(*inode, wanted(flags));
    if (!rc && (flags & O_NOATIME))
        rc = access_own(*inode) == -EPERM ? -EPERM : 0;
    if (rc)
        inode_put(*inode);
    return rc;
}

/* O_TMPFILE: a file in the directory at @path that has no name; linkat can give it one. */
static int nameless_inode(int dirfd, user_t path, unsigned flags, unsigned mode,
                          struct inode **inode)
{
    struct inode *dir;
    if ((flags & O_ACCMODE) == O_RDONLY || (flags & O_CREAT))
        return -EINVAL;
    int rc = user_path_find(dirfd, path, 0, &dir);
    if (rc)
        return rc;
    rc = !inode_is(dir, S_IFDIR) ? -ENOTDIR
         : dir->dynamic          ? -EOPNOTSUPP
                                 : access_check(dir, MAY_WRITE | MAY_EXECUTE);
    if (!rc)
        rc = inode_new_in(dir, S_IFREG | (mode & 07777 & ~process_current()->umask), inode);
    inode_put(dir);
    return rc;
}

/* O_PATH: all other flags but three mean nothing then, and a symbolic link can be meant itself. */
static long open_place(int dirfd, user_t path, unsigned flags)
{
    struct inode *inode;
    const int rc =
        user_path_find(dirfd, path, flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &inode);
    if (rc)
        return rc;
    struct file *file = NULL;
    const bool other = (flags & O_DIRECTORY) && !inode_is(inode, S_IFDIR);
    if (!other)
        file = file_new(inode, &path_ops, O_PATH | (flags & (O_DIRECTORY | O_NOFOLLOW)));
    inode_put(inode);
    return other ? -ENOTDIR : fd_open(file, flags & O_CLOEXEC);
}

static long open_path(int dirfd, user_t path, unsigned flags, unsigned mode)
{
    struct inode *inode;
    struct file *file = NULL;
    if (flags & O_PATH)
        return open_place(dirfd, path, flags);
    int rc = flags & O_TMPFILE ? nameless_inode(dirfd, path, flags, mode, &inode)
                               : open_inode(dirfd, path, flags, mode, &inode);
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
    return open_path(AT_FDCWD, a->arg[0], a->arg[1], a->arg[2]);
}

long syscall_openat(const struct syscall_args *a)
{
    return open_path(a->arg[0], a->arg[1], a->arg[2], a->arg[3]);
}

long syscall_creat(const struct syscall_args *a)
{
    return open_path(AT_FDCWD, a->arg[0], O_CREAT | O_TRUNC | O_WRONLY, a->arg[1]);
}

#define AT_EACCESS 0x200

static long access(int dirfd, user_t path, unsigned want, unsigned at_flags)
{
    struct inode *inode;
    if (want & ~7u)
        return -EINVAL;
    int rc = user_path_find(dirfd, path, at_flags, &inode);
    if (rc)
        return rc;
    rc = at_flags & AT_EACCESS ? access_check(inode, want) : access_check_real(inode, want);
    inode_put(inode);
    return rc;
}

long syscall_access(const struct syscall_args *a)
{
    return access(AT_FDCWD, a->arg[0], a->arg[1], 0);
}

long syscall_faccessat(const struct syscall_args *a)
{
    return access(a->arg[0], a->arg[1], a->arg[2], 0);
}

long syscall_faccessat2(const struct syscall_args *a)
{
    if (a->arg[3] & ~(uint64_t)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return access(a->arg[0], a->arg[1], a->arg[2], a->arg[3]);
}

long syscall_readlink(const struct syscall_args *a)
{
    const struct syscall_args at = {.arg = {AT_FDCWD, a->arg[0], a->arg[1], a->arg[2]}};
    return syscall_readlinkat(&at);
}

long syscall_readlinkat(const struct syscall_args *a)
{
    const int size = (int)a->arg[3];
    struct inode *inode;
    if (size <= 0)
        return -EINVAL;
    const unsigned empty = (int)a->arg[0] == AT_FDCWD ? 0 : AT_EMPTY_PATH;
    long rc = user_path_find(a->arg[0], a->arg[1], AT_SYMLINK_NOFOLLOW | empty, &inode);
    if (rc)
        return rc;
    if (inode_is(inode, S_IFLNK)) {
        const size_t n = MIN(strlen(inode->target), (size_t)size);
        rc = user_write(a->arg[2], inode->target, n) ? -EFAULT : (long)n;
    } else {
        rc = -EINVAL;
    }
    inode_put(inode);
    return rc;
}

static long make_only(int dirfd, user_t path, unsigned mode)
{
    struct inode *inode;
    const int rc = user_path_make(dirfd, path, 0, mode, &inode);
    if (!rc)
        inode_put(inode);
    return rc;
}

long syscall_mkdir(const struct syscall_args *a)
{
    return make_only(AT_FDCWD, a->arg[0], S_IFDIR | (a->arg[1] & 01777));
}

long syscall_mkdirat(const struct syscall_args *a)
{
    return make_only(a->arg[0], a->arg[1], S_IFDIR | (a->arg[2] & 01777));
}

static long make_node(int dirfd, user_t path, unsigned mode, unsigned device)
{
    const unsigned type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
    const bool is_device = type == S_IFCHR || type == S_IFBLK;
    struct inode *inode;
    if (type == S_IFDIR)
        return -EPERM;
    if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK && !is_device)
        return -EINVAL;
    if (is_device && !access_root())
        return -EPERM;
    const int rc = user_path_make(dirfd, path, 0, type | (mode & 07777), &inode);
    if (rc)
        return rc;
    if (is_device)
        dev_assign(inode, device);
    inode_put(inode);
    return 0;
}

long syscall_mknod(const struct syscall_args *a)
{
    return make_node(AT_FDCWD, a->arg[0], a->arg[1], a->arg[2]);
}

long syscall_mknodat(const struct syscall_args *a)
{
    return make_node(a->arg[0], a->arg[1], a->arg[2], a->arg[3]);
}

/* A directory that the running process may be in. */
static int find_place(user_t path, struct inode **inode)
{
    int rc = user_path_find(AT_FDCWD, path, 0, inode);
    if (rc)
        return rc;
    rc = inode_is(*inode, S_IFDIR) ? access_check(*inode, MAY_EXECUTE) : -ENOTDIR;
    if (rc)
        inode_put(*inode);
    return rc;
}

long syscall_chdir(const struct syscall_args *a)
{
    struct inode *inode;
    const int rc = find_place(a->arg[0], &inode);
    if (rc)
        return rc;
    inode_put(process_current()->cwd);
    process_current()->cwd = inode;
    return 0;
}

/* What is above the new root is not reachable by a path any more. */
long syscall_chroot(const struct syscall_args *a)
{
    struct process *const p = process_current();
    struct inode *inode;
    const int rc = find_place(a->arg[0], &inode);
    if (rc)
        return rc;
    if (!access_root()) {
        inode_put(inode);
        return -EPERM;
    }
    inode_put(p->root);
    p->root = inode;
    return 0;
}

long syscall_fchdir(const struct syscall_args *a)
{
    struct file *file = fd_file_or_path(a->arg[0]);
    if (!file)
        return -EBADF;
    if (!file->inode || !inode_is(file->inode, S_IFDIR))
        return -ENOTDIR;
    const int rc = access_check(file->inode, MAY_EXECUTE);
    if (rc)
        return rc;
    inode_get(file->inode);
    inode_put(process_current()->cwd);
    process_current()->cwd = file->inode;
    return 0;
}

long syscall_getcwd(const struct syscall_args *a)
{
    char *text = heap_alloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    long n = path_of(process_current()->cwd, text, MIN(a->arg[1], (uint64_t)PATH_MAX));
    if (n >= 0)
        n = user_write(a->arg[0], text, n + 1) ? -EFAULT : n + 1;
    heap_free(text);
    return n;
}

long syscall_umask(const struct syscall_args *a)
{
    const unsigned old = process_current()->umask;
    process_current()->umask = a->arg[0] & 0777;
    return old;
}
