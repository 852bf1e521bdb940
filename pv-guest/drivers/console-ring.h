/* The console of every other domain: a ring in a page shared with whoever serves it. */
#pragma once

#include "kernel/lib/base.h"

void console_ring_attach(void *page, unsigned port);
void console_ring_write(const char *text, size_t size);
size_t console_ring_read(char *to, size_t size);
