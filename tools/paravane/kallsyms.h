/*
 * The names that a Linux image carries for its own use (CONFIG_KALLSYMS), which even a stripped one
 * has: for stack traces of its own, and here for ours.
 *
 * There is no header and no pointer to them: five tables in .rodata, found by what they look like.
 *
 *   to 6.3     offsets[n]  base  n  names[n]  markers[n/256]  token_table  token_index[256]
 *   from 6.4   n  names[n]  markers[n/256]  token_table  token_index[256]  offsets[n]  base
 *
 * A name is a length and so many token numbers; a token is a text of token_table, at the offset
 * that token_index has for it.  Each marker is the offset of a 256th name.  An offset that is
 * negative counts down from base - 1, another is an address (of per-CPU data).  (Linux,
 * scripts/kallsyms.c and kernel/kallsyms.c.)
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Call @found for every function; the number of symbols, 0: there are none, or not in this form. */
size_t kallsyms_read(const void *image, size_t size,
                     void (*found)(void *context, uint64_t address, const char *name),
                     void *context);
