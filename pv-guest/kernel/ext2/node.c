/* Inodes, and the text of symbolic links. */
#include "errno.h"
#include "ext2.h"
#include "linux.h"
#include "text.h"

/* Where inode @number is: the block and the place in it. */
static int place_of(struct ext2_volume *v, uint32_t number, uint32_t *block, unsigned *at)
{
    if (!number || number > v->super.inodes)
        return ext2_wrong(v, "the number of an inode is larger than there are");
    const uint64_t offset = (uint64_t)((number - 1) % v->super.inodes_per_group) * v->inode_size;
    *block =
        v->groups[(number - 1) / v->super.inodes_per_group].inode_table + offset / v->block_size;
    *at = offset % v->block_size;
    return 0;
}

static bool is(const struct ext2_node *node, unsigned type)
{
    return (node->raw.mode & S_IFMT) == type;
}

uint64_t ext2_node_size(const struct ext2_node *node)
{
    return node->raw.size | (is(node, S_IFREG) ? (uint64_t)node->raw.size_high << 32 : 0);
}

int ext2_node_read(struct ext2_volume *v, uint32_t number, struct ext2_node *node)
{
    uint32_t block;
    unsigned at;
    if (number != EXT2_ROOT && number < v->first_inode)
        return ext2_wrong(v, "an inode that is not a file's has a name");
    int rc = place_of(v, number, &block, &at);
    if (!rc)
        rc = ext2_read(v, block, at, &node->raw, sizeof(node->raw));
    if (rc)
        return rc;
    node->number = number;
    if (!node->raw.links || (node->raw.dtime && !node->raw.mode))
        return ext2_wrong(v, "a name leads to an inode that is free");
    if (is(node, S_IFREG)
            ? ext2_node_size(node) > v->size_most
            : is(node, S_IFDIR) && (node->raw.size % v->block_size || !node->raw.size))
        return ext2_wrong(v, "a file has an impossible size");
    return 0;
}

int ext2_node_write(struct ext2_volume *v, const struct ext2_node *node)
{
    uint32_t block;
    unsigned at;
    const int rc = place_of(v, node->number, &block, &at);
    return rc ? rc : ext2_write(v, block, at, &node->raw, sizeof(node->raw));
}

/* What inodes of more than 128 bytes have behind those: nothing. */
static int clear_rest(struct ext2_volume *v, uint32_t number)
{
    static const uint8_t zeroes[128];
    uint32_t block;
    unsigned at;
    int rc = place_of(v, number, &block, &at);
    for (unsigned done = 128; !rc && done < v->inode_size; done += 128)
        rc = ext2_write(v, block, at + done, zeroes, 128);
    return rc;
}

int ext2_node_make(struct ext2_volume *v, uint32_t beside, unsigned mode, uint64_t now,
                   struct ext2_node *node)
{
    *node = (struct ext2_node){.raw = {.mode = mode}};
    const bool directory = is(node, S_IFDIR);
    int rc = ext2_number_take(v, beside, directory, &node->number);
    if (rc)
        return rc;
    node->raw.atime = node->raw.mtime = node->raw.ctime = now;
    rc = clear_rest(v, node->number);
    if (!rc)
        rc = ext2_node_write(v, node);
    if (rc && ext2_number_give(v, node->number, directory))
        return -EIO;
    return rc;
}

/* Extended attributes: their block can be several inodes'. */
static int drop_attributes(struct ext2_volume *v, struct ext2_node *node)
{
    uint32_t head[2]; /* magic, users */
    const uint32_t block = node->raw.attributes;
    node->raw.attributes = 0;
    if (!block)
        return 0;
    if (!ext2_is_data(v, block))
        return ext2_wrong(v, "a file has a block that cannot be a file's");
    const int rc = ext2_read(v, block, 0, head, sizeof(head));
    if (rc)
        return rc;
    if (head[0] != 0xea020000 || !head[1])
        return ext2_wrong(v, "a block of attributes is none");
    head[1]--;
    return head[1] ? ext2_write(v, block, 0, head, sizeof(head)) : ext2_block_give(v, block);
}

static bool short_link(const struct ext2_volume *v, const struct ext2_node *node)
{
    const unsigned others = node->raw.attributes ? v->block_size / 512 : 0;
    return is(node, S_IFLNK) && node->raw.sectors <= others;
}

static bool has_blocks(const struct ext2_volume *v, const struct ext2_node *node)
{
    return is(node, S_IFREG) || is(node, S_IFDIR) || (is(node, S_IFLNK) && !short_link(v, node));
}

int ext2_node_end(struct ext2_volume *v, struct ext2_node *node, uint64_t now)
{
    int rc = has_blocks(v, node) ? ext2_unmap(v, node, 0, UINT64_MAX) : 0;
    if (!rc)
        rc = drop_attributes(v, node);
    node->raw.links = 0;
    node->raw.dtime = now;
    node->raw.size = node->raw.size_high = node->raw.sectors = 0;
    if (!rc)
        rc = ext2_node_write(v, node);
    return rc ? rc : ext2_number_give(v, node->number, is(node, S_IFDIR));
}

int ext2_node_set_size(struct ext2_volume *v, struct ext2_node *node, uint64_t size)
{
    if (size > v->size_most || (size > INT32_MAX && !v->super.revision))
        return -EFBIG;
    if (size > INT32_MAX && !(v->super.ro_compat & EXT2_RO_LARGE)) {
        v->super.ro_compat |= EXT2_RO_LARGE;
        v->changed = true;
    }
    node->raw.size = size;
    if (is(node, S_IFREG))
        node->raw.size_high = size >> 32;
    return 0;
}

int ext2_link_read(struct ext2_volume *v, struct ext2_node *node, char *to, size_t room)
{
    const uint32_t size = node->raw.size;
    uint32_t block;
    if (!size || size >= v->block_size || size >= room ||
        (short_link(v, node) && size >= sizeof(node->raw.block)))
        return ext2_wrong(v, "a symbolic link has an impossible length");
    to[size] = 0;
    if (short_link(v, node)) {
        memcpy(to, node->raw.block, size);
    } else {
        int rc = ext2_map(v, node, 0, false, &block);
        if (!rc)
            rc = block ? ext2_read(v, block, 0, to, size)
                       : ext2_wrong(v, "a symbolic link has no text");
        if (rc)
            return rc;
    }
    return strlen(to) == size ? (int)size : ext2_wrong(v, "a symbolic link's text is none");
}

int ext2_link_write(struct ext2_volume *v, struct ext2_node *node, const char *text)
{
    const size_t size = strlen(text);
    uint32_t block;
    if (size >= v->block_size)
        return -ENAMETOOLONG;
    node->raw.size = size;
    if (size < sizeof(node->raw.block)) {
        memcpy(node->raw.block, text, size);
        return 0;
    }
    const int rc = ext2_map(v, node, 0, true, &block);
    return rc ? rc : ext2_write(v, block, 0, text, size + 1);
}

/* Two encodings: 8 bits each, or, in the second slot, 12 for the major and 20 for the minor number. */
unsigned ext2_device_read(const struct ext2_node *node)
{
    const uint32_t n = node->raw.block[0] ? node->raw.block[0] : node->raw.block[1];
    if (node->raw.block[0])
        return n & 0xffff;
    return (n >> 8 & 0xfff) << 8 | (n & 0xff);
}

void ext2_device_write(struct ext2_node *node, unsigned device)
{
    node->raw.block[0] = device & 0xffff;
}
