/*
 * Wants: another domain's page by a grant that was never given; or a call that says yes and has
 * done nothing.
 *
 * Most of what went wrong in other hypervisors' grant tables (XSA-218 to 234, 255, 318, 379, 384)
 * were mappings and their counts.  Nobody here grants anything to this domain: whatever it maps,
 * unmaps, replaces, copies or swaps, whatever the batch, no status of a mapping or an unmapping may
 * be "okay".  The table's version changes all the time meanwhile.
 *
 * Fails: the granter's entry is what decides, and it names somebody else.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/grant_table.h>

static const struct {
    unsigned cmd, size, status; /* where the status is in an element; 0: not asked */
} operations[] = {
    {GNTTABOP_map_grant_ref, sizeof(struct gnttab_map_grant_ref),
     offsetof(struct gnttab_map_grant_ref, status)},
    {GNTTABOP_unmap_grant_ref, sizeof(struct gnttab_unmap_grant_ref),
     offsetof(struct gnttab_unmap_grant_ref, status)},
    {GNTTABOP_unmap_and_replace, sizeof(struct gnttab_unmap_and_replace),
     offsetof(struct gnttab_unmap_and_replace, status)},
    {GNTTABOP_copy, 0, 0},
    {GNTTABOP_transfer, 0, 0},
    {GNTTABOP_dump_table, 0, 0},
    {GNTTABOP_get_status_frames, 0, 0},
    {GNTTABOP_swap_grant_ref, 0, 0},
    {GNTTABOP_cache_flush, 0, 0},
    {GNTTABOP_set_version, 0, 0},
};

void guest_main(void)
{
    struct chance c = chance_of(0);
    uint64_t *page = page_alloc();
    unsigned done = 0, tries = 0;

    attack_begin("grant-doors");
    while (attack_goes_on())
        for (unsigned i = 0; i < 50; i++, tries++) {
            const unsigned op = chance_below(&c, 10), count = 1 + chance_below(&c, 16);
            for (unsigned k = 0; k < 512; k++)
                page[k] = chance_below(&c, 3) ? chance_below(&c, 8) : chance_next(&c);
            if (hypercall_grant_table_op(operations[op].cmd, page, count))
                continue;
            for (unsigned k = 0; operations[op].size && k < count; k++)
                done +=
                    !*(int16_t *)((char *)page + k * operations[op].size + operations[op].status);
        }
    tap_note("%u calls", tries);
    tap_is(done, 0, "no operation on somebody's grants is done");
}
