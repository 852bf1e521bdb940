/*
 * epoll: a set of files that is asked as a whole.
 *
 * It costs as much as poll, for each look asks all files of the set; what
 * programs gain here is only that they need not build the set anew.
 *
 * EPOLLET, "tell me once": room for output is told once until there has been none; input once for each time that some
 * arrives, where somebody counts arrivals (struct file_ops), else as long as there is some.
 *
 * A set may contain sets: they are ready if anything in them is.
 */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "platform/platform.h"
#include "signal.h"
#include "sys-time.h"
#include "syscall.h"

#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET        (1u << 31)
#define CHAIN_MOST     5 /* sets in sets */

struct linux_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

struct epoll {
    struct list items;
    unsigned count;
};

struct item {
    struct list link; /* epoll->items */
    struct epoll *set;
    struct list all; /* watched */
    struct file *file;
    int fd;
    uint32_t events; /* 0: told once, and that was to be all */
    uint64_t data;
    bool told_output;
    uint64_t told_arrived; /* how much had arrived when input was told; 0: it was not */
};

static struct list watched = LIST_INIT(watched);

static void item_free(struct item *i)
{
    i->set->count--;
    list_remove(&i->link);
    list_remove(&i->all);
    heap_free(i);
}

void epoll_file_gone(struct file *file)
{
    struct item *i, *after;
    list_for_each_safe(i, after, &watched, all)
    {
        if (i->file == file)
            item_free(i);
    }
}

static int epoll_poll(struct file *file);

static void epoll_release(struct file *file)
{
    struct epoll *e = file->object;
    struct item *i, *after;
    list_for_each_safe(i, after, &e->items, link) item_free(i);
    heap_free(e);
}

static const struct file_ops epoll_ops = {
    .name = "eventpoll", .poll = epoll_poll, .release = epoll_release};

/* How much has arrived, and one; 0 if nobody counts. */
static uint64_t epoll_arrived(const struct item *i)
{
    return i->file->ops->arrived ? i->file->ops->arrived(i->file) + 1 : 0;
}

static uint32_t ready(const struct item *i)
{
    uint32_t now = file_ready(i->file) & (i->events | POLLERR | POLLHUP);
    if (!i->events)
        return 0;
    if (!(i->events & EPOLLET))
        return now;
    if (i->told_output)
        now &= ~(uint32_t)(POLLOUT | POLLWRNORM);
    if (i->told_arrived && epoll_arrived(i) == i->told_arrived &&
        !(now & (POLLHUP | POLLERR | POLLRDHUP)))
        now &= ~(uint32_t)(POLLIN | POLLRDNORM);
    return now;
}

static int epoll_poll(struct file *file)
{
    const struct epoll *e = file->object;
    const struct item *i;
    list_for_each(i, &e->items, link)
    {
        if (ready(i))
            return POLLIN;
    }
    return 0;
}

long syscall_epoll_create1(const struct syscall_args *a)
{
    if (a->arg[0] & ~(uint64_t)O_CLOEXEC)
        return -EINVAL;
    struct epoll *e = heap_alloc(sizeof(*e));
    struct file *file = e ? file_new(NULL, &epoll_ops, O_RDWR) : NULL;
    if (!file) {
        heap_free(e);
        return -ENOMEM;
    }
    list_init(&e->items);
    file->object = e;
    return fd_open(file, a->arg[0]);
}

long syscall_epoll_create(const struct syscall_args *a)
{
    const struct syscall_args plain = {.arg = {0}};
    return (int)a->arg[0] <= 0 ? -EINVAL : syscall_epoll_create1(&plain);
}

static struct item *item_find(const struct epoll *e, const struct file *file, int fd)
{
    struct item *i;
    list_for_each(i, &e->items, link)
    {
        if (i->file == file && i->fd == fd)
            return i;
    }
    return NULL;
}

static void item_set(struct item *i, const struct linux_epoll_event *event)
{
    i->events = event->events | POLLERR | POLLHUP;
    i->data = event->data;
    i->told_output = false;
    i->told_arrived = 0;
}

static int item_add(struct epoll *e, struct file *file, int fd,
                    const struct linux_epoll_event *event)
{
    struct item *i = heap_alloc(sizeof(*i));
    if (!i)
        return -ENOMEM;
    i->set = e;
    i->file = file;
    i->fd = fd;
    file->watched = true;
    item_set(i, event);
    list_add(&i->link, &e->items);
    e->count++;
    list_add(&i->all, &watched);
    return 0;
}

/* The set that @i stands for; NULL if it is another file. */
static const struct epoll *set_of(const struct item *i)
{
    return i->file->ops == &epoll_ops ? i->file->object : NULL;
}

/* How many sets stand one in another, from @e downwards, or upwards. */
static unsigned below(const struct epoll *e)
{
    const struct item *i;
    unsigned most = 0;
    list_for_each(i, &e->items, link) most = set_of(i) ? MAX(most, below(set_of(i))) : most;
    return most + 1;
}

static unsigned above(const struct epoll *e)
{
    const struct item *i;
    unsigned most = 0;
    list_for_each(i, &watched, all) most = set_of(i) == e ? MAX(most, above(i->set)) : most;
    return most + 1;
}

static bool epoll_contains(const struct epoll *e, const struct epoll *what, unsigned depth)
{
    const struct item *i;
    list_for_each(i, &e->items, link)
    {
        const struct epoll *inner = set_of(i);
        if (inner && (inner == what || (depth && epoll_contains(inner, what, depth - 1))))
            return true;
    }
    return false;
}

