/* What is typed to the hypervisor itself (core/dispatch/debug-keys.c). */
#pragma once

#include "console.h"

extern const struct console_keys debug_keys;
