/* System calls that name files by path. */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "syscall.h"
#include "text.h"
#include "user-path.h"

static long open_path(int dirfd, user_t path, unsigned flags, unsigned mode)
{
    struct inode *inode;
    struct file *file;
    const unsigned at = flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
    int rc = user_path_find(dirfd, path, at, &inode);

    if (rc == -ENOENT && (flags & O_CREAT))
        rc = user_path_make(dirfd, path, S_IFREG | (mode & 07777), &inode);
    else if (!rc && (flags & O_CREAT) && (flags & O_EXCL)) {
        inode_put(inode);
        rc = -EEXIST;
    }
    if (rc)
        return rc;
    if ((flags & O_DIRECTORY) && !inode_is(inode, S_IFDIR))
        rc = -ENOTDIR;
    else
        rc = file_open(inode, flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC) & ~O_NOCTTY, &file);
    if (!rc && (flags & O_TRUNC) && inode_is(inode, S_IFREG) && (flags & O_ACCMODE) != O_RDONLY)
        rc = inode_resize(inode, 0);
    inode_put(inode);
    if (rc)
        return rc;
    rc = fd_install(file, 0, flags & O_CLOEXEC);
    if (rc < 0)
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

static long access(int dirfd, user_t path, unsigned want, unsigned at_flags)
{
    struct inode *inode;
    const int rc = user_path_find(dirfd, path, at_flags, &inode);
    if (rc)
        return rc;
    /* Everybody is root: only execution depends on the mode. */
    const bool denied = (want & 1) && inode_is(inode, S_IFREG) && !(inode->mode & 0111);
    inode_put(inode);
    return denied ? -EACCES : 0;
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
    return access(a->arg[0], a->arg[1], a->arg[2], a->arg[3]);
}

long syscall_readlink(const struct syscall_args *a)
{
    const struct syscall_args at = {.arg = {AT_FDCWD, a->arg[0], a->arg[1], a->arg[2]}};
    return syscall_readlinkat(&at);
}

