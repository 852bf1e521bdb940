/*
 * Question: what may be copied by grants, from where to where?
 *
 * Each side of a copy is a reference into somebody's table, or a frame of the caller's own.  The side that is written to needs a
 * grant for writing, and a frame that may be written to.  Elements in a row may name the same side: it stays claimed.
 *
 * What went wrong elsewhere: a claim that is kept for what has another name (XSA-236); bits left behind (XSA-230); a count of elements
 * that was wrong after a preemption (XSA-318).
 */
#include "grant.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>

COVERS(grant_table_op, GNTTABOP_copy);

#define FROM   20u /* references */
#define TO     21u
#define IN_USE (GTF_reading | GTF_writing)

static volatile grant_entry_v1_t *entries;
static uint8_t *from, *to;

static struct gnttab_copy_ptr by_ref(grant_ref_t ref, unsigned offset)
{
    return (struct gnttab_copy_ptr){
        .u.ref = ref, .domid = grant_self(), .offset = (uint16_t)offset};
}

static struct gnttab_copy_ptr by_frame(const void *page, unsigned offset)
{
    return (struct gnttab_copy_ptr){
        .u.gmfn = page_mfn(page), .domid = DOMID_SELF, .offset = (uint16_t)offset};
}

static int copy(struct gnttab_copy_ptr source, struct gnttab_copy_ptr dest, unsigned flags,
                unsigned length)
{
    struct gnttab_copy op = {
        .source = source, .dest = dest, .len = length, .flags = flags, .status = 77};
    long rc = hypercall_grant_table_op(GNTTABOP_copy, &op, 1);

    if (rc)
        tap_bail_out("copy answers %ld", rc);
    return op.status;
}

static void fill(void)
{
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        from[i] = (uint8_t)(i * 7 + 1);
        to[i] = 0xee;
    }
}

/* Is @to what a copy of @length bytes, from offset @a to offset @b, makes of it? */
static bool copied(unsigned a, unsigned b, unsigned length)
{
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        if (to[i] != (i >= b && i < b + length ? (uint8_t)((i - b + a) * 7 + 1) : 0xee))
            return false;
    return true;
}

#define BY_SOURCE GNTCOPY_source_gref
#define BY_DEST   GNTCOPY_dest_gref

static void ways(void)
{
    static const struct {
        unsigned a, b, length;
    } rows[] = {{0, 0, 4096}, {0, 0, 64}, {4032, 64, 64}, {1, 4095, 1}, {9, 3, 0}, {13, 21, 1001}};
    unsigned wrong = 0;

    grant_allow(FROM, grant_self(), page_mfn(from), GTF_readonly);
    grant_allow(TO, grant_self(), page_mfn(to), 0);
    for (unsigned flags = 0; flags < 4; flags++)
        for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
            fill();
            wrong += copy(flags & BY_SOURCE ? by_ref(FROM, rows[i].a) : by_frame(from, rows[i].a),
                          flags & BY_DEST ? by_ref(TO, rows[i].b) : by_frame(to, rows[i].b), flags,
                          rows[i].length) != GNTST_okay;
            wrong += !copied(rows[i].a, rows[i].b, rows[i].length);
        }
    tap_is(wrong, 0, "by reference or frame on either side, of any length");
    tap_is_hex((entries[FROM].flags | entries[TO].flags) & IN_USE, 0, "nothing is in use then");
    fill();
    tap_is(copy(by_frame(from, 0), by_frame(from, 2048), 0, 2048), GNTST_okay, "within one page");
    tap_ok(from[2048] == 1 && from[2049] == 8, "within one page: done");
}

