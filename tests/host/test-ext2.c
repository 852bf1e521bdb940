/*
 * Questions: is what pv-guest's ext2 makes of a volume right, and can a volume that lies harm it?
 *
 *      test-ext2 work IMAGE SEED STEPS      random operations, compared with a model; e2fsck judges IMAGE afterwards
 *      test-ext2 lies IMAGE SEED ROUNDS     the same after random changes of what is on the disk; nothing is written back
 *
 * The files are pv-guest/kernel/ext2's, as they are in its kernel, with a disk in memory of exactly its size: the address
 * sanitizer sees who reads or writes beside it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/ext2/ext2.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/linux.h"
#include "kernel/memory/heap.h"

#define FILES      24
#define BLOCKS     64 /* that a file of the model can have, at places spread over all levels */
#define CALLS_MOST 4000000ul

static uint8_t *disk;
static size_t disk_size;
static unsigned long calls;
static unsigned seed;
static bool lies;

void *heap_alloc(size_t size)
{
    return calloc(1, size);
}

void heap_free(void *object)
{
    free(object);
}

static unsigned roll(unsigned n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void fail(const char *what)
{
    printf("not ok 1 - %s\n1..1\n", what);
    exit(1);
}

static void check(bool right, const char *what)
{
    if (!right)
        fail(what);
}

/* The disk.  An access that is not on it is the file system's mistake. */
static int disk_read(void *of, uint64_t offset, void *to, size_t size)
{
    check(offset <= disk_size && size <= disk_size - offset, "something beside the disk is read");
    check(++calls < CALLS_MOST, "an operation does not end");
    memcpy(to, disk + offset, size);
    return 0;
}

static int disk_write(void *of, uint64_t offset, const void *from, size_t size)
{
    check(offset <= disk_size && size <= disk_size - offset,
          "something beside the disk is written");
    memcpy(disk + offset, from, size);
    return 0;
}

static void complain(void *of, const char *sentence)
{
    if (!lies)
        fail(sentence);
}

static const struct ext2_disk_ops ops = {disk_read, disk_write, complain};

/* ---- The model ---- */

struct model {
    char name[64];
    bool there, directory;
    unsigned parent; /* a model's, or FILES: the root */
    uint32_t number;
    unsigned version[BLOCKS]; /* of each block; 0: a hole */
};
static struct model files[FILES];
static struct ext2_volume v;

/* Where block @i of a file is: close together at the start, then far. */
static uint64_t place(unsigned i)
{
    return i < 20 ? i : i < 40 ? 200 + i * 13 : 65000 + i * 300;
}

static struct ext2_node node_of(unsigned i)
{
    struct ext2_node node;
    const int rc = ext2_node_read(&v, i == FILES ? EXT2_ROOT : files[i].number, &node);
    if (rc)
        check(lies, "an inode cannot be read");
    if (rc)
        memset(&node, 0, sizeof(node));
    return node;
}

static bool usable(const struct ext2_node *node, unsigned type)
{
    return node->number && (node->raw.mode & S_IFMT) == type;
}

/* On a disk that lies whatever comes is right; else 0, or no room. */
static bool done(int rc)
{
    check(lies || !rc || rc == -ENOSPC, "an operation fails");
    return !rc;
}

static void put_node(const struct ext2_node *node)
{
    (void)done(ext2_node_write(&v, node));
}

static unsigned children(unsigned dir)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FILES; i++)
        n += files[i].there && files[i].parent == dir;
    return n;
}

static unsigned some_directory(void)
{
    const unsigned i = roll(FILES);
    return files[i].there && files[i].directory ? i : FILES;
}

static void make(unsigned i)
{
    const unsigned parent = some_directory();
    struct ext2_node dir = node_of(parent), node;
    const bool directory = roll(4) == 0;
    if (!usable(&dir, S_IFDIR))
        return;
    snprintf(files[i].name, sizeof(files[i].name), "%.*s%u", 1 + (int)roll(40),
             "a-name-that-is-long-enough-for-all-of-this", i);
    if (!done(ext2_node_make(&v, dir.number, (directory ? S_IFDIR : S_IFREG) | 0644, 1000, &node)))
        return;
    int rc = directory ? ext2_directory_make(&v, &node, dir.number) : 0;
    node.raw.links = directory ? 2 : 1;
    if (!rc)
        rc = ext2_node_write(&v, &node);
    if (!rc)
        rc = ext2_name_add(&v, &dir, files[i].name, node.number, node.raw.mode);
    if (!done(rc)) {
        (void)done(ext2_node_end(&v, &node, 2000));
        return;
    }
    dir.raw.links += directory;
    put_node(&dir);
    files[i].there = true;
    files[i].directory = directory;
    files[i].parent = parent;
    files[i].number = node.number;
    memset(files[i].version, 0, sizeof(files[i].version));
}

