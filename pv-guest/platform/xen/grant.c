/*
 * The table of our grants: the hypervisor's frames, mapped over pages of our image, where we write and it reads.
 *
 * The first entries are reserved: the domain builder has granted the console's and the store's page by them.
 */
#include <paravane/hypercall.h>

#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "platform/xen/grant.h"

#define FRAMES_MOST  8
#define ENTRIES      (PAGE_SIZE / sizeof(grant_entry_v1_t)) /* of a frame */
#define ENTRIES_MOST (FRAMES_MOST * ENTRIES)

static char window[FRAMES_MOST * PAGE_SIZE] __attribute__((aligned(4096)));
static grant_entry_v1_t *const table = (grant_entry_v1_t *)window;
static unsigned entries;                             /* 0: not set up yet */
static uint16_t next_free[ENTRIES_MOST], first_free; /* 0: there is none */

/* Map as many frames of the table as the hypervisor gives. */
static long set_up(void)
{
    unsigned long frames[FRAMES_MOST];
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = FRAMES_MOST};
    long rc;
    set_xen_guest_handle(setup.frame_list, frames);
    for (;; setup.nr_frames /= 2) {
        rc = hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1);
        if (rc || setup.status == GNTST_okay || setup.nr_frames == 1)
            break;
    }
    if (rc || setup.status != GNTST_okay)
        return rc ? rc : -ENOSPC;
    for (unsigned i = 0; !rc && i < setup.nr_frames; i++)
        rc = hypercall_update_va_mapping((unsigned long)window + i * PAGE_SIZE,
                                         frames[i] << PAGE_SHIFT | PTE_P | PTE_W | PTE_A | PTE_D |
                                             pte_nx,
                                         UVMF_INVLPG | UVMF_ALL);
    if (rc)
        return rc;
    entries = setup.nr_frames * ENTRIES;
    for (unsigned i = GNTTAB_NR_RESERVED_ENTRIES; i < entries; i++) {
        next_free[i] = first_free;
        first_free = i;
    }
    return 0;
}

int grant_give(unsigned domain, mfn_t frame, bool read_only, grant_ref_t *ref)
{
    const long rc = entries ? 0 : set_up();
    if (rc)
        return rc;
    if (!first_free)
        return -ENOSPC;
    *ref = first_free;
    first_free = next_free[*ref];
    grant_entry_v1_t *const entry = &table[*ref];
    entry->domid = domain;
    entry->frame = frame.n;
    __atomic_store_n(&entry->flags, GTF_permit_access | (read_only ? GTF_readonly : 0),
                     __ATOMIC_RELEASE);
    return 0;
}

bool grant_end(grant_ref_t ref)
{
    uint16_t flags = __atomic_load_n(&table[ref].flags, __ATOMIC_RELAXED);
    do {
        if (flags & (GTF_reading | GTF_writing))
            return false;
    } while (!__atomic_compare_exchange_n(&table[ref].flags, &flags, 0, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    next_free[ref] = first_free;
    first_free = ref;
    return true;
}
