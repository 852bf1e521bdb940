/* An initramfs made in memory.  See initramfs.h. */
#include "initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fts.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"

enum {
    HEADER = 110, /* bytes: a magic of 6, and 13 numbers of 8 hexadecimal digits */
    NAME_MOST =
        4096, /* Linux leaves out what has a longer name, or a longer link, and says nothing */
};

/* Room is left for headers and the trailer. */
#define MOST (FILE_MOST - (1u << 20))

#define TRAILER "TRAILER!!!"

/* --- What is there already ------------------------------------------------- */

/* "./usr//" and "/usr" are usr; the root is "". */
static char *plain_name(const char *name, size_t size)
{
    while (size && (*name == '/' || (*name == '.' && (size == 1 || name[1] == '/')))) {
        name++;
        size--;
    }
    while (size && name[size - 1] == '/')
        size--;
    return memory_format("%.*s", (int)size, name);
}

static const struct initramfs_name *find_name(const struct initramfs *i, const char *plain)
{
    for (size_t n = i->name_count; n-- > 0;) /* the last one counts */
        if (strcmp(i->names[n].path, plain) == 0)
            return &i->names[n];
    return NULL;
}

static void remember_name(struct initramfs *i, const char *name, size_t size, bool is_link)
{
    i->names = memory_resize(i->names, (i->name_count + 1) * sizeof(*i->names));
    i->names[i->name_count++] =
        (struct initramfs_name){.path = plain_name(name, size), .is_link = is_link};
}

static uint64_t hex8(const char *at)
{
    char digits[9] = {0};
    memcpy(digits, at, 8);
    return strtoul(digits, NULL, 16);
}

/* The size of the member at @at, or 0 if there is none. */
static size_t scan_member(struct initramfs *i, const char *at, size_t left)
{
    if (left < HEADER || (memcmp(at, "070701", 6) != 0 && memcmp(at, "070702", 6) != 0))
        return 0;
    const uint64_t mode = hex8(at + 14), size = hex8(at + 54), name = hex8(at + 94);
    const uint64_t content = (HEADER + name + 3) & ~UINT64_C(3);
    const uint64_t whole = (content + size + 3) & ~UINT64_C(3);

    if (!name || content > left || content + size > left)
        return 0;
    if (S_ISDIR(mode) || S_ISLNK(mode))
        remember_name(i, at + HEADER, strnlen(at + HEADER, name), S_ISLNK(mode));
    return whole < left ? whole : left;
}

/* Whatever libarchive can unpack; false if that is nothing. */
static bool unpack(const char *data, size_t size, struct bytes *out)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    static char block[1 << 16];
    la_ssize_t got = -1;

    if (a && archive_read_support_filter_all(a) >= ARCHIVE_WARN &&
        archive_read_support_format_raw(a) == ARCHIVE_OK &&
        archive_read_open_memory(a, data, size) == ARCHIVE_OK &&
        archive_read_next_header(a, &e) == ARCHIVE_OK && archive_filter_code(a, 0) != 0)
        while ((got = archive_read_data(a, block, sizeof(block))) > 0 && out->size < FILE_MOST)
            bytes_append(out, block, (size_t)got);
    archive_read_free(a);
    return got >= 0 && out->size;
}

/* Archives, compressed or not, with zeros in between. */
static void scan(struct initramfs *i, const char *data, size_t size, bool packed)
{
    size_t at = 0;
    while (at < size) {
        const size_t member = data[at] ? scan_member(i, data + at, size - at) : 1;
        if (!member)
            break;
        at += member;
    }
    if (at == size)
        return;
    struct bytes inside = {0};
    if (!packed && unpack(data + at, size - at, &inside))
        scan(i, inside.data, inside.size, true);
    else
        verdict_warn("the ramdisk is not a cpio archive that can be read here to its end: folders "
                     "above what --add names get mode 0755, also where they exist");
    bytes_free(&inside);
}

/* --- Writing --------------------------------------------------------------- */

static void pad(struct bytes *out)
{
    while (out->size % 4)
        bytes_append(out, "", 1);
}

struct member {
    unsigned mode, number, links;
    dev_t device; /* which one, if it is one */
};

