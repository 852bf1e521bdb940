/* System calls on extended attributes: names and values that programs keep with a file. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "inotify.h"
#include "syscall.h"
#include "text.h"
#include "user-path.h"

#define VALUE_MOST    65536
#define XATTR_CREATE  1
#define XATTR_REPLACE 2

struct attribute {
    struct list link;
    size_t size;
    void *value;
    char name[];
};

/* The classes of names that there are.  What stands in the last two is root's to say. */
static const struct {
    const char *prefix;
    bool root_writes, root_reads;
} classes[] = {{"user.", false, false}, {"security.", true, false}, {"trusted.", true, true}};

/* The class of @name; -1 if there is none. */
static int class_of(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
        const size_t n = strlen(classes[i].prefix);
        if (!memcmp(name, classes[i].prefix, MIN(n, strlen(name) + 1)))
            return name[n] ? (int)i : -1;
    }
    return -1;
}

/* Is @name a class without anything behind it? */
static bool ends_early(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
        if (!strcmp(name, classes[i].prefix))
            return true;
    return false;
}

/* May the running process read (or write) attribute @name of @inode? */
static int may_use(const struct inode *inode, const char *name, bool write)
{
    const int class = class_of(name);
    if (inode_on_disk(inode))
        return -EOPNOTSUPP; /* it could not keep them */
    if (class < 0)
        return ends_early(name) ? -EINVAL : -EOPNOTSUPP;
    if (write && access_read_only(inode))
        return -EROFS;
    if (classes[class].root_reads && !access_capable(CAP_SYS_ADMIN))
        return write ? -EPERM : -ENODATA;
    if (write && classes[class].root_writes)
        return access_capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
    if (class)
        return 0;
    /* user.: what may be done with the content.  Only files and directories have such. */
    if (!inode_is(inode, S_IFREG) && !inode_is(inode, S_IFDIR))
        return write ? -EPERM : -ENODATA;
    if (write && inode_is(inode, S_IFDIR) && (inode->mode & S_ISVTX) && access_own(inode))
        return -EPERM;
    return access_check(inode, write ? MAY_WRITE : MAY_READ);
}

static struct attribute *xattr_find(const struct inode *inode, const char *name)
{
    struct attribute *a;
    list_for_each(a, &inode->attributes, link)
    {
        if (!strcmp(a->name, name))
            return a;
    }
    return NULL;
}

static void attribute_free(struct attribute *a)
{
    list_remove(&a->link);
    heap_free(a->value);
    heap_free(a);
}

void inode_attributes_drop(struct inode *inode)
{
    struct attribute *a, *after;
    list_for_each_safe(a, after, &inode->attributes, link) attribute_free(a);
}

/* A new attribute; @value is its own from now on. */
static int xattr_add(struct inode *inode, const char *name, void *value, size_t size)
{
    struct attribute *a = heap_alloc(sizeof(*a) + strlen(name) + 1);
    if (!a)
        return -ENOMEM;
    text_copy(a->name, name, NAME_MAX + 1);
    a->value = value;
    a->size = size;
    list_add(&a->link, &inode->attributes);
    return 0;
}

static long xattr_set(struct inode *inode, const char *name, const struct syscall_args *a)
{
    const size_t size = a->arg[3];
    const unsigned flags = a->arg[4];
    void *value = heap_alloc(MAX(size, 1ul));
    if (!value)
        return -ENOMEM;
    int rc = size ? user_read(value, a->arg[2], size) : 0;
    if (!rc)
        rc = may_use(inode, name, true);
    struct attribute *old = xattr_find(inode, name);
    if (!rc)
        rc = old && (flags & XATTR_CREATE)     ? -EEXIST
             : !old && (flags & XATTR_REPLACE) ? -ENODATA
                                               : 0;
    if (!rc)
        rc = xattr_add(inode, name, value, size);
    if (rc) {
        heap_free(value);
        return rc;
    }
    if (old)
        attribute_free(old);
    inode_changed(inode);
    inotify(inode, IN_ATTRIB);
    return 0;
}

