/*
 * The store: a tree of names and values that all domains share, from which a domain learns what devices it has.
 *
 * Whoever asks sleeps until the answer is there; paths that do not begin with a slash are below the domain's own.
 * Errors are those that the store names, and -EIO for an answer that makes no sense.
 */
#pragma once

#include "kernel/lib/base.h"
#include "kernel/lib/list.h"

#define XENSTORE_NO_TRANSACTION 0
#define XENSTORE_PATH_MAX       128 /* of the paths that this kernel makes */

/* What stands in @path, ended by a zero byte, if it has less than @size bytes: how many; -errno. */
MUST_CHECK long xenstore_read(unsigned transaction, const char *path, char *to, size_t size);
/* The names below @path, each ended by a zero byte: how many bytes. */
MUST_CHECK long xenstore_directory(unsigned transaction, const char *path, char *to, size_t size);
MUST_CHECK int xenstore_write(unsigned transaction, const char *path, const char *text);
MUST_CHECK int xenstore_remove(unsigned transaction, const char *path);
/* What is done in a transaction is seen by others when it ends, if @commit, as a whole; -EAGAIN: begin again. */
MUST_CHECK int xenstore_begin(unsigned *transaction);
MUST_CHECK int xenstore_end(unsigned transaction, bool commit);

/* The same, the path being @dir/@name; @name may be NULL. */
MUST_CHECK long xenstore_read_in(unsigned transaction, const char *dir, const char *name, char *to,
                                 size_t size);
MUST_CHECK int xenstore_write_in(unsigned transaction, const char *dir, const char *name,
                                 const char *text);
/* A decimal number; @otherwise if it is not there, or none. */
uint64_t xenstore_number(const char *dir, const char *name, uint64_t otherwise);
MUST_CHECK int xenstore_write_number(unsigned transaction, const char *dir, const char *name,
                                     uint64_t value);

/* Calls @changed, in the task of xenstore_serve, when something at or below @path may have changed, and at first. */
struct xenstore_watch {
    char path[XENSTORE_PATH_MAX];
    void (*changed)(struct xenstore_watch *watch, const char *path);
    /* xenstore.c */
    struct list link;
    unsigned number;
};

MUST_CHECK int xenstore_watch(struct xenstore_watch *watch);
void xenstore_unwatch(struct xenstore_watch *watch);
/* As if it had been told that the watch's path has changed; also in an interrupt. */
void xenstore_poke(struct xenstore_watch *watch);
/* Call them for ever. */
NORETURN void xenstore_serve(void);

/* Is there a store?  The port and page of start_info; its messages that are not ours go to @others. */
void xenstore_attach(void *page, unsigned port,
                     void (*others)(unsigned type, unsigned number, const char *text,
                                    size_t length));
bool xenstore_attached(void);
