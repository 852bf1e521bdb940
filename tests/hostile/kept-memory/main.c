/*
 * Wants: the memory of a domain that is about to be built again, so that it cannot be.
 *
 * Between a domain's end and its next life its frames are free.  Whoever holds everything else takes them: as its own memory, or as
 * what the hypervisor needs for it: frames of its grant table, ports; and in exchanges.  Six domains do that all the time, while the domain
 * that reboots is away for a while, again and again.
 *
 * Fails: its frames are promised to it before they are free; what the hypervisor itself needs to build it is promised as long as it
 * lives, for at its end nothing may be free; and no call of a guest's takes what is promised.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>

#define BATCH 512u
#define FIRST_PFN \
    0x100000ul /* ever the same place in the numbering: what was there before stays ours all the same */

static unsigned long mine; /* one of the frames, to be exchanged */

static void grab_frames(void)
{
    static unsigned long list[BATCH];
    long got;

    do {
        for (unsigned i = 0; i < BATCH; i++)
            list[i] = FIRST_PFN + i;
        got = frames_populate(list, BATCH, 0);
        if (got > 0)
            mine = list[0];
    } while (got == BATCH);
}

static void grab_structures(unsigned grants)
{
    static unsigned long frames[64];
    gnttab_setup_table_t setup = {.dom = DOMID_SELF, .nr_frames = grants};
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};

    set_xen_guest_handle(setup.frame_list, frames);
    hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1);
    for (unsigned i = 0; i < 128; i++)
        if (hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &a))
            break;
}

/* One frame for another: the new one comes before the old one goes. */
static void exchange(void)
{
    struct xen_memory_exchange e = {
        .in = {.nr_extents = 1, .domid = DOMID_SELF},
        .out = {.nr_extents = 1, .domid = DOMID_SELF},
    };
    unsigned long fresh = FIRST_PFN;

    set_xen_guest_handle(e.in.extent_start, &mine);
    set_xen_guest_handle(e.out.extent_start, &fresh);
    if (!hypercall_memory_op(XENMEM_exchange, &e))
        mine = fresh;
}

void guest_main(void)
{
    attack_begin("kept-memory");
    for (unsigned grants = 2; attack_goes_on(); grants = grants < 64 ? grants + 1 : 64) {
        grab_frames();
        grab_structures(grants);
        exchange();
    }
    guest_shutdown(SHUTDOWN_poweroff);
}
