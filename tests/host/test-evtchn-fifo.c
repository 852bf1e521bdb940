/*
 * FIFO event channels: what is refused; how queues are built and taken apart; that a guest which
 * keeps to the rules loses nothing, and that one which does not hurts nobody else.
 *
 * The guest below takes events as the ABI says: the head of the highest ready priority, LINKED and
 * LINK cleared in one step, then PENDING and MASKED looked at.
 */
#include "suite.h"
#include "evtchn.h"
#include "sched.h"

#include <pthread.h>
#include <xen/event_channel.h>
#include <xen/memory.h>

#define PENDING BIT(EVTCHN_FIFO_PENDING)
#define MASKED  BIT(EVTCHN_FIFO_MASKED)
#define LINKED  BIT(EVTCHN_FIFO_LINKED)
#define BUSY    BIT(EVTCHN_FIFO_BUSY)
#define LINK    ((1u << EVTCHN_FIFO_LINK_BITS) - 1)

#define WORDS   1024u /* in a page */
#define CONTROL 20u   /* pfn of vCPU 0's control block; vCPU 1's is in the next page */
#define ARRAY   22u   /* pfns of the event array, two pages */
#define OFFSET  64u   /* of the control blocks in their pages */

static struct guest a, b;

static void start(void)
{
    world_start(2, 2048);
    guest_create(&a, 1, 32, 2);
    guest_create(&b, 2, 32, 2);
    machine_enter(a.v);
}

static void finish(void)
{
    world_check();
    guest_destroy(&a);
    guest_destroy(&b);
    world_check_empty();
}

TestSuite(evtchn_fifo, .init = start, .fini = finish);

#define op(g, name, arg) \
    guest_op((g)->v, __HYPERVISOR_event_channel_op, EVTCHNOP_##name, (arg), sizeof(*(arg)))

/* --- the guest's half --- */

static event_word_t *word(const struct guest *g, uint32_t port)
{
    return (event_word_t *)guest_page(g, ARRAY + port / WORDS) + port % WORDS;
}

static struct evtchn_fifo_control_block *control(const struct guest *g, unsigned vcpu)
{
    return (struct evtchn_fifo_control_block *)((char *)guest_page(g, CONTROL + vcpu) + OFFSET);
}

static long init_control(struct guest *g, unsigned vcpu)
{
    struct evtchn_init_control o = {
        .control_gfn = g->mfn[CONTROL + vcpu], .offset = OFFSET, .vcpu = vcpu};
    long rc = op(g, init_control, &o);
    if (!rc)
        assert_eq_long(o.link_bits, EVTCHN_FIFO_LINK_BITS);
    return rc;
}

static long expand(struct guest *g, unsigned pfn)
{
    struct evtchn_expand_array o = {.array_gfn = g->mfn[pfn]};
    return op(g, expand_array, &o);
}

/* As Linux does: words start masked. */
static void go_fifo(struct guest *g, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++)
        for (unsigned w = 0; w < WORDS; w++)
            ((event_word_t *)guest_page(g, ARRAY + i))[w] = MASKED;
    assert_ok(init_control(g, 0));
    assert_ok(init_control(g, 1));
    for (unsigned i = 0; i < pages; i++)
        assert_ok(expand(g, ARRAY + i));
}

/* What the guest keeps of each queue. */
static uint32_t heads[2][EVTCHN_FIFO_MAX_QUEUES], ready[2];

/* The next port that vCPU @vcpu would handle, its PENDING cleared; 0: none. */
static uint32_t take(struct guest *g, unsigned vcpu)
{
    struct evtchn_fifo_control_block *c = control(g, vcpu);

    for (;;) {
        ready[vcpu] |= atomic_exchange(&c->ready, 0);
        if (!ready[vcpu])
            return 0;
        const unsigned q = (unsigned)__builtin_ctz(ready[vcpu]);
        uint32_t port = heads[vcpu][q] ?: c->head[q];
        const event_word_t seen = atomic_and(word(g, port), ~(event_word_t)(LINKED | LINK));
        cr_assert(seen & LINKED, "port %u at the head is not linked", port);
        heads[vcpu][q] = seen & LINK;
        if (!heads[vcpu][q])
            ready[vcpu] &= ~(1u << q);
        if (*word(g, port) & PENDING && !(*word(g, port) & MASKED)) {
            atomic_and(word(g, port), ~PENDING);
            return port;
        }
    }
}

