/* Disks as files in /dev. */
#pragma once

struct block_device;
struct inode;
struct file_ops;

extern const struct file_ops block_file_ops;
/* A name for @device in /dev. */
void block_node(struct block_device *device);
/* Names for all of them in @dir, a new /dev. */
void block_populate(struct inode *dir);
