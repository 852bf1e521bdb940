/* Verdicts of a machine that ends: the byte for the debug-exit port (hypercall-abi/hyperlaunch.md). */
#pragma once

#include "types.h"

#define VERDICT_OK     0x00
#define VERDICT_CRASH  0x10
#define VERDICT_BUG    0x20
#define VERDICT_TREE   0x31
#define VERDICT_IMAGE  0x32
#define VERDICT_MEMORY 0x33
#define VERDICT_BOOT   0x34

/* "(PV) cannot boot: <sentence>", and the machine ends with @verdict (core/lib/bug.c). */
noreturn_ void cannot_boot(int verdict, const char *format, ...) printf_like(2, 3);
