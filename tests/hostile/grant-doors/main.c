/*
 * Wants: another domain's page by a grant that was never given; or a call that says yes and has
 * done nothing.
 *
 * Most of what went wrong in other hypervisors' grant tables (XSA-218 to 234, 255, 318, 379, 384)
 * were mappings and their counts.  None are served here: whoever asks to map, copy, transfer or
 * unmap is refused, for each operation alike, whatever the batch, and the status of an operation
 * that was not done must not look like one that was.
 *
 * Fails: there is no such door.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/grant_table.h>

void guest_main(void)
{
    struct chance c = chance_of(0);
    uint64_t *page = page_alloc();
    unsigned done = 0, tries = 0;

    attack_begin("grant-doors");
    static const unsigned operations[] = {GNTTABOP_map_grant_ref,     GNTTABOP_unmap_grant_ref,
                                          GNTTABOP_transfer,          GNTTABOP_copy,
                                          GNTTABOP_unmap_and_replace, GNTTABOP_dump_table,
                                          GNTTABOP_get_status_frames, GNTTABOP_swap_grant_ref,
                                          GNTTABOP_cache_flush};
    while (attack_goes_on())
        for (unsigned i = 0; i < 50; i++, tries++) {
            for (unsigned k = 0; k < 512; k++)
                page[k] = chance_below(&c, 3) ? chance_below(&c, 8) : chance_next(&c);
            long rc = hypercall_grant_table_op(operations[chance_below(&c, 9)], page,
                                               1 + chance_below(&c, 16));
            done += rc >= 0;
        }
    tap_note("%u calls", tries);
    tap_is(done, 0, "no operation on somebody's grants is done");
}