static uint32_t bind_ipi(struct guest *g, unsigned vcpu)
{
    struct evtchn_bind_ipi o = {.vcpu = vcpu};
    assert_ok(op(g, bind_ipi, &o));
    return o.port;
}

/* A pair of ports: events that are sent through the first come to the second. */
static uint32_t loop_port(struct guest *g, uint32_t *sender)
{
    struct evtchn_alloc_unbound o = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    assert_ok(op(g, alloc_unbound, &o));
    struct evtchn_bind_interdomain bind = {.remote_dom = DOMID_SELF, .remote_port = o.port};
    assert_ok(op(g, bind_interdomain, &bind));
    *sender = bind.local_port;
    return o.port;
}

static void open_port(struct guest *g, uint32_t port)
{
    struct evtchn_unmask o = {port};
    assert_ok(op(g, unmask, &o));
}

static uint32_t open_ipi(struct guest *g, unsigned vcpu)
{
    uint32_t port = bind_ipi(g, vcpu);
    open_port(g, port);
    return port;
}

static long send(struct guest *g, uint32_t port)
{
    struct evtchn_send o = {port};
    return op(g, send, &o);
}

static long close_port(struct guest *g, uint32_t port)
{
    struct evtchn_close o = {port};
    return op(g, close, &o);
}

static long set_priority(struct guest *g, uint32_t port, uint32_t priority)
{
    struct evtchn_set_priority o = {.port = port, .priority = priority};
    return op(g, set_priority, &o);
}

static long move(struct guest *g, uint32_t port, uint32_t vcpu)
{
    struct evtchn_bind_vcpu o = {.port = port, .vcpu = vcpu};
    return op(g, bind_vcpu, &o);
}

static long reset(struct guest *g)
{
    struct evtchn_reset o = {.dom = DOMID_SELF};
    return op(g, reset, &o);
}

/* --- setting up --- */

Test(evtchn_fifo, control_blocks_that_are_refused)
{
    struct page_info *before = frames_snapshot();
    struct evtchn_init_control o = {.control_gfn = a.mfn[CONTROL], .vcpu = 2};
    assert_refused(&a, op(&a, init_control, &o), EVTCHN_VCPU_MISSING);
    o.vcpu = 0;
    o.offset = PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) + 8;
    assert_refused(&a, op(&a, init_control, &o), CONTROL_BLOCK_OFFSET);
    o.offset = 4;
    assert_refused(&a, op(&a, init_control, &o), CONTROL_BLOCK_OFFSET);
    o.offset = ~0u;
    assert_refused(&a, op(&a, init_control, &o), CONTROL_BLOCK_OFFSET);
    o.offset = 0;
    static const uint64_t nobodys[] = {~0ull, 1ull << 40, 2047, 0};
    for (unsigned i = 0; i < ARRAY_SIZE(nobodys); i++) {
        o.control_gfn = nobodys[i];
        assert_refused(&a, op(&a, init_control, &o), QUEUE_FRAME_UNFIT);
    }
    o.control_gfn = b.mfn[CONTROL];
    assert_refused(&a, op(&a, init_control, &o), QUEUE_FRAME_UNFIT);
    o.control_gfn = a.mfn[0]; /* a page table */
    assert_refused(&a, op(&a, init_control, &o), QUEUE_FRAME_UNFIT);
    cr_assert(!a.d->evtchn_fifo);
    assert_eq_long(frames_differ(before), 0);

    uint32_t port = bind_ipi(&a, 0); /* 2-level as before */
    assert_ok(send(&a, port));
    cr_assert(((uint64_t *)a.d->shared->evtchn_pending)[0] >> port & 1);
    o.control_gfn = a.mfn[CONTROL];
    o.offset = PAGE_SIZE - 72;
    assert_ok(op(&a, init_control, &o));
    assert_refused(&a, op(&a, init_control, &o), CONTROL_BLOCK_SET_ALREADY);
    o.vcpu = 1; /* two in one page */
    o.offset = 8;
    assert_ok(op(&a, init_control, &o));
}

