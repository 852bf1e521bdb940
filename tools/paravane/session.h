/*
 * A run, from QEMU's start to its end: the guest's console on stdout, the
 * hypervisor's lines and our own on stderr, input typed, signals and the
 * deadline watched.
 *
 *     stdin / --input --> typist --> socket --> QEMU's UART --> hypervisor --> guest
 *     stdout <-- guest's text  <--+                                              |
 *     stderr <-- (PV), (XEN)   <--+-- lines <-- socket <-------------------------+
 *     verdict <- outcome, tap  <--+
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "memory.h"
#include "outcome.h"
#include "qemu.h"
#include "strace.h"
#include "symbols.h"

struct session_options {
    bool tap;            /* the guest's output is TAP, and its result counts */
    bool quiet;          /* do not show the hypervisor's lines */
    bool native;         /* there is no hypervisor */
    bool tell_window;    /* of changes of its size, if the guest asks */
    bool read_stdin;     /* else only @input is typed */
    struct bytes input;  /* typed before stdin is; owned by the session */
    int until;           /* the domain with which the run ends, or OUTCOME_ALL_DOMAINS */
    enum verdict expect; /* what is a success: then TAP counts, too */
    double timeout;      /* seconds, 0: none */
    FILE *log;           /* all that was shown, and what --quiet hid, or NULL */
    struct symbols *symbols;
    struct strace *strace; /* or NULL */
};

/* Run until the machine has ended; QEMU has ended when this returns. */
enum verdict session_run(struct qemu *qemu, const struct session_options *options);
