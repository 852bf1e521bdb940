/*
 * The files that a machine boots from, under names that QEMU can parse.
 *
 * QEMU cuts `-initrd "FILE args,FILE"` at commas and blanks, and much of what
 * we boot is made in memory (the tree, an unpacked kernel).  So made files are
 * memfds, and both those and oddly named files are passed as /dev/fd/N, which
 * QEMU inherits: nothing is written to the disk, and nothing can be left there,
 * however the tool ends.
 *
 * With a folder (--bundle DIR) all files are put into it instead, whole, so that
 * the printed command can be run by hand, later, by somebody else.  If the
 * folder's own name is odd, QEMU is started in it and told the bare names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "verdict.h"

struct bundle {
    const char *folder; /* or NULL: memfds */
};

/* The folder that QEMU has to be started in, or NULL: it does not matter. */
const char *bundle_start_folder(const struct bundle *b);

/* The file @path, called @title in a folder, as QEMU should be given it, in *@name (caller frees). */
enum verdict bundle_add_file(struct bundle *b, const char *path, const char *title, char **name);

/* A file made of @data. */
enum verdict bundle_add_data(struct bundle *b, const char *title, const void *data, size_t size,
                             char **name);

/* Where we find what bundle_add_data() has made under @title and @name (caller frees). */
char *bundle_path(const struct bundle *b, const char *title, const char *name);
