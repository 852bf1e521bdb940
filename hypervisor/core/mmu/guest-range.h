/*
 * Which addresses are a guest's: all but the hypervisor's slots, and none through a linear window (core/mmu/guest-range.c).
 * x86/memory/guest-access.h reads and writes there (on the host, tests/host/machine has its own).
 */
#pragma once

#include "types.h"

/* The hypervisor's own L4 slots in every guest table (<xen/arch-x86/xen-x86_64.h>). */
#define HYPERVISOR_SLOT_FIRST  256
#define HYPERVISOR_SLOT_LAST   271
#define HYPERVISOR_VIRT_START_ 0xffff800000000000ull
#define HYPERVISOR_VIRT_END_   0xffff880000000000ull

/* Some domain has, or had, an L4 entry that names an L4 table: see guest_readable(). */
extern bool linear_windows_exist;
/* The rest of guest_readable(), if so: no byte of @n at @va is below an L4 slot that the running domain ever used linearly. */
bool guest_readable_beside_windows(uint64_t va, uint64_t n);
struct domain;
/* L4 slot @slot of some table of @d is about to hold a linear entry: from now on guest_read() refuses to read through it.
 * A CPU may have passed its look already; when it answers the flush it has finished reading.  Needs @d->mmu. */
void linear_window_shut(struct domain *d, unsigned slot);

/* May a guest name @n bytes at @va?  Everything but the hypervisor's slots and the non-canonical hole;
 * an object must lie wholly on one side. */
static inline bool guest_range_ok(uint64_t va, uint64_t n)
{
    const uint64_t end = va + n;

    if (likely(va >= HYPERVISOR_VIRT_END_)) /* a kernel's: it may end at the very top */
        return end >= va || end == 0;
    return end >= va && end <= 0x0000800000000000ull;
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
 * may not.  Nobody keeps hypercall arguments there, so such windows are shut as a whole
 * (linear_window_shut).  Writes need no look: a linear entry is read-only.
 */
static inline bool guest_readable(uint64_t va, uint64_t n)
{
    return guest_access_ok(va, n) &&
           (!__builtin_expect(linear_windows_exist, 0) || guest_readable_beside_windows(va, n));
}
