/*
 * Pipes: a ring of bytes between those who write and those who read.
 *
 * Writes of at most PIPE_BUF bytes are not interleaved with others.  Named
 * pipes (mkfifo) are the same object, hung on the inode while somebody has it open.
 */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "notice.h"
#include "page.h"
#include "pipe.h"
#include "signal.h"
#include "text.h"

void pipe_wake(struct pipe *p)
{
    wait_wake(&p->changed);
    wait_wake(&poll_wait);
    notice();
}

/* Give the ring room for @room bytes, which is more than are in it. */
static int ring_resize(struct pipe *p, size_t room)
{
    char *data = heap_alloc_for(PAGE_FOR_FILE, room);
    const size_t first = MIN(p->used, p->room - p->head);
    if (!data)
        return -ENOMEM;
    memcpy(data, p->data + p->head, first);
    memcpy(data + first, p->data, p->used - first);
    heap_free(p->data);
    p->data = data;
    p->room = room;
    p->head = 0;
    return 0;
}

/* Have the ring hold @more bytes, which the pipe's size allows. */
static int pipe_reserve(struct pipe *p, size_t more)
{
    size_t room = p->room;
    if (p->used + more <= room)
        return 0;
    while (room < p->used + more)
        room *= 2;
    return ring_resize(p, room);
}

long pipe_resize(struct pipe *p, size_t size)
{
    size_t rounded = PAGE_SIZE;
    while (rounded < size)
        rounded *= 2;
    if (rounded < p->used)
        return -EBUSY;
    if (p->room > rounded && ring_resize(p, rounded))
        return -ENOMEM;
    p->size = rounded;
    pipe_wake(p);
    return rounded;
}

/* Wait for something to take: 1, 0 if nobody will ever give anything, or -errno. */
int pipe_wait_content(struct pipe *p, bool wait)
{
    while (!p->used) {
        if (!p->writers)
            return 0;
        if (!wait)
            return -EAGAIN;
        const int rc = wait_until(&p->changed, FOREVER);
        if (rc)
            return rc;
    }
    return 1;
}

long pipe_take(struct pipe *p, bool wait, user_t to, size_t size)
{
    size_t done = 0;

    if (!size)
        return 0;
    const int rc = pipe_wait_content(p, wait);
    if (rc <= 0)
        return rc;
    while (p->used && done < size) {
        const size_t n = MIN(MIN(size - done, p->used), p->room - p->head);
        if (user_write(to + done, p->data + p->head, n))
            return done ? (long)done : -EFAULT;
        p->head = (p->head + n) & (p->room - 1);
        p->used -= n;
        done += n;
    }
    pipe_wake(p);
    return done;
}

/* Wait until there is room for @needed bytes: 1, or -errno. */
int pipe_wait_room(struct pipe *p, bool wait, size_t needed)
{
    for (;;) {
        if (!p->readers)
            return -EPIPE;
        if (p->size - p->used >= needed)
            return 1;
        if (!wait)
            return -EAGAIN;
        const int rc = wait_until(&p->changed, FOREVER);
        if (rc)
            return rc;
    }
}

long pipe_give(struct pipe *p, bool wait, user_t from, size_t size)
{
    size_t done = 0;

    while (done < size) {
        /* A small write as a whole, or something of a large one. */
        const size_t left = size - done;
        int rc = pipe_wait_room(p, wait, left <= PIPE_BUF ? left : 1);
        if (rc > 0)
            rc = pipe_reserve(p, MIN(left, p->size - p->used));
        if (rc)
            return done ? (long)done : rc;
        const size_t most = MIN(p->room, p->size);
        while (done < size && p->used < most) {
            const size_t tail = (p->head + p->used) & (p->room - 1);
            const size_t n = MIN(MIN(size - done, most - p->used), p->room - tail);
            if (user_read(p->data + tail, from + done, n))
                return done ? (long)done : -EFAULT;
            p->used += n;
            p->arrived += n;
            done += n;
        }
        pipe_wake(p);
    }
    return done;
}

/* ---- Messages ---- */

/* Bytes [@at, @at + @size) of what the ring holds, or will: to or from the kernel's memory or a process's. */
static int ring_copy(struct pipe *p, size_t at, void *kernel, user_t user, size_t size, bool out)
{
    while (size) {
        char *const data = p->data + ((p->head + at) & (p->room - 1));
        const size_t n = MIN(size, (size_t)(p->data + p->room - data));
        if (kernel)
            out ? memcpy(kernel, data, n) : memcpy(data, kernel, n);
        else if (out ? user_write(user, data, n) : user_read(data, user, n))
            return -EFAULT;
        kernel = kernel ? (char *)kernel + n : NULL;
        user += n;
        at += n;
        size -= n;
    }
    return 0;
}