Test(evtchn_fifo, array_ends_after_128_pages)
{
    assert_refused(&a, expand(&a, ARRAY), EXPAND_ON_2LEVEL);
    assert_ok(init_control(&a, 0));
    struct evtchn_expand_array o = {.array_gfn = b.mfn[ARRAY]};
    assert_refused(&a, op(&a, expand_array, &o), QUEUE_FRAME_UNFIT);
    for (unsigned i = 0; i < 128; i++)
        assert_ok(expand(&a, ARRAY + i % 2));
    assert_refused(&a, expand(&a, ARRAY), EVENT_ARRAY_COMPLETE);
}

Test(evtchn_fifo, pages_cannot_become_page_tables_until_reset)
{
    go_fifo(&a, 1);
    const unsigned held[] = {CONTROL, CONTROL + 1, ARRAY};
    for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
        memset(guest_page(&a, held[i]), 0, PAGE_SIZE);
        assert_ok(guest_protect(&a, held[i], RO));
        cr_assert(guest_pin(&a, held[i], 1) < 0);
    }
    assert_ok(reset(&a));
    for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
        assert_ok(guest_pin(&a, held[i], 1));
    assert_refused(&a, init_control(&a, 0), QUEUE_FRAME_UNFIT);
}

Test(evtchn_fifo, priorities_that_are_refused)
{
    go_fifo(&a, 1);
    uint32_t port = bind_ipi(&a, 0);
    assert_refused(&a, set_priority(&a, port, 16), PRIORITY_RANGE);
    assert_refused(&a, set_priority(&a, port, ~0u), PRIORITY_RANGE);
    assert_refused(&a, set_priority(&a, 5000, 1), PORT_MISSING);
    assert_refused(&a, set_priority(&a, port + 1, 1), PRIORITY_PORT_NOT_OPEN);
    assert_refused(&a, set_priority(&a, 0, 1), PRIORITY_PORT_NOT_OPEN);
    for (unsigned i = 0; i < 16; i++)
        assert_ok(set_priority(&a, port, i));
}

/* --- signals --- */

