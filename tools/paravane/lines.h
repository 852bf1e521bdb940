/*
 * The console, byte by byte, taken apart into the guest's text and the
 * hypervisor's lines.
 *
 * A line that begins with "(XEN) " or "(PV) " is the hypervisor's and is handed
 * on whole.  Anything else is the guest's and is handed on at once, so that a
 * prompt shows; only as long as a line could still become a hypervisor's ("(P")
 * its few bytes are held.  CR LF, and the CR CR LF of two layers that both
 * translate, become LF.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"

struct lines_sink {
    void *context;
    /* Text of the guest as it comes, without the newline of a line's end. */
    void (*guest_text)(void *context, const char *text, size_t size);
    /* A whole line has ended; @is_guest: its text was already handed on. */
    void (*line)(void *context, const char *line, bool is_guest);
    /* The guest wants to be told of the window's size. */
    void (*window)(void *context);
};

struct lines {
    bool deaf;         /* nobody can answer the guest: leave out its question where the cursor is */
    bool hears_window; /* take out its wish to be told of the window (window.h), and hand it on */
    char question[8];  /* what may become one of the two */
    size_t held;       /* bytes of it so far */
    struct lines_sink sink;
    struct bytes line;
    size_t shown; /* of the line's bytes, handed to guest_text */
    bool held_cr; /* a CR that may belong to a newline */
};

void lines_feed(struct lines *l, const char *data, size_t size);

/* The console has ended, or is quiet: hand on what was held. */
void lines_flush(struct lines *l);

/* End an unfinished line. */
void lines_finish(struct lines *l);

/* Is a line unfinished, that is: does the guest wait behind a prompt? */
bool lines_has_prompt(const struct lines *l);