/* Everything belongs to root and has the same date: the same files make the same archive. */
static void put(struct initramfs *i, const char *name, struct member m, const void *data,
                size_t size)
{
    bytes_format(i->out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", m.number,
                 m.mode, 0, 0, m.links, 0, (unsigned)size, 0, 0, major(m.device), minor(m.device),
                 (unsigned)strlen(name) + 1, 0);
    bytes_append(i->out, name, strlen(name) + 1);
    pad(i->out);
    bytes_append(i->out, data, size);
    pad(i->out);
}

static struct member new_member(struct initramfs *i, unsigned mode)
{
    return (struct member){.mode = mode, .number = ++i->files, .links = 1};
}

static void put_folder(struct initramfs *i, const char *name, unsigned mode)
{
    remember_name(i, name, strlen(name), false);
    put(i, name, new_member(i, S_IFDIR | mode), "", 0);
}

void initramfs_open(struct initramfs *i, struct bytes *out)
{
    *i = (struct initramfs){.out = out};
    if (out->size)
        scan(i, out->data, out->size, false);
    pad(out);
}

void initramfs_close(struct initramfs *i)
{
    put(i, TRAILER, (struct member){.links = 1}, "", 0);
    for (size_t n = 0; n < i->name_count; n++)
        free(i->names[n].path);
    free(i->names);
    free(i->links);
    *i = (struct initramfs){0};
}

void initramfs_folder(struct initramfs *i, const char *name)
{
    put_folder(i, name, 0755);
}

void initramfs_device(struct initramfs *i, const char *name, unsigned major, unsigned minor)
{
    struct member m = new_member(i, S_IFCHR | 0600);
    m.device = makedev(major, minor);
    put(i, name, m, "", 0);
}

void initramfs_data(struct initramfs *i, const char *name, unsigned mode, const void *data,
                    size_t size)
{
    put(i, name, new_member(i, S_IFREG | mode), data, size);
}

/* --- What the user adds ---------------------------------------------------- */

/* Has @s been added under another name?  Else it may be again. */
static const struct initramfs_links *find_links(const struct initramfs *i, const struct stat *s)
{
    for (size_t n = 0; n < i->link_count; n++)
        if (i->links[n].device == s->st_dev && i->links[n].file == s->st_ino)
            return &i->links[n];
    return NULL;
}

static void remember_links(struct initramfs *i, const struct stat *s, unsigned number)
{
    i->links = memory_resize(i->links, (i->link_count + 1) * sizeof(*i->links));
    i->links[i->link_count++] =
        (struct initramfs_links){.device = s->st_dev, .file = s->st_ino, .number = number};
}

static enum verdict too_large(const char *path, uint64_t size)
{
    return verdict_say(VERDICT_NO_FILE,
                       "cannot add %s: with its %lu bytes the initramfs would be larger than "
                       "2 GiB, and no loader here takes that; leave it out",
                       path, (unsigned long)size);
}

/* The first name of a file has the content, and all have its number: kernels make links of that. */
static enum verdict add_file(struct initramfs *i, const char *path, const char *name,
                             const struct stat *s)
{
    struct member m = new_member(i, S_IFREG | (s->st_mode & 07777));
    const struct initramfs_links *known = s->st_nlink > 1 ? find_links(i, s) : NULL;
    void *data;
    size_t size;

    m.links = s->st_nlink > 1 ? 2 : 1;
    if (known) {
        m.number = known->number;
        put(i, name, m, "", 0);
        return VERDICT_OK;
    }
    if (i->out->size > MOST || (uint64_t)s->st_size > MOST - i->out->size)
        return too_large(path, (uint64_t)s->st_size);
    enum verdict v = file_read(path, "the file to add", &data, &size);
    if (v)
        return v;
    if (size > MOST - i->out->size) {
        free(data);
        return too_large(path, size);
    }
    put(i, name, m, data, size);
    if (s->st_nlink > 1)
        remember_links(i, s, m.number);
    free(data);
    return VERDICT_OK;
}

