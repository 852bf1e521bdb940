/* Interrupts that devices send as messages, MSI and MSI-X, for domains with the hardware role (x86/devices/messages.c). */
#pragma once

#include "arch.h"

#define MESSAGES 96u /* vectors from INTERRUPT_MESSAGE, pirqs from PIRQS - 1 downwards */

/* One has arrived, after the local APIC was told of its end. */
void message_interrupt(unsigned message);

/* A domain with the hardware role writes to configuration space: what is not the hypervisor's of it reaches the device (message-config.c). */
void messages_config_write(uint16_t function, unsigned offset, unsigned bytes, uint32_t value);

/* @function, a device, does not write to memory any more. */
void messages_master_off(uint16_t function);

/* --- for pirq.c and physdev.c: 0 or -errno, having changed nothing; message @i has pirq PIRQS - 1 - @i --- */

/* Which message of which device: its MSI (@msix false, @entry 0), or entry @entry of its MSI-X table. */
struct message_source {
    uint16_t function;
    bool msix;
    uint16_t entry;
};

/* @source's interrupt is @d's from now on, as a free message, or as @wanted if that is not negative; which one.  Sleeps. */
int message_map(struct domain *d, const struct message_source *source, int wanted) must_check;
/* Sleeps. */
int message_unmap(struct domain *d, unsigned message) must_check;
/* A free number is reserved for @d; which one. */
int message_reserve(struct domain *d) must_check;
bool message_is_mapped(const struct domain *d, unsigned message);
/* What @d has bound it to; 0: nothing. */
uint32_t message_port(const struct domain *d, unsigned message);
int message_bind(struct domain *d, unsigned message, uint32_t port, unsigned cpu) must_check;
void message_move(const struct domain *d, unsigned message, unsigned cpu);
void message_release(const struct domain *d, unsigned message, uint32_t port);
/* All of @d's, which has no port any more: devices send it nothing from now on.  Sleeps. */
void messages_end(struct domain *d);
/* How many of @function's are mapped. */
unsigned messages_of(uint16_t function);
/* Write a device's messages again: it has lost them with its power.  0, also of one without; or -errno: its table is not found.
 * Sleeps. */
int messages_restore(uint16_t function) must_check;
/* For the audit: as lines_bound(). */
unsigned messages_bound(const struct domain *d, unsigned *wrong);
/* Messages of domains that have ended, and devices whose count of messages is not that of the messages that are theirs. */
unsigned messages_miscounted(void);
