/*
 * What the hypervisor's lines say about the end of the run.
 *
 * Paravane says `(PV) d1 shut down: poweroff` and ends the machine itself, with
 * a byte that QEMU makes its exit status.  Xen says it in its own words and
 * then halts for ever, so a line of Xen's that ends the run ends QEMU, too.
 */
#pragma once

#include <stdbool.h>

#include "verdict.h"

/* The domain whose end is the end of the run, unless there is none such. */
#define OUTCOME_ALL_DOMAINS (-1)

struct outcome {
    bool native;          /* no hypervisor speaks; the kernel does, or Linux's last words */
    int until;            /* a domain's id, or OUTCOME_ALL_DOMAINS */
    bool domain_ended;    /* at least one has, in whatever way */
    bool machine_ended;   /* nothing more will come: QEMU can be stopped */
    bool crashed;         /* a domain crashed and was not restarted */
    int dumped;           /* the domain whose crash the hypervisor described, or -1 */
    bool watchdog;        /* the crash was its watchdog's doing */
    bool asked_for_it;    /* the crash was its own wish: there is no description */
    bool bug;             /* the hypervisor's own fault */
    bool panicked;        /* Xen's "Panic on CPU": the next lines say whether it is a bug */
    int guest_status;     /* of the guest's init, as its kernel told; 0 if it did not */
    enum verdict refused; /* "cannot boot", or OK */
    char last[160];       /* the last line of all that was not empty */
    char last_of_guest[160];
    char panic[160];          /* the first of a guest's lines that speaks of a panic */
    const char *qemu_gave_up; /* QEMU said so, and will not go on: why, and what to do; or NULL */
    bool killed;              /* a debugger ended the machine */
};

/* Read one line of the console, without its newline. */
void outcome_read(struct outcome *o, const char *line, bool is_guest);

/* Read one line that QEMU itself says. */
void outcome_read_qemu(struct outcome *o, const char *line);

/* The verdict, given QEMU's wait status.  *@why is a sentence for the user, to be freed, or NULL. */
enum verdict outcome_verdict(const struct outcome *o, int qemu_status, char **why);
