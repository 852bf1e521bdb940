/*
 * Question: what do the two versions of the grant table say, and when may one take the other's place?
 *
 * Version 2 has entries of 16 bytes: frames of 64 bits, parts of a page; and GTF bits in frames of their own.  A switch clears the table
 * but for eight reserved entries, and is refused while any other is in use.
 *
 * What went wrong elsewhere: status frames that went while they were mapped (XSA-255); an entry in use whose meaning changed (XSA-379,
 * 501); a list of frames that was longer than its owner had said (XSA-382).
 */
#include "grant.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>

COVERS(grant_table_op, GNTTABOP_get_status_frames);
COVERS(grant_table_op, GNTTABOP_swap_grant_ref);
COVERS(grant_table_op, GNTTABOP_cache_flush);

#define REF    20u
#define IN_USE (GTF_reading | GTF_writing)

static volatile grant_entry_v1_t *v1;
static volatile grant_entry_v2_t *v2; /* the same frame */
static volatile grant_status_t *status;
static volatile uint64_t *page, *window;

static long set_version(uint32_t version)
{
    struct gnttab_set_version op = {.version = version};

    return hypercall_grant_table_op(GNTTABOP_set_version, &op, 1);
}

static unsigned version(void)
{
    struct gnttab_get_version op = {.dom = DOMID_SELF};

    return hypercall_grant_table_op(GNTTABOP_get_version, &op, 1) ? 0 : op.version;
}

static int status_frames(uint32_t n, uint64_t *list)
{
    struct gnttab_get_status_frames op = {
        .nr_frames = n, .dom = DOMID_SELF, .status = 77, .frame_list = {list}};
    long rc = hypercall_grant_table_op(GNTTABOP_get_status_frames, &op, 1);

    if (rc)
        tap_bail_out("get_status_frames answers %ld", rc);
    return op.status;
}

static int swap_refs(grant_ref_t a, grant_ref_t b)
{
    struct gnttab_swap_grant_ref op = {.ref_a = a, .ref_b = b, .status = 77};
    long rc = hypercall_grant_table_op(GNTTABOP_swap_grant_ref, &op, 1);

    if (rc)
        tap_bail_out("swap_grant_ref answers %ld", rc);
    return op.status;
}

static void in_version_1(void)
{
    uint64_t list[4] = {77, 77, 77, 77};

    tap_is(version(), 1, "the table begins with version 1");
    tap_is(status_frames(1, list), GNTST_general_error, "version 1 has no status frames");
    tap_is(status_frames(0, list), GNTST_okay, "but none is none");
    tap_is(list[0], 77, "and the list is left alone");
    grant_allow(REF, grant_self(), page_mfn((void *)page), 0);
    grant_allow(REF + 1, grant_self(), 0x1234, GTF_readonly);
    tap_is(swap_refs(REF, REF + 1), GNTST_okay, "swap");
    tap_ok(v1[REF].frame == 0x1234 && v1[REF + 1].frame == page_mfn((void *)page), "swap: done");
    tap_is(swap_refs(REF, REF), GNTST_okay, "swap: one with itself");
    tap_is(swap_refs(REF, 1u << 20), GNTST_bad_gntref, "swap: beyond the table");
    struct grant_mapping m = grant_map(REF + 1, (uint64_t)window, GNTMAP_host_map);
    tap_is(m.status, GNTST_okay, "map");
    tap_is(swap_refs(REF, REF + 1), GNTST_eagain, "swap: an entry in use");
    tap_is(swap_refs(REF + 1, REF), GNTST_eagain, "swap: the other way round");
    tap_is(set_version(2), -XEN_EBUSY, "to version 2: an entry is in use");
    tap_is(version(), 1, "still version 1");
    tap_is(grant_unmap(m.handle, (uint64_t)window, 0), GNTST_okay, "unmap");
}

