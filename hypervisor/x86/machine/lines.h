/* Lines: interrupts of devices, for domains with the hardware role (x86/machine/lines.c). */
#pragma once

#include "domain.h"

#define LINES_MAX 64u /* a bit each in arch_domain.lines; vectors from INTERRUPT_LINE */

void lines_init(void); /* after ioapic_init() */
/* ISA interrupt @irq is a device of the hypervisor's, and comes to the boot CPU as @vector; 0: it is not to come. */
void lines_take(unsigned irq, uint8_t vector);

/* A line has arrived, with interrupts off, before the local APIC is told of its end. */
void line_interrupt(unsigned gsi);

/* For physdev.c.  0, or -errno, having changed nothing.  Map: @d means to use it. */
int line_map(struct domain *d, unsigned gsi) must_check;
int line_unmap(struct domain *d, unsigned gsi) must_check;
int line_configure(unsigned gsi, bool level, bool low) must_check;
/* @d has served its device: a line that is triggered by level may come again. */
int line_served(struct domain *d, unsigned gsi) must_check;