static void unmake(unsigned i)
{
    struct ext2_node dir = node_of(files[i].parent), node = node_of(i);
    if ((files[i].directory && children(i)) || !usable(&dir, S_IFDIR) || !node.number)
        return;
    if (!done(ext2_name_remove(&v, &dir, files[i].name)) || !done(ext2_node_end(&v, &node, 2000)))
        return;
    dir.raw.links -= files[i].directory;
    put_node(&dir);
    files[i].there = false;
}

static void fill(uint8_t *bytes, unsigned i, unsigned block)
{
    for (unsigned k = 0; k < v.block_size; k++)
        bytes[k] = files[i].number * 7 + block * 3 + files[i].version[block] * 31 + k;
}

static void write_block(unsigned i)
{
    uint8_t bytes[4096];
    uint32_t block;
    const unsigned at = roll(BLOCKS);
    struct ext2_node node = node_of(i);
    if (!usable(&node, S_IFREG))
        return;
    const int rc = ext2_map(&v, &node, place(at), true, &block);
    if (done(rc)) {
        files[i].version[at]++;
        fill(bytes, i, at);
        (void)done(ext2_write(&v, block, 0, bytes, v.block_size));
        const uint64_t end = (place(at) + 1) * v.block_size;
        if (end > ext2_node_size(&node))
            (void)done(ext2_node_set_size(&v, &node, end));
    }
    put_node(&node);
}

static void cut(unsigned i)
{
    struct ext2_node node = node_of(i);
    const bool all = roll(2);
    unsigned from = roll(BLOCKS), to = all ? BLOCKS : from + roll(BLOCKS - from) + 1;
    if (!usable(&node, S_IFREG))
        return;
    const int rc = ext2_unmap(&v, &node, place(from), all ? UINT64_MAX : place(to - 1) + 1);
    for (unsigned k = from; done(rc) && k < to; k++)
        files[i].version[k] = 0;
    if (all && place(from) * v.block_size < ext2_node_size(&node))
        (void)done(ext2_node_set_size(&v, &node, place(from) * v.block_size));
    put_node(&node);
}

/* To another directory, under another name. */
static void move(unsigned i)
{
    const unsigned to = some_directory();
    struct ext2_node from = node_of(files[i].parent);
    char name[64];
    if (files[i].directory || !usable(&from, S_IFDIR))
        return;
    snprintf(name, sizeof(name), "moved-%u-%.*s", i, (int)roll(20), "twentysomethingbytesandmore");
    if (!strcmp(name, files[i].name))
        return;
    if (!done(ext2_name_remove(&v, &from, files[i].name)))
        return;
    put_node(&from);
    struct ext2_node dir = node_of(to);
    if (!usable(&dir, S_IFDIR))
        return;
    files[i].there = done(ext2_name_add(&v, &dir, name, files[i].number, S_IFREG));
    put_node(&dir);
    strcpy(files[i].name, name);
    files[i].parent = to;
}

static void link_text(unsigned i)
{
    char text[5000];
    struct ext2_node node;
    if (!done(ext2_node_make(&v, EXT2_ROOT, S_IFLNK | 0777, 1000, &node)))
        return;
    memset(text, 'x', sizeof(text));
    text[1 + roll(roll(2) ? 80 : 1000)] = 0;
    node.raw.links = 1;
    if (done(ext2_link_write(&v, &node, text))) {
        char back[5000];
        const int rc = ext2_link_read(&v, &node, back, sizeof(back));
        check(lies || (rc > 0 && !strcmp(back, text)), "a symbolic link's text is another one");
    }
    (void)done(ext2_node_end(&v, &node, 2000));
}

static void verify(unsigned i)
{
    uint8_t want[4096], found[4096];
    uint32_t block;
    struct ext2_node node = node_of(i);
    if (files[i].directory || !usable(&node, S_IFREG))
        return;
    for (unsigned k = 0; k < BLOCKS; k++) {
        if (!done(ext2_map(&v, &node, place(k), false, &block)))
            return;
        check(lies || !block == !files[i].version[k], "a hole is none, or a block is a hole");
        if (!block || !done(ext2_read(&v, block, 0, found, v.block_size)))
            continue;
        fill(want, i, k);
        check(lies || !memcmp(want, found, v.block_size), "a block has another's content");
    }
}

static void operate(void)
{
    const unsigned i = roll(FILES);
    calls = 0;
    if (!files[i].there) {
        make(i);
        return;
    }
    switch (roll(16)) {
    case 0:
        unmake(i);
        break;
    case 1:
    case 2:
        cut(i);
        break;
    case 3:
        move(i);
        break;
    case 4:
        link_text(i);
        break;
    case 5:
    case 6:
        verify(i);
        break;
    default:
        write_block(i);
    }
}

/* ---- Walking what is there ---- */

struct found {
    uint32_t numbers[4096];
    unsigned count;
};

