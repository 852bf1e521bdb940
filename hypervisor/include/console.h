/*
 * Consoles: the serial line, the console rings that the hypervisor serves, console_io.
 *
 * core/console.c decides who gets input (the focus) and prefixes; x86/serial.c moves bytes.
 */
#pragma once

#include "domain.h"

void console_init(void);                                  /* after arch_serial_init */
void console_hypervisor_write(const char *s, size_t n);   /* printk's way out */
void console_input(char c);                               /* one byte arrived (interrupt context) */
/* Serve @d's console ring, found in guest frame @ring; returns the guest's event-channel port, or -errno. */
long console_attach(struct domain *d, mfn_t ring);
void console_detach(struct domain *d);
/* Output in the name of @d (console_io write, ring drain). */
void console_domain_write(struct domain *d, const char *s, size_t n);
