/* Disks: which there are, and what may be asked of them. */
#include "block.h"
#include "block-cache.h"
#include "block-file.h"
#include "errno.h"
#include "page.h"
#include "platform/platform.h"
#include "print.h"
#include "text.h"

struct list block_devices = LIST_INIT(block_devices);
struct wait_queue block_arrived = WAIT_QUEUE_INIT(block_arrived);

struct block_device *block_find(unsigned device)
{
    struct block_device *d;
    list_for_each(d, &block_devices, link)
    {
        if (d->device == device && !d->gone)
            return d;
    }
    return NULL;
}

struct block_device *block_find_name(const char *name)
{
    struct block_device *d;
    list_for_each(d, &block_devices, link)
    {
        if (!strcmp(d->name, name) && !d->gone)
            return d;
    }
    return NULL;
}

void block_register(struct block_device *device)
{
    BUG_ON(!device->segments_most || device->sector_size < SECTOR_SIZE ||
           device->sector_size > PAGE_SIZE || (device->sector_size & (device->sector_size - 1)));
    block_cache_init(device);
    list_add(&device->link, &block_devices);
    block_node(device);
    print_note("%s: %lu sectors%s\n", device->name, device->sectors,
               device->read_only ? ", read-only" : "");
    wait_wake(&block_arrived);
}

void block_unregister(struct block_device *device)
{
    device->gone = true; /* it stays in the list: somebody may be sleeping half way through that */
}

/* How many bytes the segments have; 0: they are not as they should be, or there are none. */
static uint64_t segment_bytes(const struct block_device *d, const struct block_request *r)
{
    uint64_t sum = 0;
    if (r->segment_count > d->segments_most)
        return 0;
    for (unsigned i = 0; i < r->segment_count; i++) {
        const struct block_segment *s = &r->segments[i];
        if (!s->size || (s->size | s->machine) % SECTOR_SIZE ||
            s->machine % PAGE_SIZE + s->size > PAGE_SIZE)
            return 0;
        sum += s->size;
    }
    return sum % d->sector_size ? 0 : sum;
}

static bool in_range(const struct block_device *d, const struct block_request *r)
{
    return r->sectors && r->sectors <= d->sectors && r->sector <= d->sectors - r->sectors &&
           (r->sector | r->sectors) % (d->sector_size / SECTOR_SIZE) == 0;
}

/* May this be asked of @d? */
static int examine(const struct block_device *d, const struct block_request *r)
{
    if (d->gone)
        return -EIO;
    if (r->operation != BLOCK_READ && r->operation != BLOCK_FLUSH && d->read_only)
        return -EROFS;
    switch (r->operation) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        return in_range(d, r) && segment_bytes(d, r) == r->sectors << SECTOR_SHIFT ? 0 : -EINVAL;
    case BLOCK_DISCARD:
        return !d->discards ? -EOPNOTSUPP : in_range(d, r) ? 0 : -EINVAL;
    case BLOCK_FLUSH:
        return 0;
    }
    return -EINVAL;
}

void block_submit(struct block_device *device, struct block_request *request)
{
    const int rc = examine(device, request);
    if (rc || (request->operation == BLOCK_FLUSH && !device->flushes))
        block_done(request, rc);
    else
        device->ops->submit(device, request);
}

void block_kick(struct block_device *device)
{
    if (device->ops->kick && !device->gone)
        device->ops->kick(device);
}

/* A request whose maker waits for it. */
struct awaited {
    struct block_request request;
    struct wait_queue wait;
    bool done;
};

static void awaited_done(struct block_request *request)
{
    struct awaited *const a = container_of(request, struct awaited, request);
    a->done = true;
    wait_wake(&a->wait);
}

int block_do(struct block_device *device, enum block_operation operation, uint64_t sector,
             uint64_t sectors, const struct block_segment *segments, unsigned count)
{
    struct awaited a = {.request = {.operation = operation,
                                    .sector = sector,
                                    .sectors = sectors,
                                    .segments = segments,
                                    .segment_count = count,
                                    .done = awaited_done}};
    wait_init(&a.wait);
    block_submit(device, &a.request);
    block_kick(device);
    while (!a.done)
        wait_uninterruptible(&a.wait);
    return a.request.status;
}

struct block_segment block_segment(const struct page *page, unsigned offset, unsigned size)
{
    /* What a page-table entry holds is what the machine calls the page. */
    const uint64_t machine = platform_pte(page_number(page), 0).bits;
    return (struct block_segment){.machine = machine + offset, .size = size};
}

void *block_segment_address(const struct block_segment *segment)
{
    const pte_t entry = {segment->machine & PAGE_MASK};
    return (char *)page_at(platform_pte_page(entry)) + segment->machine % PAGE_SIZE;
}
