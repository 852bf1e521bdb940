/* Advisory locks: fcntl's on ranges of a file, which a process has, and flock's, which an open file
 * has. */
#pragma once

#include "file.h"

/* F_GETLK, F_SETLK, F_SETLKW. */
long record_lock(struct file *file, unsigned command, user_t arg);
/* A process with @files has closed a descriptor of @file: its locks on that inode go. */
void record_locks_drop(struct files *files, const struct file *file);
/* flock(2). */
long file_lock(struct file *file, unsigned operation);
/* Nobody has @file open any more. */
void file_locks_drop(struct file *file);
