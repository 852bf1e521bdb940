/*
 * Consoles' way out: what guests write, byte for byte or in lines with a prefix (console.c has the picture).
 *
 * The hypervisor, and raw domains, take an unfinished line away from its owner.  A domain
 * whose lines are prefixed waits with its own text, which is kept in a small buffer, until the line
 * is free; but not for long: a prompt that no newline follows must show while the user sits there,
 * so after FLUSH_AFTER the text is printed on a new line.
 *
 * How long a CPU is away.  A UART of 115200 baud takes 87 us for a byte, and whoever writes waits for
 * it with interrupts off.  So what a guest writes goes out one FIFO at a time, only when the UART is
 * ready, and between two the caller lets others run (write_all(), evtchn-op.c's send_hypervisor()); on an emulator
 * that is always ready it does so every BURST bytes, of which each may begin a line with a prefix.  The longest single piece is a
 * line that was held back, or one of printk's: 200 bytes.
 */
#include "console-ring.h"

#include "arch.h"
#include "domain-config.h"
#include "lib.h"
#include "line.h"
#include "sched.h"

#define PIECE       16u         /* bytes: what a UART takes at once */
#define BURST       128u        /* bytes between two preemption points, UART always ready */
#define FLUSH_AFTER 20000000ull /* ns */
#define FLUSH_NEXT  1000000ull  /* ns, between two consoles' held text */

static struct timer flush;
static uint8_t flush_armed; /* (atomic) */

/* One byte of @c's on its own line.  From a ring, bytes are the terminal's, but a newline that
 * comes alone would leave the cursor where it is: console_io and prefixed lines get their carriage
 * return here. */
static inline void put_byte(struct console_ring *c, char byte)
{
    if (byte == '\n' && c->last != '\r' && (c->mode == CONSOLE_PREFIX || !c->ring))
        line_emit('\r');
    line_emit(byte);
    c->last = byte;
    serial_line.open = byte != '\n';
}

static void put_prefix(const struct console_ring *c)
{
    char prefix[16];
    snprintf(prefix, sizeof(prefix), "(d%u) ", c->domain->id);
    line_emit_text(prefix);
}

/* Print what was held back, on a line of @c's own. */
static void put_held(struct console_ring *c)
{
    line_take(c);
    if (!serial_line.open)
        put_prefix(c);
    for (unsigned i = 0; i < c->held; i++)
        put_byte(c, c->line[i]);
    c->held = 0;
}

static void hold_byte(struct console_ring *c, char byte)
{
    c->line[c->held++] = byte;
    if (byte == '\n' || c->held == LINE_KEPT)
        put_held(c);
}

static noinline_ void write_prefixed(struct console_ring *c, const char *s, size_t n)
{
    for (; n; n--, s++) {
        if (serial_line.open && serial_line.owner != c) {
            hold_byte(c, *s);
        } else if (c->held) { /* the line has become free */
            put_held(c);
            put_byte(c, *s);
        } else {
            serial_line.owner = c;
            if (!serial_line.open)
                put_prefix(c);
            put_byte(c, *s);
        }
    }
}

static inline void write_raw(struct console_ring *c, const char *s, size_t n)
{
    line_take(c);
    for (; n; n--, s++)
        put_byte(c, *s);
}

static void flush_at(uint64_t when)
{
    if (!atomic_exchange(&flush_armed, 1))
        timer_set(&flush, when);
}

/* One console's text at a time: this is an interrupt. */
static void flush_held(struct timer *t)
{
    bool done = false, more = false;

    atomic_set(&flush_armed, 0);
    spin_lock(&consoles.lock);
    list_for_each(it, &consoles.list)
    {
        struct console_ring *c = list_entry(it, struct console_ring, link);
        bool entered = line_enter();
        more |= c->held && done;
        if (c->held && !done) {
            put_held(c);
            done = true;
        }
        line_leave(entered);
    }
    spin_unlock(&consoles.lock);
    if (more)
        flush_at(arch_now() + FLUSH_NEXT);
}

/* As many of @n bytes as the UART takes now without making us wait, or BURST; how many.  0: it is not ready. */
static inline __attribute__((always_inline)) size_t console_write(struct console_ring *c,
                                                                  const char *s, size_t n)
{
    size_t done = 0;

    if (c->mode == CONSOLE_OFF)
        return n;
    bool entered = line_enter();
    for (;;) {
        const size_t piece = MIN(n - done, PIECE);
        if (!arch_serial_ready(piece))
            break;
        if (c->mode == CONSOLE_PREFIX)
            write_prefixed(c, s + done, piece);
        else
            write_raw(c, s + done, piece);
        done += piece;
        if (done == n || done >= BURST)
            break;
        line_flush();
    }
    bool held = c->held;
    line_leave(entered);
    if (held)
        flush_at(arch_now() + FLUSH_AFTER);
    return done;
}

size_t console_output_write(struct console_ring *c, const char *s, size_t n)
{
    return console_write(c, s, n);
}

void console_output_end(struct console_ring *c)
{
    bool entered = line_enter();
    if (c->held)
        put_held(c);
    if (serial_line.owner == c)
        line_take(NULL);
    line_leave(entered);
}

void console_output_init(void)
{
    timer_init(&flush, flush_held);
}

int console_domain_write(struct domain *d, const char *s, size_t n)
{
    struct console_ring *c = d->console ?: console_of(d);
    if (unlikely(!c))
        return -XEN_ENOMEM;
    size_t done = n ? console_write(c, s, n) : 0;
    while (unlikely(done < n) && !preempt_point()) /* true: its domain is being ended */
        done += console_output_write(c, s + done, n - done);
    return 0;
}
