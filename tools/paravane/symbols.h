/*
 * Names for the addresses in a dump: `<ffffffff80001234>` gets
 * ` page_get_type+0x12 page.c:88` at the end of its line.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "domain.h"
#include "memory.h"

struct symbols;

/* Nothing is read before the first address is looked up. */
struct symbols *symbols_open(const char *hypervisor, const struct domain *domains, size_t count);
void symbols_close(struct symbols *s);

/* Take the guests' symbols from this file: an ELF file, or a System.map. */
enum verdict symbols_use(struct symbols *s, const char *path);

/* Append " name+0x12 file.c:34", or nothing. */
void symbols_name(struct symbols *s, unsigned domain, uint64_t address, struct bytes *out);

/* What to append to @line, or NULL; the caller frees it. */
char *symbols_annotate(struct symbols *s, const char *line);