static enum verdict add_symlink(struct initramfs *i, const char *path, const char *name)
{
    char target[NAME_MOST];
    ssize_t n = readlink(path, target, sizeof(target));
    if (n < 0 || n == sizeof(target))
        return verdict_say(VERDICT_NO_FILE, "cannot read the link %s: %s; check it", path,
                           n < 0 ? strerror(errno) : "it is too long");
    remember_name(i, name, strlen(name), true);
    put(i, name, new_member(i, S_IFLNK | 0777), target, (size_t)n);
    return VERDICT_OK;
}

/* A device, a pipe or a socket: there is nothing to read. */
static void add_special(struct initramfs *i, const char *name, const struct stat *s)
{
    struct member m = new_member(i, s->st_mode & (S_IFMT | 07777));
    m.device = s->st_rdev;
    put(i, name, m, "", 0);
}

/* The folders above @name that are not there yet. */
static void add_parents(struct initramfs *i, const char *name)
{
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        char *parent = plain_name(name, (size_t)(slash - name));
        if (*parent && !find_name(i, parent))
            put_folder(i, parent, 0755);
        free(parent);
    }
}

/* With its mode, unless it is the root, or stands where a symlink leads to a folder. */
static void add_folder(struct initramfs *i, const char *name, unsigned mode)
{
    char *plain = plain_name(name, strlen(name));
    const struct initramfs_name *known = find_name(i, plain);
    if (*plain && !(known && known->is_link))
        put_folder(i, plain, mode & 07777);
    free(plain);
}

static enum verdict add_node(struct initramfs *i, const FTSENT *f, const char *name)
{
    if (strlen(name) >= NAME_MOST)
        return verdict_say(
            VERDICT_NO_FILE,
            "cannot add %s: its name there would have more than %d bytes; shorten it", f->fts_path,
            NAME_MOST - 1);
    switch (f->fts_info) {
    case FTS_D:
        add_folder(i, name, f->fts_statp->st_mode);
        return VERDICT_OK;
    case FTS_F:
        return add_file(i, f->fts_accpath, name, f->fts_statp);
    case FTS_SL:
    case FTS_SLNONE:
        return add_symlink(i, f->fts_accpath, name);
    case FTS_DC:
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return verdict_say(VERDICT_NO_FILE, "cannot read %s: %s; check the path", f->fts_path,
                           strerror(f->fts_info == FTS_DC ? ELOOP : f->fts_errno));
    case FTS_DEFAULT: /* in a folder it is wanted, by itself it is more likely a mistake */
        if (f->fts_level > FTS_ROOTLEVEL) {
            add_special(i, name, f->fts_statp);
            return VERDICT_OK;
        }
        return verdict_say(VERDICT_NO_FILE,
                           "cannot add %s: it is a device, a socket or a pipe; --add takes files, "
                           "links, and folders with whatever is in them",
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
    FTSENT *f;

    if (!fts) /* it is opened when it is read, but "" is no path */
        return verdict_say(VERDICT_NO_FILE, "cannot add \"%s\": %s; give --add PATH[:/TARGET]",
                           path, strerror(errno));
    while (!v && (f = fts_read(fts))) {
        const char *below = f->fts_pathlen > top ? f->fts_path + top : "";
        below += !*target && *below == '/';
        char *name = memory_format("%s%s", target, below);
        v = add_node(i, f, name);
        free(name);
    }
    if (!v && errno) /* and not at the end */
        v = verdict_say(VERDICT_NO_FILE, "cannot read all of %s: %s; check it", path,
                        strerror(errno));
    (void)fts_close(fts); /* it was read whole: nothing is left that could go wrong */
    return v;
}

enum verdict initramfs_add(struct initramfs *i, const char *what)
{
    const char *colon = NULL; /* the last that a target follows */
    for (const char *c = strstr(what, ":/"); c; c = strstr(c + 1, ":/"))
        colon = c;

    char *path = memory_format("%.*s", colon ? (int)(colon - what) : (int)strlen(what), what);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    const char *target = colon ? colon + 1 : "";
    target += strspn(target, "/");
    const size_t n = strlen(target);
    char *name = strcmp(target, ".") == 0         ? memory_strdup("")
                 : n == 0 || target[n - 1] == '/' ? memory_format("%s%s", target, last)
                                                  : memory_strdup(target);
    add_parents(i, name);
    enum verdict v = add_tree(i, path, name);
    free(name);
    free(path);
    return v;
}
