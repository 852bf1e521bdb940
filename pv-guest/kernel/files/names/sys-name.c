/* System calls that give, take and change names. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "inotify.h"
#include "process.h"
#include "syscall.h"
#include "text.h"
#include "user-path.h"

static int remove_entry(struct inode *dir, struct entry *e, const char *name)
{
    struct inode *const inode = e->inode;
    inode_get(inode);
    const int rc = dir_name_remove(dir, e);
    if (rc) {
        inode_put(inode);
        return rc;
    }
    if (!inode_is(inode, S_IFDIR))
        inotify(inode, IN_ATTRIB); /* one name less */
    inotify_entry(dir, IN_DELETE, 0, name, inode);
    inode_put(inode);
    return 0;
}

/* Is @dir without entries?  0, -ENOTEMPTY or -EIO. */
static int is_empty(struct inode *dir)
{
    if (inode_on_disk(dir) && !dir->loaded) {
        const int rc = dir->fs->ops->load(dir);
        if (rc)
            return rc;
    }
    return list_empty(&dir->entries) ? 0 : -ENOTEMPTY;
}

/* Take the name of an entry away; @directory says which kind the caller means. */
static long remove(int dirfd, user_t path, bool directory)
{
    struct inode *dir;
    char name[NAME_MAX + 1];
    bool slash;
    int rc = user_path_parent(dirfd, path, &dir, name, &slash);
    if (rc)
        return rc != -EEXIST ? rc : directory ? -EBUSY : -EISDIR; /* the root itself */
    const size_t length = strlen(name);
    filesystem_lock(dir->fs);
    struct entry *e = dir_find(dir, name);
    if (directory && (!strcmp(name, ".") || !strcmp(name, "..")))
        rc = length == 1 ? -EINVAL : -ENOTEMPTY;
    else if (!e)
        rc = dir->dynamic ? -EPERM : !strcmp(name, ".") || !strcmp(name, "..") ? -EISDIR : -ENOENT;
    else if (slash && !directory && !inode_is(e->inode, S_IFDIR))
        rc = -ENOTDIR;
    else if (e->inode->broken)
        rc = -EIO;
    else if ((rc = access_remove(dir, e->inode)))
        ;
    else if (directory != inode_is(e->inode, S_IFDIR))
        rc = directory ? -ENOTDIR : -EISDIR;
    else if (e->inode->mounted)
        rc = -EBUSY;
    else if (directory && (rc = is_empty(e->inode)))
        ;
    else
        rc = remove_entry(dir, e, name);
    filesystem_unlock(dir->fs);
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
    if (a->arg[2] & ~(uint64_t)AT_REMOVEDIR)
        return -EINVAL;
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
        rc = rc ? user_path_make(dirfd, path, 0, S_IFLNK | 0777, &inode) : -ENOENT;
    if (rc) {
        heap_free(text);
        return rc;
    }
    inode->mode = S_IFLNK | 0777;
    inode->size = strlen(text);
    inode->target = text;
    if (inode_on_disk(inode)) {
        filesystem_lock(inode->fs);
        rc = inode->fs->ops->write_link(inode);
        filesystem_unlock(inode->fs);
    }
    inode_put(inode);
    return rc;
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
    bool slash;
    int rc = user_path_parent(dirfd, path, &dir, name, &slash);
    if (rc)
        return rc;
    filesystem_lock(dir->fs);
    rc = dir->fs != inode->fs  ? -EXDEV
         : dir_find(dir, name) ? -EEXIST
         : slash               ? -ENOENT
                               : access_check(dir, MAY_WRITE | MAY_EXECUTE);
    if (!rc)
        rc = dir_name_add(dir, name, inode);
    filesystem_unlock(dir->fs);
    if (!rc) {
        inotify(inode, IN_ATTRIB);
        inotify_entry(dir, IN_CREATE, 0, name, inode);
    }
    inode_put(dir);
    return rc;
}

#define AT_SYMLINK_FOLLOW 0x400

