/*
 * Wants: ring 0 on an L4 table that the guest may write.  The hypervisor's own half of the address
 * space hangs on sixteen entries of the L4 that CR3 names; who writes them owns the machine.
 *
 * A CPU that goes idle need not load another CR3: the idle vCPU runs on the root of whoever ran
 * last. If nothing holds that root, the guest, on another CPU by now, may unpin it and map it
 * writable while it is walked.  Here a vCPU moves from root to root; the one that it left is made
 * an ordinary page, the A bits of the hypervisor's entries are cleared, and whoever walks the page
 * sets them again. Other vCPUs sleep and wake, so that the first one is moved from CPU to CPU, and
 * the domain that reboots gives idle CPUs something to do: teardown flushes, and a flush of a CPU's
 * own may have let it keep the root and yet be counted as having forgotten it.
 *
 * Fails: what a CR3 names has a reference, of whatever vCPU the CPU runs.
 */
#include "attack.h"
#include "clock.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>

#define SLOT_FIRST 256 /* the hypervisor's, in each L4 */
#define SLOT_END   272
#define WATCH_NS   150000
#define NAP_NS     550000

static struct chance chance;

static void must(long rc, const char *what)
{
    if (rc)
        tap_bail_out("%s: %ld", what, rc);
}

/* Leave @root alone and see whether a page walk marks the hypervisor's entries in it. */
static unsigned watch(volatile uint64_t *root)
{
    unsigned marked = 0;

    for (unsigned i = SLOT_FIRST; i < SLOT_END; i++)
        root[i] &= ~PTE_A;
    attack_spin(WATCH_NS);
    for (unsigned i = SLOT_FIRST; i < SLOT_END; i++)
        marked += !!(root[i] & PTE_A);
    return marked;
}

static void make_root(uint64_t *root)
{
    for (unsigned i = SLOT_FIRST; i < SLOT_END; i++)
        root[i] = 0;
    must(page_protect(root, PTE_RO), "an L4 read-only");
    must(mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(root)), "pin an L4");
}

static unsigned round(uint64_t *left, uint64_t *next)
{
    must(mmuext(MMUEXT_NEW_BASEPTR, page_mfn(next)), "switch to the other L4");
    must(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(left)), "unpin the L4 that was left");
    attack_spin(WATCH_NS);
    must(frame_show(left, page_mfn(left), PTE_RW), "an L4 that is none any more");
    unsigned marked = watch(left);
    make_root(left);
    attack_nap(chance_below(&chance, NAP_NS));
    return marked;
}

/* Keeps the others moving; touches no page table. */
static void mix(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    for (;;) {
        attack_spin(WATCH_NS + chance_below(&c, 300000));
        attack_nap(chance_below(&c, NAP_NS));
    }
}

void guest_main(void)
{
    const uint64_t *model = (const uint64_t *)guest_info->pt_base;
    uint64_t *roots[2];
    unsigned rounds = 0, marked = 0;

    attack_begin("lazy-root");
    chance = chance_of(0);
    for (unsigned k = 0; k < 2; k++) {
        roots[k] = page_alloc();
        for (unsigned i = 0; i < 512; i++)
            roots[k][i] = model[i];
        make_root(roots[k]);
    }
    must(mmuext(MMUEXT_NEW_BASEPTR, page_mfn(roots[0])), "switch to an L4");
    attack_vcpus(5, mix);
    for (; !marked && attack_goes_on(); rounds++)
        marked = round(roots[rounds % 2], roots[(rounds + 1) % 2]);
    tap_note("lazy-root: %u rounds", rounds);
    tap_ok(!marked, "no CPU walks an L4 table that the guest may write");
}
