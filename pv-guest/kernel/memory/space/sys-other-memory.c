/*
 * System calls that read and write another process's memory.
 *
 * The caller borrows that process's address space for as long as a page takes to
 * copy.  What a touch of it would have to do there is done first: a fault in a
 * borrowed space would take it for the caller's own, and without memory end the
 * caller for what the other process has.
 */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "platform/platform.h"
#include "process.h"
#include "signal.h"
#include "syscall.h"
#include "transfer.h"

static void enter(struct space *space)
{
    task_current()->space = space;
    space_load(space);
    platform_commit();
}

/* @size bytes at @at of @space, of which the caller holds a reference, from or to @kernel. */
static int copy_there(struct space *space, void *kernel, user_t at, size_t size, bool write)
{
    struct space *const own = task_current()->space;
    enter(space);
    int rc = space_fault(space, at, write ? PROT_WRITE : PROT_READ) ? -EFAULT : 0;
    if (!rc)
        rc = write ? user_write(at, kernel, size) : user_read(kernel, at, size);
    enter(own);
    return rc;
}

/* A list of pieces of memory, and where in it we are. */
struct pieces {
    struct linux_iovec *list;
    unsigned count, at;
    size_t offset;
};

static int pieces_read(struct pieces *p, user_t from, uint64_t count)
{
    *p = (struct pieces){.count = count};
    if (count > IOV_MAX)
        return -EINVAL;
    p->list = heap_alloc(MAX(count, 1ul) * sizeof(*p->list));
    if (!p->list)
        return -ENOMEM;
    if (user_read(p->list, from, count * sizeof(*p->list)))
        return -EFAULT;
    for (unsigned i = 0; i < count; i++)
        if ((int64_t)p->list[i].size < 0)
            return -EINVAL;
    return 0;
}

/* How much of the piece in hand is left; 0: there is none. */
static size_t left(struct pieces *p)
{
    while (p->at < p->count && p->offset == p->list[p->at].size) {
        p->at++;
        p->offset = 0;
    }
    return p->at < p->count ? p->list[p->at].size - p->offset : 0;
}

static user_t address(const struct pieces *p)
{
    return p->list[p->at].base + p->offset;
}

/* Copy from piece to piece, never across a page of the other process. */
static long copy(struct space *space, struct pieces *own, struct pieces *other, bool write)
{
    size_t done = 0;
    char *bounce = heap_alloc(PAGE_SIZE);
    int rc = bounce ? 0 : -ENOMEM;
    while (!rc && left(own) && left(other) && done < TRANSFER_MOST) {
        if (done && signal_waiting(task_current()))
            break;
        const user_t here = address(own), there = address(other);
        const size_t n = MIN(MIN(left(own), left(other)),
                             MIN(PAGE_SIZE - there % PAGE_SIZE, TRANSFER_MOST - done));
        rc = write ? user_read(bounce, here, n) : copy_there(space, bounce, there, n, false);
        if (!rc)
            rc = write ? copy_there(space, bounce, there, n, true) : user_write(here, bounce, n);
        if (rc)
            break;
        own->offset += n;
        other->offset += n;
        done += n;
        sched_point();
    }
    heap_free(bounce);
    return done ? (long)done : rc;
}

static long copy_process(int pid, struct pieces *own, struct pieces *other, bool write)
{
    if (!left(own) || !left(other))
        return 0;
    const struct task *t = task_find(pid);
    struct space *space = t && t->process ? t->space : NULL;
    if (!space)
        return -ESRCH;
    if (!access_look(t->process))
        return -EPERM;
    space_get(space);
    const long n = copy(space, own, other, write);
    space_put(space);
    return n;
}

/* process_vm_*(pid, own pieces, count, other's pieces, count, flags) */
static long other_memory_transfer(const struct syscall_args *a, bool write)
{
    struct pieces own = {0}, other = {0};
    if (a->arg[5])
        return -EINVAL;
    long rc = pieces_read(&own, a->arg[1], a->arg[2]);
    if (!rc && left(&own))
        rc = pieces_read(&other, a->arg[3], a->arg[4]);
    if (!rc)
        rc = copy_process(a->arg[0], &own, &other, write);
    heap_free(own.list);
    heap_free(other.list);
    return rc;
}

long syscall_process_vm_readv(const struct syscall_args *a)
{
    return other_memory_transfer(a, false);
}

long syscall_process_vm_writev(const struct syscall_args *a)
{
    return other_memory_transfer(a, true);
}
