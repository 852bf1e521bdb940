/*
 * A guest that makes the hypervisor work as long as it can in one go: what=N, over and over, for=MS (default 200).
 *
 * A neighbour on the same CPU (tick) says how late its timer was, which is the longest stretch without a preemption
 * point; counted in instructions it is exact (tests/bench/latency).
 */
#include "guest.h"
#include "clock.h"
#include "console.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/io/xs_wire.h>
#include <xen/memory.h>
#include <xen/sched.h>

static multicall_entry_t calls[512];

#define CALL(op_, ...) ((multicall_entry_t){.op = __HYPERVISOR_##op_, .args = {__VA_ARGS__}})

static void multicall(unsigned count)
{
    if (hypercall_multicall(calls, count))
        tap_bail_out("a multicall of %u was refused", count);
}

static void expect(long result, long wanted, const char *what)
{
    if (result != wanted)
        tap_bail_out("%s: %ld instead of %ld", what, result, wanted);
}

/* A page of 512 entries that name @target. */
static uint64_t *full_table(void *target, uint64_t flags)
{
    uint64_t *table = page_alloc();

    for (unsigned i = 0; i < 512; i++)
        table[i] = pte_of(page_mfn(target), flags);
    page_protect(table, PTE_RO);
    return table;
}

/* --- page tables --- */

/* 31 batches of 16 L2 entries, each of which takes one full L1 table in and gives another up. */
static void many_l2_entries(void)
{
    static mmu_update_t updates[16];
    static uint64_t *l2;

    if (!l2) {
        void *data = page_alloc();
        uint64_t *l1[2] = {full_table(data, PTE_RW), full_table(data, PTE_RW)};
        l2 = page_alloc();
        page_protect(l2, PTE_RO);
        expect(mmuext(MMUEXT_PIN_L2_TABLE, page_mfn(l2)), 0, "pin L2");
        for (unsigned i = 0; i < 16; i++)
            updates[i] = (mmu_update_t){table_entry_ma(l2, 3), pte_of(page_mfn(l1[i & 1]), PTE_TABLE)};
    }
    for (unsigned i = 0; i < 31; i++)
        calls[i] = CALL(mmu_update, (unsigned long)updates, 16, 0, DOMID_SELF);
    multicall(31);
    expect((long)calls[30].result, 0, "mmu_update of L2 entries");
}

/* A full L1 table pinned and unpinned, 31 times in one call. */
static void many_pins(void)
{
    static struct mmuext_op pin, unpin;

    if (!pin.arg1.mfn) {
        uint64_t *l1 = full_table(page_alloc(), guest_option("writable", 1) ? PTE_RW : PTE_RO);
        pin = (struct mmuext_op){.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = page_mfn(l1)};
        unpin = (struct mmuext_op){.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = page_mfn(l1)};
    }
    for (unsigned i = 0; i < 62; i++)
        calls[i] = CALL(mmuext_op, (unsigned long)(i & 1 ? &unpin : &pin), 1, 0, DOMID_SELF);
    multicall(62);
    expect((long)calls[60].result, 0, "pin L1");
}

/* A tree: an L2 of 512 entries that name 16 full L1 tables. */
static void tree(void)
{
    static uint64_t *l2;

    if (!l2) {
        void *data = page_alloc();
        l2 = page_alloc();
        for (unsigned i = 0; i < 16; i++)
            l2[i] = pte_of(page_mfn(full_table(data, PTE_RW)), PTE_TABLE);
        for (unsigned i = 16; i < 512; i++)
            l2[i] = l2[i % 16];
        page_protect(l2, PTE_RO);
    }
    expect(mmuext(MMUEXT_PIN_L2_TABLE, page_mfn(l2)), 0, "pin a tree");
    expect(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(l2)), 0, "unpin a tree");
}

/* --- descriptors, traps, ports --- */

