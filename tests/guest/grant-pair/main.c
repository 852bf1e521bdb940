/*
 * Half of a pair that shares frames by grants: role=granter (domain 1) or mapper (domain 2); ends=1: the granter ends while its
 * frames are mapped.
 *
 * The granter fills pages and grants them.  The mapper maps one for reading and one for writing, copies from a third, and says by
 * a word in the second that it has; the granter sees that, and later that nobody uses its pages any more.  A granter that ends leaves
 * nothing but the frames that are mapped: all others are free when the mapper asks.
 *
 * Waits are bounded: a minute of the guest's clock, then the test says what it waited for.  (tests/boot/test-grant-pair.sh)
 */
#include "grant.h"
#include "clock.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>

#define FIRST   16u /* reference; the pages follow each other */
#define PAGES   4u
#define SHARED  1u /* the page that is written to */
#define GRANTER 1
#define MAPPER  2

#define WORD(page, i) (0xab00000000000000ul | (page) << 16 | (i))

static volatile uint64_t *pages[PAGES];

/* Let others run until @done(); at most a minute. */
static void wait_for(bool (*done)(void), const char *what)
{
    const uint64_t end = clock_ns() + 60000000000ul;

    while (!done()) {
        if (clock_ns() > end)
            tap_bail_out("waited a minute for %s", what);
        hypercall_sched_op(SCHEDOP_yield, NULL);
    }
}

/* --- the granter --- */

static bool mapper_has_written(void)
{
    return pages[SHARED][511] == MAPPER;
}

static bool nobody_uses_them(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (grant_entries()[FIRST + i].flags & (GTF_reading | GTF_writing))
            return false;
    return true;
}

static void be_granter(void)
{
    for (unsigned i = 0; i < PAGES; i++) {
        pages[i] = page_alloc();
        for (unsigned k = 0; k < 511; k++)
            pages[i][k] = WORD(i, k);
        grant_allow(FIRST + i, MAPPER, page_mfn((void *)pages[i]), i == SHARED ? 0 : GTF_readonly);
    }
    wait_for(mapper_has_written, "the mapper's word");
    tap_ok(true, "granter: the mapper has written");
    if (guest_option("ends", 0))
        return;
    wait_for(nobody_uses_them, "the mapper to give the pages back");
    tap_ok(true, "granter: nobody uses the pages any more");
}

/* --- the mapper --- */

static struct grant_mapping reading;
static volatile uint64_t *window[2];

static bool first_is_granted(void)
{
    reading = grant_map_of(GRANTER, FIRST, (uint64_t)window[0], GNTMAP_host_map | GNTMAP_readonly);
    return !reading.status;
}

static bool third_is_gone(void)
{
    struct grant_mapping m =
        grant_map_of(GRANTER, FIRST + 3, 0, GNTMAP_device_map | GNTMAP_readonly);

    if (!m.status)
        grant_unmap(m.handle, 0, m.address);
    return m.status == GNTST_bad_page;
}

static bool is_whole(const volatile uint64_t *page, unsigned number)
{
    for (unsigned k = 0; k < 511; k++)
        if (page[k] != WORD(number, k))
            return false;
    return true;
}

static void copy_third(void)
{
    static volatile uint64_t copy[512] __attribute__((aligned(4096)));
    struct gnttab_copy op = {
        .source = {.u.ref = FIRST + 2, .domid = GRANTER},
        .dest = {.u.gmfn = pte_mfn(*memory_entry((unsigned long)copy, 1)), .domid = DOMID_SELF},
        .len = 4096,
        .flags = GNTCOPY_source_gref,
        .status = 77};

    tap_is(hypercall_grant_table_op(GNTTABOP_copy, &op, 1), 0, "mapper: copy");
    tap_is(op.status, GNTST_okay, "mapper: copy: status");
    tap_ok(is_whole(copy, 2), "mapper: copy: the page");
}

static void be_mapper(void)
{
    window[0] = page_alloc();
    window[1] = page_alloc();
    wait_for(first_is_granted, "the granter's first page");
    mmuext(MMUEXT_TLB_FLUSH_LOCAL,
           0); /* of what was there before; as for any entry, nobody else does that */
    tap_ok(is_whole(window[0], 0), "mapper: the page that is for reading");
    tap_is(grant_map_of(GRANTER, FIRST, (uint64_t)window[1], GNTMAP_host_map).status,
           GNTST_general_error, "mapper: it is not for writing");
    tap_is(grant_map_of(GRANTER, 3, (uint64_t)window[1], GNTMAP_host_map).status,
           GNTST_general_error, "mapper: another entry is not for this domain");
    struct grant_mapping writing = grant_map_of(GRANTER, FIRST + SHARED, (uint64_t)window[1],
                                                GNTMAP_host_map | GNTMAP_device_map);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    tap_is(writing.status, GNTST_okay, "mapper: the page that is for writing");
    tap_ok(is_whole(window[1], SHARED), "mapper: its words");
    copy_third();
    window[1][511] = MAPPER;
    if (guest_option("ends", 0)) {
        wait_for(third_is_gone, "the granter to be gone");
        tap_ok(is_whole(window[0], 0) && is_whole(window[1], SHARED),
               "mapper: what is mapped stays when the granter is gone");
    }
    tap_is(grant_unmap(writing.handle, (uint64_t)window[1], writing.address), GNTST_okay,
           "mapper: unmap");
    tap_is(grant_unmap(reading.handle, (uint64_t)window[0], 0), GNTST_okay,
           "mapper: unmap the other");
}

void guest_main(void)
{
    if (strstr(guest_arguments(), "role=mapper"))
        be_mapper();
    else
        be_granter();
}
