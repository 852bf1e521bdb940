/*
 * Mounting: a tree of inodes in place of a directory of another one.
 *
 * The covered directory points to the root on top of it, where a walk goes on;
 * the root's parent is the covered directory's, so ".." needs to know nothing.
 */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "mount.h"
#include "print.h"
#include "proc.h"
#include "process.h"
#include "pty.h"
#include "syscall.h"
#include "text.h"
#include "user-path.h"

#define TMPFS_MAGIC 0x01021994

struct list mounts = LIST_INIT(mounts);

static struct filesystem *filesystem_new(const char *type, uint32_t magic)
{
    static unsigned last_number = 1;
    struct filesystem *fs = heap_alloc(sizeof(*fs));
    if (fs)
        *fs = (struct filesystem){type, magic, ++last_number, false};
    return fs;
}

static struct inode *tree_new(const char *type, uint32_t magic)
{
    struct filesystem *fs = filesystem_new(type, magic);
    struct inode *root = fs ? inode_new(S_IFDIR | 0755) : NULL;
    if (root)
        root->fs = fs;
    else
        heap_free(fs);
    return root;
}

static void devices_populate(struct inode *root)
{
    root->parent = root_inode; /* so that it is no removed directory */
    dev_populate(root);
}

/* A new devpts is put where its names are looked for before it is mounted. */
static void terminals_populate(struct inode *root)
{
    root->parent = root_inode;
    devpts_populate(root);
}

static const struct {
    const char *type;
    uint32_t magic;
    void (*populate)(struct inode *root);
} types[] = {
    {"tmpfs", TMPFS_MAGIC, NULL},
    {"proc", PROC_MAGIC, proc_populate},
    {"devtmpfs", TMPFS_MAGIC, devices_populate},
    {"devpts", DEVPTS_MAGIC, terminals_populate},
};

/* A new tree of @type: *root with a reference; -ENODEV if there is no such file system. */
static int tree_make(const char *type, struct inode **root)
{
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        if (strcmp(type, types[i].type))
            continue;
        *root = tree_new(types[i].type, types[i].magic);
        if (*root && types[i].populate)
            types[i].populate(*root);
        return *root ? 0 : -ENOMEM;
    }
    return -ENODEV;
}

/* Put @root, whose reference moves, over @where. */
static int attach(struct inode *where, struct inode *root, const char *source)
{
    struct mount *m = heap_alloc(sizeof(*m));
    if (!m)
        return -ENOMEM;
    inode_get(where);
    m->covered = where;
    m->root = root;
    text_copy(m->source, source, sizeof(m->source));
    root->covers = where;
    root->parent = where->parent;
    where->mounted = root;
    list_add(&m->link, &mounts);
    return 0;
}

static struct entry *first_entry(const struct inode *dir)
{
    return list_entry(dir->entries.next, struct entry, link);
}

static struct entry *entry_of(const struct inode *dir)
{
    struct entry *e = first_entry(dir->parent);
    while (e->inode != dir)
        e = list_entry(e->link.next, struct entry, link);
    return e;
}

/* Leaves first, without recursion: a tree may be deeper than a kernel stack. */
static void tree_free(struct inode *root)
{
    struct filesystem *fs = root->fs;
    struct inode *dir = root;
    while (dir != root || !list_empty(&dir->entries)) {
        struct inode *const up = dir->parent;
        struct entry *e = first_entry(dir);
        if (list_empty(&dir->entries)) {
            dir_remove(up, entry_of(dir));
            dir = up;
        } else if (inode_is(e->inode, S_IFDIR)) {
            dir = e->inode;
        } else {
            dir_remove(dir, e);
        }
    }
    inode_put(root);
    if (fs != &root_filesystem)
        heap_free(fs);
}

/* Is anything of the tree below @root in use, other than by its name? */
static bool in_use(const struct inode *root)
{
    const struct inode *dir = root;
    const struct entry *e = first_entry(dir);
    for (;;) {
        if (&e->link == &dir->entries) {
            if (dir == root)
                return false;
            e = list_entry(entry_of(dir)->link.next, struct entry, link);
            dir = dir->parent;
            continue;
        }
        const struct inode *inode = e->inode;
        if (inode->refs > inode->links || inode->mounted)
            return true;
        if (inode_is(inode, S_IFDIR)) {
            dir = inode;
            e = first_entry(dir);
        } else {
            e = list_entry(e->link.next, struct entry, link);
        }
    }
}

