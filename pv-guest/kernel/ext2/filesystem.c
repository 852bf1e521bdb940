/*
 * ext2 file systems: mounting, writing, ending.
 *
 * What has changed is in memory until somebody wants it on the disk (sync, fsync, umount), or memory is short.
 * Then content goes first, inodes after it, and what is free last; all of that lands in the disk's cache, which
 * writes it and has the disk write it.  In between e2fsck puts right what is not: what sync has returned for is
 * on the disk with all that leads to it.
 */
#include "block-cache.h"
#include "errno.h"
#include "ext2-mount.h"
#include "heap.h"
#include "mount.h"
#include "mounted.h"
#include "print.h"
#include "process.h"
#include "text.h"
#include "timer.h"

static struct list all_mounted = LIST_INIT(all_mounted);

static int disk_read(void *disk, uint64_t offset, void *to, size_t size)
{
    const struct ext2_mounted *const m = disk;
    return block_cache_read(m->device, offset, to, size) ? -EIO : 0;
}

static int disk_write(void *disk, uint64_t offset, const void *from, size_t size)
{
    const struct ext2_mounted *const m = disk;
    return block_cache_write(m->device, offset, from, size) ? -EIO : 0;
}

static void complain(void *disk, const char *sentence)
{
    const struct ext2_mounted *const m = disk;
    print("ext2: %s: %s: nothing is written any more, run e2fsck\n", m->device->name, sentence);
    m->fs->read_only = true;
}

static const struct ext2_disk_ops disk_ops = {disk_read, disk_write, complain};

static int sync_locked(struct ext2_mounted *m)
{
    int first = 0;
    ext2_reap(m);
    if (m->volume.read_only)
        return 0;
    for (unsigned i = 0; i < EXT2_BUCKETS; i++) {
        struct ext2_file *f;
        list_for_each(f, &m->files[i], link)
        {
            int rc = ext2_write_pages(m, f);
            if (!rc && f->inode->stale)
                rc = ext2_inode_write(m, f);
            first = first ? first : rc;
        }
    }
    int rc = ext2_flush(&m->volume);
    if (!rc)
        rc = block_cache_sync(m->device);
    first = first ? first : rc;
    return m->volume.found_wrong ? -EIO : first;
}

static int ext2_sync(struct filesystem *fs)
{
    filesystem_lock_disk(fs);
    const int rc = sync_locked(fs->object);
    filesystem_unlock_disk(fs);
    return rc;
}

static void ext2_room(struct filesystem *fs, struct filesystem_room *room)
{
    struct ext2_mounted *const m = fs->object;
    const struct ext2_super *const s = &m->volume.super;
    ext2_reap(m);
    const uint64_t reserved = MIN(s->blocks_reserved, s->blocks_free);
    *room = (struct filesystem_room){.block_size = m->volume.block_size,
                                     .blocks = s->blocks,
                                     .free = s->blocks_free,
                                     .available = s->blocks_free - reserved,
                                     .inodes = s->inodes,
                                     .inodes_free = s->inodes_free};
}

/* Nothing is written from now on, and the disk says so. */
static int stop_writing(struct ext2_mounted *m)
{
    if (m->volume.read_only)
        return 0;
    int rc = sync_locked(m);
    if (!rc)
        rc = ext2_end_writing(&m->volume);
    return rc ? rc : block_cache_sync(m->device);
}

static int ext2_remount(struct filesystem *fs, bool read_only)
{
    struct ext2_mounted *const m = fs->object;
    if (read_only)
        return stop_writing(m);
    if (!m->volume.read_only)
        return 0;
    if (m->device->read_only)
        return -EACCES;
    return m->volume.found_wrong ? -EROFS
                                 : ext2_begin_writing(&m->volume, ext2_seconds(clock_now()));
}

static bool ext2_busy(struct filesystem *fs)
{
    const struct ext2_mounted *const m = fs->object;
    for (unsigned i = 0; i < EXT2_BUCKETS; i++) {
        const struct ext2_file *f;
        list_for_each(f, &m->files[i], link)
        {
            const unsigned own = f->node.number == EXT2_ROOT ? 1 : f->inode->links;
            if (f->inode->refs > own)
                return true;
        }
    }
    return false;
}

static unsigned ext2_links(const struct inode *inode)
{
    return inode->disk ? ext2_file(inode)->node.raw.links : 1;
}

