/* Names of ext2: what has changed in memory, on the disk.  The file system is locked. */
#include "errno.h"
#include "file.h"
#include "mounted.h"
#include "text.h"
#include "timer.h"

/* One entry of the directory that is being loaded. */
static int load_entry(void *of, const struct ext2_entry *entry)
{
    struct inode *const dir = of;
    struct ext2_mounted *const m = ext2_of(dir);
    struct inode *inode;
    int rc = ext2_inode_get(m, entry->inode, &inode);
    if (rc)
        return rc;
    /* A directory has one name, and the root has none: whoever sees it twice would never get to an end. */
    if (inode_is(inode, S_IFDIR) && (inode->parent || inode->number == EXT2_ROOT)) {
        inode_put(inode);
        (void)!ext2_wrong(&m->volume, "a directory has two names");
        rc = ext2_inode_broken(m, entry->inode, &inode);
        if (rc)
            return rc;
    }
    rc = dir_attach(dir, entry->name, inode);
    inode_put(inode);
    return rc == -EEXIST ? 0 : rc; /* twice the same name: the first one counts */
}

int ext2_load(struct inode *dir)
{
    const int rc = ext2_each(&ext2_of(dir)->volume, &ext2_file(dir)->node, load_entry, dir);
    dir->loaded = !rc;
    return rc;
}

int ext2_make(const struct inode *dir, struct inode *inode)
{
    struct ext2_mounted *const m = ext2_of(dir);
    struct ext2_volume *const v = &m->volume;
    struct ext2_node node;
    const bool directory = inode_is(inode, S_IFDIR);
    const uint32_t now = ext2_seconds(clock_now()), parent = ext2_file(dir)->node.number;
    if (directory && ext2_file(dir)->node.raw.links >= EXT2_LINKS_MOST)
        return -EMLINK;
    int rc = ext2_node_make(v, parent, inode->mode, now, &node);
    if (rc)
        return rc;
    if (directory) {
        rc = ext2_directory_make(v, &node, parent);
        node.raw.links = 1; /* "." */
    }
    if (!rc)
        rc = ext2_inode_join(m, &node, inode);
    if (rc)
        return ext2_node_end(v, &node, now) ? -EIO : rc;
    inode->loaded = directory;
    return 0;
}

/* Directories have one name more for each directory in them: "..". */
static void count_names(struct inode *dir, int n)
{
    ext2_file(dir)->node.raw.links += n;
    dir->size = ext2_file(dir)->node.raw.size;
    dir->stale = true;
}

int ext2_link(struct inode *dir, const char *name, struct inode *inode)
{
    struct ext2_node *const node = &ext2_file(inode)->node;
    if (node->raw.links >= EXT2_LINKS_MOST)
        return -EMLINK;
    const int rc = ext2_name_add(&ext2_of(dir)->volume, &ext2_file(dir)->node, name, node->number,
                                 inode->mode);
    if (rc)
        return rc;
    node->raw.links++;
    count_names(dir, inode_is(inode, S_IFDIR));
    inode->stale = true;
    return 0;
}

/* One name of @inode, in @dir, is gone: a directory has no other. */
static void name_gone(struct inode *dir, struct inode *inode)
{
    struct ext2_node *const node = &ext2_file(inode)->node;
    const bool directory = inode_is(inode, S_IFDIR);
    node->raw.links = directory || !node->raw.links ? 0 : node->raw.links - 1;
    count_names(dir, directory ? -1 : 0);
    inode->stale = true;
}

int ext2_unlink(struct inode *dir, const char *name, struct inode *inode)
{
    const int rc = ext2_name_remove(&ext2_of(dir)->volume, &ext2_file(dir)->node, name);
    if (!rc)
        name_gone(dir, inode);
    return rc;
}

/* @inode, if it is a directory, is in @to now, and was in @from. */
static int change_parent(struct inode *inode, struct inode *from, struct inode *to)
{
    if (!inode_is(inode, S_IFDIR) || from == to)
        return 0;
    count_names(from, -1);
    count_names(to, 1);
    inode->stale = true;
    return ext2_name_change(&ext2_of(to)->volume, &ext2_file(inode)->node, "..",
                            ext2_file(to)->node.number, S_IFDIR);
}

int ext2_move(struct inode *from, const char *old_name, struct inode *to, const char *new_name,
              struct inode *inode, struct inode *replaced, bool exchange)
{
    struct ext2_volume *const v = &ext2_of(from)->volume;
    struct ext2_node *const node = &ext2_file(inode)->node;
    if (inode_is(inode, S_IFDIR) && from != to && ext2_file(to)->node.raw.links >= EXT2_LINKS_MOST)
        return -EMLINK;
    int rc = replaced
                 ? ext2_name_change(v, &ext2_file(to)->node, new_name, node->number, inode->mode)
                 : ext2_name_add(v, &ext2_file(to)->node, new_name, node->number, inode->mode);
    if (!rc)
        rc = exchange ? ext2_name_change(v, &ext2_file(from)->node, old_name,
                                         ext2_file(replaced)->node.number, replaced->mode)
                      : ext2_name_remove(v, &ext2_file(from)->node, old_name);
    if (rc)
        return rc;
    if (replaced && !exchange)
        name_gone(to, replaced);
    rc = change_parent(inode, from, to);
    if (!rc && exchange)
        rc = change_parent(replaced, to, from);
    count_names(from, 0);
    count_names(to, 0);
    return rc;
}

int ext2_write_link(struct inode *link)
{
    link->stale = true;
    return ext2_link_write(&ext2_of(link)->volume, &ext2_file(link)->node, link->target);
}
