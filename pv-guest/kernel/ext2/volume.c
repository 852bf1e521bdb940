/* The superblock and the groups: checked when a volume is opened, kept in memory, written by ext2_flush. */
#include "errno.h"
#include "ext2.h"
#include "heap.h"
#include "text.h"

#define SIZE_MOST        (1ull << 40) /* FILE_SIZE_MAX */
#define DESCRIPTORS_MOST (1u << 15)   /* what the heap's largest object has room for */

int ext2_wrong(struct ext2_volume *v, const char *sentence)
{
    if (!v->found_wrong)
        v->ops->complain(v->disk, sentence);
    v->found_wrong = true;
    v->super.state |= EXT2_STATE_BAD;
    return -EIO;
}

int ext2_read(struct ext2_volume *v, uint32_t block, unsigned at, void *to, size_t size)
{
    if (block >= v->super.blocks || at > v->block_size || size > v->block_size - at)
        return ext2_wrong(v, "a block number is larger than the volume");
    return v->ops->read(v->disk, (uint64_t)block * v->block_size + at, to, size);
}

int ext2_write(struct ext2_volume *v, uint32_t block, unsigned at, const void *from, size_t size)
{
    if (v->read_only || v->found_wrong)
        return -EROFS;
    if (block >= v->super.blocks || at > v->block_size || size > v->block_size - at)
        return ext2_wrong(v, "a block number is larger than the volume");
    return v->ops->write(v->disk, (uint64_t)block * v->block_size + at, from, size);
}

static bool is_power(unsigned n, unsigned base)
{
    while (n > 1 && n % base == 0)
        n /= base;
    return n == 1;
}

/* Does @group begin with a copy of the superblock and the descriptors? */
static bool has_super(const struct ext2_volume *v, unsigned group)
{
    const bool sparse = v->super.revision && (v->super.ro_compat & EXT2_RO_SPARSE);
    return !sparse || group <= 1 || is_power(group, 3) || is_power(group, 5) || is_power(group, 7);
}

static uint32_t group_start(const struct ext2_volume *v, unsigned group)
{
    return v->super.first_block + group * v->super.blocks_per_group;
}

bool ext2_is_data(const struct ext2_volume *v, uint32_t block)
{
    if (block <= v->super.first_block || block >= v->super.blocks)
        return false;
    const unsigned group = (block - v->super.first_block) / v->super.blocks_per_group;
    const struct ext2_descriptor *const d = &v->groups[group];
    if (has_super(v, group) && block - group_start(v, group) < v->super_blocks)
        return false;
    return block != d->block_bitmap && block != d->inode_bitmap &&
           (block < d->inode_table || block - d->inode_table >= v->table_blocks);
}

/* Is what @s says possible, on a disk of @bytes?  NULL, or what is not. */
static const char *examine_super(const struct ext2_super *s, uint64_t bytes)
{
    if (s->magic != EXT2_MAGIC)
        return "there is no ext2 file system on it";
    if (s->revision > 1)
        return "its revision is not 0 or 1";
    if (s->revision && (s->incompat & ~(uint32_t)EXT2_INCOMPAT_TYPES))
        return "it has features that ext2 does not have (ext3, ext4 or others); make it with "
               "mke2fs -t ext2";
    if (s->block_log > 2)
        return "its blocks are not of 1, 2 or 4 KiB";
    const unsigned size = 1024u << s->block_log;
    if (s->first_block != (size == 1024))
        return "its first block is not where it should be";
    if (s->revision &&
        (s->inode_size < 128 || s->inode_size > size || (s->inode_size & (s->inode_size - 1))))
        return "its inodes have an impossible size";
    if (s->blocks <= s->first_block || (uint64_t)s->blocks * size > bytes)
        return "it is larger than the disk";
    if (!s->blocks_per_group || s->blocks_per_group > size * 8 || s->blocks_per_group % 8)
        return "its groups have an impossible number of blocks";
    if (!s->inodes_per_group || s->inodes_per_group > size * 8 || s->inodes_per_group % 8)
        return "its groups have an impossible number of inodes";
    return NULL;
}

/* Numbers that follow from the superblock's. */
static const char *derive(struct ext2_volume *v)
{
    const struct ext2_super *const s = &v->super;
    v->block_size = 1024u << s->block_log;
    v->pointers = v->block_size / 4;
    v->inode_size = s->revision ? s->inode_size : 128;
    v->first_inode = s->revision ? s->first_inode : EXT2_FIRST_INO;
    v->types = s->revision && (s->incompat & EXT2_INCOMPAT_TYPES);
    v->group_count =
        (s->blocks - s->first_block + (uint64_t)s->blocks_per_group - 1) / s->blocks_per_group;
    v->table_blocks =
        ((uint64_t)s->inodes_per_group * v->inode_size + v->block_size - 1) / v->block_size;
    const uint64_t pointers = v->pointers;
    v->size_most =
        MIN((EXT2_DIRECT + pointers + pointers * pointers + pointers * pointers * pointers) *
                v->block_size,
            SIZE_MOST);
    if (v->first_inode < EXT2_FIRST_INO || v->first_inode > s->inodes_per_group)
        return "its first inode has an impossible number";
    if (v->group_count > DESCRIPTORS_MOST ||
        (uint64_t)v->group_count * s->inodes_per_group != s->inodes)
        return "its numbers of groups and inodes do not agree";
    v->super_blocks =
        1 + (v->group_count * sizeof(struct ext2_descriptor) + v->block_size - 1) / v->block_size;
    if (s->blocks_free > s->blocks || s->inodes_free > s->inodes)
        return "more of it is free than there is";
    return NULL;
}

