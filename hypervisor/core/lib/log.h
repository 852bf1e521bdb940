/*
 * What the hypervisor has said: its last lines, for a toolstack that asks later (sysctl readconsole, `xl dmesg`).
 *
 * A ring of bytes, numbered from the first one ever said; a number wraps around at 2^32.  Written under the serial line's lock
 * (line.c), read without: a byte that is overwritten meanwhile is read as the newer one.
 */
#pragma once

#include "types.h"

#define LOG_SIZE 16384u

void log_append(const char *s, size_t n);

/* The number behind the last byte; of the first byte that is kept and was not forgotten; the same, or @from if it is kept, too. */
uint32_t log_end(void);
uint32_t log_first_kept(void);
uint32_t log_first(uint32_t from);
/* @n bytes from number @at. */
void log_copy(char *to, uint32_t at, uint32_t n);
/* What is before @at is not shown any more. */
void log_forget(uint32_t at);