void pipe_put(struct pipe *p, const void *from, size_t size)
{
    if (pipe_reserve(p, size))
        return;
    (void)!ring_copy(p, p->used, (void *)(uintptr_t)from, 0, size, false);
    p->used += size;
    p->arrived += size;
    pipe_wake(p);
}

long pipe_peek(struct pipe *p, user_t to, size_t size)
{
    uint32_t length = MIN(size, p->used);
    if (p->messages) {
        (void)!ring_copy(p, 0, &length, 0, sizeof(length), true);
        length = MIN(length, size);
    }
    return ring_copy(p, p->messages ? sizeof(length) : 0, NULL, to, length, true) ? -EFAULT
                                                                                  : (long)length;
}

void pipe_skip(struct pipe *p, size_t n)
{
    uint32_t length = MIN(n, p->used);
    if (p->messages && p->used) {
        (void)!ring_copy(p, 0, &length, 0, sizeof(length), true);
        length += sizeof(length);
    }
    p->head = (p->head + length) & (p->room - 1);
    p->used -= length;
    pipe_wake(p);
}

/* The pieces one after the other, at most @size bytes: how many, or -EFAULT. */
static long ring_copy_pieces(struct pipe *p, size_t at, const struct linux_iovec *pieces,
                             unsigned count, size_t size, bool out)
{
    size_t done = 0;
    for (unsigned i = 0; i < count && done < size; i++) {
        const size_t n = MIN(pieces[i].size, size - done);
        if (ring_copy(p, at + done, NULL, pieces[i].base, n, out))
            return -EFAULT;
        done += n;
    }
    return done;
}

long pipe_give_message(struct pipe *p, bool wait, const struct linux_iovec *pieces, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        if (pieces[i].size > p->size - sizeof(uint32_t) - size)
            return -EMSGSIZE;
        size += pieces[i].size;
    }
    uint32_t length = size;
    int rc = pipe_wait_room(p, wait, sizeof(length) + size);
    if (rc > 0)
        rc = pipe_reserve(p, sizeof(length) + size);
    if (rc)
        return rc;
    /* It counts only when all of it is there. */
    if (ring_copy_pieces(p, p->used + sizeof(length), pieces, count, size, false) < 0)
        return -EFAULT;
    (void)!ring_copy(p, p->used, &length, 0, sizeof(length), false);
    p->used += sizeof(length) + size;
    p->arrived += sizeof(length) + size;
    pipe_wake(p);
    return size;
}

long pipe_take_message(struct pipe *p, bool wait, const struct linux_iovec *pieces, unsigned count,
                       size_t *length)
{
    uint32_t size = 0;
    *length = 0;
    const int rc = pipe_wait_content(p, wait);
    if (rc <= 0)
        return rc;
    (void)!ring_copy(p, 0, &size, 0, sizeof(size), true);
    const long n = ring_copy_pieces(p, sizeof(size), pieces, count, size, true);
    p->head = (p->head + sizeof(size) + size) & (p->room - 1);
    p->used -= sizeof(size) + size;
    *length = size;
    pipe_wake(p);
    return n;
}

/* ---- Pipes as files ---- */

/* A pipe made with O_DIRECT: each write of at most PIPE_BUF bytes is a packet, a larger one several. */
static long packets_give(struct pipe *p, bool wait, user_t from, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const struct linux_iovec packet = {from + done, MIN(size - done, (size_t)PIPE_BUF)};
        const long n = pipe_give_message(p, wait, &packet, 1);
        if (n < 0)
            return done ? (long)done : n;
        done += n;
    }
    return done;
}

static long packet_take(struct pipe *p, bool wait, user_t to, size_t size)
{
    const struct linux_iovec whole = {to, size};
    size_t length;
    return size ? pipe_take_message(p, wait, &whole, 1, &length) : 0;
}

static long pipe_read(struct file *file, user_t to, size_t size)
{
    struct pipe *const p = file->object;
    const bool wait = !(file->flags & O_NONBLOCK);
    return p->messages ? packet_take(p, wait, to, size) : pipe_take(p, wait, to, size);
}

