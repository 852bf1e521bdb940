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

/* The hypervisor's own L4 slots in every guest table (<xen/arch-x86/xen-x86_64.h>). */
#define HYPERVISOR_SLOT_FIRST  256
#define HYPERVISOR_SLOT_LAST   271
#define HYPERVISOR_VIRT_START_ 0xffff800000000000ull
#define HYPERVISOR_VIRT_END_   0xffff880000000000ull

/* Some domain has, or had, an L4 entry that names an L4 table: see guest_readable(). */
extern bool linear_windows_exist;
bool in_linear_window(uint64_t va, uint64_t n);

/* May a guest name @n bytes at @va?  Everything but the hypervisor's slots and the non-canonical hole;
 * an object must lie wholly on one side. */
static inline bool guest_range_ok(uint64_t va, uint64_t n)
{
    uint64_t end = va + n;
    if (end < va)
        return n && end == 0;
    return end <= 0x0000800000000000ull || va >= HYPERVISOR_VIRT_END_;
}

/*
 * The same for an access that is about to be made, which a fault may end: an object that goes on past the top of the address
 * space goes on at 0, in the guest's other half, so that the guest's addresses, seen from the end of our slots, are one range.
 */
#define GUEST_SPAN (0x0000800000000000ull - HYPERVISOR_VIRT_END_)

static inline bool guest_access_ok(uint64_t va, uint64_t n)
{
    return n <= GUEST_SPAN && va - HYPERVISOR_VIRT_END_ <= GUEST_SPAN - n;
}

/*
 * May the hypervisor read @n bytes at @va for the running guest?  Beyond guest_range_ok(): an address below an L4 entry
 * that names an L4 table walks through that table's own slots of ours, whose entries ring 0 may follow although ring 3
 * may not.  Nobody keeps hypercall arguments there, so such windows are shut as a whole (core/page-tables.c,
 * linear_window_shut).  Writes need no look: a linear entry is read-only.
 */
static inline bool guest_readable(uint64_t va, uint64_t n)
{
    return guest_access_ok(va, n) && (!__builtin_expect(linear_windows_exist, 0) ||
                                      (guest_range_ok(va, n) && !in_linear_window(va, n)));
}
