/* A page-table entry of x86-64, any level: the low and high flag bits. */
#pragma once

#include "base.h"

typedef struct {
    uint64_t bits;
} pte_t;

#define PTE_P  (1ul << 0) /* present */
#define PTE_W  (1ul << 1) /* writable */
#define PTE_U  (1ul << 2) /* a process may use it */
#define PTE_A  (1ul << 5) /* has been used */
#define PTE_D  (1ul << 6) /* has been written */
#define PTE_NX (1ul << 63)

/* Left to software: what it maps is another domain's, and no page of ours. */
#define PTE_FOREIGN (1ul << 9)

#define PTE_TABLE (PTE_P | PTE_W | PTE_U | PTE_A) /* what points to a lower table */
#define PTE_NONE  ((pte_t){0})

#define TABLE_ENTRIES 512

static inline bool pte_present(pte_t e)
{
    return e.bits & PTE_P;
}

static inline bool pte_writable(pte_t e)
{
    return e.bits & PTE_W;
}

/* Index into a level @level table (1 is the lowest) for @address. */
static inline unsigned pte_index(uintptr_t address, int level)
{
    return (address >> (PAGE_SHIFT + 9 * (level - 1))) % TABLE_ENTRIES;
}
