/* Linear windows: what a guest may not name although the hypervisor could read it (guest_readable). */
#include "guest-range.h"
#include "arch.h"
#include "tlb.h"

bool linear_windows_exist;

bool guest_readable_beside_windows(uint64_t va, uint64_t n)
{
    const struct domain *d = current_vcpu()->domain;

    if (!guest_range_ok(va, n))
        return false;
    for (unsigned slot = pt_index(va, 4), last = pt_index(va + n - 1, 4); slot <= last; slot++)
        if (atomic_read(&d->linear_slots[slot / 64]) >> slot % 64 & 1)
            return n == 0;
    return true;
}

void linear_window_shut(struct domain *d, unsigned slot)
{
    if (d->linear_slots[slot / 64] & BIT(slot % 64))
        return;
    linear_windows_exist = true;
    atomic_or(&d->slow_paths, SLOW_LINEAR);
    atomic_or(&d->linear_slots[slot / 64], BIT(slot % 64));
    tlb_flush_cpus(atomic_read(&d->tlb_cpus));
}
