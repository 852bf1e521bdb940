/*
 * Wants: the neighbours' CPUs, by having them flush, and the flushes that others wait for.
 *
 * A flush of another CPU's TLB is a request and an acknowledgement, waited for with interrupts off.
 * When every CPU asks every other all the time, one that waits can be passed by again and again, if
 * an acknowledgement answers somebody else's request only.  Two domains with a vCPU for each CPU
 * flush everything everywhere, by each call that can: mmuext_op, update_va_mapping with all vCPUs
 * named, and roles of frames that change, which needs a flush before the hypervisor may go on.
 *
 * Fails: a request is a place in time; any flush after it answers it, so that each waits for one
 * flush of each CPU and no more.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>

#define VCPUS 4

static volatile bool done;
static volatile unsigned long count[VCPUS];
static uint64_t *pages[VCPUS];

static void flush(struct chance *c, unsigned vcpu)
{
    static unsigned long everybody = ~0ul;
    struct mmuext_op op = {.arg1.linear_addr = (unsigned long)pages[vcpu]};
    uint64_t *page = pages[vcpu];

    count[vcpu]++;
    switch (chance_below(c, 5)) {
    case 0:
        op.cmd = MMUEXT_TLB_FLUSH_ALL;
        break;
    case 1:
        op.cmd = MMUEXT_INVLPG_ALL;
        break;
    case 2:
        op.cmd = MMUEXT_TLB_FLUSH_MULTI;
        set_xen_guest_handle(op.arg2.vcpumask, (void *)&everybody);
        break;
    case 3: /* writable, then a table, then writable again */
        page_protect(page, PTE_RO);
        mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(page));
        mmuext(MMUEXT_UNPIN_TABLE, page_mfn(page));
        page_protect(page, PTE_RW);
        *(volatile uint64_t *)page = 0;
        return;
    default:
        hypercall_update_va_mapping((unsigned long)page, pte_of(page_mfn(page), PTE_RW),
                                    UVMF_TLB_FLUSH | UVMF_ALL);
        return;
    }
    hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void flush_all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    while (!done)
        flush(&c, vcpu);
}

void guest_main(void)
{
    struct chance c = chance_of(0);

    attack_begin("flush-storm");
    for (unsigned i = 0; i < VCPUS; i++)
        pages[i] = page_alloc();
    attack_vcpus(VCPUS, flush_all);
    while (attack_goes_on())
        for (unsigned i = 0; i < 20; i++)
            flush(&c, 0);
    done = true;
    for (unsigned i = 0; i < VCPUS; i++)
        tap_note("vCPU %u: %lu flushes", i, count[i]);
}
