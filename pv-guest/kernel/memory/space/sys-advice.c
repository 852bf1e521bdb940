/* System calls that say how memory is going to be used: advice, and what is to stay in memory. */
#include "credentials.h"
#include "errno.h"
#include "inode.h"
#include "process.h"
#include "space.h"
#include "syscall.h"
#include "task.h"

enum advice {
    MADV_WILLNEED = 3,
    MADV_DONTNEED = 4,
    MADV_FREE = 8,
    MADV_REMOVE = 9,
    MADV_DONTFORK = 10,
    MADV_DOFORK = 11,
    MADV_MERGEABLE = 12,
    MADV_UNMERGEABLE = 13,
    MADV_HUGEPAGE = 14,
    MADV_NOHUGEPAGE = 15,
    MADV_DONTDUMP = 16,
    MADV_DODUMP = 17,
    MADV_WIPEONFORK = 18,
    MADV_KEEPONFORK = 19,
    MADV_COLD = 20,
    MADV_PAGEOUT = 21,
    MADV_POPULATE_READ = 22,
    MADV_POPULATE_WRITE = 23,
    MADV_DONTNEED_LOCKED = 24,
};

/* Is all of the range private memory of the process, behind which there is no file? */
static bool is_anonymous(struct space *space, uintptr_t start, size_t size)
{
    for (uintptr_t at = start; at < start + size; at = area_find(space, at)->end)
        if (area_find(space, at)->file)
            return false;
    return true;
}

/* Punch a hole into the files that are mapped there. */
static int advice_remove(struct space *space, uintptr_t start, size_t size)
{
    for (uintptr_t at = start; at < start + size;) {
        const struct area *area = area_find(space, at);
        const uintptr_t end = MIN(area->end, start + size);
        if ((area->flags & AREA_LOCKED) || !area->file)
            return -EINVAL;
        if (!area->shared || !(area->protection & PROT_WRITE))
            return -EACCES;
        const uint64_t offset = area->offset + (at - area->start);
        const int rc = inode_punch(area->file, offset,
                                   MIN(offset + (end - at), MAX(area->file->size, offset)));
        if (rc)
            return rc;
        at = end;
    }
    return 0;
}

static int populate(struct space *space, uintptr_t start, size_t size, unsigned access)
{
    for (uintptr_t at = start; at < start + size; at = area_find(space, at)->end)
        if (!(area_find(space, at)->protection & access))
            return -EINVAL;
    return space_populate(space, start, size);
}

static long advise(struct space *space, uintptr_t start, size_t size, enum advice advice)
{
    if (space_marked(space, start, size, AREA_FOREIGN))
        return advice == MADV_DONTFORK || advice == MADV_DONTDUMP ? 0 : -EINVAL;
    switch (advice) {
    case MADV_DONTNEED:
        return space_marked(space, start, size, AREA_LOCKED) ? -EINVAL
                                                             : space_drop(space, start, size);
    case MADV_DONTNEED_LOCKED:
        return space_drop(space, start, size);
    case MADV_FREE: /* may be taken at once, or never */
        return space_marked(space, start, size, AREA_LOCKED) || !is_anonymous(space, start, size)
                   ? -EINVAL
                   : 0;
    case MADV_REMOVE:
        return advice_remove(space, start, size);
    case MADV_DONTFORK:
        return space_mark(space, start, size, AREA_NO_FORK, 0);
    case MADV_DOFORK:
        return space_mark(space, start, size, 0, AREA_NO_FORK);
    case MADV_WIPEONFORK:
        return is_anonymous(space, start, size) ? space_mark(space, start, size, AREA_WIPE, 0)
                                                : -EINVAL;
    case MADV_KEEPONFORK:
        return space_mark(space, start, size, 0, AREA_WIPE);
    case MADV_COLD:
    case MADV_PAGEOUT:
        return space_marked(space, start, size, AREA_LOCKED) ? -EINVAL : 0;
    case MADV_POPULATE_READ:
        return populate(space, start, size, PROT_READ | PROT_EXEC);
    case MADV_POPULATE_WRITE:
        return populate(space, start, size, PROT_WRITE);
    default: /* makes no difference here */
        return 0;
    }
}

