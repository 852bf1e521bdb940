/* An initramfs made in memory.  See initramfs.h. */
#include "initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"

static la_ssize_t append(struct archive *a, void *context, const void *data, size_t size)
{
    bytes_append(((struct initramfs *)context)->out, data, size);
    return (la_ssize_t)size;
}

void initramfs_open(struct initramfs *i, struct bytes *out)
{
    while (out->size % 4)
        bytes_append(out, "", 1);
    *i = (struct initramfs){.archive = archive_write_new(), .out = out};
    archive_write_set_format_cpio_newc(i->archive);
    archive_write_set_bytes_per_block(i->archive, 0);
    archive_write_open(i->archive, i, NULL, append, NULL);
}

void initramfs_close(struct initramfs *i)
{
    archive_write_close(i->archive);
    archive_write_free(i->archive);
    i->archive = NULL;
}

/* Everything belongs to root and has the same date: the same files make the same archive. */
static struct archive_entry *entry(struct initramfs *i, const char *name, unsigned mode)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, (mode_t)mode);
    archive_entry_set_nlink(e, 1);
    archive_entry_set_ino(e, ++i->files);
    return e;
}

static void put(struct initramfs *i, struct archive_entry *e, const void *data, size_t size)
{
    archive_entry_set_size(e, (la_int64_t)size);
    archive_write_header(i->archive, e);
    if (size)
        archive_write_data(i->archive, data, size);
    archive_entry_free(e);
}

void initramfs_folder(struct initramfs *i, const char *name)
{
    put(i, entry(i, name, S_IFDIR | 0755), NULL, 0);
}

void initramfs_device(struct initramfs *i, const char *name, unsigned major, unsigned minor)
{
    struct archive_entry *e = entry(i, name, S_IFCHR | 0600);
    archive_entry_set_rdev(e, makedev(major, minor));
    put(i, e, NULL, 0);
}

void initramfs_data(struct initramfs *i, const char *name, unsigned mode, const void *data,
                    size_t size)
{
    put(i, entry(i, name, S_IFREG | mode), data, size);
}

/* --- What the user adds ---------------------------------------------------- */

static enum verdict add_file(struct initramfs *i, const char *path, const char *name, unsigned mode)
{
    void *data;
    size_t size;
    enum verdict v = file_read(path, "the file to add", &data, &size);
    if (v)
        return v;
    initramfs_data(i, name, mode & 07777, data, size);
    free(data);
    return VERDICT_OK;
}

static enum verdict add_symlink(struct initramfs *i, const char *path, const char *name)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    if (n < 0)
        return verdict_say(VERDICT_NO_FILE, "cannot read the link %s: %s; check it", path,
                           strerror(errno));
    target[n] = '\0';
    struct archive_entry *e = entry(i, name, S_IFLNK | 0777);
    archive_entry_set_symlink(e, target);
    put(i, e, NULL, 0);
    return VERDICT_OK;
}

/* The folders above @name, which may be there already: unpacking one twice does no harm. */
static void add_parents(struct initramfs *i, const char *name)
{
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        char *parent = strndup(name, (size_t)(slash - name));
        initramfs_folder(i, parent);
        free(parent);
    }
}

static enum verdict add_node(struct initramfs *i, const FTSENT *f, const char *name)
{
    switch (f->fts_info) {
    case FTS_D:
        initramfs_folder(i, name);
        return VERDICT_OK;
    case FTS_F:
        return add_file(i, f->fts_accpath, name, f->fts_statp->st_mode);
    case FTS_SL:
    case FTS_SLNONE:
        return add_symlink(i, f->fts_accpath, name);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return verdict_say(VERDICT_NO_FILE, "cannot read %s: %s; check the path", f->fts_path,
                           strerror(f->fts_errno));
    case FTS_DEFAULT: /* in a folder it is left out, asked for it is a mistake */
        return f->fts_level > FTS_ROOTLEVEL
                   ? VERDICT_OK
                   : verdict_say(VERDICT_NO_FILE,
                                 "cannot add %s: it is a device, a socket or a pipe; --add takes "
                                 "files, folders and links",
                                 f->fts_path);
    default: /* a folder again on the way out */
        return VERDICT_OK;
    }
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum verdict add_tree(struct initramfs *i, char *path, const char *target)
{
    char *const paths[] = {path, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    const size_t top = strlen(path);
    enum verdict v = VERDICT_OK;

    if (!fts) /* it is opened when it is read, but "" is no path */
        return verdict_say(VERDICT_NO_FILE, "cannot add \"%s\": %s; give --add PATH[:/TARGET]",
                           path, strerror(errno));
    for (FTSENT *f; !v && (f = fts_read(fts));) {
        const char *below = f->fts_pathlen > top ? f->fts_path + top : "";
        char *name = memory_format("%s%s", target, below);
        v = add_node(i, f, name);
        free(name);
    }
    fts_close(fts);
    return v;
}

enum verdict initramfs_add(struct initramfs *i, const char *what)
{
    const char *colon = NULL; /* the last that a target follows */
    for (const char *c = strstr(what, ":/"); c; c = strstr(c + 1, ":/"))
        colon = c;

    char *path = colon ? strndup(what, (size_t)(colon - what)) : memory_strdup(what);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    const char *target = colon ? colon + 2 : "";
    const size_t n = strlen(target);
    char *name = n == 0 || target[n - 1] == '/' ? memory_format("%s%s", target, last)
                                                : memory_strdup(target);
    add_parents(i, name);
    enum verdict v = add_tree(i, path, name);
    free(name);
    free(path);
    return v;
}
