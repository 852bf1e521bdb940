/*
 * The console has two faces.  The first domain (SIF_INITDOMAIN) owns the
 * machine's console through console_io; any other domain shares a ring of
 * 1024 input and 2048 output bytes with whoever serves it, and tells it by an
 * event.  Tests do not care which: they print lines.
 *
 * Output is collected up to a newline: one hypercall a line.
 */
#include "console.h"
#include "event.h"
#include "memory.h"
#include "string.h"

#include <stdbool.h>
#include <paravane/hypercall.h>
#include <xen/io/console.h>
#include <xen/sched.h>

static bool use_ring;
static struct xencons_interface *ring;
static evtchn_port_t ring_port;

static char pending[512];
static size_t pending_length;

void console_init(const struct start_info *si)
{
    use_ring = !(si->flags & SIF_INITDOMAIN);
    if (!use_ring || !si->console.domU.mfn)
        return;
    ring = memory_of_mfn(si->console.domU.mfn);
    ring_port = si->console.domU.evtchn;
}

static void ring_write(const char *text, size_t length)
{
    while (length > 0) {
        XENCONS_RING_IDX produced = ring->out_prod;
        XENCONS_RING_IDX consumed = *(volatile XENCONS_RING_IDX *)&ring->out_cons;
        if (produced - consumed >= sizeof(ring->out)) {
            event_send(ring_port);
            hypercall_sched_op(SCHEDOP_yield, NULL);
            continue;
        }
        ring->out[MASK_XENCONS_IDX(produced, ring->out)] = *text++;
        length--;
        __atomic_thread_fence(__ATOMIC_RELEASE);
        ring->out_prod = produced + 1;
    }
    event_send(ring_port);
}

static void flush(void)
{
    if (!use_ring)
        hypercall_console_io(CONSOLEIO_write, pending_length, pending);
    else if (ring)
        ring_write(pending, pending_length);
    pending_length = 0;
}

void console_write(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        pending[pending_length++] = text[i];
        if (text[i] == '\n' || pending_length == sizeof(pending))
            flush();
    }
}

static int read_byte(void)
{
    char c;

    if (!use_ring)
        return hypercall_console_io(CONSOLEIO_read, 1, &c) == 1 ? (unsigned char)c : -1;
    if (!ring || ring->in_cons == *(volatile XENCONS_RING_IDX *)&ring->in_prod)
        return -1;
    c = ring->in[MASK_XENCONS_IDX(ring->in_cons, ring->in)];
    ring->in_cons++;
    event_send(ring_port);
    return (unsigned char)c;
}

int console_read_line(char *line, size_t size)
{
    static char collected[256];
    static size_t length;
    int c;

    while ((c = read_byte()) >= 0) {
        if (c == '\n' || c == '\r') {
            size_t n = length < size - 1 ? length : size - 1;
            memcpy(line, collected, n);
            line[n] = 0;
            length = 0;
            return n;
        }
        if (length < sizeof(collected))
            collected[length++] = c;
    }
    return -1;
}

void console_wait(void)
{
    struct sched_poll poll = {.nr_ports = 1};

    if (!ring) {
        hypercall_sched_op(SCHEDOP_yield, NULL);
        return;
    }
    event_clear(ring_port);
    if (ring->in_cons != *(volatile XENCONS_RING_IDX *)&ring->in_prod)
        return;
    set_xen_guest_handle(poll.ports, &ring_port);
    hypercall_sched_op(SCHEDOP_poll, &poll);
}

/* The subset of printf that tests use: %s %c %d %u %x %p %%, with l, width and zero padding. */
static size_t format_number(char *to, unsigned long value, unsigned base, bool negative)
{
    char reversed[24];
    size_t n = 0, length = 0;

    do
        reversed[n++] = "0123456789abcdef"[value % base];
    while (value /= base);
    if (negative)
        to[length++] = '-';
    while (n > 0)
        to[length++] = reversed[--n];
    return length;
}

struct sink {
    char *to;
    size_t size, length;
};

static void put(struct sink *s, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++, s->length++)
        if (s->length + 1 < s->size)
            s->to[s->length] = text[i];
}

static void put_padded(struct sink *s, const char *text, size_t n, unsigned width, char pad)
{
    for (size_t i = n; i < width; i++)
        put(s, &pad, 1);
    put(s, text, n);
}

int text_vformat(char *to, size_t size, const char *format, va_list args)
{
    struct sink s = {to, size, 0};

    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(&s, f, 1);
            continue;
        }
        char pad = *++f == '0' ? '0' : ' ';
        unsigned width = 0, longs = 0;
        while (*f >= '0' && *f <= '9')
            width = width * 10 + *f++ - '0';
        for (; *f == 'l'; f++)
            longs++;

        char number[24];
        size_t n;
        if (*f == 's') {
            const char *text = va_arg(args, const char *);
            put_padded(&s, text, strlen(text), width, ' ');
        } else if (*f == 'c') {
            char c = va_arg(args, int);
            put(&s, &c, 1);
        } else if (*f == 'd') {
            long v = longs ? va_arg(args, long) : va_arg(args, int);
            n = format_number(number, v < 0 ? -(unsigned long)v : (unsigned long)v, 10, v < 0);
            put_padded(&s, number, n, width, pad);
        } else if (*f == 'u' || *f == 'x') {
            unsigned long v = longs ? va_arg(args, unsigned long) : va_arg(args, unsigned);
            n = format_number(number, v, *f == 'u' ? 10 : 16, false);
            put_padded(&s, number, n, width, pad);
        } else if (*f == 'p') {
            n = format_number(number, (unsigned long)va_arg(args, void *), 16, false);
            put_padded(&s, number, n, width, pad);
        } else {
            put(&s, f, 1);
        }
    }
    if (size > 0)
        to[s.length < size ? s.length : size - 1] = 0;
    return s.length;
}

int text_format(char *to, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = text_vformat(to, size, format, args);
    va_end(args);
    return n;
}

void console_printf(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = text_vformat(line, sizeof(line), format, args);
    va_end(args);
    console_write(line, n < (int)sizeof(line) ? n : sizeof(line) - 1);
}
