/* What can be asked of a range of addresses, and done to it, besides mapping. */
#include "errno.h"
#include "linux.h"
#include "page.h"
#include "space.h"

bool space_is_mapped(struct space *space, uintptr_t start, size_t size)
{
    for (uintptr_t at = start; at < start + size;) {
        const struct area *area = area_find(space, at);
        if (!area)
            return false;
        at = area->end;
    }
    return true;
}

size_t space_size(struct space *space)
{
    const struct area *area;
    size_t sum = 0;
    list_for_each(area, &space->areas, link) sum += area->end - area->start;
    return sum;
}

int space_mark(struct space *space, uintptr_t start, size_t size, unsigned set, unsigned cleared)
{
    const uintptr_t end = start + size;
    struct area *area;
    if (area_split(space, start) || area_split(space, end))
        return -ENOMEM;
    list_for_each(area, &space->areas, link)
    {
        if (area->start < start || area->end > end)
            continue;
        area->flags = (area->flags & ~cleared) | set;
        area_merge(space, area);
    }
    return 0;
}

bool space_marked(struct space *space, uintptr_t start, size_t size, unsigned flags)
{
    const struct area *area;
    list_for_each(area, &space->areas, link)
    {
        if (area->start < start + size && area->end > start && (area->flags & flags))
            return true;
    }
    return false;
}

size_t space_size_marked(struct space *space, unsigned flags)
{
    const struct area *area;
    size_t sum = 0;
    list_for_each(area, &space->areas, link)
    {
        if (area->flags & flags)
            sum += area->end - area->start;
    }
    return sum;
}

int space_populate(struct space *space, uintptr_t start, size_t size)
{
    for (uintptr_t at = start; at < start + size; at += PAGE_SIZE) {
        const struct area *area = area_find(space, at);
        const pte_t *slot = table_slot(space, at, false);
        if (!area)
            return -ENOMEM;
        if ((slot && slot->bits) || !area->protection || (area->flags & AREA_FOREIGN))
            continue;
        const bool write = (area->protection & PROT_WRITE) && !area->shared;
        if (space_fault(space, at, write ? PROT_WRITE : PROT_READ & area->protection))
            return -ENOMEM;
    }
    return 0;
}

struct move {
    struct space *space;
    uintptr_t distance;
};

static int leaf_move(pte_t *slot, uintptr_t address, void *arg)
{
    const struct move *m = arg;
    table_set(table_slot(m->space, address + m->distance, false), *slot);
    platform_pte_write(slot, PTE_NONE);
    return 0;
}

int space_move(struct space *space, uintptr_t from, uintptr_t to, size_t size)
{
    const struct move m = {space, to - from};
    /* Tables first: that can fail. */
    for (uintptr_t at = to; at < to + size; at = ((at >> 21) + 1) << 21)
        if (!table_slot(space, at, true))
            return -ENOMEM;
    table_walk(space, from, from + size, leaf_move, (void *)&m);
    platform_tlb_flush(space->cpus);
    platform_commit();
    return 0;
}
