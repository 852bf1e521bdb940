/*
 * ext2 as it lies on a disk: blocks, inodes, directories.
 *
 *      filesystem.c, inodes.c, names.c, pages.c: the kernel's inodes and pages
 *      -------------------------------------------------------------
 *      directory.c   names                map.c   where a file's blocks are
 *      node.c        inodes               allocate.c   which are free
 *      volume.c      superblock, groups; reading and writing bytes
 *
 * This half knows nothing of the kernel but its heap: the host's tests compile it with a disk of their own.
 * Whatever is on the disk may be a lie: every number is compared with what there is before it is used, and what
 * is wrong ends the call with -EIO and the writing (ext2_wrong).  Calls for one volume come one after the
 * other; they may sleep.
 */
#pragma once

#include "ext2-disk.h"

#define EXT2_NAME_MOST 255

/* Bytes of the disk, which are there: 0 or -EIO. */
struct ext2_disk_ops {
    int (*read)(void *disk, uint64_t offset, void *to, size_t size);
    int (*write)(void *disk, uint64_t offset, const void *from, size_t size);
    /* Somebody should be told. */
    void (*complain)(void *disk, const char *sentence);
};

/**
 * struct ext2_volume - a file system.
 *
 * I1  What is in @super and @groups has been checked, and agrees with the disk after ext2_flush.
 * I2  Every group's bitmaps and inodes are in blocks of that group.
 */
struct ext2_volume {
    const struct ext2_disk_ops *ops;
    void *disk;
    struct ext2_super super;
    struct ext2_descriptor *groups;
    unsigned group_count, block_size, pointers; /* in a block of pointers */
    unsigned inode_size, first_inode, table_blocks,
        super_blocks;   /* of a group; those before its bitmaps */
    uint64_t size_most; /* of a file */
    bool read_only, types, changed, found_wrong;
    bool was_clean; /* as it was mounted */
};

/* An inode: its number, and what the disk has of it. */
struct ext2_node {
    uint32_t number;
    struct ext2_inode raw;
};

/*
 * Look at the superblock and the groups of a disk of @bytes: 0, -EINVAL (it is no ext2, or one that is not
 * understood; *why is a sentence), -EROFS (it can only be read: *why), -EIO, -ENOMEM.
 */
MUST_CHECK int ext2_open(struct ext2_volume *v, const struct ext2_disk_ops *ops, void *disk,
                         uint64_t bytes, bool read_only, const char **why);
/* From now on it is written to, or no longer: what the disk says of that. */
MUST_CHECK int ext2_begin_writing(struct ext2_volume *v, uint64_t now);
MUST_CHECK int ext2_end_writing(struct ext2_volume *v);
/* Write what is kept in memory of superblock and groups. */
MUST_CHECK int ext2_flush(struct ext2_volume *v);
void ext2_close(struct ext2_volume *v);
/* The disk holds what cannot be: -EIO, and nothing is written any more. */
int ext2_wrong(struct ext2_volume *v, const char *sentence);

MUST_CHECK int ext2_read(struct ext2_volume *v, uint32_t block, unsigned at, void *to, size_t size);
MUST_CHECK int ext2_write(struct ext2_volume *v, uint32_t block, unsigned at, const void *from,
                          size_t size);
/* Can @block be a file's? */
bool ext2_is_data(const struct ext2_volume *v, uint32_t block);

/* allocate.c: 0, -ENOSPC, -EIO.  A block near @goal, if that is one. */
MUST_CHECK int ext2_block_take(struct ext2_volume *v, uint32_t goal, uint32_t *block);
MUST_CHECK int ext2_block_give(struct ext2_volume *v, uint32_t block);
/* An inode in the group of @beside; a directory in one that has room. */
MUST_CHECK int ext2_number_take(struct ext2_volume *v, uint32_t beside, bool directory,
                                uint32_t *number);
MUST_CHECK int ext2_number_give(struct ext2_volume *v, uint32_t number, bool directory);

/* node.c */
MUST_CHECK int ext2_node_read(struct ext2_volume *v, uint32_t number, struct ext2_node *node);
MUST_CHECK int ext2_node_write(struct ext2_volume *v, const struct ext2_node *node);
MUST_CHECK int ext2_node_make(struct ext2_volume *v, uint32_t beside, unsigned mode, uint64_t now,
                              struct ext2_node *node);
/* Its last name is gone: its blocks and its number are free. */
MUST_CHECK int ext2_node_end(struct ext2_volume *v, struct ext2_node *node, uint64_t now);
uint64_t ext2_node_size(const struct ext2_node *node);
/* -EFBIG if it cannot have that many. */
MUST_CHECK int ext2_node_set_size(struct ext2_volume *v, struct ext2_node *node, uint64_t size);
/* A symbolic link's text, at most @room bytes with its NUL: its length. */
MUST_CHECK int ext2_link_read(struct ext2_volume *v, struct ext2_node *node, char *to, size_t room);
MUST_CHECK int ext2_link_write(struct ext2_volume *v, struct ext2_node *node, const char *text);
/* A device's number, as major << 8 | minor. */
unsigned ext2_device_read(const struct ext2_node *node);
void ext2_device_write(struct ext2_node *node, unsigned device);

/* map.c: block @index of @node in *@block, 0 if it has none; @make: it has one then, whose content is whatever. */
MUST_CHECK int ext2_map(struct ext2_volume *v, struct ext2_node *node, uint64_t index, bool make,
                        uint32_t *block);
/* Give back the blocks [from, to) of @node. */
MUST_CHECK int ext2_unmap(struct ext2_volume *v, struct ext2_node *node, uint64_t from,
                          uint64_t to);

/* directory.c */
struct ext2_entry {
    uint32_t inode;
    unsigned type; /* as DT_*; 0: not known */
    char name[EXT2_NAME_MOST + 1];
};
/* Call @fn for each name in @dir, but for "." and "..", until it gives something else than 0: that. */
MUST_CHECK int ext2_each(struct ext2_volume *v, struct ext2_node *dir,
                         int (*fn)(void *of, const struct ext2_entry *entry), void *of);
/* -ENOSPC, -EIO; that there is no such name yet is the caller's business, @dir's times are, too. */
MUST_CHECK int ext2_name_add(struct ext2_volume *v, struct ext2_node *dir, const char *name,
                             uint32_t inode, unsigned mode);
MUST_CHECK int ext2_name_remove(struct ext2_volume *v, struct ext2_node *dir, const char *name);
/* @name, which is there (".." is a name, too), stands for @inode from now on. */
MUST_CHECK int ext2_name_change(struct ext2_volume *v, struct ext2_node *dir, const char *name,
                                uint32_t inode, unsigned mode);
/* A new directory's first block. */
MUST_CHECK int ext2_directory_make(struct ext2_volume *v, struct ext2_node *dir, uint32_t parent);
