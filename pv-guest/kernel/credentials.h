/*
 * Who a process is, and what it may do with files, processes and the system.
 *
 * User 0 may do everything; there are no capabilities.  All threads of a process are the same user.
 */
#pragma once

#include "base.h"

struct inode;
struct process;

#define GROUPS_LIMIT 65536 /* supplementary groups of one process */

/* Supplementary groups; several processes may share a set, which never changes. */
struct group_set {
    unsigned refs, count;
    unsigned ids[];
};

/* Real, effective and saved numbers, and those that count for files (setfsuid), which follow the effective ones. */
struct ids {
    unsigned real, effective, saved, file;
};

struct credentials {
    struct ids user, group;
    struct group_set *groups; /* NULL: none */
};

/* A child's, which shares the groups. */
void credentials_copy(struct credentials *to, const struct credentials *from);
void credentials_drop(struct credentials *c);

/* May the running process do what only root may?  The kernel itself, at boot, may. */
bool access_root(void);
/* Is the running process in @group, for files? */
bool access_in_group(unsigned group);

#define MAY_EXECUTE 1 /* or go through, of a directory */
#define MAY_WRITE   2
#define MAY_READ    4

/* May the running process do that to @inode?  0, -EACCES, or -EROFS where nobody may. */
MUST_CHECK int access_check(const struct inode *inode, unsigned want);
/* The same as the user that it is really (access(2)). */
MUST_CHECK int access_check_real(const struct inode *inode, unsigned want);
/* May it change mode and times?  0 or -EPERM; -EROFS. */
MUST_CHECK int access_own(const struct inode *inode);
/* May it take @inode's name out of @dir?  As access_check, and -EPERM for another user's in a sticky directory. */
MUST_CHECK int access_remove(const struct inode *dir, const struct inode *inode);
/* Is everything that holds @inode only to be read? */
bool access_read_only(const struct inode *inode);
/* A file that was written to by others than root is no longer set-id. */
void access_drop_set_id(struct inode *inode);

/* May the running process send @number to @to? */
bool access_signal(const struct process *to, int number);
/* May it look at what @to has open and where it is, or change its limits?  Being that user in every respect. */
bool access_look(const struct process *to);
/* May it change how @to is scheduled? */
bool access_schedule(const struct process *to);
