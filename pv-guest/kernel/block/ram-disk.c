/* A disk whose sectors are in memory.  Pages that nobody has written to are zeroes, and none. */
#include "ram-disk.h"
#include "block.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "page.h"
#include "print.h"
#include "text.h"

#define MOST_KIB (512ul << 10) /* what the heap's largest object has room for */

static struct page **pages;

/* Bytes of one page, in or out. */
static int copy(enum block_operation operation, uint64_t at, char *memory, size_t size)
{
    struct page **const slot = &pages[at >> PAGE_SHIFT];
    if (operation == BLOCK_READ && !*slot) {
        memset(memory, 0, size);
        return 0;
    }
    if (!*slot)
        *slot = page_alloc_zero(PAGE_FOR_FILE);
    if (!*slot)
        return -EIO;
    char *const there = (char *)page_address(*slot) + at % PAGE_SIZE;
    memcpy(operation == BLOCK_READ ? memory : there, operation == BLOCK_READ ? there : memory,
           size);
    return 0;
}

static void discard(uint64_t from, uint64_t to)
{
    for (uint64_t at = ROUND_UP(from, PAGE_SIZE); at + PAGE_SIZE <= to; at += PAGE_SIZE) {
        struct page **const slot = &pages[at >> PAGE_SHIFT];
        if (*slot)
            page_put(*slot);
        *slot = NULL;
    }
}

static void ram_disk_submit(struct block_device *device, struct block_request *request)
{
    uint64_t at = request->sector << SECTOR_SHIFT;
    int rc = 0;
    if (request->operation == BLOCK_DISCARD)
        discard(at, at + (request->sectors << SECTOR_SHIFT));
    for (unsigned i = 0; !rc && i < request->segment_count; i++) {
        char *memory = block_segment_address(&request->segments[i]);
        for (size_t left = request->segments[i].size, n; !rc && left; left -= n) {
            n = MIN(left, PAGE_SIZE - at % PAGE_SIZE);
            rc = copy(request->operation, at, memory, n);
            at += n;
            memory += n;
        }
    }
    block_done(request, rc);
}

static const struct block_ops ram_disk_ops = {.submit = ram_disk_submit};

void ram_disk_make(uint64_t kib)
{
    static struct block_device disk = {.name = "ram0",
                                       .device = DEVICE(1, 0),
                                       .sector_size = SECTOR_SIZE,
                                       .segments_most = 32,
                                       .discards = true,
                                       .ops = &ram_disk_ops};
    if (!kib || kib > MOST_KIB)
        return;
    disk.sectors = kib * 1024 / SECTOR_SIZE;
    pages = heap_alloc(PAGES_FOR(kib * 1024) * sizeof(*pages));
    if (pages)
        block_register(&disk);
    else
        print("no memory for a disk of %lu KiB\n", kib);
}
