/* POSIX message queues, which are files (sys-mqueue.c). */
#pragma once

struct file;
struct file_ops;
struct inode;

/* Limits, which are Linux's. */
#define MQUEUE_QUEUES_MOST   256
#define MQUEUE_MESSAGES_MOST 10
#define MQUEUE_SIZE_MOST     8192

/* The queue that @inode is goes with it. */
void mqueue_gone(struct inode *inode);
extern const struct file_ops mqueue_ops;
/* The running process has closed @file, which is a queue: what arrives there is not told to it any more. */
void mqueue_closed(const struct file *file);
