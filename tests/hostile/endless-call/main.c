/*
 * Wants: more than its cap, by calls that have no end.
 *
 * A list may be as long as its count can say, for one page of it can be mapped everywhere: here 512 GiB of addresses show the same
 * page.  So one call lasts for minutes.  Each of these domains may have a twenty-fifth of a CPU, and is in one such call for as long
 * as the victim lives: a multicall, mmu_update, mmuext_op, a table of trap handlers, an exchange of frames for others.  A second vCPU
 * sleeps, and ends the domain when the victim has ended.
 *
 * Fails: whoever is over its cap sleeps between two entries, where the call holds nothing; and can be ended there.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define SLOT         16ul /* of the root, where the page is mapped everywhere */
#define LIST         (SLOT << 39)
#define COUNT        (1u << 30)
#define LISTED(type) (PAGE_SIZE / sizeof(type))

static void watch(unsigned vcpu)
{
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL);
    while (attack_goes_on())
        attack_nap(5000000);
    guest_shutdown(SHUTDOWN_poweroff);
}

static void map_everywhere(const void *page)
{
    uint64_t *l1 = page_alloc(), *l2 = page_alloc(), *l3 = page_alloc();

    for (unsigned i = 0; i < 512; i++) {
        l1[i] = pte_of(page_mfn(page), PTE_RW);
        l2[i] = pte_of(page_mfn(l1), PTE_TABLE);
        l3[i] = pte_of(page_mfn(l2), PTE_TABLE);
    }
    page_protect(l1, PTE_RO);
    page_protect(l2, PTE_RO);
    page_protect(l3, PTE_RO);
    if (mmu_set((memory_root_mfn() << PAGE_SHIFT) + SLOT * 8, pte_of(page_mfn(l3), PTE_TABLE)))
        tap_bail_out("512 GiB of one page cannot be mapped");
}

static long multicall(void *page)
{
    for (unsigned i = 0; i < LISTED(multicall_entry_t); i++)
        ((multicall_entry_t *)page)[i] = (multicall_entry_t){.op = __HYPERVISOR_xen_version};
    return hypercall_multicall((void *)LIST, COUNT);
}

/* The frame's number is what it was. */
static long update(void *page)
{
    for (unsigned i = 0; i < LISTED(mmu_update_t); i++)
        ((mmu_update_t *)page)[i] =
            (mmu_update_t){page_mfn(page) << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, page_pfn(page)};
    return hypercall_mmu_update((void *)LIST, COUNT, NULL, DOMID_SELF);
}

/* An entry's three words do not divide a page: each word is a command. */
static long flush(void *page)
{
    for (unsigned i = 0; i < LISTED(uint64_t); i++)
        ((uint64_t *)page)[i] = MMUEXT_TLB_FLUSH_LOCAL;
    return hypercall_mmuext_op((void *)LIST, COUNT, NULL, DOMID_SELF);
}

static long set_traps(void *page)
{
    for (unsigned i = 0; i < LISTED(struct trap_info); i++)
        ((struct trap_info *)page)[i] =
            (struct trap_info){.vector = 200, .cs = FLAT_KERNEL_CS, .address = (unsigned long)page};
    return hypercall_set_trap_table((void *)LIST);
}

/* The list of what comes is the list of what goes: 512 frames, again and again. */
static long exchange(void *page)
{
    struct xen_memory_exchange e = {
        .in = {.nr_extents = COUNT, .domid = DOMID_SELF},
        .out = {.nr_extents = COUNT, .domid = DOMID_SELF},
    };
    unsigned long *list = page;

    for (unsigned i = 0; i < LISTED(unsigned long); i++)
        list[i] = 0x100000 + i;
    if (frames_populate(list, LISTED(unsigned long), 0) != LISTED(unsigned long)) {
        if (attack_goes_on())
            tap_bail_out("no frames");
        attack_rest(); /* cut short, as the other vCPU has ended the domain meanwhile */
    }
    set_xen_guest_handle(e.in.extent_start, (xen_pfn_t *)LIST);
    set_xen_guest_handle(e.out.extent_start, (xen_pfn_t *)LIST);
    return hypercall_memory_op(XENMEM_exchange, &e);
}

static long (*const calls[])(void *page) = {multicall, update, flush, set_traps, exchange};

void guest_main(void)
{
    const unsigned long kind = guest_option("kind", 0);
    void *page = page_alloc();

    attack_begin("endless-call");
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    attack_vcpus(2, watch);
    map_everywhere(page);
    do {
        const long rc = calls[kind](page);
        if (rc)
            tap_note("call %lu: %ld", kind, rc);
    } while (attack_goes_on());
    attack_rest();
}
