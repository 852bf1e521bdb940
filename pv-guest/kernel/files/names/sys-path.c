/* System calls that name files by path, but those that open them. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "process.h"
#include "syscall.h"
#include "text.h"
#include "user-path.h"

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

/* May the running process read what @link says, and is there anything?  A link that leads to what no path reaches may
 * have a text even so (-ENXIO). */
static int check_link(struct inode *link)
{
    struct inode *to;
    const int rc = link->follow ? link->follow(link, &to) : -ENXIO;
    if (!rc)
        inode_put(to);
    return rc == -ENXIO ? 0 : rc;
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
    if (!inode_is(inode, S_IFLNK)) {
        rc = -EINVAL;
    } else if (!(rc = check_link(inode))) {
        const size_t n = MIN(strlen(inode->target), (size_t)size);
        rc = user_write(a->arg[2], inode->target, n) ? -EFAULT : (long)n;
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
    if (is_device && !access_capable(CAP_MKNOD))
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
    inode_put(process_current()->places->cwd);
    process_current()->places->cwd = inode;
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
    if (!access_capable(CAP_SYS_CHROOT)) {
        inode_put(inode);
        return -EPERM;
    }
    inode_put(p->places->root);
    p->places->root = inode;
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
    inode_put(process_current()->places->cwd);
    process_current()->places->cwd = file->inode;
    return 0;
}

long syscall_getcwd(const struct syscall_args *a)
{
    char *text = heap_alloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    long n = path_of(process_current()->places->cwd, text, MIN(a->arg[1], (uint64_t)PATH_MAX));
    if (n >= 0)
        n = user_write(a->arg[0], text, n + 1) ? -EFAULT : n + 1;
    heap_free(text);
    return n;
}

long syscall_umask(const struct syscall_args *a)
{
    const unsigned old = process_current()->places->umask;
    process_current()->places->umask = a->arg[0] & 0777;
    return old;
}
