/*
 * The interval timer (8254) that a guest without ports of its own may read.
 *
 *   control word, port 43          port 61
 *   7 6   5 4     3 2 1  0         5    4        1        0
 *   chan  access  mode   BCD       OUT  refresh  speaker  gate of channel 2
 *
 * A PV guest has better clocks, but Linux looks here first: it counts the TSC against channel 2.
 * On an empty bus it does so 100,000 reads long before it gives up, which was 94% of all
 * instructions that a boot had emulated.  So this is what that loop needs, and what Xen gives every
 * guest: channel 2 alone, its gate and its output.  Channels 0 and 1 raise interrupts that a PV
 * guest cannot get; their ports stay empty.
 *
 * Nothing here runs: the counter is worked out from system time when it is read.  It counts down
 * from @count, once (mode 0: OUT rises at the end) or again and again (2: OUT falls for the last
 * tick; 3: by two, OUT is high for the first half).  With the gate shut it stands; the gate's
 * opening goes on in mode 0 and starts afresh in the others.  The triggered modes 1, 4 and 5 count
 * as mode 0, and BCD as binary: nobody uses them on this channel.  What hardware does between the
 * two bytes of a count is not imitated: the old count runs until the new one is complete.
 */
#include "pit.h"
#include "arch.h"

#define PIT_LOW  1
#define PIT_HIGH 2
#define PIT_BOTH 3

#define PORT_COUNTER 0x42
#define PORT_CONTROL 0x43

#define GATE    BIT(0)
#define SPEAKER BIT(1)

/* Ticks in @ns, by a factor of 2^-64: no division at run time, no overflow. */
static uint64_t ticks_of(uint64_t ns)
{
    const uint64_t factor = (uint64_t)(((unsigned __int128)PIT_HZ << 64) / 1000000000);
    return (uint64_t)((unsigned __int128)ns * factor >> 64);
}

/* CPUs' ideas of system time differ by a little: what began in another's future has just begun. */
static uint64_t run_ns(const struct pit *p, uint64_t now)
{
    if (!p->gate)
        return p->elapsed;
    return now > p->start ? now - p->start : 0;
}

static uint32_t count_of(const struct pit *p)
{
    return p->count ? p->count : 65536;
}

static bool is_periodic(const struct pit *p)
{
    return p->mode == 2 || p->mode == 3;
}

static uint16_t counter(const struct pit *p)
{
    uint64_t ticks = ticks_of(run_ns(p, arch_now()));
    uint32_t count = count_of(p);

    if (p->mode == 3)
        ticks *= 2;
    return (uint16_t)(count - (is_periodic(p) ? ticks % count : ticks));
}

static bool output(const struct pit *p)
{
    uint64_t ticks = ticks_of(run_ns(p, arch_now()));
    uint32_t count = count_of(p);

    switch (p->mode) {
    case 2:
        return ticks % count != count - 1;
    case 3:
        return ticks % count < (count + 1) / 2;
    default:
        return ticks >= count;
    }
}

static void restart(struct pit *p)
{
    p->start = arch_now();
    p->elapsed = 0;
}

static void set_gate(struct pit *p, bool gate)
{
    uint64_t now = arch_now();

    if (gate == p->gate)
        return;
    p->elapsed = run_ns(p, now);
    p->start = now - p->elapsed;
    p->gate = gate;
    if (gate && is_periodic(p))
        restart(p);
}

static void latch_counter(struct pit *p)
{
    if (!p->latched)
        p->latch = counter(p);
    p->latched = true;
}

static void latch_status(struct pit *p)
{
    if (!p->status_latched)
        p->status = (uint8_t)(output(p) << 7 | p->access << 4 | p->mode << 1 | p->decimal);
    p->status_latched = true;
}

static void control(struct pit *p, uint8_t word)
{
    if ((word & 0xc8) == 0xc8) { /* read back, channel 2 among others */
        if (!(word & BIT(5)))
            latch_counter(p);
        if (!(word & BIT(4)))
            latch_status(p);
        return;
    }
    if (word >> 6 != 2)
        return;
    if (!(word >> 4 & 3)) {
        latch_counter(p);
        return;
    }
    p->access = word >> 4 & 3;
    p->mode = word >> 1 & 7;
    if (p->mode > 5)
        p->mode -= 4; /* the highest bit of modes 2 and 3 does not count */
    p->decimal = word & 1;
    p->write_high = p->read_high = false;
    p->latched = p->status_latched = false;
}

static void write_counter(struct pit *p, uint8_t byte)
{
    if (p->access == PIT_BOTH && !p->write_high) {
        p->low = byte;
        p->write_high = true;
        return;
    }
    p->count = p->access == PIT_BOTH   ? (uint16_t)(byte << 8 | p->low)
               : p->access == PIT_HIGH ? (uint16_t)(byte << 8)
                                       : byte;
    p->write_high = false;
    restart(p);
}

static uint8_t read_counter(struct pit *p)
{
    if (p->status_latched) {
        p->status_latched = false;
        return p->status;
    }
    uint16_t value = p->latched ? p->latch : counter(p);
    bool high = p->access == PIT_BOTH ? p->read_high : p->access == PIT_HIGH;
    if (p->access == PIT_BOTH)
        p->read_high = !high;
    if (p->access != PIT_BOTH || high)
        p->latched = false;
    return (uint8_t)(high ? value >> 8 : value);
}

/* The refresh clock toggles every 15 microseconds, or every 2^14 ns. */
static uint8_t read_speaker(const struct pit *p)
{
    return (uint8_t)(output(p) << 5 | (arch_now() >> 14 & 1) << 4 | p->speaker << 1 | p->gate);
}

uint8_t pit_port_read(struct pit *p, uint16_t port)
{
    uint8_t value = 0; /* the control word cannot be read */

    spin_lock(&p->lock);
    if (port == PORT_COUNTER)
        value = read_counter(p);
    else if (port != PORT_CONTROL)
        value = read_speaker(p);
    spin_unlock(&p->lock);
    return value;
}

void pit_port_write(struct pit *p, uint16_t port, uint8_t value)
{
    spin_lock(&p->lock);
    if (port == PORT_COUNTER) {
        write_counter(p, value);
    } else if (port == PORT_CONTROL) {
        control(p, value);
    } else {
        p->speaker = value & SPEAKER;
        set_gate(p, value & GATE);
    }
    spin_unlock(&p->lock);
}
