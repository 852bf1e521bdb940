/*
 * QEMU as a child: its serial line is a pipe that it writes to, a large one, and a socket of ours that it reads;
 * its own messages are a pipe.
 * It dies with us, whatever kills us (PR_SET_PDEATHSIG).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "verdict.h"

struct qemu {
    pid_t pid;
    int output; /* what the machine says, non-blocking */
    int input;  /* what it hears, non-blocking */
    int errors; /* its stderr, non-blocking */
    int status; /* as of waitpid, once stopped */
    bool stopped;
};

enum verdict qemu_start(struct qemu *q, char **argv, const char *folder);

/* It has closed its side and is ending by itself: collect its status. */
void qemu_wait(struct qemu *q);

/* End it if it has not ended, and collect its status.  May be called again. */
void qemu_stop(struct qemu *q);