long syscall_readlinkat(const struct syscall_args *a)
{
    struct inode *inode;
    long rc = user_path_find(a->arg[0], a->arg[1], AT_SYMLINK_NOFOLLOW, &inode);
    if (rc)
        return rc;
    if (inode_is(inode, S_IFLNK)) {
        const size_t n = MIN(strlen(inode->target), a->arg[3]);
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
    const int rc = user_path_make(dirfd, path, mode, &inode);
    if (!rc)
        inode_put(inode);
    return rc;
}

long syscall_mkdir(const struct syscall_args *a)
{
    return make_only(AT_FDCWD, a->arg[0], S_IFDIR | (a->arg[1] & 07777));
}

long syscall_mkdirat(const struct syscall_args *a)
{
    return make_only(a->arg[0], a->arg[1], S_IFDIR | (a->arg[2] & 07777));
}

static long make_node(int dirfd, user_t path, unsigned mode)
{
    const unsigned type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
    if (type != S_IFREG && type != S_IFIFO)
        return -EPERM;
    return make_only(dirfd, path, type | (mode & 07777));
}

long syscall_mknod(const struct syscall_args *a)
{
    return make_node(AT_FDCWD, a->arg[0], a->arg[1]);
}

long syscall_mknodat(const struct syscall_args *a)
{
    return make_node(a->arg[0], a->arg[1], a->arg[2]);
}

/* Take the name of an entry away; @directory says which kind the caller means. */
static long remove(int dirfd, user_t path, bool directory)
{
    struct inode *dir;
    char name[NAME_MAX + 1];
    int rc = user_path_parent(dirfd, path, &dir, name);
    if (rc)
        return rc;
    struct entry *e = dir_find(dir, name);
    if (!e)
        rc = directory && !strcmp(name, ".") ? -EINVAL : -ENOENT;
    else if (directory != inode_is(e->inode, S_IFDIR))
        rc = directory ? -ENOTDIR : -EISDIR;
    else if (directory && !list_empty(&e->inode->entries))
        rc = -ENOTEMPTY;
    else
        dir_remove(dir, e);
    inode_put(dir);
    return rc;
}

long syscall_unlink(const struct syscall_args *a)
{
    return remove(AT_FDCWD, a->arg[0], false);
}

long syscall_rmdir(const struct syscall_args *a)
{
    return remove(AT_FDCWD, a->arg[0], true);
}

long syscall_unlinkat(const struct syscall_args *a)
{
    return remove(a->arg[0], a->arg[1], a->arg[2] & AT_REMOVEDIR);
}

static long symlink(user_t target, int dirfd, user_t path)
{
    struct inode *inode;
    char *text = heap_alloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    long rc = user_read_text(text, target, PATH_MAX);
    if (rc >= 0)
        rc = rc ? user_path_make(dirfd, path, S_IFLNK | 0777, &inode) : -ENOENT;
    if (rc) {
        heap_free(text);
        return rc;
    }
    inode->mode = S_IFLNK | 0777;
    inode->size = strlen(text);
    inode->target = text;
    inode_put(inode);
    return 0;
}

long syscall_symlink(const struct syscall_args *a)
{
    return symlink(a->arg[0], AT_FDCWD, a->arg[1]);
}

long syscall_symlinkat(const struct syscall_args *a)
{
    return symlink(a->arg[0], a->arg[1], a->arg[2]);
}

/* Give @inode the name @path, too. */
static int add_name(int dirfd, user_t path, struct inode *inode)
{
    struct inode *dir;
    char name[NAME_MAX + 1];
    int rc = user_path_parent(dirfd, path, &dir, name);
    if (rc)
        return rc;
    rc = dir_add(dir, name, inode);
    inode_put(dir);
    return rc;
}

static long link(int from_fd, user_t from, int to_fd, user_t to)
{
    struct inode *inode;
    int rc = user_path_find(from_fd, from, AT_SYMLINK_NOFOLLOW, &inode);
    if (rc)
        return rc;
    rc = inode_is(inode, S_IFDIR) ? -EPERM : add_name(to_fd, to, inode);
    inode_put(inode);
    return rc;
}

long syscall_link(const struct syscall_args *a)
{
    return link(AT_FDCWD, a->arg[0], AT_FDCWD, a->arg[1]);
}

long syscall_linkat(const struct syscall_args *a)
{
    return link(a->arg[0], a->arg[1], a->arg[2], a->arg[3]);
}

/* Is @inode @dir itself or above it? */
static bool contains(const struct inode *inode, const struct inode *dir)
{
    for (; dir; dir = dir->parent) {
        if (dir == inode)
            return true;
        if (dir == root_inode)
            return false;
    }
    return false;
}

/* Move @from's entry @old_name to @to under @new_name, replacing what is there. */
static int move(struct inode *from, const char *old_name, struct inode *to, const char *new_name)
{
    struct entry *source = dir_find(from, old_name), *target = dir_find(to, new_name);
    if (!source)
        return -ENOENT;
    struct inode *inode = source->inode;
    const bool directory = inode_is(inode, S_IFDIR);
    if (target && target->inode == inode)
        return 0;
    if (directory && contains(inode, to))
        return -EINVAL;
    if (target && inode_is(target->inode, S_IFDIR) != directory)
        return directory ? -ENOTDIR : -EISDIR;
    if (target && !list_empty(&target->inode->entries))
        return -ENOTEMPTY;
    if (target)
        dir_remove(to, target);
    inode_get(inode);
    dir_remove(from, source);
    const int rc = dir_add(to, new_name, inode);
    inode_put(inode);
    return rc;
}

static long rename(int from_fd, user_t from, int to_fd, user_t to)
{
    struct inode *from_dir, *to_dir;
    char old_name[NAME_MAX + 1], new_name[NAME_MAX + 1];
    int rc = user_path_parent(from_fd, from, &from_dir, old_name);
    if (rc)
        return rc;
    rc = user_path_parent(to_fd, to, &to_dir, new_name);
    if (!rc) {
        rc = move(from_dir, old_name, to_dir, new_name);
        inode_put(to_dir);
    }
    inode_put(from_dir);
    return rc;
}

long syscall_rename(const struct syscall_args *a)
{
    return rename(AT_FDCWD, a->arg[0], AT_FDCWD, a->arg[1]);
}

long syscall_renameat(const struct syscall_args *a)
{
    return rename(a->arg[0], a->arg[1], a->arg[2], a->arg[3]);
}

long syscall_renameat2(const struct syscall_args *a)
{
    return a->arg[4] ? -EINVAL : rename(a->arg[0], a->arg[1], a->arg[2], a->arg[3]);
}

long syscall_chdir(const struct syscall_args *a)
{
    struct inode *inode;
    const int rc = user_path_find(AT_FDCWD, a->arg[0], 0, &inode);
    if (rc)
        return rc;
    if (!inode_is(inode, S_IFDIR)) {
        inode_put(inode);
        return -ENOTDIR;
    }
    inode_put(task_current()->cwd);
    task_current()->cwd = inode;
    return 0;
}

long syscall_fchdir(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (!file->inode || !inode_is(file->inode, S_IFDIR))
        return -ENOTDIR;
    inode_get(file->inode);
    inode_put(task_current()->cwd);
    task_current()->cwd = file->inode;
    return 0;
}

long syscall_getcwd(const struct syscall_args *a)
{
    char *text = heap_alloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    long n = path_of(task_current()->cwd, text, MIN(a->arg[1], (uint64_t)PATH_MAX));
    if (n >= 0)
        n = user_write(a->arg[0], text, n + 1) ? -EFAULT : n + 1;
    heap_free(text);
    return n;
}

long syscall_umask(const struct syscall_args *a)
{
    const unsigned old = task_current()->umask;
    task_current()->umask = a->arg[0] & 0777;
    return old;
}