static uint64_t ext2_blocks(const struct inode *inode)
{
    return inode->disk ? ext2_file(inode)->node.raw.sectors : 0;
}

static void ext2_end(struct filesystem *fs)
{
    struct ext2_mounted *const m = fs->object;
    filesystem_lock_disk(fs);
    ext2_reap(m);
    if (stop_writing(m))
        print("ext2: %s: not all that has been written is on the disk\n", m->device->name);
    ext2_close(&m->volume);
    list_remove(&m->link);
    heap_free(m);
    fs->object = NULL;
    filesystem_unlock_disk(fs);
}

static const struct filesystem_ops ext2_ops = {
    .load = ext2_load,
    .make = ext2_make,
    .link = ext2_link,
    .unlink = ext2_unlink,
    .move = ext2_move,
    .write_link = ext2_write_link,
    .page = ext2_page,
    .cut = ext2_cut,
    .grow = ext2_grow,
    .has = ext2_has,
    .room = ext2_room,
    .remount = ext2_remount,
    .sync = ext2_sync,
    .drop = ext2_drop,
    .busy = ext2_busy,
    .links = ext2_links,
    .blocks = ext2_blocks,
    .end = ext2_end,
};

/* Is a file system of @device in memory already? */
static bool is_mounted(const struct block_device *device)
{
    const struct ext2_mounted *m;
    list_for_each(m, &all_mounted, link)
    {
        if (m->device == device)
            return true;
    }
    return false;
}

static int open_volume(struct ext2_mounted *m, bool read_only)
{
    const char *why = NULL;
    int rc =
        ext2_open(&m->volume, &disk_ops, m, m->device->sectors << SECTOR_SHIFT, read_only, &why);
    if (rc && why)
        print("ext2: %s: %s\n", m->device->name, why);
    if (rc || read_only)
        return rc;
    if (!m->volume.was_clean)
        print("ext2: %s: it was not unmounted, or something is wrong in it: run e2fsck\n",
              m->device->name);
    rc = ext2_begin_writing(&m->volume, ext2_seconds(clock_now()));
    if (rc)
        ext2_close(&m->volume);
    return rc;
}

/* The root, with a reference, of what is on @m's disk. */
static int open_root(struct ext2_mounted *m, bool read_only, struct inode **root)
{
    int rc = open_volume(m, read_only);
    if (rc)
        return rc;
    rc = ext2_inode_get(m, EXT2_ROOT, root);
    if (rc)
        return rc;
    if (inode_is(*root, S_IFDIR))
        return 0;
    inode_put(*root);
    ext2_reap(m);
    return -EINVAL;
}

static int mount_device(struct block_device *device, bool read_only, struct filesystem *fs,
                        struct inode **root)
{
    if (is_mounted(device))
        return -EBUSY;
    if (device->read_only && !read_only)
        return -EACCES;
    struct ext2_mounted *const m = heap_alloc(sizeof(*m));
    if (!m)
        return -ENOMEM;
    *m = (struct ext2_mounted){.device = device, .fs = fs};
    for (unsigned i = 0; i < EXT2_BUCKETS; i++)
        list_init(&m->files[i]);
    list_init(&m->released);
    list_add(&m->link, &all_mounted);
    wait_init(&fs->unlocked);
    fs->ops = &ext2_ops;
    fs->object = m;
    const int rc = open_root(m, read_only, root);
    if (rc) {
        ext2_close(&m->volume);
        list_remove(&m->link);
        heap_free(m);
    }
    return rc;
}

/* The disk that the device file @path stands for. */
static int find_device(const char *path, struct block_device **device)
{
    const struct process *const p = process_current();
    struct inode *inode;
    const int rc = path_find(p ? p->places->cwd : root_inode, path, 0, &inode);
    if (rc)
        return rc;
    const bool disk = inode_is(inode, S_IFBLK);
    *device = disk ? block_find(inode->device) : NULL;
    inode_put(inode);
    return *device ? 0 : disk ? -ENXIO : -ENOTBLK;
}

static int ext2_mount(const char *source, bool read_only, struct filesystem *fs,
                      struct inode **root)
{
    struct block_device *device;
    const int rc = find_device(source, &device);
    return rc ? rc : mount_device(device, read_only, fs, root);
}

void ext2_init(void)
{
    static const struct mount_disk_type type = {"ext2", EXT2_MAGIC, ext2_mount};
    mount_register(&type);
}