static void refusals(void)
{
    uint64_t *table = table_alloc();
    struct gnttab_copy_ptr nobody = by_ref(FROM, 0), other = by_frame(from, 0),
                           wild = by_frame(from, 0), third = by_frame(table, 0);

    fill();
    mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(table));
    nobody.domid = 77;
    other.domid = grant_self();
    wild.u.gmfn = ~0ul >> 12;
    tap_is(copy(nobody, by_frame(to, 0), BY_SOURCE, 8), GNTST_bad_domain, "from no such domain");
    tap_is(copy(by_frame(from, 0), nobody, BY_DEST, 8), GNTST_bad_domain, "to no such domain");
    tap_is(copy(other, by_frame(to, 0), 0, 8), GNTST_permission_denied,
           "from a frame of a domain that is named");
    tap_is(copy(by_frame(from, 0), other, 0, 8), GNTST_permission_denied,
           "to a frame of a domain that is named");
    tap_is(copy(wild, by_frame(to, 0), 0, 8), GNTST_bad_page, "from no such frame");
    tap_is(copy(by_frame(from, 0), wild, 0, 8), GNTST_bad_page, "to no such frame");
    tap_is(copy(by_frame(from, 0), third, 0, 8), GNTST_general_error, "to a page table");
    tap_is(copy(third, by_frame(to, 0), 0, 8), GNTST_okay, "from a page table");
    tap_is(copy(by_ref(1u << 20, 0), by_frame(to, 0), BY_SOURCE, 8), GNTST_bad_gntref,
           "from a reference beyond the table");
    tap_is(copy(by_ref(30, 0), by_frame(to, 0), BY_SOURCE, 8), GNTST_general_error,
           "from what is not granted");
    tap_is(copy(by_frame(from, 0), by_ref(FROM, 0), BY_DEST, 8), GNTST_general_error,
           "to what is granted for reading");
    tap_is(copy(by_ref(FROM, 4090), by_frame(to, 0), BY_SOURCE, 8), GNTST_bad_copy_arg,
           "beyond the source's page");
    tap_is(copy(by_ref(FROM, 0), by_frame(to, 4089), BY_SOURCE, 8), GNTST_bad_copy_arg,
           "beyond the destination's page");
    tap_is(copy(by_ref(FROM, 65535), by_frame(to, 0), BY_SOURCE, 65535), GNTST_bad_copy_arg,
           "far beyond");
    tap_is(copy(by_ref(FROM, 4090), nobody, BY_SOURCE | BY_DEST, 8), GNTST_bad_domain,
           "the domain is looked at first");
    tap_is(copy(by_ref(30, 4090), by_frame(to, 0), BY_SOURCE, 8), GNTST_general_error,
           "the grant is looked at before the bounds");
    tap_is_hex((entries[FROM].flags | entries[TO].flags) & IN_USE, 0, "nothing is in use");
    tap_ok(to[8] == 0xee, "and nothing was written beyond what was asked");
    mmuext(MMUEXT_UNPIN_TABLE, page_mfn(table));
    table_free(table);
}

/* Elements in a row that share a side, or seem to. */
static void runs(void)
{
    struct gnttab_copy *ops = page_alloc();
    unsigned wrong = 0;

    fill();
    for (unsigned i = 0; i < 64; i++)
        ops[i] = (struct gnttab_copy){.source = by_ref(FROM, i * 64),
                                      .dest = i % 2 ? by_ref(TO, i * 64) : by_frame(to, i * 64),
                                      .len = 64,
                                      .flags = BY_SOURCE | (i % 2 ? BY_DEST : 0),
                                      .status = 77};
    ops[20].source.u.ref = 1u << 20;
    ops[40].dest.offset = 4090;
    /* TO, but as a frame number */
    ops[50].dest = (struct gnttab_copy_ptr){.u.gmfn = TO, .domid = grant_self(), .offset = 50 * 64};
    ops[50].flags = BY_SOURCE;
    tap_is(hypercall_grant_table_op(GNTTABOP_copy, ops, 64), 0, "64 in a row");
    for (unsigned i = 0; i < 64; i++)
        wrong += ops[i].status != (i == 20   ? GNTST_bad_gntref
                                   : i == 40 ? GNTST_bad_copy_arg
                                   : i == 50 ? GNTST_permission_denied
                                             : GNTST_okay);
    tap_is(wrong, 0, "64 in a row: each has its status");
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        wrong +=
            to[i] != (i / 64 == 20 || i / 64 == 40 || i / 64 == 50 ? 0xee : (uint8_t)(i * 7 + 1));
    tap_is(wrong, 0, "64 in a row: what should be is copied");
    tap_is_hex((entries[FROM].flags | entries[TO].flags) & IN_USE, 0,
               "64 in a row: nothing is in use");
}

/* What is pinned is what was granted when it was, whatever the entry says now. */
static void pinned(void)
{
    uint8_t *decoy = page_alloc();
    const uint64_t device = (uint64_t)page_mfn(from) << PAGE_SHIFT;
    struct grant_mapping m = grant_map(FROM, 0, GNTMAP_device_map | GNTMAP_readonly);

    fill();
    tap_is(m.status, GNTST_okay, "pinned: map");
    entries[FROM].frame = page_mfn(decoy);
    tap_is(copy(by_ref(FROM, 0), by_frame(to, 0), BY_SOURCE, 64), GNTST_okay, "pinned: copy");
    tap_ok(copied(0, 0, 64), "pinned: from the frame that was granted");
    entries[FROM].flags = (uint16_t)(entries[FROM].flags & ~GTF_type_mask);
    tap_is(copy(by_ref(FROM, 0), by_frame(to, 0), BY_SOURCE, 64), GNTST_okay,
           "pinned: revoked, but in use");
    tap_is(copy(by_frame(to, 0), by_ref(FROM, 0), BY_DEST, 64), GNTST_general_error,
           "pinned: still for reading only");
    tap_is(grant_unmap(m.handle, 0, device), GNTST_okay, "pinned: unmap");
    tap_is(copy(by_ref(FROM, 0), by_frame(to, 0), BY_SOURCE, 64), GNTST_general_error,
           "pinned: now revoked");
}

void guest_main(void)
{
    entries = grant_entries();
    from = page_alloc();
    to = page_alloc();
    ways();
    refusals();
    runs();
    pinned();
}