Test(evtchn_fifo, first_event_makes_the_queue_ready_and_tells_the_vcpu)
{
    go_fifo(&a, 1);
    uint32_t port = open_ipi(&a, 1);
    struct vcpu_info *info = a.d->vcpu[1]->info;
    info->evtchn_upcall_pending = 0;

    assert_ok(send(&a, port));
    assert_eq_long(*word(&a, port), PENDING | LINKED);
    assert_eq_long(control(&a, 1)->ready, 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    assert_eq_long(control(&a, 1)->head[EVTCHN_FIFO_PRIORITY_DEFAULT], port);
    assert_eq_long(info->evtchn_upcall_pending, 1);
    assert_eq_long(control(&a, 0)->ready, 0);
    info->evtchn_upcall_pending = 0;
    assert_ok(send(&a, port)); /* one signal until it is taken */
    assert_eq_long(info->evtchn_upcall_pending, 0);
    assert_eq_long(take(&a, 1), port);
    assert_eq_long(take(&a, 1), 0);
    assert_ok(send(&a, port));
    assert_eq_long(info->evtchn_upcall_pending, 1);
    assert_eq_long(take(&a, 1), port);
}

Test(evtchn_fifo, events_come_in_order_of_priority_then_of_time)
{
    uint32_t port[6];
    static const uint8_t priority[6] = {7, 3, 7, 15, 3, 0};
    static const uint8_t order[6] = {5, 1, 4, 0, 2, 3};

    go_fifo(&a, 1);
    for (unsigned i = 0; i < 6; i++) {
        port[i] = open_ipi(&a, 0);
        assert_ok(set_priority(&a, port[i], priority[i]));
    }
    for (unsigned i = 0; i < 6; i++)
        assert_ok(send(&a, port[i]));
    assert_eq_long(control(&a, 0)->ready, 1 << 0 | 1 << 3 | 1 << 7 | 1 << 15);
    assert_eq_long(*word(&a, port[0]), PENDING | LINKED | port[2]);
    for (unsigned i = 0; i < 6; i++)
        assert_eq_long(take(&a, 0), port[order[i]]);
    assert_eq_long(take(&a, 0), 0);
}

Test(evtchn_fifo, masked_port_is_queued_by_unmask)
{
    go_fifo(&a, 1);
    uint32_t port = bind_ipi(&a, 0);
    assert_ok(send(&a, port));
    assert_eq_long(*word(&a, port), PENDING | MASKED);
    assert_eq_long(control(&a, 0)->ready, 0);
    open_port(&a, port);
    assert_eq_long(*word(&a, port), PENDING | LINKED);
    assert_eq_long(take(&a, 0), port);

    /* Masked while it was queued: taken off and left pending. */
    assert_ok(send(&a, port));
    atomic_or(word(&a, port), MASKED);
    assert_eq_long(take(&a, 0), 0);
    assert_eq_long(*word(&a, port), PENDING | MASKED);
    open_port(&a, port);
    assert_eq_long(take(&a, 0), port);
}

Test(evtchn_fifo, pending_events_come_along)
{
    uint32_t early = bind_ipi(&a, 0), late = bind_ipi(&a, 1), quiet = bind_ipi(&a, 0);
    assert_ok(send(&a, early));
    assert_ok(init_control(&a, 0));
    assert_ok(init_control(&a, 1));
    assert_ok(send(&a, late)); /* no page has its word yet */
    assert_eq_long(control(&a, 0)->ready | control(&a, 1)->ready, 0);
    assert_ok(expand(&a, ARRAY)); /* zeroes: not masked */
    assert_eq_long(take(&a, 0), early);
    assert_eq_long(take(&a, 1), late);
    assert_eq_long(take(&a, 0), 0);
    assert_eq_long(*word(&a, quiet), 0);
}

static void polls(struct vcpu *v, uint32_t port)
{
    v->poll_port = port;
    v->domain->pollers |= BIT(v->id);
    v->pause |= PAUSE_POLLING;
}

/* Who polls a port that was pending, and only they, are woken; a bit of a closed port is nobody's. */
Test(evtchn_fifo, late_page_wakes_who_polls)
{
    uint32_t pending[200], quiet = bind_ipi(&a, 0);
    for (unsigned i = 0; i < 200; i++) {
        pending[i] = bind_ipi(&a, 0);
        assert_ok(send(&a, pending[i]));
    }
    const uint32_t closed = pending[199] + 1;
    a.d->shared->evtchn_pending[closed / 64] |= BIT(closed % 64);
    assert_ok(init_control(&a, 0));

    polls(a.d->vcpu[1], pending[150]);
    polls(a.d->vcpu[0], quiet);
    assert_ok(expand(&a, ARRAY));
    cr_assert(!(a.d->vcpu[1]->pause & PAUSE_POLLING));
    assert_eq_long(*word(&a, closed), 0);
    for (unsigned i = 0; i < 200; i++)
        assert_eq_long(take(&a, 0), pending[i]);
    assert_eq_long(take(&a, 0), 0);
}

Test(evtchn_fifo, port_behind_the_last_word_waits_for_its_page)
{
    go_fifo(&a, 1);
    uint32_t port = 0;
    while (port < WORDS)
        port = bind_ipi(&a, 0);
    assert_eq_long(port, WORDS);
    assert_ok(send(&a, port));
    assert_eq_long(control(&a, 0)->ready, 0);
    assert_ok(expand(&a, ARRAY + 1));
    assert_eq_long(take(&a, 0), port);
}

Test(evtchn_fifo, vcpu_without_a_control_block_gets_nothing)
{
    assert_ok(init_control(&a, 0));
    assert_ok(expand(&a, ARRAY));
    uint32_t port = bind_ipi(&a, 1);
    assert_ok(send(&a, port));
    assert_eq_long(*word(&a, port), 0);
    assert_ok(init_control(&a, 1));
    assert_ok(send(&a, port));
    assert_eq_long(take(&a, 1), port);
}

/* The old queue's tail must not link into the new queue's list. */
Test(evtchn_fifo, port_that_moves_leaves_its_old_queue_sound)
{
    uint32_t through, other_through;

    go_fifo(&a, 1);
    uint32_t port = loop_port(&a, &through), other = loop_port(&a, &other_through);
    open_port(&a, port);
    open_port(&a, other);

    assert_ok(send(&a, through));
    assert_eq_long(take(&a, 0), port);
    assert_ok(move(&a, port, 1));
    assert_ok(send(&a, through)); /* vCPU 1's tail now, vCPU 0's before */
    assert_ok(send(&a, other_through));
    assert_eq_long(control(&a, 0)->head[7], other);
    assert_eq_long(*word(&a, port), PENDING | LINKED);
    assert_eq_long(take(&a, 1), port);
    assert_eq_long(take(&a, 0), other);

    assert_ok(send(&a, through));
    assert_eq_long(take(&a, 1), port);
    assert_ok(set_priority(&a, port, 2)); /* and to another priority */
    assert_ok(send(&a, through));
    assert_ok(move(&a, other, 1));
    assert_ok(send(&a, other_through));
    assert_eq_long(take(&a, 1), port);
    assert_eq_long(take(&a, 1), other);

    /* Moved while it is queued: it stays where it is. */
    assert_ok(send(&a, through));
    assert_ok(move(&a, port, 0));
    assert_ok(send(&a, through));
    assert_eq_long(take(&a, 0), 0);
    assert_eq_long(take(&a, 1), port);
    assert_ok(send(&a, through));
    assert_eq_long(take(&a, 0), port);
}

Test(evtchn_fifo, closed_port_is_not_given_out_while_it_is_linked)
{
    go_fifo(&a, 1);
    uint32_t port = open_ipi(&a, 0);
    assert_ok(send(&a, port));
    assert_ok(close_port(&a, port));
    assert_eq_long(*word(&a, port), LINKED);
    assert_eq_long(bind_ipi(&a, 0), port + 1);
    assert_eq_long(take(&a, 0), 0);
    assert_eq_long(bind_ipi(&a, 0), port);
    assert_eq_long(bind_ipi(&a, 0), port + 2);
}

Test(evtchn_fifo, priority_does_not_outlive_the_port)
{
    go_fifo(&a, 1);
    uint32_t port = open_ipi(&a, 0);
    assert_ok(set_priority(&a, port, 1));
    assert_ok(close_port(&a, port));
    assert_eq_long(bind_ipi(&a, 0), port);
    assert_ok(send(&a, port));
    assert_eq_long(control(&a, 0)->ready, 1 << EVTCHN_FIFO_PRIORITY_DEFAULT);
}

Test(evtchn_fifo, poll_looks_at_the_word)
{
    go_fifo(&a, 1);
    uint32_t port = bind_ipi(&a, 0); /* masked */
    assert_eq_long(evtchn_poll_port(a.d, port), 0);
    assert_eq_long(evtchn_poll_port(a.d, port + 1), 0);
    assert_eq_long(evtchn_poll_port(a.d, 5000), -1);
    assert_ok(send(&a, port));
    assert_eq_long(evtchn_poll_port(a.d, port), 1);

    struct sched_poll o = {.nr_ports = 1};
    guest_ptr_t ports = machine_put(0x4000, &port, sizeof(port));
    memcpy(&o.ports, &ports, sizeof(ports));
    *word(&a, port) = MASKED;
    assert_ok(guest_op(a.v, __HYPERVISOR_sched_op, SCHEDOP_poll, &o, sizeof(o)));
    cr_assert(a.v->pause & PAUSE_POLLING || !a.d->pollers);
}

Test(evtchn_fifo, other_domains_signal_and_the_hypervisor_does)
{
    go_fifo(&a, 1);
    struct evtchn_alloc_unbound o = {.dom = DOMID_SELF, .remote_dom = 2};
    assert_ok(op(&a, alloc_unbound, &o));
    struct evtchn_bind_interdomain bind = {.remote_dom = 1, .remote_port = o.port};
    assert_ok(op(&b, bind_interdomain, &bind));
    struct evtchn_bind_virq v = {.virq = VIRQ_TIMER, .vcpu = 1};
    assert_ok(op(&a, bind_virq, &v));
    open_port(&a, o.port);
    open_port(&a, v.port);

    assert_ok(send(&b, bind.local_port));
    assert_eq_long(take(&a, 0), o.port);
    virq_raise(a.d->vcpu[1], VIRQ_TIMER);
    assert_eq_long(take(&a, 1), v.port);
    assert_ok(send(&a, o.port)); /* to a domain with two levels */
    cr_assert(((uint64_t *)b.d->shared->evtchn_pending)[0] >> bind.local_port & 1);
}

Test(evtchn_fifo, reset_goes_back_to_two_levels_and_again)
{
    for (unsigned round = 0; round < 3; round++) {
        memset(control(&a, 0), 0, sizeof(*control(&a, 0)));
        memset(heads, 0, sizeof(heads));
        go_fifo(&a, 1);
        uint32_t port = open_ipi(&a, 0);
        assert_eq_long(port, 1);
        assert_ok(send(&a, port));
        if (round == 1)
            assert_eq_long(take(&a, 0), port);
        assert_ok(reset(&a));
        assert_refused(&a, expand(&a, ARRAY), EXPAND_ON_2LEVEL);

        port = bind_ipi(&a, 0);
        assert_ok(send(&a, port));
        cr_assert(((uint64_t *)a.d->shared->evtchn_pending)[0] >> port & 1);
        assert_ok(close_port(&a, port));
    }
}

/* The last reference to a page of the array is the channels' own: its frame is freed by the reset. */
Test(evtchn_fifo, reset_frees_a_page_that_the_guest_has_given_back)
{
    go_fifo(&a, 1);
    const uint32_t pages = a.d->tot_pages;
    xen_pfn_t mfn = a.mfn[ARRAY];
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    assert_ok(hypercall(&a, update_va_mapping, guest_va(ARRAY), 0, 0));
    set_xen_guest_handle_raw(r.extent_start,
                             (xen_pfn_t *)machine_put(0x8000, &mfn, sizeof(mfn)).va);
    assert_eq_long(
        guest_op(a.v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, &r, sizeof(r)), 1);
    assert_eq_long(a.d->tot_pages, pages);
    assert_ok(reset(&a));
    assert_eq_long(a.d->tot_pages, pages - 1);
}

Test(evtchn_fifo, control_domain_has_131072_ports)
{
    evtchn_allow_all_ports(b.d);
    for (unsigned i = 0; i < 5000; i++)
        if (bind_ipi(&b, 0) == 4095)
            break;
    struct evtchn_bind_ipi ipi = {0};
    assert_refused(&b, op(&b, bind_ipi, &ipi), PORTS_EXHAUSTED);
    assert_ok(init_control(&b, 0));
    for (uint32_t port = 4096; port < EVTCHN_FIFO_NR_CHANNELS; port++)
        if (bind_ipi(&b, 0) != port)
            cr_assert_fail("port %u", port);
    assert_refused(&b, op(&b, bind_ipi, &ipi), PORTS_EXHAUSTED);
    for (unsigned i = 0; i < 128; i++)
        assert_ok(expand(&b, ARRAY + (i == 127)));
    assert_ok(send(&b, EVTCHN_FIFO_NR_CHANNELS - 1));
    assert_eq_long(((event_word_t *)guest_page(&b, ARRAY + 1))[1023], PENDING | LINKED);
    assert_ok(reset(&b));
    for (uint32_t port = 1; port < 4096; port++)
        assert_eq_long(bind_ipi(&b, 0), port);
    assert_refused(&b, op(&b, bind_ipi, &ipi), PORTS_EXHAUSTED);
    assert_refused(&b, send(&b, 4096), PORT_CANNOT_SEND);
}

/* A sender that takes no lock has read a port's number; then the domain resets its channels.  Two
 * levels have no bit for that port, and what lies behind their bits is something else. */
Test(evtchn_fifo, late_signal_for_a_high_port_goes_nowhere)
{
    evtchn_allow_all_ports(b.d);
    struct shared_info before = *b.d->shared;
    b.v->virq_port[VIRQ_DEBUG] = 5000;
    virq_raise(b.v, VIRQ_DEBUG);
    b.v->virq_port[VIRQ_DEBUG] = 0;
    cr_assert(!memcmp(&before, b.d->shared, sizeof(before)));
}

Test(evtchn_fifo, other_domains_have_4096_ports)
{
    assert_ok(init_control(&a, 0));
    for (uint32_t port = 1; port < 4096; port++)
        assert_eq_long(bind_ipi(&a, 0), port);
    struct evtchn_bind_ipi ipi = {0};
    assert_refused(&a, op(&a, bind_ipi, &ipi), PORTS_EXHAUSTED);
}

/* --- a guest that keeps to the rules, at random: nothing is lost --- */

#define PORTS 41u

static struct {
    uint32_t sender, got;
    bool waiting; /* signalled, not taken yet */
} port_of_[PORTS];

static void drain(struct guest *g)
{
    for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
        struct vcpu_info *info = g->d->vcpu[vcpu]->info;
        if (!info->evtchn_upcall_pending)
            continue;
        info->evtchn_upcall_pending = 0;
        for (uint32_t port; (port = take(g, vcpu));) {
            cr_assert(port_of_[port].waiting, "port %u was not signalled", port);
            port_of_[port].waiting = false;
        }
    }
}