static bool advice_known(unsigned advice)
{
    return advice <= MADV_DONTNEED || (advice >= MADV_FREE && advice <= MADV_DONTNEED_LOCKED);
}

/* Is some of the range mapped, [start, *end) being the first piece of it from @at on? */
static bool next_piece(struct space *space, uintptr_t *at, uintptr_t limit, uintptr_t *end)
{
    const struct area *area;
    list_for_each(area, &space->areas, link)
    {
        if (area->end <= *at)
            continue;
        *at = MAX(*at, area->start);
        *end = MIN(area->end, limit);
        return *at < limit;
    }
    return false;
}

/* What is mapped follows the advice, even if there are holes, which are told afterwards. */
long syscall_madvise(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const uintptr_t start = a->arg[0];
    const size_t size = ROUND_UP(a->arg[1], PAGE_SIZE);
    if (start % PAGE_SIZE || size < a->arg[1] || start + size < start || !advice_known(a->arg[2]))
        return -EINVAL;
    if (space_is_mapped(space, start, size))
        return size ? advise(space, start, size, a->arg[2]) : 0;
    uintptr_t at = start, end;
    while (next_piece(space, &at, start + size, &end)) {
        const long rc = advise(space, at, end - at, a->arg[2]);
        if (rc)
            return rc;
        at = end;
    }
    return -ENOMEM;
}

/* May the running process lock @more bytes? */
static int may_lock(struct space *space, size_t more)
{
    const uint64_t limit = process_current()->limits[RLIMIT_MEMLOCK].current;
    if (access_capable(CAP_IPC_LOCK))
        return 0;
    if (!limit)
        return -EPERM;
    return space_size_marked(space, AREA_LOCKED) + more > limit ? -ENOMEM : 0;
}

static long advice_lock(const struct syscall_args *a, bool on_fault)
{
    struct space *const space = task_current()->space;
    uintptr_t start;
    size_t size;
    int rc = mapped_range(a, &start, &size);
    const int allowed = may_lock(space, a->arg[1]);
    if (allowed == -EPERM || !rc)
        rc = allowed;
    if (!rc)
        rc = space_mark(space, start, size, AREA_LOCKED, 0);
    return rc || on_fault ? rc : space_populate(space, start, size);
}

/* Nothing is ever swapped out: what is there stays. */
long syscall_mlock(const struct syscall_args *a)
{
    return advice_lock(a, false);
}

#define MLOCK_ONFAULT 1

long syscall_mlock2(const struct syscall_args *a)
{
    return a->arg[2] & ~(uint64_t)MLOCK_ONFAULT ? -EINVAL : advice_lock(a, a->arg[2]);
}

long syscall_munlock(const struct syscall_args *a)
{
    uintptr_t start;
    size_t size;
    const int rc = mapped_range(a, &start, &size);
    return rc ? rc : space_mark(task_current()->space, start, size, 0, AREA_LOCKED);
}

#define MCL_CURRENT 1
#define MCL_FUTURE  2
#define MCL_ONFAULT 4

long syscall_mlockall(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const unsigned flags = a->arg[0];
    if (!(flags & (MCL_CURRENT | MCL_FUTURE)) ||
        (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))
        return -EINVAL;
    const int rc = may_lock(space, flags & MCL_CURRENT ? space_size(space) : 0);
    if (rc)
        return rc;
    space->lock_future = flags & MCL_FUTURE;
    return flags & MCL_CURRENT
               ? space_mark(space, USER_START, USER_END - USER_START, AREA_LOCKED, 0)
               : 0;
}

long syscall_munlockall(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    space->lock_future = false;
    return space_mark(space, USER_START, USER_END - USER_START, 0, AREA_LOCKED);
}
