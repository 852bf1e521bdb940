/* System calls that name files by path. */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "page.h"
#include "syscall.h"
#include "text.h"
#include "timer.h"

/* A path argument: where it starts and its text.  Freed by path_arg_end. */
struct path_arg {
    struct inode *start;
    char *text;
};

static int path_arg(struct path_arg *p, int dirfd, user_t path)
{
    p->start = task_current()->cwd;
    p->text = heap_alloc(PATH_MAX);
    if (!p->text)
        return -ENOMEM;
    const long n = user_read_text(p->text, path, PATH_MAX);
    int rc = n < 0 ? (int)n : 0;
    if (!rc && dirfd != AT_FDCWD && p->text[0] != '/') {
        struct file *file = fd_file(dirfd);
        if (!file || !file->inode)
            rc = -EBADF;
        else
            p->start = file->inode;
    }
    if (rc)
        heap_free(p->text);
    return rc;
}

static void path_arg_end(struct path_arg *p)
{
    heap_free(p->text);
}

/* Find what @path names; an empty path with AT_EMPTY_PATH is @dirfd itself. */
static int find(int dirfd, user_t path, unsigned at_flags, struct inode **found)
{
    struct path_arg p;
    int rc = path_arg(&p, dirfd, path);
    if (rc)
        return rc;
    if (!p.text[0] && (at_flags & AT_EMPTY_PATH)) {
        struct file *file = fd_file(dirfd);
        *found = dirfd == AT_FDCWD ? task_current()->cwd : file ? file->inode : NULL;
        rc = *found ? 0 : -EBADF;
        if (!rc)
            inode_get(*found);
    } else {
        rc = path_find(p.start, p.text, at_flags & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, found);
    }
    path_arg_end(&p);
    return rc;
}

static int make(int dirfd, user_t path, unsigned mode, struct inode **made)
{
    struct path_arg p;
    int rc = path_arg(&p, dirfd, path);
    if (rc)
        return rc;
    const unsigned masked = (mode & 07777) & ~task_current()->umask;
    rc = path_make(p.start, p.text, (mode & S_IFMT) | masked, made);
    path_arg_end(&p);
    return rc;
}

static long open_path(int dirfd, user_t path, unsigned flags, unsigned mode)
{
    struct inode *inode;
    struct file *file;
    const unsigned at = flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
    int rc = find(dirfd, path, at, &inode);

    if (rc == -ENOENT && (flags & O_CREAT))
        rc = make(dirfd, path, S_IFREG | (mode & 07777), &inode);
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
    const int rc = find(dirfd, path, at_flags, &inode);
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
    long rc = find(a->arg[0], a->arg[1], AT_SYMLINK_NOFOLLOW, &inode);
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
    const int rc = make(dirfd, path, mode, &inode);
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
    struct path_arg p;
    struct inode *dir;
    char name[NAME_MAX + 1];
    int rc = path_arg(&p, dirfd, path);
    if (rc)
        return rc;
    rc = path_parent(p.start, p.text, &dir, name);
    path_arg_end(&p);
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
        rc = rc ? make(dirfd, path, S_IFLNK | 0777, &inode) : -ENOENT;
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
    struct path_arg p;
    struct inode *dir;
    char name[NAME_MAX + 1];
    int rc = path_arg(&p, dirfd, path);
    if (rc)
        return rc;
    rc = path_parent(p.start, p.text, &dir, name);
    path_arg_end(&p);
    if (rc)
        return rc;
    rc = dir_add(dir, name, inode);
    inode_put(dir);
    return rc;
}

static long link(int from_fd, user_t from, int to_fd, user_t to)
{
    struct inode *inode;
    int rc = find(from_fd, from, AT_SYMLINK_NOFOLLOW, &inode);
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
    struct path_arg p, q;
    struct inode *from_dir = NULL, *to_dir = NULL;
    char old_name[NAME_MAX + 1], new_name[NAME_MAX + 1];
    int rc = path_arg(&p, from_fd, from);
    if (rc)
        return rc;
    rc = path_arg(&q, to_fd, to);
    if (rc) {
        path_arg_end(&p);
        return rc;
    }
    rc = path_parent(p.start, p.text, &from_dir, old_name);
    if (!rc)
        rc = path_parent(q.start, q.text, &to_dir, new_name);
    if (!rc)
        rc = move(from_dir, old_name, to_dir, new_name);
    if (from_dir)
        inode_put(from_dir);
    if (to_dir)
        inode_put(to_dir);
    path_arg_end(&p);
    path_arg_end(&q);
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
    const int rc = find(AT_FDCWD, a->arg[0], 0, &inode);
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

static long truncate(struct inode *inode, uint64_t size)
{
    return inode_is(inode, S_IFREG)   ? inode_resize(inode, size)
           : inode_is(inode, S_IFDIR) ? -EISDIR
                                      : -EINVAL;
}

long syscall_truncate(const struct syscall_args *a)
{
    struct inode *inode;
    long rc = find(AT_FDCWD, a->arg[0], 0, &inode);
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
    const int rc = find(AT_FDCWD, a->arg[0], 0, &inode);
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
    const int rc = find(a->arg[0], a->arg[1], 0, &inode);
    return set_mode(rc, inode, a->arg[2]);
}

long syscall_chown(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = find(AT_FDCWD, a->arg[0], 0, &inode);
    return set_owner(rc, inode, a->arg[1], a->arg[2]);
}

long syscall_lchown(const struct syscall_args *a)
{
    struct inode *inode = NULL;
    const int rc = find(AT_FDCWD, a->arg[0], AT_SYMLINK_NOFOLLOW, &inode);
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
    const int rc = find(a->arg[0], a->arg[1], a->arg[4], &inode);
    return set_owner(rc, inode, a->arg[2], a->arg[3]);
}
