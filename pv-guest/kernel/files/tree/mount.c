/*
 * Mounting: a tree of inodes in place of a directory of another one.
 *
 * The covered directory points to the root on top of it, where a walk goes on;
 * the root's parent is the covered directory's, so ".." needs to know nothing.
 * Only what is bound in a second place keeps its parent, and ".." leads there (path.c: not out of a root).
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
        *fs = (struct filesystem){.type = type, .magic = magic, .number = ++last_number};
    return fs;
}

static struct inode *tree_new(const char *type, uint32_t magic)
{
    struct filesystem *fs = filesystem_new(type, magic);
    struct inode *root = fs ? inode_new(S_IFDIR | 0755) : NULL;
    if (root)
        inode_join(root, fs);
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
    {"tmpfs", TMPFS_MAGIC, NULL}, /* the first: for everybody, as long as nobody says otherwise */
    {"proc", PROC_MAGIC, proc_populate},
    {"devtmpfs", TMPFS_MAGIC, devices_populate},
    {"devpts", DEVPTS_MAGIC, terminals_populate},
};

static const struct mount_disk_type *disk_types[4];
static unsigned disk_type_count;

void mount_register(const struct mount_disk_type *type)
{
    BUG_ON(disk_type_count == ARRAY_SIZE(disk_types));
    disk_types[disk_type_count++] = type;
}

const char *mount_type(unsigned i)
{
    return i < ARRAY_SIZE(types)                     ? types[i].type
           : i < ARRAY_SIZE(types) + disk_type_count ? disk_types[i - ARRAY_SIZE(types)]->name
                                                     : NULL;
}

bool mount_type_on_disk(unsigned i)
{
    return i >= ARRAY_SIZE(types);
}

static int tree_from_disk(const struct mount_disk_type *type, const char *source, bool read_only,
                          struct inode **root)
{
    struct filesystem *const fs = filesystem_new(type->name, type->magic);
    if (!fs)
        return -ENOMEM;
    fs->read_only = read_only;
    const int rc = type->mount(source, read_only, fs, root);
    if (rc)
        heap_free(fs);
    return rc;
}

/* A new tree of @type: *root with a reference; -ENODEV if there is no such file system. */
static int tree_make(const char *type, const char *source, bool read_only, struct inode **root)
{
    for (unsigned i = 0; i < disk_type_count; i++)
        if (!strcmp(type, disk_types[i]->name))
            return tree_from_disk(disk_types[i], source, read_only, root);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        if (strcmp(type, types[i].type))
            continue;
        *root = tree_new(types[i].type, types[i].magic);
        if (*root && !i)
            (*root)->mode = S_IFDIR | S_ISVTX | 0777;
        if (*root && types[i].populate)
            types[i].populate(*root);
        return *root ? 0 : -ENOMEM;
    }
    return -ENODEV;
}

