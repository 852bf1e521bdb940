/* Where the kernel image begins, and at what, on the bare machine (the linker script in pv-guest/platform). */
#pragma once

#include "platform/native/layout.h"

#define IMAGE_ENTRY start32_multiboot /* PVH loaders go by the note */
