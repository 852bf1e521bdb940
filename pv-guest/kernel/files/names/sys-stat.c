/* System calls that tell about files. */
#include "errno.h"
#include "file.h"
#include "page.h"
#include "syscall.h"
#include "user-path.h"

/* What stat tells, and what only statx does. */
struct description {
    struct linux_stat stat;
    uint64_t born;
    bool mount_root;
};

static void stat_describe(const struct inode *inode, struct description *d)
{
    struct linux_stat *const s = &d->stat;
    d->born = inode->btime;
    d->mount_root = inode->covers || inode == root_inode;
    *s = (struct linux_stat){
        .dev = inode->fs ? inode->fs->number : 0,
        .ino = inode->number,
        .nlink = inode_links(inode),
        .mode = inode->mode,
        .uid = inode->uid,
        .gid = inode->gid,
        .rdev = inode->device,
        .size = inode->size,
        .block_size = PAGE_SIZE,
        .blocks = inode_on_disk(inode) ? inode->fs->ops->blocks(inode)
                                       : inode->page_count * (PAGE_SIZE / 512),
    };
    s->atime = inode->atime / 1000000000;
    s->atime_ns = inode->atime % 1000000000;
    s->mtime = inode->mtime / 1000000000;
    s->mtime_ns = inode->mtime % 1000000000;
    s->ctime = inode->ctime / 1000000000;
    s->ctime_ns = inode->ctime % 1000000000;
}

/* What has no inode looks like a file of no type. */
static void describe_file(const struct file *file, struct description *d)
{
    if (file->inode)
        stat_describe(file->inode, d);
    else
        *d = (struct description){
            .stat = {.ino = 1, .nlink = 1, .mode = 0600, .block_size = PAGE_SIZE}};
}

