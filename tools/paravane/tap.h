/*
 * A guest's TAP (Test Anything Protocol) out of its console.
 *
 * What is TAP goes to stdout as it is; any other line of the guest becomes a
 * TAP comment, so that the stream is valid whatever a kernel prints while it
 * boots.  The prefix "(d1) " of one console among several is cut off; the
 * first domain that says something in TAP is the one that is heard.
 */
#pragma once

#include <stdbool.h>

#include "verdict.h"

struct tap {
    int speaker;  /* the domain that is heard, 0 for an unprefixed console, -1: none yet */
    long planned; /* -1: no plan yet */
    long passed, failed, skipped;
    bool bailed;
};

void tap_init(struct tap *t);

/* Print one line of the guest's. */
void tap_read(struct tap *t, const char *line);

/* OK, or GUEST_FAILED with a sentence. */
enum verdict tap_verdict(const struct tap *t);
