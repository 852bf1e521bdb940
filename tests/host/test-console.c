/*
 * The console ring that the hypervisor serves: bytes arrive whole and in order, and an index that
 * the guest has ruined is the guest's own loss.
 */
#include "suite.h"
#include "builder.h"
#include "console.h"
#include "evtchn.h"

#include <xen/event_channel.h>
#include <xen/io/console.h>

#define RING 30u /* the guest's frame */

static struct guest g;
static struct xencons_interface *ring;
static uint32_t port;

static void start(void)
{
    world_start(1, 2048);
    guest_create(&g, 1, 64, 1);
    long rc = console_attach(g.d, guest_mfn(&g, RING));
    cr_assert(rc > 0);
    port = (uint32_t)rc;
    ring = (struct xencons_interface *)guest_page(&g, RING);
    machine_log_clear();
}

static void finish(void)
{
    world_check();
    console_detach(g.d);
    guest_destroy(&g);
    world_check_empty();
}

TestSuite(console, .init = start, .fini = finish);

static void notify(void)
{
    struct evtchn_send o = {port};
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_send, &o, sizeof(o)));
}

static void guest_writes(const char *s)
{
    for (; *s; s++)
        ring->out[ring->out_prod++ % sizeof(ring->out)] = *s;
}

Test(console, output_arrives)
{
    guest_writes("hello");
    notify();
    cr_assert(strcmp(machine.log, "hello") == 0, "%s", machine.log);
    assert_eq_long(ring->out_cons, ring->out_prod);
}

Test(console, output_wraps_around)
{
    char text[100];
    memset(text, 'w', 99);
    text[99] = 0;
    for (unsigned i = 0; i < 50; i++) {
        guest_writes(text);
        notify();
    }
    assert_eq_long(machine.log_length, 50 * 99);
    ring->out_prod = ring->out_cons = ~0u - 20; /* and so do the numbers */
    machine_log_clear();
    guest_writes(text);
    notify();
    assert_eq_long(machine.log_length, 99);
}

Test(console, ruined_indices_hurt_nobody)
{
    static const uint32_t value[] = {0,    1,          2047,       2048,       2049,
                                     4096, 0x7fffffff, 0x80000000, 0xfffff7ff, 0xffffffff};
    struct random r = random_start(8);

    for (unsigned i = 0; i < 3000; i++) {
        ring->out_prod =
            random_below(&r, 2) ? value[random_below(&r, 10)] : (uint32_t)random_next(&r);
        ring->out_cons =
            random_below(&r, 2) ? value[random_below(&r, 10)] : (uint32_t)random_next(&r);
        ring->in_prod =
            random_below(&r, 2) ? value[random_below(&r, 10)] : (uint32_t)random_next(&r);
        ring->in_cons =
            random_below(&r, 2) ? value[random_below(&r, 10)] : (uint32_t)random_next(&r);
        uint32_t sane = ring->out_prod - ring->out_cons;
        machine_log_clear();
        notify();
        cr_assert(sane <= 2048 || machine.log_length == 0, "%u bytes of nonsense were printed",
                  sane);
        console_input('x');
    }
}

Test(console, input_reaches_the_guest_and_waits_for_room)
{
    for (unsigned i = 0; i < 3000; i++)
        console_input((char)('a' + i % 26));
    assert_eq_long(ring->in_prod - ring->in_cons, sizeof(ring->in)); /* full */
    unsigned got = 0;
    for (unsigned round = 0; round < 10; round++) {
        for (; ring->in_cons != ring->in_prod; ring->in_cons++, got++)
            cr_assert(ring->in[ring->in_cons % sizeof(ring->in)] == (char)('a' + got % 26),
                      "byte %u", got);
        notify();
    }
    assert_eq_long(got, 3000);
}

Test(console, ring_frame_is_no_table_while_served)
{
    assert_ok(guest_protect(&g, RING, RO));
    assert_refused(&g, guest_pin(&g, RING, 1), MX_002);
    console_detach(g.d);
    assert_ok(guest_pin(&g, RING, 1)); /* nobody serves it any more */
    assert_eq_long(console_attach(g.d, guest_mfn(&g, RING)), -XEN_EINVAL);
    assert_ok(guest_unpin(&g, RING));
    cr_assert(console_attach(g.d, guest_mfn(&g, RING)) > 0);
}

