/*
 * System calls of asynchronous input and output.
 *
 * Files are in memory, so what is submitted is done before io_submit returns; all
 * that is left for later is to tell about it.  A context is known by the address of
 * a page that is mapped for it, as on Linux, where the C library looks into that
 * page; here it is empty, so that it asks the kernel.
 */
#include "aio.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "page.h"
#include "platform/platform.h"
#include "process.h"
#include "signal.h"
#include "sys-time.h"
#include "syscall.h"
#include "transfer.h"

#define EVENTS_MOST 65536 /* of all contexts; /proc/sys/fs/aio-max-nr */

#define COUNT_MOST 0x500000 /* above, a count is not even thought about */

enum aio_command {
    AIO_READ,
    AIO_WRITE,
    AIO_SYNC,
    AIO_DATA_SYNC,
    AIO_READ_VECTOR = 7,
    AIO_WRITE_VECTOR = 8,
};
#define AIO_TELL 1 /* IOCB_FLAG_RESFD: count in an eventfd, too */

/* struct iocb */
struct linux_iocb {
    uint64_t data;
    uint32_t key, flags_of_transfer;
    uint16_t command;
    int16_t priority;
    uint32_t fd;
    uint64_t buffer, size, offset, reserved;
    uint32_t flags, tell;
};
_Static_assert(sizeof(struct linux_iocb) == 64, "struct iocb");

/* struct io_event */
struct linux_io_event {
    uint64_t data, iocb;
    int64_t result, result2;
};

struct event {
    struct list link;
    struct linux_io_event told;
};

struct aio_context {
    struct list link; /* process->aio_contexts */
    user_t id;
    unsigned most, count, refs;
    bool gone;
    struct list events;
    struct wait_queue changed;
};

static unsigned events_total; /* that all contexts may have */

static void context_put(struct aio_context *c)
{
    if (--c->refs)
        return;
    while (!list_empty(&c->events)) {
        struct list *const first = c->events.next;
        list_remove(first);
        heap_free(list_entry(first, struct event, link));
    }
    heap_free(c);
}

static void context_end(struct aio_context *c)
{
    list_remove(&c->link);
    c->gone = true;
    events_total -= c->most;
    wait_wake(&c->changed);
    context_put(c);
}

void aio_drop(struct process *p)
{
    struct aio_context *c, *after;
    list_for_each_safe(c, after, &p->aio_contexts, link) context_end(c);
}

static struct aio_context *context_find(user_t id)
{
    struct aio_context *c;
    list_for_each(c, &process_current()->aio_contexts, link)
    {
        if (c->id == id)
            return c;
    }
    return NULL;
}

/* io_setup(count, id) */
long syscall_io_setup(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const unsigned count = a->arg[0];
    uint64_t id;
    if (user_read(&id, a->arg[1], sizeof(id)))
        return -EFAULT;
    if (id || !count || count > COUNT_MOST)
        return -EINVAL;
    if (count > EVENTS_MOST - events_total)
        return -EAGAIN;
    id = space_gap(space, PAGE_SIZE);
    struct aio_context *c = heap_alloc_for(PAGE_FOR_FILE, sizeof(*c));
    if (!c || !id ||
        space_map(space, id, PAGE_SIZE, PROT_READ | PROT_WRITE, SHARING_NONE, NULL, 0)) {
        heap_free(c);
        return -ENOMEM;
    }
    c->id = id;
    c->most = count;
    c->refs = 1;
    events_total += count;
    list_init(&c->events);
    wait_init(&c->changed);
    list_add(&c->link, &process_current()->aio_contexts);
    if (!user_write(a->arg[1], &id, sizeof(id)))
        return 0;
    context_end(c);
    (void)!space_unmap(space, id, PAGE_SIZE);
    return -EFAULT;
}

long syscall_io_destroy(const struct syscall_args *a)
{
    struct aio_context *c = context_find(a->arg[0]);
    if (!c)
        return -EINVAL;
    (void)!space_unmap(task_current()->space, c->id, PAGE_SIZE);
    context_end(c);
    return 0;
}

/* ---- Submitting ---- */

/* May @file be read, or written to: what its kind cannot do is an error of the call, not of the transfer. */
static int check_file(const struct file *file, const struct linux_iocb *io)
{
    const bool writes = io->command == AIO_WRITE || io->command == AIO_WRITE_VECTOR;
    const unsigned mode = file->flags & O_ACCMODE;
    switch (io->command) {
    case AIO_READ:
    case AIO_WRITE:
    case AIO_READ_VECTOR:
    case AIO_WRITE_VECTOR:
        if (mode == (writes ? O_RDONLY : O_WRONLY))
            return -EBADF;
        if (!(writes ? file->ops->write != NULL : file->ops->read != NULL))
            return -EINVAL;
        return file_seekable(file) && (int64_t)io->offset < 0 ? -EINVAL : 0;
    case AIO_SYNC:
    case AIO_DATA_SYNC:
        return io->buffer || io->offset || io->size || io->flags_of_transfer || !file->inode ||
                       !inode_is(file->inode, S_IFREG)
                   ? -EINVAL
                   : 0;
    default:
        return -EINVAL;
    }
}

