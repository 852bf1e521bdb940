/* The files that a machine boots from.  See bundle.h. */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

static bool is_odd(const char *path)
{
    return strpbrk(path, " ,");
}

const char *bundle_start_folder(const struct bundle *b)
{
    return b->folder && is_odd(b->folder) ? b->folder : NULL;
}

char *bundle_path(const struct bundle *b, const char *title, const char *name)
{
    return b->folder ? memory_format("%s/%s", b->folder, title) : memory_strdup(name);
}

static char *qemu_name(const struct bundle *b, const char *title)
{
    return bundle_start_folder(b) ? memory_strdup(title) : bundle_path(b, title, NULL);
}

static enum verdict cannot_write(const struct bundle *b, const char *title)
{
    return verdict_say(VERDICT_HOST_FAILED, "cannot write %s%s%s: %s; %s",
                       b->folder ? b->folder : title, b->folder ? "/" : "",
                       b->folder ? title : " (a file in memory)", strerror(errno),
                       b->folder ? "check the folder of --bundle" : "make room for it");
}

/* A descriptor to write to, or -1. */
static int create(const struct bundle *b, const char *title, char **name)
{
    if (!b->folder) {
        int fd = memfd_create(title, 0); /* inherited by QEMU: not close-on-exec */
        *name = memory_format("/dev/fd/%d", fd);
        return fd;
    }
    (void)mkdir(b->folder, 0777); /* it may be there; if it cannot be made, open says why */
    char *path = bundle_path(b, title, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    free(path);
    *name = qemu_name(b, title);
    return fd;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, data, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        data += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

/* A memfd stays open for QEMU. */
static bool finish(const struct bundle *b, int fd)
{
    return !b->folder || close(fd) == 0;
}

enum verdict bundle_add_data(struct bundle *b, const char *title, const void *data, size_t size,
                             char **name)
{
    int fd = create(b, title, name);
    if (fd < 0 || !write_all(fd, data, size) || !finish(b, fd))
        return cannot_write(b, title);
    return VERDICT_OK;
}

static enum verdict cannot_read(const char *path)
{
    return verdict_say(VERDICT_NO_FILE, "cannot read %s: %s; check the path", path,
                       strerror(errno));
}

/* Is what would be overwritten the file itself? */
static bool is_there(const struct bundle *b, int fd, const char *title)
{
    struct stat from, to;
    char *path = bundle_path(b, title, NULL);
    bool same = fstat(fd, &from) == 0 && stat(path, &to) == 0 && from.st_dev == to.st_dev &&
                from.st_ino == to.st_ino;
    free(path);
    return same;
}

static enum verdict copy(const struct bundle *b, int from, const char *path, const char *title,
                         char **name)
{
    static char block[1 << 16];
    ssize_t got;

    if (is_there(b, from, title)) {
        *name = qemu_name(b, title);
        return VERDICT_OK;
    }
    int to = create(b, title, name);
    if (to < 0)
        return cannot_write(b, title);
    while ((got = read(from, block, sizeof(block))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || !write_all(to, block, (size_t)got)) {
            enum verdict v = got < 0 ? cannot_read(path) : cannot_write(b, title);
            close(to);
            return v;
        }
    }
    return finish(b, to) ? VERDICT_OK : cannot_write(b, title);
}

enum verdict bundle_add_file(struct bundle *b, const char *path, const char *title, char **name)
{
    if (!b->folder && !is_odd(path)) {
        *name = memory_strdup(path);
        return VERDICT_OK;
    }
    /* Without a folder it is inherited by QEMU: not close-on-exec. */
    int fd = open(path, O_RDONLY | (b->folder ? O_CLOEXEC : 0));
    if (fd < 0)
        return cannot_read(path);
    if (!b->folder) {
        *name = memory_format("/dev/fd/%d", fd);
        return VERDICT_OK;
    }
    enum verdict v = copy(b, fd, path, title, name);
    close(fd); /* it was only read */
    return v;
}
