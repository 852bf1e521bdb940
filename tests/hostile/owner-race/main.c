/*
 * Wants: to do something to a frame that has just become another domain's.
 *
 * Every call that names a frame looks who owns it, and then acts.  If the frame changes hands in
 * between, the act hits its new owner: a page is validated as a table, and entries in it are
 * changed; a pin is taken away; a frame is freed that is in use.  Two domains like this one and the
 * victim pass the same few frames round, through the hypervisor's free list; one vCPU of each takes
 * and gives back, the others throw at the same numbers whatever takes a frame number.  Victim and
 * owners know what their frames have to hold.
 *
 * Fails: first a reference, then the look at the owner: what has a reference does not change hands.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/memory.h>

#define FRAMES 16
#define VCPUS  3

static volatile unsigned long frames[FRAMES]; /* ours now, or a moment ago */
static volatile bool done;
static volatile unsigned changed;
static uint64_t *windows[VCPUS];

/* What lies in a frame of ours between populate and decrease: zeroes, as nobody maps it writable; but
 * where it has been an L4 for a moment, the hypervisor's entries. */
static bool is_clean(const volatile uint64_t *page)
{
    for (unsigned i = 0; i < 512; i++)
        if (page[i] && (i < 256 || i >= 272))
            return false;
    return true;
}

static void exchange(unsigned long *list, unsigned n)
{
    struct xen_memory_exchange e = {
        .in = {.nr_extents = n, .domid = DOMID_SELF},
        .out = {.nr_extents = n, .domid = DOMID_SELF},
    };
    unsigned long out[FRAMES];

    for (unsigned i = 0; i < n; i++)
        out[i] = 0x100000 + i;
    set_xen_guest_handle(e.in.extent_start, list);
    set_xen_guest_handle(e.out.extent_start, out);
    if (hypercall_memory_op(XENMEM_exchange, &e))
        return;
    for (unsigned i = 0; i < n; i++)
        list[i] = out[i];
}

static void pass_round(struct chance *c, uint64_t *window)
{
    unsigned long list[FRAMES];
    unsigned n = 1 + chance_below(c, FRAMES);

    for (unsigned i = 0; i < n; i++)
        list[i] = 0x100000 + i;
    long got = frames_populate(list, n, 0);
    for (long i = 0; i < got; i++) {
        frames[i] = list[i];
        if (!frame_show(window, list[i], PTE_RO)) {
            changed += !is_clean(window);
            frame_show(window, page_mfn(window), PTE_RW);
        }
    }
    if (got > 0 && chance_below(c, 4) == 0)
        exchange(list, got);
    if (got > 0)
        frames_release(list, got, 0);
}

/* Whatever names a frame; what succeeds is undone. */
static void throw(struct chance * c, uint64_t *window)
{
    unsigned long mfn = frames[chance_below(c, FRAMES)], one = mfn;
    struct mmuext_op copy = {
        .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = mfn, .arg2.src_mfn = page_mfn(window)};

    switch (chance_below(c, 6)) {
    case 0:
        if (!mmuext(MMUEXT_PIN_L1_TABLE + chance_below(c, 4), mfn))
            mmuext(MMUEXT_UNPIN_TABLE, mfn);
        break;
    case 1:
        mmuext(MMUEXT_UNPIN_TABLE, mfn);
        break;
    case 2:
        if (!frame_show(window, mfn, PTE_RO))
            frame_show(window, page_mfn(window), PTE_RW);
        break;
    case 3:
        frames_release(&one, 1, 0);
        break;
    case 4:
        if (!hypercall_set_gdt(&one, 512))
            hypercall_set_gdt(NULL, 0);
        break;
    default:
        if (mfn) /* from a page of zeroes, so that nothing is seen if it is ours */
            hypercall_mmuext_op(&copy, 1, NULL, DOMID_SELF);
    }
}

static void throw_all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    while (!done)
        throw(&c, windows[vcpu]);
}

void guest_main(void)
{
    struct chance c = chance_of(0);
    unsigned long rounds = 0;

    attack_begin("owner-race");
    for (unsigned i = 0; i < VCPUS; i++)
        windows[i] = page_alloc();
    attack_vcpus(VCPUS, throw_all);
    while (attack_goes_on())
        for (unsigned i = 0; i < 20; i++, rounds++)
            pass_round(&c, windows[0]);
    done = true;
    tap_note("%lu rounds", rounds);
    tap_is(changed, 0, "nobody changed a frame of this domain");
}
