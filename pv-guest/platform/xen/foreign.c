/*
 * Other domains' memory in the address space of a process.
 *
 * The areas are those that mmap of /dev/xen/privcmd and /dev/xen/gntdev has made (AREA_FOREIGN): no fault fills them, no
 * child gets them, nothing but this file writes their entries, which carry PTE_FOREIGN, as behind them there is no page
 * of ours.  Frames that the domain's controller may map are written by mmu_update; frames that the domain has granted,
 * by a grant operation, which also has to take them away again.
 */
#include <paravane/hypercall.h>
#include <xen/grant_table.h>

#include "kernel/lib/errno.h"
#include "kernel/lib/linux.h"
#include "kernel/lib/print.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/space/space.h"
#include "platform/platform.h"
#include "platform/xen/foreign.h"
#include "platform/xen/machine.h"

/* The entry for @address, which must be an empty one of an area that is for that. */
static int find_slot(struct space *space, uintptr_t address, pte_t **slot, bool *writable)
{
    const struct area *area = area_find(space, address);
    if (!area || !(area->flags & AREA_FOREIGN))
        return -EINVAL;
    *writable = area->protection & PROT_WRITE;
    *slot = table_slot(space, address, true);
    if (!*slot)
        return -ENOMEM;
    return (*slot)->bits ? -EBUSY : 0;
}

int foreign_map(struct space *space, uintptr_t address, uint64_t frame, unsigned domain,
                bool resource)
{
    pte_t *slot;
    bool writable;
    const int rc = find_slot(space, address, &slot, &writable);
    if (rc)
        return rc;
    if (frame >> (52 - PAGE_SHIFT))
        return -EINVAL;
    const uint64_t flags = PTE_P | PTE_U | PTE_A | PTE_D | PTE_FOREIGN | pte_nx;
    mmu_update_t update = {.ptr = machine_address(slot) |
                                  (resource ? MMU_PT_UPDATE_NO_TRANSLATE : MMU_NORMAL_PT_UPDATE),
                           .val = frame << PAGE_SHIFT | flags | (writable ? PTE_W : 0)};
    platform_commit();
    const long done = hypercall_mmu_update(&update, 1, NULL, domain);
    if (done < 0)
        return done;
    table_use(slot);
    space->resident++;
    return 0;
}

/* ---- Grants ---- */

struct granted {
    struct list link;
    struct space *space;
    uintptr_t address;
    uint64_t machine_slot;
    grant_handle_t handle;
};

static struct list all_granted = LIST_INIT(all_granted);

int foreign_map_grant(struct space *space, uintptr_t address, unsigned ref, unsigned domain)
{
    pte_t *slot;
    bool writable;
    int rc = find_slot(space, address, &slot, &writable);
    struct granted *g = rc ? NULL : heap_alloc_for(PAGE_FOR_FILE, sizeof(*g));
    if (!g)
        return rc ? rc : -ENOMEM;
    struct gnttab_map_grant_ref map = {
        .host_addr = machine_address(slot),
        .flags = GNTMAP_host_map | GNTMAP_application_map | GNTMAP_contains_pte |
                 (writable ? 0 : GNTMAP_readonly) | 1u << _GNTMAP_guest_avail0,
        .ref = ref,
        .dom = domain};
    platform_commit();
    rc = hypercall_grant_table_op(GNTTABOP_map_grant_ref, &map, 1) || map.status ? -EINVAL : 0;
    if (rc) {
        heap_free(g);
        return rc;
    }
    table_use(slot);
    space->resident++;
    *g = (struct granted){
        .space = space, .address = address, .machine_slot = map.host_addr, .handle = map.handle};
    list_add(&g->link, &all_granted);
    return 0;
}

void platform_foreign_forget(struct space *space, uintptr_t start, uintptr_t end)
{
    struct granted *g, *after;
    list_for_each_safe(g, after, &all_granted, link)
    {
        if (g->space != space || g->address < start || g->address >= end)
            continue;
        struct gnttab_unmap_grant_ref unmap = {.host_addr = g->machine_slot, .handle = g->handle};
        platform_commit();
        const long rc = hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1);
        if (rc || unmap.status) /* the entry stays for who clears it: the grant does, too */
            print("a grant cannot be unmapped: %ld, %d\n", rc, unmap.status);
        else
            space->resident--;
        list_remove(&g->link);
        heap_free(g);
    }
}
