/*
 * System calls on POSIX message queues.
 *
 * A queue is an inode in a directory that no path leads to, and is opened like a
 * file: its name, its mode and its end are those of a file.
 */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "mqueue.h"
#include "page.h"
#include "platform/platform.h"
#include "print.h"
#include "signal.h"
#include "sys-time.h"
#include "syscall.h"

#define QUEUE_MODE    (O_ACCMODE | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC)
#define PRIORITIES    32768
#define MESSAGES_HARD 65536 /* what root can ask for */
#define SIZE_HARD     (16ul << 20)
#define COST_MESSAGE \
    48 /* what Linux counts for RLIMIT_MSGQUEUE besides the bytes: for each message... */
#define COST_PRIORITY 48 /* ...and each priority */
#define STATUS_SIZE   80

#define SI_MESGQ     (-3)
#define SIGEV_SIGNAL 0
#define SIGEV_NONE   1
#define SIGEV_THREAD 2

struct mqueue_message {
    struct list link;
    unsigned priority;
    size_t size;
    char bytes[];
};

struct mqueue {
    struct list all;
    struct list messages; /* by priority, the highest first */
    uint64_t count, most, size_most, bytes;
    uint64_t cost; /* of the user's limit */
    unsigned user;
    unsigned receivers; /* that sleep */
    uint64_t arrived;
    struct wait_queue changed;

    /* Who is to be told of a message that nobody waits for: once. */
    int owner;               /* pid; 0: nobody */
    uint64_t owner_since;    /* its start_time: a pid may be another process's later */
    unsigned owner_programs; /* a program that it has executed since has not asked */
    int notify, number;
    uint64_t value;
};

static struct list queues = LIST_INIT(queues);
static unsigned queue_count;
static struct filesystem filesystem = {.type = "mqueue", .magic = 0x19800202, .number = 0xffff};

/* The directory of all names. */
static struct inode *root(void)
{
    static struct inode *dir;
    if (!dir && (dir = inode_new(S_IFDIR | S_ISVTX | 0777))) {
        dir->parent = dir; /* so that it is no removed directory */
        inode_join(dir, &filesystem);
    }
    return dir;
}

static void mqueue_wake(struct mqueue *q)
{
    wait_wake(&q->changed);
    wait_wake(&poll_wait);
}

void mqueue_gone(struct inode *inode)
{
    struct mqueue *q = inode->mqueue;
    while (!list_empty(&q->messages)) {
        struct list *const first = q->messages.next;
        list_remove(first);
        heap_free(list_entry(first, struct mqueue_message, link));
    }
    list_remove(&q->all);
    queue_count--;
    heap_free(q);
}

/* ---- As files ---- */

static long mqueue_read(struct file *file, user_t to, size_t size)
{
    const struct mqueue *q = file->inode->mqueue;
    char text[STATUS_SIZE];
    const size_t n = print_to(text, sizeof(text), "QSIZE:%lu NOTIFY:%d SIGNO:%d NOTIFY_PID:%d\n",
                              q->bytes, q->owner ? q->notify : 0,
                              q->owner && q->notify == SIGEV_SIGNAL ? q->number : 0, q->owner);
    const size_t left = file->offset < n ? MIN(size, n - file->offset) : 0;
    if (user_write(to, text + file->offset, left))
        return -EFAULT;
    file->offset += left;
    return left;
}

static int mqueue_poll(struct file *file)
{
    const struct mqueue *q = file->inode->mqueue;
    return (q->count ? POLLIN : 0) | (q->count < q->most ? POLLOUT : 0);
}

static uint64_t mqueue_arrived(struct file *file)
{
    return file->inode->mqueue->arrived;
}

const struct file_ops mqueue_ops = {
    .read = mqueue_read, .poll = mqueue_poll, .arrived = mqueue_arrived};

void mqueue_closed(const struct file *file)
{
    if (file->inode->mqueue->owner == process_current()->pid)
        file->inode->mqueue->owner = 0;
}

/* ---- Making and finding them ---- */

struct linux_mq_attributes {
    int64_t flags, most, size_most, count, reserved[4];
};
_Static_assert(sizeof(struct linux_mq_attributes) == 64, "struct mq_attr");

