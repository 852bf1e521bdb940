/*
 * Disks as files in /dev.
 *
 * They are read and written through the page cache; fsync, and each write to a file opened with O_SYNC or O_DSYNC, sees to
 * it that the disk has everything.
 */
#include "block-file.h"
#include "block-cache.h"
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "page.h"
#include "print.h"

static long block_file_open(struct file *file)
{
    file->object = block_find(file->inode->device);
    return file->object ? 0 : -ENXIO;
}

static uint64_t block_file_size(const struct file *file)
{
    const struct block_device *const d = file->object;
    return d->sectors << SECTOR_SHIFT;
}

static long block_file_read(struct file *file, user_t to, size_t size)
{
    struct block_device *const d = file->object;
    const uint64_t end = block_file_size(file);
    size_t done = 0;
    long rc = 0;
    while (!rc && done < size && file->offset < end) {
        const size_t in_page = file->offset % PAGE_SIZE;
        const size_t n = MIN(MIN(size - done, PAGE_SIZE - in_page), end - file->offset);
        struct cached_page *c;
        rc = block_cache_get(d, file->offset >> PAGE_SHIFT, false, &c);
        if (rc)
            break;
        rc = user_write(to + done, (char *)block_cache_address(c) + in_page, n);
        block_cache_put(c);
        if (rc)
            break;
        done += n;
        file->offset += n;
        sched_point();
    }
    return done ? (long)done : rc;
}

/* @bounce is a page: what cannot be read of the process's memory must not be half in the cache. */
static long write_pages(struct file *file, user_t from, size_t size, void *bounce)
{
    struct block_device *const d = file->object;
    const uint64_t end = block_file_size(file);
    size_t done = 0;
    long rc = 0;
    while (done < size && file->offset < end) {
        const size_t in_page = file->offset % PAGE_SIZE;
        const size_t n = MIN(MIN(size - done, PAGE_SIZE - in_page), end - file->offset);
        rc = user_read(bounce, from + done, n);
        if (!rc)
            rc = block_cache_write(d, file->offset, bounce, n);
        if (rc)
            break;
        done += n;
        file->offset += n;
        sched_point();
    }
    return done ? (long)done : rc ? rc : -ENOSPC;
}

static long block_file_write(struct file *file, user_t from, size_t size)
{
    struct block_device *const d = file->object;
    if (d->read_only)
        return -EPERM;
    struct page *const bounce = size ? page_alloc_one(PAGE_FOR_FILE) : NULL;
    if (!bounce)
        return size ? -ENOMEM : 0;
    long done = write_pages(file, from, size, page_address(bounce));
    page_put(bounce);
    if (done > 0 && (file->flags & O_DSYNC)) {
        const int rc = block_cache_sync(d);
        done = rc ? rc : done;
    }
    return done;
}

static int block_file_poll(struct file *file)
{
    return POLLIN | POLLOUT;
}

static int block_file_sync(struct file *file)
{
    return block_cache_sync(file->object);
}

static int discard(struct file *file, user_t arg)
{
    struct block_device *const d = file->object;
    uint64_t range[2];
    if (user_read(range, arg, sizeof(range)))
        return -EFAULT;
    if ((file->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if ((range[0] | range[1]) % SECTOR_SIZE)
        return -EINVAL;
    /* What the cache has of it would be written over it later. */
    const int rc = block_cache_sync(d);
    if (rc)
        return rc;
    block_cache_drop(d);
    return block_do(d, BLOCK_DISCARD, range[0] >> SECTOR_SHIFT, range[1] >> SECTOR_SHIFT, NULL, 0);
}

static int give(user_t arg, uint64_t value, size_t size)
{
    return user_write(arg, &value, size);
}

static long block_file_ioctl(struct file *file, unsigned command, user_t arg)
{
    struct block_device *const d = file->object;
    int rc;
    switch (command) {
    case BLKROGET:
        return give(arg, d->read_only, sizeof(int));
    case BLKGETSIZE:
        return give(arg, d->sectors, sizeof(long));
    case BLKGETSIZE64:
        return give(arg, block_file_size(file), sizeof(uint64_t));
    case BLKSSZGET:
        return give(arg, d->sector_size, sizeof(int));
    case BLKPBSZGET:
        return give(arg, MAX(d->physical_size, d->sector_size), sizeof(int));
    case BLKBSZGET:
        return give(arg, PAGE_SIZE, sizeof(int));
    case BLKDISCARD:
        return discard(file, arg);
    case BLKFLSBUF:
        if (!access_capable(CAP_SYS_ADMIN))
            return -EACCES;
        rc = block_cache_sync(d);
        block_cache_drop(d);
        return rc;
    default:
        return -ENOTTY;
    }
}

const struct file_ops block_file_ops = {
    .open = block_file_open,
    .read = block_file_read,
    .write = block_file_write,
    .poll = block_file_poll,
    .ioctl = block_file_ioctl,
    .sync = block_file_sync,
    .size = block_file_size,
};

static void add_node(struct inode *dir, const struct block_device *device)
{
    struct inode *inode;
    if (path_make(dir, device->name, 0, S_IFBLK | 0660, &inode))
        return; /* it is there already */
    dev_assign(inode, device->device);
    inode_put(inode);
}

void block_node(struct block_device *device)
{
    struct inode *dir;
    if (path_find(root_inode, "/dev", 0, &dir))
        return;
    add_node(dir, device);
    inode_put(dir);
}

void block_populate(struct inode *dir)
{
    const struct block_device *d;
    list_for_each(d, &block_devices, link)
    {
        if (!d->gone)
            add_node(dir, d);
    }
}