static long get(struct inode *inode, const char *name, const struct syscall_args *a)
{
    const int rc = may_use(inode, name, false);
    const struct attribute *x = rc ? NULL : xattr_find(inode, name);
    if (!x)
        return rc ? rc : -ENODATA;
    if (!a->arg[3])
        return x->size;
    if (a->arg[3] < x->size)
        return -ERANGE;
    return user_write(a->arg[2], x->value, x->size) ? -EFAULT : (long)x->size;
}

static long xattr_remove(struct inode *inode, const char *name, const struct syscall_args *a)
{
    const int rc = may_use(inode, name, true);
    struct attribute *x = rc ? NULL : xattr_find(inode, name);
    if (!x)
        return rc ? rc : -ENODATA;
    attribute_free(x);
    inode_changed(inode);
    inotify(inode, IN_ATTRIB);
    return 0;
}

/* All names, each with a zero behind it. */
static long list(struct inode *inode, const char *unused, const struct syscall_args *a)
{
    const struct attribute *x;
    size_t done = 0;
    list_for_each(x, &inode->attributes, link)
    {
        const size_t n = strlen(x->name) + 1;
        if (classes[class_of(x->name)].root_reads && !access_capable(CAP_SYS_ADMIN))
            continue;
        if (a->arg[2] && done + n > a->arg[2])
            return -ERANGE;
        if (a->arg[2] && user_write(a->arg[1] + done, x->name, n))
            return -EFAULT;
        done += n;
    }
    return done;
}

typedef long (*attribute_fn)(struct inode *inode, const char *name, const struct syscall_args *a);

/* Read the name of an attribute: of 1 to 255 bytes. */
static int read_name(char name[NAME_MAX + 1], user_t from)
{
    const long n = user_read_text(name, from, NAME_MAX + 1);
    return n == -ENAMETOOLONG || !n ? -ERANGE : n < 0 ? (int)n : 0;
}

static int check_arguments(attribute_fn fn, const struct syscall_args *a, char name[NAME_MAX + 1])
{
    if (fn == xattr_set && (a->arg[4] & ~(uint64_t)(XATTR_CREATE | XATTR_REPLACE)))
        return -EINVAL;
    const int rc = fn == list ? 0 : read_name(name, a->arg[1]);
    return !rc && fn == xattr_set && a->arg[3] > VALUE_MOST ? -E2BIG : rc;
}

static long by_path(const struct syscall_args *a, unsigned at_flags, attribute_fn fn)
{
    char name[NAME_MAX + 1];
    struct inode *inode;
    long rc = user_path_find(AT_FDCWD, a->arg[0], at_flags, &inode);
    if (rc)
        return rc;
    rc = check_arguments(fn, a, name);
    if (!rc)
        rc = fn(inode, name, a);
    inode_put(inode);
    return rc;
}

static long by_fd(const struct syscall_args *a, attribute_fn fn)
{
    char name[NAME_MAX + 1];
    const struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    if (!file->inode)
        return -EOPNOTSUPP;
    struct inode *const inode = file->inode;
    long rc = check_arguments(fn, a, name);
    if (rc)
        return rc;
    inode_get(inode);
    rc = fn(inode, name, a);
    inode_put(inode);
    return rc;
}

#define THREE_WAYS(what, fn)                           \
    long syscall_##what(const struct syscall_args *a)  \
    {                                                  \
        return by_path(a, 0, fn);                      \
    }                                                  \
    long syscall_l##what(const struct syscall_args *a) \
    {                                                  \
        return by_path(a, AT_SYMLINK_NOFOLLOW, fn);    \
    }                                                  \
    long syscall_f##what(const struct syscall_args *a) \
    {                                                  \
        return by_fd(a, fn);                           \
    }
THREE_WAYS(setxattr, xattr_set)
THREE_WAYS(getxattr, get)
THREE_WAYS(listxattr, list)
THREE_WAYS(removexattr, xattr_remove)
