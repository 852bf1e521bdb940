/* Leases on open files, as fcntl gives them. */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "lease.h"
#include "notice.h"
#include "platform/platform.h"
#include "process.h"

enum { READ_LEASE = 0, WRITE_LEASE = 1, NO_LEASE = 2 }; /* F_RDLCK, F_WRLCK, F_UNLCK */

#define BREAK_TIME (45 * 1000000000ul) /* a holder that does not answer has lost it */

struct lease {
    struct list link;
    struct file *file;
    unsigned kind, target; /* target: what it has to become; the same unless it is being broken */
};

static struct list leases = LIST_INIT(leases);
static struct wait_queue changed = WAIT_QUEUE_INIT(changed);

static struct lease *lease_find(const struct file *file)
{
    struct lease *l;
    list_for_each(l, &leases, link)
    {
        if (l->file == file)
            return l;
    }
    return NULL;
}

static void lease_free(struct lease *l)
{
    l->file->leased = false;
    list_remove(&l->link);
    heap_free(l);
    wait_wake(&changed);
}

/* Is @file's inode open otherwise, for writing or (@any) at all? */
static bool open_elsewhere(const struct file *file, bool any)
{
    const struct task *t;
    for_each_task(t)
    {
        for (int fd = 0; t->files && fd < t->files->end; fd++) {
            const struct file *other = t->files->table[fd];
            if (!other || other->inode != file->inode || (other->flags & O_PATH))
                continue;
            if ((any && other != file) || (!any && (other->flags & O_ACCMODE) != O_RDONLY))
                return true;
        }
    }
    return false;
}

long lease_set(struct file *file, unsigned kind)
{
    struct lease *l = lease_find(file);
    if (kind > NO_LEASE || !file->inode || !inode_is(file->inode, S_IFREG))
        return -EINVAL;
    if (access_own(file->inode) == -EPERM)
        return -EACCES;
    if (kind == NO_LEASE) {
        if (l)
            lease_free(l);
        return l ? 0 : -EAGAIN;
    }
    if (open_elsewhere(file, kind == WRITE_LEASE))
        return -EAGAIN;
    if (!l && !(l = heap_alloc(sizeof(*l))))
        return -ENOMEM;
    if (!file->leased)
        list_add(&l->link, &leases);
    l->file = file;
    l->kind = l->target = kind;
    file->leased = true;
    if (!file->owner)
        file->owner = process_current()->pid;
    wait_wake(&changed);
    return 0;
}

long lease_of(const struct file *file)
{
    const struct lease *l = lease_find(file);
    return l ? l->target : NO_LEASE;
}

void lease_gone(struct file *file)
{
    lease_free(lease_find(file));
}

/* A lease on @inode that does not go with a use that leaves others @left. */
static struct lease *in_the_way(const struct inode *inode, unsigned left)
{
    struct lease *l;
    list_for_each(l, &leases, link)
    {
        if (l->file->inode == inode && l->kind != left &&
            (l->kind == WRITE_LEASE || left == NO_LEASE))
            return l;
    }
    return NULL;
}

int lease_break(struct inode *inode, unsigned flags)
{
    struct lease *l;
    const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    const unsigned left = writes ? NO_LEASE : READ_LEASE;
    if (list_empty(&leases))
        return 0;
    const uint64_t deadline = platform_time() + BREAK_TIME;
    while ((l = in_the_way(inode, left))) {
        if (l->target == l->kind) {
            l->target = left;
            notice_tell(l->file);
        }
        if (flags & O_NONBLOCK)
            return -EAGAIN;
        const int rc = wait_until(&changed, deadline);
        if (rc == -ETIMEDOUT && (l = in_the_way(inode, left)))
            lease_free(l);
        else if (rc)
            return rc;
    }
    return 0;
}
