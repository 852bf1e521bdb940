/* POSIX message queues, which are files (sys-mqueue.c). */
#pragma once

struct file;
struct inode;

/* Limits, which are Linux's. */
#define MQUEUE_QUEUES_MOST   256
#define MQUEUE_MESSAGES_MOST 10
#define MQUEUE_SIZE_MOST     8192

/* The queue that @inode is goes with it. */
void mqueue_gone(struct inode *inode);
/* The running process has closed @file, which may be a queue: what arrives there is not told to it any more. */
void mqueue_closed(const struct file *file);
