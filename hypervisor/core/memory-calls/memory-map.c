/*
 * Maps of memory, in the BIOS's format (E820): the machine's, and the one that a domain is told, which a toolstack, or the domain
 * itself, may have set.
 */
#include "memory-op.h"

#include "arch.h"
#include "lib.h"
#include "refuse.h"

#include <xen/memory.h>

/* As <xen/memory.h> has it. */
struct e820_entry {
    uint64_t start, size;
    uint32_t type;
} __attribute__((packed));
#define E820_RAM    1
#define ENTRIES_MAX 1024u /* as Xen */

struct memory_map {
    uint32_t entries;
    struct e820_entry entry[];
};

static size_t map_size(uint32_t entries)
{
    return sizeof(struct memory_map) + entries * sizeof(struct e820_entry);
}

void memory_map_free(struct memory_map *map)
{
    if (map)
        mem_free(map, map_size(map->entries));
}

/* Copy as much of @d's map to @to as there is room for.  Not set: RAM up to what it may grow to. */
static int map_write(struct domain *d, guest_ptr_t to, uint32_t *entries)
{
    const struct e820_entry all = {0, (uint64_t)atomic_read(&d->max_pages) << PAGE_SHIFT, E820_RAM};

    mutex_lock(&d->control);
    const struct memory_map *map = d->map;
    *entries = MIN(*entries, map ? map->entries : 1u);
    const int rc = *entries ? guest_write(to, map ? map->entry : &all, *entries * sizeof(all)) : 0;
    mutex_unlock(&d->control);
    return rc;
}

long memory_map_get(struct vcpu *v, guest_ptr_t arg)
{
    struct xen_memory_map map;

    if (guest_read(&map, arg, sizeof(map)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (domain_has(v->domain, ROLE_HARDWARE))
        return refuse(NO_MAP_FOR_HARDWARE_DOMAIN); /* it asks for the machine's, as on Xen */
    const guest_ptr_t to = guest_ptr((uint64_t)map.buffer.p);
    if (map_write(v->domain, to, &map.nr_entries))
        return refuse(ARGUMENT_UNREADABLE, to.va);
    if (guest_write(arg, &map, sizeof(map)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

long memory_map_machine(struct vcpu *v, guest_ptr_t arg)
{
    struct xen_memory_map map;
    uint64_t from, end;
    unsigned n = 0;

    if (!domain_has(v->domain, ROLE_CONTROL | ROLE_HARDWARE))
        return refuse(ROLE_MISSING, __HYPERVISOR_memory_op, XENMEM_machine_memory_map);
    if (guest_read(&map, arg, sizeof(map)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    const uint64_t to = (uint64_t)map.buffer.p;
    for (; arch_ram_range(n, &from, &end); n++) {
        const struct e820_entry e = {from, end - from, E820_RAM};
        if (!to)
            continue;
        if (n >= map.nr_entries)
            return refuse(MAP_NO_ROOM, map.nr_entries);
        if (guest_write(guest_ptr(to + n * sizeof(e)), &e, sizeof(e)))
            return refuse(ARGUMENT_UNREADABLE, to);
    }
    map.nr_entries = n;
    if (guest_write(arg, &map, sizeof(map)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

/* The map of @entries at @from instead of the one that @d had. */
static int map_replace(struct domain *d, guest_ptr_t from, uint32_t entries)
{
    struct memory_map *map = mem_alloc(map_size(entries));

    if (!map)
        return refuse(MAP_NO_MEMORY, entries);
    map->entries = entries;
    if (entries && guest_read(map->entry, from, entries * sizeof(map->entry[0]))) {
        memory_map_free(map);
        return refuse(ARGUMENT_UNREADABLE, from.va);
    }
    mutex_lock(&d->control);
    struct memory_map *old = d->map;
    d->map = map;
    mutex_unlock(&d->control);
    memory_map_free(old);
    return 0;
}

long memory_map_set(struct vcpu *v, guest_ptr_t arg)
{
    struct xen_foreign_memory_map map;
    int rc;

    if (guest_read(&map, arg, sizeof(map)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (map.map.nr_entries > ENTRIES_MAX)
        return refuse(MAP_TOO_LONG, map.map.nr_entries, ENTRIES_MAX);
    struct domain *d = memory_target_get(v, map.domid, &rc);
    if (!d)
        return rc;
    rc = map_replace(d, guest_ptr((uint64_t)map.map.buffer.p), map.map.nr_entries);
    memory_target_put(v, d);
    return rc;
}