enum { EPOLL_ADD = 1, EPOLL_DELETE = 2, EPOLL_MODIFY = 3 };

long syscall_epoll_ctl(const struct syscall_args *a)
{
    struct file *set = fd_file(a->arg[0]), *file = fd_file(a->arg[2]);
    struct linux_epoll_event event = {0};
    const unsigned what = a->arg[1];

    if (what != EPOLL_DELETE && user_read(&event, a->arg[3], sizeof(event)))
        return -EFAULT;
    if (!set || !file)
        return -EBADF;
    if (set->ops != &epoll_ops || set == file)
        return -EINVAL;
    if ((event.events & EPOLLEXCLUSIVE) &&
        (what == EPOLL_MODIFY || file->ops == &epoll_ops || (event.events & EPOLLONESHOT)))
        return -EINVAL;
    if (!file->ops->poll ||
        (file->inode && (inode_is(file->inode, S_IFREG) || inode_is(file->inode, S_IFDIR))))
        return -EPERM; /* always ready: nothing to wait for */
    struct epoll *e = set->object;
    struct item *i = item_find(e, file, a->arg[2]);
    if (what == EPOLL_ADD && file->ops == &epoll_ops &&
        (epoll_contains(file->object, e, CHAIN_MOST) ||
         above(e) + below(file->object) > CHAIN_MOST))
        return -ELOOP;
    if (what == EPOLL_ADD) {
        const int rc = i ? -EEXIST : item_add(e, file, a->arg[2], &event);
        wait_wake(&poll_wait);
        return rc;
    }
    if (what != EPOLL_DELETE && what != EPOLL_MODIFY)
        return -EINVAL;
    if (!i)
        return -ENOENT;
    if (what == EPOLL_DELETE)
        item_free(i);
    else
        item_set(i, &event);
    wait_wake(&poll_wait);
    return 0;
}

/* Tell what is ready, @most at most; how many. */
static long collect(struct epoll *e, user_t to, unsigned most)
{
    struct item *i, *after;
    long found = 0;
    unsigned left = e->count;
    list_for_each_safe(i, after, &e->items, link)
    {
        /* Those that have been told stand at the end again: each is asked once. */
        if (!left--)
            break;
        const uint32_t now = ready(i);
        const struct linux_epoll_event event = {now, i->data};
        if (!(file_ready(i->file) & POLLOUT))
            i->told_output = false;
        if (!now)
            continue;
        if (found == most)
            break;
        if (user_write(to + found * sizeof(event), &event, sizeof(event)))
            return found ? found : -EFAULT;
        found++;
        i->told_output |= (now & POLLOUT) != 0;
        if (now & POLLIN)
            i->told_arrived = epoll_arrived(i);
        if (i->events & EPOLLONESHOT)
            i->events = 0;
        /* To the end, so that each has its turn when there are more than @most. */
        list_remove(&i->link);
        list_add(&i->link, &e->items);
        if (found == most)
            break;
    }
    return found;
}

/* Its deadline, and with @mask the signals that are blocked meanwhile. */
static long epoll_wait_until(const struct syscall_args *a, uint64_t deadline)
{
    struct file *file = fd_file(a->arg[0]);
    const int most = (int)a->arg[2];
    if (!file)
        return -EBADF;
    if (file->ops != &epoll_ops || most <= 0 ||
        most > INT32_MAX / (int)sizeof(struct linux_epoll_event))
        return -EINVAL;
    file_get(file);
    long rc;
    while (!(rc = collect(file->object, a->arg[1], most))) {
        rc = wait_until(&poll_wait, deadline);
        if (rc)
            break;
    }
    file_put(file);
    return rc == -ETIMEDOUT ? 0 : rc == -ERESTART ? -EINTR : rc;
}

static uint64_t deadline_in(int milliseconds)
{
    return milliseconds < 0 ? FOREVER : platform_time() + milliseconds * 1000000ul;
}

long syscall_epoll_wait(const struct syscall_args *a)
{
    return epoll_wait_until(a, deadline_in(a->arg[3]));
}

/* The signals that a call names to be blocked meanwhile. */
static int use_mask(const struct syscall_args *a)
{
    uint64_t mask;
    if (a->arg[4] && a->arg[5] != sizeof(mask))
        return -EINVAL;
    if (a->arg[4] && user_read(&mask, a->arg[4], sizeof(mask)))
        return -EFAULT;
    if (a->arg[4])
        signal_block_for_call(mask);
    return 0;
}

long syscall_epoll_pwait(const struct syscall_args *a)
{
    const int rc = use_mask(a);
    return rc ? rc : epoll_wait_until(a, deadline_in(a->arg[3]));
}

/* The same with a time in seconds and nanoseconds. */
long syscall_epoll_pwait2(const struct syscall_args *a)
{
    struct linux_timespec t;
    uint64_t deadline = FOREVER;
    if (a->arg[3]) {
        if (user_read(&t, a->arg[3], sizeof(t)))
            return -EFAULT;
        if (t.sec < 0 || t.nsec < 0 || t.nsec >= 1000000000)
            return -EINVAL;
        deadline = platform_time() + time_span(t.sec, t.nsec);
    }
    const int rc = use_mask(a);
    return rc ? rc : epoll_wait_until(a, deadline);
}
