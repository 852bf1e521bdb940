/* Whole files, by name.  See file.h. */
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

bool file_exists(const char *path)
{
    return access(path, R_OK) == 0;
}

static enum verdict file_refuse(const char *path, const char *what, const char *why)
{
    return verdict_say(VERDICT_NO_FILE, "cannot read %s %s: %s; check the path", what, path, why);
}

static enum verdict refuse_size(const char *path, const char *what)
{
    return verdict_say(
        VERDICT_NO_FILE,
        "%s %s has 2 GiB or more, and nothing as large can be loaded; give a smaller "
        "one",
        what, path);
}

static enum verdict examine(const char *path, const char *what, struct stat *s)
{
    if (stat(path, s) < 0)
        return file_refuse(path, what, strerror(errno));
    if (S_ISDIR(s->st_mode))
        return file_refuse(path, what, "it is a folder");
    if (access(path, R_OK) < 0)
        return file_refuse(path, what, strerror(errno));
    if (S_ISREG(s->st_mode) && (uint64_t)s->st_size > FILE_MOST)
        return refuse_size(path, what);
    return VERDICT_OK;
}

/* QEMU opens it by itself, and more than once: a pipe would be empty then, a device has no size. */
enum verdict file_check(const char *path, const char *what, size_t *size)
{
    struct stat s;
    enum verdict v = examine(path, what, &s);
    if (!v && !S_ISREG(s.st_mode))
        v = file_refuse(path, what, "it is a pipe or a device; copy it to a file");
    if (!v)
        *size = (size_t)s.st_size;
    return v;
}

enum verdict file_read(const char *path, const char *what, void **data, size_t *size)
{
    struct stat s;
    enum verdict v = examine(path, what, &s);
    if (v)
        return v;

    FILE *f = fopen(path, "rbe");
    if (!f)
        return file_refuse(path, what, strerror(errno));
    struct bytes all = {0};
    static char block[1 << 16];
    size_t got;
    while (all.size <= FILE_MOST && (got = fread(block, 1, sizeof(block), f)) > 0)
        bytes_append(&all, block, got);
    if (ferror(f))
        v = file_refuse(path, what, strerror(errno));
    else if (all.size > FILE_MOST)
        v = refuse_size(path, what);
    fclose(f);
    if (v) {
        bytes_free(&all);
        return v;
    }
    if (!all.data)
        bytes_append(&all, "", 0);
    *data = all.data;
    *size = all.size;
    return v;
}