static long aio_transfer(struct file *file, const struct linux_iocb *io)
{
    const bool placed = file_seekable(file);
    switch (io->command) {
    case AIO_READ:
    case AIO_WRITE: {
        const transfer_fn fn = io->command == AIO_READ ? file_read : file_write;
        return placed ? file_transfer_at(file, io->buffer, io->size, io->offset, fn)
                      : fn(file, io->buffer, io->size);
    }
    case AIO_READ_VECTOR:
    case AIO_WRITE_VECTOR:
        return io->size > IOV_MAX
                   ? -EINVAL
                   : file_vector(file, io->buffer, io->size, placed ? io->offset : HERE,
                                 io->command == AIO_READ_VECTOR ? file_read : file_write);
    default:
        return 0; /* nothing has to be written through to anything */
    }
}

static int submit_to(struct aio_context *c, struct file *file, struct file *told,
                     const struct linux_iocb *io, user_t at)
{
    struct event *e = heap_alloc_for(PAGE_FOR_FILE, sizeof(*e));
    if (!e)
        return -EAGAIN;
    const long n = aio_transfer(file, io);
    e->told = (struct linux_io_event){io->data, at, n == -ERESTART ? -EINTR : n, 0};
    list_add(&e->link, &c->events);
    c->count++;
    if (told)
        eventfd_count(told);
    wait_wake(&c->changed);
    return 0;
}

static int submit(struct aio_context *c, user_t at)
{
    static const uint32_t no_key;
    struct linux_iocb io;
    if (user_read(&io, at, sizeof(io)))
        return -EFAULT;
    if (io.reserved || (int64_t)io.size < 0)
        return -EINVAL;
    if (c->count >= c->most)
        return -EAGAIN;
    struct file *file = fd_file(io.fd);
    if (!file)
        return -EBADF;
    struct file *told = io.flags & AIO_TELL ? fd_file(io.tell) : NULL;
    if ((io.flags & AIO_TELL) && (!told || !is_eventfd(told)))
        return told ? -EINVAL : -EBADF;
    if (user_write(at + offsetof(struct linux_iocb, key), &no_key, sizeof(no_key)))
        return -EFAULT;
    int rc = check_file(file, &io);
    if (rc)
        return rc;
    file_get(file);
    if (told)
        file_get(told);
    rc = submit_to(c, file, told, &io, at);
    file_put(file);
    if (told)
        file_put(told);
    return rc;
}

/* io_submit(id, count, list of pointers) */
long syscall_io_submit(const struct syscall_args *a)
{
    struct aio_context *c = context_find(a->arg[0]);
    const int64_t count = a->arg[1];
    if (!c || count < 0)
        return -EINVAL;
    long done = 0;
    int rc = 0;
    c->refs++;
    for (; !rc && !c->gone && done < MIN(count, (int64_t)c->most); done += !rc) {
        user_t at;
        if (done && signal_waiting(task_current()))
            break;
        sched_point();
        rc = user_read(&at, a->arg[2] + done * sizeof(at), sizeof(at)) ? -EFAULT : submit(c, at);
    }
    context_put(c);
    return done ? done : rc;
}

/* Nothing is under way that could be cancelled. */
long syscall_io_cancel(const struct syscall_args *a)
{
    uint32_t key;
    if (user_read(&key, a->arg[1] + offsetof(struct linux_iocb, key), sizeof(key)))
        return -EFAULT;
    return -EINVAL;
}

/* ---- Hearing about it ---- */

static long take_events(struct aio_context *c, user_t to, long most)
{
    long n = 0;
    for (; n < most && !list_empty(&c->events); n++) {
        struct event *e = list_entry(c->events.next, struct event, link);
        if (user_write(to + n * sizeof(e->told), &e->told, sizeof(e->told)))
            return n ? n : -EFAULT;
        list_remove(&e->link);
        c->count--;
        heap_free(e);
    }
    return n;
}

/* At least @least events, or as many as there are at @deadline. */
static long wait_events(struct aio_context *c, long least, long most, user_t to, uint64_t deadline)
{
    long done = 0;
    int rc = 0;
    c->refs++;
    for (;;) {
        const long n = take_events(c, to + done * sizeof(struct linux_io_event), most - done);
        if (n < 0)
            rc = n;
        done += MAX(n, 0l);
        if (rc || done >= least)
            break;
        rc = c->gone ? -EINVAL : wait_until(&c->changed, deadline);
    }
    context_put(c);
    return done ? done : rc == -ETIMEDOUT ? 0 : rc == -ERESTART ? -EINTR : rc;
}

/* io_getevents(id, least, most, events, timeout) */
long syscall_io_getevents(const struct syscall_args *a)
{
    struct aio_context *c = context_find(a->arg[0]);
    const int64_t least = a->arg[1], most = a->arg[2];
    uint64_t deadline = FOREVER, timeout;
    if (a->arg[4]) {
        const int rc = timespec_read(a->arg[4], &timeout);
        if (rc)
            return rc;
        deadline = platform_time() + timeout;
    }
    if (!c || least < 0 || least > most)
        return -EINVAL;
    return wait_events(c, least, most, a->arg[3], deadline);
}

/* The same, while the signals of a set are blocked: arg[5] is { set, size }. */
long syscall_io_pgetevents(const struct syscall_args *a)
{
    uint64_t signals[2] = {0}, mask;
    if (a->arg[5]) {
        if (user_read(signals, a->arg[5], sizeof(signals)))
            return -EFAULT;
        if (signals[0] && signals[1] != sizeof(mask))
            return -EINVAL;
        if (signals[0] && user_read(&mask, signals[0], sizeof(mask)))
            return -EFAULT;
    }
    if (signals[0])
        signal_block_for_call(mask);
    return syscall_io_getevents(a);
}
