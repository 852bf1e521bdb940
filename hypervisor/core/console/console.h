/*
 * Consoles: the serial line, the console rings that the hypervisor serves, console_io.
 *
 * core/console/console.c makes and ends them; console-output.c shares the line (line.h); console-input.c decides who gets
 * input (the focus); core/dispatch/debug-keys.c is what the hypervisor does with its own; console-io.c is the hypercall;
 * x86/machine/serial.c moves bytes.
 */
#pragma once

#include "domain.h"

/* Bytes of typed input that are kept for a domain that does not read, behind its ring of 1024.  More is lost,
 * unless whoever feeds console_input() stops while console_input_room() is 0. */
#define CONSOLE_INPUT_KEPT 16384u

/* Who gets what is typed while the hypervisor has the focus (debug-keys.h); console lock held, interrupt context. */
struct console_keys {
    void (*key)(char key);
    void (*leave)(void); /* no more come for now */
};

void console_init(const struct console_keys *keys); /* printing works before it */
void console_input(char c);                         /* one byte arrived (interrupt context) */
/* how many more would not be lost; after 0, arch_serial_resume() says when */
unsigned console_input_room(void);

/* Frames that hold what was typed while no domain has a console: the next one gets them. */
unsigned console_early_frames(void);

/* Serve @d's console ring, found in guest frame @ring; returns the guest's event-channel port, or -errno.
 * Before @d runs; d->config, if any, says how its output looks and whether it gets the input focus. */
long console_attach(struct domain *d, mfn_t ring);
/* What is left in the ring is written out; then @d has no console.  @d does not run any more. */
void console_detach(struct domain *d);

/* console_io: output in the name of @d, with preemption points while the line is slow; typed input for it.
 * -XEN_ENOMEM if it has no console and gets none. */
int console_domain_write(struct domain *d, const char *s, size_t n);
int console_domain_read(struct domain *d, char *s, size_t n); /* how many bytes */
