/*
 * cpio "newc": for each file a header of 13 numbers in eight hexadecimal
 * digits, its name, its content, each padded to four bytes.
 *
 * Files with several names appear several times with one inode number; only the
 * last of them carries the content.
 *
 * Several archives may follow each other, with zeroes between them: a loader puts them together, and what a later
 * one has under the same name is what counts.
 */
#include "cpio.h"
#include "errno.h"
#include "heap.h"
#include "file.h"
#include "inode.h"
#include "page.h"
#include "text.h"

#define MAGIC       "070701"
#define HEADER_SIZE 110

enum field { INO, MODE, UID, GID, LINKS, MTIME, SIZE, DEV, DEV2, RDEV, RDEV2, NAME_SIZE };

struct archive {
    const char *at, *end;
    uint64_t fields[12];
    const char *name, *content;
};

/* Inodes that may be named again. */
struct seen {
    uint64_t number;
    struct inode *inode;
};
#define SEEN_MAX 512

static uint64_t hex8(const char *at)
{
    char digits[9];
    const char *d = digits;
    memcpy(digits, at, 8);
    digits[8] = 0;
    return text_number(&d, 16);
}

/* Take the next member apart: 1, 0 at the end, -EINVAL if it is damaged.  An archive's last is called TRAILER!!!. */
static int next_member(struct archive *a)
{
    while (a->at < a->end && !*a->at)
        a->at++;
    if (a->end - a->at < HEADER_SIZE)
        return a->at == a->end ? 0 : -EINVAL;
    if (memcmp(a->at, MAGIC, 6))
        return -EINVAL;
    for (unsigned i = 0; i < ARRAY_SIZE(a->fields); i++)
        a->fields[i] = hex8(a->at + 6 + i * 8);
    const size_t left = a->end - a->at;
    const size_t content_at = ROUND_UP(HEADER_SIZE + a->fields[NAME_SIZE], 4ul);
    if (!a->fields[NAME_SIZE] || content_at > left || a->fields[SIZE] > left - content_at)
        return -EINVAL;
    a->name = a->at + HEADER_SIZE;
    a->content = a->at + content_at;
    if (a->name[a->fields[NAME_SIZE] - 1])
        return -EINVAL;
    a->at += MIN(left, ROUND_UP(content_at + a->fields[SIZE], 4ul));
    return 1;
}

static int fill_file(struct inode *inode, const struct archive *a)
{
    int rc = inode_resize(inode, a->fields[SIZE]);
    for (uint64_t done = 0; !rc && done < inode->size; done += PAGE_SIZE) {
        struct page *page = inode_page_at(inode, done >> PAGE_SHIFT, true);
        if (!page)
            return -ENOMEM;
        memcpy(page_address(page), a->content + done, MIN(PAGE_SIZE, inode->size - done));
    }
    return rc;
}

static int fill_link(struct inode *inode, const struct archive *a)
{
    inode->target = heap_alloc(a->fields[SIZE] + 1);
    if (!inode->target)
        return -ENOMEM;
    memcpy(inode->target, a->content, a->fields[SIZE]);
    inode->size = a->fields[SIZE];
    return 0;
}

/* A further name of a file that has been seen: 1 if it was one. */
static int link_to_seen(const struct archive *a, const struct seen *seen, unsigned count,
                        struct inode **found)
{
    for (unsigned i = 0; a->fields[LINKS] > 1 && i < count; i++) {
        if (seen[i].number != a->fields[INO])
            continue;
        char name[NAME_MAX + 1];
        struct inode *dir;
        int rc = path_parent(root_inode, a->name, 0, &dir, name);
        if (rc)
            return rc;
        struct entry *old = dir_find(dir, name);
        if (old && !inode_is(old->inode, S_IFDIR))
            dir_remove(dir, old);
        rc = dir_add(dir, name, seen[i].inode);
        inode_put(dir);
        *found = seen[i].inode;
        return rc ? rc : 1;
    }
    return 0;
}

/* There is a file of this name already: give *@inode back if the new one is of its kind, else take the name away from it. */
static int replace(const struct archive *a, struct inode **inode)
{
    const unsigned type = a->fields[MODE] & S_IFMT;
    char name[NAME_MAX + 1];
    struct inode *dir;
    int rc = path_parent(root_inode, a->name, 0, &dir, name);
    if (rc)
        return rc;
    struct entry *e = dir_find(dir, name);

    if (e && inode_is(e->inode, type) && (type == S_IFREG || type == S_IFDIR)) {
        *inode = e->inode;
        inode_get(*inode);
        (*inode)->mode = a->fields[MODE];
        rc = type == S_IFREG ? inode_resize(*inode, 0) : 0;
        if (rc)
            inode_put(*inode);
    } else if (e && inode_is(e->inode, S_IFDIR)) {
        rc = -EEXIST; /* what is in it would be lost */
    } else {
        if (e)
            dir_remove(dir, e);
        rc = path_make(root_inode, a->name, 0, a->fields[MODE], inode);
    }
    inode_put(dir);
    return rc;
}

static int unpack_member(const struct archive *a, struct seen *seen, unsigned *count)
{
    const unsigned mode = a->fields[MODE];
    struct inode *inode;
    int rc = link_to_seen(a, seen, *count, &inode);
    if (rc == 1)
        return a->fields[SIZE] ? fill_file(inode, a) : 0;
    if (!rc)
        rc = path_make(root_inode, a->name, 0, mode, &inode);
    if (rc == -EEXIST && !strcmp(a->name, "."))
        return 0; /* the root */
    if (rc == -EEXIST)
        rc = replace(a, &inode);
    if (rc)
        return rc;
    inode->uid = a->fields[UID];
    inode->gid = a->fields[GID];
    if ((mode & S_IFMT) == S_IFCHR || (mode & S_IFMT) == S_IFBLK)
        dev_assign(inode, DEVICE(a->fields[RDEV], a->fields[RDEV2]));
    inode->mtime = a->fields[MTIME] * 1000000000ul;
    if (inode_is(inode, S_IFREG))
        rc = fill_file(inode, a);
    else if (inode_is(inode, S_IFLNK))
        rc = fill_link(inode, a);
    if (a->fields[LINKS] > 1 && inode_is(inode, S_IFREG) && *count < SEEN_MAX)
        seen[(*count)++] = (struct seen){a->fields[INO], inode};
    inode_put(inode); /* its name holds it */
    return rc;
}

long cpio_unpack(const void *archive, size_t size)
{
    struct archive a = {.at = archive, .end = (const char *)archive + size};
    struct seen *seen = heap_alloc(SEEN_MAX * sizeof(*seen));
    unsigned count = 0;
    long files = 0;
    int rc = seen ? 0 : -ENOMEM;

    while (!rc && (rc = next_member(&a)) > 0) {
        if (!strcmp(a.name, "TRAILER!!!")) {
            count = 0; /* numbers of inodes are an archive's own */
            rc = 0;
            continue;
        }
        rc = unpack_member(&a, seen, &count);
        files++;
    }
    heap_free(seen);
    return rc ? rc : files;
}
