/* Lines: interrupts of devices, for domains with the hardware role (x86/devices/lines.c). */
#pragma once

#include "domain.h"

#define LINES_MAX 64u /* a bit each in arch_domain.lines; vectors from INTERRUPT_LINE */

void lines_init(void); /* after ioapic_init() */
/* ISA interrupt @irq is a device of the hypervisor's, and comes to the boot CPU as @vector; 0: it is not to come. */
void lines_take(unsigned irq, uint8_t vector);

/* A line has arrived, with interrupts off, before the local APIC is told of its end. */
void line_interrupt(unsigned gsi);

/*
 * For pirq.c and physdev.c.  0, or -errno, having changed nothing.  Map: @d means to use it.  Bind: from now on it signals @port of @d and
 * arrives on @cpu.  Release: its pin is masked, and it is nobody's.
 */
int line_bind(struct domain *d, unsigned gsi, uint32_t port, unsigned cpu) must_check;
void line_move(unsigned gsi, unsigned cpu);
void line_release(unsigned gsi);
bool line_is_level(unsigned gsi);
/* What @d has bound it to; 0: nothing. */
uint32_t line_port(const struct domain *d, unsigned gsi);
/* One that @d has not mapped, kept for it; -1: none. */
int line_reserve(struct domain *d) must_check;
/* Register @index of the IO-APIC at @address. */
int ioapic_peek(uint64_t address, unsigned index, uint32_t *value) must_check;
/* For the audit: how many @d has bound; those that it has not mapped, or whose port is not theirs, are added to @wrong. */
unsigned lines_bound(const struct domain *d, unsigned *wrong);
int line_map(struct domain *d, unsigned gsi) must_check;
int line_unmap(struct domain *d, unsigned gsi) must_check;
/* How a line is triggered: by its level, or by an edge; active low, or high. */
struct line_mode {
    bool level, low;
};
int line_configure(unsigned gsi, struct line_mode mode) must_check;
/* @d has served its device: a line that is triggered by level may come again. */
int line_served(struct domain *d, unsigned gsi) must_check;
