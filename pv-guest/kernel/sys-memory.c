/* System calls about memory. */
#include "errno.h"
#include "file.h"
#include "space.h"
#include "syscall.h"
#include "task.h"

static uintptr_t page_up(uintptr_t x)
{
    return ROUND_UP(x, PAGE_SIZE);
}

long syscall_brk(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const uintptr_t wanted = a->arg[0], now = page_up(space->brk), then = page_up(wanted);
    int rc = 0;

    if (wanted < space->brk_start || wanted >= USER_MAP_TOP)
        return space->brk;
    if (then > now && !space_is_free(space, now, then - now))
        return space->brk;
    if (then > now)
        rc = space_map(space, now, then - now, PROT_READ | PROT_WRITE, false, NULL, 0);
    else if (then < now)
        rc = space_unmap(space, then, now - then);
    if (!rc)
        space->brk = wanted;
    return space->brk;
}

/* Where a mapping goes: as asked if it must or can, else the highest gap. */
static uintptr_t place(struct space *space, uintptr_t hint, size_t size, unsigned flags)
{
    if (flags & (MAP_FIXED | MAP_NOREPLACE))
        return hint;
    hint &= PAGE_MASK;
    if (hint >= USER_START && hint < USER_END && size < USER_END - hint &&
        space_is_free(space, hint, size))
        return hint;
    return space_gap(space, size);
}

/* What backs a mapping: *file with a reference, or NULL for zeroes of one's own. */
static int backing(const struct syscall_args *a, struct inode **file)
{
    const unsigned flags = a->arg[3];
    *file = NULL;
    if ((flags & MAP_ANONYMOUS) && (flags & MAP_PRIVATE))
        return 0;
    if (flags & MAP_ANONYMOUS) {
        /* Shared with children: a file without a name. */
        *file = inode_new(S_IFREG);
        if (*file)
            (*file)->size = page_up(a->arg[1]);
        return *file ? 0 : -ENOMEM;
    }
    struct file *f = fd_file(a->arg[4]);
    if (!f)
        return -EBADF;
    if (!f->inode || !inode_is(f->inode, S_IFREG))
        return -ENODEV;
    if ((f->flags & O_ACCMODE) == O_WRONLY ||
        ((flags & MAP_SHARED) && (a->arg[2] & PROT_WRITE) && (f->flags & O_ACCMODE) != O_RDWR))
        return -EACCES;
    inode_get(f->inode);
    *file = f->inode;
    return 0;
}

long syscall_mmap(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const size_t size = page_up(a->arg[1]);
    const unsigned flags = a->arg[3];
    struct inode *file;

    if (!a->arg[1] || a->arg[5] % PAGE_SIZE || !(flags & (MAP_SHARED | MAP_PRIVATE)))
        return -EINVAL;
    if (size < a->arg[1] || size > USER_END)
        return -ENOMEM;
    const uintptr_t start = place(space, a->arg[0], size, flags);
    if (!start)
        return -ENOMEM;
    if ((flags & MAP_NOREPLACE) && !space_is_free(space, start, size))
        return -EEXIST;
    int rc = backing(a, &file);
    if (rc)
        return rc;
    rc = space_map(space, start, size, a->arg[2] & 7, flags & MAP_SHARED, file, a->arg[5]);
    if (file)
        inode_put(file);
    return rc ? rc : (long)start;
}

long syscall_munmap(const struct syscall_args *a)
{
    return space_unmap(task_current()->space, a->arg[0], page_up(a->arg[1]));
}

long syscall_mprotect(const struct syscall_args *a)
{
    if (!a->arg[1])
        return 0;
    return space_protect(task_current()->space, a->arg[0], page_up(a->arg[1]), a->arg[2] & 7);
}

/* Advice is not taken; shared mappings are the file, so there is nothing to write back. */
long syscall_madvise(const struct syscall_args *a)
{
    return a->arg[2] == 4 ? -EINVAL : 0; /* MADV_DONTNEED promises zeroes: say no */
}

long syscall_msync(const struct syscall_args *a)
{
    return 0;
}
