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
#include "grant.h"
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
            updates[i] =
                (mmu_update_t){table_entry_ma(l2, 3), pte_of(page_mfn(l1[i & 1]), PTE_TABLE)};
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

/* None of the ports that exist is open: many resets in one call. */
static void many_resets(void)
{
    static struct evtchn_reset r = {.dom = DOMID_SELF};
    static bool made;

    for (unsigned i = 0; !made && i + 6 < guest_option("ports", 0); i++) {
        struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
        expect(hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &a), 0, "a port");
    }
    made = true;
    for (unsigned i = 0; i < 256; i++)
        calls[i] = CALL(event_channel_op, EVTCHNOP_reset, (unsigned long)&r);
    multicall(256);
    expect((long)calls[255].result, 0, "a reset of many");
}

/* All ports are in use: a multicall that asks for more. */
static void no_port_left(void)
{
    static struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_close first = {.port = 7}; /* so that each search begins below all others */
    static bool made;

    while (!made && !hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &a))
        ;
    made = true;
    for (unsigned i = 0; i + 2 < 96; i += 3) {
        calls[i] = CALL(event_channel_op, EVTCHNOP_close, (unsigned long)&first);
        calls[i + 1] = calls[i + 2] =
            CALL(event_channel_op, EVTCHNOP_alloc_unbound, (unsigned long)&a);
    }
    multicall(96);
    expect((long)calls[94].result, 0, "the port that was closed");
    expect((long)calls[95].result, -XEN_ENOSPC, "a port too many");
}

