/* An ext2 file system that is mounted: the kernel's inodes and what the disk has of them. */
#pragma once

#include "ext2.h"
#include "inode.h"

#define EXT2_BUCKETS 256

/**
 * struct ext2_mounted - what is behind a struct filesystem.
 *
 * I1  Each inode of it that is in memory, but for those that are broken, is in the bucket of its number, once.
 * I2  An inode that nobody has is in @released as well, until the next call that has the file system locked.
 */
struct ext2_mounted {
    struct list link; /* of all there are, in places or taken away while they are in use */
    struct ext2_volume volume;
    struct block_device *device;
    struct filesystem *fs;
    struct list files[EXT2_BUCKETS], released;
};

struct ext2_file {
    struct list link, released;
    struct ext2_node node;
    struct inode *inode;
};

static inline struct ext2_mounted *ext2_of(const struct inode *inode)
{
    return inode->fs->object;
}

static inline struct ext2_file *ext2_file(const struct inode *inode)
{
    return inode->disk;
}

/* The inode of @number with a reference; one that is broken if the disk has none: 0, -ENOMEM. */
MUST_CHECK int ext2_inode_get(struct ext2_mounted *m, uint32_t number, struct inode **inode);
MUST_CHECK int ext2_inode_broken(struct ext2_mounted *m, uint32_t number, struct inode **inode);
/* A new inode, with what has been made for it on the disk. */
MUST_CHECK int ext2_inode_join(struct ext2_mounted *m, const struct ext2_node *node,
                               struct inode *inode);
MUST_CHECK int ext2_inode_write(struct ext2_mounted *m, struct ext2_file *file);
/* Those whose last user has gone. */
void ext2_reap(struct ext2_mounted *m);
void ext2_drop(struct inode *inode);
/* Seconds, as the disk has them. */
uint32_t ext2_seconds(uint64_t time);

/* names.c */
MUST_CHECK int ext2_load(struct inode *dir);
MUST_CHECK int ext2_make(const struct inode *dir, struct inode *inode);
MUST_CHECK int ext2_link(struct inode *dir, const char *name, struct inode *inode);
MUST_CHECK int ext2_unlink(struct inode *dir, const char *name, struct inode *inode);
MUST_CHECK int ext2_move(struct inode *from, const char *old_name, struct inode *to,
                         const char *new_name, struct inode *inode, struct inode *replaced,
                         bool exchange);
MUST_CHECK int ext2_write_link(struct inode *link);

/* pages.c */
MUST_CHECK int ext2_page(struct inode *inode, uint64_t index, unsigned from, unsigned to);
MUST_CHECK int ext2_cut(struct inode *inode, uint64_t from, uint64_t to);
MUST_CHECK int ext2_grow(struct inode *inode, uint64_t size);
MUST_CHECK int ext2_has(struct inode *inode, uint64_t index);
/* All that has changed of @file's content goes to the disk's cache. */
MUST_CHECK int ext2_write_pages(struct ext2_mounted *m, struct ext2_file *file);
