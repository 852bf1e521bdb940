/*
 * The machine's devices, for a domain that has them (the hardware role): ports, registers in memory, interrupts (hardware.c).
 */
#pragma once

#include "kernel/lib/base.h"

/* Take the right to execute I/O instructions, on this CPU.  The ports of a domain without the role are empty. */
void hardware_init(void);

/* What devices call the memory at @pointer, which is in the direct map and ends in the same page. */
uint64_t hardware_address(const void *pointer);

void hardware_out(uint16_t port, unsigned bytes, uint32_t value);
uint32_t hardware_in(uint16_t port, unsigned bytes);

/* @size bytes of registers at machine address @address, for ever; NULL: refused, or there is no room. */
MUST_CHECK volatile void *hardware_map(uint64_t address, size_t size);

/* A function of a device: bus << 8 | device << 3 | function. */
typedef unsigned hardware_function;

/* Tell the hypervisor that there is @function, before its first message. */
void hardware_announce(hardware_function function);
/*
 * Have @handler called, on the first CPU and with events masked, whenever @function sends message @entry of its MSI-X
 * table, which is in the memory that starts at @table: 0 or -errno.
 */
MUST_CHECK int hardware_message(hardware_function function, unsigned entry, uint64_t table,
                                void (*handler)(void *argument), void *argument);
