/* The files that a machine boots from.  See bundle.h. */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

enum verdict bundle_add_file(struct bundle *b, const char *path, char **name)
{
    if (!strpbrk(path, " ,")) {
        *name = memory_strdup(path);
        return VERDICT_OK;
    }
    int fd = open(path, O_RDONLY); /* inherited by QEMU: not close-on-exec */
    if (fd < 0)
        return verdict_say(VERDICT_NO_FILE, "cannot read %s: %s; check the path", path,
                           strerror(errno));
    *name = memory_format("/dev/fd/%d", fd);
    return VERDICT_OK;
}

static int create(struct bundle *b, const char *title, char **name)
{
    if (!b->folder) {
        int fd = memfd_create(title, 0);
        *name = memory_format("/dev/fd/%d", fd);
        return fd;
    }
    (void)mkdir(b->folder, 0777); /* it may be there; if it cannot be made, open says why */
    *name = memory_format("%s/%s", b->folder, title);
    return open(*name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

enum verdict bundle_add_data(struct bundle *b, const char *title, const void *data, size_t size,
                             char **name)
{
    int fd = create(b, title, name);
    const char *at = data;

    while (fd >= 0 && size > 0) {
        ssize_t wrote = write(fd, at, size);
        if (wrote <= 0 && errno != EINTR) {
            close(fd);
            fd = -1;
        } else if (wrote > 0) {
            at += wrote;
            size -= (size_t)wrote;
        }
    }
    if (fd < 0)
        return verdict_say(VERDICT_HOST_FAILED, "cannot write %s (%s): %s; %s",
                           b->folder ? *name : "a file in memory", title, strerror(errno),
                           b->folder ? "check the folder of --bundle" : "make room for it");
    if (b->folder)
        close(fd);
    return VERDICT_OK;
}
