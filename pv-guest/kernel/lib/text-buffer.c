/* Text of any length, made piece by piece. */
#include <stdarg.h>

#include "heap.h"
#include "print.h"
#include "text-buffer.h"
#include "text.h"

#define PIECE 512

/* Room for @more bytes. */
static bool text_buffer_grow(struct text_buffer *b, size_t more)
{
    if (b->used + more <= b->size)
        return true;
    const size_t size = MAX(b->size * 2, ROUND_UP(b->used + more, 1024ul));
    char *larger = heap_alloc_for(PAGE_FOR_FILE, size);
    if (!larger) {
        b->failed = true;
        return false;
    }
    memcpy(larger, b->text, b->used);
    heap_free(b->text);
    b->text = larger;
    b->size = size;
    return true;
}

void text_add_bytes(struct text_buffer *b, const void *bytes, size_t size)
{
    if (!text_buffer_grow(b, size))
        return;
    memcpy(b->text + b->used, bytes, size);
    b->used += size;
}

void text_add(struct text_buffer *b, const char *format, ...)
{
    va_list ap;
    if (!text_buffer_grow(b, PIECE))
        return;
    va_start(ap, format);
    b->used += print_to_list(b->text + b->used, PIECE, format, ap);
    va_end(ap);
}

void text_buffer_free(struct text_buffer *b)
{
    heap_free(b->text);
    *b = (struct text_buffer){0};
}
