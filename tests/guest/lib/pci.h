/* PCI configuration space by its ports, and the network card e1000e, whose interrupts can be had by a store. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline void port_write(uint16_t port, unsigned bytes, uint32_t value)
{
    if (bytes == 1)
        __asm__ volatile("outb %b0, %1" : : "a"(value), "d"(port));
    else if (bytes == 2)
        __asm__ volatile("outw %w0, %1" : : "a"(value), "d"(port));
    else
        __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port));
}

static inline uint32_t port_read(uint16_t port, unsigned bytes)
{
    uint32_t value = 0;

    if (bytes == 1)
        __asm__ volatile("inb %1, %b0" : "+a"(value) : "d"(port));
    else if (bytes == 2)
        __asm__ volatile("inw %1, %w0" : "+a"(value) : "d"(port));
    else
        __asm__ volatile("inl %1, %0" : "+a"(value) : "d"(port));
    return value;
}

/* @function: bus << 8 | device << 3 | function. */
static inline uint32_t config_read(unsigned function, unsigned offset, unsigned bytes)
{
    port_write(0xcf8, 4, 0x80000000u | function << 8 | (offset & 0xfc));
    return port_read((uint16_t)(0xcfc + offset % 4), bytes);
}

static inline void config_write(unsigned function, unsigned offset, unsigned bytes, uint32_t value)
{
    port_write(0xcf8, 4, 0x80000000u | function << 8 | (offset & 0xfc));
    port_write((uint16_t)(0xcfc + offset % 4), bytes, value);
}

/* Where its capability @id is; 0: none. */
static inline unsigned config_capability(unsigned function, unsigned id)
{
    unsigned at = config_read(function, 0x34, 1) & 0xfc;

    for (int i = 0; at && i < 48 && (config_read(function, at, 1) & 0xff) != id; i++)
        at = config_read(function, at + 1, 1) & 0xfc;
    return at;
}

/* The first function of bus 0 that is @device of @vendor; -1: none. */
static inline int config_find(uint32_t vendor, uint32_t device)
{
    for (int function = 0; function < 256; function++)
        if (config_read((unsigned)function, 0, 4) == (device << 16 | vendor))
            return function;
    return -1;
}

/* Registers of the e1000e, as words of its first BAR. */
enum {
    CARD_VENDOR = 0x8086,
    CARD_DEVICE = 0x10d3,
    CARD_CAUSE = 0x00c0 / 4,     /* reading it clears it */
    CARD_CAUSE_SET = 0x00c8 / 4, /* an interrupt is asked for */
    CARD_MASK_SET = 0x00d0 / 4,
    CARD_AUTO_CLEAR = 0x00dc / 4,
    CARD_VECTORS = 0x00e4 / 4, /* which entry of the table each cause has */
    CARD_CAUSE_OTHER = 1 << 24,
    CARD_VECTORS_OTHER = 16, /* shift: entry, and 8: it is valid */
};
