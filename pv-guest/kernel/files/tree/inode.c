/* Inodes, directories and the pages of regular files. */
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "inotify.h"
#include "mqueue.h"
#include "page.h"
#include "print.h"
#include "process.h"
#include "text.h"
#include "timer.h"

struct inode *root_inode;
static unsigned long page_total; /* of all files */
struct filesystem root_filesystem = {.type = "rootfs", .magic = 0x858458f6, .number = 1};

struct inode *inode_root(void)
{
    const struct process *p = process_current();
    return p ? p->places->root : root_inode;
}

void inode_changed(struct inode *inode)
{
    inode->ctime = clock_now();
    inode->stale = true;
}

void inode_modified(struct inode *inode)
{
    inode->mtime = inode->ctime = clock_now();
    inode->stale = true;
}

unsigned inode_links(const struct inode *inode)
{
    const struct entry *e;
    unsigned links = 2;
    if (inode_on_disk(inode))
        return inode->fs->ops->links(inode);
    if (!inode_is(inode, S_IFDIR))
        return inode->links;
    list_for_each(e, &inode->entries, link) links += inode_is(e->inode, S_IFDIR);
    return links;
}

struct inode *inode_new(unsigned mode)
{
    static uint64_t last_number;
    struct inode *inode = heap_alloc_for(PAGE_FOR_PROCESS, sizeof(*inode));
    if (!inode)
        return NULL;
    inode->refs = 1;
    inode->mode = mode;
    inode->number = ++last_number;
    inode->atime = inode->mtime = inode->ctime = inode->btime = clock_now();
    list_init(&inode->entries);
    list_init(&inode->attributes);
    list_init(&inode->watches);
    return inode;
}

void inode_init(void)
{
    root_inode = inode_new(S_IFDIR | 0755);
    BUG_ON(!root_inode);
    root_inode->parent = root_inode;
    root_inode->links = 1;
    inode_join(root_inode, &root_filesystem);
}

void inode_join(struct inode *inode, struct filesystem *fs)
{
    inode->fs = fs;
    fs->inodes++;
}

static void inode_leave(struct inode *inode)
{
    struct filesystem *const fs = inode->fs;
    if (fs && --fs->inodes == 0 && fs->gone)
        heap_free(fs);
}

void filesystem_end(struct filesystem *fs)
{
    if (fs->ops)
        fs->ops->end(fs);
    fs->gone = true;
    if (!fs->inodes)
        heap_free(fs);
}

static void count_pages(struct inode *inode, int n)
{
    page_total += n;
    inode->page_count += n;
    if (inode->fs)
        inode->fs->pages += n;
}

/* May @inode have one page more? */
static bool page_allowed(const struct inode *inode)
{
    const struct filesystem *fs = inode->fs;
    return !fs || !fs->pages_most || fs->pages < fs->pages_most;
}

static void drop_pages(struct inode *inode, size_t from)
{
    for (size_t i = from; i < inode->page_slots; i++) {
        if (!inode->pages[i])
            continue;
        page_put(inode->pages[i]);
        inode->pages[i] = NULL;
        count_pages(inode, -1);
    }
}

void inode_put(struct inode *inode)
{
    BUG_ON(!inode->refs);
    if (--inode->refs)
        return;
    if (!list_empty(&inode->watches))
        inotify_gone(inode);
    if (inode_on_disk(inode))
        inode->fs->ops->drop(inode);
    else
        inode_free(inode);
}

void inode_free(struct inode *inode)
{
    if (inode->mqueue)
        mqueue_gone(inode);
    drop_pages(inode, 0);
    heap_free(inode->pages);
    heap_free(inode->target);
    inode_attributes_drop(inode);
    if (inode->holds_parent)
        inode_put(inode->parent);
    inode_leave(inode);
    heap_free(inode);
}

struct entry *dir_find(struct inode *dir, const char *name)
{
    struct entry *e;
    list_for_each(e, &dir->entries, link)
    {
        if (!strcmp(e->name, name))
            return e;
    }
    return NULL;
}

int dir_attach(struct inode *dir, const char *name, struct inode *inode)
{
    if (dir_find(dir, name))
        return -EEXIST;
    struct entry *e = heap_alloc(sizeof(*e) + strlen(name) + 1);
    if (!e)
        return -ENOMEM;
    text_copy(e->name, name, NAME_MAX + 1);
    e->inode = inode;
    e->cookie = ++dir->next_cookie;
    list_add(&e->link, &dir->entries);
    inode_get(inode);
    inode->links++;
    inode->parent = dir;
    return 0;
}

int dir_add(struct inode *dir, const char *name, struct inode *inode)
{
    if (!dir->parent)
        return -ENOENT;
    const int rc = dir_attach(dir, name, inode);
    if (rc)
        return rc;
    inode_changed(inode);
    inode_modified(dir);
    return 0;
}

void dir_remove(struct inode *dir, struct entry *e)
{
    struct inode *inode = e->inode;
    list_remove(&e->link);
    heap_free(e);
    inode->links--;
    if (inode->parent == dir)
        inode->parent = NULL;
    inode_changed(inode);
    inode_modified(dir);
    inode_put(inode);
}

int inode_reserve(struct inode *inode, uint64_t size)
{
    const size_t needed = PAGES_FOR(size);
    if (needed <= inode->page_slots)
        return 0;
    if (size > (1ul << 40))
        return -EFBIG;
    const size_t slots = MAX(needed, MAX(inode->page_slots * 2, (size_t)4));
    struct page **pages = heap_alloc(slots * sizeof(*pages));
    if (!pages)
        return -ENOSPC;
    memcpy(pages, inode->pages, inode->page_slots * sizeof(*pages));
    heap_free(inode->pages);
    inode->pages = pages;
    inode->page_slots = slots;
    return 0;
}

