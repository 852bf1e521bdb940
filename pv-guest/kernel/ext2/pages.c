/*
 * Files of ext2, page by page.
 *
 * A page is read when somebody asks for it; it has its blocks before somebody writes to it, so that write()
 * tells if there is no room.  Only what a mapping has written into a hole gets its blocks when it goes to the
 * disk.
 */
#include "errno.h"
#include "mounted.h"
#include "page.h"
#include "text.h"

#define DROP_AT_ONCE 64 /* pages */

static bool all_zero(const char *bytes, size_t size)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Make room in memory: pages that are on the disk and that nobody has; after writing, if there are none. */
static bool shrink(struct ext2_mounted *m)
{
    for (unsigned round = 0; round < 2; round++) {
        unsigned dropped = 0;
        for (unsigned i = 0; i < EXT2_BUCKETS && dropped < DROP_AT_ONCE; i++) {
            struct ext2_file *f;
            list_for_each(f, &m->files[i], link)
            {
                struct inode *const inode = f->inode;
                if (inode->refs <= inode->links)
                    inode->mapped = false;
                if (round && ext2_write_pages(m, f))
                    return false;
                if (!inode->mapped && !inode->mapped_shared)
                    dropped += inode_drop_clean(inode, DROP_AT_ONCE);
            }
        }
        if (dropped)
            return true;
    }
    return false;
}

static struct page *new_page(struct ext2_mounted *m)
{
    if (m->fs->pages >= MAX(page_count().total / 4, 64ul))
        (void)!shrink(m);
    struct page *page = page_alloc_zero(PAGE_FOR_FILE);
    if (!page && shrink(m))
        page = page_alloc_zero(PAGE_FOR_FILE);
    if (page)
        page->changed = false;
    return page;
}

/* Read what there is of page @index into @bytes, up to @size of the file; *found: it is no hole. */
static int read_page(struct ext2_mounted *m, struct ext2_file *f, uint64_t index, char *bytes,
                     uint64_t size, bool *found)
{
    struct ext2_volume *const v = &m->volume;
    const unsigned blocks = PAGE_SIZE / v->block_size;
    int rc = 0;
    *found = false;
    for (unsigned i = 0; !rc && i < blocks; i++) {
        const uint64_t at = index * PAGE_SIZE + i * v->block_size;
        uint32_t block;
        if (at >= size)
            break;
        rc = ext2_map(v, &f->node, index * blocks + i, false, &block);
        if (rc || !block)
            continue;
        *found = true;
        rc = ext2_read(v, block, 0, bytes + i * v->block_size, MIN(v->block_size, size - at));
    }
    return rc;
}

/* Is page @index in memory, or a hole? */
static int provide(struct ext2_mounted *m, struct inode *inode, uint64_t index, bool holes)
{
    if (inode_page_at(inode, index, false))
        return 0;
    struct page *const page = new_page(m);
    bool found;
    if (!page)
        return -ENOMEM;
    int rc = read_page(m, ext2_file(inode), index, page_address(page), inode->size, &found);
    if (!rc && !found && !holes) {
        page_put(page);
        return 0;
    }
    /* Somebody may have touched a hole meanwhile: then it has a page, which is right, too. */
    if (!rc &&
        (inode_reserve(inode, (index + 1) * PAGE_SIZE) || inode_give_page(inode, index, page)) &&
        !inode_page_at(inode, index, false))
        rc = -ENOMEM;
    if (rc || inode_page_at(inode, index, false) != page)
        page_put(page);
    return rc;
}

int ext2_page(struct inode *inode, uint64_t index, unsigned from, unsigned to)
{
    struct ext2_mounted *const m = ext2_of(inode);
    struct ext2_volume *const v = &m->volume;
    int rc = inode->disk ? provide(m, inode, index, to > from) : -EIO;
    uint32_t block;
    for (unsigned at = from & ~(v->block_size - 1); !rc && from < to && at < to;
         at += v->block_size) {
        rc = ext2_map(v, &ext2_file(inode)->node, (index * PAGE_SIZE + at) / v->block_size, true,
                      &block);
        inode->stale = true;
    }
    return rc;
}

int ext2_cut(struct inode *inode, uint64_t from, uint64_t to)
{
    struct ext2_volume *const v = &ext2_of(inode)->volume;
    const uint64_t first = (from + v->block_size - 1) / v->block_size;
    const uint64_t end = to == UINT64_MAX ? to : to / v->block_size;
    inode->stale = true;
    return first < end ? ext2_unmap(v, &ext2_file(inode)->node, first, end) : 0;
}

int ext2_grow(struct inode *inode, uint64_t size)
{
    return size > ext2_of(inode)->volume.size_most ? -EFBIG : 0;
}

int ext2_has(struct inode *inode, uint64_t index)
{
    struct ext2_volume *const v = &ext2_of(inode)->volume;
    const struct page *const page = inode_page_at(inode, index, false);
    const unsigned blocks = PAGE_SIZE / v->block_size;
    uint32_t block = 0;
    int rc = 0;
    if (page &&
        (page->changed || (inode->mapped_shared && !all_zero(page_address(page), PAGE_SIZE))))
        return 1;
    for (unsigned i = 0; !rc && !block && i < blocks; i++)
        rc = ext2_map(v, &ext2_file(inode)->node, index * blocks + i, false, &block);
    return rc ? rc : block != 0;
}

/* The blocks of page @index that are in the file; a hole stays one as long as it is empty. */
static int write_page(struct ext2_mounted *m, struct ext2_file *f, uint64_t index, char *bytes)
{
    struct ext2_volume *const v = &m->volume;
    const uint64_t size = f->inode->size, start = index * PAGE_SIZE;
    const unsigned blocks = PAGE_SIZE / v->block_size;
    int rc = 0;
    if (size < start + PAGE_SIZE && size > start)
        memset(bytes + (size - start), 0, start + PAGE_SIZE - size);
    for (unsigned i = 0; !rc && i < blocks && start + i * v->block_size < size; i++) {
        char *const from = bytes + i * v->block_size;
        uint32_t block;
        rc = ext2_map(v, &f->node, index * blocks + i, false, &block);
        if (!rc && !block && !all_zero(from, v->block_size)) {
            rc = ext2_map(v, &f->node, index * blocks + i, true, &block);
            f->inode->stale = true;
        }
        if (!rc && block)
            rc = ext2_write(v, block, 0, from, v->block_size);
    }
    return rc;
}

int ext2_write_pages(struct ext2_mounted *m, struct ext2_file *file)
{
    struct inode *const inode = file->inode;
    const bool all = inode->mapped_shared;
    int rc = 0;
    if (!inode_is(inode, S_IFREG) || !inode->page_count)
        return 0;
    /* Nobody can have it mapped any more once nobody has it: what it wrote is written now. */
    if (inode->refs <= inode->links)
        inode->mapped_shared = false;
    for (uint64_t i = 0; !rc && i < inode->page_slots; i++) {
        struct page *const page = inode->pages[i];
        if (!page || !(page->changed || all))
            continue;
        page_get(page);
        page->changed = false;
        rc = write_page(m, file, i, page_address(page));
        if (rc)
            page->changed = true;
        page_put(page);
    }
    if (rc)
        inode->mapped_shared = all;
    return rc;
}