/* Closed ports that are still in a queue, as many as there can be, are no ports to give: a multicall that asks for some. */
static void busy_ports(void)
{
    static struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    static bool made;

    if (!made) {
        struct evtchn_init_control init = {.control_gfn = page_mfn(page_alloc())};
        struct evtchn_expand_array expand;
        struct evtchn_bind_ipi ipi = {0};
        expect(hypercall_event_channel_op(EVTCHNOP_init_control, &init), 0, "queues");
        for (unsigned i = 0; i < 4; i++) {
            expand.array_gfn = page_mfn(page_alloc());
            expect(hypercall_event_channel_op(EVTCHNOP_expand_array, &expand), 0,
                   "words for queues");
        }
        while (!hypercall_event_channel_op(EVTCHNOP_bind_ipi, &ipi))
            event_send(ipi.port);
        for (struct evtchn_close c = {.port = 1}; c.port < 4096; c.port++)
            if (c.port != guest_info->console.domU.evtchn && c.port != guest_info->store_evtchn)
                (void)hypercall_event_channel_op(EVTCHNOP_close, &c);
    }
    made = true;
    for (unsigned i = 0; i < 96; i++)
        calls[i] = CALL(event_channel_op, EVTCHNOP_alloc_unbound, (unsigned long)&a);
    multicall(96);
    expect((long)calls[95].result, -XEN_ENOSPC, "a port that is still in a queue");
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
    __atomic_fetch_or(&guest_shared->evtchn_pending[ports[127] / 64], 1ul << ports[127] % 64,
                      __ATOMIC_SEQ_CST);
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
        reservations[e] = (struct xen_memory_reservation){
            .nr_extents = EXTENTS, .extent_order = order, .domid = DOMID_SELF};
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
    struct xen_memory_exchange e = {
        .in = {.nr_extents = 512, .domid = DOMID_SELF},
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

static void store_open(void)
{
    ring = (void *)memory_of_mfn(guest_info->store_mfn);
}

/* Bytes to the ring, as the store takes them; the answers are thrown away. */
static void store_put(const void *from, uint32_t length)
{
    const char *bytes = from;

    for (uint32_t i = 0, patience = 10000; i < length; i++) {
        for (; ring->req_prod - ring->req_cons == XENSTORE_RING_SIZE; patience--) {
            if (!patience)
                tap_bail_out("the store takes no request");
            ring->rsp_cons = ring->rsp_prod;
            event_send(guest_info->store_evtchn);
        }
        ring->req[MASK_XENSTORE_IDX(ring->req_prod)] = bytes[i];
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        ring->req_prod++;
    }
}

static void store_request(uint32_t type, uint32_t transaction, const char *payload, uint32_t length)
{
    struct xsd_sockmsg m = {type, 1, transaction, length};

    store_put(&m, sizeof(m));
    store_put(payload, length);
}

/* The same, and it is answered when this returns. */
static void store_say(uint32_t type, uint32_t transaction, const char *payload, uint32_t length)
{
    store_request(type, transaction, payload, length);
    for (unsigned patience = 10000; ring->req_cons != ring->req_prod; patience--) {
        if (!patience)
            tap_bail_out("the store takes no request");
        ring->rsp_cons = ring->rsp_prod;
        event_send(guest_info->store_evtchn);
    }
}

/* Begin a transaction; its number. */
static uint32_t store_begin(void)
{
    static uint32_t transaction;

    store_say(XS_TRANSACTION_START, 0, "", 1);
    return ++transaction; /* numbers follow each other */
}

static void store_commit(uint32_t transaction)
{
    ring->rsp_cons = ring->rsp_prod;
    store_say(XS_TRANSACTION_END, transaction, "T", 2);
}

/* A transaction that writes 20 nodes, of which 120 watches hear. */
static void commit(void)
{
    static char value;

    if (!ring) {
        store_open();
        store_say(XS_WRITE, 0, "data/a\0", 7);
        for (unsigned i = 0; i < 120; i++) {
            char watch[] = "data\0ttttttttttt000";
            watch[sizeof(watch) - 4] = (char)('0' + i / 100);
            watch[sizeof(watch) - 3] = (char)('0' + i / 10 % 10);
            watch[sizeof(watch) - 2] = (char)('0' + i % 10);
            store_say(XS_WATCH, 0, watch, sizeof(watch));
        }
    }
    const uint32_t transaction = store_begin();
    value++;
    for (unsigned i = 0; i < 20; i++) {
        char node[] = "data/x00\0v";
        node[6] = (char)('0' + i / 10);
        node[7] = (char)('0' + i % 10);
        node[9] = value;
        store_say(XS_WRITE, transaction, node, 10);
    }
    store_commit(transaction);
}

/* Seven letters for each @i below 128; a hash that multiplies by 31 is the same for all of them. */
static void colliding(unsigned i, char *to)
{
    for (unsigned k = 0; k < 7; k++)
        memcpy(to + 2 * k, i >> k & 1 ? "Aa" : "BB", 2);
}

/* The same, but that all tokens, and all nodes, have one hash; and nobody reads the events. */
static void commit_colliding(void)
{
    static char value;

    if (!ring) {
        store_open();
        store_say(XS_WRITE, 0, "data/a\0", 7);
        for (unsigned i = 0; i < 120; i++) {
            char watch[] = "data\0..............";
            colliding(i, watch + 5);
            store_say(XS_WATCH, 0, watch, 5 + 14 + 1);
        }
    }
    const uint32_t transaction = store_begin();
    value++;
    for (unsigned i = 0; i < 8; i++) {
        char node[] = "data/......\0v", name[14];
        colliding(i, name);
        memcpy(node + 5, name, 6);
        node[12] = value;
        store_say(XS_WRITE, transaction, node, 13);
    }
    store_commit(transaction);
}

/* "data/" and six names of 245 bytes below each other: 1,480 bytes, at @to. */
static uint32_t long_path(char *to)
{
    memcpy(to, "data", 4);
    for (unsigned i = 0; i < 6; i++) {
        to[4 + 246 * i] = '/';
        memset(to + 5 + 246 * i, 'n', 245);
    }
    return 4 + 246 * 6;
}

/* 20 nodes whose paths are nearly 1,500 bytes, and two watches as long that none of them is below. */
static void commit_long_paths(void)
{
    static char path[2048], value;
    const uint32_t length = long_path(path);

    if (!ring) {
        store_open();
        path[length - 1] = 'w';
        for (unsigned i = 0; i < 2; i++) {
            path[length + 1] = (char)('0' + i);
            path[length + 2] = '\0';
            store_say(XS_WATCH, 0, path, length + 3);
        }
        path[length - 1] = 'n';
    }
    const uint32_t transaction = store_begin();
    value++;
    for (unsigned i = 0; i < 20; i++) {
        memcpy(path + length, "/x00", 5);
        path[length + 3] = (char)('a' + i);
        path[length + 5] = value;
        store_say(XS_WRITE, transaction, path, length + 6);
    }
    store_commit(transaction);
}

/* 150 nodes in one place that change their order in one transaction, with a watch. */
static void commit_reversed(void)
{
    static char value;
    char node[] = "data/samesame000\0v";
    const unsigned nodes = 150;

    if (!ring) {
        store_open();
        store_say(XS_WRITE, 0, "data/a\0", 7);
        store_say(XS_WATCH, 0, "data/b\0t", 9);
    }
    uint32_t transaction = store_begin();
    value = (char)(value + 1);
    for (unsigned i = 0; i < nodes; i++) {
        const unsigned n = value & 1 ? i : nodes - 1 - i;
        node[13] = (char)('0' + n / 100);
        node[14] = (char)('0' + n / 10 % 10);
        node[15] = (char)('0' + n % 10);
        node[17] = value;
        store_say(XS_RM, transaction, node, 17);
        store_say(XS_WRITE, transaction, node, 18);
    }
    store_commit(transaction);
}

/* A store that is as full as it may be, emptied by one request. */
static void empty_store(void)
{
    char node[] = "data/f/x000\0v";

    if (!ring) {
        store_open();
        store_say(XS_WATCH, 0, "data\0t", 7);
    }
    for (unsigned i = 0; i < 350; i++) {
        node[8] = (char)('0' + i / 100);
        node[9] = (char)('0' + i / 10 % 10);
        node[10] = (char)('0' + i % 10);
        store_say(XS_WRITE, 0, node, 13);
    }
    store_say(XS_RM, 0, "data/f", 7);
}

/* Paths as long as they may be, the first request of all among them, beside many nodes. */
static void longest_paths(void)
{
    static char path[3100];
    uint32_t at = 0;
    const char home[] = "/local/domain/1/data";
    memcpy(path, home, sizeof(home));
    for (at = sizeof(home) - 1; at + 246 < 3072; at += 246) {
        path[at] = '/';
        memset(path + at + 1, 'n', 245);
    }
    path[at] = '\0';
    if (!ring)
        store_open();
    for (unsigned i = 0; i < 20; i++) {
        store_say(XS_WRITE, 0, path, at + 1);
        store_say(XS_READ, 0, path, at + 1);
    }
    store_say(XS_RM, 0, "data/nnn", 9);
}

static const char requests_say[] = "the requests of a multicall";

/*
 * As many requests as the ring holds, each for a node that is not there but whose name is almost that of many others;
 * and a multicall that sets the ring's indices back and sends, 31 times.
 */
static void ring_set_back(void)
{
    static mmu_update_t back[2];
    static struct evtchn_send send;
    char name[260];
    const uint32_t bytes = guest_option("long", 0) ? 250 : 36;

    if (!ring) {
        store_open();
        for (unsigned i = 0; i < (bytes > 64 ? 40 : 180); i++) {
            memcpy(name, "data/", 5);
            memset(name + 5, 'x', bytes);
            name[bytes + 2] = (char)('a' + i / 26);
            name[bytes + 3] = (char)('a' + i % 26);
            name[bytes + 5] = '\0';
            store_say(XS_WRITE, 0, name, bytes + 6);
        }
        send.port = guest_info->store_evtchn;
        ring->rsp_cons = ring->rsp_prod;
        memset(name + bytes, 'y', 4);
        name[bytes + 4] = 'z'; /* differs from all at the end */
        struct xsd_sockmsg m = {XS_READ, 1, 0, bytes + 6};
        uint32_t at = 0, whole = (XENSTORE_RING_SIZE) / (uint32_t)(sizeof(m) + bytes + 6);
        whole = whole > 7 ? 7 : whole;
        for (unsigned i = 0; i < whole; i++) {
            for (unsigned k = 0; k < sizeof(m); k++)
                ring->req[at++] = ((char *)&m)[k];
            for (unsigned k = 0; k < bytes + 6; k++)
                ring->req[at++] = name[k];
        }
        const uint64_t indices =
            page_mfn((void *)ring) << 12 | offsetof(struct xenstore_domain_interface, req_cons);
        back[0] = (mmu_update_t){indices, (uint64_t)at << 32};
        back[1] = (mmu_update_t){indices + 8, 0};
    }
    for (unsigned i = 0; i < 62; i += 2) {
        calls[i] = CALL(mmu_update, (unsigned long)back, 2, 0, DOMID_SELF);
        calls[i + 1] = CALL(event_channel_op, EVTCHNOP_send, (unsigned long)&send);
    }
    multicall(62);
    expect((long)calls[60].result, 0, requests_say);
    expect((long)calls[61].result, 0, requests_say);
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

/* Nothing but ends of lines: each is more in the log. */
static void talk_lines(void)
{
    static char text[2048];

    memset(text, '\n', sizeof(text));
    console_write(text, sizeof(text));
}

/* --- grants, to itself --- */

#define GRANT_REF 20u

/* 64 lists of 64 copies of 4088 bytes within one frame, the dearest kind. */
static void copies(void)
{
    static struct gnttab_copy list[64];
    uint64_t *page = page_alloc();

    for (unsigned i = 0; i < 64; i++)
        list[i] = (struct gnttab_copy){
            .source = {.u.gmfn = page_mfn(page), .domid = DOMID_SELF},
            .dest = {.u.gmfn = page_mfn(page), .domid = DOMID_SELF, .offset = 8},
            .len = 4088};
    for (unsigned i = 0; i < 64; i++)
        calls[i] = CALL(grant_table_op, GNTTABOP_copy, (unsigned long)list, 64);
    multicall(64);
    expect(list[63].status, GNTST_okay, "copy");
    page_free(page);
}

/* 16 times 64 mappings in one list, and away with them in one. */
static void mappings(void)
{
    static struct gnttab_map_grant_ref maps[64];
    static struct gnttab_unmap_grant_ref unmaps[64];
    static void *windows[64];

    for (unsigned i = 0; i < 64; i++) {
        windows[i] = windows[i] ? windows[i] : page_alloc();
        maps[i] = (struct gnttab_map_grant_ref){.host_addr = (unsigned long)windows[i],
                                                .flags = GNTMAP_host_map | GNTMAP_device_map,
                                                .ref = GRANT_REF,
                                                .dom = grant_self()};
    }
    grant_allow(GRANT_REF, grant_self(), page_mfn(calls), 0);
    for (unsigned round = 0; round < 16; round++) {
        hypercall_grant_table_op(GNTTABOP_map_grant_ref, maps, 64);
        expect(maps[63].status, GNTST_okay, "map");
        for (unsigned i = 0; i < 64; i++)
            unmaps[i] = (struct gnttab_unmap_grant_ref){.host_addr = maps[i].host_addr,
                                                        .dev_bus_addr = maps[i].dev_bus_addr,
                                                        .handle = maps[i].handle};
        hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, unmaps, 64);
        expect(unmaps[63].status, GNTST_okay, "unmap");
    }
}

/* The largest table changes its version to and fro. */
static void versions(void)
{
    static struct gnttab_set_version to[2] = {{2}, {1}};
    static xen_pfn_t frames[64];
    struct gnttab_setup_table most = {.dom = DOMID_SELF, .nr_frames = 64, .frame_list = {frames}};

    hypercall_grant_table_op(GNTTABOP_setup_table, &most, 1);
    expect(most.status, GNTST_okay, "64 frames");
    for (unsigned i = 0; i < 64; i++)
        calls[i] = CALL(grant_table_op, GNTTABOP_set_version, (unsigned long)&to[i & 1], 1);
    multicall(64);
    expect(calls[63].result, 0, "version 1");
}

static void (*const operations[])(void) = {
    many_l2_entries, many_pins,  tree,        many_gdts,        many_trap_tables,  all_ports,
    many_polls,      grow_large, grow_small,  exchange,         live_again,        crash,
    commit,          talk,       many_resets, commit_colliding, commit_long_paths, commit_reversed,
    ring_set_back,   talk_lines, empty_store, longest_paths,    no_port_left,      busy_ports,
    copies,          mappings,   versions,
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
