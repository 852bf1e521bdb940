/*
 * inotify: a queue of what happened to the files and directories that it watches.
 *
 * A watch does not keep its inode: when that is freed the watch goes, and says so.  Each place in the kernel where a
 * file is opened, read, changed, named or closed calls inotify() or inotify_entry(), which cost one comparison while
 * nobody watches anything.
 */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "inotify.h"
#include "process.h"
#include "syscall.h"
#include "text.h"
#include "user-path.h"

#define IN_UNMOUNT     0x2000
#define IN_Q_OVERFLOW  0x4000
#define IN_IGNORED     0x8000
#define IN_ONLYDIR     0x1000000
#define IN_DONT_FOLLOW 0x2000000
#define IN_EXCL_UNLINK 0x4000000
#define IN_MASK_CREATE 0x10000000
#define IN_MASK_ADD    0x20000000
#define IN_ISDIR       0x40000000
#define IN_ONESHOT     0x80000000u
#define IN_ALL         0xfffu
#define QUEUE_MOST     16384

struct linux_inotify_event {
    int32_t watch;
    uint32_t mask, cookie, length;
};

struct event {
    struct list link;
    struct linux_inotify_event head;
    char name[]; /* head.length bytes: the name and zeroes, a multiple of 16 */
};

struct instance {
    struct list watches, events;
    unsigned count, bytes; /* of events */
    int last_watch;
    struct wait_queue arrived;
};

struct watch {
    struct list link, of_inode; /* instance->watches, inode->watches */
    struct instance *instance;
    struct inode *inode;
    unsigned mask;
    int number;
};

unsigned inotify_watches;

unsigned inotify_cookie(void)
{
    static unsigned last;
    return ++last;
}

static bool inotify_same(const struct event *e, const struct linux_inotify_event *head,
                         const char *name)
{
    return !memcmp(&e->head, head, sizeof(*head)) && (!head->length || !strcmp(e->name, name));
}

/* Append an event; the same one twice in a row is told once. */
static void queue(struct instance *i, int watch, unsigned mask, unsigned cookie, const char *name)
{
    const size_t length = name ? ROUND_UP(strlen(name) + 1, 16ul) : 0;
    struct linux_inotify_event head = {watch, mask, cookie, length};
    if (!list_empty(&i->events) &&
        inotify_same(list_entry(i->events.prev, struct event, link), &head, name))
        return;
    if (i->count == QUEUE_MOST)
        head = (struct linux_inotify_event){-1, IN_Q_OVERFLOW, 0, 0};
    struct event *e = i->count > QUEUE_MOST ? NULL : heap_alloc(sizeof(*e) + head.length);
    if (!e)
        return;
    e->head = head;
    if (head.length)
        text_copy(e->name, name, head.length);
    list_add(&e->link, &i->events);
    i->count++;
    i->bytes += sizeof(head) + head.length;
    wait_wake(&i->arrived);
    wait_wake(&poll_wait);
}

static void event_free(struct instance *i, struct event *e)
{
    i->count--;
    i->bytes -= sizeof(e->head) + e->head.length;
    list_remove(&e->link);
    heap_free(e);
}

static void watch_free(struct watch *w)
{
    list_remove(&w->link);
    list_remove(&w->of_inode);
    inotify_watches--;
    heap_free(w);
}

/* The watch ends, and its instance is told. */
static void watch_end(struct watch *w)
{
    queue(w->instance, w->number, IN_IGNORED, 0, NULL);
    watch_free(w);
}

/* Tell those who watch @inode itself; @name is that of the entry, if it is a directory in which something happened. */
static void inotify_tell(struct inode *inode, unsigned event, unsigned flags, unsigned cookie,
                         const char *name)
{
    struct watch *w, *after;
    list_for_each_safe(w, after, &inode->watches, of_inode)
    {
        if (!(w->mask & event))
            continue;
        queue(w->instance, w->number, event | flags, cookie, name);
        if (w->mask & IN_ONESHOT)
            watch_end(w);
    }
}

static unsigned kind(const struct inode *inode)
{
    return inode_is(inode, S_IFDIR) ? IN_ISDIR : 0;
}

void inotify_tell_entry(struct inode *dir, unsigned event, unsigned cookie, const char *name,
                        const struct inode *inode)
{
    inotify_tell(dir, event, kind(inode), cookie, name);
}

void inotify_tell_inode(struct inode *inode, unsigned event)
{
    const bool self = event & (IN_DELETE_SELF | IN_MOVE_SELF);
    struct inode *const dir = inode->parent;
    if (!self && dir && dir != inode && !list_empty(&dir->watches)) {
        struct entry *e;
        list_for_each(e, &dir->entries, link)
        {
            if (e->inode == inode) {
                inotify_tell(dir, event, kind(inode), 0, e->name);
                break;
            }
        }
    }
    inotify_tell(inode, event, self ? 0 : kind(inode), 0, NULL);
}

void inotify_gone(struct inode *inode)
{
    struct watch *w, *after;
    inotify_tell(inode, IN_DELETE_SELF, 0, 0, NULL);
    list_for_each_safe(w, after, &inode->watches, of_inode) watch_end(w);
}