static void many_gdts(void)
{
    static unsigned long frames[14];

    if (!frames[0])
        for (unsigned i = 0; i < 14; i++) {
            uint64_t *page = page_alloc();
            for (unsigned k = 0; k < 512; k++)
                page[k] = 0x00cffb000000ffff;
            frames[i] = page_mfn(page);
            page_protect(page, PTE_RO);
        }
    for (unsigned i = 0; i < 62; i++)
        calls[i] = CALL(set_gdt, (unsigned long)frames, i & 1 ? 512 : 14 * 512 - 512);
    multicall(62);
    expect((long)calls[0].result, 0, "set_gdt");
}

static void many_trap_tables(void)
{
    static trap_info_t table[257];

    for (unsigned i = 0; i < 256; i++)
        table[i] = (trap_info_t){(uint8_t)i, 0, FLAT_KERNEL_CS, (unsigned long)table};
    for (unsigned i = 0; i < 128; i++)
        calls[i] = CALL(set_trap_table, (unsigned long)table);
    multicall(128);
}

static void all_ports(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_reset r = {.dom = DOMID_SELF};

    while (!hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &a))
        ;
    expect(hypercall_event_channel_op(EVTCHNOP_reset, &r), 0, "reset of all ports");
}

static void many_polls(void)
{
    static evtchn_port_t ports[128];
    static struct sched_poll poll = {.nr_ports = 128};

    poll.ports.p = ports;
    if (!ports[127])
        for (unsigned i = 0; i < 128; i++)
            expect(event_alloc_unbound(DOMID_SELF, &ports[i]), 0, "a port");
    event_mask(ports[127]);
    __atomic_fetch_or(&guest_shared->evtchn_pending[ports[127] / 64], 1ul << ports[127] % 64, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 64; i++)
        calls[i] = CALL(sched_op, SCHEDOP_poll, (unsigned long)&poll);
    multicall(64);
}

/* --- memory --- */

#define EXTENTS 15
static xen_pfn_t lists[64][EXTENTS];
static struct xen_memory_reservation reservations[64];

static void lists_fill(unsigned count, unsigned order)
{
    for (unsigned e = 0; e < count; e++) {
        for (unsigned i = 0; i < EXTENTS; i++)
            lists[e][i] = 0x100000 + ((uint64_t)(e * EXTENTS + i) << order);
        reservations[e] = (struct xen_memory_reservation){.nr_extents = EXTENTS, .extent_order = order, .domid = DOMID_SELF};
        reservations[e].extent_start.p = lists[e];
    }
}

/* Populate by one multicall of @count calls, then give all back. */
static void grow(unsigned count, unsigned order)
{
    lists_fill(count, order);
    for (unsigned e = 0; e < count; e++)
        calls[e] = CALL(memory_op, XENMEM_populate_physmap, (unsigned long)&reservations[e]);
    multicall(count);
    unsigned first = (unsigned)calls[0].result;
    if (!first)
        tap_bail_out("no memory to grow by");
    for (unsigned e = 0; e < count; e++)
        reservations[e].nr_extents = (uint32_t)calls[e].result;
    for (unsigned e = 0; e < count; e++)
        calls[e] = CALL(memory_op, XENMEM_decrease_reservation, (unsigned long)&reservations[e]);
    multicall(count);
}

static void grow_large(void)
{
    grow(10, 9);
}

static void grow_small(void)
{
    grow(64, 0);
}

/* 512 frames for 2 MiB in one piece. */
static void exchange(void)
{
    static xen_pfn_t in[512], out[1];
    struct xen_memory_exchange e = {.in = {.nr_extents = 512, .domid = DOMID_SELF},
                                    .out = {.nr_extents = 1, .extent_order = 9, .domid = DOMID_SELF}};

    for (unsigned i = 0; i < 512; i++)
        in[i] = out[0] ? out[0] + i : 0x100000 + i;
    if (!out[0]) {
        struct xen_memory_reservation r = {.nr_extents = 512, .domid = DOMID_SELF};
        r.extent_start.p = in;
        expect(hypercall_memory_op(XENMEM_populate_physmap, &r), 512, "frames to exchange");
    }
    out[0] = 0x100000;
    e.in.extent_start.p = in;
    e.out.extent_start.p = out;
    expect(hypercall_memory_op(XENMEM_exchange, &e), 0, "exchange");
}