static void step(struct random *r, uint32_t port)
{
    switch (random_below(r, 8)) {
    case 0:
        assert_ok(move(&a, port, random_below(r, 2)));
        break;
    case 1:
        assert_ok(set_priority(&a, port, random_below(r, 16)));
        break;
    case 2:
        atomic_or(word(&a, port), MASKED);
        break;
    case 3: /* Linux's way: the hypervisor is asked only if the port is pending */
        if (atomic_and(word(&a, port), ~MASKED) & PENDING)
            open_port(&a, port);
        break;
    case 4:
        drain(&a);
        for (uint32_t p = 1; p < PORTS; p++)
            cr_assert(!port_of_[p].waiting || *word(&a, p) & MASKED, "port %u lost its event", p);
        break;
    default:
        assert_ok(send(&a, port_of_[port].sender));
        port_of_[port].waiting = true;
    }
}

Test(evtchn_fifo, nothing_is_lost)
{
    struct random r = random_start(11);

    go_fifo(&a, 1);
    for (unsigned i = 1; i < PORTS; i += 2) {
        uint32_t sender, port = loop_port(&a, &sender);
        port_of_[port].sender = sender;
        port_of_[sender].sender = port;
        port_of_[sender].waiting = true; /* bound: looks pending once */
    }
    for (unsigned i = 0; i < soak(20000); i++)
        step(&r, 1 + random_below(&r, PORTS - 1));
}

