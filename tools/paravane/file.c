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

static enum verdict refuse(const char *path, const char *what, const char *why)
{
    return verdict_say(VERDICT_NO_FILE, "cannot read %s %s: %s; check the path", what, path, why);
}

enum verdict file_check(const char *path, const char *what, size_t *size)
{
    struct stat s;
    if (stat(path, &s) < 0)
        return refuse(path, what, strerror(errno));
    if (S_ISDIR(s.st_mode))
        return refuse(path, what, "it is a folder");
    if (access(path, R_OK) < 0)
        return refuse(path, what, strerror(errno));
    if (size)
        *size = (size_t)s.st_size;
    return VERDICT_OK;
}

enum verdict file_read(const char *path, const char *what, void **data, size_t *size)
{
    enum verdict v = file_check(path, what, NULL);
    if (v)
        return v;

    FILE *f = fopen(path, "rb");
    if (!f)
        return refuse(path, what, strerror(errno));
    struct bytes all = {0};
    static char block[1 << 16];
    size_t got;
    while ((got = fread(block, 1, sizeof(block), f)) > 0)
        bytes_append(&all, block, got);
    if (ferror(f))
        v = refuse(path, what, strerror(errno));
    fclose(f);
    if (!all.data)
        bytes_append(&all, "", 0);
    *data = all.data;
    *size = all.size;
    return v;
}
