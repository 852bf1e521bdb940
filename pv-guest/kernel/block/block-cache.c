/*
 * The page cache of disks.
 *
 * A page is found by device and number in a hash table, and all are in one list, those that nobody has used for long
 * first: there the next page comes from when there are as many as there may be.  A transfer is one request with its
 * pages, which follow each other on the disk.
 */
#include "block-cache.h"
#include "errno.h"
#include "heap.h"
#include "page.h"
#include "print.h"
#include "text.h"

#define BUCKETS       1024
#define TRANSFER_MOST 32 /* pages */

/**
 * struct cached_page - a page of a disk.
 *
 * I1  It is in a bucket and in @lru until it is freed, and nobody frees it while it has users, is busy or dirty.
 * I2  @dirty: in its device's list of those, in the order in which they became so.
 * I3  @busy: a transfer has it, which reads if the page is not valid, else writes.
 */
struct cached_page {
    struct list bucket, lru, dirty_link;
    struct block_device *device;
    uint64_t index;
    struct page *page;
    unsigned users;
    bool valid, busy, dirty;
};

struct transfer {
    struct block_request request;
    struct block_device *device;
    unsigned count;
    struct cached_page *pages[TRANSFER_MOST];
    struct block_segment segments[TRANSFER_MOST];
};

static struct list buckets[BUCKETS];
static struct list lru = LIST_INIT(lru);
static unsigned long cached_total, cached_most;

void block_cache_init(struct block_device *device)
{
    if (!cached_most) {
        for (unsigned i = 0; i < BUCKETS; i++)
            list_init(&buckets[i]);
        cached_most = MAX(page_count().total / 4, 64ul);
    }
    list_init(&device->dirty);
    wait_init(&device->changed);
}

void *block_cache_address(const struct cached_page *page)
{
    return page_address(page->page);
}

static struct list *bucket_of(const struct block_device *device, uint64_t index)
{
    return &buckets[(index + device->device * 61) % BUCKETS];
}

static struct cached_page *find(const struct block_device *device, uint64_t index)
{
    struct cached_page *c;
    list_for_each(c, bucket_of(device, index), bucket)
    {
        if (c->device == device && c->index == index)
            return c;
    }
    return NULL;
}

/* How much of the page is on the disk. */
static unsigned bytes_of(const struct block_device *device, uint64_t index)
{
    const uint64_t end = device->sectors << SECTOR_SHIFT;
    return MIN(end - index * PAGE_SIZE, PAGE_SIZE);
}

static void free_page(struct cached_page *c)
{
    list_remove(&c->bucket);
    list_remove(&c->lru);
    c->device->cached_count--;
    cached_total--;
    page_put(c->page);
    heap_free(c);
}

static bool in_use(const struct cached_page *c)
{
    return c->users || c->busy || c->dirty;
}

/* ---- Transfers ---- */

static void set_clean(struct cached_page *c)
{
    c->dirty = false;
    list_remove(&c->dirty_link);
    c->device->dirty_count--;
}

static void transfer_done(struct block_request *request)
{
    struct transfer *const t = container_of(request, struct transfer, request);
    struct block_device *const device = t->device;
    for (unsigned i = 0; i < t->count; i++) {
        struct cached_page *const c = t->pages[i];
        c->busy = false;
        if (!c->valid && !request->status)
            c->valid = true;
        else if (!c->valid && !c->users)
            free_page(c);
    }
    if (request->operation == BLOCK_WRITE && request->status)
        device->write_error = -EIO;
    device->under_way--;
    wait_wake(&device->changed);
    heap_free(t);
}

/* @c belongs to @t, after those that it has. */
static void transfer_add(struct transfer *t, struct cached_page *c)
{
    const unsigned size = bytes_of(c->device, c->index);
    c->busy = true;
    t->segments[t->count] = block_segment(c->page, 0, size);
    t->pages[t->count++] = c;
    t->request.sectors += size >> SECTOR_SHIFT;
}

static void transfer_begin(struct transfer *t, enum block_operation operation)
{
    const struct cached_page *const first = t->pages[0];
    t->device = first->device;
    t->request.operation = operation;
    t->request.sector = first->index << (PAGE_SHIFT - SECTOR_SHIFT);
    t->request.segments = t->segments;
    t->request.segment_count = t->count;
    t->request.done = transfer_done;
    t->device->under_way++;
    block_submit(t->device, &t->request);
}

static unsigned transfer_most(const struct block_device *device)
{
    return MIN(device->segments_most, (unsigned)TRANSFER_MOST);
}

/* Write @c, and those behind it that are to be written, too. */
static int write_from(struct cached_page *c)
{
    struct transfer *const t = heap_alloc(sizeof(*t));
    struct block_device *const device = c->device;
    if (!t)
        return -ENOMEM;
    while (c && c->dirty && !c->busy && t->count < transfer_most(device)) {
        set_clean(c);
        transfer_add(t, c);
        c = find(device, c->index + 1);
    }
    transfer_begin(t, BLOCK_WRITE);
    return 0;
}

/* Begin to write what was dirty when this began; and wait for all writing that is under way. */
static int write_back(struct block_device *device)
{
    unsigned long left = device->dirty_count;
    int rc = 0;
    while (!rc && left && device->dirty_count) {
        struct cached_page *c;
        bool begun = false;
        list_for_each(c, &device->dirty, dirty_link)
        {
            if (c->busy)
                continue;
            const unsigned long before = device->dirty_count;
            rc = write_from(c);
            left -= MIN(left, before - MIN(before, device->dirty_count));
            begun = true;
            break; /* the list is another one now */
        }
        if (!begun) {
            block_kick(device);
            wait_uninterruptible(&device->changed);
        }
    }
    block_kick(device);
    while (device->under_way)
        wait_uninterruptible(&device->changed);
    return rc;
}

