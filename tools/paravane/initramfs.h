/*
 * An initramfs made in memory: a cpio archive ("newc") that a kernel unpacks
 * into its root file system before it starts /init.
 *
 * Linux takes several of them behind one another, so an archive of additions
 * can follow one from a file; each starts on a multiple of four bytes.
 */
#pragma once

#include <stddef.h>

#include "memory.h"
#include "verdict.h"

struct archive;

struct initramfs {
    struct archive *archive;
    struct bytes *out; /* not owned */
    unsigned files;
};

/* Begin an archive behind what @out holds. */
void initramfs_open(struct initramfs *i, struct bytes *out);
void initramfs_close(struct initramfs *i);

/* @name: a path without a slash in front. */
void initramfs_folder(struct initramfs *i, const char *name);
void initramfs_device(struct initramfs *i, const char *name, unsigned major, unsigned minor);
void initramfs_data(struct initramfs *i, const char *name, unsigned mode, const void *data,
                    size_t size);

/*
 * "PATH" or "PATH:/TARGET": a file, a symlink or a folder with all that is in it.  Without a
 * target, or with one that ends in a slash, it keeps its last name.  NO_FILE if it cannot be read.
 */
enum verdict initramfs_add(struct initramfs *i, const char *what);
