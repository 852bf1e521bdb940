/*
 * Question: may a page table map itself, and never writably?
 *
 * Some kernels point an L4 entry back at an L4 to see all their tables at fixed
 * addresses ("linear page table").  Xen allows it if the entry is read-only: a writable
 * one would let the guest write page tables behind the hypervisor's back
 * (XSA-182: changing only the RW bit of such an entry skipped the check).  A table may map
 * another of its own level only one step deep (XSA-240: a chain of them made
 * the hypervisor recurse without bound).
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

#define SLOT 300

static void test_self(void)
{
    uint64_t *l4 = (uint64_t *)guest_info->pt_base;
    unsigned long mfn = memory_root_mfn();
    uint64_t ma = table_entry_ma(l4, SLOT);
    unsigned long window = 0xffff000000000000 | (unsigned long)SLOT << 39;
    unsigned leaks = 0;

    tap_is(mmu_set(ma, pte_of(mfn, PTE_TABLE)), -XEN_EINVAL, "the root in itself, writable");
    tap_is(mmu_set(ma, pte_of(mfn, PTE_RO)), 0, "the root in itself, read-only");
    tap_is_hex(*(uint64_t *)(window | (unsigned long)SLOT << 30 | (unsigned long)SLOT << 21 |
                             (unsigned long)SLOT << 12 | 511 * 8),
               l4[511], "the root shows through itself");
    /* Through its slots for the hypervisor ring 0 could go on where ring 3 cannot: the hypervisor must not take
     * arguments from there. */
    for (unsigned i = 257; i < 272; i++)
        leaks += hypercall_mmuext_op((void *)(window | (unsigned long)i << 30), 1, NULL,
                                     DOMID_SELF) != -XEN_EFAULT;
    tap_is(leaks, 0, "no argument is read from the hypervisor's tables");
    tap_is(mmu_set(ma, pte_of(mfn, PTE_TABLE)), -XEN_EINVAL, "only RW changed: refused");
    tap_is(mmu_set(ma | MMU_PT_UPDATE_PRESERVE_AD, pte_of(mfn, PTE_TABLE)), -XEN_EINVAL,
           "only RW changed, preserving A and D: refused");
    tap_ok(!(l4[SLOT] & PTE_W), "the entry is still read-only");
    tap_is(TRAPS(poke(window | (unsigned long)SLOT << 30 | (unsigned long)SLOT << 21 |
                          (unsigned long)SLOT << 12,
                      0)),
           TRAP_PF, "no store through it");
    tap_is(mmu_set(ma, pte_of(mfn, PTE_RO | PTE_AVAIL)), 0, "only available bits changed");
    tap_is(mmu_set(ma, 0), 0, "remove it");
}

static void test_other(void)
{
    uint64_t *a = table_alloc(), *b = table_alloc(), *c = table_alloc();
    uint64_t root_slot = table_entry_ma((void *)guest_info->pt_base, SLOT);

    mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(a));
    mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(b));
    mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(c));
    tap_is(mmu_set(root_slot, pte_of(page_mfn(a), PTE_TABLE)), -XEN_EINVAL, "another L4, writable");
    tap_is(mmu_set(root_slot, pte_of(page_mfn(a), PTE_RO)), 0, "another L4, read-only");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(a)), 0, "unpin it");
    tap_is(page_protect(a, PTE_RW), -XEN_EBUSY, "it is still an L4");
    tap_is(mmu_set(table_entry_ma(a, SLOT), pte_of(page_mfn(b), PTE_RO)), -XEN_EINVAL,
           "two steps: a is mapped by the root, so it may not map b");
    tap_is(mmu_set(table_entry_ma(b, SLOT), pte_of(memory_root_mfn(), PTE_RO)), -XEN_EINVAL,
           "two steps: the root maps a, so b may not map the root");
    tap_is(mmu_set(table_entry_ma(c, SLOT), pte_of(page_mfn(a), PTE_RO)), 0,
           "two roots may map the same L4");
    tap_is(mmu_set(root_slot, 0), 0, "the root lets go");
    tap_is(mmu_set(table_entry_ma(c, SLOT), 0), 0, "c lets go");
    tap_is(page_protect(a, PTE_RW), 0, "a is free");
    page_protect(a, PTE_RO);
    mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(a));
    tap_is(mmu_set(table_entry_ma(a, SLOT), pte_of(page_mfn(b), PTE_RO)), 0,
           "one step again: a may map b");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(a)), 0, "unpin a");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(b)), 0, "unpin b");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(c)), 0, "unpin c");
    table_free(a), table_free(b), table_free(c);
}

/* A table that names itself before it is one. */
static void test_born_linear(void)
{
    static const char *const access[] = {"read-only", "writable"};

    for (int level = 2; level <= 4; level++)
        for (int w = 0; w < 2; w++) {
            uint64_t *t = page_alloc();
            t[1] = pte_of(page_mfn(t), w ? PTE_TABLE : PTE_RO);
            page_protect(t, PTE_RO);
            tap_is(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, page_mfn(t)), w ? -XEN_EINVAL : 0,
                   "an L%d that holds itself, %s: pin", level, access[w]);
            if (!w)
                tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(t)), 0,
                       "an L%d that holds itself: unpin", level);
            tap_is(page_protect(t, PTE_RW), 0, "an L%d that holds itself, %s: free", level,
                   access[w]);
            page_free(t);
        }
}

static void test_lower_levels(void)
{
    uint64_t *l2 = table_alloc(), *other = table_alloc();

    mmuext(MMUEXT_PIN_L2_TABLE, page_mfn(l2));
    mmuext(MMUEXT_PIN_L2_TABLE, page_mfn(other));
    tap_is(mmu_set(table_entry_ma(l2, 4), pte_of(page_mfn(l2), PTE_RO)), 0,
           "an L2 in itself, read-only");
    tap_is(mmu_set(table_entry_ma(l2, 4), pte_of(page_mfn(l2), PTE_TABLE)), -XEN_EINVAL,
           "an L2 in itself, writable");
    tap_is(mmu_set(table_entry_ma(l2, 4), 0), 0, "remove it");
    tap_is(mmu_set(table_entry_ma(l2, 5), pte_of(page_mfn(other), PTE_RO)), 0,
           "an L2 in another L2, read-only");
    tap_is(mmu_set(table_entry_ma(other, 5), pte_of(page_mfn(l2), PTE_RO)), -XEN_EINVAL,
           "and back: refused");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(l2)), 0, "unpin");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(other)), 0, "unpin the other");
    table_free(l2), table_free(other);
}

void guest_main(void)
{
    test_self();
    test_other();
    test_born_linear();
    test_lower_levels();
}