/* --- a guest that does not: no more than its own pages change --- */

static void ruin(struct guest *g, struct random *r)
{
    switch (random_below(r, 4)) {
    case 0:
        *word(g, random_below(r, WORDS)) = (event_word_t)random_next(r);
        break;
    case 1:
        control(g, random_below(r, 2))->head[random_below(r, 16)] = (uint32_t)random_next(r);
        break;
    case 2:
        control(g, random_below(r, 2))->ready = (uint32_t)random_next(r);
        break;
    default:
        *word(g, random_below(r, PORTS)) |= LINKED | BUSY;
    }
}

Test(evtchn_fifo, ruined_queues_hurt_nobody)
{
    struct random r = random_start(12);
    uint32_t sender[PORTS], port[PORTS];

    go_fifo(&a, 1);
    for (unsigned i = 0; i < PORTS / 2; i++) {
        port[i] = loop_port(&a, &sender[i]);
        open_port(&a, port[i]);
    }
    memset(guest_page(&b, 30), 0x5a, PAGE_SIZE);
    for (unsigned i = 0; i < soak(20000); i++) {
        const unsigned p = random_below(&r, PORTS / 2);
        ruin(&a, &r);
        switch (random_below(&r, 6)) {
        case 0:
            (void)move(&a, port[p], random_below(&r, 2));
            break;
        case 1:
            (void)set_priority(&a, port[p], random_below(&r, 16));
            break;
        case 2:
            open_port(&a, port[p]);
            break;
        default:
            assert_ok(send(&a, sender[p]));
        }
    }
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        cr_assert(((uint8_t *)guest_page(&b, 30))[i] == 0x5a);
    assert_ok(reset(&a));
}

/* Another vCPU of the guest's fights for the words while they are linked. */
static volatile bool fight_over;

static void *fight(void *unused)
{
    uint32_t x = 1;
    while (!fight_over) {
        x = x * 1664525 + 1013904223;
        event_word_t *w = word(&a, 1 + (x >> 16) % PORTS);
        atomic_exchange(w, (event_word_t)(LINKED | (x & BUSY) | (x >> 3 & LINK)));
    }
    return NULL;
}

Test(evtchn_fifo, words_that_never_hold_still_end_the_attempt)
{
    pthread_t other;
    uint32_t sender[PORTS];

    go_fifo(&a, 1);
    for (unsigned i = 0; i < PORTS / 2; i++)
        (void)loop_port(&a, &sender[i]);
    cr_assert(pthread_create(&other, NULL, fight, NULL) == 0);
    for (unsigned i = 0; i < soak(20000); i++) {
        const unsigned p = i % (PORTS / 2);
        atomic_and(word(&a, sender[p] - 1), ~(event_word_t)(LINKED | MASKED));
        assert_ok(send(&a, sender[p]));
    }
    fight_over = true;
    pthread_join(other, NULL);
}