static void in_version_2(void)
{
    uint64_t list[4];
    grant_allow(3, grant_self(), page_mfn((void *)page), 0); /* a reserved one */
    const domid_t domid = v1[1].domid;
    const uint32_t ring = v1[1].frame;
    struct grant_mapping kept = grant_map(3, 0, GNTMAP_device_map);

    tap_is(kept.status, GNTST_okay, "a reserved entry in use");
    tap_is(set_version(2), 0, "to version 2");
    tap_is(version(), 2, "version 2");
    tap_is(status_frames(1, list), GNTST_okay, "version 2 has a status frame");
    tap_is(status_frames(2, list), GNTST_general_error, "but not two");
    status = memory_map_frame(list[0], PTE_RW);
    tap_is(v2[1].hdr.domid, domid, "a reserved entry: its domain");
    tap_is(v2[1].full_page.frame, ring, "a reserved entry: its frame");
    tap_is(v2[3].hdr.flags, GTF_permit_access, "the one in use: its flags");
    tap_is(status[3], IN_USE, "the one in use: its bits are in the status now");
    tap_is(v2[REF].hdr.flags, 0, "all others are cleared");
    tap_is(grant_unmap(kept.handle, 0, (uint64_t)page_mfn((void *)page) << PAGE_SHIFT), GNTST_okay,
           "unmap the one in use");
    tap_is(status[3], 0, "it is not in use");
}

static void maps_in_version_2(void)
{
    v2[REF].full_page.frame = page_mfn((void *)page);
    v2[REF].hdr.domid = grant_self();
    v2[REF].hdr.flags = GTF_permit_access;
    struct grant_mapping m = grant_map(REF, (uint64_t)window, GNTMAP_host_map);
    tap_is(m.status, GNTST_okay, "map");
    tap_is(status[REF], IN_USE, "map: in use");
    tap_is(v2[REF].hdr.flags, GTF_permit_access, "map: the entry itself is as it was");
    tap_is(set_version(1), -XEN_EBUSY, "to version 1: an entry is in use");
    tap_is(grant_unmap(m.handle, (uint64_t)window, 0), GNTST_okay, "unmap");
    tap_is(status[REF], 0, "unmap: not in use");
    v2[REF].hdr.flags = GTF_permit_access | GTF_readonly;
    tap_is(grant_map(REF, (uint64_t)window, GNTMAP_host_map).status, GNTST_general_error,
           "map: read-only");
    tap_is(status[REF], 0, "map: read-only: not in use");
    v2[REF].full_page.frame = ~0ul;
    tap_is(grant_map(REF, (uint64_t)window, GNTMAP_host_map | GNTMAP_readonly).status,
           GNTST_bad_page, "map: no such frame");
    v2[REF].hdr.flags = GTF_transitive;
    tap_is(grant_map(REF, (uint64_t)window, GNTMAP_host_map | GNTMAP_readonly).status,
           GNTST_general_error, "map: what is granted by another");
    tap_is(status[REF], 0, "map: after all that not in use");
}

static void parts_of_pages(void)
{
    v2[REF].sub_page.page_off = 64;
    v2[REF].sub_page.length = 32;
    v2[REF].sub_page.frame = page_mfn((void *)page);
    v2[REF].hdr.flags = GTF_permit_access | GTF_sub_page;
    tap_is(grant_map(REF, (uint64_t)window, GNTMAP_host_map).status, GNTST_general_error,
           "map: a part of a page");
    static const struct {
        unsigned offset, length;
        int status;
    } rows[] = {{64, 32, 0},  {64, 0, 0},  {80, 16, 0}, {63, 8, -1},
                {64, 33, -1}, {96, 1, -1}, {0, 0, -1}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct gnttab_copy copy = {
            .source = {.u.ref = REF, .domid = grant_self(), .offset = (uint16_t)rows[i].offset},
            .dest = {.u.gmfn = page_mfn((void *)page), .domid = DOMID_SELF, .offset = 2048},
            .len = (uint16_t)rows[i].length,
            .flags = GNTCOPY_source_gref,
            .status = 77};
        hypercall_grant_table_op(GNTTABOP_copy, &copy, 1);
        tap_is(copy.status, rows[i].status, "copy of a part: %u bytes from %u", rows[i].length,
               rows[i].offset);
    }
    tap_is(status[REF], 0, "copy of a part: not in use");
}

