/*
 * Question: who may map what was granted, and what is left when it is unmapped?
 *
 * The domain grants frames to itself, which every hypervisor allows: so all rules of mapping can be asked by one image.  A host
 * mapping is a page-table entry that the hypervisor writes (by address, or by the entry's machine address); a device
 * mapping is only an address.  GTF_reading and GTF_writing in the granter's entry say that somebody has it.
 *
 * What went wrong elsewhere: counts of host and device mappings mixed up (XSA-224); an entry unmapped that maps the right frame with
 * another right (XSA-234); misaligned entries (XSA-227); a status that says 1, or nothing (XSA-316, 318); "unused" told
 * while another mapping of the same reference is left (XSA-218, 230).
 */
#include "grant.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>

COVERS(grant_table_op, GNTTABOP_map_grant_ref);
COVERS(grant_table_op, GNTTABOP_unmap_grant_ref);
COVERS(grant_table_op, GNTTABOP_unmap_and_replace);

#define REF    20u /* of the granted page */
#define HOST   GNTMAP_host_map
#define DEVICE GNTMAP_device_map
#define RO     GNTMAP_readonly

#define OKAY   0
#define IN_USE (GTF_reading | GTF_writing)

static volatile grant_entry_v1_t *entries;
static volatile uint64_t *page;   /* granted */
static volatile uint64_t *window; /* where it is mapped a second time */
static volatile uint64_t *other;

static uint64_t at(const volatile void *p)
{
    return (uint64_t)p;
}

static unsigned bits(grant_ref_t ref)
{
    return entries[ref].flags & IN_USE;
}

/* The window shows a page of ours again. */
static void window_back(void)
{
    mmu_set(memory_entry_ma(at(window), 1), pte_of(page_mfn((void *)other), PTE_RW));
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
}

static void refusals_of_map(void)
{
    uint64_t *table = table_alloc();
    const struct {
        const char *name;
        uint16_t flags, domid; /* of the entry */
        uint32_t frame;
        uint32_t map; /* GNTMAP_* */
        int status;
    } rows[] = {
        {"not permitted", 0, 0, 1, HOST, GNTST_general_error},
        {"accepts a transfer", GTF_accept_transfer, 0, 1, HOST, GNTST_general_error},
        {"a part of a page", GTF_permit_access | GTF_sub_page, 0, 1, HOST, GNTST_general_error},
        {"permitted to another domain", GTF_permit_access, 1, 1, HOST, GNTST_general_error},
        {"read-only", GTF_permit_access | GTF_readonly, 0, 1, HOST, GNTST_general_error},
        {"read-only, for devices", GTF_permit_access | GTF_readonly, 0, 1, DEVICE,
         GNTST_general_error},
        {"no such frame", GTF_permit_access, 0, 0xffffffff, HOST, GNTST_bad_page},
        {"no such frame, for devices", GTF_permit_access, 0, 0xffffffff, DEVICE | RO,
         GNTST_bad_page},
        {"neither host nor device", GTF_permit_access, 0, 1, RO, GNTST_bad_gntref},
        {"a page table, writable", GTF_permit_access, 0, 2, HOST, GNTST_general_error},
        {"a page table, writable, for devices", GTF_permit_access, 0, 2, DEVICE,
         GNTST_general_error},
    };

    mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(table));
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const unsigned long frame = rows[i].frame == 1   ? page_mfn((void *)page)
                                    : rows[i].frame == 2 ? page_mfn(table)
                                                         : rows[i].frame;
        entries[REF].flags = 0;
        entries[REF].domid = rows[i].domid ? 77 : grant_self();
        entries[REF].frame = frame;
        entries[REF].flags = rows[i].flags;
        tap_is(grant_map(REF, at(window), rows[i].map).status, rows[i].status, "map: %s",
               rows[i].name);
        tap_is(bits(REF), 0, "map: %s: not in use", rows[i].name);
    }
    grant_allow(REF, grant_self(), page_mfn(table), 0);
    struct grant_mapping m = grant_map(REF, at(window), HOST | RO);
    tap_is(m.status, OKAY, "map: a page table, read-only");
    tap_is(grant_unmap(m.handle, at(window), 0), OKAY, "unmap: a page table");
    window_back();
    mmuext(MMUEXT_UNPIN_TABLE, page_mfn(table));
    table_free(table);
}

