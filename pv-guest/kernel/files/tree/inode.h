/*
 * The file system: inodes in memory.
 *
 * The initramfs is unpacked into it at boot and it is writable from then on; there is nothing behind it.  Behind other trees
 * there can be a disk: struct filesystem_ops says what happens there, and inodes are then what is known of it.
 */
#pragma once

#include "linux.h"
#include "list.h"
#include "wait.h"

struct page;
struct file_ops;
struct pipe;

#define NAME_MAX 255
#define PATH_MAX 4096

struct inode;
struct filesystem;

/* What statfs tells, in blocks. */
struct filesystem_room {
    uint64_t block_size, blocks, free, available, inodes, inodes_free;
};

/*
 * A file system on a disk: what is done there when something is done in memory.
 *
 * All but sync, busy, links and blocks are called with the file system locked (filesystem_lock), so one after the other; they
 * may sleep, and return 0 or -errno.  Names change in memory after they have changed here, pages go to the disk with sync.
 */
struct filesystem_ops {
    /* @dir's entries are not in memory yet: they are to be. */
    int (*load)(struct inode *dir);
    /* @inode is new, in the tree of @dir. */
    int (*make)(const struct inode *dir, struct inode *inode);
    int (*link)(struct inode *dir, const char *name, struct inode *inode);
    int (*unlink)(struct inode *dir, const char *name, struct inode *inode);
    /* @inode's name moves, and takes the place of @replaced if that is not NULL; @exchange: which gets the old one. */
    int (*move)(struct inode *from, const char *old_name, struct inode *to, const char *new_name,
                struct inode *inode, struct inode *replaced, bool exchange);
    /* @link has got its target. */
    int (*write_link)(struct inode *link);
    /* Page @index of @inode is to be in memory, if it is no hole; its bytes [from, to) are to have room on the disk. */
    int (*page)(struct inode *inode, uint64_t index, unsigned from, unsigned to);
    /* The content of [from, to) is not needed any more; beyond the size: room that @page has made for nothing. */
    int (*cut)(struct inode *inode, uint64_t from, uint64_t to);
    /* Can it be so large? */
    int (*grow)(struct inode *inode, uint64_t size);
    /* Is there anything but a hole in this page: 1, 0 or -errno. */
    int (*has)(struct inode *inode, uint64_t index);
    void (*room)(struct filesystem *fs, struct filesystem_room *room);
    int (*remount)(struct filesystem *fs, bool read_only);
    int (*sync)(struct filesystem *fs);
    /* Nobody has @inode any more: what to do with it is for later, this does not sleep. */
    void (*drop)(struct inode *inode);
    /* Does anybody have an inode of it, other than by its names? */
    bool (*busy)(struct filesystem *fs);
    unsigned (*links)(const struct inode *inode);
    uint64_t (*blocks)(const struct inode *inode); /* of 512 bytes */
    /* It is mounted nowhere, and nobody has anything of it. */
    void (*end)(struct filesystem *fs);
};

/* A tree of inodes: what stat calls a device, and statfs a file system. */
struct filesystem {
    const char *type;
    uint32_t magic; /* as statfs tells it */
    unsigned number;
    bool read_only;
    bool gone;   /* mounted nowhere: it ends with the last of its inodes */
    bool ending; /* its tree is being taken apart, in memory only */
    uint64_t inodes, pages;
    uint64_t writers;                 /* open files that may be written to, wherever they are */
    uint64_t inodes_most, pages_most; /* 0: as many as there is memory for */
    const struct filesystem_ops *ops; /* NULL: there is nothing but memory */
    void *object;                     /* of ops */
    bool locked;
    struct wait_queue unlocked;
};

/* What getdents64 tells about an entry. */
struct dir_record {
    const char *name;
    uint64_t number;
    unsigned mode;
    uint64_t cookie;
};

struct inode;

/* A directory whose entries are made up when they are asked for (proc.c). */
struct dir_ops {
    /* 0 and *found with a reference, or -errno. */
    int (*find)(struct inode *dir, const char *name, struct inode **found);
    /* The entry behind @cookie; its name may be put into @name.  False at the end. */
    bool (*next)(const struct inode *dir, uint64_t cookie, struct dir_record *record,
                 char name[NAME_MAX + 1]);
};

/**
 * struct inode - a file, directory, symbolic link or device.
 *
 * I1  refs = directory entries naming it + open files, mappings, working
 *     directories, mounts and lookups in progress.  At zero it is freed.
 * I2  A directory other than a root has at most one entry naming it, in @parent.
 * I3  Another file's @parent has an entry naming it, or is NULL.
 */
