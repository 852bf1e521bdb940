/*
 * The serial line: 16550 UARTs at COM1 and COM2, chosen by Xen's command-line words
 *
 *   console=com1[,com2,...]      which of them speak; others (vga, none) are silence; default com1
 *   com1=115200,8n1              speed and format; without it the firmware's setting stays
 *
 * Output fills the FIFO and polls, because the last words of a crash must not depend on interrupts.
 * Input comes by interrupt, byte by byte, to console_input().
 */
#include "machine.h"
#include "lines.h"
#include "console.h"
#include "guest.h"

/* Registers (NS16550 data sheet); with DLAB set, 0 and 1 are the divisor. */
enum {
    UART_DATA = 0,
    UART_INTERRUPT_ENABLE = 1,
    UART_FIFO_CONTROL = 2,
    UART_LINE_CONTROL = 3,
    UART_MODEM_CONTROL = 4,
    UART_LINE_STATUS = 5,
    UART_SCRATCH = 7,
};
#define LINE_DLAB          0x80
#define STATUS_DATA        0x01
#define STATUS_THR_EMPTY   0x20
#define STATUS_ALL_SENT    0x40
#define FIFO_ON_AND_CLEAR  0x07
#define FIFO_BYTES         16
#define MODEM_DTR_RTS_OUT2 0x0b /* OUT2 gates the interrupt line on a PC */
#define MODEM_LOOPBACK     0x10
#define UART_CLOCK         115200
#define SPIN_LIMIT         100000000      /* a minute or so: an emulator's reader may be slow */
#define BUSY_LIMIT         60000000000ull /* ns, while others can run meanwhile */

#define PORTS 2
static struct {
    const char *name;
    uint16_t base;
    uint8_t irq;
    bool on;
    bool early; /* @byte came before there was anybody to take it */
    bool dead;  /* it has not sent for a long time; guarded as output is */
    uint8_t byte;
    uint64_t busy_since; /* it was not ready then, nor since; 0: it was; guarded as output is */
} port[PORTS] = {{.name = "com1", .base = 0x3f8, .irq = 4},
                 {.name = "com2", .base = 0x2f8, .irq = 3}};
static uint16_t data_port[PORTS]; /* UART_DATA of those that are on */
static unsigned ports_on;
uint32_t serial_room; /* bytes that every FIFO has room for, without a look */

static bool uart_present(uint16_t base)
{
    outb(base + UART_SCRATCH, 0x5a);
    if (inb(base + UART_SCRATCH) != 0x5a)
        return false;
    outb(base + UART_SCRATCH, 0xa5);
    return inb(base + UART_SCRATCH) == 0xa5;
}

/* "115200,8n1": speed, then data bits, parity, stop bits; what is missing is 8n1. */
static void uart_set_line(uint16_t base, const char *s, size_t n)
{
    char *end;
    unsigned long speed = strtoul(s, &end, 10);
    if (!speed || speed > UART_CLOCK) /* "auto", or not a number: leave it */
        return;
    const char *format = end < s + n && *end == ',' ? end + 1 : "8n1";
    uint8_t line = 0x03;
    if (format[0] >= '5' && format[0] <= '8') {
        line = (uint8_t)(format[0] - '5');
        line |= format[1] == 'o' ? 0x08 : format[1] == 'e' ? 0x18 : 0;
        line |= format[1] && format[2] == '2' ? 0x04 : 0;
    }
    uint16_t divisor = (uint16_t)(UART_CLOCK / speed);
    outb(base + UART_LINE_CONTROL, LINE_DLAB);
    outb(base + 0, (uint8_t)divisor);
    outb(base + 1, (uint8_t)(divisor >> 8));
    outb(base + UART_LINE_CONTROL, line);
}

/* Is @name one of the comma-separated words of @list? */
static bool list_has(const char *list, size_t n, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = list, *end = list + n; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t word = (size_t)((comma ? comma : end) - p);
        if (word == len && !memcmp(p, name, len))
            return true;
        p += word + 1;
    }
    return false;
}

