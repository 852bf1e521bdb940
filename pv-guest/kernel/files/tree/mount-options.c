/*
 * What the last argument of mount says about a tmpfs: words with commas between them.
 *
 *     size=N (bytes; k, m, g; % of memory)   nr_blocks=N (pages)   nr_inodes=N   mode=N (octal)   uid=N   gid=N
 */
#include "errno.h"
#include "mount.h"
#include "page.h"
#include "text.h"

/* A number with a suffix: false if it is none.  @whole is what % is of. */
static bool take_number(const char *text, unsigned base, uint64_t whole, uint64_t *value)
{
    static const char suffixes[] = "kmg";
    const char *end = text;
    if (*text < '0' || *text > '9')
        return false;
    *value = text_number(&end, base);
    const char last = *end >= 'A' && *end <= 'Z' ? *end + 'a' - 'A' : *end;
    if (last == '%' && whole) {
        *value = whole / 100 * *value;
        return !end[1];
    }
    for (unsigned i = 0; last && base == 10 && suffixes[i]; i++) {
        if (last == suffixes[i]) {
            *value <<= 10 * (i + 1);
            return !end[1];
        }
    }
    return !*end;
}

/* One word, which is cut at its equals sign. */
static int take_word(char *word, struct mount_options *o)
{
    char *value = strchr(word, '=');
    uint64_t n;
    if (!value)
        return -EINVAL;
    *value++ = 0;
    const uint64_t memory = page_count().total;
    if (!strcmp(word, "mode")) {
        o->has_mode = take_number(value, 8, 0, &n);
        o->mode = n & 07777;
        return o->has_mode ? 0 : -EINVAL;
    }
    if (!take_number(value, 10, strcmp(word, "size") ? 0 : memory * PAGE_SIZE, &n))
        return -EINVAL;
    if (!strcmp(word, "size"))
        o->pages = PAGES_FOR(n), o->has_pages = true;
    else if (!strcmp(word, "nr_blocks"))
        o->pages = n, o->has_pages = true;
    else if (!strcmp(word, "nr_inodes"))
        o->inodes = n, o->has_inodes = true;
    else if (!strcmp(word, "uid"))
        o->uid = n, o->has_uid = true;
    else if (!strcmp(word, "gid"))
        o->gid = n, o->has_gid = true;
    else
        return -EINVAL;
    return 0;
}

int mount_options_read(char *text, struct mount_options *o)
{
    *o = (struct mount_options){0};
    while (text && *text) {
        char *const comma = strchr(text, ',');
        if (comma)
            *comma = 0;
        const int rc = *text ? take_word(text, o) : 0;
        if (rc)
            return rc;
        text = comma ? comma + 1 : NULL;
    }
    return 0;
}

int mount_options_apply(const struct mount_options *o, struct inode *root)
{
    struct filesystem *const fs = root->fs;
    if ((o->has_pages && o->pages && o->pages < fs->pages) ||
        (o->has_inodes && o->inodes && o->inodes < fs->inodes))
        return -EINVAL; /* there is more in it */
    if (o->has_pages)
        fs->pages_most = o->pages;
    if (o->has_inodes)
        fs->inodes_most = o->inodes;
    if (o->has_mode)
        root->mode = (root->mode & S_IFMT) | o->mode;
    if (o->has_uid)
        root->uid = o->uid;
    if (o->has_gid)
        root->gid = o->gid;
    return 0;
}
