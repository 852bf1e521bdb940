/*
 * From names to inodes.
 *
 * One walk serves all: it consumes components from a buffer; a symbolic link
 * puts its target in front of what is left of the path.
 */
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "text.h"

#define LINKS_MAX 20

struct walk {
    struct inode *at; /* with a reference */
    char *rest;       /* of the path, inside @text */
    char *text;       /* PATH_MAX bytes */
    unsigned links;
    char name[NAME_MAX + 1]; /* the component in hand */
};

static int walk_start(struct walk *w, struct inode *start, const char *path)
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
    w->at = *path == '/' ? root_inode : start;
    inode_get(w->at);
    return 0;
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

static void walk_move(struct walk *w, struct inode *to)
{
    inode_get(to);
    inode_put(w->at);
    w->at = to;
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
    if (*text == '/')
        walk_move(w, root_inode);
    return 0;
}

/* Go one component down (or up); a symbolic link is followed unless it is the
 * last one and @flags say not to. */
static int walk_step(struct walk *w, unsigned flags)
{
    if (!inode_is(w->at, S_IFDIR))
        return -ENOTDIR;
    if (!strcmp(w->name, "."))
        return 0;
    if (!strcmp(w->name, "..")) {
        if (!w->at->parent)
            return -ENOENT;
        walk_move(w, w->at->parent);
        return 0;
    }
    struct entry *e = dir_find(w->at, w->name);
    if (!e)
        return -ENOENT;
    const bool keep = (flags & PATH_NOFOLLOW) && at_last(w) && *w->rest != '/';
    if (inode_is(e->inode, S_IFLNK) && !keep)
        return walk_link(w, e->inode);
    walk_move(w, e->inode);
    return 0;
}

int path_find(struct inode *start, const char *path, unsigned flags, struct inode **found)
{
    struct walk w;
    int rc = walk_start(&w, start, path);
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

int path_parent(struct inode *start, const char *path, struct inode **dir, char name[NAME_MAX + 1])
{
    struct walk w;
    int rc = walk_start(&w, start, path);
    if (rc)
        return rc;
    while ((rc = walk_component(&w)) > 0 && !at_last(&w))
        if ((rc = walk_step(&w, 0)))
            break;
    if (rc == 0)
        rc = -EEXIST; /* the path is the root itself */
    if (rc > 0)
        rc = inode_is(w.at, S_IFDIR) ? 0 : -ENOTDIR;
    heap_free(w.text);
    if (rc) {
        inode_put(w.at);
        return rc;
    }
    text_copy(name, w.name, NAME_MAX + 1);
    *dir = w.at;
    return 0;
}

int path_make(struct inode *start, const char *path, unsigned mode, struct inode **made)
{
    char name[NAME_MAX + 1];
    struct inode *dir;
    int rc = path_parent(start, path, &dir, name);
    if (rc)
        return rc;
    struct inode *inode = inode_new(mode);
    rc = !inode                                      ? -ENOMEM
         : !strcmp(name, ".") || !strcmp(name, "..") ? -EEXIST
                                                     : dir_add(dir, name, inode);
    inode_put(dir);
    if (rc && inode)
        inode_put(inode);
    if (!rc)
        *made = inode;
    return rc;
}

static const char *name_in_parent(const struct inode *dir)
{
    struct entry *e;
    list_for_each(e, &dir->parent->entries, link)
    {
        if (e->inode == dir)
            return e->name;
    }
    return NULL;
}

/* From the end of the buffer backwards, then moved to its start. */
long path_of(struct inode *dir, char *to, size_t size)
{
    size_t at = size;
    if (size < 2)
        return -ERANGE;
    to[--at] = 0;
    if (dir == root_inode)
        to[--at] = '/';
    for (; dir != root_inode; dir = dir->parent) {
        const char *name = dir->parent ? name_in_parent(dir) : NULL;
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
