/* mremap: mappings that grow, shrink and move. */
#include "errno.h"
#include "inode.h"
#include "process.h"
#include "space.h"
#include "syscall.h"

#define MREMAP_MAYMOVE   1
#define MREMAP_FIXED     2
#define MREMAP_DONTUNMAP 4
#define MREMAP_KNOWN     7

/* What mremap was asked for; sizes are page multiples. */
struct remap {
    uintptr_t from, to; /* to: 0 is wherever there is room */
    size_t size, wanted;
    bool may_move, fixed, keep; /* keep: the old range stays mapped, empty */
};

static long remap_again(struct space *space, const struct area *area, const struct remap *r,
                        uintptr_t to)
{
    const int rc = space_map(space, to, r->wanted, area->protection, area_sharing(area), area->file,
                             area->offset + (r->from - area->start));
    return rc ? rc : (long)to;
}

static long remap_move(struct space *space, struct area *area, const struct remap *r)
{
    const uintptr_t to = r->fixed ? r->to : space_gap(space, r->wanted);
    const unsigned flags = area->flags;
    if (!to)
        return -ENOMEM;
    if (!r->size) /* what is shared is mapped a second time */
        return remap_again(space, area, r, to);
    int rc = space_map(space, to, r->wanted, area->protection, area_sharing(area), area->file,
                       area->offset + (r->from - area->start));
    if (!rc)
        rc = space_move(space, r->from, to, MIN(r->size, r->wanted));
    if (rc) {
        (void)!space_unmap(space, to, r->wanted);
        return rc;
    }
    (void)!space_mark(space, to, r->wanted, flags, 0);
    rc = r->keep ? 0 : space_unmap(space, r->from, r->size);
    return rc ? rc : (long)to;
}

static long remap(struct space *space, struct area *area, const struct remap *r)
{
    const uintptr_t end = r->from + r->size;
    if (r->fixed || r->keep || !r->size)
        return remap_move(space, area, r);
    if (r->wanted <= r->size) {
        const int rc =
            r->wanted < r->size ? space_unmap(space, r->from + r->wanted, r->size - r->wanted) : 0;
        return rc ? rc : (long)r->from;
    }
    if (end == area->end && r->wanted < USER_END - r->from &&
        space_is_free(space, end, r->wanted - r->size)) {
        area->end = r->from + r->wanted;
        return r->from;
    }
    return r->may_move ? remap_move(space, area, r) : -ENOMEM;
}

/* What is mapped after this is in memory before. */
static int load_more(const struct area *area, const struct remap *r)
{
    struct inode *const file = area->file;
    inode_get(file);
    const int rc = inode_load_mapping(file, area->offset + (r->from - area->start), r->wanted,
                                      area->shared && !area->keep_read_only);
    inode_put(file);
    return rc;
}

long syscall_mremap(const struct syscall_args *a)
{
    struct space *const space = task_current()->space;
    const unsigned flags = a->arg[3];
    const struct remap r = {.from = a->arg[0],
                            .to = a->arg[4],
                            .size = ROUND_UP(a->arg[1], PAGE_SIZE),
                            .wanted = ROUND_UP(a->arg[2], PAGE_SIZE),
                            .may_move = flags & MREMAP_MAYMOVE,
                            .fixed = flags & MREMAP_FIXED,
                            .keep = flags & MREMAP_DONTUNMAP};
    if ((flags & ~(unsigned)MREMAP_KNOWN) || r.from % PAGE_SIZE || !r.wanted ||
        r.wanted < a->arg[2] || r.size < a->arg[1] || ((r.fixed || r.keep) && !r.may_move) ||
        (r.keep && r.size != r.wanted) || r.wanted > USER_END)
        return -EINVAL;
    if (r.fixed &&
        (r.to % PAGE_SIZE || r.to < USER_START || r.to >= USER_END || r.wanted > USER_END - r.to ||
         (r.to < r.from + r.size && r.from < r.to + r.wanted)))
        return -EINVAL;
    if (r.wanted > r.size && !memory_allowed(space, r.wanted - r.size))
        return -ENOMEM;
    struct area *area = area_find(space, r.from);
    if (area && area->file && inode_on_disk(area->file)) {
        const int rc = load_more(area, &r);
        if (rc)
            return rc;
        area = area_find(space, r.from); /* another one, perhaps: that has taken time */
    }
    if (!area || r.size > area->end - r.from || (area->flags & AREA_FOREIGN))
        return -EFAULT;
    if (!r.size && (!area->shared || !r.may_move))
        return -EINVAL;
    /* The target may lie where splitting it would free @area: make room first. */
    if (r.fixed && space_unmap(space, r.to, r.wanted))
        return -ENOMEM;
    area = area_find(space, r.from);
    return remap(space, area, &r);
}