static void page_made(struct inode *inode, uint64_t index)
{
    inode->pages[index] = page_alloc_zero(PAGE_FOR_FILE);
    if (!inode->pages[index])
        return;
    inode->pages[index]->changed = false;
    count_pages(inode, 1);
}

unsigned long inode_page_count(void)
{
    return page_total;
}

struct page *inode_page_at(struct inode *inode, uint64_t index, bool create)
{
    if (index >= inode->page_slots)
        return NULL;
    if (!inode->pages[index] && create && page_allowed(inode))
        page_made(inode, index);
    return inode->pages[index];
}

int inode_give_page(struct inode *inode, uint64_t index, struct page *page)
{
    if (index >= inode->page_slots || inode->pages[index])
        return -EEXIST;
    inode->pages[index] = page;
    count_pages(inode, 1);
    return 0;
}

unsigned inode_drop_clean(struct inode *inode, unsigned most)
{
    unsigned dropped = 0;
    for (size_t i = 0; i < inode->page_slots && dropped < most && inode->page_count; i++) {
        struct page *const page = inode->pages[i];
        if (!page || page->refs > 1 || page->changed)
            continue;
        inode->pages[i] = NULL;
        count_pages(inode, -1);
        page_put(page);
        dropped++;
    }
    return dropped;
}

int inode_show(struct inode *inode, struct page *page)
{
    if (inode_reserve(inode, PAGE_SIZE))
        return -ENOMEM;
    page_get(page);
    inode->pages[0] = page;
    inode->size = PAGE_SIZE;
    count_pages(inode, 1);
    return 0;
}

int inode_page(struct inode *inode, uint64_t offset, struct page **page)
{
    if (offset >= ROUND_UP(inode->size, PAGE_SIZE))
        return -ENXIO;
    if (inode_reserve(inode, inode->size))
        return -ENOMEM;
    *page = inode_page_at(inode, offset >> PAGE_SHIFT, true);
    return *page ? 0 : page_allowed(inode) ? -ENOMEM : -ENXIO;
}

size_t inode_read(struct inode *inode, uint64_t offset, void *to, size_t size)
{
    size_t done = 0;
    while (done < size && offset < inode->size) {
        const size_t in_page = offset % PAGE_SIZE;
        const size_t n = MIN(MIN(size - done, PAGE_SIZE - in_page), inode->size - offset);
        if (inode_load(inode, offset, n, false))
            break;
        struct page *page = inode_page_at(inode, offset >> PAGE_SHIFT, false);
        if (page)
            memcpy((char *)to + done, (char *)page_address(page) + in_page, n);
        else
            memset((char *)to + done, 0, n);
        done += n;
        offset += n;
    }
    return done;
}

static int resize(struct inode *inode, uint64_t size)
{
    if (size < inode->size) {
        drop_pages(inode, PAGES_FOR(size));
        struct page *last = inode_page_at(inode, size >> PAGE_SHIFT, false);
        if (size % PAGE_SIZE && last)
            memset((char *)page_address(last) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
    } else {
        const int rc = inode_reserve(inode, size);
        if (rc)
            return rc;
    }
    inode->size = size;
    inode_modified(inode);
    return 0;
}

int inode_resize(struct inode *inode, uint64_t size)
{
    if (!inode_on_disk(inode))
        return resize(inode, size);
    const struct filesystem_ops *const ops = inode->fs->ops;
    filesystem_lock_disk(inode->fs);
    int rc = size > inode->size ? ops->grow(inode, size)
             : size % PAGE_SIZE ? ops->page(inode, size >> PAGE_SHIFT, 0, 0)
                                : 0;
    const uint64_t old = inode->size;
    if (!rc)
        rc = resize(inode, size);
    if (!rc && size < old) {
        struct page *const last = inode_page_at(inode, size >> PAGE_SHIFT, false);
        if (last && size % PAGE_SIZE)
            last->changed = true;
        rc = ops->cut(inode, size, UINT64_MAX);
    }
    filesystem_unlock_disk(inode->fs);
    return rc;
}

static void zero_in_page(struct inode *inode, uint64_t from, uint64_t to)
{
    struct page *page = inode_page_at(inode, from >> PAGE_SHIFT, false);
    if (page && to == from + PAGE_SIZE && page->refs == 1) {
        inode->pages[from >> PAGE_SHIFT] = NULL;
        count_pages(inode, -1);
        page_put(page);
    } else if (page && to > from) {
        memset((char *)page_address(page) + from % PAGE_SIZE, 0, to - from);
        page->changed |= inode_on_disk(inode);
    }
}

/* Pages that are mapped somewhere stay, so that the mappings stay true; they cost memory, not correctness. */
int inode_punch(struct inode *inode, uint64_t start, uint64_t end)
{
    const uint64_t first = start;
    int rc = 0;
    filesystem_lock(inode->fs);
    if (inode_on_disk(inode) && start < end) {
        rc = inode->fs->ops->page(inode, start >> PAGE_SHIFT, 0, 0);
        if (!rc)
            rc = inode->fs->ops->page(inode, (end - 1) >> PAGE_SHIFT, 0, 0);
    }
    while (!rc && start < end) {
        const uint64_t to = MIN(end, (start & PAGE_MASK) + PAGE_SIZE);
        zero_in_page(inode, start, to);
        start = to;
    }
    if (!rc && inode_on_disk(inode))
        rc = inode->fs->ops->cut(inode, first, end);
    filesystem_unlock(inode->fs);
    inode_modified(inode);
    return rc;
}