/* ---- The file ---- */

static long inotify_read(struct file *file, user_t to, size_t size)
{
    struct instance *i = file->object;
    size_t done = 0;
    while (list_empty(&i->events)) {
        const int rc = file->flags & O_NONBLOCK ? -EAGAIN : wait_until(&i->arrived, FOREVER);
        if (rc)
            return rc;
    }
    while (!list_empty(&i->events)) {
        struct event *e = list_entry(i->events.next, struct event, link);
        const size_t n = sizeof(e->head) + e->head.length;
        if (n > size - done)
            return done ? (long)done : -EINVAL;
        if (user_write(to + done, &e->head, n))
            return done ? (long)done : -EFAULT;
        done += n;
        event_free(i, e);
    }
    return done;
}

static int inotify_poll(struct file *file)
{
    const struct instance *i = file->object;
    return i->count ? POLLIN : 0;
}

static long inotify_ioctl(struct file *file, unsigned command, user_t arg)
{
    const struct instance *i = file->object;
    const int bytes = i->bytes;
    return command == FIONREAD ? user_write(arg, &bytes, sizeof(bytes)) : -ENOTTY;
}

static void inotify_release(struct file *file)
{
    struct instance *i = file->object;
    struct watch *w, *next_watch;
    struct event *e, *next_event;
    list_for_each_safe(w, next_watch, &i->watches, link) watch_free(w);
    list_for_each_safe(e, next_event, &i->events, link) event_free(i, e);
    heap_free(i);
}

static const struct file_ops inotify_ops = {
    .name = "inotify",
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
};

long syscall_inotify_init1(const struct syscall_args *a)
{
    if (a->arg[0] & ~(uint64_t)(O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    struct instance *i = heap_alloc(sizeof(*i));
    struct file *file =
        i ? file_new(NULL, &inotify_ops, O_RDONLY | (a->arg[0] & O_NONBLOCK)) : NULL;
    if (!file) {
        heap_free(i);
        return -ENOMEM;
    }
    list_init(&i->watches);
    list_init(&i->events);
    wait_init(&i->arrived);
    file->object = i;
    return fd_open(file, a->arg[0] & O_CLOEXEC);
}

long syscall_inotify_init(const struct syscall_args *a)
{
    const struct syscall_args plain = {.arg = {0}};
    return syscall_inotify_init1(&plain);
}

static int instance_of(int fd, struct instance **i)
{
    struct file *file = fd_file(fd);
    if (!file)
        return -EBADF;
    *i = file->object;
    return file->ops == &inotify_ops ? 0 : -EINVAL;
}

static struct watch *watch_on(struct instance *i, const struct inode *inode)
{
    struct watch *w;
    list_for_each(w, &i->watches, link)
    {
        if (w->inode == inode)
            return w;
    }
    return NULL;
}

static int watch_add(struct instance *i, struct inode *inode, unsigned mask)
{
    struct watch *w = watch_on(i, inode);
    const unsigned kept = mask & (IN_ALL | IN_ONESHOT);
    if (w && (mask & IN_MASK_CREATE))
        return -EEXIST;
    if (w) {
        w->mask = mask & IN_MASK_ADD ? w->mask | kept : kept;
        return w->number;
    }
    if (!(w = heap_alloc(sizeof(*w))))
        return -ENOMEM;
    w->instance = i;
    w->inode = inode;
    w->mask = kept;
    w->number = ++i->last_watch;
    list_add(&w->link, &i->watches);
    list_add(&w->of_inode, &inode->watches);
    inotify_watches++;
    return w->number;
}

/* inotify_add_watch(fd, path, mask) */
long syscall_inotify_add_watch(const struct syscall_args *a)
{
    const unsigned mask = a->arg[2];
    struct instance *i;
    struct inode *inode;
    const unsigned known = IN_ALL | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE |
                           IN_MASK_ADD | IN_ISDIR | IN_ONESHOT | IN_UNMOUNT | IN_Q_OVERFLOW |
                           IN_IGNORED;
    if (!(mask & known) || (mask & ~known))
        return -EINVAL;
    int rc = instance_of(a->arg[0], &i);
    if (rc == -EBADF)
        return rc;
    if ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE))
        return -EINVAL;
    if (rc)
        return rc;
    rc = user_path_find(AT_FDCWD, a->arg[1], mask & IN_DONT_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0,
                        &inode);
    if (rc)
        return rc;
    rc =
        (mask & IN_ONLYDIR) && !inode_is(inode, S_IFDIR) ? -ENOTDIR : access_check(inode, MAY_READ);
    if (!rc)
        rc = watch_add(i, inode, mask);
    inode_put(inode);
    return rc;
}

long syscall_inotify_rm_watch(const struct syscall_args *a)
{
    struct instance *i;
    struct watch *w;
    const int rc = instance_of(a->arg[0], &i);
    if (rc)
        return rc;
    list_for_each(w, &i->watches, link)
    {
        if (w->number != (int)a->arg[1])
            continue;
        watch_end(w);
        return 0;
    }
    return -EINVAL;
}
