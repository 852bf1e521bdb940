/*
 * Names in directories: in each block of one, entries that together are as long as the block.
 *
 * A hash index (mke2fs makes directories that can have one) looks like empty entries to who does not know it;
 * when a name is added or taken away the directory loses the flag, and e2fsck -D makes a new one.
 */
#include "errno.h"
#include "ext2.h"
#include "heap.h"
#include "linux.h"
#include "text.h"

/* A block of a directory, in memory. */
struct place {
    struct ext2_volume *v;
    struct ext2_node *dir;
    uint64_t index;
    uint32_t block; /* 0: a hole */
    char *bytes;
};

static int place_begin(struct place *p, struct ext2_volume *v, struct ext2_node *dir)
{
    *p = (struct place){.v = v, .dir = dir, .bytes = heap_alloc(v->block_size)};
    return p->bytes ? 0 : -ENOMEM;
}

static uint64_t blocks_of(const struct place *p)
{
    return p->dir->raw.size / p->v->block_size;
}

static struct ext2_dirent *entry_at(const struct place *p, unsigned at)
{
    return (struct ext2_dirent *)(p->bytes + at);
}

static unsigned name_length(const struct ext2_dirent *e)
{
    return e->name_length;
}

static unsigned needed(unsigned name)
{
    return ROUND_UP(EXT2_DIRENT_SIZE + name, 4u);
}

/* Is the entry at @at possible? */
static bool entry_right(const struct place *p, unsigned at)
{
    const unsigned left = p->v->block_size - at;
    const struct ext2_dirent *const e = entry_at(p, at);
    if (left < EXT2_DIRENT_SIZE || e->length < EXT2_DIRENT_SIZE || e->length % 4 ||
        e->length > left)
        return false;
    if (!e->inode)
        return true;
    const unsigned n = name_length(e);
    if (!n || needed(n) > e->length || e->inode > p->v->super.inodes || (!p->v->types && e->type))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!e->name[i] || e->name[i] == '/')
            return false;
    return true;
}

/* Block @index of the directory, all of it checked. */
static int place_read(struct place *p, uint64_t index)
{
    p->index = index;
    int rc = ext2_map(p->v, p->dir, index, false, &p->block);
    if (!rc && p->block)
        rc = ext2_read(p->v, p->block, 0, p->bytes, p->v->block_size);
    if (rc || !p->block)
        return rc;
    for (unsigned at = 0; at < p->v->block_size; at += entry_at(p, at)->length)
        if (!entry_right(p, at))
            return ext2_wrong(p->v, "a directory has an impossible entry");
    return 0;
}

static int place_write(struct place *p)
{
    p->dir->raw.flags &= ~(uint32_t)EXT2_INDEX;
    return ext2_write(p->v, p->block, 0, p->bytes, p->v->block_size);
}

static void take_entry(const struct ext2_dirent *e, struct ext2_entry *to)
{
    static const uint8_t types[] = {0, 8, 4, 2, 6, 1, 12, 10}; /* regular, directory, char, ... */
    to->inode = e->inode;
    to->type = e->type < ARRAY_SIZE(types) ? types[e->type] : 0;
    memcpy(to->name, e->name, name_length(e));
    to->name[name_length(e)] = 0;
}

static unsigned type_of(const struct ext2_volume *v, unsigned mode)
{
    static const uint8_t types[16] = {
        [1] = 5, [2] = 3, [4] = 2, [6] = 4, [8] = 1, [10] = 7, [12] = 6};
    return v->types ? types[mode >> 12 & 15] : 0;
}

static bool is_dots(const struct ext2_dirent *e)
{
    return e->name[0] == '.' && (name_length(e) == 1 || (name_length(e) == 2 && e->name[1] == '.'));
}

int ext2_each(struct ext2_volume *v, struct ext2_node *dir,
              int (*fn)(void *of, const struct ext2_entry *entry), void *of)
{
    struct place p;
    struct ext2_entry entry;
    int rc = place_begin(&p, v, dir);
    for (uint64_t i = 0; !rc && i < blocks_of(&p); i++) {
        rc = place_read(&p, i);
        for (unsigned at = 0; !rc && p.block && at < v->block_size;
             at += entry_at(&p, at)->length) {
            const struct ext2_dirent *const e = entry_at(&p, at);
            if (!e->inode || is_dots(e))
                continue;
            take_entry(e, &entry);
            rc = fn(of, &entry);
        }
    }
    heap_free(p.bytes);
    return rc;
}

