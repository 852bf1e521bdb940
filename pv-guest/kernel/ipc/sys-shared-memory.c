/*
 * System calls on System V's shared memory.
 *
 * A segment is a file without a name, and attaching it maps that file.  So its
 * areas are what holds it: one that was removed goes with the last of them.
 */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "ipc.h"
#include "page.h"
#include "proc.h"
#include "syscall.h"
#include "timer.h"

#define SHM_HUGETLB   04000
#define SHM_NORESERVE 010000
#define SHM_RDONLY    010000
#define SHM_ROUND     020000 /* SHM_RND */
#define SHM_REMAP     040000
#define SHM_EXEC      0100000
#define SHM_DEST      01000 /* of the mode: removed, and still attached */
#define SHM_LOCKED    02000

#define SHM_LOCK     11
#define SHM_UNLOCK   12
#define SHM_STAT     13
#define SHM_INFO     14
#define SHM_STAT_ANY 15

struct segment {
    struct ipc ipc;
    struct inode *inode;
    uint64_t size, attached, detached; /* times */
    int creator, last;                 /* pids */
};

static uint64_t pages_total;

static void segment_destroy(struct ipc *ipc)
{
    struct segment *s = container_of(ipc, struct segment, ipc);
    pages_total -= PAGES_FOR(s->size);
    s->inode->segment = NULL;
    inode_put(s->inode);
    heap_free(s);
}

static struct ipc_table segments = {.most = IPC_SEGMENTS_MOST, .destroy = segment_destroy};

static struct segment *segment_of(struct ipc *ipc)
{
    return ipc ? container_of(ipc, struct segment, ipc) : NULL;
}

/* Each area that shows it holds its inode, and so does the segment itself. */
static uint64_t attach_count(const struct segment *s)
{
    return s->inode->refs - 1;
}

void segment_mapped(struct inode *inode)
{
    struct segment *s = inode->segment;
    s->attached = clock_now();
    s->last = process_current()->pid;
}

void segment_unmapped(struct inode *inode)
{
    struct segment *s = inode->segment;
    s->detached = clock_now();
    s->last = process_current()->pid;
    if ((s->ipc.mode & SHM_DEST) && !attach_count(s))
        ipc_remove(&segments, &s->ipc);
}

static int shared_memory_check(const struct ipc *ipc, size_t size)
{
    return size > container_of(ipc, const struct segment, ipc)->size ? -EINVAL : 0;
}

static int shared_memory_create(const struct ipc_request *r, struct ipc **made)
{
    const uint64_t pages = PAGES_FOR(r->size);
    if (!r->size || r->size > IPC_SEGMENT_MOST)
        return -EINVAL;
    if (r->flags & SHM_HUGETLB)
        return access_capable(CAP_IPC_LOCK) ? -ENOMEM : -EPERM; /* there are no such pages */
    if (pages > page_count().total - MIN(pages_total, page_count().total) &&
        !(r->flags & SHM_NORESERVE))
        return -ENOMEM;
    if (r->size > 1ul << 40)
        return -ENOMEM;
    struct segment *s = heap_alloc(sizeof(*s));
    struct inode *inode = s ? inode_new(S_IFREG | (r->flags & 0777)) : NULL;
    if (!inode) {
        heap_free(s);
        return -ENOMEM;
    }
    inode->size = PAGES_FOR(r->size) * PAGE_SIZE;
    inode->segment = s;
    s->inode = inode;
    s->size = r->size;
    s->creator = process_current()->pid;
    pages_total += pages;
    *made = &s->ipc;
    return 0;
}

long syscall_shmget(const struct syscall_args *a)
{
    const struct ipc_request r = {a->arg[0], a->arg[2], a->arg[1]};
    return ipc_get(&segments, &r, shared_memory_check, shared_memory_create);
}

/* Where it goes: as asked, or anywhere; -EINVAL. */
static long shared_memory_place(struct space *space, uint64_t address, size_t size, unsigned flags)
{
    if (!address) {
        const uintptr_t gap = space_gap(space, size);
        return gap ? (long)gap : -ENOMEM;
    }
    if (address > USER_END - size || (!(flags & SHM_REMAP) && !space_is_free(space, address, size)))
        return -EINVAL;
    return address < USER_START ? -EPERM : (long)address;
}

/* shmat(id, address, flags) */
long syscall_shmat(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    struct segment *s = segment_of(ipc_find(&segments, a->arg[0]));
    const unsigned flags = a->arg[2];
    const uint64_t address = flags & SHM_ROUND ? a->arg[1] & PAGE_MASK : a->arg[1];
    if (!s || address % PAGE_SIZE || (!address && (flags & SHM_REMAP)))
        return -EINVAL;
    const bool execute = flags & SHM_EXEC, write = !(flags & SHM_RDONLY);
    if (!ipc_allowed(&s->ipc, IPC_READ | (write ? IPC_WRITE : 0) | (execute ? 0111 : 0)))
        return -EACCES;
    struct inode *const inode = s->inode;
    const size_t size = inode->size;
    if (!memory_allowed(space, size))
        return -ENOMEM;
    const long start = shared_memory_place(space, address, size, flags);
    if (start < 0)
        return start;
    inode_get(inode); /* what SHM_REMAP replaces may be all that a removed segment still has */
    const int rc = space_map(space, start, size,
                             PROT_READ | (write ? PROT_WRITE : 0) | (execute ? PROT_EXEC : 0),
                             write ? SHARING_ALL : SHARING_READ_ONLY, inode, 0);
    if (!rc)
        segment_mapped(inode);
    inode_put(inode);
    if (rc && (s->ipc.mode & SHM_DEST) && !attach_count(s))
        ipc_remove(&segments, &s->ipc);
    return rc ? rc : start;
}

