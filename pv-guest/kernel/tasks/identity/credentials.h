/*
 * Who a process is, and what it may do with files, processes and the system.
 *
 * What only some may do needs a capability, as on Linux; user 0 has all, unless it gave some up.  All threads of a
 * process are the same user.
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

/* Capabilities, as many as the kernel asks for. */
enum capability {
    CAP_CHOWN = 0,
    CAP_DAC_OVERRIDE = 1,
    CAP_DAC_READ_SEARCH = 2,
    CAP_FOWNER = 3,
    CAP_FSETID = 4,
    CAP_KILL = 5,
    CAP_SETGID = 6,
    CAP_SETUID = 7,
    CAP_SETPCAP = 8,
    CAP_NET_BIND_SERVICE = 10,
    CAP_NET_ADMIN = 12,
    CAP_IPC_LOCK = 14,
    CAP_IPC_OWNER = 15,
    CAP_SYS_CHROOT = 18,
    CAP_SYS_PTRACE = 19,
    CAP_SYS_ADMIN = 21,
    CAP_SYS_BOOT = 22,
    CAP_SYS_NICE = 23,
    CAP_SYS_RESOURCE = 24,
    CAP_SYS_TIME = 25,
    CAP_SYS_TTY_CONFIG = 26,
    CAP_MKNOD = 27,
    CAP_SYSLOG = 34,
    CAP_LAST = 40,
};
#define CAPABILITIES ((1ul << (CAP_LAST + 1)) - 1)

/* Sets of capabilities: bit n is capability n. */
struct capabilities {
    uint64_t effective;   /* that count */
    uint64_t permitted;   /* that can be made effective */
    uint64_t inheritable; /* that a program's file could give, of which no file says so here */
    uint64_t bounding;    /* that exec can give */
    uint64_t ambient;     /* that exec leaves */
};

struct credentials {
    struct ids user, group;
    struct capabilities capabilities;
    struct group_set *groups; /* NULL: none */
};

/* A child's, which shares the groups. */
void credentials_copy(struct credentials *to, const struct credentials *from);
void credentials_drop(struct credentials *c);

/* What pid 1 begins with. */
void credentials_init(struct credentials *c);
/* @old has become what the user's numbers in @c say now: so do the capabilities. */
void credentials_user_changed(struct credentials *c, const struct ids *old, bool keep);
/* The same for the number that counts for files alone, which was @old. */
void credentials_file_user_changed(struct credentials *c, unsigned old);
/* A program has been executed, whose set-id bits have been looked at: @set_id if they changed anything; with @no_more
 * (PR_SET_NO_NEW_PRIVS) nothing is permitted that was not. */
void credentials_executed(struct credentials *c, bool set_id, bool no_more);

/* May the running process do what needs that?  The kernel itself, at boot, may. */
bool access_capable(enum capability which);
/* Is the running process in @group, for files? */
bool access_in_group(unsigned group);
/* Does @c, whose first group is @primary, belong to @group? */
bool credentials_in_group(const struct credentials *c, unsigned primary, unsigned group);

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
/* May it look at what @to has open and where it is?  Being that user in every respect, with all capabilities that @to
 * has, unless @to does not let itself be looked at. */
bool access_look(const struct process *to);
/* May it see and change @to's limits? */
bool access_limit(const struct process *to);
/* May it change how @to is scheduled? */
bool access_schedule(const struct process *to);
