/* Whole files, by name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "verdict.h"

/* Read all of @path into a new buffer.  @what names its role in the error: "the ramdisk". */
enum verdict file_read(const char *path, const char *what, void **data, size_t *size);

/* NO_FILE, and a sentence, unless @path is a regular file that can be read. */
enum verdict file_check(const char *path, const char *what, size_t *size);

bool file_exists(const char *path);
