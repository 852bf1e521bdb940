/*
 * Guest page tables: what an entry may say, and what each present entry holds.
 *
 * A guest writes its page tables only through us.  Every present entry of a validated table holds
 *
 *   L1 entry, read-only     a reference to the frame it maps
 *   L1 entry, writable      a reference and a WRITABLE type reference
 *   L2, L3, L4 entry        a reference and a type reference L1, L2, L3 to the table it names
 *   linear entry            a reference and a type reference of its own level (below); none when it names
 *                           its own table
 *
 * A frame cannot be WRITABLE and a page table at once (page.h), so no guest can write to a table behind our back:
 * that is invariant I2, and the whole of memory safety hangs from it.
 *
 * Linear (recursive) tables: an entry of an Ln table may name an Ln table, read-only.  One step deep: a table that
 * is named linearly may not itself name others so, and vice versa (XSA-240), except that any may name itself.  page_info.linear
 * counts both directions by its sign.
 */
#include "table-entries.h"

int page_table_validate(struct domain *d, struct page_info *pg, int level)
{
    if (level == 1)
        return l1_table_get(d, mfn_to_virt(page_to_mfn(pg)));
    return upper_table_get(d, pg, level);
}

void page_table_invalidate(struct page_info *pg, int level)
{
    if (level == 1)
        l1_table_put(mfn_to_virt(page_to_mfn(pg)), PT_ENTRIES);
    else
        upper_table_put(pg, level, PT_ENTRIES);
}

int page_table_update(struct domain *d, struct domain *owner, struct page_info *pg, unsigned slot,
                      pte_t want, enum ad_bits ad)
{
    if (page_state_type(atomic_read(&pg->state)) == PAGE_TYPE_L1)
        return l1_update(d, owner, (uint64_t *)mfn_to_virt(page_to_mfn(pg)) + slot, want, ad);
    return upper_table_update(d, owner, pg, slot, want, ad);
}
