/* Reading directories. */
#include "errno.h"
#include "file.h"
#include "inotify.h"
#include "syscall.h"
#include "text.h"

/* Records on their way into the caller's buffer. */
struct output {
    struct file *file;
    user_t to;
    size_t room, done;
    bool old;   /* as getdents had it: the type behind the name */
    long error; /* the first record did not get there */
};

/* As getdents had it: the type stands in the last byte. */
struct linux_dirent {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    char name[];
};
#define OLD_NAME_AT offsetof(struct linux_dirent, name)

/* Fill in @buffer with @entry: how long it is. */
static size_t make_record(const struct output *out, const struct dir_record *entry, void *buffer)
{
    const size_t name = strlen(entry->name) + 1;
    const size_t length =
        ROUND_UP(out->old ? OLD_NAME_AT + name + 1 : sizeof(struct linux_dirent64) + name, 8ul);
    const uint8_t type = entry->mode >> 12 & 15; /* DT_* are the type bits of the mode */
    struct linux_dirent64 *record = buffer;      /* which both begin with */
    record->ino = entry->number;
    record->off = entry->cookie;
    record->reclen = length;
    record->type = type;
    text_copy(out->old ? ((struct linux_dirent *)buffer)->name : record->name, entry->name,
              NAME_MAX + 1);
    if (out->old)
        ((uint8_t *)buffer)[length - 1] = type;
    return length;
}

/* Give one record, and move the file's offset behind it; false if that was not possible. */
static bool directory_give(struct output *out, const struct dir_record *entry)
{
    uint64_t buffer[(sizeof(struct linux_dirent64) + NAME_MAX + 8) / 8] = {0};
    const size_t length = make_record(out, entry, buffer);

    if (length > out->room - out->done) {
        out->error = -EINVAL;
        return false;
    }
    if (user_write(out->to + out->done, buffer, length)) {
        out->error = -EFAULT;
        return false;
    }
    out->done += length;
    out->file->offset = entry->cookie;
    return true;
}

static bool give_dots(struct output *out, const struct inode *dir)
{
    const struct inode *up = dir->parent ? dir->parent : dir;
    const struct dir_record dot = {".", dir->number, S_IFDIR, 1},
                            dots = {"..", up->number, S_IFDIR, 2};
    return (out->file->offset > 0 || directory_give(out, &dot)) &&
           (out->file->offset > 1 || directory_give(out, &dots));
}

/* Entries follow the dots, so their cookies are 2 more than the directory's own. */
static void give_entries(struct output *out, const struct inode *dir)
{
    const struct entry *e;
    list_for_each(e, &dir->entries, link)
    {
        const struct dir_record r = {e->name, e->inode->number, e->inode->mode, e->cookie + 2};
        if (r.cookie > out->file->offset && !directory_give(out, &r))
            return;
    }
}

static void give_dynamic(struct output *out, const struct inode *dir)
{
    char name[NAME_MAX + 1];
    struct dir_record r = {.name = name};
    while (dir->dynamic->next(dir, out->file->offset - 2, &r, name)) {
        r.cookie += 2;
        if (!directory_give(out, &r))
            return;
    }
}

static long give_from(struct file *file, const struct syscall_args *a, bool old)
{
    struct output out = {.file = file, .to = a->arg[1], .room = (unsigned)a->arg[2], .old = old};
    const struct inode *dir = file->inode;
    if (!dir || !inode_is(dir, S_IFDIR))
        return -ENOTDIR;
    if (!dir->parent)
        return -ENOENT; /* removed */
    const int rc = dir_load(file->inode);
    if (rc)
        return rc;
    inotify(file->inode, IN_ACCESS);
    if (give_dots(&out, dir) && dir->dynamic)
        give_dynamic(&out, dir);
    else if (!out.error)
        give_entries(&out, dir);
    return out.done ? (long)out.done : out.error;
}

static long give_directory(const struct syscall_args *a, bool old)
{
    struct file *const file = fd_file(a->arg[0]);
    if (!file)
        return -EBADF;
    file_get(file); /* another thread may close it meanwhile */
    const long rc = give_from(file, a, old);
    file_put(file);
    return rc;
}

long syscall_getdents64(const struct syscall_args *a)
{
    return give_directory(a, false);
}

long syscall_getdents(const struct syscall_args *a)
{
    return give_directory(a, true);
}
