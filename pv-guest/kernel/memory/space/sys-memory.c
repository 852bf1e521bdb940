/* System calls about memory. */
#include "errno.h"
#include "file.h"
#include "process.h"
#include "space.h"
#include "syscall.h"
#include "task.h"

static uintptr_t page_up(uintptr_t x)
{
    return ROUND_UP(x, PAGE_SIZE);
}

/* May the process map @more bytes? */
bool memory_allowed(struct space *space, size_t more)
{
    const uint64_t limit = process_current()->limits[RLIMIT_AS].current;
    return limit == ~0ul || space_size(space) + more <= limit;
}

long syscall_brk(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const uintptr_t wanted = a->arg[0], now = page_up(space->brk), then = page_up(wanted);
    int rc = 0;

    if (wanted < space->brk_start || wanted >= USER_MAP_TOP)
        return space->brk;
    if (then > now &&
        (!space_is_free(space, now, then - now) || !memory_allowed(space, then - now)))
        return space->brk;
    if (then > now)
        rc = space_map(space, now, then - now, PROT_READ | PROT_WRITE, SHARING_NONE, NULL, 0);
    else if (then < now)
        rc = space_unmap(space, then, now - then);
    if (!rc)
        space->brk = wanted;
    return space->brk;
}

/* Where a mapping goes: as asked if it must or can, else the highest gap. */
static uintptr_t memory_place(struct space *space, uintptr_t hint, size_t size, unsigned flags)
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
    if ((flags & MAP_ANONYMOUS) && (flags & MAP_TYPE) == MAP_PRIVATE)
        return 0;
    struct file *f = flags & MAP_ANONYMOUS ? NULL : fd_file(a->arg[4]);
    if (!f && !(flags & MAP_ANONYMOUS))
        return -EBADF;
    if (f && f->inode && f->inode->device == DEVICE(1, 5)) /* /dev/zero */
        f = NULL;
    if (!f && (flags & MAP_TYPE) == MAP_PRIVATE)
        return 0;
    if (!f) {
        /* Shared with children: a file without a name. */
        *file = inode_new(S_IFREG);
        if (*file)
            (*file)->size = page_up(a->arg[1]);
        return *file ? 0 : -ENOMEM;
    }
    if (!f->inode || !inode_is(f->inode, S_IFREG))
        return -ENODEV;
    if ((flags & MAP_SHARED) && (a->arg[2] & PROT_WRITE) && inode_sealed(f->inode, SEAL_WRITES))
        return -EPERM;
    if ((f->flags & O_ACCMODE) == O_WRONLY ||
        ((flags & MAP_SHARED) && (a->arg[2] & PROT_WRITE) && (f->flags & O_ACCMODE) != O_RDWR))
        return -EACCES;
    inode_get(f->inode);
    *file = f->inode;
    return 0;
}

/* What mmap's flags and file say: mprotect must not make more of a mapping than open did. */
static enum sharing sharing_of(const struct syscall_args *a, const struct inode *file)
{
    const unsigned flags = a->arg[3];
    if (!(flags & MAP_SHARED))
        return SHARING_NONE;
    if (flags & MAP_ANONYMOUS)
        return SHARING_ALL;
    const struct file *f = fd_file(a->arg[4]);
    return (f->flags & O_ACCMODE) == O_RDONLY || inode_sealed(file, SEAL_WRITES) ? SHARING_READ_ONLY
                                                                                 : SHARING_ALL;
}

/* What only the device's own file can map. */
static struct file *device_of(const struct syscall_args *a)
{
    struct file *f = a->arg[3] & MAP_ANONYMOUS ? NULL : fd_file(a->arg[4]);
    return f && f->ops->map ? f : NULL;
}

static long map_device(struct space *space, uintptr_t start, size_t size, struct file *f,
                       const struct syscall_args *a)
{
    if (!(a->arg[3] & MAP_SHARED))
        return -EINVAL;
    if ((a->arg[2] & PROT_WRITE) && (f->flags & O_ACCMODE) != O_RDWR)
        return -EACCES;
    file_get(f); /* another thread may close it meanwhile */
    int rc = space_map(space, start, size, a->arg[2] & 7, SHARING_ALL, NULL, 0);
    if (!rc)
        rc = space_mark(space, start, size, AREA_FOREIGN | AREA_NO_FORK, 0);
    space->foreign |= !rc;
    if (!rc)
        rc = f->ops->map(f, start, size, a->arg[5]);
    if (rc)
        (void)!space_unmap(space, start, size);
    file_put(f);
    return rc ? rc : (long)start;
}

