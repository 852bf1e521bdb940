/*
 * Tables of descriptors.
 *
 * A table begins with a few slots inside the struct and grows into a larger
 * array of its own; it never shrinks.
 */
#include "errno.h"
#include "file.h"
#include "file-lock.h"
#include "heap.h"
#include "mqueue.h"
#include "process.h"
#include "text.h"

struct files *files_new(void)
{
    struct files *files = heap_alloc(sizeof(*files));
    if (!files)
        return NULL;
    files->refs = 1;
    files->table = files->first;
    files->slots = FILES_FIRST;
    return files;
}

/* Make room for descriptors up to @fd. */
static int fd_grow(struct files *files, int fd)
{
    int slots = files->slots;
    if (fd < slots)
        return 0;
    while (slots <= fd)
        slots *= 2;
    struct file **table = heap_alloc(slots * sizeof(*table));
    if (!table)
        return -ENOMEM;
    memcpy(table, files->table, files->slots * sizeof(*table));
    if (files->table != files->first)
        heap_free(files->table);
    files->table = table;
    files->slots = slots;
    return 0;
}

struct files *files_copy(struct files *from)
{
    struct files *files = files_new();
    if (!files)
        return NULL;
    if (from->end && fd_grow(files, from->end - 1)) {
        heap_free(files);
        return NULL;
    }
    files->end = from->end;
    memcpy(files->close_on_exec, from->close_on_exec, sizeof(files->close_on_exec));
    for (int fd = 0; fd < from->end; fd++) {
        files->table[fd] = from->table[fd];
        if (files->table[fd])
            file_get(files->table[fd]);
    }
    return files;
}

void files_put(struct files *files)
{
    if (--files->refs)
        return;
    for (int fd = 0; fd < files->end; fd++)
        if (files->table[fd])
            file_let_go(files, files->table[fd]);
    if (files->table != files->first)
        heap_free(files->table);
    heap_free(files);
}

void files_unshare(struct task *task)
{
    struct files *own = task->files->refs > 1 ? files_copy(task->files) : NULL;
    if (!own)
        return;
    files_put(task->files);
    task->files = own;
}

void file_let_go(struct files *files, struct file *file)
{
    record_locks_drop(files, file);
    if (file->ops == &mqueue_ops)
        mqueue_closed(file);
    file_put(file);
}

void files_forget(struct files *files, int fd)
{
    file_put(files->table[fd]);
    files->table[fd] = NULL;
}

void files_close_on_exec(struct files *files)
{
    for (int fd = 0; fd < files->end; fd++) {
        struct file *file = files->table[fd];
        if (!file || !(files->close_on_exec[fd / 64] >> fd % 64 & 1))
            continue;
        files->table[fd] = NULL;
        file_let_go(files, file);
    }
    memset(files->close_on_exec, 0, sizeof(files->close_on_exec));
}

struct file *files_find(const struct files *files, uint64_t fd)
{
    return files && fd < (uint64_t)files->slots ? files->table[fd] : NULL;
}

struct file *fd_file_or_path(int fd)
{
    return files_find(task_current()->files, (uint64_t)fd);
}

struct file *fd_file(int fd)
{
    struct file *file = fd_file_or_path(fd);
    return file && (file->flags & O_PATH) ? NULL : file;
}

bool fd_close_on_exec(int fd)
{
    return task_current()->files->close_on_exec[fd / 64] >> fd % 64 & 1;
}

void fd_set_close_on_exec(int fd, bool on)
{
    uint64_t *word = &task_current()->files->close_on_exec[fd / 64];
    *word = on ? *word | 1ul << fd % 64 : *word & ~(1ul << fd % 64);
}

/* Descriptors that the process may have are below this. */
static int fd_limit(void)
{
    return MIN(process_current()->limits[RLIMIT_NOFILE].current, (uint64_t)FILES_MAX);
}

static int fd_put(struct files *files, int fd, struct file *file, bool close_on_exec)
{
    const int rc = fd_grow(files, fd);
    if (rc)
        return rc;
    files->table[fd] = file;
    files->end = MAX(files->end, fd + 1);
    fd_set_close_on_exec(fd, close_on_exec);
    return fd;
}

int fd_install(struct file *file, int from, bool close_on_exec)
{
    struct files *const files = task_current()->files;
    const int end = fd_limit();
    int fd = from;
    if (from < 0 || from >= end)
        return -EINVAL;
    while (fd < MIN(end, files->slots) && files->table[fd])
        fd++;
    return fd < end ? fd_put(files, fd, file, close_on_exec) : -EMFILE;
}

int fd_replace(int fd, struct file *file, bool close_on_exec)
{
    struct files *const files = task_current()->files;
    if (fd < 0 || fd >= fd_limit())
        return -EBADF;
    struct file *old = fd_file_or_path(fd);
    const int rc = fd_put(files, fd, file, close_on_exec);
    if (rc >= 0 && old)
        file_let_go(files, old);
    return rc;
}

int fd_close(int fd)
{
    struct files *const files = task_current()->files;
    struct file *file = fd_file_or_path(fd);
    if (!file)
        return -EBADF;
    files->table[fd] = NULL;
    file_let_go(files, file);
    return 0;
}

long fd_open(struct file *file, bool close_on_exec)
{
    if (!file)
        return -ENOMEM;
    const int fd = fd_install(file, 0, close_on_exec);
    if (fd < 0)
        file_put(file);
    return fd;
}
