/*
 * Devices that send messages, and what they know of them: their capabilities, the tables in their memory (x86/devices/message-device.c).
 * For messages.c, which says whose a message is, and message-config.c, which says what a domain may write.
 */
#pragma once

#include "lock.h"
#include "messages.h"

/* Capability, MSI. */
#define MSI_CONTROL    2u
#define MSI_ENABLE     BIT(0)
#define MSI_SEVERAL    0x70u /* how many are allowed: one */
#define MSI_WIDE       BIT(7)
#define MSI_MASKABLE   BIT(8)
#define MSI_ADDRESS    4u
#define MSI_DATA(wide) ((wide) ? 12u : 8u)
#define MSI_MASK(wide) ((wide) ? 16u : 12u)
/* MSI-X. */
#define MSIX_CONTROL  2u
#define MSIX_ENABLE   BIT(15)
#define MSIX_MASK_ALL BIT(14)
#define MSIX_ENTRIES  0x7ffu /* less one */
#define MSIX_TABLE    4u
#define MSIX_LENGTH   12u

/* A device of which messages are mapped. */
struct message_device {
    uint16_t function;
    bool msix, wide, maskable; /* the last two: of MSI */
    bool ready;                /* MSI-X: nobody else can write to the table */
    uint8_t at;                /* of its capability */
    uint8_t bar, bar_end;      /* MSI-X: offsets of the words that say where the table is, */
    uint32_t bar_word[2];      /* and what they say */
    uint16_t entries;
    uint16_t mapped; /* how many; 0: this record is free */
    uint64_t table, first_frame, last_frame;
};

/* What a device is to store, and where, for its MSI or for entry @entry of its table. */
struct message_content {
    uint32_t address;
    uint16_t entry;
    uint8_t vector;
    bool unmasked;
};

extern spinlock_t messages_lock; /* guards messages, these records, and what devices know */

/* @what's device, as one of which nothing is mapped yet.  0 or -errno. */
int message_device_find(struct message_device *s, const struct message_source *what) must_check
    REQUIRES(&messages_lock);
/* Tell it.  A table that is not known to answer is not written to: what is there may be something else. */
void message_device_write(const struct message_device *s, const struct message_content *m)
    REQUIRES(&messages_lock);
/* The word of its capability that enables, and masks all. */
uint16_t message_control_get(const struct message_device *s);
void message_control_set(const struct message_device *s, unsigned value) REQUIRES(&messages_lock);
/* It sends nothing, whatever it knows. */
void message_device_silence(const struct message_device *s) REQUIRES(&messages_lock);
/* The table is nobody else's to write: every entry of it is masked, so that what others wrote there is not sent.  False: it is not
 * there.  The caller keeps @s.  May be preempted. */
bool message_table_take(struct message_device *s);
/* The table is again where it was.  All words at once, while the device does not answer. */
void message_bar_restore(const struct message_device *s) REQUIRES(&messages_lock);

/* --- messages.c --- */

/* The device of @function, if a message of it is mapped, or NULL. */
struct message_device *message_device_of(uint16_t function) REQUIRES(&messages_lock);
bool messages_any_mapped(void) REQUIRES(&messages_lock);
