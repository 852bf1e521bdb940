/* Whole files, by name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "verdict.h"

/* No file that is read or loaded is larger: QEMU counts the bytes of what it loads in an int. */
#define FILE_MOST ((size_t)INT32_MAX)

/* Read all of @path into a new buffer.  @what names its role in the error: "the ramdisk".  NO_FILE,
 * and a sentence, if that cannot be, or has more than FILE_MOST bytes. */
enum verdict file_read(const char *path, const char *what, void **data, size_t *size);

/* NO_FILE, and a sentence, unless @path is a regular file that can be read and loaded. */
enum verdict file_check(const char *path, const char *what, size_t *size);

bool file_exists(const char *path);