/* --- ends and beginnings --- */

static void live_again(void)
{
    lists_fill(10, 9);
    for (unsigned e = 0; e < 10; e++)
        (void)hypercall_memory_op(XENMEM_populate_physmap, &reservations[e]);
    guest_shutdown(SHUTDOWN_reboot);
}

static void crash(void)
{
    hypercall_set_trap_table(NULL);
    __asm__ volatile("ud2");
}

/* --- the store --- */

static volatile struct xenstore_domain_interface *ring;

/* Bytes to the ring, whole messages at a time; the answers are thrown away. */
static void store_say(uint32_t type, uint32_t transaction, const char *payload, uint32_t length)
{
    struct xsd_sockmsg m = {type, 1, transaction, length};
    char bytes[sizeof(m) + 64];

    memcpy(bytes, &m, sizeof(m));
    memcpy(bytes + sizeof(m), payload, length);
    for (uint32_t i = 0; i < sizeof(m) + length; i++)
        ring->req[MASK_XENSTORE_IDX(ring->req_prod + i)] = bytes[i];
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ring->req_prod += (uint32_t)sizeof(m) + length;
    for (unsigned patience = 10000; ring->req_cons != ring->req_prod; patience--) {
        if (!patience)
            tap_bail_out("the store takes no request");
        ring->rsp_cons = ring->rsp_prod;
        event_send(guest_info->store_evtchn);
    }
}

/* A transaction that writes 20 nodes, of which 120 watches hear. */
static void commit(void)
{
    static uint32_t transaction;
    static char value;

    if (!ring) {
        ring = (void *)memory_of_mfn(guest_info->store_mfn);
        store_say(XS_WRITE, 0, "data/a\0", 7);
        for (unsigned i = 0; i < 120; i++) {
            char watch[] = "data\0ttttttttttt000";
            watch[sizeof(watch) - 4] = (char)('0' + i / 100);
            watch[sizeof(watch) - 3] = (char)('0' + i / 10 % 10);
            watch[sizeof(watch) - 2] = (char)('0' + i % 10);
            store_say(XS_WATCH, 0, watch, sizeof(watch));
        }
    }
    store_say(XS_TRANSACTION_START, 0, "", 1);
    transaction++; /* numbers follow each other */
    value++;
    for (unsigned i = 0; i < 20; i++) {
        char node[] = "data/x00\0v";
        node[6] = (char)('0' + i / 10);
        node[7] = (char)('0' + i % 10);
        node[9] = value;
        store_say(XS_WRITE, transaction, node, 10);
    }
    store_say(XS_TRANSACTION_END, transaction, "T", 2);
}

/* --- the console --- */

static void talk(void)
{
    static char text[2048];

    memset(text, 'x', sizeof(text));
    for (unsigned i = 79; i < sizeof(text); i += 80)
        text[i] = '\n';
    console_write(text, sizeof(text));
}

static void (*const operations[])(void) = {
    many_l2_entries, many_pins, tree, many_gdts, many_trap_tables, all_ports, many_polls,
    grow_large, grow_small, exchange, live_again, crash, commit, talk,
};

void guest_main(void)
{
    const unsigned long what = guest_option("what", 0);
    const uint64_t end = clock_ns() + guest_option("for", 200) * 1000000ul;

    if (what >= sizeof(operations) / sizeof(operations[0]))
        tap_bail_out("there is no operation %lu", what);
    unsigned long rounds = 0;
    for (; clock_ns() < end; rounds++)
        operations[what]();
    console_printf("long: %lu rounds\n", rounds);
}
