/*
 * The serial line, which the hypervisor and all consoles share (core/lib/line.c): one writer at a time.
 *
 *     bool entered = line_enter();
 *     line_take(me);                   ends another's unfinished line
 *     line_emit(c); ...
 *     serial_line.open = c != '\n';
 *     line_leave(entered);
 *
 * A writer whose line is unfinished owns the line.  The lock is of its own kind: a bug report, and nothing else, may
 * ignore it.
 */
#pragma once

#include "arch.h"

struct serial_line {
    uint32_t busy;     /* CPU number + 1 of who is printing (atomic) */
    bool urgent;       /* a bug is being reported, or the machine ends (atomic) */
    const void *owner; /* whose unfinished line it is: a console's, or the hypervisor's */
    bool open;         /* the cursor is not in column 0 */
    uint32_t length;   /* of @buffer (atomic: see line_emit()) */
    char buffer[128];  /* to hand the UART more than a byte at a time */
};
extern struct serial_line serial_line;

/* True if line_leave() must release it.  A CPU that reports a bug in the middle of its own line, or while a CPU that
 * will never come back was printing, goes on all the same. */
bool line_enter(void);
noinline_ void line_end(void); /* the unfinished line, with a newline */
void line_emit_text(const char *s);

static inline void line_flush(void)
{
    arch_serial_write(serial_line.buffer, atomic_exchange(&serial_line.length, 0));
}

static inline void line_leave(bool entered)
{
    line_flush();
    if (entered)
        atomic_set_release(&serial_line.busy, 0);
}

/* Beside an urgent report another CPU may be here at the same time.  Bytes may get lost then, but @length is read
 * once, and what is stored is never more than the buffer's size. */
static inline void line_emit(char c)
{
    uint32_t at = atomic_read(&serial_line.length);
    if (unlikely(at >= sizeof(serial_line.buffer))) {
        line_flush();
        at = 0;
    }
    serial_line.buffer[at] = c;
    atomic_set(&serial_line.length, at + 1);
}

/* Make the line @owner's: whoever had not finished it is cut off. */
static inline void line_take(const void *owner)
{
    if (unlikely(serial_line.open && serial_line.owner != owner))
        line_end();
    serial_line.owner = owner;
}

/* The hypervisor's own text: printk's way out; any context. */
void line_write(const char *s, size_t n);
/* A bug is being reported, or CPUs are being stopped: from now on output does not wait for ever until another CPU
 * has finished its line. */
void line_be_urgent(void);
