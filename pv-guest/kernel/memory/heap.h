/* Small objects of the kernel. */
#pragma once

#include "base.h"
#include "page.h"

/* Zeroed memory for @size bytes, at most 1 MiB; NULL when there is none. */
void *heap_alloc(size_t size);
/* The same for what @user makes the kernel need: NULL also where others need what is left (page.h). */
void *heap_alloc_for(enum page_user user, size_t size);
/* NULL is allowed. */
void heap_free(void *object);
