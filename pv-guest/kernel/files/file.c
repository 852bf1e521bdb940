/* Open files, and the operations of regular ones and directories. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "file-lock.h"
#include "heap.h"
#include "inotify.h"
#include "lease.h"
#include "notice.h"
#include "page.h"
#include "print.h"
#include "process.h"
#include "text.h"
#include "timer.h"

struct wait_queue poll_wait = WAIT_QUEUE_INIT(poll_wait);

struct file *file_new(struct inode *inode, const struct file_ops *ops, unsigned flags)
{
    struct file *file = heap_alloc_for(PAGE_FOR_PROCESS, sizeof(*file));
    if (!file)
        return NULL;
    file->refs = 1;
    file->flags = flags;
    file->ops = ops;
    file->inode = inode;
    if (inode)
        inode_get(inode);
    return file;
}

void file_put(struct file *file)
{
    BUG_ON(!file->refs);
    if (--file->refs)
        return;
    if (file->watched)
        epoll_file_gone(file);
    if (file->inode && file->ops != &path_ops)
        inotify(file->inode,
                (file->flags & O_ACCMODE) == O_RDONLY ? IN_CLOSE_NOWRITE : IN_CLOSE_WRITE);
    if (file->noticed)
        notice_gone(file);
    if (file->leased)
        lease_gone(file);
    if (file->locked)
        file_locks_drop(file);
    if (file->ops->release)
        file->ops->release(file);
    if (file->inode)
        inode_put(file->inode);
    heap_free(file);
}

static const struct file_ops *ops_of(const struct inode *inode)
{
    if (inode->ops)
        return inode->ops;
    if (inode_is(inode, S_IFREG))
        return &regular_ops;
    if (inode_is(inode, S_IFDIR))
        return &directory_ops;
    if (inode_is(inode, S_IFIFO))
        return &fifo_ops;
    return NULL;
}

int file_open(struct inode *inode, unsigned flags, struct file **file)
{
    const struct file_ops *ops = ops_of(inode);
    if (inode_is(inode, S_IFDIR) && (flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    if (!ops)
        return inode_is(inode, S_IFLNK) ? -ELOOP : -ENXIO;
    struct file *f = file_new(inode, ops, flags);
    if (!f)
        return -ENOMEM;
    const long rc = ops->open ? ops->open(f) : 0;
    if (rc) {
        file_put(f);
        return rc;
    }
    *file = f;
    return 0;
}

bool file_seekable(const struct file *file)
{
    const struct inode *inode = file->inode;
    return inode && !inode_is(inode, S_IFIFO) && !file->ops->no_offset;
}

int file_resize(struct inode *inode, uint64_t size)
{
    const unsigned seal = size < inode->size ? SEAL_SHRINK : size > inode->size ? SEAL_GROW : 0;
    if (inode_sealed(inode, seal))
        return -EPERM;
    if (size > inode->size && !limit_file_size(size - 1, 1))
        return -EFBIG;
    const int rc = inode_resize(inode, size);
    if (!rc)
        inotify(inode, IN_MODIFY);
    return rc;
}

/* Regular files. */

#define PAUSE_BYTES 0x40000 /* after so much copying others may have their turn */

static long regular_open(struct file *file)
{
    file->writes = (file->flags & O_ACCMODE) != O_RDONLY;
    file->inode->writers += file->writes;
    if (file->inode->fs)
        file->inode->fs->writers += file->writes;
    return 0;
}

static long regular_read(struct file *file, user_t to, size_t size)
{
    struct inode *inode = file->inode;
    size_t done = 0;

    while (done < size && file->offset < inode->size) {
        const size_t in_page = file->offset % PAGE_SIZE;
        const size_t n = MIN(MIN(size - done, PAGE_SIZE - in_page), inode->size - file->offset);
        int rc = inode_load(inode, file->offset, n, false);
        if (rc)
            return done ? (long)done : rc;
        struct page *page = inode_page_at(inode, file->offset >> PAGE_SHIFT, false);
        rc = page ? user_write(to + done, (char *)page_address(page) + in_page, n)
                  : user_zero(to + done, n);
        if (rc)
            return done ? (long)done : rc;
        done += n;
        file->offset += n;
        if (file->offset % PAUSE_BYTES == 0)
            sched_point();
    }
    return done;
}

/* How much of @size bytes may be written at the file's offset, for which there is room then; or -errno. */
static long write_most(const struct file *file, size_t size)
{
    struct inode *inode = file->inode;
    if (size > FILE_SIZE_MAX || file->offset > FILE_SIZE_MAX)
        return -EFBIG;
    size = limit_file_size(file->offset, size);
    if (!size)
        return -EFBIG;
    if (inode_sealed(inode,
                     file->offset + size > inode->size ? SEAL_GROW | SEAL_WRITES : SEAL_WRITES))
        return -EPERM;
    const int rc = inode_reserve(inode, file->offset + size);
    return rc ? rc : (long)size;
}

static int regular_sync(struct file *file)
{
    return inode_on_disk(file->inode) ? file->inode->fs->ops->sync(file->inode->fs) : 0;
}

static long regular_write(struct file *file, user_t from, size_t size)
{
    struct inode *inode = file->inode;
    size_t done = 0;

    if (file->flags & O_APPEND)
        file->offset = inode->size;
    if (!size)
        return 0;
    long rc = write_most(file, size);
    if (rc < 0)
        return rc;
    size = rc;
    while (done < size) {
        const size_t in_page = file->offset % PAGE_SIZE;
        const size_t n = MIN(size - done, PAGE_SIZE - in_page);
        rc = inode_load(inode, file->offset, n, true);
        if (rc)
            break;
        struct page *page = inode_page_at(inode, file->offset >> PAGE_SHIFT, true);
        rc = page ? user_read((char *)page_address(page) + in_page, from + done, n) : -ENOSPC;
        if (page)
            inode_written(inode, file->offset);
        if (rc)
            break;
        done += n;
        file->offset += n;
        if (file->offset > inode->size)
            inode->size = file->offset;
        if (file->offset % PAUSE_BYTES)
            continue;
        /* Meanwhile others may move the offset that they share, or seal the file. */
        sched_point();
        rc = done < size ? write_most(file, size - done) : 0;
        if (rc < 0)
            break;
        size = done + rc;
    }
    if (done)
        access_drop_set_id(inode);
    inode_modified(inode);
    if (rc < 0)
        inode_write_failed(inode);
    if (done && (file->flags & O_DSYNC) && (rc = regular_sync(file)))
        return rc;
    return done ? (long)done : rc;
}

static int regular_poll(struct file *file)
{
    return POLLIN | POLLOUT;
}

static long regular_ioctl(struct file *file, unsigned command, user_t arg)
{
    const int left = file->inode->size - MIN(file->offset, file->inode->size);
    return command == FIONREAD ? user_write(arg, &left, sizeof(left)) : -ENOTTY;
}

static void regular_release(struct file *file)
{
    file->inode->writers -= file->writes;
    if (file->inode->fs)
        file->inode->fs->writers -= file->writes;
}

const struct file_ops regular_ops = {
    .open = regular_open,
    .release = regular_release,
    .read = regular_read,
    .write = regular_write,
    .poll = regular_poll,
    .ioctl = regular_ioctl,
    .sync = regular_sync,
};

static long directory_read(struct file *file, user_t to, size_t size)
{
    return -EISDIR;
}

const struct file_ops directory_ops = {
    .read = directory_read, .poll = regular_poll, .sync = regular_sync};

/* Opened by O_PATH: nothing can be done with it, fd_file() does not even find it. */
const struct file_ops path_ops = {0};