static bool attributes_valid(const struct linux_mq_attributes *a)
{
    const bool root = access_capable(CAP_SYS_RESOURCE);
    return a->most > 0 && a->size_most > 0 &&
           a->most <= (root ? MESSAGES_HARD : MQUEUE_MESSAGES_MOST) &&
           a->size_most <= (int64_t)(root ? SIZE_HARD : MQUEUE_SIZE_MOST);
}

/* How many bytes @user's queues count for. */
static uint64_t cost_of(unsigned user)
{
    const struct mqueue *q;
    uint64_t sum = 0;
    list_for_each(q, &queues, all) sum += q->user == user ? q->cost : 0;
    return sum;
}

static int queue_new(const struct linux_mq_attributes *a, struct mqueue **made)
{
    const struct process *p = process_current();
    const unsigned user = p->credentials.user.real;
    if (queue_count >= MQUEUE_QUEUES_MOST && !access_capable(CAP_SYS_RESOURCE))
        return -ENOSPC;
    if (!attributes_valid(a))
        return -EINVAL;
    const uint64_t cost = a->most * (a->size_most + COST_MESSAGE) +
                          MIN((uint64_t)a->most, (uint64_t)PRIORITIES) * COST_PRIORITY;
    if (cost_of(user) + cost > p->limits[RLIMIT_MSGQUEUE].current)
        return -EMFILE;
    struct mqueue *q = heap_alloc_for(PAGE_FOR_FILE, sizeof(*q));
    if (!q)
        return -ENOMEM;
    q->most = a->most;
    q->size_most = a->size_most;
    q->cost = cost;
    q->user = user;
    wait_init(&q->changed);
    list_init(&q->messages);
    list_add(&q->all, &queues);
    queue_count++;
    *made = q;
    return 0;
}

static int mqueue_make(struct inode *dir, const char *name, unsigned mode,
                       const struct linux_mq_attributes *a, struct inode **made)
{
    struct mqueue *q;
    int rc = access_check(dir, MAY_WRITE | MAY_EXECUTE);
    if (!rc)
        rc = queue_new(a, &q);
    if (rc)
        return rc;
    rc = inode_new_in(dir, S_IFREG | (mode & 0777 & ~process_current()->places->umask), made);
    if (rc) {
        list_remove(&q->all);
        queue_count--;
        heap_free(q);
        return rc;
    }
    (*made)->mqueue = q;
    (*made)->ops = &mqueue_ops;
    (*made)->size = STATUS_SIZE;
    rc = dir_add(dir, name, *made);
    if (rc)
        inode_put(*made);
    return rc;
}

/* What open's flags want of a file. */
static unsigned mqueue_wanted(unsigned flags)
{
    return (flags & O_ACCMODE) == O_RDONLY   ? MAY_READ
           : (flags & O_ACCMODE) == O_WRONLY ? MAY_WRITE
                                             : MAY_READ | MAY_WRITE;
}

