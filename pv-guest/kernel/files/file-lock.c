/*
 * Advisory locks.
 *
 * Two kinds that do not see each other: fcntl's cover ranges of bytes and belong to whoever shares a table of descriptors,
 * or (F_OFD_SETLK) to an open file; flock's cover the whole and belong to an open file.  All stand in one list, for there
 * are never many.
 */
#include "errno.h"
#include "file-lock.h"
#include "heap.h"
#include "process.h"

struct lock {
    struct list link;
    struct inode *inode; /* without a reference: who has the lock has it open */
    const void *owner;   /* struct files or, for flock, struct file */
    uint64_t start, end; /* [start, end) */
    bool exclusive;
    bool whole;   /* flock's */
    bool of_file; /* F_OFD_SETLK's */
    int pid;
};

static struct list locks = LIST_INIT(locks);
static struct wait_queue released = WAIT_QUEUE_INIT(released);

/* Who waits for a lock, as long as it does. */
struct waiter {
    struct list link;
    const struct lock *wanted;
};
static struct list waiters = LIST_INIT(waiters);

static bool overlap(const struct lock *a, const struct lock *b)
{
    return a->inode == b->inode && a->whole == b->whole && a->start < b->end && b->start < a->end;
}

static struct lock *conflict(const struct lock *wanted)
{
    struct lock *l;
    list_for_each(l, &locks, link)
    {
        if (overlap(l, wanted) && l->owner != wanted->owner && (l->exclusive || wanted->exclusive))
            return l;
    }
    return NULL;
}

static void lock_free(struct lock *l)
{
    list_remove(&l->link);
    heap_free(l);
}

static struct lock *lock_copy(const struct lock *from)
{
    struct lock *l = heap_alloc(sizeof(*l));
    if (!l)
        return NULL;
    *l = *from;
    list_add(&l->link, &locks);
    return l;
}

/* Take [what->start, what->end) out of what its owner has. */
static int clear(const struct lock *what)
{
    struct lock *l, *after;
    list_for_each_safe(l, after, &locks, link)
    {
        if (!overlap(l, what) || l->owner != what->owner)
            continue;
        if (l->start < what->start && l->end > what->end) {
            struct lock *upper = lock_copy(l);
            if (!upper)
                return -ENOMEM;
            upper->start = what->end;
            l->end = what->start;
        } else if (l->start < what->start) {
            l->end = what->start;
        } else if (l->end > what->end) {
            l->start = what->end;
        } else {
            lock_free(l);
        }
    }
    wait_wake(&released);
    return 0;
}

/* What @owner waits for, if it does. */
static const struct lock *waited_for(const void *owner)
{
    const struct waiter *w;
    list_for_each(w, &waiters, link)
    {
        if (w->wanted->owner == owner)
            return w->wanted;
    }
    return NULL;
}

#define CHAIN_MOST 10 /* as far as a circle is looked for */

/* Does who has what @wanted asks for wait, by way of others maybe, for something that its owner has? */
static bool deadlock(const struct lock *wanted)
{
    const struct lock *next = wanted;
    for (unsigned i = 0; next && i < CHAIN_MOST; i++) {
        const struct lock *in_the_way = conflict(next);
        if (in_the_way && in_the_way->owner == wanted->owner)
            return true;
        next = in_the_way ? waited_for(in_the_way->owner) : NULL;
    }
    return false;
}

static int wait_for_release(const struct lock *wanted)
{
    struct waiter w = {.wanted = wanted};
    if (!wanted->whole && deadlock(wanted))
        return -EDEADLK;
    list_add(&w.link, &waiters);
    const int rc = wait_until(&released, FOREVER);
    list_remove(&w.link);
    return rc;
}

static int file_lock_set(const struct lock *wanted, bool wait)
{
    while (conflict(wanted)) {
        const int rc = wait ? wait_for_release(wanted) : -EAGAIN;
        if (rc)
            return rc;
    }
    const int rc = clear(wanted);
    return rc ? rc : lock_copy(wanted) ? 0 : -ENOMEM;
}

struct linux_flock {
    int16_t type, whence;
    int64_t start, length;
    int32_t pid;
};
#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2

/* What @f asks for, as a lock of the running process. */
static int wanted_lock(const struct file *file, const struct linux_flock *f, struct lock *lock)
{
    const int64_t base = f->whence == 0   ? 0
                         : f->whence == 1 ? (int64_t)file->offset
                         : f->whence == 2 ? (int64_t)file->inode->size
                                          : -1;
    int64_t start = base + f->start, length = f->length;
    if (length < 0) {
        start += length;
        length = -length;
    }
    if (base < 0 || start < 0 || f->type < F_RDLCK || f->type > F_UNLCK)
        return -EINVAL;
    *lock = (struct lock){.inode = file->inode,
                          .owner = task_current()->files,
                          .start = start,
                          .end = length ? start + length : ~0ul,
                          .exclusive = f->type == F_WRLCK,
                          .pid = process_current()->pid};
    return 0;
}

static void file_lock_describe(const struct lock *l, struct linux_flock *f)
{
    f->type = F_UNLCK;
    if (!l)
        return;
    f->type = l->exclusive ? F_WRLCK : F_RDLCK;
    f->whence = 0;
    f->start = l->start;
    f->length = l->end == ~0ul ? 0 : l->end - l->start;
    f->pid = l->of_file ? -1 : l->pid;
}

long record_lock(struct file *file, unsigned command, user_t arg)
{
    struct linux_flock f;
    struct lock wanted;
    if (user_read(&f, arg, sizeof(f)))
        return -EFAULT;
    if (!file->inode)
        return -EINVAL;
    const int rc = wanted_lock(file, &f, &wanted);
    if (rc)
        return rc;
    if (command >= F_OFD_GETLK) {
        if (f.pid)
            return -EINVAL;
        wanted.owner = file;
        wanted.of_file = file->locked = true;
        command -= F_OFD_GETLK - F_GETLK;
    }
    if (command == F_GETLK && f.type == F_UNLCK)
        return -EINVAL;
    if (command == F_GETLK) {
        file_lock_describe(conflict(&wanted), &f);
        return user_write(arg, &f, sizeof(f));
    }
    const unsigned mode = file->flags & O_ACCMODE;
    if ((f.type == F_RDLCK && mode == O_WRONLY) || (f.type == F_WRLCK && mode == O_RDONLY))
        return -EBADF;
    return f.type == F_UNLCK ? clear(&wanted) : file_lock_set(&wanted, command == F_SETLKW);
}

void record_locks_drop(struct files *files, const struct file *file)
{
    const struct lock all = {.inode = file->inode, .owner = files, .end = ~0ul};
    if (file->inode && !list_empty(&locks))
        (void)clear(&all);
}

#define LOCK_SH 1
#define LOCK_EX 2
#define LOCK_NB 4
#define LOCK_UN 8

long file_lock(struct file *file, unsigned operation)
{
    struct lock wanted = {.inode = file->inode,
                          .owner = file,
                          .end = ~0ul,
                          .whole = true,
                          .exclusive = operation & LOCK_EX,
                          .pid = process_current()->pid};
    const unsigned kind = operation & ~LOCK_NB;
    if (!file->inode || (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN))
        return -EINVAL;
    if (kind == LOCK_UN)
        return clear(&wanted);
    file->locked = true;
    return file_lock_set(&wanted, !(operation & LOCK_NB));
}

void file_locks_drop(struct file *file)
{
    struct lock all = {.inode = file->inode, .owner = file, .end = ~0ul, .whole = true};
    (void)clear(&all);
    all.whole = false;
    (void)clear(&all);
}