void serial_init(void)
{
    size_t n;
    const char *consoles = cmdline_get("console", &n);
    for (unsigned i = 0; i < PORTS; i++) {
        bool wanted = consoles ? list_has(consoles, n, port[i].name) : i == 0;
        if (!wanted || !uart_present(port[i].base))
            continue;
        uint16_t base = port[i].base;
        io_claim(base, 8);
        size_t length;
        const char *line = cmdline_get(port[i].name, &length);
        outb(base + UART_INTERRUPT_ENABLE, 0);
        if (line)
            uart_set_line(base, line, length);
        /* Switching the FIFO on forgets a byte that is there already.  In loopback the line is cut off, so
         * that the next one does not come between the two. */
        outb(base + UART_MODEM_CONTROL, MODEM_LOOPBACK);
        if (inb(base + UART_LINE_STATUS) & STATUS_DATA) {
            port[i].byte = inb(base + UART_DATA);
            port[i].early = true;
        }
        outb(base + UART_FIFO_CONTROL, FIFO_ON_AND_CLEAR);
        outb(base + UART_MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
        port[i].on = true;
        data_port[ports_on++] = base + UART_DATA;
    }
}

void serial_interrupts_on(void)
{
    for (unsigned i = 0; i < PORTS; i++) {
        if (!port[i].on)
            continue;
        lines_take(port[i].irq, (uint8_t)(INTERRUPT_SERIAL + i));
        outb(port[i].base + UART_INTERRUPT_ENABLE, 1);
        if (port[i].early)
            console_input((char)port[i].byte);
        serial_interrupt(i); /* an edge that came before the route was open is lost: look once */
    }
}

void serial_interrupt(unsigned i)
{
    uint16_t base = port[i].base;
    /* Bounded: a line that babbles must not keep this CPU. */
    for (unsigned n = 0; inb(base + UART_LINE_STATUS) & STATUS_DATA; n++) {
        /* the sender waits (an emulator's does) until arch_serial_resume() */
        if (!console_input_room()) {
            outb(base + UART_INTERRUPT_ENABLE, 0);
            return;
        }
        if (n == 256) {
            /* The interrupt is an edge, and its line has not gone down: make one for the rest. */
            outb(base + UART_INTERRUPT_ENABLE, 0);
            outb(base + UART_INTERRUPT_ENABLE, 1);
            return;
        }
        console_input((char)inb(base + UART_DATA));
    }
}

void arch_serial_resume(void)
{
    for (unsigned i = 0; i < PORTS; i++)
        if (port[i].on)
            outb(port[i].base + UART_INTERRUPT_ENABLE, 1); /* raises an edge if there is data */
}

/*
 * Wait until port @i has all bits of @status.  A real UART sends whatever happens; an emulator's is
 * ready when somebody has read what was sent before, which takes as long as it takes, and bytes sent
 * in spite of that are lost.  Only a port that has not moved for SPIN_LIMIT looks is taken for dead:
 * from then on, until it moves again, one look must do.
 */
static void uart_wait(unsigned i, uint8_t status)
{
    const unsigned limit = port[i].dead ? 1 : SPIN_LIMIT;
    unsigned n = 0;
    while (n < limit && (inb(port[i].base + UART_LINE_STATUS) & status) != status)
        n++;
    port[i].dead = n == limit;
}

/* Port @i was found busy.  True: it has been for so long that nobody should wait for it. */
static bool busy_for_too_long(unsigned i)
{
    const uint64_t now = arch_now();

    if (!port[i].busy_since)
        port[i].busy_since = now;
    port[i].dead = port[i].dead || now - port[i].busy_since > BUSY_LIMIT;
    return port[i].dead;
}

bool serial_look(void)
{
    for (unsigned i = 0; i < PORTS; i++) {
        if (!port[i].on)
            continue;
        if (inb(port[i].base + UART_LINE_STATUS) & STATUS_THR_EMPTY)
            port[i].busy_since = 0;
        else if (!busy_for_too_long(i))
            return false;
    }
    serial_room = FIFO_BYTES;
    return true;
}

static void wait_for_all(void)
{
    for (unsigned i = 0; i < PORTS; i++)
        if (port[i].on)
            uart_wait(i, STATUS_THR_EMPTY);
    serial_room = FIFO_BYTES;
}

void arch_serial_write(const char *s, size_t n)
{
    while (n) {
        if (!serial_room)
            wait_for_all();
        const size_t piece = MIN(n, (size_t)serial_room);
        for (unsigned i = 0; i < ports_on; i++)
            for (size_t k = 0; k < piece; k++)
                outb(data_port[i], (uint8_t)s[k]);
        serial_room -= (uint32_t)piece;
        s += piece;
        n -= piece;
    }
}

void serial_drain(void)
{
    for (unsigned i = 0; i < PORTS; i++)
        if (port[i].on)
            uart_wait(i, STATUS_ALL_SENT);
}
