/*
 * The walk of a guest's tables: from a root and an address to the slot of the level-1 table that maps it.
 */
#include "page-tables.h"
#include "guest-range.h"
#include "lib.h"

/* The entry of @va in the table of @level at @maddr. */
static inline uint64_t *slot_at(uint64_t maddr, uint64_t va, int level)
{
    return (uint64_t *)maddr_to_virt(maddr) + pt_index(va, level);
}

/* The same, in the table that @e names. */
static inline uint64_t *slot_below(pte_t e, uint64_t va, int level)
{
    return slot_at(e.v & PTE_ADDR_MASK, va, level);
}

/* A linear entry of an L4 leads to an L4 again, and its slots of ours on to our own tables. */
static inline bool walks_into_ours(pte_t e, uint64_t va, int level)
{
    return unlikely(pt_index(va, level) - HYPERVISOR_SLOT_FIRST <=
                    HYPERVISOR_SLOT_LAST - HYPERVISOR_SLOT_FIRST) &&
           page_state_type(atomic_read(&mfn_to_page(pte_mfn(e))->state)) == PAGE_TYPE_L4;
}

/* How a walk looks at the entries that it comes by. */
enum walk_care {
    WALK_PLAIN,  /* no entry of an L4 table is linear */
    WALK_LINEAR, /* one may be: do not follow it into our slots */
};

/* The walk, by @v's kernel root.  Each of the two that are made of this is straight code. */
static inline __attribute__((always_inline)) uint64_t *walk(const struct vcpu *v, uint64_t va,
                                                            enum walk_care care)
{
    pte_t e = pte(*slot_at(vcpu_kernel_root(v), va, 4));
    if (!pte_present(e) || (care == WALK_LINEAR && walks_into_ours(e, va, 3)))
        return NULL;
    e = pte(*slot_below(e, va, 3));
    if (!pte_present(e) || (care == WALK_LINEAR && walks_into_ours(e, va, 2)))
        return NULL;
    e = pte(*slot_below(e, va, 2));
    /* Through a linear entry one arrives at a table of a higher level: that is not an L1 slot. */
    if (!pte_present(e) || (atomic_read(&mfn_to_page(pte_mfn(e))->state) & PAGE_TYPE_MASK) !=
                               (uint64_t)PAGE_TYPE_L1 << PAGE_TYPE_SHIFT)
        return NULL;
    return slot_below(e, va, 1);
}

static noinline_ uint64_t *walk_linear(const struct vcpu *v, uint64_t va)
{
    return walk(v, va, WALK_LINEAR);
}

uint64_t *l1_slot(const struct vcpu *v, uint64_t va)
{
    if (unlikely(!guest_access_ok(va, 1)))
        return NULL;
    /* No L4 table names one: no walk can come upon our slots. */
    if (!FAST_PATHS || unlikely(linear_windows_exist))
        return walk_linear(v, va);
    return walk(v, va, WALK_PLAIN);
}