/* The segment of which an area at @address shows the beginning; other areas of it may follow. */
static struct inode *segment_at(struct space *space, uintptr_t address)
{
    const struct area *area = area_find(space, address);
    return area && area->file && area->file->segment && area->start == address && !area->offset
               ? area->file
               : NULL;
}

long syscall_shmdt(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const uintptr_t start = a->arg[0];
    struct inode *inode = start % PAGE_SIZE ? NULL : segment_at(space, start);
    if (!inode)
        return -EINVAL;
    const uintptr_t end = start + inode->size;
    uintptr_t at = start;
    int rc = 0;
    inode_get(inode); /* so that it is not freed under us */
    while (!rc && at < end) {
        const struct area *area = area_find(space, at);
        const uintptr_t next = area ? MIN(area->end, end) : at + PAGE_SIZE;
        if (area && area->file == inode && area->offset + (at - area->start) == at - start)
            rc = space_unmap(space, at, next - at);
        at = next;
    }
    const bool ends = inode->segment && inode->refs == 2;
    inode_put(inode);
    if (ends)
        segment_unmapped(inode);
    return rc;
}

/* struct shmid64_ds */
struct linux_segment {
    struct linux_ipc ipc;
    uint64_t size, attached, detached, changed;
    int32_t creator, last;
    uint64_t count, unused[2];
};
_Static_assert(sizeof(struct linux_segment) == 112, "struct shmid64_ds");

static uint64_t resident(void)
{
    struct ipc *ipc;
    unsigned place;
    uint64_t sum = 0;
    for_each_ipc(ipc, place, &segments) sum += segment_of(ipc)->inode->page_count;
    return sum;
}

static long tell_limits(bool used, user_t to)
{
    /* shmmax, shmmin, shmmni, shmseg, shmall */
    const uint64_t limits[9] = {IPC_SEGMENT_MOST, 1, IPC_SEGMENTS_MOST, IPC_SEGMENTS_MOST,
                                IPC_SEGMENT_MOST};
    /* how many, pages in all, in memory, swapped; two counts of swapping */
    const uint64_t use[6] = {segments.used, pages_total, resident()};
    const int rc = used ? user_write(to, use, sizeof(use)) : user_write(to, limits, sizeof(limits));
    return rc ? -EFAULT : ipc_last_place(&segments);
}

static void shared_memory_tell(const struct ipc *ipc, void *to)
{
    const struct segment *s = container_of(ipc, const struct segment, ipc);
    struct linux_segment *told = to;
    told->size = s->size;
    told->attached = ipc_seconds(s->attached);
    told->detached = ipc_seconds(s->detached);
    told->changed = ipc_seconds(s->ipc.changed);
    told->creator = s->creator;
    told->last = s->last;
    told->count = attach_count(s);
}

static void shared_memory_remove(struct ipc *ipc)
{
    struct segment *s = segment_of(ipc);
    if (!attach_count(s)) {
        ipc_remove(&segments, ipc);
        return;
    }
    ipc->mode |= SHM_DEST; /* nobody finds it by its key from now on */
    ipc->key = 0;
}

/* Nothing leaves memory anyway: it is told, no more. */
static long shared_memory_lock(struct segment *s, bool on)
{
    const struct process *p = process_current();
    const unsigned uid = p->credentials.user.effective;
    if (!access_capable(CAP_IPC_LOCK)) {
        if (uid != s->ipc.uid && uid != s->ipc.creator_uid)
            return -EPERM;
        if (on && !p->limits[RLIMIT_MEMLOCK].current)
            return -EPERM;
    }
    s->ipc.mode = on ? s->ipc.mode | SHM_LOCKED : s->ipc.mode & ~(unsigned)SHM_LOCKED;
    return 0;
}

static long lock_command(struct ipc *ipc, const struct ipc_command *c)
{
    return c->command == SHM_LOCK || c->command == SHM_UNLOCK
               ? shared_memory_lock(segment_of(ipc), c->command == SHM_LOCK)
               : -EINVAL;
}

/* shmctl(id, command, buffer) */
long syscall_shmctl(const struct syscall_args *a)
{
    static const struct ipc_kind kind = {.table = &segments,
                                         .stat = SHM_STAT,
                                         .size = sizeof(struct linux_segment),
                                         .tell_limits = tell_limits,
                                         .tell = shared_memory_tell,
                                         .remove = shared_memory_remove,
                                         .other = lock_command};
    const struct ipc_command c = {a->arg[0], a->arg[1], 0, a->arg[2]};
    return ipc_control(&kind, &c);
}

int segment_key(const struct inode *inode)
{
    return ((const struct segment *)inode->segment)->ipc.key;
}

void proc_ipc_segments(struct text_buffer *out, const struct process *p, const struct task *task)
{
    struct ipc *ipc;
    unsigned place;
    text_add(out,
             "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  "
             "cuid  cgid      atime      dtime      ctime                   rss                  "
             "swap\n");
    for_each_ipc(ipc, place, &segments)
    {
        const struct segment *s = segment_of(ipc);
        text_add(out, "%10d %10d  %4o %21lu %5d %5d  %5lu %5u %5u %5u %5u ", ipc->key, ipc->id,
                 ipc->mode, s->size, s->creator, s->last, attach_count(s), ipc->uid, ipc->gid,
                 ipc->creator_uid, ipc->creator_gid);
        text_add(out, "%10lu %10lu %10lu %21lu %21u\n", ipc_seconds(s->attached),
                 ipc_seconds(s->detached), ipc_seconds(ipc->changed),
                 s->inode->page_count * PAGE_SIZE, 0);
    }
}
