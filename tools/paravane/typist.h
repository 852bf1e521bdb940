/*
 * Typing a prepared text to a guest without losing a byte and without having to
 * know the guest.
 *
 * What can be lost: nothing in QEMU (its UART takes a byte only when the FIFO
 * has room), but everything sent before the hypervisor has set up that UART,
 * and on Xen everything beyond the 128 bytes that it keeps for a domain 0 that
 * is not reading.  Waiting for a certain prompt would need to know the guest.
 * So the typist does what a careful person does:
 *
 *   - it types nothing before the guest has said something;
 *   - it types a line when the console has come to rest: soon if the last
 *     line is unfinished (a prompt), later if not (a program that reads without
 *     asking);
 *   - of a long line it types 64 bytes, waits until their echo came back, that
 *     is until they have been read, and goes on; without an echo (a password)
 *     it goes on when the console is at rest.
 *
 * The pauses only make the session look tidy; whatever their length, no more
 * than 64 bytes are on their way unread.  At the end of a text that had at least one byte,
 * it types Ctrl-D as a terminal's user would, so that a shell ends.  A program that was still running
 * may have swallowed that one (what is typed while a terminal's mode changes can be lost), so it is
 * typed again whenever something new has been said that ends in a prompt.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"

struct typist {
    struct bytes text;   /* not typed yet */
    struct bytes unread; /* typed, and not seen in the echo */
    bool closed;         /* no more text will come */
    bool typed;          /* anything, ever */
    bool said_end;       /* Ctrl-D was typed */
    bool answered;       /* and something was said since */
    bool heard;          /* the guest has said something */
    bool in_line;        /* the middle of a long line */
};

/* The guest printed this: look for the echo. */
void typist_hear(struct typist *t, const char *text, size_t size);

/*
 * What to type now: its length, 0 if nothing, at typist_take()'s *text, valid until the next
 * call.  @quiet_ms: how long the console has been at rest, @prompt: behind an unfinished line.
 */
size_t typist_take(struct typist *t, int64_t quiet_ms, bool prompt, const char **text);

/* Milliseconds of rest after which to ask again, or -1: when something was heard. */
int64_t typist_patience(const struct typist *t, bool prompt);
