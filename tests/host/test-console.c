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
    assert_refused(&g, guest_pin(&g, RING, 1), PIN_ROLE_CONFLICT);
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
    assert_refused(&g, hypercall(&g, console_io, CONSOLEIO_write, 7, at), CONSOLE_NOT_OWNED);
    g.d->roles = ROLE_HARDWARE;
    assert_ok(hypercall(&g, console_io, CONSOLEIO_write, 7, at));
    cr_assert(machine_logged("direct"));
    assert_refused(&g, hypercall(&g, console_io, CONSOLEIO_write, 7, 0x1000), ARGUMENT_UNREADABLE);
    assert_refused(&g, hypercall(&g, console_io, CONSOLEIO_read, 0x80000000u, at),
                   CONSOLE_COUNT_TOO_LARGE);
    assert_refused(&g, hypercall(&g, console_io, 7, 7, at), CONSOLE_OP_UNKNOWN);
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

#define FIFO_TIMES(n) ((n)*16ull * BAUD_115200)

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

/* --- prefixed lines, focus, what waits --------------------------------------------------------- */

Test(console, prefixed_lines_stay_whole)
{
    struct domain_config c = {.console = CONSOLE_PREFIX};
    struct guest other;

    guest_create(&other, 2, 32, 1);
    g.d->config = other.d->config = &c;
    console_detach(g.d);
    cr_assert(console_attach(other.d, guest_mfn(&other, RING)) > 0);
    port = (uint32_t)console_attach(g.d, guest_mfn(&g, RING));
    machine_log_clear();

    guest_writes("one\nhalf of ");
    notify();
    assert_ok(console_domain_write(other.d, "from 2", 6));
    cr_assert(!machine_logged("from 2"), "the line is d1's");
    guest_writes("two\n");
    notify();
    assert_ok(console_domain_write(other.d, ", next\n", 7));
    cr_assert(!strcmp(machine.log, "(d1) one\r\n(d1) half of two\r\n(d2) from 2, next\r\n"), "%s",
              machine.log);

    guest_writes("open");
    notify();
    machine_log_clear();
    char longer[200];
    memset(longer, 'l', 199);
    longer[199] = '\n';
    assert_ok(console_domain_write(other.d, longer, 200)); /* as much as is held: out it goes */
    cr_assert(!strncmp(machine.log, "\r\n(d2) lll", 10), "%s", machine.log);
    printk("\n");
    assert_ok(console_domain_write(other.d, "and ", 4));
    printk("hello\n"); /* takes the line */
    cr_assert(machine_logged("(d2) and \r\n(PV) hello\r\n"), "%s", machine.log);
    c.console = CONSOLE_OFF;
    console_detach(other.d);
    cr_assert(console_attach(other.d, guest_mfn(&other, RING)) > 0);
    machine_log_clear();
    assert_ok(console_domain_write(other.d, "silent", 6));
    assert_eq_long(machine.log_length, 0);
    console_detach(other.d);
    g.d->config = other.d->config = NULL;
    guest_destroy(&other);
}

Test(console, input_waits_for_the_first_console_and_has_an_end)
{
    console_detach(g.d);
    const uint64_t free = page_free_count();
    for (unsigned i = 0; i < CONSOLE_INPUT_KEPT; i++)
        console_input('e');
    assert_eq_long(console_early_frames(), 4);
    assert_eq_long(page_free_count(), free - 4);
    assert_eq_long(console_input_room(), 0);
    console_input('L'); /* lost */
    cr_assert(console_attach(g.d, guest_mfn(&g, RING)) > 0);
    assert_eq_long(console_early_frames(), 0);
    ring->in_cons = ring->in_prod = 0;
    port = g.d->console ? port + 1 : 0;
    unsigned got = 0;
    for (unsigned round = 0; round < 40; round++) {
        char byte;
        while (console_domain_read(g.d, &byte, 1) == 1) {
            cr_assert(byte == 'e');
            got++;
        }
    }
    /* a ring's worth went there first */
    assert_eq_long(got, CONSOLE_INPUT_KEPT - sizeof(ring->in));
    assert_eq_long(console_input_room(), CONSOLE_INPUT_KEPT);
}

Test(console, console_io_reads_what_is_typed)
{
    char to[8] = "";
    console_detach(g.d);
    g.d->roles = ROLE_CONSOLE;
    uint64_t at = machine_put(0x8000, to, 8).va;
    assert_eq_long(hypercall(&g, console_io, CONSOLEIO_read, 8, at), 0);
    for (const char *s = "typed"; *s; s++)
        console_input(*s);
    assert_eq_long(hypercall(&g, console_io, CONSOLEIO_read, 3, at), 3);
    assert_eq_long(hypercall(&g, console_io, CONSOLEIO_read, 8, at + 3), 2);
    machine_get(to, 0x8000, 8);
    cr_assert(!memcmp(to, "typed", 5));
    console_input('x');
    assert_refused(&g, hypercall(&g, console_io, CONSOLEIO_read, 8, 0x1000), ARGUMENT_UNREADABLE);
}