static int see(void *of, const struct ext2_entry *e)
{
    struct found *const f = of;
    check(e->inode && e->inode <= v.super.inodes && e->name[0] && !strchr(e->name, '/'),
          "a name is none");
    if (f->count < 4096)
        f->numbers[f->count++] = e->inode;
    return 0;
}

/* Read everything that a name leads to, not more than once each round. */
static void walk(void)
{
    static struct found f;
    uint8_t bytes[4096];
    char text[4096];
    f.count = 1;
    f.numbers[0] = EXT2_ROOT;
    for (unsigned i = 0; i < f.count && i < 300; i++) {
        struct ext2_node node;
        uint32_t block;
        calls = 0;
        if (ext2_node_read(&v, f.numbers[i], &node))
            continue;
        if ((node.raw.mode & S_IFMT) == S_IFDIR && ext2_each(&v, &node, see, &f))
            continue;
        if ((node.raw.mode & S_IFMT) == S_IFLNK)
            (void)!ext2_link_read(&v, &node, text, sizeof(text));
        for (unsigned k = 0; k < 100; k++)
            if (!ext2_map(&v, &node, k < 30 ? k : (uint64_t)k * k * k, false, &block) && block)
                (void)!ext2_read(&v, block, 0, bytes, v.block_size);
    }
}

static void read_image(const char *path)
{
    FILE *f = fopen(path, "rb");
    check(f, "the image cannot be opened");
    fseek(f, 0, SEEK_END);
    disk_size = ftell(f);
    rewind(f);
    disk = malloc(disk_size);
    check(fread(disk, 1, disk_size, f) == disk_size, "the image cannot be read");
    fclose(f);
}

static void write_image(const char *path)
{
    FILE *f = fopen(path, "r+b");
    check(f && fwrite(disk, 1, disk_size, f) == disk_size && !fclose(f),
          "the image cannot be written");
}

static void work(const char *path, unsigned long steps)
{
    const char *why;
    check(!ext2_open(&v, &ops, NULL, disk_size, false, &why) && !ext2_begin_writing(&v, 1000),
          "a new volume cannot be opened");
    while (steps--)
        operate();
    for (unsigned i = 0; i < FILES; i++)
        if (files[i].there)
            verify(i);
    check(!ext2_end_writing(&v), "the volume cannot be closed");
    ext2_close(&v);
    write_image(path);
    printf("ok 1 - random operations do what the model does\n1..1\n");
}

/* Bytes or numbers that are likely to hurt, most of them where something is: what is not zero tells about the rest. */
static void mutate(void)
{
    static const uint32_t values[] = {0, 1, 2, 11, 12, 0xffffffff, 0x7fffffff, 1024, 4096, 0xffff};
    for (unsigned n = 1 + roll(16); n; n--) {
        size_t at = 0;
        for (unsigned tries = 0; tries < 200 && !disk[at]; tries++)
            at = ((size_t)roll(1 << 24) * 64 + roll(64)) %
                 ((roll(4) ? MIN(disk_size, 300000ul) : disk_size) - 4);
        if (roll(8) == 0)
            at = EXT2_SUPER_AT + roll(104);
        if (roll(2))
            disk[at] ^= 1u << roll(8);
        else
            memcpy(disk + (at & ~3ul), &values[roll(ARRAY_SIZE(values))], 4);
    }
}

static void suffer(unsigned long rounds)
{
    uint8_t *const whole = malloc(disk_size);
    unsigned long opened = 0, wrong = 0;
    memcpy(whole, disk, disk_size);
    lies = true;
    for (unsigned long i = 0; i < rounds; i++) {
        const char *why = NULL;
        memcpy(disk, whole, disk_size);
        memset(files, 0, sizeof(files));
        mutate();
        calls = 0;
        const int rc = ext2_open(&v, &ops, NULL, disk_size, false, &why);
        if (rc) {
            check(rc == -ENOMEM || why, "a refusal without a reason");
            continue;
        }
        opened++;
        walk();
        v.found_wrong = false; /* go on, with what is left of it */
        if (!ext2_begin_writing(&v, 1000))
            for (unsigned k = 0; k < 60; k++) {
                operate();
                wrong += v.found_wrong;
                v.found_wrong = false;
            }
        (void)!ext2_end_writing(&v);
        ext2_close(&v);
    }
    free(whole);
    check(opened > rounds / 10 && opened < rounds && wrong, "no lie has mattered");
    printf("# %lu of %lu opened, %lu operations found something wrong\n", opened, rounds, wrong);
    printf("ok 1 - nothing that is on a disk harms who reads and writes it\n1..1\n");
}

int main(int argc, char **argv)
{
    check(argc == 5, "usage: test-ext2 work|lies IMAGE SEED COUNT");
    read_image(argv[2]);
    seed = strtoul(argv[3], NULL, 0);
    if (!strcmp(argv[1], "work"))
        work(argv[2], strtoul(argv[4], NULL, 0));
    else
        suffer(strtoul(argv[4], NULL, 0));
    free(disk);
    return 0;
}