static void refusals_of_names(void)
{
    grant_allow(REF, grant_self(), page_mfn((void *)page), 0);
    tap_is(grant_map_of(77, REF, at(window), HOST).status, GNTST_bad_domain, "map: no such domain");
    tap_is(grant_map_of(DOMID_SELF, REF, at(window), HOST).status, GNTST_bad_domain,
           "map: DOMID_SELF is no granter");
    tap_is(grant_map_of(DOMID_IO, REF, at(window), HOST).status, GNTST_bad_domain,
           "map: DOMID_IO has no table");
    tap_is(grant_map(1u << 20, at(window), HOST).status, GNTST_bad_gntref,
           "map: a reference beyond the table");
    tap_is(grant_map(~0u, at(window), HOST).status, GNTST_bad_gntref, "map: reference ~0");
    tap_is(grant_map(REF, 0x400000, HOST).status, GNTST_general_error, "map: no table there");
    tap_is(grant_map(REF, 0xffff800000000000, HOST).status, GNTST_general_error,
           "map: an address of the hypervisor's");
    tap_is(grant_map(REF, 0x8000000000000000, HOST).status, GNTST_general_error,
           "map: no address at all");
    tap_is(grant_map(REF, memory_entry_ma(at(window), 1) + 4, HOST | GNTMAP_contains_pte).status,
           GNTST_general_error, "map: half an entry");
    tap_is(grant_map(REF, memory_entry_ma(at(window), 2), HOST | GNTMAP_contains_pte).status,
           GNTST_general_error, "map: an entry of an L2 table");
    tap_is(
        grant_map(REF, (uint64_t)page_mfn((void *)page) << PAGE_SHIFT, HOST | GNTMAP_contains_pte)
            .status,
        GNTST_general_error, "map: an entry in plain memory");
    tap_is(bits(REF), 0, "map: after all that not in use");
}

#define PTE_LOOK (PTE_P | PTE_W | PTE_A | PTE_D | PTE_AVAIL | PTE_NX | PTE_PWT | PTE_PCD | PTE_G)

static void host_mappings(void)
{
    const uint64_t frame = (uint64_t)page_mfn((void *)page) << PAGE_SHIFT;

    page[0] = 0x1122334455667788;
    grant_allow(REF, grant_self(), page_mfn((void *)page), 0);
    struct grant_mapping m = grant_map(REF, at(window), HOST);
    tap_is(m.status, OKAY, "host map");
    tap_ok(m.address == frame, "host map: the address for devices, too");
    tap_is_hex(bits(REF), IN_USE, "host map: reading and writing");
    tap_ok((*memory_entry(at(window), 1) & PTE_FRAME) == frame, "host map: the entry's frame");
    tap_is_hex(*memory_entry(at(window), 1) & PTE_LOOK, PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX,
               "host map: the entry's bits");
    tap_is_hex(window[0], 0x1122334455667788, "host map: the page is seen");
    window[1] = 5;
    tap_is(page[1], 5, "host map: and written to");
    tap_is(grant_unmap(m.handle, at(page), 0), OKAY, "unmap: another address of the same frame");
    tap_is(*memory_entry(at(page), 1), 0, "unmap: that entry is gone");
    tap_is_hex(bits(REF), 0, "unmap: not in use");
    tap_is(grant_unmap(m.handle, at(window), 0), GNTST_bad_handle, "unmap: again");
    mmu_set(memory_entry_ma(at(page), 1), pte_of(frame >> PAGE_SHIFT, PTE_RW));
    window_back();

    m = grant_map(REF, at(window), HOST | RO | 5u << 16);
    tap_is(m.status, OKAY, "host map, read-only");
    tap_is_hex(bits(REF), GTF_reading, "host map, read-only: reading");
    tap_is_hex(*memory_entry(at(window), 1) & PTE_LOOK, PTE_P | PTE_A | PTE_D | PTE_NX | 5u << 9,
               "host map, read-only: the entry's bits, with those that are the guest's");
    tap_is(grant_unmap(m.handle, at(page), 0), GNTST_general_error,
           "unmap: an entry with other rights");
    tap_is(grant_unmap(m.handle, at(other), 0), GNTST_general_error,
           "unmap: an entry of another frame");
    tap_is(grant_unmap(m.handle, 0x400000, 0), GNTST_general_error, "unmap: no entry");
    tap_is(grant_unmap(m.handle, 0, 0), OKAY, "unmap: nothing");
    tap_is(grant_unmap(m.handle, 0, frame), OKAY, "unmap: for devices, which it is not");
    tap_is_hex(bits(REF), GTF_reading, "unmap: still in use");
    tap_is(grant_unmap(m.handle, at(window), 0), OKAY, "unmap");
    tap_is(grant_unmap(1u << 30, at(window), 0), GNTST_bad_handle, "unmap: no such handle");
    window_back();

    const uint64_t slot = memory_entry_ma(at(window), 1);
    m = grant_map(REF, slot, HOST | GNTMAP_contains_pte | GNTMAP_application_map);
    tap_is(m.status, OKAY, "host map by its entry, for programs");
    window[2] = 9;
    tap_is(page[2], 9, "host map by its entry: written to");
    tap_is(grant_unmap(m.handle, at(window), 0), GNTST_general_error,
           "unmap by address what was mapped by its entry");
    tap_is(grant_unmap(m.handle, slot + 1, 0), GNTST_general_error, "unmap: a misaligned entry");
    tap_is(grant_unmap(m.handle, slot, 0), OKAY, "unmap by its entry");
    tap_is_hex(bits(REF), 0, "unmap by its entry: not in use");
    window_back();
}

