/* System calls that tell about files. */
#include "errno.h"
#include "file.h"
#include "page.h"
#include "syscall.h"
#include "user-path.h"

#define DEVICE_NUMBER 1 /* of the one file system there is */

static void describe(const struct inode *inode, struct linux_stat *s)
{
    *s = (struct linux_stat){
        .dev = DEVICE_NUMBER,
        .ino = inode->number,
        .nlink = inode_is(inode, S_IFDIR) ? 2 : inode->links,
        .mode = inode->mode,
        .uid = inode->uid,
        .gid = inode->gid,
        .rdev = inode->device,
        .size = inode->size,
        .block_size = PAGE_SIZE,
        .blocks = PAGES_FOR(inode->size) * (PAGE_SIZE / 512),
    };
    s->atime = s->mtime = s->ctime = inode->mtime / 1000000000;
    s->atime_ns = s->mtime_ns = s->ctime_ns = inode->mtime % 1000000000;
}

/* Pipes have no inode of their own. */
static void describe_file(const struct file *file, struct linux_stat *s)
{
    if (file->inode)
        describe(file->inode, s);
    else
        *s = (struct linux_stat){
            .ino = 1, .nlink = 1, .mode = S_IFIFO | 0600, .block_size = PAGE_SIZE};
}

static int describe_path(int dirfd, user_t path, unsigned at_flags, struct linux_stat *s)
{
    struct inode *inode;
    char first;

    /* "The file open as dirfd": it may be one that no path could name. */
    if ((at_flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD &&
        (!path || (!user_read(&first, path, 1) && !first))) {
        const struct file *file = fd_file(dirfd);
        if (!file)
            return -EBADF;
        describe_file(file, s);
        return 0;
    }
    const int rc = user_path_find(dirfd, path, at_flags, &inode);
    if (rc)
        return rc;
    describe(inode, s);
    inode_put(inode);
    return 0;
}

static long stat_path(int dirfd, user_t path, unsigned at_flags, user_t to)
{
    struct linux_stat s;
    const int rc = describe_path(dirfd, path, at_flags, &s);
    return rc ? rc : user_write(to, &s, sizeof(s));
}

long syscall_stat(const struct syscall_args *a)
{
    return stat_path(AT_FDCWD, a->arg[0], 0, a->arg[1]);
}

long syscall_lstat(const struct syscall_args *a)
{
    return stat_path(AT_FDCWD, a->arg[0], AT_SYMLINK_NOFOLLOW, a->arg[1]);
}

long syscall_newfstatat(const struct syscall_args *a)
{
    return stat_path(a->arg[0], a->arg[1], a->arg[3], a->arg[2]);
}

long syscall_fstat(const struct syscall_args *a)
{
    struct linux_stat s;
    const struct file *file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    describe_file(file, &s);
    return user_write(a->arg[1], &s, sizeof(s));
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
    uint64_t spare[14];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

long syscall_statx(const struct syscall_args *a)
{
    struct linux_stat s;
    const int rc = describe_path(a->arg[0], a->arg[1], a->arg[2], &s);
    if (rc)
        return rc;
    const struct statx_time t = {.sec = s.mtime, .nsec = s.mtime_ns};
    const struct linux_statx x = {
        .mask = 0x7ff,
        .block_size = s.block_size,
        .nlink = s.nlink,
        .uid = s.uid,
        .gid = s.gid,
        .mode = s.mode,
        .ino = s.ino,
        .size = s.size,
        .blocks = s.blocks,
        .atime = t,
        .btime = t,
        .ctime = t,
        .mtime = t,
        .rdev_major = s.rdev >> 8,
        .rdev_minor = s.rdev & 0xff,
        .dev_minor = DEVICE_NUMBER,
    };
    return user_write(a->arg[4], &x, sizeof(x));
}

static long statfs(user_t to)
{
    const struct page_counts pages = page_count();
    const struct linux_statfs s = {
        .type = 0x01021994, /* tmpfs */
        .block_size = PAGE_SIZE,
        .blocks = pages.total,
        .free = pages.free,
        .available = pages.free,
        .name_max = NAME_MAX,
        .fragment_size = PAGE_SIZE,
    };
    return user_write(to, &s, sizeof(s));
}

long syscall_statfs(const struct syscall_args *a)
{
    struct linux_stat s;
    const int rc = describe_path(AT_FDCWD, a->arg[0], 0, &s);
    return rc ? rc : statfs(a->arg[1]);
}

long syscall_fstatfs(const struct syscall_args *a)
{
    return fd_file(a->arg[0]) ? statfs(a->arg[1]) : -EBADF;
}
