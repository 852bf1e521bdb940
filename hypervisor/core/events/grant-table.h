/* Grant tables, version 1 (core/events/grant-table.c): the frames; mapping other domains' grants comes
 * with them later. */
#pragma once

#include "domain.h"

/* Guarded by @lock, but @frame[0], which is there from the start. */
struct grant_table {
    spinlock_t lock;
    uint32_t frames; /* how many exist */
    uint32_t max_frames;
    void *frame[64]; /* hypervisor pages shared with the guest, 512 entries each */
};

int grant_table_init(struct domain *d) must_check; /* 0 or -XEN_ENOMEM; one frame */
void grant_table_destroy(struct domain *d);        /* nobody else has a reference to @d */
/* Pre-fill entry @ref of the first frame: @backend may map @frame. Before the domain runs. */
void grant_table_seed(struct domain *d, unsigned ref, domid_t backend, mfn_t frame);
