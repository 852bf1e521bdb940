/* Allocation that cannot fail: a host without memory ends the tool (HOST_FAILED). */
#pragma once

#include <stdarg.h>
#include <stddef.h>

void *memory_zalloc(size_t size);
void *memory_resize(void *old, size_t size);
char *memory_strdup(const char *text);

/* A string built like printf's; the caller frees it. */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

char *memory_vformat(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* A growing array of bytes.  @data is NUL-terminated once something was appended. */
struct bytes {
    char *data;
    size_t size, room;
};

void bytes_append(struct bytes *b, const void *data, size_t size);
void bytes_format(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forget the first @count bytes. */
void bytes_drop(struct bytes *b, size_t count);
void bytes_free(struct bytes *b);