/* Both parts of a handle, and several handles, in every order: the counts are separate. */
static void parts_and_orders(void)
{
    const uint64_t device = (uint64_t)page_mfn((void *)page) << PAGE_SHIFT;
    struct grant_mapping m = grant_map(REF, at(window), HOST | DEVICE);

    tap_is(m.status, OKAY, "both: map");
    tap_is(grant_unmap(m.handle, at(window), device + 0x1000), GNTST_bad_dev_addr,
           "both: unmap with another device address");
    tap_is(grant_unmap(m.handle, at(window), device + 1), GNTST_bad_dev_addr,
           "both: unmap with a device address that is off by one");
    tap_is(grant_unmap(m.handle, at(window), 0), OKAY, "both: unmap the host part");
    tap_is_hex(bits(REF), IN_USE, "both: still in use");
    tap_is(grant_unmap(m.handle, at(page), 0), OKAY, "both: the host part again does nothing");
    tap_ok(*memory_entry(at(page), 1) & PTE_P, "both: really nothing");
    tap_is(grant_unmap(m.handle, 0, device), OKAY, "both: unmap the device part");
    tap_is_hex(bits(REF), 0, "both: not in use");
    tap_is(grant_unmap(m.handle, 0, device), GNTST_bad_handle, "both: the handle is gone");
    window_back();

    static const uint32_t kind[] = {HOST, HOST | RO, DEVICE, DEVICE | RO};
    unsigned wrong = 0;
    for (unsigned order = 0; order < 256; order++) {
        /* four mappings, taken away in the order that two bits each say (whatever is gone is passed over) */
        struct grant_mapping k[4];
        bool there[4] = {true, true, true, true};
        for (unsigned i = 0; i < 4; i++) {
            k[i] = grant_map(REF, at(window) + (i & 1 ? PAGE_SIZE : 0), kind[i]);
            wrong += k[i].status != OKAY;
        }
        for (unsigned step = 0; step < 8; step++) {
            const unsigned i = step < 4 ? order >> (2 * step) & 3 : step - 4;
            if (!there[i])
                continue;
            there[i] = false;
            wrong +=
                grant_unmap(k[i].handle, kind[i] & HOST ? at(window) + (i & 1 ? PAGE_SIZE : 0) : 0,
                            kind[i] & DEVICE ? device : 0) != OKAY;
            const unsigned want = (there[0] || there[2]   ? IN_USE
                                   : there[1] || there[3] ? GTF_reading
                                                          : 0);
            wrong += bits(REF) != want;
        }
    }
    tap_is(wrong, 0, "read-only, writable, host, device: bits and statuses in every order");
}

/* The entry of a host mapping is overwritten as any other: the handle stays, and cannot be unmapped by it any more. */
static void overwritten(void)
{
    struct grant_mapping m = grant_map(REF, at(window), HOST);

    tap_is(m.status, OKAY, "overwritten: map");
    window_back();
    tap_is_hex(bits(REF), IN_USE, "overwritten: in use");
    tap_is(grant_unmap(m.handle, at(window), 0), GNTST_general_error, "overwritten: unmap");
    struct grant_mapping again = grant_map(REF, at(window), HOST);
    tap_is(again.status, OKAY, "overwritten: map once more");
    tap_is(grant_unmap(m.handle, at(window), 0), OKAY,
           "overwritten: the first handle unmaps the second's entry");
    tap_is_hex(bits(REF), IN_USE, "overwritten: one is left");
    tap_is(grant_unmap(again.handle, at(page), 0), OKAY, "overwritten: and unmaps our own");
    tap_is_hex(bits(REF), 0, "overwritten: none is left");
    mmu_set(memory_entry_ma(at(page), 1), pte_of(page_mfn((void *)page), PTE_RW));
    window_back();
}