struct inode {
    unsigned refs;
    unsigned mode, uid, gid, links;
    uint64_t number, size, atime, mtime, ctime, btime;
    struct filesystem *fs;

    struct list entries;  /* directory */
    struct inode *parent; /* of a directory NULL once removed */
    uint64_t next_cookie;
    struct inode *mounted; /* the root of what is mounted here */
    struct inode *covers;  /* of a mounted root: where */
    bool crossed;          /* of a mounted root: a path has led there */

    struct page **pages; /* regular file; holes are NULL */
    size_t page_slots, page_count;
    char *target; /* of a symbolic link; of a made-up inode its name */

    const struct file_ops *ops; /* device, or a file that is made up */
    const struct dir_ops *dynamic;
    int (*follow)(struct inode *link, struct inode **to); /* a link that is no path */
    const void *node;  /* of a made-up one: proc.c's business... */
    int pid, index;    /* ...as well */
    bool holds_parent; /* made up, with a reference on @parent */
    unsigned device;
    struct pipe *pipe;       /* named pipe, while open */
    unsigned writers;        /* of a regular file: by open(2), to be written to */
    struct socket *socket;   /* bound to this name, without a reference */
    struct segment *segment; /* of shared memory, which this is; without a reference */
    struct mqueue *mqueue;   /* a message queue, which this is */
    struct list attributes;  /* sys-xattr.c */
    struct list watches;     /* inotify.c */
    void *disk;              /* of filesystem_ops; so are the next ones */
    bool loaded;             /* a directory whose entries are in memory */
    bool stale;              /* the disk does not know yet what has changed */
    bool mapped;             /* since somebody has it: its pages must stay... */
    bool mapped_shared;      /* ...and whoever has mapped it can have written to them */
    bool broken;             /* what the disk has of it cannot be */
    unsigned seals;          /* SEAL_*: what may not be done to it any more */
    bool sealable;           /* made by memfd_create */
};

/* A name in a directory.  Cookies grow, so that reading a directory can go on
 * where it was after entries have come and gone. */
struct entry {
    struct list link;
    struct inode *inode;
    uint64_t cookie;
    char name[];
};

extern struct inode *root_inode;
extern struct filesystem root_filesystem;

/* One at a time changes names, or asks the disk; of a file system in memory anybody, for nobody sleeps there. */
void filesystem_lock_disk(struct filesystem *fs);
void filesystem_unlock_disk(struct filesystem *fs);
static inline void filesystem_lock(struct filesystem *fs)
{
    if (fs && fs->ops)
        filesystem_lock_disk(fs);
}
static inline void filesystem_unlock(struct filesystem *fs)
{
    if (fs && fs->ops)
        filesystem_unlock_disk(fs);
}
static inline bool inode_on_disk(const struct inode *inode)
{
    return inode->fs && inode->fs->ops;
}

/* @inode, which is in none yet, is one of @fs from now on. */
void inode_join(struct inode *inode, struct filesystem *fs);
/* Nothing is mounted of @fs any more. */
void filesystem_end(struct filesystem *fs);

/* Where the running process's absolute paths begin. */
struct inode *inode_root(void);
/* The content, or what is known about it, has changed. */
void inode_modified(struct inode *inode);
void inode_changed(struct inode *inode);
#define SEAL_SEAL         1
#define SEAL_SHRINK       2
#define SEAL_GROW         4
#define SEAL_WRITE        8
#define SEAL_FUTURE_WRITE 16
#define SEAL_EXEC         32
#define SEAL_ALL          63
#define SEAL_WRITES       (SEAL_WRITE | SEAL_FUTURE_WRITE)
static inline bool inode_sealed(const struct inode *inode, unsigned seals)
{
    return inode->seals & seals;
}
/* What stat tells: 2 and one for each directory in it, or the number of its names. */
unsigned inode_links(const struct inode *inode);

/* A new inode of @mode beside those in @dir, without a name: 0 or -ENOMEM. */
MUST_CHECK int inode_new_in(const struct inode *dir, unsigned mode, struct inode **made);
void inode_init(void);
struct inode *inode_new(unsigned mode); /* one reference; NULL without memory */
static inline void inode_get(struct inode *inode)
{
    inode->refs++;
}
void inode_put(struct inode *inode);

static inline bool inode_is(const struct inode *inode, unsigned type)
{
    return (inode->mode & S_IFMT) == type;
}

