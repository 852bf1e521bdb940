/* Descriptors of processes: pidfd_open and its kin. */
#include "pidfd.h"
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "proc.h"
#include "signal.h"
#include "syscall.h"

/* What all descriptors of one process hold, and the process itself as long as there is one. */
struct process_handle {
    unsigned refs;
    struct process *process; /* NULL: waited for, and gone */
};

static void handle_put(struct process_handle *h)
{
    if (!--h->refs)
        heap_free(h);
}

static struct process_handle *handle_get(struct process *p)
{
    if (!p->handle) {
        p->handle = heap_alloc(sizeof(*p->handle));
        if (!p->handle)
            return NULL;
        p->handle->process = p;
        p->handle->refs = 1;
    }
    p->handle->refs++;
    return p->handle;
}

void pidfd_ended(const struct process *p)
{
    if (p->handle)
        wait_wake(&poll_wait);
}

void pidfd_gone(struct process *p)
{
    if (!p->handle)
        return;
    p->handle->process = NULL;
    handle_put(p->handle);
    p->handle = NULL;
    wait_wake(&poll_wait);
}

static int pidfd_poll(struct file *file)
{
    const struct process_handle *h = file->object;
    return !h->process || h->process->zombie ? POLLIN : 0;
}

static void pidfd_release(struct file *file)
{
    handle_put(file->object);
}

static const struct file_ops pidfd_ops = {
    .name = "[pidfd]", .poll = pidfd_poll, .release = pidfd_release};

struct file *pidfd_new(struct process *process, unsigned flags)
{
    struct process_handle *h = handle_get(process);
    struct file *file = h ? file_new(NULL, &pidfd_ops, O_RDWR | (flags & O_NONBLOCK)) : NULL;
    if (file)
        file->object = h;
    else if (h)
        handle_put(h);
    return file;
}

int pidfd_process(int fd, struct process **process)
{
    const struct file *file = fd_file(fd);
    if (!file || file->ops != &pidfd_ops)
        return -EBADF;
    *process = ((struct process_handle *)file->object)->process;
    return *process ? 0 : -ESRCH;
}

long syscall_pidfd_open(const struct syscall_args *a)
{
    const int pid = (int)a->arg[0];
    if (((unsigned)a->arg[1] & ~O_NONBLOCK) || pid <= 0)
        return -EINVAL;
    struct process *p = process_find(pid);
    if (!p)
        return task_find(pid) ? -EINVAL : -ESRCH; /* a thread, but not the first of its process */
    return fd_open(pidfd_new(p, a->arg[1]), true);
}

/* The same, or a process's directory in /proc, which signals can be sent to as well. */
static int process_or_directory(int fd, struct process **process)
{
    const struct file *file = fd_file(fd);
    const int pid = file && file->inode ? proc_pid_of(file->inode) : 0;
    if (!pid)
        return pidfd_process(fd, process);
    *process = process_find(pid);
    return *process ? 0 : -ESRCH;
}

long syscall_pidfd_send_signal(const struct syscall_args *a)
{
    struct process *p;
    const int number = (int)a->arg[1];
    struct signal_info info = signal_info_user(number, SI_USER);
    if ((unsigned)a->arg[3])
        return -EINVAL;
    int rc = process_or_directory(a->arg[0], &p);
    if (rc == -EBADF)
        return rc;
    if (a->arg[2]) {
        int told;
        const bool to_self = !rc && p == process_current();
        if (user_read(&told, a->arg[2], sizeof(told)))
            return -EFAULT;
        const int read =
            told == number ? signal_info_read(a->arg[2], number, to_self, &info) : -EINVAL;
        if (read)
            return read;
    }
    if (number < 0 || number > SIGNAL_COUNT)
        return -EINVAL;
    if (!rc && !access_signal(p, number))
        rc = -EPERM;
    if (!rc && number)
        signal_send_info(p, &info);
    return rc;
}

/* A file that some thread of @p has open as @fd, with a reference; NULL if it has none. */
static struct file *file_of(const struct process *p, int fd)
{
    const struct task *t;
    for_each_thread(t, p)
    {
        struct file *file = files_find(t->files, (uint64_t)fd);
        if (file)
            file_get(file);
        return file;
    }
    return NULL;
}

long syscall_pidfd_getfd(const struct syscall_args *a)
{
    struct process *p;
    if ((unsigned)a->arg[2])
        return -EINVAL;
    const int rc = pidfd_process(a->arg[0], &p);
    if (rc)
        return rc;
    if (p->zombie)
        return -ESRCH;
    if (!access_look(p))
        return -EPERM;
    struct file *file = file_of(p, a->arg[1]);
    return file ? fd_open(file, true) : -EBADF;
}
