/*
 * Question: can a guest set up its grant table?
 *
 * Every frontend does this at boot: ask the size, fix the version, get the
 * frames and map them.  Errors of the operation itself come in the structure's
 * status, the hypercall's result being 0.
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/grant_table.h>

COVERS_CALL(grant_table_op);
COVERS(grant_table_op, GNTTABOP_setup_table);
COVERS(grant_table_op, GNTTABOP_query_size);
COVERS(grant_table_op, GNTTABOP_set_version);
COVERS(grant_table_op, GNTTABOP_get_version);

void guest_main(void)
{
    xen_pfn_t frames[4] = {0};
    struct gnttab_query_size size = {.dom = DOMID_SELF, .status = 77};
    struct gnttab_set_version set = {.version = 1};
    struct gnttab_get_version get = {.dom = DOMID_SELF};
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1, .frame_list = {frames}};

    tap_is(hypercall_grant_table_op(GNTTABOP_query_size, &size, 1), 0, "query_size");
    tap_is(size.status, GNTST_okay, "query_size: status");
    tap_ok(size.max_nr_frames >= 4, "query_size: at least four frames");
    tap_is(hypercall_grant_table_op(GNTTABOP_set_version, &set, 1), 0, "set_version 1");
    tap_is(hypercall_grant_table_op(GNTTABOP_get_version, &get, 1), 0, "get_version");
    tap_is(get.version, 1, "get_version: 1");
    tap_is(hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0, "setup_table");
    tap_is(setup.status, GNTST_okay, "setup_table: status");
    tap_ok(frames[0] != 0, "setup_table: a frame");
    volatile grant_entry_v1_t *entries = memory_map_frame(frames[0], PTE_RW);
    tap_is(entries[8].flags, 0, "the table is empty where nobody granted");
    entries[8].domid = 0, entries[8].frame = 5, entries[8].flags = GTF_permit_access;
    tap_is(entries[8].flags, GTF_permit_access, "and can be written");
    entries[8].flags = 0;

    setup.nr_frames = size.max_nr_frames + 1;
    tap_is(hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0, "setup_table: too many");
    tap_ok(setup.status != GNTST_okay, "setup_table: too many: status");
    setup = (struct gnttab_setup_table){.dom = 77, .nr_frames = 1, .frame_list = {frames}};
    tap_is(hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0,
           "setup_table: no such domain");
    tap_is(setup.status, guest_is_first() ? GNTST_bad_domain : GNTST_permission_denied,
           "setup_table: no such domain: status");
    tap_is(hypercall_grant_table_op(GNTTABOP_setup_table, (void *)0x1000, 1), -XEN_EFAULT,
           "setup_table: an unmapped argument");
    tap_is(hypercall_grant_table_op(GNTTABOP_query_size, (void *)0x1000, 1), -XEN_EFAULT,
           "query_size: an unmapped argument");
    setup = (struct gnttab_setup_table){.dom = DOMID_SELF, .nr_frames = 1, .frame_list = {frames}};
    tap_is(hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 2), -XEN_EINVAL,
           "setup_table: two at once");
    setup.frame_list.p = (void *)0x1000;
    tap_is(hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0,
           "setup_table: nowhere to write to");
    tap_is(setup.status, GNTST_bad_virt_addr, "setup_table: nowhere to write to: status");
    get.dom = 77;
    tap_is(hypercall_grant_table_op(GNTTABOP_get_version, &get, 1), guest_role(-XEN_ESRCH),
           "get_version: no such domain");
    set.version = 7;
    tap_is(hypercall_grant_table_op(GNTTABOP_set_version, &set, 1), -XEN_EINVAL, "set_version 7");
    tap_is(hypercall_grant_table_op(77, &set, 1), -XEN_ENOSYS, "no operation 77");
}