/* @dir's entries are in memory; may sleep. */
MUST_CHECK int dir_load(struct inode *dir);
struct entry *dir_find(struct inode *dir, const char *name);
/* An entry that stands on the disk: -EEXIST, -ENOMEM. */
MUST_CHECK int dir_attach(struct inode *dir, const char *name, struct inode *inode);
/* Add a name for @inode (a reference is taken): -EEXIST, -ENOMEM, -ENOENT in a removed directory.
 */
MUST_CHECK int dir_add(struct inode *dir, const char *name, struct inode *inode);
void dir_remove(struct inode *dir, struct entry *entry);
/* The same, and on the disk, if there is one; @dir is locked. */
MUST_CHECK int dir_name_add(struct inode *dir, const char *name, struct inode *inode);
MUST_CHECK int dir_name_remove(struct inode *dir, struct entry *entry);

/*
 * inode-disk.c: what [offset, offset + size) has on a disk is in memory after this, until somebody sleeps; and @make: there
 * is room on the disk, too.  May sleep.
 */
MUST_CHECK int inode_load_disk(struct inode *inode, uint64_t offset, uint64_t size, bool make);
static inline int inode_load(struct inode *inode, uint64_t offset, uint64_t size, bool make)
{
    return inode_on_disk(inode) ? inode_load_disk(inode, offset, size, make) : 0;
}
/* The same for a mapping: it stays there as long as somebody has @inode. */
MUST_CHECK int inode_load_mapping(struct inode *inode, uint64_t offset, uint64_t size, bool shared);
/* What was loaded to be written to has been, or has not. */
void inode_written(struct inode *inode, uint64_t offset);
void inode_write_failed(struct inode *inode);
/* @page is page @index of @inode, which has none. */
MUST_CHECK int inode_give_page(struct inode *inode, uint64_t index, struct page *page);
/* Free pages of @inode that are on the disk and that nobody has, at most @most: how many. */
unsigned inode_drop_clean(struct inode *inode, unsigned most);
/* @inode is not in memory any more. */
void inode_free(struct inode *inode);

/* The page that holds @offset of a file, made if it is a hole; -ENXIO behind the end. */
MUST_CHECK int inode_page(struct inode *inode, uint64_t offset, struct page **page);
/* @inode, a new one, is this page, of which it takes a reference: 0 or -ENOMEM. */
MUST_CHECK int inode_show(struct inode *inode, struct page *page);
/* How many pages all files have. */
unsigned long inode_page_count(void);
/* Kernel-side read; returns bytes, 0 at the end. */
size_t inode_read(struct inode *inode, uint64_t offset, void *to, size_t size);
MUST_CHECK int inode_resize(struct inode *inode, uint64_t size);
/* Room for [0, size): allocates the array, not the pages. */
MUST_CHECK int inode_reserve(struct inode *inode, uint64_t size);
/* Give back the content of [start, end), which reads as zeroes from now on. */
MUST_CHECK int inode_punch(struct inode *inode, uint64_t start, uint64_t end);
struct page *inode_page_at(struct inode *inode, uint64_t index, bool create);

/* sys-xattr.c: @inode is going to be freed. */
void inode_attributes_drop(struct inode *inode);

/* path.c: all return 0 or -errno; *@found carries a reference. */
/* How far a path may lead, as openat2 has it: -EXDEV or -ELOOP where it leads farther. */
#define PATH_RESOLVE_UNIT 0x10000u
#define PATH_NO_MOUNTS    0x10000u  /* not into another file system */
#define PATH_NO_MAGIC     0x20000u  /* not by a link that is no path */
#define PATH_NO_LINKS     0x40000u  /* not by any symbolic link */
#define PATH_BENEATH      0x80000u  /* not out of the directory where it starts */
#define PATH_IN_ROOT      0x100000u /* that directory is its root */
#define PATH_RESOLVE      0x1f0000u
#define PATH_NOFOLLOW     1
#define PATH_FOLLOW       2 /* path_parent, path_make: where the last one, a symbolic link, leads */
MUST_CHECK int path_find(struct inode *start, const char *path, unsigned flags,
                         struct inode **found);
/* The directory in which @path's last component is or would be; its name goes to @name. */
MUST_CHECK int path_parent(struct inode *start, const char *path, unsigned flags,
                           struct inode **dir, char name[NAME_MAX + 1]);
#define PATH_FILE \
    4 /* path_make: open(2) wants a regular file, which a name with a slash behind cannot be */
/* Make @path, an inode of @mode, below existing directories. */
MUST_CHECK int path_make(struct inode *start, const char *path, unsigned flags, unsigned mode,
                         struct inode **made);
/* Absolute path of @inode into @to; length or -ERANGE or -ENOENT. */
MUST_CHECK long path_of(const struct inode *inode, char *to, size_t size);
