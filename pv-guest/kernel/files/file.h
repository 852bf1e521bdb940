/* Open files and the tables of descriptors that name them. */
#pragma once

#include "inode.h"
#include "task.h"
#include "user.h"

struct file;

/* What a kind of file can do; absent means -EINVAL (or -ENOTTY for ioctl). */
struct file_ops {
    const char *name; /* of files without an inode, for /proc */
    long (*open)(struct file *file);
    long (*read)(struct file *file, user_t to, size_t size);
    long (*write)(struct file *file, user_t from, size_t size);
    /* How much has ever arrived to be read; absent: nobody counts. */
    uint64_t (*arrived)(struct file *file);
    int (*poll)(struct file *file); /* which of POLLIN, POLLOUT, POLLHUP, POLLERR hold */
    long (*ioctl)(struct file *file, unsigned command, user_t arg);
    /* Fill [start, start+size), an area of AREA_FOREIGN, with what is at @offset: 0 or -errno. */
    int (*map)(struct file *file, uintptr_t start, size_t size, uint64_t offset);
    void (*release)(struct file *file);
    /* What has been written is where it stays; absent: it is nowhere but in memory. */
    int (*sync)(struct file *file);
    /* Where it ends, for SEEK_END; absent: at its inode's size. */
    uint64_t (*size)(const struct file *file);
    bool no_offset; /* it cannot be moved in, though it has a name */
};

struct file {
    unsigned refs;
    unsigned flags; /* O_* */
    uint64_t offset;
    struct inode *inode; /* NULL: it has no name and needs none */
    const struct file_ops *ops;
    void *object;                          /* of ops */
    bool writes;                           /* counted in inode->writers */
    bool watched;                          /* epoll.c knows it */
    bool locked;                           /* file-lock.c: flock, or a lock of its own on a range */
    int owner, owner_thread, owner_signal; /* fcntl: whom notice.c tells, by which signal */
    uint64_t notice_seen;
    bool noticed, leased; /* notice.c, lease.c know it */
    struct list notice;   /* notice.c: with O_ASYNC */
};

#define FILES_MAX     1024
#define FILES_FIRST   32
#define FILE_SIZE_MAX (1ul << 40)

struct files {
    unsigned refs;
    int end;   /* all descriptors in use are below */
    int slots; /* of table */
    struct file **table, *first[FILES_FIRST];
    uint64_t close_on_exec[FILES_MAX / 64];
};

/* One reference; takes one on @inode if there is one.  NULL without memory. */
struct file *file_new(struct inode *inode, const struct file_ops *ops, unsigned flags);
static inline void file_get(struct file *file)
{
    file->refs++;
}
void file_put(struct file *file);
/* Open @inode as its kind requires: 0 and *file, or -errno. */
MUST_CHECK int file_open(struct inode *inode, unsigned flags, struct file **file);

/* Give regular file @inode another size, as its seals and the process's limit allow: 0 or -errno. */
MUST_CHECK int file_resize(struct inode *inode, uint64_t size);
/* Does it have an offset that can be moved? */
bool file_seekable(const struct file *file);

struct files *files_new(void);
struct files *files_copy(struct files *from);
void files_put(struct files *files);
/* @task has a table of its own from now on, if there is memory for that. */
void files_unshare(struct task *task);
/* What stands at @fd in @files is not in it any more. */
void files_forget(struct files *files, int fd);
void files_close_on_exec(struct files *files);

/* The file @fd of @files, or NULL; of a task that is ending @files may be NULL. */
struct file *files_find(const struct files *files, uint64_t fd);
/* The running task's file @fd, or NULL; without a reference, and another thread may close it during
 * a wait. */
struct file *fd_file(int fd);
/* The same, and those opened by O_PATH, too, which stand for a place in the tree and nothing else. */
struct file *fd_file_or_path(int fd);
/* Give @file (whose reference moves) the lowest number from @from on; or -EMFILE. */
MUST_CHECK int fd_install(struct file *file, int from, bool close_on_exec);
MUST_CHECK int fd_replace(int fd, struct file *file, bool close_on_exec);
MUST_CHECK int fd_close(int fd);
/* Give @file, whose reference moves, the lowest number; without one it is dropped. NULL: -ENOMEM.
 */
long fd_open(struct file *file, bool close_on_exec);
/* @files has no use for @file any more, which was in its table. */
void file_let_go(struct files *files, struct file *file);
bool fd_close_on_exec(int fd);
void fd_set_close_on_exec(int fd, bool on);

/* Everybody in poll or select waits here; whatever becomes ready wakes it. */
extern struct wait_queue poll_wait;

/* Which of POLLIN and its kin hold now. */
int file_ready(struct file *file);
/* epoll.c: nobody has @file open any more. */
void epoll_file_gone(struct file *file);

extern const struct file_ops regular_ops, directory_ops, path_ops, console_ops;
void console_tty_init(void);
#define DEVICE(major, minor) ((major) << 8 | (minor))
void dev_init(void);
/* Put all devices into @dir. */
void dev_populate(struct inode *dir);
/* @inode is device @device from now on, whether or not there is one. */
void dev_assign(struct inode *inode, unsigned device);
/* eventfd.c: has @file been made by eventfd; count one in it. */
bool is_eventfd(const struct file *file);
void eventfd_count(struct file *file);
MUST_CHECK int pipe_new(unsigned flags, struct file **reader, struct file **writer);
extern const struct file_ops fifo_ops;
