/*
 * An initramfs made in memory: a cpio archive ("newc") that a kernel unpacks
 * into its root file system before it starts /init.
 *
 * Linux takes several of them behind one another, so an archive of additions
 * can follow one from a file; each starts on a multiple of four bytes.  An
 * addition must not harm what is there: unpacking a folder sets its mode, and
 * unpacking it over a symlink (/bin -> usr/bin) replaces that by an empty folder.
 * So the names in the first archive are read, whatever it is compressed with.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "memory.h"
#include "verdict.h"

struct initramfs {
    struct bytes *out; /* not owned */
    unsigned files;
    struct initramfs_name {
        char *path; /* of a folder or a symlink that the root file system has */
        bool is_link;
    } * names;
    size_t name_count;
    struct initramfs_links {
        dev_t device;
        ino_t file;
        unsigned number; /* its inode in the archive */
    } * links;           /* files with further names, which may be added as well */
    size_t link_count;
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
 * "PATH" or "PATH:/TARGET": a file, a symlink or a folder with all that is in it, of whatever kind,
 * with its mode; a file with two names is one file there, too.  Owners and dates are not kept:
 * root, and 1970.  Without a target, or with one that ends in a slash, it keeps its last name;
 * with the target "/." what is in a folder comes into the root.
 * NO_FILE if something cannot be read or is too large.
 */
enum verdict initramfs_add(struct initramfs *i, const char *what);
