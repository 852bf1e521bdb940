/* Text of any length, made piece by piece. */
#pragma once

#include "base.h"

struct text_buffer {
    char *text;
    size_t used, size;
    bool failed; /* for want of memory */
};

/* Append as print_to would write, at most 511 bytes at a time. */
void text_add(struct text_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text_buffer *b, const void *bytes, size_t size);
void text_buffer_free(struct text_buffer *b);
