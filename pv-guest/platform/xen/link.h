/* Where the kernel image begins, and at what, for a PV domain builder (the linker script in pv-guest/platform). */
#pragma once

#include "kernel/lib/layout.h"

#define IMAGE_BASE  KERNEL_BASE
#define IMAGE_ENTRY start
