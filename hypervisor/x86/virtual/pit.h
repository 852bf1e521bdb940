/*
 * The interval timer that a guest finds behind its ports (pit.c).
 */
#pragma once

#include "lock.h"

#define PIT_HZ 1193182u

/* Channel 2 of an 8254, its gate and its output: all zeros is one that was never programmed. */
struct pit {
    spinlock_t lock; /* guards the rest; nothing is taken under it */
    bool gate;       /* port 61, bit 0: the counter runs */
    bool speaker;    /* bit 1: stored only */
    uint8_t access;  /* PIT_LOW, PIT_HIGH or both: which bytes of a count pass the port */
    uint8_t mode;    /* 0 .. 5 */
    bool decimal;    /* stored only: it counts in binary */
    bool write_high, read_high; /* with both bytes: the next one is the high one */
    uint8_t low;                /* half a count, while @write_high */
    bool latched, status_latched;
    uint8_t status;
    uint16_t latch;
    uint16_t count;   /* 0: 65536 */
    uint64_t start;   /* with the gate open: system time at which it held @count */
    uint64_t elapsed; /* with the gate shut: how long it had run, in ns */
};

/* Bytes at ports 42, 43 and 61. */
static inline bool pit_has_port(uint16_t port)
{
    return port == 0x42 || port == 0x43 || port == 0x61;
}
uint8_t pit_port_read(struct pit *p, uint16_t port);
void pit_port_write(struct pit *p, uint16_t port, uint8_t value);
