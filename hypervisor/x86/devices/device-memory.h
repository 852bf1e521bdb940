/* Frames that are not RAM: which of them a domain with the hardware role may map, and which only to read (x86/devices/device-memory.c). */
#pragma once

#include "types.h"

void device_memory_init(void); /* after acpi_init() */
/* No domain maps frames @first to @last from now on. */
void device_memory_hide(uint64_t first, uint64_t last);
/* No domain gets them writable from now on; false: no room for more such ranges.  Who has them writable already: device_maps_demote(). */
bool device_memory_protect(uint64_t first, uint64_t last) must_check;
void device_memory_unprotect(uint64_t first, uint64_t last);
/* May a table of messages be there: nothing of ours, and nothing that is read-only for another reason? */
bool device_memory_is_free(uint64_t first, uint64_t last);

/* The registers at @maddr, up to the end of their page; for the hypervisor alone.  @bytes: 1, 2 or 4. */
uint32_t device_memory_read(uint64_t maddr, unsigned bytes);
void device_memory_write(uint64_t maddr, unsigned bytes, uint32_t value);