static int detach(struct mount *m)
{
    if (m->root->refs > 1 || m->root->mounted || in_use(m->root))
        return -EBUSY;
    m->covered->mounted = NULL;
    m->root->covers = NULL;
    m->root->parent = m->root;
    tree_free(m->root);
    inode_put(m->covered);
    list_remove(&m->link);
    heap_free(m);
    return 0;
}

#define MS_RDONLY  1
#define MS_REMOUNT 32
/* And what makes no difference here: nosuid, nodev, noexec, silent, noatime and so on. */
#define MS_SUPPORTED (MS_RDONLY | MS_REMOUNT | 0xc0ed840eu)

/* Is anything of @fs open for writing? */
static bool being_written(const struct filesystem *fs)
{
    const struct task *t;
    for_each_task(t)
    {
        for (int fd = 0; t->files && fd < t->files->end; fd++) {
            const struct file *file = t->files->table[fd];
            if (file && file->inode && file->inode->fs == fs && inode_is(file->inode, S_IFREG) &&
                (file->flags & O_ACCMODE) != O_RDONLY)
                return true;
        }
    }
    return false;
}

/* Change what is mounted at @root: whether it is only to be read. */
static int remount(struct inode *root, unsigned flags)
{
    if (root != root_inode && !root->covers)
        return -EINVAL;
    if ((flags & MS_RDONLY) && being_written(root->fs))
        return -EBUSY;
    root->fs->read_only = flags & MS_RDONLY;
    return 0;
}

static int mount_on(struct inode *where, const char *type, const char *source, unsigned flags)
{
    struct inode *root;
    if (!inode_is(where, S_IFDIR))
        return -ENOTDIR;
    if (where == root_inode || where->dynamic)
        return -EBUSY;
    int rc = tree_make(type, &root);
    if (rc)
        return rc;
    rc = attach(where, root, source);
    if (rc)
        tree_free(root);
    else
        root->fs->read_only = flags & MS_RDONLY;
    return rc;
}

/* mount(source, target, type, flags, data) */
long syscall_mount(const struct syscall_args *a)
{
    struct inode *where;
    char type[16] = "", source[64] = "none";
    const unsigned flags = a->arg[3];
    if (!access_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~MS_SUPPORTED)
        return -EINVAL;
    long rc = flags & MS_REMOUNT ? 0
              : a->arg[2]        ? user_read_text(type, a->arg[2], sizeof(type))
                                 : -EINVAL;
    if (rc >= 0 && a->arg[0])
        rc = user_read_text(source, a->arg[0], sizeof(source));
    if (rc < 0)
        return rc == -ENAMETOOLONG ? -ENODEV : rc;
    rc = user_path_find(AT_FDCWD, a->arg[1], 0, &where);
    if (rc)
        return rc;
    rc = flags & MS_REMOUNT ? remount(where, flags) : mount_on(where, type, source, flags);
    inode_put(where);
    return rc;
}

#define UMOUNT_NOFOLLOW 8
#define UMOUNT_KNOWN    15 /* MNT_FORCE, DETACH, EXPIRE: nothing is forced or put off here */

long syscall_umount2(const struct syscall_args *a)
{
    struct inode *root;
    struct mount *m, *after;
    if (!access_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (a->arg[1] & ~(uint64_t)UMOUNT_KNOWN)
        return -EINVAL;
    int rc = user_path_find(AT_FDCWD, a->arg[0],
                            a->arg[1] & UMOUNT_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &root);
    if (rc)
        return rc;
    inode_put(root); /* its mount holds it, if it is one */
    list_for_each_safe(m, after, &mounts, link)
    {
        if (m->root == root)
            return detach(m);
    }
    return -EINVAL;
}

static void mount_at_boot(const char *path, const char *type, unsigned mode)
{
    struct inode *where;
    if (path_make(root_inode, path, 0, S_IFDIR | mode, &where) &&
        path_find(root_inode, path, 0, &where))
        panic("cannot make %s", path);
    if (mount_on(where, type, type, 0))
        panic("cannot mount %s", path);
    inode_put(where);
}

void mount_init(void)
{
    mount_at_boot("/proc", "proc", 0555);
    mount_at_boot("/dev/pts", "devpts", 0755);
}
