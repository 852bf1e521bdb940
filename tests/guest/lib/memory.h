/*
 * Memory of a test guest.
 *
 *   page   a page of ours with its frame mapped read-write at its own address
 *   frame  a machine frame by its number (mfn)
 *   table  a page made read-only, so that it may become a page table
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>

#define PAGE_SIZE  4096ul
#define PAGE_SHIFT 12
#define VIRT_BASE  0xffffffff80000000ul

#define PTE_P            (1ul << 0)
#define PTE_W            (1ul << 1)
#define PTE_U            (1ul << 2)
#define PTE_PWT          (1ul << 3)
#define PTE_PCD          (1ul << 4)
#define PTE_A            (1ul << 5)
#define PTE_D            (1ul << 6)
#define PTE_PSE          (1ul << 7)
#define PTE_G            (1ul << 8)
#define PTE_AVAIL        (7ul << 9)
#define PTE_GUEST_KERNEL (1ul << 52)
#define PTE_NX           (1ul << 63)
#define PTE_FRAME        0x000ffffffffff000ul

#define PTE_RW    (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define PTE_RO    (PTE_P | PTE_U | PTE_A | PTE_D)
#define PTE_TABLE (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

static inline uint64_t pte_of(unsigned long mfn, uint64_t flags)
{
    return (uint64_t)mfn << PAGE_SHIFT | flags;
}

static inline unsigned long pte_mfn(uint64_t pte)
{
    return (pte & PTE_FRAME) >> PAGE_SHIFT;
}

/* One load or store of eight bytes at any address, which may fault. */
static inline uint64_t peek(unsigned long va)
{
    uint64_t value;
    __asm__ volatile("mov (%1), %0" : "=r"(value) : "r"(va) : "memory");
    return value;
}

static inline void poke(unsigned long va, uint64_t value)
{
    __asm__ volatile("mov %0, (%1)" : : "r"(value), "r"(va) : "memory");
}

void memory_init(const start_info_t *si);

/* Pages left to page_alloc(), for tests that ask whether they got everything back. */
unsigned memory_free_pages(void);

/* A zeroed page; never fails (the test ends if there is none). */
void *page_alloc(void);
void page_free(void *page);
unsigned long page_mfn(const void *page);
unsigned long page_pfn(const void *page);
/* Change how our own mapping of @page looks: PTE_RW, PTE_RO or 0.  Returns the hypercall's result.
 */
long page_protect(void *page, uint64_t flags);

/* Where our own mapping of @mfn is. */
void *memory_of_mfn(unsigned long mfn);
unsigned long memory_root_mfn(void);
/* The number of L1-mapped bytes from VIRT_BASE on. */
unsigned long memory_mapped_end(void);

/* A frame of ours that is mapped nowhere. */
unsigned long frame_alloc(void);

/* Map any frame at a fresh address; bails out when refused. */
void *memory_map_frame(unsigned long mfn, uint64_t flags);
void memory_unmap_frame(void *at);

/* The entry that maps @va at @level (1-4) in the running root: its address, or NULL when a level is
 * missing. */
uint64_t *memory_entry(unsigned long va, int level);
/* The same entry's machine address, for mmu_update. */
uint64_t memory_entry_ma(unsigned long va, int level);
/* Machine address of entry @index of @table. */
uint64_t table_entry_ma(const void *table, unsigned index);
/* Map @pte at any free address, adding page tables as needed.  Returns 0 or an errno. */
long memory_map_at(unsigned long va, uint64_t pte);

/* A zeroed page mapped read-only. */
uint64_t *table_alloc(void);
void table_free(uint64_t *table); /* nobody may refer to it any more */
/* One mmu_update. */
long mmu_set(uint64_t ptr, uint64_t val);
/* One mmuext_op on a frame. */
long mmuext(unsigned cmd, unsigned long mfn);