static int describe_path(int dirfd, user_t path, unsigned at_flags, struct description *d)
{
    struct inode *inode;
    char first;

    /* "The file open as dirfd": it may be one that no path could name. */
    if ((at_flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD &&
        (!path || (!user_read(&first, path, 1) && !first))) {
        const struct file *file = fd_file_or_path(dirfd);
        if (!file)
            return -EBADF;
        describe_file(file, d);
        return 0;
    }
    const int rc = user_path_find(dirfd, path, at_flags, &inode);
    if (rc)
        return rc;
    stat_describe(inode, d);
    inode_put(inode);
    return 0;
}

static long stat_path(int dirfd, user_t path, unsigned at_flags, user_t to)
{
    struct description d;
    const int rc = describe_path(dirfd, path, at_flags, &d);
    return rc ? rc : user_write(to, &d.stat, sizeof(d.stat));
}

long syscall_stat(const struct syscall_args *a)
{
    return stat_path(AT_FDCWD, a->arg[0], 0, a->arg[1]);
}

long syscall_lstat(const struct syscall_args *a)
{
    return stat_path(AT_FDCWD, a->arg[0], AT_SYMLINK_NOFOLLOW, a->arg[1]);
}

#define AT_STAT (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)

long syscall_newfstatat(const struct syscall_args *a)
{
    if (a->arg[3] & ~(uint64_t)AT_STAT)
        return -EINVAL;
    return stat_path(a->arg[0], a->arg[1], a->arg[3], a->arg[2]);
}

long syscall_fstat(const struct syscall_args *a)
{
    struct description d;
    const struct file *file = fd_file_or_path(a->arg[0]);
    if (!file)
        return -EBADF;
    describe_file(file, &d);
    return user_write(a->arg[1], &d.stat, sizeof(d.stat));
}

struct statx_time {
    int64_t sec;
    uint32_t nsec, pad;
};

struct linux_statx {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, pad;
    uint64_t ino, size, blocks, attributes_mask;
    struct statx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mount_id, spare[13];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

#define STATX_SYNC           0x6000 /* AT_STATX_FORCE_SYNC, DONT_SYNC: one of them at most */
#define STATX_BASIC          0x7ff  /* and the last of them, 0x800, is the time of birth */
#define STATX_BTIME          0x800
#define STATX_MNT_ID         0x1000
#define ATTRIBUTE_MOUNT_ROOT 0x2000
#define STATX_RESERVED       0x80000000u

long syscall_statx(const struct syscall_args *a)
{
    struct description d;
    const unsigned flags = a->arg[2], mask = a->arg[3];
    if ((flags & ~(unsigned)(AT_STAT | STATX_SYNC)) || (flags & STATX_SYNC) == STATX_SYNC ||
        (mask & STATX_RESERVED))
        return -EINVAL;
    const int rc = describe_path(a->arg[0], a->arg[1], flags, &d);
    if (rc)
        return rc;
    const struct linux_stat s = d.stat;
    const struct statx_time c = {.sec = s.ctime, .nsec = s.ctime_ns},
                            b = {.sec = d.born / 1000000000, .nsec = d.born % 1000000000};
    const struct linux_statx x = {
        .mask = STATX_BASIC | STATX_BTIME | (mask & STATX_MNT_ID),
        .attributes = d.mount_root ? ATTRIBUTE_MOUNT_ROOT : 0,
        .attributes_mask = ATTRIBUTE_MOUNT_ROOT,
        .mount_id = s.dev,
        .block_size = s.block_size,
        .nlink = s.nlink,
        .uid = s.uid,
        .gid = s.gid,
        .mode = s.mode,
        .ino = s.ino,
        .size = s.size,
        .blocks = s.blocks,
        .atime = {.sec = s.atime, .nsec = s.atime_ns},
        .btime = b,
        .ctime = c,
        .mtime = {.sec = s.mtime, .nsec = s.mtime_ns},
        .rdev_major = s.rdev >> 8,
        .rdev_minor = s.rdev & 0xff,
        .dev_minor = s.dev,
    };
    return user_write(a->arg[4], &x, sizeof(x));
}

#define PIPEFS_MAGIC 0x50495045
#define SOCKFS_MAGIC 0x534f434b
#define ST_RDONLY    1
#define ST_VALID     0x20 /* the flags mean something */

static long write_statfs(const struct filesystem *fs, uint32_t magic,
                         const struct filesystem_room *room, user_t to)
{
    const struct linux_statfs s = {
        .type = magic,
        .block_size = room->block_size,
        .blocks = room->blocks,
        .free = room->free,
        .available = room->available,
        .files = room->inodes,
        .files_free = room->inodes_free,
        .id = {fs->number, 0},
        .name_max = NAME_MAX,
        .fragment_size = room->block_size,
        .flags = ST_VALID | (fs->read_only ? ST_RDONLY : 0),
    };
    return user_write(to, &s, sizeof(s));
}

/* Memory is what files are made of; what is made up takes none. */
static long give_statfs(const struct inode *inode, user_t to)
{
    const struct page_counts pages = page_count();
    const struct filesystem *fs = inode && inode->fs ? inode->fs : &root_filesystem;
    const bool memory = !inode || !inode->dynamic;
    const uint32_t magic = !inode || inode->fs         ? fs->magic
                           : inode_is(inode, S_IFIFO)  ? PIPEFS_MAGIC
                           : inode_is(inode, S_IFSOCK) ? SOCKFS_MAGIC
                                                       : fs->magic;
    const uint64_t left = !memory           ? 0
                          : !fs->pages_most ? pages.free
                                            : fs->pages_most - MIN(fs->pages, fs->pages_most);
    const struct filesystem_room room = {
        .block_size = PAGE_SIZE,
        .blocks = memory ? fs->pages_most ? fs->pages_most : pages.total : 0,
        .free = left,
        .available = left,
        .inodes = fs->inodes_most,
        .inodes_free = fs->inodes_most - MIN(fs->inodes, fs->inodes_most),
    };
    return write_statfs(fs, magic, &room, to);
}

static long give_statfs_disk(struct filesystem *fs, user_t to)
{
    struct filesystem_room room;
    filesystem_lock_disk(fs);
    fs->ops->room(fs, &room);
    filesystem_unlock_disk(fs);
    return write_statfs(fs, fs->magic, &room, to);
}

static long tell_statfs(const struct inode *inode, user_t to)
{
    return inode && inode_on_disk(inode) ? give_statfs_disk(inode->fs, to) : give_statfs(inode, to);
}

long syscall_statfs(const struct syscall_args *a)
{
    struct inode *inode;
    long rc = user_path_find(AT_FDCWD, a->arg[0], 0, &inode);
    if (rc)
        return rc;
    rc = tell_statfs(inode, a->arg[1]);
    inode_put(inode);
    return rc;
}

long syscall_fstatfs(const struct syscall_args *a)
{
    const struct file *file = fd_file_or_path(a->arg[0]);
    struct inode *const inode = file ? file->inode : NULL;
    if (!file)
        return -EBADF;
    if (inode)
        inode_get(inode); /* another thread may close the file meanwhile */
    const long rc = tell_statfs(inode, a->arg[1]);
    if (inode)
        inode_put(inode);
    return rc;
}
