/* Pairs of terminals, and the file system that their slaves' names are in. */
#pragma once

#define PTY_MAJOR 136 /* of the slaves' device numbers */

#include "file.h"

#define DEVPTS_MAGIC 0x1cd1

/* /dev/ptmx: opening it makes a pair, of which it is the master. */
extern const struct file_ops ptmx_ops;
/* What a new devpts has in it. */
void devpts_populate(struct inode *root);
