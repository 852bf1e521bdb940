/* Mounts of file systems that are on disks: syncing them, ending them, living on one. */
#include "errno.h"
#include "mount.h"
#include "print.h"
#include "process.h"

void mount_sync(const struct mount *m)
{
    struct inode *const root = m->root;
    if (!root->fs->ops)
        return;
    inode_get(root);
    if (root->fs->ops->sync(root->fs))
        print("%s: not all that has been written is on the disk\n", root->fs->type);
    inode_put(root);
}

/* The @i-th mount of a file system that is on a disk. */
static struct mount *disk_mount(unsigned i)
{
    struct mount *m;
    list_for_each(m, &mounts, link)
    {
        if (m->root->fs->ops && !m->bound && i-- == 0)
            return m;
    }
    return NULL;
}

void mount_sync_all(void)
{
    const struct mount *m;
    for (unsigned i = 0; (m = disk_mount(i)); i++)
        mount_sync(m);
}

void mount_end_all(void)
{
    const struct mount *m;
    for (unsigned i = 0; (m = disk_mount(i)); i++) {
        struct filesystem *const fs = m->root->fs;
        filesystem_lock_disk(fs);
        if (fs->ops->remount(fs, true))
            print("%s: not all that has been written is on the disk\n", fs->type);
        fs->read_only = true;
        filesystem_unlock_disk(fs);
    }
}

int mount_root(const char *source, const char *type, bool read_only)
{
    static const struct mount_options none;
    static const char *const inside[] = {"proc", "dev", "dev/pts"};
    static const char *const types_inside[] = {"proc", "devtmpfs", "devpts"};
    struct process *const p = process_current();
    struct inode *where, *root;
    int rc = path_make(root_inode, "/.root", 0, S_IFDIR | 0755, &where);
    if (rc)
        return rc;
    rc = mount_on(where, type, source, read_only ? MS_RDONLY : 0, &none);
    root = where->mounted;
    inode_put(where);
    if (rc)
        return rc;
    for (unsigned i = 0; i < 2; i++)
        inode_get(root);
    inode_put(p->places->root);
    inode_put(p->places->cwd);
    p->places->root = p->places->cwd = root;
    for (unsigned i = 0; i < ARRAY_SIZE(inside); i++) {
        if (path_find(root, inside[i], 0, &where))
            continue; /* a root without such a directory does without it */
        if (mount_on(where, types_inside[i], types_inside[i], 0, &none))
            print("cannot mount /%s\n", inside[i]);
        inode_put(where);
    }
    return 0;
}
