/*
 * The console: a 16550 at COM1.  Output fills its FIFO and polls, so that a
 * panic's words need nothing but the port; input comes by interrupt.
 */
#include "platform/native/machine.h"
#include "platform/platform.h"

#define COM1     0x3f8
#define COM1_ISA 4 /* its interrupt */

enum {
    UART_DATA = COM1,
    UART_INTERRUPT_ENABLE,
    UART_FIFO_CONTROL,
    UART_LINE_CONTROL,
    UART_MODEM_CONTROL,
    UART_LINE_STATUS,
    UART_SCRATCH = COM1 + 7,
};
#define LINE_8N1           0x03
#define FIFO_ON_AND_CLEAR  0x07
#define FIFO_BYTES         16
#define MODEM_DTR_RTS_OUT2 0x0b /* OUT2 gates the interrupt line on a PC */
#define MODEM_LOOPBACK     0x10
#define STATUS_DATA        0x01
#define STATUS_CAN_SEND    0x20

static bool present;
static bool early; /* a byte came before anybody could take it */
static char early_byte;

/*
 * Switching the FIFO on forgets a byte that is there already, so keep it.  In
 * loopback the line is cut off, and no other one comes between the two.
 */
void serial_init(void)
{
    out8(UART_SCRATCH, 0x5a);
    present = in8(UART_SCRATCH) == 0x5a;
    if (!present)
        return;
    out8(UART_INTERRUPT_ENABLE, 0);
    out8(UART_LINE_CONTROL, LINE_8N1);
    out8(UART_MODEM_CONTROL, MODEM_LOOPBACK);
    if (in8(UART_LINE_STATUS) & STATUS_DATA) {
        early_byte = (char)in8(UART_DATA);
        early = true;
    }
    out8(UART_FIFO_CONTROL, FIFO_ON_AND_CLEAR);
    out8(UART_MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
}

/* Route first: enabling raises the interrupt for what waits already. */
void serial_interrupt_on(void)
{
    if (!present)
        return;
    apic_route(COM1_ISA, INTERRUPT_SERIAL);
    out8(UART_INTERRUPT_ENABLE, 1);
}

void platform_console_write(const char *text, size_t size)
{
    for (size_t i = 0; present && i < size; i++) {
        if (i % FIFO_BYTES == 0)
            while (!(in8(UART_LINE_STATUS) & STATUS_CAN_SEND))
                ;
        out8(UART_DATA, (uint8_t)text[i]);
    }
}

size_t platform_console_read(char *to, size_t size)
{
    size_t n = 0;
    if (early && size) {
        to[n++] = early_byte;
        early = false;
    }
    while (present && n < size && (in8(UART_LINE_STATUS) & STATUS_DATA))
        to[n++] = (char)in8(UART_DATA);
    return n;
}
