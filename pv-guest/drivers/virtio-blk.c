/*
 * Virtio disks ("Virtual I/O Device (VIRTIO) Version 1.1", 5.2).
 *
 * A request is a chain: a header that says what and where; the memory, by the machine addresses that the request brings, so
 * nothing is copied and whose memory it is does not matter; a byte for the result.  Header and byte are in a slot of the
 * queue's, one for each descriptor that a chain can begin with.
 *
 * The device is asked about many requests at once, at block_kick and at the end of an interrupt.  A device that says what
 * cannot be is reset, so that it forgets the memory that it was given; the disk is gone then.
 */
#include "drivers/virtio-blk.h"

#include "drivers/virtio-pci.h"
#include "kernel/block/block.h"
#include "kernel/files/file.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/page.h"
#include "kernel/tasks/task.h"

#define DEVICE_TRANSITIONAL 0x1001
#define DEVICE_MODERN       0x1042

#define F_SIZE_MAX (1ul << 1)
#define F_SEG_MAX  (1ul << 2)
#define F_RO       (1ul << 5)
#define F_BLK_SIZE (1ul << 6)
#define F_FLUSH    (1ul << 9)
#define F_TOPOLOGY (1ul << 10)
#define F_MQ       (1ul << 12)
#define F_DISCARD  (1ul << 13)
#define WANTED                                                                              \
    (F_SIZE_MAX | F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_MQ | F_DISCARD | \
     VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

/* Configuration. */
#define CONFIG_CAPACITY        0
#define CONFIG_SIZE_MAX        8
#define CONFIG_SEG_MAX         12
#define CONFIG_BLK_SIZE        20
#define CONFIG_PHYSICAL        24 /* log2 of how many logical blocks */
#define CONFIG_QUEUES          34
#define CONFIG_DISCARD_SECTORS 36

#define TYPE_IN      0
#define TYPE_OUT     1
#define TYPE_FLUSH   4
#define TYPE_DISCARD 11

#define STATUS_OK          0
#define STATUS_IOERR       1
#define STATUS_UNSUPPORTED 2
#define STATUS_NONE        0xff /* ours: the device has written nothing */

/* What the device reads and writes besides the memory of a request.  None crosses a page. */
struct slot {
    uint32_t type, unused;
    uint64_t sector;
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range; /* to be discarded */
    uint8_t status;
} __attribute__((aligned(64)));

#define SLOTS_ORDER 1
_Static_assert(VIRTQUEUE_SIZE_MOST * sizeof(struct slot) == PAGE_SIZE << SLOTS_ORDER, "all slots");

struct blk_queue {
    struct blk *blk;
    unsigned index;
    struct virtqueue ring;
    struct slot *slots;
    struct list waiting;                    /* requests for which there was no room */
    uint32_t writable[VIRTQUEUE_SIZE_MOST]; /* bytes that the device may write, by slot */
};

struct blk {
    struct block_device disk;
    struct virtio_device device;
    uint32_t discard_most; /* sectors at once */
    unsigned queue_count;
    struct blk_queue queues[VIRTIO_QUEUES_MOST];
};

static unsigned disk_count;

/* ---- Requests ---- */

static unsigned descriptors_for(const struct block_request *r)
{
    return 2 + (r->operation == BLOCK_DISCARD ? 1 : r->segment_count);
}

/* How much of @r, a discard, is asked for at once. */
static uint32_t discard_part(const struct blk *b, const struct block_request *r)
{
    return (uint32_t)MIN(r->sectors, (uint64_t)b->discard_most);
}

static void fill_slot(const struct blk *b, struct slot *s, const struct block_request *r)
{
    static const uint32_t types[] = {[BLOCK_READ] = TYPE_IN,
                                     [BLOCK_WRITE] = TYPE_OUT,
                                     [BLOCK_FLUSH] = TYPE_FLUSH,
                                     [BLOCK_DISCARD] = TYPE_DISCARD};
    const bool moves = r->operation == BLOCK_READ || r->operation == BLOCK_WRITE;
    *s = (struct slot){
        .type = types[r->operation], .sector = moves ? r->sector : 0, .status = STATUS_NONE};
    if (r->operation == BLOCK_DISCARD) {
        s->range.sector = r->sector;
        s->range.sectors = discard_part(b, r);
    }
}

/* Hand @r to the device; false: there is no room. */
static bool begin(struct blk_queue *q, struct block_request *r)
{
    const int slot = virtqueue_begin(&q->ring, descriptors_for(r));
    if (slot < 0)
        return false;
    struct slot *const s = &q->slots[slot];
    const uint64_t machine = hardware_address(s);
    const bool reads = r->operation == BLOCK_READ;
    uint32_t writable = sizeof(s->status);
    fill_slot(q->blk, s, r);
    virtqueue_put(&q->ring, machine, offsetof(struct slot, range), false);
    if (r->operation == BLOCK_DISCARD)
        virtqueue_put(&q->ring, machine + offsetof(struct slot, range), sizeof(s->range), false);
    else
        for (unsigned i = 0; i < r->segment_count; i++) {
            virtqueue_put(&q->ring, r->segments[i].machine, r->segments[i].size, reads);
            writable += reads ? r->segments[i].size : 0;
        }
    virtqueue_put(&q->ring, machine + offsetof(struct slot, status), sizeof(s->status), true);
    q->writable[slot] = writable;
    virtqueue_end(&q->ring, r);
    return true;
}

static void begin_waiting(struct blk_queue *q)
{
    struct block_request *r, *after;
    list_for_each_safe(r, after, &q->waiting, link)
    {
        /* Out of the list first: what is in the device's hands is in none of ours. */
        list_remove(&r->link);
        if (begin(q, r))
            continue;
        list_add_first(&r->link, &q->waiting);
        return;
    }
}

static void submit(struct block_device *disk, struct block_request *r)
{
    struct blk *const b = disk->object;
    struct blk_queue *const q = &b->queues[cpu_this()->number % b->queue_count];
    if (r->operation == BLOCK_FLUSH)
        r->segment_count = 0;
    if (!list_empty(&q->waiting) || !begin(q, r))
        list_add(&r->link, &q->waiting);
}

static void notify(struct blk_queue *q)
{
    if (virtqueue_wants_notify(&q->ring))
        virtio_notify(&q->blk->device, q->index);
}

static void kick(struct block_device *disk)
{
    struct blk *const b = disk->object;
    for (unsigned i = 0; i < b->queue_count; i++)
        notify(&b->queues[i]);
}

/* ---- Results ---- */

static void give_up(struct blk *b, const char *why)
{
    if (b->disk.gone)
        return;
    print("%s: %s; it is not used any more\n", b->disk.name, why);
    virtio_fail(&b->device);
    block_unregister(&b->disk);
    for (unsigned i = 0; i < b->queue_count; i++) {
        struct blk_queue *const q = &b->queues[i];
        struct block_request *r, *after;
        q->ring.broken = true;
        while ((r = virtqueue_take_back(&q->ring)))
            block_done(r, -EIO);
        list_for_each_safe(r, after, &q->waiting, link)
        {
            list_remove(&r->link);
            block_done(r, -EIO);
        }
    }
}

/* @r is done, as far as it was asked for. */
static void done(struct blk_queue *q, struct block_request *r, uint8_t status)
{
    if (r->operation == BLOCK_DISCARD && status == STATUS_OK) {
        const uint32_t part = discard_part(q->blk, r);
        r->sector += part;
        r->sectors -= part;
        if (r->sectors) {
            list_add_first(&r->link, &q->waiting);
            return;
        }
    }
    block_done(r, status == STATUS_OK ? 0 : status == STATUS_UNSUPPORTED ? -EOPNOTSUPP : -EIO);
}

/* Take what the device has done.  What is wrong with it; NULL: nothing. */
static const char *take_done(struct blk_queue *q)
{
    do {
        struct block_request *r;
        unsigned slot;
        uint32_t written;
        while ((r = virtqueue_take(&q->ring, &slot, &written))) {
            const uint8_t status = __atomic_load_n(&q->slots[slot].status, __ATOMIC_RELAXED);
            const bool lies = written > q->writable[slot] || status > STATUS_UNSUPPORTED;
            done(q, r, lies ? STATUS_IOERR : status);
            if (lies)
                return "the device has answered a request with what is no answer";
        }
        if (q->ring.broken)
            return "the device has answered a request that it had not been given";
    } while (!virtqueue_wait(&q->ring));
    return NULL;
}

static void interrupt(void *argument)
{
    struct blk_queue *const q = argument;
    const char *const problem = take_done(q);
    if (problem) {
        give_up(q->blk, problem);
        return;
    }
    begin_waiting(q);
    kick(&q->blk->disk); /* those who were told may have made requests, to any queue */
}

/* ---- Beginning ---- */

static const struct block_ops ops = {.submit = submit, .kick = kick};

static uint64_t config(const struct blk *b, uint64_t feature, unsigned offset, unsigned bytes,
                       uint64_t otherwise)
{
    return !feature || b->device.features & feature ? virtio_config(&b->device, offset, bytes)
                                                    : otherwise;
}

/* What the disk is like; false: like none that can be used. */
static bool read_config(struct blk *b)
{
    struct block_device *const d = &b->disk;
    unsigned generation;
    uint64_t size_most, segments, physical;
    do {
        generation = virtio_config_generation(&b->device);
        d->sectors = config(b, 0, CONFIG_CAPACITY, 8, 0);
        d->sector_size = (unsigned)config(b, F_BLK_SIZE, CONFIG_BLK_SIZE, 4, SECTOR_SIZE);
        size_most = config(b, F_SIZE_MAX, CONFIG_SIZE_MAX, 4, PAGE_SIZE);
        segments = config(b, F_SEG_MAX, CONFIG_SEG_MAX, 4, 1);
        physical = config(b, F_TOPOLOGY, CONFIG_PHYSICAL, 1, 0);
        b->discard_most = (uint32_t)config(b, F_DISCARD, CONFIG_DISCARD_SECTORS, 4, 0);
        b->queue_count = (unsigned)config(b, F_MQ, CONFIG_QUEUES, 2, 1);
    } while (generation != virtio_config_generation(&b->device));
    if (d->sector_size < SECTOR_SIZE || d->sector_size > PAGE_SIZE ||
        (d->sector_size & (d->sector_size - 1)) || !segments || size_most < PAGE_SIZE ||
        !b->queue_count)
        return false;
    d->physical_size = physical <= 8 ? d->sector_size << physical : d->sector_size;
    d->segments_most = (unsigned)segments;
    d->read_only = b->device.features & F_RO;
    d->flushes = b->device.features & F_FLUSH;
    d->discards = b->discard_most;
    b->queue_count = MIN(b->queue_count, (unsigned)VIRTIO_QUEUES_MOST);
    return true;
}

static int begin_queue(struct blk *b, unsigned index)
{
    struct blk_queue *const q = &b->queues[index];
    struct page *const slots = page_alloc(SLOTS_ORDER);
    q->blk = b;
    q->index = index;
    list_init(&q->waiting);
    if (!slots)
        return -ENOMEM;
    q->slots = page_address(slots);
    const int rc = virtio_queue(&b->device, index, &q->ring, interrupt, q);
    /* A chain has a header and a result besides the segments, and is never longer than the queue. */
    if (!rc)
        b->disk.segments_most = MIN(b->disk.segments_most, q->ring.size - 2);
    return rc;
}

static int begin_disk(struct blk *b, hardware_function function)
{
    int rc = virtio_begin(&b->device, function, WANTED);
    if (!rc && !read_config(b)) {
        b->device.problem = "its blocks, segments or queues are of no size that can be used";
        rc = -EIO;
    }
    for (unsigned i = 0; !rc && i < b->queue_count; i++)
        rc = begin_queue(b, i);
    return rc;
}

static void found(hardware_function function)
{
    const uint32_t device = pci_read(function, PCI_DEVICE, 2);
    if (pci_read(function, PCI_VENDOR, 2) != VIRTIO_PCI_VENDOR || disk_count == 26 ||
        (device != DEVICE_TRANSITIONAL && device != DEVICE_MODERN))
        return;
    /* It is never freed: files may know the disk when it is gone, and interrupts may come. */
    struct blk *const b = heap_alloc(sizeof(*b));
    const int rc = b ? begin_disk(b, function) : -ENOMEM;
    if (rc) {
        print("the virtio disk %02x:%02x.%u is not used: %s\n", function >> 8, function >> 3 & 31,
              function & 7, b && b->device.problem ? b->device.problem : "there is no memory");
        if (b)
            virtio_fail(&b->device);
        return;
    }
    print_to(b->disk.name, sizeof(b->disk.name), "vd%c", 'a' + (int)disk_count);
    b->disk.device = DEVICE(254, 16 * disk_count++);
    b->disk.any_memory = true;
    b->disk.ops = &ops;
    b->disk.object = b;
    virtio_ready(&b->device);
    block_register(&b->disk);
}

void virtio_blk_start(void)
{
    hardware_init();
    pci_for_each(found);
}