long syscall_mmap(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const size_t size = page_up(a->arg[1]);
    const unsigned flags = a->arg[3];
    struct inode *file;

    if (!a->arg[1] || a->arg[5] % PAGE_SIZE || !(flags & MAP_TYPE) ||
        (flags & MAP_TYPE) > MAP_SHARED_VALIDATE)
        return -EINVAL;
    if ((flags & MAP_TYPE) == MAP_SHARED_VALIDATE && (flags & ~MAP_KNOWN))
        return -EOPNOTSUPP;
    if (!(flags & MAP_ANONYMOUS) && a->arg[5] + size > INT64_MAX)
        return -EOVERFLOW;
    if (flags & MAP_HUGETLB)
        return -ENOMEM; /* there are no such pages */
    if (size < a->arg[1] || size > USER_END || !memory_allowed(space, size))
        return -ENOMEM;
    if ((flags & (MAP_FIXED | MAP_NOREPLACE)) &&
        (a->arg[0] < USER_START || a->arg[0] > USER_END - size))
        return a->arg[0] % PAGE_SIZE ? -EINVAL : a->arg[0] < USER_START ? -EPERM : -ENOMEM;
    uintptr_t start = memory_place(space, a->arg[0], size, flags);
    if (!start)
        return -ENOMEM;
    if ((flags & MAP_NOREPLACE) && !space_is_free(space, start, size))
        return -EEXIST;
    struct file *const device = device_of(a);
    if (device)
        return map_device(space, start, size, device, a);
    int rc = backing(a, &file);
    if (rc)
        return rc;
    const enum sharing sharing = sharing_of(a, file);
    if (file)
        rc = inode_load_mapping(file, a->arg[5], size, sharing == SHARING_ALL);
    if (!rc && file && inode_on_disk(file) && !(flags & (MAP_FIXED | MAP_NOREPLACE))) {
        start = memory_place(space, a->arg[0], size, flags); /* again: that has taken time */
        rc = start ? 0 : -ENOMEM;
    }
    if (!rc)
        rc = space_map(space, start, size, a->arg[2] & 7, sharing, file, a->arg[5]);
    if (file)
        inode_put(file);
    if (rc)
        return rc;
    if (flags & (MAP_POPULATE | MAP_LOCKED))
        (void)!space_populate(space, start, size);
    if (flags & MAP_LOCKED || space->lock_future)
        (void)!space_mark(space, start, size, AREA_LOCKED, 0);
    return start;
}

long syscall_munmap(const struct syscall_args *a)
{
    /* Below the first address that can be mapped there is nothing to take away. */
    if (a->arg[0] < USER_START && !(a->arg[0] % PAGE_SIZE) && a->arg[1] &&
        page_up(a->arg[1]) <= USER_START - a->arg[0])
        return 0;
    return space_unmap(task_current()->space, a->arg[0], page_up(a->arg[1]));
}

long syscall_mprotect(const struct syscall_args *a)
{
    if (!a->arg[1])
        return 0;
    if (a->arg[0] % PAGE_SIZE || (a->arg[2] & ~7ul))
        return -EINVAL; /* PROT_GROWSDOWN and UP, too: no area grows */
    const size_t size = page_up(a->arg[1]);
    if (size < a->arg[1] || a->arg[0] > USER_END || size > USER_END - a->arg[0])
        return -ENOMEM;
    return space_protect(task_current()->space, a->arg[0], size, a->arg[2] & 7);
}

/* The processor has no keys: what Linux says without them. */
long syscall_pkey_mprotect(const struct syscall_args *a)
{
    return (int)a->arg[3] == -1 ? syscall_mprotect(a) : -EINVAL;
}

long syscall_pkey_alloc(const struct syscall_args *a)
{
    return a->arg[0] || (a->arg[1] & ~3ul) ? -EINVAL : -ENOSPC;
}

