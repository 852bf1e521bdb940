/* Printing: to the hypervisor's console as first domain, else to the console ring. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct start_info;

void console_init(const struct start_info *si);
void console_write(const char *text, size_t length);
/* One line typed by the user without its newline, at most @size - 1 bytes; -1 when none is
 * complete. */
int console_read_line(char *line, size_t size);
/* Sleep until the console has something to say (a first domain: give others a turn). */
void console_wait(void);

__attribute__((format(printf, 1, 2))) void console_printf(const char *format, ...);
__attribute__((format(printf, 3, 0))) int text_vformat(char *to, size_t size, const char *format,
                                                       va_list args);
__attribute__((format(printf, 3, 4))) int text_format(char *to, size_t size, const char *format,
                                                      ...);
