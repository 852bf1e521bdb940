/* Moving bytes between open files and a process's memory. */
#pragma once

#include "file.h"

#define IOV_MAX     1024
#define HERE        (~0ul) /* at the file's own offset */
#define BOUNCE_SIZE (16 * PAGE_SIZE)

#define TRANSFER_MOST 0x7ffff000ul /* bytes in one call, as Linux has it */

typedef long (*transfer_fn)(struct file *file, user_t at, size_t size);

/* As read and write: -EBADF if it is not open for that, -EINVAL if its kind cannot do it. */
long file_read(struct file *file, user_t to, size_t size);
long file_write(struct file *file, user_t from, size_t size);
/* As @fn, at @offset, which the file itself does not keep: -ESPIPE, -EINVAL. */
long file_transfer_at(struct file *file, user_t at, size_t size, uint64_t offset, transfer_fn fn);
/* The pieces of memory that @vector lists, one after the other; from @offset of the file on, or from HERE. */
long file_vector(struct file *file, user_t vector, unsigned count, uint64_t offset, transfer_fn fn);

/* One end of a copy: a file, and where in it. */
struct end {
    struct file *file;
    uint64_t offset; /* HERE: its own */
};

/* Where @e is in its file, if the caller keeps that itself, at @offset. */
MUST_CHECK int end_read(struct end *e, int fd, user_t offset);
MUST_CHECK int end_write(const struct end *e, user_t offset);
long end_transfer(struct end *e, user_t at, size_t size, transfer_fn fn);

typedef long (*bounce_fn)(struct end *from, struct end *to, size_t size, user_t bounce);
/* Call @fn with BOUNCE_SIZE bytes of the process's memory to copy through, mapped for as long as it takes. */
long transfer_with_bounce(struct end *from, struct end *to, size_t size, bounce_fn fn);
