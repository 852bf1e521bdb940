/*
 * Which blocks and inodes are free: a bit for each, in a bitmap of one block for each group.
 *
 * Both kinds are looked for in the same way: in the group of the goal first, from the goal on, then in the others.
 */
#include "errno.h"
#include "ext2.h"
#include "text.h"

#define CHUNK 128u /* bytes of a bitmap that are looked at together */

/* Set bit @bit of the bitmap in @block, or clear it; -EIO if it is so already. */
static int change_bit(struct ext2_volume *v, uint32_t block, unsigned bit, bool set)
{
    uint8_t byte;
    const uint8_t mask = 1u << bit % 8;
    const int rc = ext2_read(v, block, bit / 8, &byte, 1);
    if (rc)
        return rc;
    if (!!(byte & mask) == set)
        return ext2_wrong(v, "something is free and in use at once");
    byte ^= mask;
    return ext2_write(v, block, bit / 8, &byte, 1);
}

/* The first clear bit of [from, end) in *@bit, or @end if there is none. */
static int find_clear(struct ext2_volume *v, uint32_t block, unsigned from, unsigned end,
                      unsigned *bit)
{
    uint8_t bytes[CHUNK];
    *bit = end;
    while (from < end) {
        const unsigned at = from / 8 & ~(CHUNK - 1);
        const unsigned to = MIN(end, (at + CHUNK) * 8);
        const int rc = ext2_read(v, block, at, bytes, (to + 7) / 8 - at);
        if (rc)
            return rc;
        for (; from < to; from++) {
            if (from % 8 == 0 && bytes[from / 8 - at] == 0xff) {
                from += 7;
                continue;
            }
            if (bytes[from / 8 - at] & 1u << from % 8)
                continue;
            *bit = from;
            return 0;
        }
    }
    return 0;
}

static unsigned blocks_in(const struct ext2_volume *v, unsigned group)
{
    const uint32_t start = group * v->super.blocks_per_group;
    return MIN(v->super.blocks - v->super.first_block - start, v->super.blocks_per_group);
}

/* A free block of @group, in bits [from, end): its bit, or @end. */
static int take_in(struct ext2_volume *v, unsigned group, unsigned from, unsigned end,
                   uint32_t *block)
{
    struct ext2_descriptor *const d = &v->groups[group];
    unsigned bit;
    int rc = find_clear(v, d->block_bitmap, from, end, &bit);
    if (rc || bit >= end)
        return rc ? rc : -ENOSPC;
    *block = v->super.first_block + group * v->super.blocks_per_group + bit;
    if (!ext2_is_data(v, *block) || !d->blocks_free || !v->super.blocks_free)
        return ext2_wrong(v, "a bitmap says of too many blocks that they are free");
    rc = change_bit(v, d->block_bitmap, bit, true);
    if (rc)
        return rc;
    d->blocks_free--;
    v->super.blocks_free--;
    v->changed = true;
    return 0;
}

int ext2_block_take(struct ext2_volume *v, uint32_t goal, uint32_t *block)
{
    if (v->read_only || v->found_wrong)
        return -EROFS;
    if (!v->super.blocks_free)
        return -ENOSPC;
    goal = goal > v->super.first_block && goal < v->super.blocks ? goal - v->super.first_block : 0;
    const unsigned first = goal / v->super.blocks_per_group;
    for (unsigned i = 0; i <= v->group_count; i++) {
        const unsigned group = (first + i) % v->group_count;
        if (!v->groups[group].blocks_free)
            continue;
        const int rc =
            take_in(v, group, i ? 0 : goal % v->super.blocks_per_group, blocks_in(v, group), block);
        if (rc != -ENOSPC)
            return rc;
    }
    return -ENOSPC;
}

int ext2_block_give(struct ext2_volume *v, uint32_t block)
{
    if (!ext2_is_data(v, block))
        return ext2_wrong(v, "a file has a block that cannot be a file's");
    const unsigned bit = (block - v->super.first_block) % v->super.blocks_per_group;
    struct ext2_descriptor *const d =
        &v->groups[(block - v->super.first_block) / v->super.blocks_per_group];
    if (d->blocks_free >= v->super.blocks_per_group || v->super.blocks_free >= v->super.blocks)
        return ext2_wrong(v, "more blocks are free than there are");
    const int rc = change_bit(v, d->block_bitmap, bit, false);
    if (rc)
        return rc;
    d->blocks_free++;
    v->super.blocks_free++;
    v->changed = true;
    return 0;
}

/* Where a directory goes: the group with most room. */
static unsigned roomy_group(const struct ext2_volume *v)
{
    unsigned best = 0;
    for (unsigned i = 0; i < v->group_count; i++)
        if (v->groups[i].inodes_free && (!v->groups[best].inodes_free ||
                                         v->groups[i].blocks_free > v->groups[best].blocks_free))
            best = i;
    return best;
}

static int number_in(struct ext2_volume *v, unsigned group, bool directory, uint32_t *number)
{
    struct ext2_descriptor *const d = &v->groups[group];
    unsigned bit;
    int rc = find_clear(v, d->inode_bitmap, group ? 0 : v->first_inode - 1,
                        v->super.inodes_per_group, &bit);
    if (rc || bit >= v->super.inodes_per_group)
        return rc ? rc : -ENOSPC;
    if (!v->super.inodes_free)
        return ext2_wrong(v, "a bitmap says of too many inodes that they are free");
    rc = change_bit(v, d->inode_bitmap, bit, true);
    if (rc)
        return rc;
    d->inodes_free--;
    d->directories += directory;
    v->super.inodes_free--;
    v->changed = true;
    *number = group * v->super.inodes_per_group + bit + 1;
    return 0;
}

int ext2_number_take(struct ext2_volume *v, uint32_t beside, bool directory, uint32_t *number)
{
    if (v->read_only || v->found_wrong)
        return -EROFS;
    const unsigned first = directory ? roomy_group(v) : (beside - 1) / v->super.inodes_per_group;
    for (unsigned i = 0; i < v->group_count; i++) {
        const unsigned group = (first + i) % v->group_count;
        const int rc =
            v->groups[group].inodes_free ? number_in(v, group, directory, number) : -ENOSPC;
        if (rc != -ENOSPC)
            return rc;
    }
    return -ENOSPC;
}

int ext2_number_give(struct ext2_volume *v, uint32_t number, bool directory)
{
    if (number < v->first_inode || number > v->super.inodes)
        return ext2_wrong(v, "an inode that is not a file's has a name");
    struct ext2_descriptor *const d = &v->groups[(number - 1) / v->super.inodes_per_group];
    if (d->inodes_free >= v->super.inodes_per_group || v->super.inodes_free >= v->super.inodes ||
        (directory && !d->directories))
        return ext2_wrong(v, "more inodes are free than there are");
    const int rc = change_bit(v, d->inode_bitmap, (number - 1) % v->super.inodes_per_group, false);
    if (rc)
        return rc;
    d->inodes_free++;
    d->directories -= directory;
    v->super.inodes_free++;
    v->changed = true;
    return 0;
}