static long pipe_write(struct file *file, user_t from, size_t size)
{
    struct pipe *const p = file->object;
    const bool wait = !(file->flags & O_NONBLOCK);
    const long n = p->messages ? packets_give(p, wait, from, size) : pipe_give(p, wait, from, size);
    if (n == -EPIPE)
        signal_broken_pipe();
    return n;
}

static bool reads(const struct file *file)
{
    return (file->flags & O_ACCMODE) != O_WRONLY;
}

static bool writes(const struct file *file)
{
    return (file->flags & O_ACCMODE) != O_RDONLY;
}

static int pipe_poll(struct file *file)
{
    const struct pipe *p = file->object;
    int ready = 0;
    if (reads(file))
        ready |= (p->used ? POLLIN : 0) | (p->writers ? 0 : POLLHUP);
    if (writes(file))
        ready |= (pipe_has_room(p) ? POLLOUT : 0) | (p->readers ? 0 : POLLERR);
    return ready;
}

static uint64_t pipe_arrived(struct file *file)
{
    return ((const struct pipe *)file->object)->arrived;
}

static long pipe_ioctl(struct file *file, unsigned command, user_t arg)
{
    const struct pipe *p = file->object;
    const int available = p->used;
    return command == FIONREAD ? user_write(arg, &available, sizeof(available)) : -ENOTTY;
}

static void pipe_release(struct file *file)
{
    struct pipe *p = file->object;
    if (!p)
        return;
    p->readers -= reads(file);
    p->writers -= writes(file);
    pipe_wake(p);
    if (p->readers || p->writers)
        return;
    file->inode->pipe = NULL;
    pipe_free(p);
}

void pipe_free(struct pipe *p)
{
    if (!p)
        return;
    heap_free(p->data);
    heap_free(p);
}

struct pipe *pipe_create(size_t size)
{
    struct pipe *p = heap_alloc_for(PAGE_FOR_FILE, sizeof(*p));
    char *data = p ? heap_alloc(PAGE_SIZE) : NULL;
    if (!p || !data) {
        heap_free(p);
        heap_free(data);
        return NULL;
    }
    p->data = data;
    p->room = PAGE_SIZE;
    p->size = size;
    wait_init(&p->changed);
    return p;
}

/* Opening a named pipe waits until the other side has come, too; one without a name (which can be
 * opened through /proc) had both. */
static long fifo_open(struct file *file)
{
    struct inode *inode = file->inode;
    if ((file->flags & (O_ACCMODE | O_NONBLOCK)) == (O_WRONLY | O_NONBLOCK) &&
        !(inode->pipe && inode->pipe->readers))
        return -ENXIO; /* nobody reads */
    if (!inode->pipe && !(inode->pipe = pipe_create(PIPE_SIZE)))
        return -ENOMEM;
    struct pipe *p = file->object = inode->pipe;
    p->readers += reads(file);
    p->writers += writes(file);
    p->readers_ever += reads(file);
    p->writers_ever += writes(file);
    pipe_wake(p);
    const unsigned *ever = reads(file) ? &p->writers_ever : &p->readers_ever, before = *ever;
    while (inode->links && !(file->flags & O_NONBLOCK) && (!p->readers || !p->writers) &&
           *ever == before) {
        const int rc = wait_until(&p->changed, FOREVER);
        if (rc)
            return rc;
    }
    return 0;
}

const struct file_ops fifo_ops = {
    .open = fifo_open,
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .arrived = pipe_arrived,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

struct pipe *pipe_of(const struct file *file)
{
    return file->ops == &fifo_ops ? file->object : NULL;
}

/* A pipe without a name is one whose inode is in no directory. */
int pipe_new(unsigned flags, struct file **reader, struct file **writer)
{
    struct inode *inode = inode_new(S_IFIFO | 0600);
    struct pipe *p = pipe_create(PIPE_SIZE);
    struct file *r = inode ? file_new(inode, &fifo_ops, O_RDONLY | (flags & O_NONBLOCK)) : NULL;
    struct file *w = inode ? file_new(inode, &fifo_ops, O_WRONLY | (flags & O_NONBLOCK)) : NULL;
    if (inode)
        inode_put(inode);
    if (!p || !r || !w) {
        if (r)
            file_put(r);
        if (w)
            file_put(w);
        pipe_free(p);
        return -ENOMEM;
    }
    inode->pipe = p;
    p->messages = flags & O_DIRECT;
    p->readers = p->writers = 1;
    r->object = w->object = p;
    *reader = r;
    *writer = w;
    return 0;
}
