/*
 * Wants: a descriptor of its own making in the GDT, say a call gate into ring 0.
 *
 * The processor loads descriptors from the guest's own pages.  They are checked once; then the page
 * must not change, by any door: a store through an old translation of another CPU, the places that
 * the hypervisor writes to for a guest (vcpu_info, runstate and time areas, results of calls), a
 * copy, a second life as a page table.  Gates of every type are offered as well, at once and by
 * update_descriptor.
 *
 * Fails: a page of descriptors has that role, which excludes the writable one, and the role is
 * taken after a flush; each descriptor is checked on the way in (XSA-298 and before).
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <stddef.h>
#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define DATA_FLAT 0x00cff3000000fffful
#define RUBBISH   0x0000ec000008ffff /* a call gate of DPL 3 to whatever selector 8 is */
#define ENTRY     8u

static uint64_t *gdt, as_it_was[512];
static volatile bool writes; /* the other vCPU stores all the time, while it is allowed to */

static void store_all(unsigned vcpu)
{
    for (;;) {
        while (!writes)
            hypercall_sched_op(SCHEDOP_yield, NULL);
        /* No handler on this vCPU may run, so the store is tried by the hypervisor: by a call's
         * result. */
        for (unsigned i = 0; i < 64; i++)
            hypercall_xen_version(XENVER_get_features, (void *)&gdt[64]);
    }
}

/* Everything by which the hypervisor writes, or changes roles, for a guest. */
static void doors(struct chance *c)
{
    struct vcpu_register_vcpu_info info = {.mfn = page_mfn(gdt)};
    struct vcpu_register_runstate_memory_area r = {.addr.v = (void *)&gdt[128]};
    struct mmuext_op copy = {
        .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = page_mfn(gdt), .arg2.src_mfn = page_mfn(gdt)};
    unsigned done;

    switch (chance_below(c, 7)) {
    case 0:
        hypercall_vcpu_op(VCPUOP_register_vcpu_info, 1, &info);
        break;
    case 1:
        hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &r);
        break;
    case 2:
        hypercall_mmuext_op(&copy, 1, &done, DOMID_SELF);
        break;
    case 3:
        mmuext(MMUEXT_CLEAR_PAGE, page_mfn(gdt));
        break;
    case 4:
        hypercall_mmu_update((void *)&gdt[0], 1, (unsigned *)&gdt[ENTRY], DOMID_SELF);
        break;
    case 5:
        hypercall_xen_version(XENVER_capabilities, (void *)&gdt[ENTRY]);
        break;
    default:
        mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(gdt));
    }
}

/* A gate or segment by chance: if it is taken, ring 3 must get nothing by it but a segment of its
 * own. */
static unsigned offer(struct chance *c)
{
    const uint64_t wanted = chance_next(c) | 1ul << 47; /* present */
    uint64_t ma = ((uint64_t)page_mfn(gdt) << PAGE_SHIFT) + ENTRY * 8;

    if (hypercall_update_descriptor(ma, wanted))
        return 0;
    const uint64_t now = gdt[ENTRY];
    const unsigned type = now >> 40 & 15, ring = now >> 45 & 3;
    const bool segment = now >> 44 & 1, present = now >> 47 & 1;
    /* A segment is ring 3's; anything else has no type, or a ring that cannot use it. */
    if (!present || (segment ? ring == 3 : !type || ring < 3))
        return 0;
    tap_note("taken: %lx as %lx", wanted, now);
    return 1;
}

void guest_main(void)
{
    struct chance c = chance_of(0);
    unsigned changed = 0, bad = 0, rounds = 0, used = 0;

    attack_begin("descriptor-doors");
    gdt = page_alloc();
    attack_vcpus(2, store_all);
    for (; !changed && !bad && attack_goes_on(); rounds++) {
        for (unsigned i = 0; i < 512; i++)
            gdt[i] = DATA_FLAT;
        writes = true; /* the other one has a writable translation now */
        attack_spin(20000);
        page_protect(gdt, PTE_RO);
        const unsigned long frame = page_mfn(gdt);
        memcpy(as_it_was, gdt, sizeof(as_it_was));
        /* What the hypervisor has written until now may be no descriptor. */
        if (!hypercall_set_gdt(&frame, 512)) {
            for (unsigned i = 0; i < 8; i++)
                doors(&c);
            for (unsigned i = 0; i < 512; i++)
                changed += gdt[i] != as_it_was[i];
            for (unsigned i = 0; i < 64; i++)
                bad += offer(&c);
            used++;
        }
        writes = false;
        hypercall_set_gdt(NULL, 0);
        if (page_protect(gdt, PTE_RW))
            tap_bail_out("the page of a GDT that is none is not ours again");
    }
    tap_note("%u rounds, %u with a GDT", rounds, used);
    tap_is(changed, 0, "no door leads into a page of descriptors");
    tap_is(bad, 0, "no gate, system descriptor or privileged segment was taken");
}
