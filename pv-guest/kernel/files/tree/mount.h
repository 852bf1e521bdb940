/* What is mounted where. */
#pragma once

#include "inode.h"
#include "list.h"

/*
 * @root in place of @covered, which remembers it, and is held.  It is a tree of its own; or, @bound, a directory or
 * file of another tree, which still is where it was: ".." leads out of it there.
 */
struct mount {
    struct list link; /* mounts, in the order in which they were made */
    struct inode *covered, *root;
    bool bound;
    bool expiring; /* as MNT_EXPIRE has it: nobody has been there since */
    char source[64];
};

/* What a mount can be told about a tmpfs. */
struct mount_options {
    bool has_pages, has_inodes, has_mode, has_uid, has_gid;
    uint64_t pages, inodes; /* most; 0: no limit */
    unsigned mode, uid, gid;
};

/* @text (or NULL), which is changed: 0 or -EINVAL. */
MUST_CHECK int mount_options_read(char *text, struct mount_options *o);
/* -EINVAL if there is more in the file system of @root than it may have. */
MUST_CHECK int mount_options_apply(const struct mount_options *o, struct inode *root);

/* A file system on a disk: @mount makes the tree of the disk whose file @source is, in @fs: *root with a reference. */
struct mount_disk_type {
    const char *name;
    uint32_t magic;
    int (*mount)(const char *source, bool read_only, struct filesystem *fs, struct inode **root);
};
void mount_register(const struct mount_disk_type *type);
/* A new tree of @type (and of what is at @source) over @where; @flags: MS_RDONLY. */
#define MS_RDONLY 1
MUST_CHECK int mount_on(struct inode *where, const char *type, const char *source, unsigned flags,
                        const struct mount_options *o);
/* What has been written to @m is on its disk, if it has one; others may have taken it away meanwhile. */
void mount_sync(const struct mount *m);
/* All that has been written is on the disks. */
void mount_sync_all(void);
/* The machine ends: the same, and nothing is written any more. */
void mount_end_all(void);
/* The disk file @source is the root of the first process, with the usual things mounted in it: 0 or -errno. */
MUST_CHECK int mount_root(const char *source, const char *type, bool read_only);

extern struct list mounts;
/* The @i-th kind of file system that can be mounted, and does it need a disk; NULL: there are no more. */
const char *mount_type(unsigned i);
bool mount_type_on_disk(unsigned i);

/* The kernel's own mount at boot: /proc. */
void mount_init(void);
