/*
 * The window: addresses of the kernel's at which it sees memory that is not its own, registers of devices and what other
 * domains have granted (map-window.c).  Pages of it are had in runs; 0: there is no such run.
 */
#pragma once

#include "kernel/lib/base.h"

MUST_CHECK uintptr_t map_window_take(unsigned pages);
/* Nothing is mapped there any more. */
void map_window_give(uintptr_t at, unsigned pages);
