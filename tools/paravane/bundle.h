/*
 * The files that a machine boots from, under names that QEMU can parse.
 *
 * QEMU cuts `-initrd "FILE args,FILE"` at commas and blanks, and much of what
 * we boot is made in memory (the tree, an unpacked kernel).  So made files are
 * memfds, and both those and oddly named files are passed as /dev/fd/N, which
 * QEMU inherits: nothing is written to the disk, and nothing can be left there,
 * however the tool ends.  With a folder (--bundle DIR) made files are written
 * into it instead, so that the printed command can be run by hand.
 */
#pragma once

#include <stddef.h>

#include "verdict.h"

struct bundle {
    const char *folder; /* or NULL: memfds */
};

/* @path as QEMU should be given it, in *@name (caller frees). */
enum verdict bundle_add_file(struct bundle *b, const char *path, char **name);

/* A file made of @data, called @title if it has a name at all. */
enum verdict bundle_add_data(struct bundle *b, const char *title, const void *data, size_t size,
                             char **name);
