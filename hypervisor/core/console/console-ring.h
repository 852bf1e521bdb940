/*
 * What the files of consoles share: a domain's console, and the list of all.
 *
 * Locks: consoles.lock guards the list and all state of console-input.c; line_enter() (line.h) guards output.
 */
#pragma once

#include "console.h"
#include "list.h"
#include "lock.h"

#include <xen/io/console.h>

#define LINE_KEPT 200u

/* Bytes typed but not yet taken.  The memory is there from the first byte on. */
struct console_input {
    char *bytes;
    uint32_t first, count;
};

struct console_ring {
    struct list link; /* in order of domain numbers */
    struct domain *domain;
    struct xencons_interface *ring; /* NULL: console_io only */
    uint32_t port;
    uint8_t mode; /* enum console_mode */

    struct console_input input; /* guarded by the console lock */

    /* Guarded by line_enter(). */
    char last;     /* byte printed */
    uint16_t held; /* bytes of @line that wait for the line to be free */
    char line[LINE_KEPT];
};

extern struct consoles {
    spinlock_t lock;
    struct list list;
} consoles;

/* --- console.c --- */

/* The console of a domain that uses console_io: made when it is first used; NULL: no memory. */
struct console_ring *console_of(struct domain *d);

/* --- console-output.c --- */

void console_output_init(void);
/* As many of @n bytes as the UART takes now without making us wait, or some; how many.  0: it is not ready. */
noinline_ size_t console_output_write(struct console_ring *c, const char *s, size_t n);
/* @c will write no more. */
void console_output_end(struct console_ring *c);

/* --- console-input.c (console lock held) --- */

void console_input_init(const struct console_keys *hypervisor_keys);
/* @c, now listed, gets the focus, and what was typed before. */
void console_input_begin(struct console_ring *c);
/* Move bytes that were kept into the guest's ring.  True if any. */
bool console_input_refill(struct console_ring *c);
/* @c, no longer listed, has not the focus any more. */
void console_input_move_away(struct console_ring *c);
/* Nobody else knows @c: no lock. */
void console_input_free(struct console_ring *c);
