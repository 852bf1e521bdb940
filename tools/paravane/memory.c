/* Allocation that cannot fail.  See memory.h. */
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

static void *checked(void *got)
{
    if (!got)
        exit(verdict_say(VERDICT_HOST_FAILED, "out of memory; close something and run it again"));
    return got;
}

void *memory_zalloc(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *memory_resize(void *old, size_t size)
{
    return checked(realloc(old, size ? size : 1));
}

char *memory_strdup(const char *text)
{
    return checked(strdup(text));
}

char *memory_vformat(const char *format, va_list args)
{
    char *text = NULL;
    return checked(vasprintf(&text, format, args) < 0 ? NULL : text);
}

char *memory_format(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = memory_vformat(format, args);
    va_end(args);
    return text;
}

void bytes_append(struct bytes *b, const void *data, size_t size)
{
    if (b->size + size + 1 > b->room) {
        b->room = 2 * (b->size + size + 1);
        b->data = memory_resize(b->data, b->room);
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void bytes_format(struct bytes *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = memory_vformat(format, args);
    va_end(args);
    bytes_append(b, text, strlen(text));
    free(text);
}

void bytes_drop(struct bytes *b, size_t count)
{
    if (count == 0)
        return;
    memmove(b->data, b->data + count, b->size - count);
    b->size -= count;
    b->data[b->size] = '\0';
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}
