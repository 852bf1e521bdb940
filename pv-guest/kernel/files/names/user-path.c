/*
 * Paths as system calls name them: a string of the process, and a directory
 * descriptor (or AT_FDCWD) from which it starts if it is relative.
 */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "process.h"
#include "text.h"
#include "user-path.h"

/* The text of a path and where it starts; ended by path_arg_end. */
struct path_arg {
    struct inode *start;
    char *text;
};

/* @flags: an absolute path, too, starts at @dirfd if that is its root, or it must not leave it. */
static int path_arg(struct path_arg *p, int dirfd, user_t path, unsigned flags)
{
    const bool always = flags & (PATH_BENEATH | PATH_IN_ROOT);
    p->start = process_current()->places->cwd;
    p->text = heap_alloc(PATH_MAX);
    if (!p->text)
        return -ENOMEM;
    const long n = user_read_text(p->text, path, PATH_MAX);
    int rc = n < 0 ? (int)n : 0;
    if (!rc && dirfd != AT_FDCWD && (always || p->text[0] != '/')) {
        struct file *file = fd_file_or_path(dirfd);
        if (!file)
            rc = -EBADF;
        else if (!file->inode || (p->text[0] && !inode_is(file->inode, S_IFDIR)))
            rc = -ENOTDIR;
        else
            p->start = file->inode;
    }
    if (rc)
        heap_free(p->text);
    return rc;
}

static void path_arg_end(struct path_arg *p)
{
    heap_free(p->text);
}

/* As user_path_find, of what has been read. */
static int find(const struct path_arg *p, unsigned at_flags, struct inode **found)
{
    if (!p->text[0] && (at_flags & AT_EMPTY_PATH)) {
        *found = p->start;
        inode_get(*found);
        return 0;
    }
    return path_find(
        p->start, p->text,
        (at_flags & PATH_RESOLVE) | (at_flags & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0), found);
}

int user_path_find(int dirfd, user_t path, unsigned at_flags, struct inode **found)
{
    struct path_arg p;
    int rc = path_arg(&p, dirfd, path, at_flags);
    if (rc)
        return rc;
    rc = find(&p, at_flags, found);
    path_arg_end(&p);
    return rc;
}

int user_path_find_text(int dirfd, user_t path, unsigned at_flags, struct inode **found,
                        char text[PATH_MAX])
{
    struct path_arg p;
    int rc = path_arg(&p, dirfd, path, at_flags);
    if (rc)
        return rc;
    text_copy(text, p.text, PATH_MAX);
    rc = find(&p, at_flags, found);
    path_arg_end(&p);
    return rc;
}

int user_path_make(int dirfd, user_t path, unsigned flags, unsigned mode, struct inode **made)
{
    struct path_arg p;
    int rc = path_arg(&p, dirfd, path, flags);
    if (rc)
        return rc;
    const unsigned permissions = mode & 07777 & ~process_current()->places->umask;
    rc = path_make(p.start, p.text, flags, (mode & S_IFMT) | permissions, made);
    path_arg_end(&p);
    return rc;
}

int user_path_parent(int dirfd, user_t path, struct inode **dir, char name[NAME_MAX + 1],
                     bool *slash)
{
    struct path_arg p;
    int rc = path_arg(&p, dirfd, path, 0);
    if (rc)
        return rc;
    rc = path_parent(p.start, p.text, 0, dir, name);
    *slash = p.text[0] && p.text[strlen(p.text) - 1] == '/';
    path_arg_end(&p);
    return rc;
}
