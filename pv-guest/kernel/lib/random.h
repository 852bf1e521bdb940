/* Random bytes.  See random.c for what they are worth. */
#pragma once

#include "base.h"

void random_bytes(void *to, size_t size);
