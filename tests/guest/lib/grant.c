#include "grant.h"
#include "event.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>

static volatile grant_entry_v1_t *entries;

domid_t grant_self(void)
{
    static bool known;
    static domid_t id;
    struct evtchn_status status;
    evtchn_port_t port;

    if (known)
        return id;
    if (event_alloc_unbound(DOMID_SELF, &port) || event_status(port, &status))
        tap_bail_out("no port to learn this domain's number from");
    id = status.u.unbound.dom;
    event_close(port);
    known = true;
    return id;
}

volatile grant_entry_v1_t *grant_entries(void)
{
    xen_pfn_t frame;
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1, .frame_list = {&frame}};

    if (entries)
        return entries;
    if (hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1) || setup.status)
        tap_bail_out("no grant table");
    entries = memory_map_frame(frame, PTE_RW);
    return entries;
}

void grant_allow(grant_ref_t ref, domid_t domid, unsigned long mfn, uint16_t flags)
{
    volatile grant_entry_v1_t *e = &grant_entries()[ref];

    e->flags = 0;
    e->domid = domid;
    e->frame = mfn;
    e->flags = GTF_permit_access | flags;
}

struct grant_mapping grant_map_of(domid_t domid, grant_ref_t ref, uint64_t host, uint32_t flags)
{
    struct gnttab_map_grant_ref op = {.host_addr = host,
                                      .flags = flags,
                                      .ref = ref,
                                      .dom = domid,
                                      .status = 77,
                                      .handle = ~0u,
                                      .dev_bus_addr = ~0ul};
    long rc = hypercall_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);

    if (rc)
        tap_bail_out("map_grant_ref answers %ld", rc);
    return (struct grant_mapping){op.status, op.handle, op.dev_bus_addr};
}

struct grant_mapping grant_map(grant_ref_t ref, uint64_t host, uint32_t flags)
{
    return grant_map_of(grant_self(), ref, host, flags);
}

int16_t grant_unmap(grant_handle_t handle, uint64_t host, uint64_t device)
{
    struct gnttab_unmap_grant_ref op = {
        .host_addr = host, .dev_bus_addr = device, .handle = handle, .status = 77};
    long rc = hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);

    if (rc)
        tap_bail_out("unmap_grant_ref answers %ld", rc);
    return op.status;
}

int16_t grant_replace(grant_handle_t handle, uint64_t host, uint64_t by)
{
    struct gnttab_unmap_and_replace op = {
        .host_addr = host, .new_addr = by, .handle = handle, .status = 77};
    long rc = hypercall_grant_table_op(GNTTABOP_unmap_and_replace, &op, 1);

    if (rc)
        tap_bail_out("unmap_and_replace answers %ld", rc);
    return op.status;
}
