/* A disk whose sectors are in memory, for tests: /dev/ram0. */
#pragma once

#include "base.h"

/* There is one of @kib KiB. */
void ram_disk_make(uint64_t kib);
