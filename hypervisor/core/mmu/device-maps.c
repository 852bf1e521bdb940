/*
 * Mappings of frames that are not RAM.
 *
 * They hold nothing (page-tables.c), so nobody counts them, and who wants to know them has to look at every entry of every table.  That
 * is needed only when frames become read-only that somebody may have mapped before: a device's table of messages, which a kernel maps
 * to read it before it asks for the first message.
 */
#include "device-maps.h"

#include "arch.h"
#include "page-tables.h"
#include "sched.h"
#include "tlb.h"

#define LOOKED_AT 256u /* frames between two preemption points */

/* Does @e map a read-only device frame writable? */
static bool must_demote(pte_t e)
{
    const mfn_t m = pte_mfn(e);

    return (e.v & (PTE_P | PTE_RW)) == (PTE_P | PTE_RW) &&
           (!mfn_valid(m) || atomic_read(&mfn_to_page(m)->owner) == OWNER_IO) &&
           arch_device_frame_read_only(m);
}

static void table_demote(uint64_t *table)
{
    for (unsigned i = 0; i < PT_ENTRIES; i++)
        if (must_demote(pte(atomic_read(&table[i]))))
            (void)atomic_and(&table[i], ~(uint64_t)PTE_RW);
}

static void domain_demote(struct domain *d)
{
    mutex_lock(&d->mmu);
    for (uint64_t n = d->lowest_mfn; n <= d->highest_mfn && d->highest_mfn; n++) {
        if (page_is_table_of(mfn_to_page(mfn(n)), d->id, PAGE_TYPE_L1)) {
            table_demote(mfn_to_virt(mfn(n)));
            (void)preempt_point();
        }
        if (n % LOOKED_AT == 0)
            (void)preempt_point();
    }
    tlb_flush_cpus(atomic_read(&d->tlb_cpus));
    mutex_unlock(&d->mmu);
}

void device_maps_demote(void)
{
    struct domain *d;

    for (unsigned id = 0; (d = domain_get_from_with(id, ROLE_HARDWARE));) {
        id = d->id + 1u;
        domain_demote(d);
        domain_put(d);
    }
}