static void replaced(void)
{
    volatile uint64_t *fresh = page_alloc();
    struct grant_mapping m = grant_map(REF, at(window), HOST);

    fresh[0] = 77;
    tap_is(m.status, OKAY, "replace: map");
    tap_is(grant_replace(m.handle, at(window), 0x400000), GNTST_general_error,
           "replace: by no entry");
    tap_is(grant_replace(m.handle, at(window), at(fresh)), OKAY, "replace");
    tap_is(window[0], 77, "replace: the other page is there");
    tap_is(*memory_entry(at(fresh), 1), 0, "replace: and no longer where it was");
    tap_is_hex(bits(REF), 0, "replace: not in use");
    tap_is(grant_replace(m.handle, at(window), at(fresh)), GNTST_bad_handle, "replace: again");
    const uint64_t slot = memory_entry_ma(at(other), 1);
    m = grant_map(REF, slot, HOST | GNTMAP_contains_pte);
    tap_is(grant_replace(m.handle, slot, at(fresh)), GNTST_general_error,
           "replace: what was mapped by its entry");
    tap_is(grant_unmap(m.handle, slot, 0), OKAY, "replace: unmap that");
    mmu_set(slot, pte_of(page_mfn((void *)other), PTE_RW));
    window_back();
}

static void batches(void)
{
    struct gnttab_map_grant_ref *maps = page_alloc();
    struct gnttab_unmap_grant_ref *unmaps = page_alloc();
    const uint64_t device = (uint64_t)page_mfn((void *)page) << PAGE_SHIFT;
    unsigned wrong = 0;

    for (unsigned i = 0; i < 100; i++)
        maps[i] = (struct gnttab_map_grant_ref){.flags = i % 10 == 3 ? RO : DEVICE,
                                                .ref = i % 10 == 7 ? 1u << 24 : REF,
                                                .dom = grant_self(),
                                                .status = 77};
    tap_is(hypercall_grant_table_op(GNTTABOP_map_grant_ref, maps, 100), 0, "batch: map 100");
    for (unsigned i = 0; i < 100; i++) {
        wrong += maps[i].status != (i % 10 == 3 || i % 10 == 7 ? GNTST_bad_gntref : OKAY);
        unmaps[i] = (struct gnttab_unmap_grant_ref){
            .dev_bus_addr = device, .handle = maps[i].status ? ~0u : maps[i].handle, .status = 77};
    }
    tap_is(wrong, 0, "batch: each has its own status");
    tap_is(hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, unmaps, 100), 0, "batch: unmap 100");
    for (unsigned i = 0; i < 100; i++)
        wrong += unmaps[i].status != (maps[i].status ? GNTST_bad_handle : OKAY);
    tap_is(wrong, 0, "batch: and so has each that is unmapped");
    tap_is_hex(bits(REF), 0, "batch: not in use");

    /* The last element lies half on a page that is not there. */
    volatile char *edge = (char *)page_alloc();
    page_protect((void *)(edge + PAGE_SIZE), 0);
    struct gnttab_map_grant_ref *last =
        (void *)(edge + PAGE_SIZE - sizeof(*last) - sizeof(*last) / 2);
    *last = (struct gnttab_map_grant_ref){
        .flags = DEVICE, .ref = REF, .dom = grant_self(), .status = 77};
    tap_is(hypercall_grant_table_op(GNTTABOP_map_grant_ref, last, 2), -XEN_EFAULT,
           "batch: an element that cannot be read");
    tap_is(last->status, OKAY, "batch: the one before it is done");
    tap_is(grant_unmap(last->handle, 0, device), OKAY, "batch: and unmapped");
    page_protect((void *)(edge + PAGE_SIZE), PTE_RW);
    tap_is(hypercall_grant_table_op(GNTTABOP_map_grant_ref, (void *)0xffff800000000000, 1),
           -XEN_EFAULT, "batch: a list of the hypervisor's");
    tap_is(hypercall_grant_table_op(GNTTABOP_map_grant_ref, maps, 0), 0, "batch: of none");
    tap_is(hypercall_grant_table_op(GNTTABOP_map_grant_ref, maps, 0x80000000), -XEN_EINVAL,
           "batch: of too many");
}

/* One entry is in use at most so often: its counts do not run over. */
static void counts_end(void)
{
    static grant_handle_t handle[200];
    const uint64_t device = (uint64_t)page_mfn((void *)page) << PAGE_SHIFT;
    unsigned count = 0;
    int status = OKAY;

    while (count < 200 && status == OKAY) {
        struct grant_mapping m = grant_map(REF, 0, DEVICE);
        status = m.status;
        handle[count++] = m.handle;
    }
    tap_is(count, 129, "counts: mapped 128 times, no more");
    tap_is(status, GNTST_general_error, "counts: status");
    for (unsigned i = 0; i + 1 < count; i++)
        grant_unmap(handle[i], 0, device);
    tap_is_hex(bits(REF), 0, "counts: not in use");
}

void guest_main(void)
{
    entries = grant_entries();
    page = page_alloc();
    other = page_alloc();
    window = page_alloc();
    page_alloc(); /* behind the window: for a second mapping */
    refusals_of_map();
    refusals_of_names();
    host_mappings();
    parts_and_orders();
    overwritten();
    replaced();
    batches();
    counts_end();
}
