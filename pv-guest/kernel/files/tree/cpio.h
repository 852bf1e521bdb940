/* The initramfs: a cpio archive in the "newc" format. */
#pragma once

#include "base.h"

/* Unpack @archive into the root: how many files, or -EINVAL, -ENOMEM, ... */
MUST_CHECK long cpio_unpack(const void *archive, size_t size);
