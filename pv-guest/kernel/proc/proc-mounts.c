/* The texts of /proc about file systems: which there are, and what is mounted where. */
#include "mount.h"
#include "print.h"
#include "proc.h"

#define TEXT(name) \
    void proc_##name(struct text_buffer *out, const struct process *p, const struct task *task)

static const char *mode_of(const struct filesystem *fs)
{
    return fs->read_only ? "ro" : "rw";
}

TEXT(filesystems)
{
    text_add(out, "nodev\trootfs\n");
    for (unsigned i = 0; mount_type(i); i++)
        text_add(out, "%s\t%s\n", mount_type_on_disk(i) ? "" : "nodev", mount_type(i));
}

TEXT(mounts)
{
    const struct mount *m;
    char path[256];
    text_add(out, "none / rootfs %s 0 0\n", mode_of(&root_filesystem));
    list_for_each(m, &mounts, link)
    {
        if (path_of(m->bound ? m->covered : m->root, path, sizeof(path)) > 0)
            text_add(out, "%s %s %s %s 0 0\n", m->source, path, m->root->fs->type,
                     mode_of(m->root->fs));
    }
}

/* An id, its parent's, device, root, place, options; type, source, options of the file system. */
TEXT(mountinfo)
{
    const struct mount *m;
    char path[256];
    unsigned id = 2;
    text_add(out, "1 1 0:%u / / %s - rootfs none %s\n", root_filesystem.number,
             mode_of(&root_filesystem), mode_of(&root_filesystem));
    list_for_each(m, &mounts, link)
    {
        const struct filesystem *fs = m->root->fs;
        if (path_of(m->bound ? m->covered : m->root, path, sizeof(path)) > 0)
            text_add(out, "%u 1 0:%u / %s %s - %s %s %s\n", id, fs->number, path, mode_of(fs),
                     fs->type, m->source, mode_of(fs));
        id++;
    }
}
