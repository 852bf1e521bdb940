/* The kernel's own words on the console, and its last ones. */
#pragma once

#include <stdarg.h>

#include "base.h"

struct frame;

/* printf with %s %c %d %u %o %x %p, l for 64 bits, a width and a leading 0. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same into a buffer; returns the length, which is always less than @size. */
size_t print_to(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t print_to_list(char *to, size_t size, const char *format, va_list ap);

/* After print_quiet(true) only warnings and worse reach the console. */
void print_quiet(bool quiet);
void print_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The last bytes that were printed, or would have been but for print_quiet. */
size_t print_log_size(void);
char print_log_at(size_t i);

/* The kernel cannot go on: say why, show the stack, shut the machine down as crashed. */
NORETURN void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, with the registers of the moment it went wrong. */
NORETURN void panic_frame(const struct frame *frame, const char *why);

#define BUG_ON(condition)                                       \
    do {                                                        \
        if (__builtin_expect(!!(condition), 0))                 \
            panic("%s:%d: %s", __FILE__, __LINE__, #condition); \
    } while (0)
