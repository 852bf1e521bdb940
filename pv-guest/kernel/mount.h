/* What is mounted where. */
#pragma once

#include "inode.h"
#include "list.h"

/* @root, a tree of its own, in place of the directory @covered.  @covered remembers, and holds it.
 */
struct mount {
    struct list link; /* mounts, in the order in which they were made */
    struct inode *covered, *root;
    char source[64];
};

extern struct list mounts;

/* The kernel's own mount at boot: /proc. */
void mount_init(void);