static void back_to_version_1(void)
{
    const domid_t domid = v2[1].hdr.domid;
    const uint64_t ring = v2[1].full_page.frame;

    v2[2].full_page.frame = 1ul << 40;
    v2[2].hdr.flags = GTF_permit_access;
    tap_is(set_version(1), -XEN_ERANGE, "to version 1: a reserved entry with a high frame");
    v2[2].hdr.flags = GTF_transitive;
    tap_is(set_version(1), -XEN_ERANGE, "to version 1: a reserved entry of the third kind");
    v2[2].hdr.flags = 0;
    tap_is(set_version(1), -XEN_EBUSY, "to version 1: the status frame is mapped");
    tap_is(version(), 2, "still version 2");
    memory_unmap_frame((void *)status);
    tap_is(set_version(1), 0, "to version 1");
    tap_is(version(), 1, "version 1");
    tap_is(v1[1].domid, domid, "a reserved entry: its domain");
    tap_is(v1[1].frame, ring, "a reserved entry: its frame");
    tap_is(v1[REF].flags, 0, "all others are cleared");
}

static long cache_flush(uint64_t address, unsigned offset, unsigned length, uint32_t op)
{
    struct gnttab_cache_flush flush = {.a.dev_bus_addr = address,
                                       .offset = (uint16_t)offset,
                                       .length = (uint16_t)length,
                                       .op = op};

    return hypercall_grant_table_op(GNTTABOP_cache_flush, &flush, 1);
}

static void the_rest(void)
{
    const uint64_t ours = (uint64_t)page_mfn((void *)page) << PAGE_SHIFT;
    struct gnttab_transfer transfer = {.mfn = page_mfn((void *)page), .domid = 77, .ref = REF};

    tap_is(cache_flush(ours, 0, 64, GNTTAB_CACHE_CLEAN), 0, "cache: clean");
    tap_is(cache_flush(ours, 0, 64, GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL), 0,
           "cache: clean and invalidate");
    tap_is(cache_flush(ours, 0, 64, GNTTAB_CACHE_INVAL), -XEN_EOPNOTSUPP, "cache: invalidate");
    tap_is(cache_flush(ours, 0, 0, GNTTAB_CACHE_INVAL), 0, "cache: no bytes");
    tap_is(cache_flush(ours, 64, 64, 0), 0, "cache: no operation");
    tap_is(cache_flush(ours, 4090, 64, GNTTAB_CACHE_CLEAN), -XEN_EINVAL, "cache: beyond the page");
    tap_is(cache_flush(ours, 0, 64, 4), -XEN_EINVAL, "cache: an operation that is none");
    tap_is(cache_flush(1ul << 51, 0, 64, GNTTAB_CACHE_CLEAN), -XEN_EINVAL, "cache: no memory");
    tap_is(cache_flush(0, 0, 64, GNTTAB_CACHE_CLEAN), -XEN_EPERM, "cache: memory of nobody's");
    long rc = hypercall_grant_table_op(GNTTABOP_transfer, &transfer, 1);
    tap_is(rc, -XEN_ENOSYS, "transfer");
    tap_is(hypercall_grant_table_op(GNTTABOP_dump_table, &transfer, 1), -XEN_ENOSYS, "dump_table");
    tap_is(hypercall_grant_table_op(1u << 20, &transfer, 1), -XEN_EINVAL,
           "a command with upper bits");
}

void guest_main(void)
{
    v1 = grant_entries();
    v2 = (volatile grant_entry_v2_t *)v1;
    page = page_alloc();
    window = page_alloc();
    in_version_1();
    in_version_2();
    maps_in_version_2();
    parts_of_pages();
    back_to_version_1();
    the_rest();
}
