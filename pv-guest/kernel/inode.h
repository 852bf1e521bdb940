/*
 * The file system: inodes in memory, nothing behind them.
 *
 * The initramfs is unpacked into it at boot and it is writable from then on.
 */
#pragma once

#include "linux.h"
#include "list.h"

struct page;
struct file_ops;
struct pipe;

#define NAME_MAX 255
#define PATH_MAX 4096

/**
 * struct inode - a file, directory, symbolic link or device.
 *
 * I1  refs = directory entries naming it + open files, mappings, working
 *     directories and lookups in progress.  At zero it is freed.
 * I2  A directory other than the root has at most one entry naming it, in @parent.
 */
struct inode {
    unsigned refs;
    unsigned mode, uid, gid, links;
    uint64_t number, size, mtime;

    struct list entries;  /* directory */
    struct inode *parent; /* directory; NULL once removed */
    uint64_t next_cookie;

    struct page **pages; /* regular file; holes are NULL */
    size_t page_slots;
    char *target; /* symbolic link */

    const struct file_ops *ops; /* device */
    unsigned device;
    struct pipe *pipe; /* named pipe, while open */
};

/* A name in a directory.  Cookies grow, so that reading a directory can go on
 * where it was after entries have come and gone. */
struct entry {
    struct list link;
    struct inode *inode;
    uint64_t cookie;
    char name[];
};

extern struct inode *root_inode;

void inode_init(void);
struct inode *inode_new(unsigned mode); /* one reference; NULL without memory */
static inline void inode_get(struct inode *inode)
{
    inode->refs++;
}
void inode_put(struct inode *inode);

static inline bool inode_is(const struct inode *inode, unsigned type)
{
    return (inode->mode & S_IFMT) == type;
}

struct entry *dir_find(struct inode *dir, const char *name);
/* Add a name for @inode (a reference is taken): -EEXIST, -ENOMEM, -ENOENT in a removed directory.
 */
MUST_CHECK int dir_add(struct inode *dir, const char *name, struct inode *inode);
void dir_remove(struct inode *dir, struct entry *entry);

/* The page that holds @offset of a file, made if it is a hole; -EFAULT behind the end. */
MUST_CHECK int inode_page(struct inode *inode, uint64_t offset, struct page **page);
/* Kernel-side read; returns bytes, 0 at the end. */
size_t inode_read(struct inode *inode, uint64_t offset, void *to, size_t size);
MUST_CHECK int inode_resize(struct inode *inode, uint64_t size);
/* Room for [0, size): allocates the array, not the pages. */
MUST_CHECK int inode_reserve(struct inode *inode, uint64_t size);
struct page *inode_page_at(struct inode *inode, uint64_t index, bool create);

/* path.c: all return 0 or -errno; *@found carries a reference. */
#define PATH_NOFOLLOW 1
MUST_CHECK int path_find(struct inode *start, const char *path, unsigned flags,
                         struct inode **found);
/* The directory in which @path's last component is or would be; its name goes to @name. */
MUST_CHECK int path_parent(struct inode *start, const char *path, struct inode **dir,
                           char name[NAME_MAX + 1]);
/* Make @path, an inode of @mode, below existing directories. */
MUST_CHECK int path_make(struct inode *start, const char *path, unsigned mode, struct inode **made);
/* Absolute path of a directory into @to; length or -ERANGE or -ENOENT. */
MUST_CHECK long path_of(struct inode *dir, char *to, size_t size);