/* Where @name is: the place and *@at, and *@before, the entry before it in the block, or @at; -EIO if it is nowhere. */
static int find(struct place *p, const char *name, unsigned *at, unsigned *before)
{
    const unsigned n = strlen(name);
    for (uint64_t i = 0; i < blocks_of(p); i++) {
        const int rc = place_read(p, i);
        if (rc)
            return rc;
        *before = 0;
        for (*at = 0; p->block && *at < p->v->block_size; *at += entry_at(p, *at)->length) {
            const struct ext2_dirent *const e = entry_at(p, *at);
            if (e->inode && name_length(e) == n && !memcmp(e->name, name, n))
                return 0;
            *before = *at;
        }
    }
    return ext2_wrong(p->v, "a name is not where it was");
}

/* Put the entry at @at, which has room. */
static void put(struct place *p, unsigned at, const char *name, uint32_t inode, unsigned mode)
{
    struct ext2_dirent *e = entry_at(p, at);
    const unsigned used = e->inode ? needed(name_length(e)) : 0;
    if (used) {
        struct ext2_dirent *const rest = entry_at(p, at + used);
        rest->length = e->length - used;
        e->length = used;
        e = rest;
    }
    e->inode = inode;
    e->name_length = strlen(name);
    e->type = type_of(p->v, mode);
    memcpy(e->name, name, e->name_length);
}

/* Room for a name of @n bytes: where, in the block that is in memory; the block's size if it has none. */
static unsigned find_room(const struct place *p, unsigned n)
{
    unsigned at = 0;
    for (; at < p->v->block_size; at += entry_at(p, at)->length) {
        const struct ext2_dirent *const e = entry_at(p, at);
        const unsigned used = e->inode ? needed(name_length(e)) : 0;
        if (e->length - used >= needed(n))
            return at;
    }
    return at;
}

/* One block more, which is one empty entry; or a hole that becomes one. */
static int grow(struct place *p, uint64_t index)
{
    p->index = index;
    const int rc = ext2_map(p->v, p->dir, index, true, &p->block);
    if (rc)
        return rc;
    memset(p->bytes, 0, p->v->block_size);
    entry_at(p, 0)->length = p->v->block_size;
    return 0;
}

int ext2_name_add(struct ext2_volume *v, struct ext2_node *dir, const char *name, uint32_t inode,
                  unsigned mode)
{
    struct place p;
    int rc = place_begin(&p, v, dir);
    const unsigned n = strlen(name);
    unsigned at = v->block_size;
    uint64_t i = 0;
    for (; !rc && i < blocks_of(&p) && at == v->block_size; i++) {
        rc = place_read(&p, i);
        if (!rc && p.block)
            at = find_room(&p, n);
    }
    if (!rc && at == v->block_size) {
        rc = blocks_of(&p) >= INT32_MAX / v->block_size ? -ENOSPC : grow(&p, i);
        at = 0;
    }
    if (!rc) {
        put(&p, at, name, inode, mode);
        rc = place_write(&p);
    }
    if (!rc && p.index == blocks_of(&p))
        dir->raw.size += v->block_size;
    heap_free(p.bytes);
    return rc;
}

int ext2_name_remove(struct ext2_volume *v, struct ext2_node *dir, const char *name)
{
    struct place p;
    unsigned at, before;
    int rc = place_begin(&p, v, dir);
    if (!rc)
        rc = find(&p, name, &at, &before);
    if (!rc) {
        if (at == before)
            entry_at(&p, at)->inode = 0;
        else
            entry_at(&p, before)->length += entry_at(&p, at)->length;
        rc = place_write(&p);
    }
    heap_free(p.bytes);
    return rc;
}

int ext2_name_change(struct ext2_volume *v, struct ext2_node *dir, const char *name, uint32_t inode,
                     unsigned mode)
{
    struct place p;
    unsigned at, before;
    int rc = place_begin(&p, v, dir);
    if (!rc)
        rc = find(&p, name, &at, &before);
    if (!rc) {
        entry_at(&p, at)->inode = inode;
        entry_at(&p, at)->type = type_of(v, mode);
        rc = ext2_write(v, p.block, 0, p.bytes, v->block_size);
    }
    heap_free(p.bytes);
    return rc;
}

int ext2_directory_make(struct ext2_volume *v, struct ext2_node *dir, uint32_t parent)
{
    struct place p;
    int rc = place_begin(&p, v, dir);
    if (!rc)
        rc = grow(&p, 0);
    if (!rc) {
        put(&p, 0, ".", dir->number, S_IFDIR);
        put(&p, 0, "..", parent, S_IFDIR);
        rc = place_write(&p);
    }
    if (!rc)
        dir->raw.size = v->block_size;
    heap_free(p.bytes);
    return rc;
}
