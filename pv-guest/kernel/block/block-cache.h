/*
 * What is known of the content of disks: pages of them, in memory.
 *
 * A page is read when it is asked for, and some behind it if they are asked for one after the other.  What is changed is
 * written when somebody calls block_cache_sync, and when there is too much of it.  Functions here may sleep.
 */
#pragma once

#include "block.h"

struct cached_page;

void block_cache_init(struct block_device *device);
/*
 * Page @index of @device, held until block_cache_put: 0, -ENXIO behind the end, -EIO, -ENOMEM.  @overwrite: the caller is going to
 * write all of it, what is on the disk is of no interest.
 */
MUST_CHECK int block_cache_get(struct block_device *device, uint64_t index, bool overwrite,
                               struct cached_page **page);
void block_cache_put(struct cached_page *page);
void *block_cache_address(const struct cached_page *page);
/* It has been changed. */
void block_cache_dirty(struct cached_page *page);
/* All that has been changed is on the disk: 0, or -EIO if not, or if it was not since the last call. */
MUST_CHECK int block_cache_sync(struct block_device *device);
/* The same for all disks. */
void block_cache_sync_all(void);
/* Forget what has not been changed and nobody holds. */
void block_cache_drop(struct block_device *device);
/* @size bytes at @offset of @device, which are there: 0, -ENXIO, -EIO, -ENOMEM. */
MUST_CHECK int block_cache_read(struct block_device *device, uint64_t offset, void *to,
                                size_t size);
MUST_CHECK int block_cache_write(struct block_device *device, uint64_t offset, const void *from,
                                 size_t size);
