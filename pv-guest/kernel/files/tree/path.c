/*
 * From names to inodes.
 *
 * One walk serves all: it consumes components from a buffer; a symbolic link
 * puts its target in front of what is left of the path.
 */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "inotify.h"
#include "mount.h"
#include "process.h"
#include "text.h"

#define LINKS_MAX 40

struct walk {
    struct inode *at; /* with a reference */
    char *rest;       /* of the path, inside @text */
    char *text;       /* PATH_MAX bytes */
    unsigned links;
    unsigned resolve;        /* PATH_BENEATH and its kin */
    struct inode *root;      /* where absolute paths start and ".." ends */
    char name[NAME_MAX + 1]; /* the component in hand */
};

static void walk_move(struct walk *w, struct inode *to)
{
    inode_get(to);
    inode_put(w->at);
    w->at = to;
}

/* Go to the root, for a link that begins with a slash. */
static int walk_to_root(struct walk *w)
{
    if ((w->resolve & PATH_BENEATH) || ((w->resolve & PATH_NO_MOUNTS) && w->root->fs != w->at->fs))
        return -EXDEV;
    walk_move(w, w->root);
    return 0;
}

static int walk_start(struct walk *w, struct inode *start, const char *path, unsigned flags)
{
    if (!*path)
        return -ENOENT;
    w->text = heap_alloc(PATH_MAX);
    if (!w->text)
        return -ENOMEM;
    if (text_copy(w->text, path, PATH_MAX) >= PATH_MAX) {
        heap_free(w->text);
        return -ENAMETOOLONG;
    }
    w->rest = w->text;
    w->links = 0;
    w->resolve = flags & PATH_RESOLVE;
    w->root = w->resolve & (PATH_BENEATH | PATH_IN_ROOT) ? start : inode_root();
    w->at = start;
    inode_get(w->at);
    if (*path != '/')
        return 0;
    if (!(w->resolve & PATH_BENEATH)) {
        walk_move(w, w->root);
        return 0;
    }
    heap_free(w->text);
    inode_put(w->at);
    return -EXDEV;
}

