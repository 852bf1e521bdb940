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
    long error; /* the first record did not get there */
};

/* Give one record, and move the file's offset behind it; false if that was not possible. */
static bool give(struct output *out, const struct dir_record *entry)
{
    const size_t length = ROUND_UP(sizeof(struct linux_dirent64) + strlen(entry->name) + 1, 8ul);
    uint64_t buffer[(sizeof(struct linux_dirent64) + NAME_MAX + 8) / 8] = {0};
    struct linux_dirent64 *record = (struct linux_dirent64 *)buffer;

    if (length > out->room - out->done) {
        out->error = -EINVAL;
        return false;
    }
    record->ino = entry->number;
    record->off = entry->cookie;
    record->reclen = length;
    record->type = entry->mode >> 12 & 15; /* DT_* are the type bits of the mode */
    text_copy(record->name, entry->name, NAME_MAX + 1);
    if (user_write(out->to + out->done, record, length)) {
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
    return (out->file->offset > 0 || give(out, &dot)) &&
           (out->file->offset > 1 || give(out, &dots));
}

/* Entries follow the dots, so their cookies are 2 more than the directory's own. */
static void give_entries(struct output *out, const struct inode *dir)
{
    const struct entry *e;
    list_for_each(e, &dir->entries, link)
    {
        const struct dir_record r = {e->name, e->inode->number, e->inode->mode, e->cookie + 2};
        if (r.cookie > out->file->offset && !give(out, &r))
            return;
    }
}

static void give_dynamic(struct output *out, const struct inode *dir)
{
    char name[NAME_MAX + 1];
    struct dir_record r = {.name = name};
    while (dir->dynamic->next(dir, out->file->offset - 2, &r, name)) {
        r.cookie += 2;
        if (!give(out, &r))
            return;
    }
}

long syscall_getdents64(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    struct output out = {.file = file, .to = a->arg[1], .room = (unsigned)a->arg[2]};
    if (!file)
        return -EBADF;
    const struct inode *dir = file->inode;
    if (!dir || !inode_is(dir, S_IFDIR))
        return -ENOTDIR;
    if (!dir->parent)
        return -ENOENT; /* removed */
    inotify(file->inode, IN_ACCESS);
    if (give_dots(&out, dir) && dir->dynamic)
        give_dynamic(&out, dir);
    else if (!out.error)
        give_entries(&out, dir);
    return out.done ? (long)out.done : out.error;
}