/* I2 for @group. */
static bool group_right(const struct ext2_volume *v, unsigned group)
{
    const struct ext2_descriptor *const d = &v->groups[group];
    const uint32_t first = group_start(v, group);
    const uint32_t end =
        MIN((uint64_t)first + v->super.blocks_per_group, (uint64_t)v->super.blocks);
    const uint32_t begin = first + (has_super(v, group) ? v->super_blocks : 0);
    const bool bitmaps = d->block_bitmap >= begin && d->block_bitmap < end &&
                         d->inode_bitmap >= begin && d->inode_bitmap < end &&
                         d->block_bitmap != d->inode_bitmap;
    const bool table =
        d->inode_table >= begin && d->inode_table < end && v->table_blocks <= end - d->inode_table;
    return bitmaps && table && d->block_bitmap - d->inode_table >= v->table_blocks &&
           d->inode_bitmap - d->inode_table >= v->table_blocks &&
           d->blocks_free <= v->super.blocks_per_group &&
           d->inodes_free <= v->super.inodes_per_group;
}

static uint64_t descriptors_at(const struct ext2_volume *v)
{
    return (uint64_t)(v->super.first_block + 1) * v->block_size;
}

static int open_groups(struct ext2_volume *v, const char **why)
{
    const size_t size = v->group_count * sizeof(*v->groups);
    if (v->super.first_block + (uint64_t)v->super_blocks > v->super.blocks) {
        *why = "it has no room for its groups' descriptors";
        return -EINVAL;
    }
    v->groups = heap_alloc(size);
    if (!v->groups)
        return -ENOMEM;
    int rc = v->ops->read(v->disk, descriptors_at(v), v->groups, size);
    for (unsigned i = 0; !rc && i < v->group_count; i++) {
        if (group_right(v, i))
            continue;
        *why = "a group's descriptor is wrong; run e2fsck";
        rc = -EINVAL;
    }
    if (rc)
        ext2_close(v);
    return rc;
}

int ext2_open(struct ext2_volume *v, const struct ext2_disk_ops *ops, void *disk, uint64_t bytes,
              bool read_only, const char **why)
{
    *v = (struct ext2_volume){.ops = ops, .disk = disk, .read_only = true};
    *why = "it is too small";
    if (bytes < EXT2_SUPER_AT + sizeof(v->super))
        return -EINVAL;
    const int rc = ops->read(disk, EXT2_SUPER_AT, &v->super, sizeof(v->super));
    *why = "the disk cannot be read";
    if (rc)
        return rc;
    *why = examine_super(&v->super, bytes);
    if (!*why)
        *why = derive(v);
    if (*why)
        return -EINVAL;
    if (!read_only && v->super.revision &&
        (v->super.ro_compat & ~(uint32_t)(EXT2_RO_SPARSE | EXT2_RO_LARGE))) {
        *why = "it has features that let it be read only: mount it with -o ro";
        return -EROFS;
    }
    v->was_clean = (v->super.state & EXT2_STATE_OK) && !(v->super.state & EXT2_STATE_BAD);
    return open_groups(v, why);
}

void ext2_close(struct ext2_volume *v)
{
    heap_free(v->groups);
    v->groups = NULL;
}

static int write_super(struct ext2_volume *v)
{
    return v->ops->write(v->disk, EXT2_SUPER_AT, &v->super, sizeof(v->super));
}

int ext2_begin_writing(struct ext2_volume *v, uint64_t now)
{
    if (v->super.revision && (v->super.ro_compat & ~(uint32_t)(EXT2_RO_SPARSE | EXT2_RO_LARGE)))
        return -EROFS;
    v->was_clean = (v->super.state & EXT2_STATE_OK) && !(v->super.state & EXT2_STATE_BAD);
    v->super.state &= ~EXT2_STATE_OK;
    v->super.mounted_at = v->super.written_at = now;
    v->super.mounts++;
    v->read_only = false;
    return write_super(v);
}

int ext2_end_writing(struct ext2_volume *v)
{
    if (v->was_clean && !v->found_wrong)
        v->super.state |= EXT2_STATE_OK;
    v->changed = true;
    const int rc = ext2_flush(v);
    v->read_only = true;
    return rc;
}

int ext2_flush(struct ext2_volume *v)
{
    if (!v->changed || v->read_only)
        return 0;
    /* What is wrong is for e2fsck to see: what the superblock says of it is all that is written. */
    int rc = v->found_wrong ? 0
                            : v->ops->write(v->disk, descriptors_at(v), v->groups,
                                            v->group_count * sizeof(*v->groups));
    if (!rc)
        rc = write_super(v);
    v->changed = rc;
    return rc;
}
