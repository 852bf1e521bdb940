/*
 * `--strace`: what the hypervisor records (paravane/strace-record.h), filtered, as lines or as a table.
 *
 * The machine's RAM is a file that this program maps as well; a pipe says which chunks of the ring
 * in it are full.  So a record costs the guest no exit to QEMU, and a reader that is slow makes the
 * machine wait.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "symbols.h"
#include "verdict.h"

struct strace;

/* What is to be shown. */
struct strace_options {
    bool on;
    const char *filter; /* NULL: all */
    const char *output; /* a file, or NULL: stderr */
    bool summary;       /* a table at the end, and no lines */
    bool timestamps;
    bool icount; /* ticks are instructions */
};

/* USAGE for a filter that means nothing, NO_FILE for an output that cannot be written. */
enum verdict strace_open(const struct strace_options *o, struct strace **out);
void strace_close(struct strace *s);

/* For QEMU, which inherits them: the file of the RAM and the pipe, as paths.  Valid until
 * strace_close(). */
const char *strace_ram(const struct strace *s);
const char *strace_pipe(const struct strace *s);

/* QEMU has started. */
void strace_start(struct strace *s, struct symbols *symbols);
/* To be polled for input; -1: it has ended. */
int strace_fd(const struct strace *s);
/* Take what there is.  Never waits. */
void strace_read(struct strace *s);
/* QEMU has ended: the rest, and the table. */
enum verdict strace_finish(struct strace *s);
