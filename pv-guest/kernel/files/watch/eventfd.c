/* Files that count: eventfd, which processes add to, and timerfd, which time adds to. */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "platform/platform.h"
#include "sys-time.h"
#include "syscall.h"

#define EFD_SEMAPHORE 1
#define COUNT_MOST    (~0ul - 1)

struct counter {
    uint64_t count;
    uint64_t arrived; /* how often it has grown */
    bool one_by_one;  /* EFD_SEMAPHORE */
    struct wait_queue changed;

    /* timerfd */
    struct timer timer;
    uint64_t interval;
    unsigned clock;
};

static void eventfd_wake(struct counter *c)
{
    wait_wake(&c->changed);
    wait_wake(&poll_wait);
}

static long counter_read(struct file *file, user_t to, size_t size)
{
    struct counter *c = file->object;
    if (size < sizeof(uint64_t))
        return -EINVAL;
    while (!c->count) {
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        const int rc = wait_until(&c->changed, FOREVER);
        if (rc)
            return rc;
    }
    const uint64_t value = c->one_by_one ? 1 : c->count;
    if (user_write(to, &value, sizeof(value)))
        return -EFAULT;
    c->count -= value;
    eventfd_wake(c);
    return sizeof(value);
}

static long event_write(struct file *file, user_t from, size_t size)
{
    struct counter *c = file->object;
    uint64_t value;
    if (size < sizeof(value))
        return -EINVAL;
    if (user_read(&value, from, sizeof(value)))
        return -EFAULT;
    if (value > COUNT_MOST)
        return -EINVAL;
    while (value > COUNT_MOST - c->count) {
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        const int rc = wait_until(&c->changed, FOREVER);
        if (rc)
            return rc;
    }
    c->count += value;
    c->arrived++;
    eventfd_wake(c);
    return sizeof(value);
}

static int event_poll(struct file *file)
{
    const struct counter *c = file->object;
    return (c->count ? POLLIN : 0) | (c->count < COUNT_MOST ? POLLOUT : 0);
}

static uint64_t counter_arrived(struct file *file)
{
    return ((const struct counter *)file->object)->arrived;
}

static int timer_poll(struct file *file)
{
    const struct counter *c = file->object;
    return c->count ? POLLIN : 0;
}

static void counter_release(struct file *file)
{
    struct counter *c = file->object;
    timer_stop(&c->timer);
    heap_free(c);
}

static const struct file_ops event_ops = {
    .name = "eventfd",
    .read = counter_read,
    .write = event_write,
    .poll = event_poll,
    .arrived = counter_arrived,
    .release = counter_release,
};

bool is_eventfd(const struct file *file)
{
    return file->ops == &event_ops;
}

void eventfd_count(struct file *file)
{
    struct counter *c = file->object;
    if (c->count < COUNT_MOST)
        c->count++;
    c->arrived++;
    eventfd_wake(c);
}

static const struct file_ops timer_ops = {
    .name = "timerfd",
    .read = counter_read,
    .poll = timer_poll,
    .arrived = counter_arrived,
    .release = counter_release,
};

static void eventfd_expired(struct timer *timer)
{
    struct counter *c = container_of(timer, struct counter, timer);
    const uint64_t now = MAX(platform_time(), timer->deadline);
    c->count++;
    c->arrived++;
    if (c->interval) {
        const uint64_t missed = (now - timer->deadline) / c->interval;
        c->count += missed;
        timer_start(timer, timer->deadline + (missed + 1) * c->interval);
    }
    eventfd_wake(c);
}

static struct file *counter_file(const struct file_ops *ops, unsigned flags, struct counter **made)
{
    struct counter *c = heap_alloc(sizeof(*c));
    struct file *file = c ? file_new(NULL, ops, O_RDWR | (flags & O_NONBLOCK)) : NULL;
    if (!file) {
        heap_free(c);
        return NULL;
    }
    wait_init(&c->changed);
    timer_init(&c->timer, eventfd_expired);
    file->object = *made = c;
    return file;
}

long syscall_eventfd2(const struct syscall_args *a)
{
    const unsigned flags = a->arg[1];
    struct counter *c;
    if (flags & ~(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    struct file *file = counter_file(&event_ops, flags, &c);
    if (file) {
        c->count = (unsigned)a->arg[0];
        c->one_by_one = flags & EFD_SEMAPHORE;
    }
    return fd_open(file, flags & O_CLOEXEC);
}

long syscall_eventfd(const struct syscall_args *a)
{
    const struct syscall_args plain = {.arg = {a->arg[0], 0}};
    return syscall_eventfd2(&plain);
}

long syscall_timerfd_create(const struct syscall_args *a)
{
    const unsigned flags = a->arg[1];
    struct counter *c;
    uint64_t now;
    if ((flags & ~(O_NONBLOCK | O_CLOEXEC)) || clock_read(a->arg[0], &now) ||
        clock_is_coarse(a->arg[0]) || clock_is_cpu_time(a->arg[0]) || a->arg[0] == CLOCK_TAI)
        return -EINVAL;
    struct file *file = counter_file(&timer_ops, flags, &c);
    if (file)
        c->clock = a->arg[0];
    return fd_open(file, flags & O_CLOEXEC);
}

static int eventfd_find(int fd, struct counter **c)
{
    struct file *file = fd_file(fd);
    if (!file)
        return -EBADF;
    *c = file->object;
    return file->ops == &timer_ops ? 0 : -EINVAL;
}

static struct linux_itimerspec eventfd_setting(const struct counter *c)
{
    const uint64_t now = platform_time(), deadline = c->timer.deadline;
    const uint64_t left = !timer_running(&c->timer) ? 0 : deadline > now ? deadline - now : 1;
    return (struct linux_itimerspec){{c->interval / NS, c->interval % NS}, {left / NS, left % NS}};
}

long syscall_timerfd_gettime(const struct syscall_args *a)
{
    struct counter *c;
    const int rc = eventfd_find(a->arg[0], &c);
    if (rc)
        return rc;
    const struct linux_itimerspec now = eventfd_setting(c);
    return user_write(a->arg[1], &now, sizeof(now));
}

#define INTERVAL_SHORTEST 100000ul /* as sys-timer.c */

long syscall_timerfd_settime(const struct syscall_args *a)
{
    struct counter *c;
    uint64_t deadline, interval;
    int rc = eventfd_find(a->arg[0], &c);
    if (!rc)
        rc = a->arg[1] & ~3ul
                 ? -EINVAL /* TFD_TIMER_CANCEL_ON_SET: nobody is told that the clock was set */
                 : itimerspec_read(a->arg[2], c->clock, a->arg[1] & TIMER_ABSTIME, &deadline,
                                   &interval);
    if (rc)
        return rc;
    const struct linux_itimerspec old = eventfd_setting(c);
    if (a->arg[3] && user_write(a->arg[3], &old, sizeof(old)))
        return -EFAULT;
    c->interval = interval ? MAX(interval, INTERVAL_SHORTEST) : 0;
    c->count = 0;
    timer_stop(&c->timer);
    if (deadline)
        timer_start(&c->timer, deadline);
    return 0;
}
