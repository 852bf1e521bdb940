/*
 * x86-64 page-table entries as data: bits are a table, levels are numbers 1..4.
 *
 *   va:  63..48 sign | 47..39 L4 | 38..30 L3 | 29..21 L2 | 20..12 L1 | 11..0 offset
 *
 * (Intel SDM volume 3, 4.5; the PV rules about each bit: page-tables.c.)
 */
#pragma once

#include "types.h"

#define PTE_P            BIT(0) /* present */
#define PTE_RW           BIT(1)
#define PTE_US           BIT(2) /* reachable from ring 3: where guest kernels run, too */
#define PTE_PWT          BIT(3)
#define PTE_PCD          BIT(4)
#define PTE_A            BIT(5)
#define PTE_D            BIT(6)
#define PTE_PSE          BIT(7) /* L2, L3: superpage.  L1: PAT */
#define PTE_PAT          BIT(7)
#define PTE_G            BIT(8)
#define PTE_AVAIL        (BIT(9) | BIT(10) | BIT(11))
#define PTE_GUEST_KERNEL BIT(52) /* the guest asked for a supervisor page */
#define PTE_AVAIL_HIGH   (0x7ffull << 52)
#define PTE_NX           BIT(63)

#define PTE_ADDR_MASK 0x000ffffffffff000ull

#define PT_ENTRIES 512u

static inline pte_t pte(uint64_t v)
{
    return (pte_t){v};
}

static inline pte_t pte_make(mfn_t m, uint64_t flags)
{
    return (pte_t){mfn_to_maddr(m) | flags};
}

static inline bool pte_present(pte_t e)
{
    return e.v & PTE_P;
}

static inline mfn_t pte_mfn(pte_t e)
{
    return mfn(e.v << 12 >> (12 + PAGE_SHIFT)); /* bits 12..51 */
}

/* Index of @va's entry in a table of @level. */
static inline unsigned pt_index(uint64_t va, int level)
{
    return (va >> (PAGE_SHIFT + 9 * (level - 1))) & (PT_ENTRIES - 1);
}

static inline bool va_canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}
