/* signalfd: a file from which the signals are read that are pending for whoever reads. */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "signal.h"
#include "signalfd.h"
#include "syscall.h"

struct signalfd {
    uint64_t mask;
};

unsigned signalfd_files;
static struct wait_queue arrived = WAIT_QUEUE_INIT(arrived);

/* What is read for each signal. */
struct linux_signalfd_siginfo {
    uint32_t number;
    int32_t error, code;
    uint32_t pid, uid;
    int32_t fd;
    uint32_t tid, band, overrun, trap;
    int32_t status, value;
    uint64_t pointer, user_time, system_time, address;
    uint8_t pad[48];
};
_Static_assert(sizeof(struct linux_signalfd_siginfo) == 128, "struct signalfd_siginfo");

void signalfd_wake(void)
{
    wait_wake(&arrived);
    wait_wake(&poll_wait);
}

static uint64_t pending(const struct signalfd *s)
{
    const struct task *t = task_current();
    return (t->signals.pending | t->process->signals.pending) & s->mask;
}

static struct linux_signalfd_siginfo signalfd_describe(const struct signal_info *info)
{
    struct linux_signalfd_siginfo s = {.number = info->number, .code = info->code};
    if (info->code == SI_TIMER) {
        s.tid = (uint32_t)info->words[0];
        s.overrun = info->words[0] >> 32;
    } else {
        s.pid = (uint32_t)info->words[0];
        s.uid = info->words[0] >> 32;
    }
    if (info->number == SIGCHLD)
        s.status = (int32_t)info->words[1];
    else {
        s.value = (int32_t)info->words[1];
        s.pointer = info->words[1];
    }
    return s;
}

/* As many as there is room for; the first is waited for. */
static long signalfd_read(struct file *file, user_t to, size_t size)
{
    const struct signalfd *s = file->object;
    struct signal_info info;
    size_t done = 0;
    if (size < sizeof(struct linux_signalfd_siginfo))
        return -EINVAL;
    while (!pending(s)) {
        const int rc = file->flags & O_NONBLOCK ? -EAGAIN : wait_until(&arrived, FOREVER);
        if (rc)
            return rc;
    }
    while (size - done >= sizeof(struct linux_signalfd_siginfo) &&
           signal_take(task_current(), s->mask, &info)) {
        const struct linux_signalfd_siginfo told = signalfd_describe(&info);
        if (user_write(to + done, &told, sizeof(told)))
            return done ? (long)done : -EFAULT;
        done += sizeof(told);
    }
    return done;
}

static int signalfd_poll(struct file *file)
{
    return pending(file->object) ? POLLIN : 0;
}

static void signalfd_release(struct file *file)
{
    signalfd_files--;
    heap_free(file->object);
}

static const struct file_ops signalfd_ops = {
    .name = "signalfd",
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
};

static long signalfd_create(uint64_t mask, unsigned flags)
{
    struct signalfd *s = heap_alloc(sizeof(*s));
    struct file *file = s ? file_new(NULL, &signalfd_ops, O_RDWR | (flags & O_NONBLOCK)) : NULL;
    if (!file) {
        heap_free(s);
        return -ENOMEM;
    }
    s->mask = mask;
    file->object = s;
    signalfd_files++;
    return fd_open(file, flags & O_CLOEXEC);
}

/* signalfd4(fd, mask, size, flags): a new file if fd is -1, else another mask for that one. */
long syscall_signalfd4(const struct syscall_args *a)
{
    uint64_t mask;
    const int fd = (int)a->arg[0];
    if (a->arg[2] != sizeof(mask) || (a->arg[3] & ~(uint64_t)(O_NONBLOCK | O_CLOEXEC)))
        return -EINVAL;
    if (user_read(&mask, a->arg[1], sizeof(mask)))
        return -EFAULT;
    mask &= ~SIGNALS_UNBLOCKABLE;
    if (fd == -1)
        return signalfd_create(mask, a->arg[3]);
    struct file *file = fd_file(fd);
    if (!file)
        return -EBADF;
    if (file->ops != &signalfd_ops)
        return -EINVAL;
    ((struct signalfd *)file->object)->mask = mask;
    signalfd_wake();
    return fd;
}

long syscall_signalfd(const struct syscall_args *a)
{
    const struct syscall_args plain = {.arg = {a->arg[0], a->arg[1], a->arg[2], 0}};
    return syscall_signalfd4(&plain);
}
