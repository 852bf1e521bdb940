/*
 * Inodes with a disk behind them: what has to be in memory before it can be used, one at a time.
 *
 * Directories are read as a whole when somebody first looks into them, files page by page.  A page of a mapping must not be
 * missing when a process touches it, for that can happen in the middle of a system call, where nobody may sleep: what is
 * mapped is read before, and stays.
 */
#include "errno.h"
#include "inode.h"
#include "page.h"

void filesystem_lock_disk(struct filesystem *fs)
{
    while (fs->locked)
        wait_uninterruptible(&fs->unlocked);
    fs->locked = true;
}

void filesystem_unlock_disk(struct filesystem *fs)
{
    fs->locked = false;
    wait_wake(&fs->unlocked);
}

int dir_load(struct inode *dir)
{
    if (!inode_on_disk(dir) || dir->loaded)
        return 0;
    filesystem_lock_disk(dir->fs);
    const int rc = dir->loaded ? 0 : dir->fs->ops->load(dir);
    filesystem_unlock_disk(dir->fs);
    return rc;
}

int dir_name_add(struct inode *dir, const char *name, struct inode *inode)
{
    int rc = dir_add(dir, name, inode);
    if (rc || !inode_on_disk(dir))
        return rc;
    rc = dir->fs->ops->link(dir, name, inode);
    if (rc)
        dir_remove(dir, dir_find(dir, name));
    return rc;
}

int dir_name_remove(struct inode *dir, struct entry *entry)
{
    const int rc = inode_on_disk(dir) ? dir->fs->ops->unlink(dir, entry->name, entry->inode) : 0;
    if (!rc)
        dir_remove(dir, entry);
    return rc;
}

int inode_load_disk(struct inode *inode, uint64_t offset, uint64_t size, bool make)
{
    const uint64_t end = offset + size;
    int rc = 0;
    filesystem_lock_disk(inode->fs);
    while (!rc && offset < end) {
        const unsigned from = offset % PAGE_SIZE;
        const uint64_t to = MIN(end, (offset & PAGE_MASK) + PAGE_SIZE);
        rc = inode->fs->ops->page(inode, offset >> PAGE_SHIFT, from,
                                  make ? from + (to - offset) : from);
        offset = to;
    }
    filesystem_unlock_disk(inode->fs);
    return rc;
}

int inode_load_mapping(struct inode *inode, uint64_t offset, uint64_t size, bool shared)
{
    if (!inode_on_disk(inode))
        return 0;
    inode->mapped = true;
    inode->mapped_shared |= shared && !inode->fs->read_only;
    return offset < inode->size
               ? inode_load_disk(inode, offset, MIN(size, inode->size - offset), false)
               : 0;
}

void inode_written(struct inode *inode, uint64_t offset)
{
    struct page *const page =
        inode_on_disk(inode) ? inode_page_at(inode, offset >> PAGE_SHIFT, false) : NULL;
    if (page)
        page->changed = true;
}

void inode_write_failed(struct inode *inode)
{
    if (!inode_on_disk(inode))
        return;
    filesystem_lock_disk(inode->fs);
    (void)!inode->fs->ops->cut(inode, inode->size, UINT64_MAX);
    filesystem_unlock_disk(inode->fs);
}
