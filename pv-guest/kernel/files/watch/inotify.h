/* inotify: files from which it is read what happens to other files. */
#pragma once

#include "inode.h"

enum inotify_event {
    IN_ACCESS = 1,
    IN_MODIFY = 2,
    IN_ATTRIB = 4,
    IN_CLOSE_WRITE = 8,
    IN_CLOSE_NOWRITE = 0x10,
    IN_OPEN = 0x20,
    IN_MOVED_FROM = 0x40,
    IN_MOVED_TO = 0x80,
    IN_CREATE = 0x100,
    IN_DELETE = 0x200,
    IN_DELETE_SELF = 0x400,
    IN_MOVE_SELF = 0x800,
};

extern unsigned inotify_watches; /* how many there are, of all files */
void inotify_tell_inode(struct inode *inode, unsigned event);
void inotify_tell_entry(struct inode *dir, unsigned event, unsigned cookie, const char *name,
                        const struct inode *inode);
/* A number that the two halves of a move have in common. */
unsigned inotify_cookie(void);
/* @inode, which was watched, is freed. */
void inotify_gone(struct inode *inode);

/* @event happened to @inode: those who watch it, or the directory that it is in, are told. */
static inline void inotify(struct inode *inode, unsigned event)
{
    if (inotify_watches)
        inotify_tell_inode(inode, event);
}
/* @event happened in @dir to the name @name, which stands for @inode. */
static inline void inotify_entry(struct inode *dir, unsigned event, unsigned cookie,
                                 const char *name, const struct inode *inode)
{
    if (inotify_watches)
        inotify_tell_entry(dir, event, cookie, name, inode);
}
