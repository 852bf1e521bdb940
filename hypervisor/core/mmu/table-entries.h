/*
 * What the files about guest page tables share: what an entry may say, storing one, the loop over a table, and
 * the two kinds of tables (l1-table.c, upper-table.c).  Everybody else: page-tables.h.
 */
#pragma once

#include "page-tables.h"

/* Bits that a guest's entry may have besides the address. */
#define ENTRY_ALLOWED \
    (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_AVAIL | PTE_AVAIL_HIGH | PTE_NX)
#define L1_ALLOWED    (ENTRY_ALLOWED | PTE_G)
#define L1_CACHE_BITS (PTE_PWT | PTE_PCD | PTE_PAT) /* only with device memory to map */

/* Bits that may change without looking at the entry again: they give no access that was not checked. */
#define SOFT_BITS (PTE_A | PTE_D | PTE_AVAIL | PTE_AVAIL_HIGH | PTE_NX | PTE_G | PTE_US)

/* Does @want change no more of @old than such bits?  It holds then what @old holds. */
static inline bool pte_change_is_soft(pte_t old, pte_t want)
{
    return pte_present(want) && pte_present(old) && !((old.v ^ want.v) & ~SOFT_BITS);
}

/* The frame table, as a loop over many entries keeps it in registers. */
struct frames {
    uintptr_t table;
    uint64_t size; /* bytes */
};

static inline struct frames frames_all(void)
{
    return (struct frames){(uintptr_t)frame_table, frame_table_size};
}

/* The frame-table entry of what @e names, in fewer steps than by its number; false: there is none. */
static inline must_check bool pte_frame(struct frames frames, pte_t e, struct page_info **pg)
{
    const uint64_t at = (e.v & PTE_ADDR_MASK) / (PAGE_SIZE / sizeof(struct page_info));

    *pg = (struct page_info *)(frames.table + at);
    return likely(at < frames.size);
}

static inline void pte_store(uint64_t *slot, pte_t want, enum ad_bits ad)
{
    if (likely(ad == AD_AS_GIVEN)) {
        atomic_exchange(slot, want.v); /* the old one is to be stamped: tlb.h */
        return;
    }
    /* The CPU may set A and D at any moment: carry them over in the same exchange. */
    uint64_t old = atomic_read(slot);
    while (!atomic_compare_exchange(slot, &old, want.v | (old & (PTE_A | PTE_D))))
        ;
}

/*
 * Most tables are sparse: look at many slots at a time, first four groups and then one.
 */
#define GROUP   8
#define ANY8(e) ((e)[0] | (e)[1] | (e)[2] | (e)[3] | (e)[4] | (e)[5] | (e)[6] | (e)[7])

/* The first group of @table at or behind slot @i (a multiple of GROUP) with a present entry; PT_ENTRIES: none. */
static inline __attribute__((always_inline)) unsigned next_group(const uint64_t *table, unsigned i)
{
    for (; i < PT_ENTRIES; i += GROUP) {
        const uint64_t *e = &table[i];
        if (i % (4 * GROUP) == 0 &&
            !((ANY8(e) | ANY8(e + 8) | ANY8(e + 16) | ANY8(e + 24)) & PTE_P))
            i += 3 * GROUP;
        else if (ANY8(e) & PTE_P)
            break;
    }
    return i;
}

/* Level 1: take what the present entries of @table hold, or give back what the first @end entries hold. */
int l1_table_get(struct domain *d, uint64_t *table) REQUIRES(&d->mmu) must_check;
void l1_table_put(uint64_t *table, unsigned end);

/* Levels 2 to 4: the same, and page_table_update(). */
int upper_table_get(struct domain *d, struct page_info *pg, int level) REQUIRES(&d->mmu) must_check;
void upper_table_put(struct page_info *pg, int level, unsigned end);
int upper_table_update(struct domain *d, struct domain *owner, struct page_info *pg, unsigned slot,
                       pte_t want, enum ad_bits ad) REQUIRES(&d->mmu) must_check;