/* The queue @name, made if @flags say so and there is none: *found with a reference. */
static int mqueue_find(const char *name, unsigned flags, unsigned mode,
                       const struct linux_mq_attributes *a, struct inode **found)
{
    struct inode *dir = root();
    if (!dir)
        return -ENOMEM;
    const struct entry *e = dir_find(dir, name);
    if (!e)
        return flags & O_CREAT ? mqueue_make(dir, name, mode, a, found) : -ENOENT;
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if ((flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    *found = e->inode;
    const int rc = access_check(e->inode, mqueue_wanted(flags));
    if (!rc)
        inode_get(e->inode);
    return rc;
}

/* A queue's name, which the C library gives without the slash at its beginning. */
static int name_read(char name[NAME_MAX + 1], user_t from)
{
    const long n = user_read_text(name, from, NAME_MAX + 1);
    if (n <= 0)
        return n ? (int)n : -ENOENT;
    for (const char *c = name; *c; c++)
        if (*c == '/')
            return -EACCES;
    const bool dots = name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
    return dots ? -EACCES : 0;
}

/* mq_open(name, flags, mode, attributes) */
long syscall_mq_open(const struct syscall_args *a)
{
    struct linux_mq_attributes attributes = {.most = MQUEUE_MESSAGES_MOST,
                                             .size_most = MQUEUE_SIZE_MOST};
    char name[NAME_MAX + 1];
    struct inode *inode;
    struct file *file;
    const unsigned flags = a->arg[1] & QUEUE_MODE;
    if (a->arg[3] && user_read(&attributes, a->arg[3], sizeof(attributes)))
        return -EFAULT;
    int rc = name_read(name, a->arg[0]);
    if (!rc)
        rc = mqueue_find(name, flags, a->arg[2], &attributes, &inode);
    if (rc)
        return rc;
    rc = file_open(inode, flags & ~(unsigned)(O_CREAT | O_EXCL | O_CLOEXEC), &file);
    inode_put(inode);
    return rc ? rc : fd_open(file, true);
}

long syscall_mq_unlink(const struct syscall_args *a)
{
    char name[NAME_MAX + 1];
    int rc = name_read(name, a->arg[0]);
    if (rc)
        return rc;
    struct inode *dir = root();
    struct entry *e = dir ? dir_find(dir, name) : NULL;
    rc = e ? access_remove(dir, e->inode) : -ENOENT;
    if (!rc)
        dir_remove(dir, e);
    return rc;
}

/* The queue that the running process has open as @fd for @mode; NULL: it has not. */
static struct file *queue_file(int fd, unsigned mode)
{
    struct file *file = fd_file(fd);
    if (!file || file->ops != &mqueue_ops)
        return NULL;
    const unsigned opened = file->flags & O_ACCMODE;
    return mode == O_ACCMODE || opened == O_RDWR || opened == mode ? file : NULL;
}

/* ---- Sending and receiving ---- */

static int wait_change(struct file *file, uint64_t deadline)
{
    if (file->flags & O_NONBLOCK)
        return -EAGAIN;
    return wait_until(&file->inode->mqueue->changed, deadline);
}

/* Who has asked to be told, if that has not ended; NULL: nobody. */
static struct process *owner_of(const struct mqueue *q)
{
    struct process *p = q->owner ? process_find(q->owner) : NULL;
    return p && !p->zombie && p->start_time == q->owner_since ? p : NULL;
}

/*
 * A message has come into @q, which was empty, and nobody waits for it.  A program that has been executed since is sent
 * nothing: it may run as a user to whom who has asked must not send signals.
 */
static void mqueue_tell(struct mqueue *q)
{
    const struct process *self = process_current();
    struct process *p = owner_of(q);
    const struct signal_info info = {
        q->number,
        SI_MESGQ,
        {(uint64_t)self->credentials.user.real << 32 | (unsigned)self->pid, q->value}};
    if (p && p->programs == q->owner_programs && q->notify == SIGEV_SIGNAL && q->number)
        signal_send_info(p, &info);
    q->owner = 0;
}

static void mqueue_insert(struct mqueue *q, struct mqueue_message *m)
{
    struct mqueue_message *at;
    list_for_each(at, &q->messages, link)
    {
        if (at->priority < m->priority)
            break;
    }
    list_add_before(&m->link, &at->link);
    q->count++;
    q->bytes += m->size;
    q->arrived++;
    if (q->count == 1 && !q->receivers)
        mqueue_tell(q);
    mqueue_wake(q);
}

static int message_read(user_t from, size_t size, unsigned priority, struct mqueue_message **read)
{
    struct mqueue_message *m = heap_alloc_for(PAGE_FOR_FILE, sizeof(*m) + size);
    if (!m)
        return -ENOMEM;
    if (user_read(m->bytes, from, size)) {
        heap_free(m);
        return -EFAULT;
    }
    m->size = size;
    m->priority = priority;
    *read = m;
    return 0;
}

/* mq_timedsend(fd, message, size, priority, deadline) */
long syscall_mq_timedsend(const struct syscall_args *a)
{
    uint64_t deadline;
    struct mqueue_message *m;
    int rc = timespec_deadline(a->arg[4], true, true, &deadline);
    if (rc)
        return rc;
    if ((unsigned)a->arg[3] >= PRIORITIES)
        return -EINVAL;
    struct file *file = queue_file(a->arg[0], O_WRONLY);
    if (!file)
        return -EBADF;
    struct mqueue *q = file->inode->mqueue;
    rc = a->arg[2] > q->size_most ? -EMSGSIZE : message_read(a->arg[1], a->arg[2], a->arg[3], &m);
    if (rc)
        return rc;
    file_get(file);
    while (!rc && q->count >= q->most)
        rc = wait_change(file, deadline);
    if (rc)
        heap_free(m);
    else
        mqueue_insert(q, m);
    file_put(file);
    return rc;
}

static long message_write(const struct mqueue_message *m, user_t to, user_t priority)
{
    if (user_write(to, m->bytes, m->size))
        return -EFAULT;
    return priority && user_write(priority, &m->priority, sizeof(m->priority)) ? -EFAULT
                                                                               : (long)m->size;
}

/* Wait for a message and take it. */
static int message_take(struct file *file, uint64_t deadline, struct mqueue_message **taken)
{
    struct mqueue *q = file->inode->mqueue;
    int rc = 0;
    while (!rc && !q->count) {
        q->receivers++;
        rc = wait_change(file, deadline);
        q->receivers--;
    }
    if (rc)
        return rc;
    *taken = list_entry(q->messages.next, struct mqueue_message, link);
    list_remove(&(*taken)->link);
    q->count--;
    q->bytes -= (*taken)->size;
    mqueue_wake(q);
    return 0;
}

/* mq_timedreceive(fd, message, size, priority, deadline) */
long syscall_mq_timedreceive(const struct syscall_args *a)
{
    uint64_t deadline;
    struct mqueue_message *m;
    int rc = timespec_deadline(a->arg[4], true, true, &deadline);
    if (rc)
        return rc;
    struct file *file = queue_file(a->arg[0], O_RDONLY);
    if (!file)
        return -EBADF;
    if (a->arg[2] < file->inode->mqueue->size_most)
        return -EMSGSIZE;
    file_get(file);
    rc = message_take(file, deadline, &m);
    file_put(file);
    if (rc)
        return rc;
    const long n = message_write(m, a->arg[1], a->arg[3]);
    heap_free(m);
    return n;
}

/* ---- Notification and attributes ---- */

struct linux_sigevent {
    uint64_t value;
    int32_t number, notify, pad[12];
};
_Static_assert(sizeof(struct linux_sigevent) == 64, "struct sigevent");

/* mq_notify(fd, event) */
long syscall_mq_notify(const struct syscall_args *a)
{
    struct linux_sigevent e = {0};
    const struct process *const self = process_current();
    if (a->arg[1] && user_read(&e, a->arg[1], sizeof(e)))
        return -EFAULT;
    if (e.notify < SIGEV_SIGNAL || e.notify > SIGEV_THREAD ||
        (e.notify == SIGEV_SIGNAL && (unsigned)e.number > SIGNAL_COUNT))
        return -EINVAL;
    const struct file *file = queue_file(a->arg[0], O_ACCMODE);
    if (!file || e.notify == SIGEV_THREAD) /* for which there would have to be netlink sockets */
        return -EBADF;
    struct mqueue *q = file->inode->mqueue;
    if (!a->arg[1]) {
        if (q->owner == self->pid)
            q->owner = 0;
        return 0;
    }
    if (owner_of(q))
        return -EBUSY;
    q->owner = self->pid;
    q->owner_since = self->start_time;
    q->owner_programs = self->programs;
    q->notify = e.notify;
    q->number = e.number;
    q->value = e.value;
    return 0;
}

/* mq_getsetattr(fd, new, old) */
long syscall_mq_getsetattr(const struct syscall_args *a)
{
    struct linux_mq_attributes to = {0};
    if (a->arg[1] && user_read(&to, a->arg[1], sizeof(to)))
        return -EFAULT;
    if (to.flags & ~(int64_t)O_NONBLOCK)
        return -EINVAL;
    struct file *file = queue_file(a->arg[0], O_ACCMODE);
    if (!file)
        return -EBADF;
    const struct mqueue *q = file->inode->mqueue;
    const struct linux_mq_attributes now = {.flags = file->flags & O_NONBLOCK,
                                            .most = q->most,
                                            .size_most = q->size_most,
                                            .count = q->count};
    if (a->arg[1])
        file->flags = (file->flags & ~(unsigned)O_NONBLOCK) | (unsigned)to.flags;
    return a->arg[2] ? user_write(a->arg[2], &now, sizeof(now)) : 0;
}
