/* Areas of an address space: a sorted list of ranges that do not overlap (space.h, I1). */
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "ipc.h"
#include "space.h"

void area_free(struct area *area)
{
    struct inode *const file = area->file;
    const bool segment = file && file->segment;
    list_remove(&area->link);
    heap_free(area);
    if (file)
        inode_put(file);
    if (segment)
        segment_unmapped(file); /* which the segment itself has kept until now */
}

struct area *area_find(struct space *space, uintptr_t address)
{
    struct area *area;
    list_for_each(area, &space->areas, link)
    {
        if (address < area->end)
            return address >= area->start ? area : NULL;
    }
    return NULL;
}

struct area *area_copy(const struct area *from)
{
    struct area *area = heap_alloc(sizeof(*area));
    if (!area)
        return NULL;
    *area = *from;
    list_init(&area->link);
    if (area->file)
        inode_get(area->file);
    return area;
}

int area_split(struct space *space, uintptr_t address)
{
    struct area *area = area_find(space, address);
    if (!area || area->start == address)
        return 0;
    struct area *upper = area_copy(area);
    if (!upper)
        return -ENOMEM;
    upper->start = address;
    upper->offset += address - area->start;
    area->end = address;
    list_add_first(&upper->link, &area->link);
    return 0;
}

void area_insert(struct space *space, struct area *area)
{
    struct area *at;
    list_for_each(at, &space->areas, link)
    {
        if (at->start > area->start)
            break;
    }
    list_add_before(&area->link, &at->link);
}

/* Is @upper the continuation of @lower? */
static bool continues(const struct area *lower, const struct area *upper)
{
    return lower->end == upper->start && lower->protection == upper->protection &&
           lower->shared == upper->shared && lower->file == upper->file &&
           lower->keep_read_only == upper->keep_read_only && lower->flags == upper->flags &&
           (!lower->file || lower->offset + (lower->end - lower->start) == upper->offset);
}

void area_merge(struct space *space, struct area *area)
{
    struct area *const before = list_entry(area->link.prev, struct area, link);
    struct area *const behind = list_entry(area->link.next, struct area, link);
    if (&before->link != &space->areas && continues(before, area)) {
        area->start = before->start;
        area->offset = before->offset;
        area_free(before);
    }
    if (&behind->link != &space->areas && continues(area, behind)) {
        area->end = behind->end;
        area_free(behind);
    }
}
