/*
 * Wants: descriptors from memory that is no longer where it says its LDT is.
 *
 * The hypervisor shows a guest's LDT through entries of its own, page by page, when the processor
 * first asks for one.  The LDT is named by a linear address: under other page tables it is other
 * memory.  What is shown must go with them, or a segment is loaded from a frame that the guest may
 * have had back, as an ordinary, writable page, long ago.
 *
 * Fails: each new root, and each change that could have moved the pages, drops the view.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

#define LDT_AT    (7ul << 39)
#define DATA_FLAT 0x00cff3000000fffful
#define CODE_FLAT 0x00cffb000000fffful
#define SELECTOR  0xf /* entry 1 of the LDT, ring 3 */

static uint64_t *descriptors(uint64_t each)
{
    uint64_t *page = page_alloc();

    for (unsigned i = 1; i < 512; i++)
        page[i] = each;
    page_protect(page, PTE_RO);
    return page;
}

/* The running root, with another page at LDT_AT. */
static unsigned long second_root(const uint64_t *ldt)
{
    uint64_t *l1 = page_alloc(), *l2 = page_alloc(), *l3 = page_alloc(), *l4 = page_alloc();

    memcpy(l4, (void *)((unsigned long)memory_entry(0, 4) & ~(PAGE_SIZE - 1)), PAGE_SIZE);
    memset(l4 + 256, 0, 16 * sizeof(*l4));
    l1[0] = pte_of(page_mfn(ldt), PTE_RO);
    l2[0] = pte_of(page_mfn(l1), PTE_TABLE);
    l3[0] = pte_of(page_mfn(l2), PTE_TABLE);
    l4[LDT_AT >> 39] = pte_of(page_mfn(l3), PTE_TABLE);
    page_protect(l1, PTE_RO);
    page_protect(l2, PTE_RO);
    page_protect(l3, PTE_RO);
    page_protect(l4, PTE_RO);
    if (mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(l4)))
        tap_bail_out("the second root is refused");
    return page_mfn(l4);
}

/* What the processor sees in the LDT: access rights of its entry 1. */
static uint32_t rights(void)
{
    uint32_t r = 0;

    __asm__ volatile("lar %1, %0" : "=r"(r) : "r"((uint32_t)SELECTOR));
    return r & 0xff00;
}

void guest_main(void)
{
    const unsigned long first = memory_root_mfn();
    unsigned wrong = 0, rounds = 0;

    attack_begin("ldt-view");
    memory_map_at(LDT_AT, pte_of(page_mfn(descriptors(DATA_FLAT)), PTE_RO));
    const unsigned long second = second_root(descriptors(CODE_FLAT));
    struct mmuext_op ldt = {.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = LDT_AT, .arg2.nr_ents = 512};
    hypercall_mmuext_op(&ldt, 1, NULL, DOMID_SELF);
    for (; attack_goes_on(); rounds++) {
        wrong += rights() != 0xf300;
        mmuext(MMUEXT_NEW_BASEPTR, second);
        wrong += rights() != 0xfb00;
        mmuext(MMUEXT_NEW_BASEPTR, first);
    }
    tap_is(wrong, 0, "descriptors come from where the LDT is now");
}
