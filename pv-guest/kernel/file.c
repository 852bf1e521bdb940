/* Open files, descriptor tables, and the operations of regular files and directories. */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "page.h"
#include "print.h"
#include "text.h"
#include "timer.h"

struct wait_queue poll_wait = WAIT_QUEUE_INIT(poll_wait);

struct file *file_new(struct inode *inode, const struct file_ops *ops, unsigned flags)
{
    struct file *file = heap_alloc(sizeof(*file));
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
    if (file->ops->release)
        file->ops->release(file);
    if (file->inode)
        inode_put(file->inode);
    heap_free(file);
}

static const struct file_ops *ops_of(const struct inode *inode)
{
    if (inode_is(inode, S_IFREG))
        return &regular_ops;
    if (inode_is(inode, S_IFDIR))
        return &directory_ops;
    if (inode_is(inode, S_IFIFO))
        return &fifo_ops;
    return inode->ops;
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

/* Descriptor tables. */

struct files *files_new(void)
{
    struct files *files = heap_alloc(sizeof(*files));
    if (files)
        files->refs = 1;
    return files;
}

struct files *files_copy(struct files *from)
{
    struct files *files = files_new();
    if (!files)
        return NULL;
    files->end = from->end;
    memcpy(files->close_on_exec, from->close_on_exec, sizeof(files->close_on_exec));
    for (int fd = 0; fd < from->end; fd++) {
        files->table[fd] = from->table[fd];
        if (files->table[fd])
            file_get(files->table[fd]);
    }
    return files;
}

void files_put(struct files *files)
{
    if (--files->refs)
        return;
    for (int fd = 0; fd < files->end; fd++)
        if (files->table[fd])
            file_put(files->table[fd]);
    heap_free(files);
}

void files_close_on_exec(struct files *files)
{
    for (int fd = 0; fd < files->end; fd++) {
        if (!files->table[fd] || !(files->close_on_exec[fd / 64] >> fd % 64 & 1))
            continue;
        file_put(files->table[fd]);
        files->table[fd] = NULL;
    }
    memset(files->close_on_exec, 0, sizeof(files->close_on_exec));
}

struct file *fd_file(int fd)
{
    return fd >= 0 && fd < FILES_MAX ? task_current()->files->table[fd] : NULL;
}

bool fd_close_on_exec(int fd)
{
    return task_current()->files->close_on_exec[fd / 64] >> fd % 64 & 1;
}

void fd_set_close_on_exec(int fd, bool on)
{
    uint64_t *word = &task_current()->files->close_on_exec[fd / 64];
    *word = on ? *word | 1ul << fd % 64 : *word & ~(1ul << fd % 64);
}

int fd_install(struct file *file, int from, bool close_on_exec)
{
    struct files *files = task_current()->files;
    if (from < 0 || from >= FILES_MAX)
        return -EINVAL;
    for (int fd = from; fd < FILES_MAX; fd++) {
        if (files->table[fd])
            continue;
        files->table[fd] = file;
        files->end = MAX(files->end, fd + 1);
        fd_set_close_on_exec(fd, close_on_exec);
        return fd;
    }
    return -EMFILE;
}

int fd_replace(int fd, struct file *file, bool close_on_exec)
{
    if (fd < 0 || fd >= FILES_MAX)
        return -EBADF;
    struct files *files = task_current()->files;
    struct file **slot = &files->table[fd];
    struct file *old = *slot;
    *slot = file;
    files->end = MAX(files->end, fd + 1);
    fd_set_close_on_exec(fd, close_on_exec);
    if (old)
        file_put(old);
    return fd;
}

int fd_close(int fd)
{
    struct file *file = fd_file(fd);
    if (!file)
        return -EBADF;
    task_current()->files->table[fd] = NULL;
    file_put(file);
    return 0;
}

/* Regular files. */

static long regular_open(struct file *file)
{
    if ((file->flags & O_TRUNC) && (file->flags & O_ACCMODE) != O_RDONLY)
        return inode_resize(file->inode, 0);
    return 0;
}

static long regular_read(struct file *file, user_t to, size_t size)
{
    struct inode *inode = file->inode;
    size_t done = 0;

    while (done < size && file->offset < inode->size) {
        const size_t in_page = file->offset % PAGE_SIZE;
        const size_t n = MIN(MIN(size - done, PAGE_SIZE - in_page), inode->size - file->offset);
        struct page *page = inode_page_at(inode, file->offset >> PAGE_SHIFT, false);
        const int rc = page ? user_write(to + done, (char *)page_address(page) + in_page, n)
                            : user_zero(to + done, n);
        if (rc)
            return done ? (long)done : rc;
        done += n;
        file->offset += n;
    }
    return done;
}

static long regular_write(struct file *file, user_t from, size_t size)
{
    struct inode *inode = file->inode;
    size_t done = 0;
    long rc = 0;

    if (file->flags & O_APPEND)
        file->offset = inode->size;
    if (size > (1ul << 40) || (rc = inode_reserve(inode, file->offset + size)))
        return rc ? rc : -EFBIG;
    while (done < size) {
        const size_t in_page = file->offset % PAGE_SIZE;
        const size_t n = MIN(size - done, PAGE_SIZE - in_page);
        struct page *page = inode_page_at(inode, file->offset >> PAGE_SHIFT, true);
        rc = page ? user_read((char *)page_address(page) + in_page, from + done, n) : -ENOSPC;
        if (rc)
            break;
        done += n;
        file->offset += n;
        if (file->offset > inode->size)
            inode->size = file->offset;
    }
    inode->mtime = clock_now();
    return done ? (long)done : rc;
}

static int regular_poll(struct file *file)
{
    return POLLIN | POLLOUT;
}

const struct file_ops regular_ops = {
    .open = regular_open,
    .read = regular_read,
    .write = regular_write,
    .poll = regular_poll,
};

static long directory_read(struct file *file, user_t to, size_t size)
{
    return -EISDIR;
}

const struct file_ops directory_ops = {.read = directory_read, .poll = regular_poll};