/* Put @root, whose reference moves, over @where. */
static int attach(struct inode *where, struct inode *root, const char *source, bool bound)
{
    struct mount *m = heap_alloc(sizeof(*m));
    if (!m)
        return -ENOMEM;
    inode_get(where);
    m->covered = where;
    m->root = root;
    text_copy(m->source, source, sizeof(m->source));
    m->bound = bound;
    if (!bound) {
        root->covers = where;
        root->parent = where->parent;
    }
    if (root != where) /* else it is where it was */
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
    if (fs->ops && fs->ops->sync(fs))
        print("%s: not all that has been written is on the disk\n", fs->type);
    fs->ending = true;
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
    filesystem_end(fs);
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

/* Trees that were taken away while they were in use. */
static struct list detached = LIST_INIT(detached);

static bool busy(const struct mount *m)
{
    const struct filesystem *const fs = m->root->fs;
    return m->root->refs > 1 || m->root->mounted || in_use(m->root) ||
           (fs->ops && fs->ops->busy(m->root->fs));
}

/* Free those of them that nobody uses any more. */
static void sweep(void)
{
    struct mount *m = list_entry(detached.next, struct mount, link);
    while (&m->link != &detached) {
        if (busy(m)) {
            m = list_entry(m->link.next, struct mount, link);
            continue;
        }
        list_remove(&m->link);
        tree_free(m->root); /* which may sleep: the list is another one then */
        heap_free(m);
        m = list_entry(detached.next, struct mount, link);
    }
}

/* It stands nowhere any more. */
static void uncover(struct mount *m)
{
    m->covered->mounted = NULL;
    inode_put(m->covered);
    list_remove(&m->link);
}

static int detach(struct mount *m, bool lazily)
{
    if (m->bound) {
        uncover(m);
        inode_put(m->root);
        heap_free(m);
        return 0;
    }
    if (!lazily && busy(m))
        return -EBUSY;
    uncover(m);
    m->root->covers = NULL;
    m->root->parent = m->root;
    list_add(&m->link, &detached);
    sweep();
    return 0;
}

/* Something that is mounted in @m; NULL: nothing is. */
static struct mount *mounted_in(const struct mount *m)
{
    struct mount *inner;
    list_for_each(inner, &mounts, link)
    {
        if (!m->bound && inner != m && inner->covered->fs == m->root->fs)
            return inner;
    }
    return NULL;
}

/* Whatever is mounted in @m goes with it. */
static int detach_all(struct mount *m)
{
    for (struct mount *inner = mounted_in(m); inner; inner = mounted_in(m))
        (void)!detach_all(inner);
    return detach(m, true);
}

#define MS_REMOUNT 32
#define MS_BIND    0x1000
#define MS_REC     0x4000 /* what is mounted below is seen where it is bound, too */
/* And what makes no difference here: nosuid, nodev, noexec, silent, noatime and so on. */
#define MS_SUPPORTED (MS_RDONLY | MS_REMOUNT | MS_BIND | MS_REC | 0xc0ed840eu)

/* Change what is mounted at @root: whether it is only to be read, and what @o says. */
static int remount(struct inode *root, unsigned flags, const struct mount_options *o)
{
    if (root != root_inode && !root->covers)
        return -EINVAL;
    if ((flags & MS_RDONLY) && root->fs->writers)
        return -EBUSY;
    struct filesystem *const fs = root->fs;
    int rc = mount_options_apply(o, root);
    filesystem_lock(fs);
    if (!rc && fs->ops)
        rc = fs->ops->remount(fs, flags & MS_RDONLY);
    if (!rc)
        fs->read_only = flags & MS_RDONLY;
    filesystem_unlock(fs);
    return rc;
}

int mount_on(struct inode *where, const char *type, const char *source, unsigned flags,
             const struct mount_options *o)
{
    struct inode *root;
    if (!inode_is(where, S_IFDIR))
        return -ENOTDIR;
    if (where == root_inode || where->dynamic)
        return -EBUSY;
    int rc = tree_make(type, source, flags & MS_RDONLY, &root);
    if (rc)
        return rc;
    rc = mount_options_apply(o, root);
    if (!rc)
        rc = attach(where, root, source, false);
    if (rc)
        tree_free(root);
    else
        root->fs->read_only |= !!(flags & MS_RDONLY);
    return rc;
}

/* What @path leads to stands at @where, too. */
static int bind_on(struct inode *where, user_t path, const char *source)
{
    struct inode *what;
    int rc = path ? user_path_find(AT_FDCWD, path, 0, &what) : -EINVAL;
    if (rc)
        return rc;
    if (inode_is(what, S_IFDIR) != inode_is(where, S_IFDIR))
        rc = -ENOTDIR;
    else if (where == root_inode || where->dynamic)
        rc = -EBUSY;
    else
        rc = attach(where, what, source, true);
    if (rc)
        inode_put(what);
    return rc;
}

/* The words of @data, if a file system of @type has any. */
static int read_options(user_t data, const char *type, struct mount_options *o)
{
    *o = (struct mount_options){0};
    if (!data || strcmp(type, "tmpfs"))
        return 0;
    char *text = heap_alloc(PAGE_SIZE);
    if (!text)
        return -ENOMEM;
    const long n = user_read_text(text, data, PAGE_SIZE);
    const int rc = n < 0 ? (int)n : mount_options_read(text, o);
    heap_free(text);
    return rc;
}

static long mount_at(struct inode *where, const struct syscall_args *a, const char *type,
                     const char *source)
{
    const unsigned flags = a->arg[3];
    struct mount_options o;
    if ((flags & MS_BIND) && (flags & MS_REMOUNT))
        return -EINVAL; /* a bound directory has no rules of its own */
    if (flags & MS_BIND)
        return bind_on(where, a->arg[0], source);
    const int rc = read_options(a->arg[4], flags & MS_REMOUNT ? where->fs->type : type, &o);
    if (rc)
        return rc;
    return flags & MS_REMOUNT ? remount(where, flags, &o)
                              : mount_on(where, type, source, flags, &o);
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
    long rc = flags & (MS_REMOUNT | MS_BIND) ? 0
              : a->arg[2]                    ? user_read_text(type, a->arg[2], sizeof(type))
                                             : -EINVAL;
    if (rc >= 0 && a->arg[0])
        rc = user_read_text(source, a->arg[0], sizeof(source));
    if (rc < 0)
        return rc == -ENAMETOOLONG ? -ENODEV : rc;
    sweep();
    rc = user_path_find(AT_FDCWD, a->arg[1], 0, &where);
    if (rc)
        return rc;
    rc = mount_at(where, a, type, source);
    inode_put(where);
    return rc;
}

#define MNT_FORCE       1
#define MNT_DETACH      2
#define MNT_EXPIRE      4
#define UMOUNT_NOFOLLOW 8
#define UMOUNT_KNOWN    15

/* The last one that shows @root. */
static struct mount *mount_of(const struct inode *root)
{
    struct mount *m, *found = NULL;
    list_for_each(m, &mounts, link) found = m->root == root ? m : found;
    return found;
}

/* The mount that stands where @path says; several can show the same. */
static int find_mount(user_t path, bool follow, struct mount **found)
{
    struct inode *dir, *root;
    char name[NAME_MAX + 1];
    bool slash;
    struct mount *m;
    int rc = user_path_find(AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW, &root);
    if (rc)
        return rc;
    inode_put(root); /* its mount holds it, if it is one */
    *found = mount_of(root);
    if (user_path_parent(AT_FDCWD, path, &dir, name, &slash))
        return *found ? 0 : -EINVAL;
    const struct entry *e = dir_find(dir, name);
    inode_put(dir);
    list_for_each(m, &mounts, link)
    {
        if (e && m->covered == e->inode && m->root == root)
            *found = m;
    }
    return *found ? 0 : -EINVAL;
}

/* MNT_EXPIRE: the second time, if nobody has been there in between. */
static int mount_expire(struct mount *m, bool expiring)
{
    m->expiring = !expiring;
    m->root->crossed = false;
    if (busy(m))
        return -EBUSY;
    return expiring ? detach(m, false) : -EAGAIN;
}

long syscall_umount2(const struct syscall_args *a)
{
    const unsigned flags = a->arg[1];
    struct mount *m;
    if (!access_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if ((flags & ~(unsigned)UMOUNT_KNOWN) ||
        ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH))))
        return -EINVAL;
    sweep();
    /* The way there crosses into it: look before. */
    list_for_each(m, &mounts, link) m->expiring &= !m->root->crossed;
    int rc = find_mount(a->arg[0], !(flags & UMOUNT_NOFOLLOW), &m);
    if (!rc && m->root->fs->ops) {
        mount_sync(m);
        rc = find_mount(a->arg[0], !(flags & UMOUNT_NOFOLLOW), &m); /* which does not sleep again */
    }
    if (rc)
        return rc;
    if (flags & MNT_EXPIRE)
        return mount_expire(m, m->expiring);
    return flags & MNT_DETACH ? detach_all(m) : detach(m, false);
}

static void mount_at_boot(const char *path, const char *type, unsigned mode)
{
    struct inode *where;
    if (path_make(root_inode, path, 0, S_IFDIR | mode, &where) &&
        path_find(root_inode, path, 0, &where))
        panic("cannot make %s", path);
    static const struct mount_options none;
    if (mount_on(where, type, type, 0, &none))
        panic("cannot mount %s", path);
    inode_put(where);
}

void mount_init(void)
{
    mount_at_boot("/proc", "proc", 0555);
    mount_at_boot("/dev/pts", "devpts", 0755);
}