long syscall_pkey_free(const struct syscall_args *a)
{
    return -EINVAL;
}

int mapped_range(const struct syscall_args *a, uintptr_t *start, size_t *size)
{
    *start = a->arg[0] & PAGE_MASK;
    *size = page_up(a->arg[0] % PAGE_SIZE + a->arg[1]);
    if (*size < a->arg[1] || *start + *size < *start || *start + *size > USER_END)
        return -ENOMEM;
    return space_is_mapped(task_current()->space, *start, *size) ? 0 : -ENOMEM;
}

#define MS_INVALIDATE 2
#define MS_KNOWN      7 /* MS_ASYNC, MS_INVALIDATE, MS_SYNC */

#define MS_SYNC 4

/* The files on disks that are mapped in [start, start + size) are there, too. */
static int sync_mapped(uintptr_t start, size_t size)
{
    struct space *const space = task_current()->space;
    int rc = 0;
    for (uintptr_t at = start; !rc && at < start + size;) {
        const struct area *const area = area_find(space, at);
        if (!area)
            break; /* another thread has taken it away meanwhile */
        at = area->end;
        struct inode *const file = area->shared ? area->file : NULL;
        if (!file || !inode_on_disk(file))
            continue;
        inode_get(file);
        rc = file->fs->ops->sync(file->fs);
        inode_put(file);
    }
    return rc;
}

/* Shared mappings are the file: there is nothing to write back, but to a disk. */
long syscall_msync(const struct syscall_args *a)
{
    uintptr_t start;
    size_t size;
    const unsigned flags = a->arg[2];
    if (a->arg[0] % PAGE_SIZE || (flags & ~MS_KNOWN) || (flags & 5) == 5)
        return -EINVAL;
    const int rc = mapped_range(a, &start, &size);
    if (!rc && (flags & MS_INVALIDATE) &&
        space_marked(task_current()->space, start, size, AREA_LOCKED))
        return -EBUSY;
    return rc || !(flags & MS_SYNC) ? rc : sync_mapped(start, size);
}

long syscall_mincore(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    uintptr_t start;
    size_t size;
    if (a->arg[0] % PAGE_SIZE)
        return -EINVAL;
    int rc = mapped_range(a, &start, &size);
    for (size_t i = 0; !rc && i < size / PAGE_SIZE; i++) {
        const uintptr_t at = start + i * PAGE_SIZE;
        const struct area *area = area_find(space, at);
        const pte_t *slot = table_slot(space, at, false);
        const uint8_t there =
            (slot && slot->bits) ||
            (area->file &&
             inode_page_at(area->file, (area->offset + at - area->start) >> PAGE_SHIFT, false));
        rc = user_write(a->arg[2] + i, &there, 1);
    }
    return rc;
}

#define MFD_CLOEXEC       1
#define MFD_ALLOW_SEALING 2
#define MFD_HUGETLB       4
#define MFD_NOEXEC_SEAL   8
#define MFD_EXEC          16

/* A file without a name. */
long syscall_memfd_create(const struct syscall_args *a)
{
    char name[250];
    const long n = user_read_text(name, a->arg[0], sizeof(name));
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    const unsigned flags = a->arg[1], permissions = flags & (MFD_EXEC | MFD_NOEXEC_SEAL);
    if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC | MFD_NOEXEC_SEAL)) ||
        permissions == (MFD_EXEC | MFD_NOEXEC_SEAL))
        return flags & MFD_HUGETLB ? -ENODEV : -EINVAL; /* there are no huge pages */
    struct inode *inode = inode_new(S_IFREG | (permissions == MFD_NOEXEC_SEAL ? 0666 : 0777));
    if (!inode)
        return -ENOMEM;
    inode->sealable = true;
    inode->seals = permissions == MFD_NOEXEC_SEAL ? SEAL_EXEC
                   : flags & MFD_ALLOW_SEALING    ? 0
                                                  : SEAL_SEAL;
    struct file *file = file_new(inode, &regular_ops, O_RDWR);
    inode_put(inode);
    return fd_open(file, a->arg[1] & MFD_CLOEXEC);
}
