/*
 * Names for the addresses in a dump: `<ffffffff80001234>` gets
 * ` page_get_type+0x12 page.c:88` at the end of its line.
 */
#pragma once

#include <stddef.h>

#include "domain.h"

struct symbols;

/* Nothing is read before the first address is looked up. */
struct symbols *symbols_open(const char *hypervisor, const struct domain *domains, size_t count);
void symbols_close(struct symbols *s);

/* What to append to @line, or NULL; the caller frees it. */
char *symbols_annotate(struct symbols *s, const char *line);
