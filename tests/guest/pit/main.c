/*
 * Question: does channel 2 of the interval timer count as an 8254 does?
 *
 * A PV guest that may use I/O instructions finds one device behind them:
 * channel 2 of an interval timer (ports 42 and 43) with its gate and its output
 * (port 61).  Linux counts its TSC against it before anything else.  A first
 * domain reaches the machine's real channel, others one that the hypervisor
 * works out from system time; the answers are the same.
 *
 * How fast it counts is compared with the paravirtual clock, without a threshold
 * on how long anything takes: each reading lies between two readings of the clock.
 *
 * What a shut gate does is asked of our virtual channel only: QEMU's 8254 counts on
 * behind it in mode 0, and so does what Xen 4.17 gives a domain (its first one,
 * too, with clocksource=pit, which is how the answers were compared).  Hardware stops.
 */
#include "guest.h"
#include "clock.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>

#define PIT_HZ 1193182ul
#define MS     1000000ul

enum { COUNTER = 0x42, CONTROL = 0x43, SPEAKER = 0x61 };
enum { GATE = 1, SOUND = 2, OUT = 0x20 };

static uint8_t in(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

/* Channel 2, both bytes of a count, @mode. */
static void program(unsigned mode, uint16_t count)
{
    out(CONTROL, (uint8_t)(0xb0 | mode << 1));
    out(COUNTER, (uint8_t)count);
    out(COUNTER, (uint8_t)(count >> 8));
}

static uint16_t both_bytes(void)
{
    uint16_t low = in(COUNTER);
    return (uint16_t)(low | in(COUNTER) << 8);
}

static uint16_t latched(void)
{
    out(CONTROL, 0x80);
    return both_bytes();
}

static void wait_ns(uint64_t ns)
{
    uint64_t until = clock_ns() + ns;
    while (clock_ns() < until)
        ;
}

static uint64_t ticks(uint64_t ns)
{
    return ns * PIT_HZ / 1000000000;
}

static void test_rate(void)
{
    uint64_t before[2], after[2];
    uint16_t value[2];

    program(0, 0xffff);
    for (unsigned i = 0; i < 2; i++) {
        before[i] = clock_ns();
        value[i] = latched();
        after[i] = clock_ns();
        wait_ns(10 * MS);
    }
    uint64_t passed = (uint16_t)(value[0] - value[1]);
    uint64_t least = ticks(before[1] - after[0]), most = ticks(after[1] - before[0]);
    if (after[1] - before[0] > 50 * MS)
        tap_skip("it wrapped meanwhile: the machine is busy", "it counts at 1193182 Hz");
    else /* two clocks: a part in 256 of difference, a few ticks of rounding */
        tap_ok(passed + passed / 256 + 4 >= least && passed <= most + most / 256 + 4,
               "it counts at 1193182 Hz");
    tap_note("%lu ticks, between %lu and %lu", passed, least, most);
}

static void test_once(void)
{
    program(0, 0xffff);
    tap_is(in(SPEAKER)&OUT, 0, "mode 0: OUT is low at first");
    uint16_t first = latched();
    wait_ns(MS);
    uint16_t second = latched();
    tap_ok(second < first, "mode 0: the count falls");
    tap_note("%u, then %u", first, second);
    out(COUNTER, 0xff);
    out(COUNTER, 0xff);
    wait_ns(60 * MS); /* 65535 ticks are 54.9 ms */
    tap_is(in(SPEAKER)&OUT, OUT, "mode 0: OUT rises when the count has run down");
    program(0, 0);
    tap_is(in(SPEAKER)&OUT, 0, "mode 0: a new count lowers it; 0 is 65536");
    tap_ok(latched() > 0x8000, "mode 0: 0 is counted down from the top");
    program(0, 1000);
    wait_ns(2 * MS);
    tap_ok(latched() > 1000, "mode 0: it goes on through 0");
    tap_is(in(SPEAKER)&OUT, OUT, "mode 0: OUT stays high");
}

static void test_latch(void)
{
    program(0, 0xffff);
    out(CONTROL, 0x80);
    uint16_t high_water = both_bytes();
    out(CONTROL, 0x80);
    wait_ns(MS);
    out(CONTROL, 0x80); /* a second latch changes nothing */
    uint16_t frozen = both_bytes(), now = latched();
    tap_ok((uint16_t)(high_water - frozen) < (uint16_t)(high_water - now),
           "latch: the first one holds until it is read");
    tap_ok((uint16_t)(frozen - now) >= ticks(MS) - 2, "latch: the count ran on behind it");
    out(CONTROL, 0xd8); /* read back: the count of channel 2 */
    frozen = both_bytes();
    tap_ok(frozen < now && frozen > 0, "read back: the count");
}

static void test_status(void)
{
    static const struct {
        uint8_t control, status;
    } of[] = {{0xb0, 0x30}, {0xb4, 0x34}, {0x96, 0x16}, {0xa6, 0x26}};

    for (unsigned i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        out(CONTROL, of[i].control);
        out(COUNTER, 0x80);
        if ((of[i].control & 0x30) == 0x30)
            out(COUNTER, 0x80);
        out(CONTROL, 0xe8); /* read back: the status of channel 2 */
        tap_is_hex(in(COUNTER)&0x3f, of[i].status & 0x3f, "read back: the status after %x",
                   of[i].control);
    }
}

static void test_gate(void)
{
    program(0, 0xffff);
    out(SPEAKER, 0);
    uint16_t first = latched();
    tap_is(in(SPEAKER) & (GATE | SOUND), 0, "gate: it reads back shut");
    out(SPEAKER, GATE);
    tap_is(in(SPEAKER) & (GATE | SOUND), GATE, "gate: it reads back open");
    uint16_t opened = latched();
    wait_ns(MS);
    tap_ok(opened <= first && latched() < opened, "gate: open, it goes on");
    out(SPEAKER, GATE | SOUND);
    tap_is(in(SPEAKER) & (GATE | SOUND), GATE | SOUND, "the loudspeaker's bit reads back");
    program(2, 0xffff);
    wait_ns(20 * MS);
    out(SPEAKER, 0);
    first = latched();
    out(SPEAKER, GATE);
    tap_ok(latched() > first, "gate: mode 2 begins afresh when it opens");
}

static void test_periodic(void)
{
    static const uint16_t counts[] = {1000, 2, 0x8000};

    for (unsigned mode = 2; mode < 4; mode++)
        for (unsigned i = 0; i < 3; i++) {
            unsigned over = 0;

            program(mode, counts[i]);
            for (unsigned n = 0; n < 100; n++)
                over += latched() > counts[i];
            tap_is(over, 0, "mode %u, count %u: never above", mode, counts[i]);
        }
    unsigned seen = 0, odd = 0;
    program(3, 10000);
    for (unsigned n = 0; n < 100; n++)
        odd += latched() & 1;
    tap_is(odd, 0, "mode 3: it counts by two");
    for (uint64_t until = clock_ns() + 1000 * MS; seen != 3 && clock_ns() < until;)
        seen |= in(SPEAKER)&OUT ? 1 : 2;
    tap_is(seen, 3, "mode 3: OUT is high and low in turn");
}

/* With the gate shut: bytes can be told because the count stands. */
static void test_shut(void)
{
    if (guest_is_first()) {
        tap_skip("QEMU's 8254 counts on behind a shut gate", "gate: shut, the count stands");
        return;
    }
    program(0, 0xffff);
    out(SPEAKER, 0);
    uint16_t first = latched();
    wait_ns(MS);
    tap_is(latched(), first, "gate: shut, the count stands");
    out(CONTROL, 0x90); /* the low byte alone */
    out(COUNTER, 0x34);
    tap_is_hex(in(COUNTER), 0x34, "low byte only");
    tap_is_hex(in(COUNTER), 0x34, "low byte only, again");
    out(CONTROL, 0xa0);
    out(COUNTER, 0x12);
    tap_is_hex(in(COUNTER), 0x12, "high byte only");
    program(0, 0x1234);
    tap_is_hex(both_bytes(), 0x1234, "both bytes");
    tap_is_hex(in(COUNTER), 0x34, "both bytes: low again");
    tap_is_hex(in(COUNTER), 0x12, "both bytes: high again");
    out(SPEAKER, GATE);
}

static void test_others(void)
{
    tap_is_hex(in(0x40), 0xff, "channel 0 is not there");
    tap_is_hex(in(0x41), 0xff, "channel 1 is not there");
    tap_is_hex(in(CONTROL), 0, "the control word cannot be read");
}

void guest_main(void)
{
    struct physdev_set_iopl arg = {.iopl = 1};

    tap_is(hypercall_physdev_op(PHYSDEVOP_set_iopl, &arg), 0, "set_iopl: 1");
    out(SPEAKER, GATE);
    test_rate();
    test_once();
    test_latch();
    test_status();
    test_periodic();
    test_others();
    test_gate();
    test_shut();
}
