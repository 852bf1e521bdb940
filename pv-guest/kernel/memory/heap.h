/* Small objects of the kernel. */
#pragma once

#include "base.h"

/* Zeroed memory for @size bytes, at most 1 MiB; NULL when there is none. */
void *heap_alloc(size_t size);
/* NULL is allowed. */
void heap_free(void *object);