static long link(int from_fd, user_t from, int to_fd, user_t to, unsigned at_flags)
{
    struct inode *inode;
    if (at_flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    const unsigned follow = at_flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;
    int rc = user_path_find(from_fd, from, follow | (at_flags & AT_EMPTY_PATH), &inode);
    if (rc)
        return rc;
    rc = inode_is(inode, S_IFDIR) ? -EPERM : add_name(to_fd, to, inode);
    inode_put(inode);
    return rc;
}

long syscall_link(const struct syscall_args *a)
{
    return link(AT_FDCWD, a->arg[0], AT_FDCWD, a->arg[1], 0);
}

long syscall_linkat(const struct syscall_args *a)
{
    return link(a->arg[0], a->arg[1], a->arg[2], a->arg[3], a->arg[4]);
}

/* Is @inode @dir itself or above it? */
static bool name_contains(const struct inode *inode, const struct inode *dir)
{
    for (; dir; dir = dir->parent) {
        if (dir == inode)
            return true;
        if (dir == root_inode)
            return false;
    }
    return false;
}

#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2

/* May @inode, named in @from, be named in @to instead? */
static int may_move(const struct inode *inode, const struct inode *to)
{
    if (inode->fs != to->fs || to->dynamic)
        return -EXDEV;
    if (inode->mounted)
        return -EBUSY;
    return inode_is(inode, S_IFDIR) && name_contains(inode, to) ? -EINVAL : 0;
}

/* On the disk, if there is one. */
static int move_there(struct inode *from, struct entry *source, struct inode *to,
                      const char *new_name, struct entry *target, bool exchange)
{
    return inode_on_disk(from)
               ? from->fs->ops->move(from, source->name, to, new_name, source->inode,
                                     target ? target->inode : NULL, exchange)
               : 0;
}

static int exchange(struct inode *from, struct entry *source, struct inode *to,
                    struct entry *target)
{
    struct inode *const inode = source->inode;
    int rc = may_move(target->inode, from);
    if (!rc)
        rc = move_there(from, source, to, target->name, target, true);
    if (rc)
        return rc;
    source->inode = target->inode;
    target->inode = inode;
    source->inode->parent = from;
    inode->parent = to;
    inode_modified(from);
    inode_modified(to);
    return 0;
}

/* May @target, if there is one, make room for @inode? */
static int may_replace(const struct inode *inode, const struct entry *target, unsigned flags)
{
    const bool directory = inode_is(inode, S_IFDIR);
    if (!target)
        return flags & RENAME_EXCHANGE ? -ENOENT : 0;
    if (flags & RENAME_NOREPLACE)
        return -EEXIST;
    if (flags & RENAME_EXCHANGE)
        return 0;
    if (target->inode->mounted)
        return -EBUSY;
    if (inode_is(target->inode, S_IFDIR) != directory)
        return directory ? -ENOTDIR : -EISDIR;
    return directory ? is_empty(target->inode) : 0;
}

/* Is the running process allowed to?  A directory that gets another parent is written to itself: its "..". */
static int may_rename(const struct inode *from, const struct inode *inode, const struct inode *to,
                      const struct entry *target)
{
    int rc = access_remove(from, inode);
    if (!rc)
        rc = target ? access_remove(to, target->inode) : access_check(to, MAY_WRITE | MAY_EXECUTE);
    if (!rc && inode_is(inode, S_IFDIR) && from != to)
        rc = access_check(inode, MAY_WRITE);
    return rc;
}

static void tell_move(struct inode *from, const char *old_name, struct inode *to,
                      const char *new_name, struct inode *inode)
{
    const unsigned cookie = inotify_cookie();
    inotify_entry(from, IN_MOVED_FROM, cookie, old_name, inode);
    inotify_entry(to, IN_MOVED_TO, cookie, new_name, inode);
    inotify(inode, IN_MOVE_SELF);
}

/* Move @from's entry @old_name to @to under @new_name, replacing what is there. */
static int name_move(struct inode *from, const char *old_name, struct inode *to,
                     const char *new_name, unsigned flags, bool slash)
{
    struct entry *source = dir_find(from, old_name), *target = dir_find(to, new_name);
    if (!source)
        return from->dynamic ? -EPERM : -ENOENT;
    struct inode *inode = source->inode;
    if (inode->broken || (target && target->inode->broken))
        return -EIO;
    if (slash && !inode_is(inode, S_IFDIR))
        return -ENOTDIR;
    if (target && target->inode == inode)
        return 0;
    int rc = may_rename(from, inode, to, target);
    if (!rc)
        rc = may_move(inode, to);
    if (!rc)
        rc = may_replace(inode, target, flags);
    if (rc)
        return rc;
    if (flags & RENAME_EXCHANGE) {
        struct inode *const other = target->inode;
        rc = exchange(from, source, to, target);
        if (!rc)
            tell_move(from, old_name, to, new_name, inode);
        if (!rc)
            tell_move(to, new_name, from, old_name, other);
        return rc;
    }
    rc = move_there(from, source, to, new_name, target, false);
    if (rc)
        return rc;
    /* The new name first: it needs memory. */
    if (target) {
        inode_get(inode);
        inode->links++;
        target->inode->links--;
        target->inode->parent = NULL;
        inode_changed(target->inode);
        inode_put(target->inode);
        target->inode = inode;
    } else if ((rc = dir_add(to, new_name, inode))) {
        return rc;
    }
    dir_remove(from, source);
    inode->parent = to;
    inode_modified(to);
    tell_move(from, old_name, to, new_name, inode);
    return 0;
}

static bool is_dots(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

static long rename(int from_fd, user_t from, int to_fd, user_t to, unsigned flags)
{
    struct inode *from_dir, *to_dir;
    char old_name[NAME_MAX + 1], new_name[NAME_MAX + 1];
    bool slash, other;
    int rc = user_path_parent(from_fd, from, &from_dir, old_name, &slash);
    if (rc)
        return rc == -EEXIST ? -EBUSY : rc;
    rc = user_path_parent(to_fd, to, &to_dir, new_name, &other);
    if (!rc) {
        filesystem_lock(from_dir->fs);
        rc = is_dots(old_name) || is_dots(new_name)
                 ? -EBUSY
                 : name_move(from_dir, old_name, to_dir, new_name, flags, slash || other);
        filesystem_unlock(from_dir->fs);
        inode_put(to_dir);
    }
    inode_put(from_dir);
    return rc == -EEXIST && !flags ? -EBUSY : rc;
}

long syscall_rename(const struct syscall_args *a)
{
    return rename(AT_FDCWD, a->arg[0], AT_FDCWD, a->arg[1], 0);
}

long syscall_renameat(const struct syscall_args *a)
{
    return rename(a->arg[0], a->arg[1], a->arg[2], a->arg[3], 0);
}

long syscall_renameat2(const struct syscall_args *a)
{
    const unsigned flags = a->arg[4], both = RENAME_NOREPLACE | RENAME_EXCHANGE;
    if ((flags & ~both) || flags == both)
        return -EINVAL;
    return rename(a->arg[0], a->arg[1], a->arg[2], a->arg[3], flags);
}
