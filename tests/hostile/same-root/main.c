/*
 * Wants: a translation that outlives its entry.
 *
 * Loading the root that is in force already looks like nothing to do, yet it is how a kernel
 * flushes.  A foreign or no root at all must be refused without any effect on the old one.  Here an
 * entry changes without a flush being asked for, the same root is loaded again, and the page behind
 * the address has to be the new one, for kernel and user base alike; between, roots that cannot be
 * one are offered.
 *
 * Fails: NEW_BASEPTR flushes whatever the root was, and a root is taken before the old one is let
 * go.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

void guest_main(void)
{
    struct chance c = chance_of(0);
    uint64_t *window = page_alloc(), *other = page_alloc();
    unsigned stale = 0, taken = 0;

    attack_begin("same-root");
    *window = 1, *other = 2;
    const unsigned long mine = page_mfn(window), second = page_mfn(other), root = memory_root_mfn();
    while (attack_goes_on())
        for (unsigned i = 0; i < 20; i++) {
            unsigned long to = i % 2 ? mine : second;
            (void)*(volatile uint64_t *)window; /* its translation is in the TLB */
            hypercall_update_va_mapping((unsigned long)window, pte_of(to, PTE_RW), UVMF_NONE);
            mmuext(MMUEXT_NEW_BASEPTR, root);
            stale += *(volatile uint64_t *)window != 1 + !(i % 2);
            taken += !mmuext(MMUEXT_NEW_BASEPTR, mine);
            taken += !mmuext(MMUEXT_NEW_USER_BASEPTR, mine);
            unsigned long any = 1ul << 24 | chance_next(&c) >> chance_below(&c, 40); /* nobody's */
            if (!mmuext(MMUEXT_NEW_USER_BASEPTR, any)) {
                taken++;
                tap_note("frame %lx is taken for a root", any);
            }
        }
    tap_is(stale, 0, "the root in force, loaded again, flushes");
    tap_is(taken, 0, "nothing else is taken for a root");
}
