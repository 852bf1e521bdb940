/* The domain's own grant table, and grants of it to itself: what can be asked of any hypervisor without a second domain. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/grant_table.h>

/* This domain's number. */
domid_t grant_self(void);
/* The first frame of the table, version 1, mapped. */
volatile grant_entry_v1_t *grant_entries(void);
/* Entry @ref lets @domid use frame @mfn; @flags beside GTF_permit_access.  Nobody may have it in use. */
void grant_allow(grant_ref_t ref, domid_t domid, unsigned long mfn, uint16_t flags);

struct grant_mapping {
    int16_t status; /* GNTST_* */
    grant_handle_t handle;
    uint64_t address; /* for devices */
};
/* Map reference @ref of @domid at @host with GNTMAP_* @flags: bails out if the call itself fails. */
struct grant_mapping grant_map_of(domid_t domid, grant_ref_t ref, uint64_t host, uint32_t flags);
/* The same of this domain's own table. */
struct grant_mapping grant_map(grant_ref_t ref, uint64_t host, uint32_t flags);
/* GNTST_* */
int16_t grant_unmap(grant_handle_t handle, uint64_t host, uint64_t device);
int16_t grant_replace(grant_handle_t handle, uint64_t host, uint64_t by);
