/* The kernel's inodes of ext2: made from what the disk has, and written there. */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "mounted.h"
#include "print.h"
#include "text.h"

#define SECOND 1000000000ul

uint32_t ext2_seconds(uint64_t time)
{
    return MIN(time / SECOND, (uint64_t)INT32_MAX);
}

static struct list *bucket_of(struct ext2_mounted *m, uint32_t number)
{
    return &m->files[number % EXT2_BUCKETS];
}

int ext2_inode_join(struct ext2_mounted *m, const struct ext2_node *node, struct inode *inode)
{
    struct ext2_file *const f = heap_alloc(sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->node = *node;
    f->inode = inode;
    list_init(&f->released);
    list_add(&f->link, bucket_of(m, node->number));
    inode->disk = f;
    inode->number = node->number;
    inode->size = ext2_node_size(node);
    inode->stale = true;
    return 0;
}

int ext2_inode_broken(struct ext2_mounted *m, uint32_t number, struct inode **inode)
{
    *inode = inode_new(0);
    if (!*inode)
        return -ENOMEM;
    (*inode)->number = number;
    (*inode)->broken = true;
    inode_join(*inode, m->fs);
    return 0;
}

static int read_target(struct ext2_mounted *m, struct ext2_node *node, struct inode *inode)
{
    char *const text = heap_alloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    const int n = ext2_link_read(&m->volume, node, text, PATH_MAX);
    inode->target = n > 0 ? heap_alloc(n + 1) : NULL;
    if (inode->target)
        text_copy(inode->target, text, n + 1);
    heap_free(text);
    return n < 0 ? n : inode->target ? 0 : -ENOMEM;
}

/* What the disk says of it, but for its content. */
static int describe(struct ext2_mounted *m, struct ext2_node *node, struct inode *inode)
{
    const struct ext2_inode *const raw = &node->raw;
    inode->uid = raw->uid | (unsigned)raw->uid_high << 16;
    inode->gid = raw->gid | (unsigned)raw->gid_high << 16;
    inode->atime = raw->atime * SECOND;
    inode->mtime = inode->btime = raw->mtime * SECOND;
    inode->ctime = raw->ctime * SECOND;
    switch (inode->mode & S_IFMT) {
    case S_IFLNK:
        return read_target(m, node, inode);
    case S_IFCHR:
    case S_IFBLK:
        dev_assign(inode, ext2_device_read(node));
        return 0;
    case S_IFREG:
    case S_IFDIR:
    case S_IFIFO:
    case S_IFSOCK:
        return 0;
    default:
        return ext2_wrong(&m->volume, "a file is of no type");
    }
}

static int inode_read_new(struct ext2_mounted *m, uint32_t number, struct inode **inode)
{
    struct ext2_node node;
    int rc = ext2_node_read(&m->volume, number, &node);
    if (rc)
        return rc;
    *inode = inode_new(node.raw.mode);
    if (!*inode)
        return -ENOMEM;
    rc = describe(m, &node, *inode);
    if (!rc)
        rc = ext2_inode_join(m, &node, *inode);
    if (rc) {
        inode_put(*inode);
        return rc;
    }
    (*inode)->stale = false;
    inode_join(*inode, m->fs);
    return 0;
}

int ext2_inode_get(struct ext2_mounted *m, uint32_t number, struct inode **inode)
{
    struct ext2_file *f;
    list_for_each(f, bucket_of(m, number), link)
    {
        if (f->node.number != number)
            continue;
        *inode = f->inode;
        inode_get(*inode);
        list_remove(&f->released);
        return 0;
    }
    const int rc = inode_read_new(m, number, inode);
    return rc == -EIO ? ext2_inode_broken(m, number, inode) : rc;
}

int ext2_inode_write(struct ext2_mounted *m, struct ext2_file *file)
{
    struct inode *const inode = file->inode;
    struct ext2_inode *const raw = &file->node.raw;
    inode->stale = false;
    raw->mode = inode->mode;
    raw->uid = inode->uid;
    raw->uid_high = inode->uid >> 16;
    raw->gid = inode->gid;
    raw->gid_high = inode->gid >> 16;
    raw->atime = ext2_seconds(inode->atime);
    raw->mtime = ext2_seconds(inode->mtime);
    raw->ctime = ext2_seconds(inode->ctime);
    if (inode_is(inode, S_IFCHR) || inode_is(inode, S_IFBLK))
        ext2_device_write(&file->node, inode->device);
    int rc =
        inode_is(inode, S_IFREG) ? ext2_node_set_size(&m->volume, &file->node, inode->size) : 0;
    if (!rc)
        rc = ext2_node_write(&m->volume, &file->node);
    if (rc)
        inode->stale = true;
    return rc;
}

void ext2_drop(struct inode *inode)
{
    struct ext2_file *const f = ext2_file(inode);
    if (f && list_empty(&f->released))
        list_add(&f->released, &ext2_of(inode)->released);
    else if (!f)
        inode_free(inode);
}

/* Nobody has @f: if it has no name either, neither has the disk. */
static int let_go(struct ext2_mounted *m, struct ext2_file *f)
{
    if (m->fs->ending || m->volume.read_only)
        return 0;
    if (!f->node.raw.links)
        return ext2_node_end(&m->volume, &f->node, ext2_seconds(f->inode->ctime));
    const int rc = ext2_write_pages(m, f);
    return !rc && f->inode->stale ? ext2_inode_write(m, f) : rc;
}

void ext2_reap(struct ext2_mounted *m)
{
    while (!list_empty(&m->released)) {
        struct ext2_file *const f = list_entry(m->released.next, struct ext2_file, released);
        struct inode *const inode = f->inode;
        const int rc = let_go(m, f);
        if (rc && !m->volume.found_wrong)
            print("ext2: what has been written to a file that nobody has any more is lost: error "
                  "%d\n",
                  -rc);
        list_remove(&f->released);
        if (inode->refs)
            continue;
        list_remove(&f->link);
        inode->disk = NULL;
        heap_free(f);
        inode_free(inode);
    }
}
