/*
 * Where a file's blocks are.
 *
 *      block[0..11] ---> data
 *      block[12]    ---> pointers ---> data
 *      block[13]    ---> pointers ---> pointers ---> data
 *      block[14]    ---> pointers ---> pointers ---> pointers ---> data
 *
 * A pointer of 0 is a hole, at any level.
 */
#include "errno.h"
#include "ext2.h"
#include "heap.h"
#include "text.h"

/* The way to a block: which slot of the inode, then which pointer at each level. */
struct way {
    unsigned slot, levels;
    unsigned at[3];
};

static int find_way(const struct ext2_volume *v, uint64_t index, struct way *way)
{
    const uint64_t n = v->pointers;
    uint64_t span = n;
    if (index < EXT2_DIRECT) {
        *way = (struct way){.slot = index};
        return 0;
    }
    index -= EXT2_DIRECT;
    for (unsigned levels = 1; levels <= 3; levels++, span *= n) {
        if (index >= span) {
            index -= span;
            continue;
        }
        *way = (struct way){.slot = EXT2_DIRECT - 1 + levels, .levels = levels};
        for (unsigned i = levels; i-- > 0; index /= n)
            way->at[i] = index % n;
        return 0;
    }
    return -EFBIG;
}

static int fill_zeroes(struct ext2_volume *v, uint32_t block)
{
    static const uint8_t zeroes[512];
    int rc = 0;
    for (unsigned at = 0; !rc && at < v->block_size; at += sizeof(zeroes))
        rc = ext2_write(v, block, at, zeroes, sizeof(zeroes));
    return rc;
}

/* A new block for @node; one of pointers is full of holes. */
static int take(struct ext2_volume *v, struct ext2_node *node, uint32_t goal, bool pointers,
                uint32_t *block)
{
    int rc = ext2_block_take(v, goal, block);
    if (rc)
        return rc;
    rc = pointers ? fill_zeroes(v, *block) : 0;
    if (!rc) {
        node->raw.sectors += v->block_size / 512;
        return 0;
    }
    return ext2_block_give(v, *block) ? -EIO : rc;
}

/* Near what comes before it; else near the inode. */
static uint32_t goal_of(const struct ext2_volume *v, const struct ext2_node *node, unsigned slot)
{
    while (slot-- > 0) {
        if (node->raw.block[slot])
            return node->raw.block[slot] + 1;
    }
    return v->super.first_block +
           (node->number - 1) / v->super.inodes_per_group * v->super.blocks_per_group;
}

static int check_pointer(struct ext2_volume *v, uint32_t pointer)
{
    return !pointer || ext2_is_data(v, pointer)
               ? 0
               : ext2_wrong(v, "a file has a block that cannot be a file's");
}

/* Pointer @at of block @table into *@pointer; made if it is a hole and should not be. */
static int step(struct ext2_volume *v, struct ext2_node *node, uint32_t table, unsigned at,
                bool make, bool pointers, uint32_t *pointer)
{
    uint32_t pair[2] = {0}; /* the one before, and it */
    const unsigned first = at ? at - 1 : 0;
    int rc = ext2_read(v, table, first * 4, &pair[at ? 0 : 1], at ? 8 : 4);
    if (!rc)
        rc = check_pointer(v, pair[1]);
    *pointer = pair[1];
    if (rc || pair[1] || !make)
        return rc;
    rc = take(v, node, pair[0] ? pair[0] + 1 : table + 1, pointers, pointer);
    return rc ? rc : ext2_write(v, table, at * 4, pointer, 4);
}

int ext2_map(struct ext2_volume *v, struct ext2_node *node, uint64_t index, bool make,
             uint32_t *block)
{
    struct way way;
    int rc = find_way(v, index, &way);
    if (rc)
        return rc;
    uint32_t *const slot = &node->raw.block[way.slot];
    rc = check_pointer(v, *slot);
    if (!rc && !*slot && make)
        rc = take(v, node, goal_of(v, node, way.slot), way.levels, slot);
    *block = *slot;
    for (unsigned i = 0; !rc && *block && i < way.levels; i++)
        rc = step(v, node, *block, way.at[i], make, i + 1 < way.levels, block);
    return rc;
}

/* Blocks [from, to) of a file, to be given back. */
struct cut {
    struct ext2_volume *v;
    struct ext2_node *node;
    uint64_t from, to;
};

static int give(struct cut *c, uint32_t block)
{
    const unsigned sectors = c->v->block_size / 512;
    c->node->raw.sectors -= MIN(c->node->raw.sectors, sectors);
    return ext2_block_give(c->v, block);
}

/*
 * What @slot, a pointer of @level levels of pointers, leads to, the first of which is block @base of the file.
 * A block of pointers is given back before what it leads to is: it cannot be met again, however it leads.
 */
static int cut_tree(struct cut *c, uint32_t *slot, unsigned level, uint64_t base)
{
    uint64_t span = 1;
    for (unsigned i = 0; i < level; i++)
        span *= c->v->pointers;
    if (!*slot || base >= c->to || base + span <= c->from)
        return 0;
    int rc = check_pointer(c->v, *slot);
    if (rc)
        return rc;
    const uint32_t table = *slot;
    const bool whole = base >= c->from && base + span <= c->to;
    if (whole)
        *slot = 0;
    if (!level)
        return give(c, table);
    uint32_t *const pointers = heap_alloc(c->v->block_size);
    if (!pointers)
        return -ENOMEM;
    rc = ext2_read(c->v, table, 0, pointers, c->v->block_size);
    if (!rc && whole)
        rc = give(c, table);
    for (unsigned i = 0; !rc && i < c->v->pointers; i++)
        rc = cut_tree(c, &pointers[i], level - 1, base + i * (span / c->v->pointers));
    if (!rc && !whole)
        rc = ext2_write(c->v, table, 0, pointers, c->v->block_size);
    heap_free(pointers);
    return rc;
}

int ext2_unmap(struct ext2_volume *v, struct ext2_node *node, uint64_t from, uint64_t to)
{
    struct cut c = {v, node, from, to};
    uint64_t base = EXT2_DIRECT, span = v->pointers;
    int rc = 0;
    for (unsigned i = 0; !rc && i < EXT2_DIRECT; i++)
        rc = cut_tree(&c, &node->raw.block[i], 0, i);
    for (unsigned level = 1; !rc && level <= 3; level++, span *= v->pointers) {
        rc = cut_tree(&c, &node->raw.block[EXT2_DIRECT - 1 + level], level, base);
        base += span;
    }
    return rc;
}
