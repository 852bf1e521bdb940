/*
 * /dev/xen/gntdev: user 0's programs map what other domains have granted.
 *
 * An ioctl names grants and gets a place in the file; mmap of that place maps them.  They are unmapped with the memory.
 */
#include "kernel/files/file.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/layout.h"
#include "kernel/memory/heap.h"
#include "kernel/tasks/identity/credentials.h"
#include "platform/platform.h"
#include "platform/xen/devices.h"
#include "platform/xen/foreign.h"

#define MAP_GRANTS   DEVICE_COMMAND('G', 0, 24)
#define UNMAP_GRANTS DEVICE_COMMAND('G', 1, 16)
#define GET_OFFSET   DEVICE_COMMAND('G', 2, 24)
#define SET_MOST     DEVICE_COMMAND('G', 3, 4)

#define GRANTS_MOST 1024 /* of one ioctl */

/* As <xen/gntdev.h> has them. */
struct map_grants {
    uint32_t count, pad;
    uint64_t index; /* out: the offset for mmap */
};
struct grant {
    uint32_t domain, ref;
};
struct unmap_grants {
    uint64_t index;
    uint32_t count, pad;
};
struct get_offset {
    uint64_t address, offset;
    uint32_t count, pad;
};

/* What one ioctl has named. */
struct named {
    struct list link;
    uint64_t index;
    uintptr_t at; /* where it has been mapped last; 0: nowhere yet */
    uint32_t count;
    struct grant grants[];
};

struct opened {
    struct list named;
    uint64_t next;
};

static struct named *find(const struct opened *o, uint64_t index)
{
    struct named *n;
    list_for_each(n, &o->named, link)
    {
        if (n->index == index)
            return n;
    }
    return NULL;
}

static long name_grants(struct opened *o, user_t at)
{
    struct map_grants m;
    if (user_read(&m, at, sizeof(m)))
        return -EFAULT;
    if (!m.count || m.count > GRANTS_MOST)
        return -EINVAL;
    struct named *n = heap_alloc_for(PAGE_FOR_FILE, sizeof(*n) + m.count * sizeof(n->grants[0]));
    if (!n)
        return -ENOMEM;
    n->count = m.count;
    n->index = m.index = o->next;
    if (user_read(n->grants, at + sizeof(m), m.count * sizeof(n->grants[0])) ||
        user_write(at, &m, sizeof(m))) {
        heap_free(n);
        return -EFAULT;
    }
    o->next += m.count * PAGE_SIZE;
    list_add(&n->link, &o->named);
    return 0;
}

static long forget_grants(struct opened *o, user_t at)
{
    struct unmap_grants u;
    if (user_read(&u, at, sizeof(u)))
        return -EFAULT;
    struct named *n = find(o, u.index);
    if (!n || n->count != u.count)
        return n ? -EINVAL : -ENOENT;
    list_remove(&n->link);
    heap_free(n);
    return 0;
}

static long tell_offset(const struct opened *o, user_t at)
{
    struct get_offset g;
    const struct named *n;
    if (user_read(&g, at, sizeof(g)))
        return -EFAULT;
    list_for_each(n, &o->named, link)
    {
        if (!n->at || n->at != g.address)
            continue;
        g.offset = n->index;
        g.count = n->count;
        return user_write(at, &g, sizeof(g)) ? -EFAULT : 0;
    }
    return -EINVAL;
}

static long gntdev_ioctl(struct file *file, unsigned command, user_t arg)
{
    struct opened *const o = file->object;
    switch (command) {
    case MAP_GRANTS:
        return name_grants(o, arg);
    case UNMAP_GRANTS:
        return forget_grants(o, arg);
    case GET_OFFSET:
        return tell_offset(o, arg);
    case SET_MOST:
        return 0; /* the hypervisor knows how many there may be */
    default:
        return -ENOTTY;
    }
}

/* What was mapped at @at before is there no longer. */
static void forget_address(struct opened *o, uintptr_t at)
{
    struct named *n;
    list_for_each(n, &o->named, link)
    {
        if (n->at == at)
            n->at = 0;
    }
}

static int gntdev_map(struct file *file, uintptr_t start, size_t size, uint64_t offset)
{
    struct named *n = find(file->object, offset);
    forget_address(file->object, start);
    if (!n || size != n->count * PAGE_SIZE)
        return -EINVAL;
    int rc = 0;
    for (uint32_t i = 0; !rc && i < n->count; i++)
        rc = foreign_map_grant(task_current()->space, start + i * PAGE_SIZE, n->grants[i].ref,
                               n->grants[i].domain);
    if (!rc)
        n->at = start;
    return rc;
}

static long gntdev_open(struct file *file)
{
    if (!access_capable(CAP_SYS_ADMIN))
        return -EPERM;
    struct opened *o = heap_alloc_for(PAGE_FOR_FILE, sizeof(*o));
    if (!o)
        return -ENOMEM;
    list_init(&o->named);
    file->object = o;
    return 0;
}

static void gntdev_release(struct file *file)
{
    struct opened *const o = file->object;
    struct named *n, *after;
    if (!o)
        return;
    list_for_each_safe(n, after, &o->named, link) heap_free(n);
    heap_free(o);
}

const struct file_ops gntdev_ops = {
    .open = gntdev_open,
    .ioctl = gntdev_ioctl,
    .map = gntdev_map,
    .release = gntdev_release,
};
