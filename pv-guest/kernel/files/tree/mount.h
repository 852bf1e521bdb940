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

extern struct list mounts;
/* The @i-th kind of file system that can be mounted; NULL: there are no more. */
const char *mount_type(unsigned i);

/* The kernel's own mount at boot: /proc. */
void mount_init(void);