/* Take the next component into w->name: 1, or 0 at the end. */
static int walk_component(struct walk *w)
{
    while (*w->rest == '/')
        w->rest++;
    size_t n = 0;
    while (w->rest[n] && w->rest[n] != '/')
        n++;
    if (n > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(w->name, w->rest, n);
    w->name[n] = 0;
    w->rest += n;
    return n > 0;
}

static bool at_last(const struct walk *w)
{
    const char *c = w->rest;
    while (*c == '/')
        c++;
    return !*c;
}

/* Put the target of @link before the rest of the path. */
static int walk_link(struct walk *w, struct inode *link)
{
    if (++w->links > LINKS_MAX)
        return -ELOOP;
    char *text = heap_alloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    const size_t n = text_copy(text, link->target, PATH_MAX);
    if (n + strlen(w->rest) + 1 >= PATH_MAX) {
        heap_free(text);
        return -ENAMETOOLONG;
    }
    text_copy(text + n, w->rest, PATH_MAX - n);
    heap_free(w->text);
    w->text = w->rest = text;
    return *text == '/' ? walk_to_root(w) : 0;
}

/* The root of what is mounted on @inode, or on that in turn. */
static struct inode *uppermost(struct inode *inode)
{
    while (inode->mounted) {
        inode = inode->mounted;
        inode->crossed = true;
    }
    return inode;
}

/* The entry of the directory we are at for the component in hand, with a reference. */
static int walk_find(struct walk *w, struct inode **found)
{
    if (w->at->dynamic)
        return w->at->dynamic->find(w->at, w->name, found);
    const int rc = dir_load(w->at);
    struct entry *e = rc ? NULL : dir_find(w->at, w->name);
    if (!e)
        return rc ? rc : -ENOENT;
    if (e->inode->broken)
        return -EIO;
    *found = e->inode;
    inode_get(*found);
    return 0;
}

static int walk_follow(struct walk *w, struct inode *link)
{
    struct inode *to;
    if (w->resolve & PATH_NO_LINKS)
        return -ELOOP;
    if (!link->follow)
        return walk_link(w, link);
    if (w->resolve & PATH_NO_MAGIC)
        return -ELOOP;
    if (w->resolve & (PATH_BENEATH | PATH_IN_ROOT))
        return -EXDEV;
    const int rc = link->follow(link, &to);
    if (rc)
        return rc;
    const bool far = (w->resolve & PATH_NO_MOUNTS) && to->fs != w->at->fs;
    if (!far)
        walk_move(w, to);
    inode_put(to);
    return far ? -EXDEV : 0;
}

/* Is @inode, a directory, @root or somewhere in it? */
static bool is_below(const struct inode *inode, const struct inode *root)
{
    while (inode && inode != root && inode != inode->parent)
        inode = inode->parent;
    return inode == root;
}

/*
 * Where ".." leads from @dir for whom nothing above @root exists; NULL: nowhere.  A directory that is bound in a second
 * place leads up where it was first, which may be out of the root: then to where it is bound in the root.
 */
static struct inode *parent_within(const struct inode *dir, const struct inode *root)
{
    const struct mount *m;
    if (root == root_inode || is_below(dir, root))
        return dir->parent;
    list_for_each(m, &mounts, link)
    {
        if (m->bound && is_below(m->covered, root) && is_below(dir, m->root))
            return m->root == dir ? m->covered->parent : dir->parent;
    }
    return NULL;
}

/* "..", which leads nowhere in a root. */
static int walk_up(struct walk *w)
{
    if (w->at == w->root || w->at == inode_root())
        return w->resolve & PATH_BENEATH ? -EXDEV : 0;
    struct inode *const up = w->at->parent ? parent_within(w->at, inode_root()) : NULL;
    if (!up)
        return -ENOENT;
    if ((w->resolve & PATH_NO_MOUNTS) && up->fs != w->at->fs)
        return -EXDEV;
    walk_move(w, up);
    return (w->resolve & (PATH_BENEATH | PATH_IN_ROOT)) && !is_below(w->at, w->root) ? -EXDEV : 0;
}

/* Down to @found, or what is mounted there. */
static int walk_down(struct walk *w, struct inode *found)
{
    if ((w->resolve & PATH_NO_MOUNTS) && found->mounted)
        return -EXDEV;
    walk_move(w, uppermost(found));
    return 0;
}

/* Go one component down (or up); a symbolic link is followed unless it is the
 * last one and @flags say not to. */
static int walk_step(struct walk *w, unsigned flags)
{
    if (!inode_is(w->at, S_IFDIR))
        return -ENOTDIR;
    int rc = access_check(w->at, MAY_EXECUTE);
    if (rc)
        return rc;
    if (!strcmp(w->name, "."))
        return 0;
    if (!strcmp(w->name, ".."))
        return walk_up(w);
    struct inode *found;
    rc = walk_find(w, &found);
    if (rc)
        return rc;
    const bool keep = (flags & PATH_NOFOLLOW) && at_last(w) && *w->rest != '/';
    rc = inode_is(found, S_IFLNK) && !keep ? walk_follow(w, found) : walk_down(w, found);
    inode_put(found);
    return rc;
}

int path_find(struct inode *start, const char *path, unsigned flags, struct inode **found)
{
    struct walk w;
    int rc = walk_start(&w, start, path, flags);
    if (rc)
        return rc;
    while ((rc = walk_component(&w)) > 0)
        if ((rc = walk_step(&w, flags)))
            break;
    const size_t length = strlen(path);
    if (!rc && path[length - 1] == '/' && !inode_is(w.at, S_IFDIR))
        rc = -ENOTDIR;
    heap_free(w.text);
    if (rc)
        inode_put(w.at);
    else
        *found = w.at;
    return rc;
}

/* Is the component in hand a symbolic link? */
static bool names_link(struct walk *w)
{
    struct inode *found;
    if (!inode_is(w->at, S_IFDIR) || walk_find(w, &found))
        return false;
    const bool link = inode_is(found, S_IFLNK);
    inode_put(found);
    return link;
}

int path_parent(struct inode *start, const char *path, unsigned flags, struct inode **dir,
                char name[NAME_MAX + 1])
{
    struct walk w;
    int rc = walk_start(&w, start, path, flags);
    if (rc)
        return rc;
    while ((rc = walk_component(&w)) > 0 &&
           (!at_last(&w) || ((flags & PATH_FOLLOW) && names_link(&w))))
        if ((rc = walk_step(&w, 0)))
            break;
    if (rc == 0)
        rc = -EEXIST; /* the path is the root itself */
    if (rc > 0)
        rc = inode_is(w.at, S_IFDIR) ? dir_load(w.at) : -ENOTDIR;
    heap_free(w.text);
    if (rc) {
        inode_put(w.at);
        return rc;
    }
    text_copy(name, w.name, NAME_MAX + 1);
    *dir = w.at;
    return 0;
}

/* Who made it, and in a set-group-id directory the directory's group. */
static void set_owner(struct inode *inode, const struct inode *dir)
{
    const struct process *p = process_current();
    if (p) {
        inode->uid = p->credentials.user.file;
        inode->gid = p->credentials.group.file;
    }
    if (!(dir->mode & S_ISGID))
        return;
    inode->gid = dir->gid;
    if (inode_is(inode, S_IFDIR))
        inode->mode |= S_ISGID;
}

int inode_new_in(const struct inode *dir, unsigned mode, struct inode **made)
{
    if (dir->fs->inodes_most && dir->fs->inodes >= dir->fs->inodes_most)
        return -ENOSPC;
    *made = inode_new(mode);
    if (!*made)
        return -ENOMEM;
    set_owner(*made, dir);
    const int rc = inode_on_disk(dir) ? dir->fs->ops->make(dir, *made) : 0;
    if (rc)
        inode_put(*made);
    else
        inode_join(*made, dir->fs);
    return rc;
}

/* Give a new inode of @mode the name @name in @dir, which is locked. */
static int make_locked(struct inode *dir, const char *name, unsigned mode, struct inode **made)
{
    if (dir->dynamic)
        return -EPERM;
    if (!strcmp(name, ".") || !strcmp(name, "..") || dir_find(dir, name))
        return -EEXIST;
    int rc = access_check(dir, MAY_WRITE | MAY_EXECUTE);
    if (rc)
        return rc;
    struct inode *inode;
    rc = inode_new_in(dir, mode, &inode);
    if (rc)
        return rc;
    rc = dir_name_add(dir, name, inode);
    if (rc) {
        inode_put(inode);
        return rc;
    }
    inotify_entry(dir, IN_CREATE, 0, name, inode);
    *made = inode;
    return 0;
}

static int make_in(struct inode *dir, const char *name, unsigned mode, struct inode **made)
{
    filesystem_lock(dir->fs);
    const int rc = make_locked(dir, name, mode, made);
    filesystem_unlock(dir->fs);
    return rc;
}

int path_make(struct inode *start, const char *path, unsigned flags, unsigned mode,
              struct inode **made)
{
    char name[NAME_MAX + 1];
    struct inode *dir;
    const size_t length = strlen(path);
    int rc = path_parent(start, path, flags, &dir, name);
    if (rc)
        return rc;
    /* Only a directory can be meant by a name with a slash behind it. */
    rc = length && path[length - 1] == '/' && (mode & S_IFMT) != S_IFDIR
             ? (dir_find(dir, name) ? -EEXIST
                : flags & PATH_FILE ? -EISDIR
                                    : -ENOENT)
             : make_in(dir, name, mode, made);
    inode_put(dir);
    return rc;
}

static const char *name_in_parent(const struct inode *inode)
{
    struct entry *e;
    /* A mounted root is where what it covers is. */
    const struct inode *named = inode->covers ? inode->covers : inode;
    while (named->covers)
        named = named->covers;
    list_for_each(e, &inode->parent->entries, link)
    {
        if (e->inode == named)
            return e->name;
    }
    return NULL;
}

/* From the end of the buffer backwards, then moved to its start. */
long path_of(const struct inode *inode, char *to, size_t size)
{
    const struct inode *const root = inode_root();
    size_t at = size;
    if (size < 2)
        return -ERANGE;
    to[--at] = 0;
    if (inode == root)
        to[--at] = '/';
    for (; inode != root; inode = inode->parent) {
        const char *name = inode == root_inode || !inode->parent ? NULL
                           : inode->holds_parent                 ? inode->target
                                                                 : name_in_parent(inode);
        if (!name)
            return -ENOENT;
        const size_t n = strlen(name);
        if (n + 1 > at)
            return -ERANGE;
        at -= n;
        memcpy(to + at, name, n);
        to[--at] = '/';
    }
    memmove(to, to + at, size - at);
    return size - at - 1;
}