/* ---- Making room ---- */

/* Free a page that nobody uses; what is to be written is written before, if there is nothing else. */
static bool reclaim(void)
{
    for (unsigned round = 0; round < 2; round++) {
        struct cached_page *c;
        struct block_device *device = NULL;
        list_for_each(c, &lru, lru)
        {
            if (!in_use(c)) {
                free_page(c);
                return true;
            }
            if (c->dirty && !c->users)
                device = c->device;
        }
        if (!device || write_back(device))
            return false;
    }
    return false;
}

/* A page that is not there; NULL: no memory, or somebody else has made it meanwhile. */
static struct cached_page *make_page(struct block_device *device, uint64_t index)
{
    while (cached_total >= cached_most && reclaim()) {
    }
    struct page *page = page_alloc_zero(PAGE_FOR_FILE);
    if (!page && reclaim())
        page = page_alloc_zero(PAGE_FOR_FILE);
    struct cached_page *const c =
        page && !find(device, index) ? heap_alloc_for(PAGE_FOR_FILE, sizeof(*c)) : NULL;
    if (!c) {
        if (page)
            page_put(page);
        return NULL;
    }
    *c = (struct cached_page){.device = device, .index = index, .page = page};
    list_init(&c->dirty_link);
    list_add(&c->bucket, bucket_of(device, index));
    list_add(&c->lru, &lru);
    device->cached_count++;
    cached_total++;
    return c;
}

/* ---- Reading ---- */

/* Read @c, a new page that its maker holds, and some behind it if that is how this disk is read. */
static void read_from(struct cached_page *c)
{
    struct block_device *const device = c->device;
    struct transfer *const t = heap_alloc(sizeof(*t));
    const uint64_t end = PAGES_FOR(device->sectors << SECTOR_SHIFT);
    if (!t)
        return; /* it stays as it is, not valid */
    const bool ahead = c->index == device->read_next;
    uint64_t next = c->index + 1;
    transfer_add(t, c);
    for (; ahead && next < end && t->count < transfer_most(device); next++) {
        if (cached_total >= cached_most || find(device, next))
            break;
        struct cached_page *const more = make_page(device, next);
        if (!more)
            break;
        transfer_add(t, more);
    }
    device->read_next = next;
    transfer_begin(t, BLOCK_READ);
    block_kick(device);
}

int block_cache_get(struct block_device *device, uint64_t index, bool overwrite,
                    struct cached_page **page)
{
    if (index >= PAGES_FOR(device->sectors << SECTOR_SHIFT))
        return -ENXIO;
    if (device->dirty_count > cached_most / 2 && write_back(device))
        return -ENOMEM;
    struct cached_page *c = find(device, index);
    const bool made = !c;
    if (made)
        c = make_page(device, index);
    if (!c)
        c = find(device, index);
    if (!c)
        return -ENOMEM;
    c->users++;
    list_remove(&c->lru);
    list_add(&c->lru, &lru);
    if (made && !overwrite && !c->valid && !c->busy)
        read_from(c);
    while (c->busy && !c->valid)
        wait_uninterruptible(&device->changed);
    c->valid |= overwrite;
    if (!c->valid) {
        block_cache_put(c);
        return -EIO;
    }
    *page = c;
    return 0;
}

void block_cache_put(struct cached_page *c)
{
    BUG_ON(!c->users);
    if (!--c->users && !c->valid && !c->busy)
        free_page(c);
}

void block_cache_dirty(struct cached_page *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    list_add(&c->dirty_link, &c->device->dirty);
    c->device->dirty_count++;
}

int block_cache_sync(struct block_device *device)
{
    int rc = write_back(device);
    if (!rc)
        rc = block_do(device, BLOCK_FLUSH, 0, 0, NULL, 0);
    if (!rc)
        rc = device->write_error;
    device->write_error = 0;
    return rc;
}

void block_cache_sync_all(void)
{
    struct block_device *device;
    list_for_each(device, &block_devices, link)(void) !block_cache_sync(device);
}

void block_cache_drop(struct block_device *device)
{
    struct cached_page *c, *after;
    list_for_each_safe(c, after, &lru, lru)
    {
        if (c->device == device && !in_use(c))
            free_page(c);
    }
}

/* ---- Bytes ---- */

int block_cache_read(struct block_device *device, uint64_t offset, void *to, size_t size)
{
    for (size_t done = 0, n; done < size; done += n) {
        struct cached_page *c;
        const size_t in_page = (offset + done) % PAGE_SIZE;
        n = MIN(size - done, PAGE_SIZE - in_page);
        const int rc = block_cache_get(device, (offset + done) >> PAGE_SHIFT, false, &c);
        if (rc)
            return rc;
        memcpy((char *)to + done, (char *)block_cache_address(c) + in_page, n);
        block_cache_put(c);
    }
    return 0;
}

int block_cache_write(struct block_device *device, uint64_t offset, const void *from, size_t size)
{
    for (size_t done = 0, n; done < size; done += n) {
        struct cached_page *c;
        const size_t in_page = (offset + done) % PAGE_SIZE;
        n = MIN(size - done, PAGE_SIZE - in_page);
        const int rc = block_cache_get(device, (offset + done) >> PAGE_SHIFT, n == PAGE_SIZE, &c);
        if (rc)
            return rc;
        memcpy((char *)block_cache_address(c) + in_page, (const char *)from + done, n);
        block_cache_dirty(c);
        block_cache_put(c);
    }
    return 0;
}