Test(console, closed_port_serves_nobody)
{
    struct evtchn_close o = {port};
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_close, &o, sizeof(o)));
    guest_writes("lost");
    struct evtchn_send s = {port};
    cr_assert(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_send, &s, sizeof(s)) < 0);
    console_input('x');
}

Test(console, console_io_needs_a_role_and_reads_its_buffer)
{
    uint64_t at = machine_put(0x8000, "direct\n", 7).va;
    assert_refused(&g, hypercall(&g, console_io, CONSOLEIO_write, 7, at), CN_001);
    g.d->roles = ROLE_HARDWARE;
    assert_ok(hypercall(&g, console_io, CONSOLEIO_write, 7, at));
    cr_assert(machine_logged("direct"));
    assert_refused(&g, hypercall(&g, console_io, CONSOLEIO_write, 7, 0x1000), HC_002);
    assert_refused(&g, hypercall(&g, console_io, CONSOLEIO_read, 0x80000000u, at), CN_002);
    assert_refused(&g, hypercall(&g, console_io, 7, 7, at), CN_003);
}

/* --- a slow line ------------------------------------------------------------------------------ */

#define BAUD_115200 86805u /* ns a byte */

static void line_is_slow(void)
{
    machine.serial_ns = BAUD_115200;
    machine.deaf_since = machine.now;
    machine.deaf_longest = 0;
}

/* From the last time that interrupts were served on. */
static uint64_t longest_stretch(void)
{
    arch_serve_interrupts();
    return machine.deaf_longest;
}

#define FIFO_TIMES(n) ((n) * 16ull * BAUD_115200)

Test(console, full_ring_on_a_slow_line_keeps_nobody_waiting)
{
    char text[2049];
    const uint64_t start = machine.now;

    memset(text, 'x', 2048);
    text[2048] = 0;
    guest_writes(text);
    line_is_slow();
    notify();
    cr_assert(machine.now - start >= 2000ull * BAUD_115200, "the line was as slow as it is");
    cr_assert(longest_stretch() <= FIFO_TIMES(2), "%lu us", machine.deaf_longest / 1000);
    assert_eq_long(ring->out_cons, ring->out_prod);
    assert_eq_long(machine.log_length, 2048);
}

/* By console_io, and by a domain whose rest is written when it has ended. */
Test(console, every_way_out_of_a_guest_has_preemption_points)
{
    char text[2049];

    memset(text, 'y', 2048);
    text[2048] = 0;
    g.d->roles = ROLE_CONSOLE;
    (void)machine_put(0x8000, text, 2048);
    line_is_slow();
    assert_ok(hypercall(&g, console_io, CONSOLEIO_write, 2048, WINDOW_VA + 0x8000));
    cr_assert(longest_stretch() <= FIFO_TIMES(2), "%lu us", machine.deaf_longest / 1000);
    assert_eq_long(machine.log_length, 2048);

    guest_writes(text);
    line_is_slow();
    console_detach(g.d);
    cr_assert(longest_stretch() <= FIFO_TIMES(2), "%lu us", machine.deaf_longest / 1000);
    assert_eq_long(machine.log_length, 4096 + 2); /* and the line is ended */
}

/* Held lines of several domains come out one after the other. */
Test(console, held_text_of_many_is_flushed_one_at_a_time)
{
    struct guest more[3];
    struct domain_config c = {.console = CONSOLE_PREFIX};

    for (unsigned i = 0; i < 3; i++) {
        guest_create(&more[i], (domid_t)(2 + i), 32, 1);
        more[i].d->config = &c;
        cr_assert(console_attach(more[i].d, guest_mfn(&more[i], RING)) > 0);
    }
    guest_writes("the first has the line");
    notify();
    for (unsigned i = 0; i < 3; i++)
        assert_ok(console_domain_write(more[i].d, "prompt of one of the others> ", 29));
    cr_assert(!machine_logged("prompt"));
    line_is_slow();
    machine_advance(20000001);
    cr_assert(machine_logged("(d2) prompt of one of the others> "));
    cr_assert(!machine_logged("(d3)") && !machine_logged("(d4)"), "one interrupt, one line");
    machine_advance(10000000);
    cr_assert(machine_logged("(d3) prompt of one of the others> "));
    cr_assert(machine_logged("(d4) prompt of one of the others> "));
    for (unsigned i = 0; i < 3; i++) {
        console_detach(more[i].d);
        more[i].d->config = NULL;
        guest_destroy(&more[i]);
    }
}
