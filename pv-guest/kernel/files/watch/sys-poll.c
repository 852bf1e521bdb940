/* System calls that wait for several files. */
#include "errno.h"
#include "file.h"
#include "signal.h"
#include "syscall.h"
#include "text.h"
#include "platform/platform.h"

/* poll and select: look at all files, sleep until anything changes, look again. */

int file_ready(struct file *file)
{
    const int ready = file->ops->poll ? file->ops->poll(file) : POLLIN | POLLOUT;
    return ready | (ready & POLLIN ? POLLRDNORM : 0) | (ready & POLLOUT ? POLLWRNORM : 0);
}

static int ready_events(int fd, int wanted)
{
    struct file *file = fd_file(fd);
    return file ? file_ready(file) & (wanted | POLLERR | POLLHUP) : POLLNVAL;
}

static long poll_files(user_t at, unsigned count, uint64_t deadline)
{
    if (count > FILES_MAX)
        return -EINVAL;
    for (;;) {
        long found = 0;
        for (unsigned i = 0; i < count; i++) {
            struct linux_pollfd p;
            if (user_read(&p, at + i * sizeof(p), sizeof(p)))
                return -EFAULT;
            p.revents = p.fd < 0 ? 0 : ready_events(p.fd, p.events);
            found += p.revents != 0;
            if (user_write(at + i * sizeof(p), &p, sizeof(p)))
                return -EFAULT;
        }
        if (found)
            return found;
        const int rc = wait_until(&poll_wait, deadline);
        if (rc)
            return rc == -ETIMEDOUT ? 0 : -EINTR;
    }
}

static int read_timeout(user_t at, uint64_t unit, uint64_t *deadline)
{
    int64_t t[2]; /* seconds and @unit nanoseconds */
    *deadline = FOREVER;
    if (!at)
        return 0;
    if (user_read(t, at, sizeof(t)))
        return -EFAULT;
    if (t[0] < 0 || t[1] < 0 || (unit == 1 && t[1] >= 1000000000))
        return -EINVAL;
    *deadline = platform_time() + time_span(t[0], MIN(t[1], 1l << 40) * unit);
    return 0;
}

long syscall_poll(const struct syscall_args *a)
{
    const int timeout = (int)a->arg[2];
    const uint64_t deadline = timeout < 0 ? FOREVER : platform_time() + timeout * 1000000ul;
    return poll_files(a->arg[0], a->arg[1], deadline);
}

/* A mask of signals for the time of a call; signal_deliver puts the old one back. */
static int use_mask(user_t at)
{
    uint64_t mask;
    if (!at)
        return 0;
    if (user_read(&mask, at, sizeof(mask)))
        return -EFAULT;
    signal_block_for_call(mask);
    return 0;
}

long syscall_ppoll(const struct syscall_args *a)
{
    uint64_t deadline;
    int rc = read_timeout(a->arg[2], 1, &deadline);
    if (!rc && a->arg[3] && a->arg[4] != sizeof(uint64_t))
        rc = -EINVAL;
    if (!rc)
        rc = use_mask(a->arg[3]);
    return rc ? rc : poll_files(a->arg[0], a->arg[1], deadline);
}

struct select_sets {
    uint64_t in[FILES_MAX / 64], out[FILES_MAX / 64];
};

static long select_once(int count, const struct select_sets *wanted, struct select_sets *ready)
{
    long found = 0;
    memset(ready, 0, sizeof(*ready));
    for (int fd = 0; fd < count; fd++) {
        const uint64_t bit = 1ul << fd % 64;
        const int events =
            (wanted->in[fd / 64] & bit ? POLLIN : 0) | (wanted->out[fd / 64] & bit ? POLLOUT : 0);
        if (!events)
            continue;
        const int r = ready_events(fd, events);
        if (r == POLLNVAL)
            return -EBADF;
        if ((events & POLLIN) && (r & (POLLIN | POLLHUP | POLLERR)) && ++found)
            ready->in[fd / 64] |= bit;
        if ((events & POLLOUT) && (r & (POLLOUT | POLLERR)) && ++found)
            ready->out[fd / 64] |= bit;
    }
    return found;
}

static long select_files(const struct syscall_args *a, uint64_t deadline)
{
    const int count = MIN((int)a->arg[0], FILES_MAX);
    if ((int)a->arg[0] < 0)
        return -EINVAL;
    const size_t size = count > 0 ? (count + 63) / 64 * 8 : 0;
    struct select_sets wanted = {0}, ready;
    long found;

    if ((a->arg[1] && user_read(wanted.in, a->arg[1], size)) ||
        (a->arg[2] && user_read(wanted.out, a->arg[2], size)))
        return -EFAULT;
    while (!(found = select_once(count, &wanted, &ready))) {
        const int rc = wait_until(&poll_wait, deadline);
        if (rc == -ETIMEDOUT)
            break;
        if (rc)
            return -EINTR;
    }
    if (found < 0)
        return found;
    if ((a->arg[1] && user_write(a->arg[1], ready.in, size)) ||
        (a->arg[2] && user_write(a->arg[2], ready.out, size)) ||
        (a->arg[3] && user_zero(a->arg[3], size)))
        return -EFAULT;
    return found;
}

long syscall_select(const struct syscall_args *a)
{
    uint64_t deadline;
    const int rc = read_timeout(a->arg[4], 1000, &deadline);
    return rc ? rc : select_files(a, deadline);
}

long syscall_pselect6(const struct syscall_args *a)
{
    uint64_t deadline;
    user_t mask = 0;
    int rc = read_timeout(a->arg[4], 1, &deadline);
    if (!rc && a->arg[5])
        rc = user_read(&mask, a->arg[5], sizeof(mask));
    if (!rc)
        rc = use_mask(mask);
    return rc ? rc : select_files(a, deadline);
}
