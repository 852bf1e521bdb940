/* What an ext2 file system looks like on a disk: little-endian, as this machine is. */
#pragma once

#include "base.h"

#define EXT2_SUPER_AT   1024
#define EXT2_MAGIC      0xef53
#define EXT2_STATE_OK   1  /* nobody has it mounted to be written to */
#define EXT2_STATE_BAD  2  /* something in it is wrong */
#define EXT2_ROOT       2  /* the number of the root's inode */
#define EXT2_FIRST_INO  11 /* of revision 0: those below are not for files */
#define EXT2_LINKS_MOST 32000

#define EXT2_INCOMPAT_TYPES 2 /* directories tell the types of files */
#define EXT2_RO_SPARSE      1 /* copies of the superblock are in some groups, not in all */
#define EXT2_RO_LARGE       2 /* there are files of 2 GiB or more */
#define EXT2_INDEX \
    4096 /* a flag of a directory: it has a hash index, which looks like empty entries */

struct ext2_super {
    uint32_t inodes, blocks, blocks_reserved, blocks_free, inodes_free, first_block;
    uint32_t block_log, fragment_log, blocks_per_group, fragments_per_group, inodes_per_group;
    uint32_t mounted_at, written_at;
    uint16_t mounts, mounts_most, magic, state, errors, minor;
    uint32_t checked_at, check_interval, creator, revision;
    uint16_t reserved_uid, reserved_gid;
    /* From here on since revision 1. */
    uint32_t first_inode;
    uint16_t inode_size, group;
    uint32_t compat, incompat, ro_compat;
    uint8_t uuid[16];
    char name[16], last_mounted[64];
    uint32_t algorithms;
    uint8_t preallocate[2];
    uint16_t reserved_descriptor_blocks;
    uint8_t rest[816];
};
_Static_assert(sizeof(struct ext2_super) == 1024, "the superblock");

struct ext2_descriptor {
    uint32_t block_bitmap, inode_bitmap, inode_table;
    uint16_t blocks_free, inodes_free, directories, pad;
    uint32_t rest[3];
};
_Static_assert(sizeof(struct ext2_descriptor) == 32, "a group's descriptor");

#define EXT2_DIRECT 12 /* then one of each: indirect, double, triple */
#define EXT2_SLOTS  15

struct ext2_inode {
    uint16_t mode, uid;
    uint32_t size, atime, ctime, mtime, dtime;
    uint16_t gid, links;
    uint32_t sectors; /* of 512 bytes, with those of indirect blocks */
    uint32_t flags, version;
    uint32_t block[EXT2_SLOTS]; /* of a short symbolic link: its text; of a device: which one */
    uint32_t generation, attributes, size_high, fragment;
    uint16_t sectors_high, attributes_high, uid_high, gid_high, rest[2];
};
_Static_assert(sizeof(struct ext2_inode) == 128, "an inode");

struct ext2_dirent {
    uint32_t inode; /* 0: none, only room */
    uint16_t length;
    uint8_t name_length, type;
    char name[];
};
#define EXT2_DIRENT_SIZE 8
