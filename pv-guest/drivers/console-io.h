/* The console of the first domain: the hypervisor's own, by hypercall. */
#pragma once

#include "kernel/lib/base.h"

void console_io_write(const char *text, size_t size);
size_t console_io_read(char *to, size_t size);
