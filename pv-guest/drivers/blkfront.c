/*
 * The frontend of virtual disks: what the store and both ends say to each other until there is a /dev/xvdX.
 *
 *      ours           the backend's
 *      Initialising   InitWait        it has told what it can do; we make a ring, and tell where it is
 *      Initialised    Connected       it has the ring, and tells how large the disk is: it is registered
 *      Connected
 *      Closing        Closing         it wants to end; what has been written is on the disk, then the ring goes
 *      Closed         Closed
 */
#include "drivers/blkfront.h"
#include "drivers/blkfront-ring.h"
#include "kernel/block/block-cache.h"
#include "kernel/files/file.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/memory/heap.h"

#define MAJOR        202         /* of xvdX, as Linux has it */
#define EXTENDED     (1u << 28)  /* in the number of a disk: one of many */
#define SECTORS_MOST (1ul << 52) /* so that no sum of bytes and sectors wraps */

struct blkfront {
    struct list link;
    struct xenbus_device *bus;
    struct blkfront_ring ring;
    struct block_device *disk; /* never freed, once it was registered */
    bool registered;
    const char *wrong; /* what the backend has done that it may not */
};

static struct list fronts = LIST_INIT(fronts);

/* ---- The disk ---- */

static void front_submit(struct block_device *device, struct block_request *request)
{
    struct blkfront *const f = device->object;
    blkfront_ring_submit(&f->ring, request);
}

static void front_kick(struct block_device *device)
{
    struct blkfront *const f = device->object;
    blkfront_ring_push(&f->ring);
}

static const struct block_ops front_ops = {.submit = front_submit, .kick = front_kick};

static void unregister(struct blkfront *f)
{
    if (f->registered)
        block_unregister(f->disk);
    f->registered = false;
}

/* The backend does not keep to the rules: it is asked for nothing any more. */
static void stop(struct blkfront *f, const char *why)
{
    print("%s: %s; the disk is stopped\n", f->disk->name, why);
    f->wrong = why;
    unregister(f);
    blkfront_ring_stop(&f->ring);
    xenstore_poke(&f->bus->other_state); /* the rest is for the task that may ask the store */
}

static void interrupt(unsigned port)
{
    struct blkfront *f;
    list_for_each(f, &fronts, link)
    {
        if (f->ring.port != port || !f->ring.shared || f->ring.stopped)
            continue;
        const char *const why = blkfront_ring_answers(&f->ring);
        if (why)
            stop(f, why);
        return;
    }
}

/* ---- Names ---- */

/* As Linux has the number of a device, whose minor may have more than eight bits. */
static unsigned device_number(unsigned major, unsigned minor)
{
    return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/* The name of the disk with this number in the store: xvda, ..., xvdz, xvdaa, ..., with the partition's number. */
static void name_disk(struct block_device *disk, uint64_t number)
{
    const bool extended = number & EXTENDED;
    const unsigned shift = extended ? 8 : 4;
    const unsigned minor = extended ? number & (EXTENDED - 1) : number & 0xff;
    const unsigned index = minor >> shift, part = minor & ((1u << shift) - 1);
    char letters[4] = "", digits[8] = "";
    if (!extended && number >> 8 != MAJOR) {
        print_to(disk->name, sizeof(disk->name), "vbd%lu", number);
        disk->device = number;
        return;
    }
    if (index >= 26)
        print_to(letters, sizeof(letters), "%c%c", 'a' + (index / 26 - 1) % 26, 'a' + index % 26);
    else
        print_to(letters, sizeof(letters), "%c", 'a' + index);
    if (part)
        print_to(digits, sizeof(digits), "%u", part);
    print_to(disk->name, sizeof(disk->name), "xvd%s%s", letters, digits);
    disk->device = device_number(MAJOR, minor);
}

/* ---- Negotiation ---- */

static bool offers(const struct xenbus_device *bus, const char *feature)
{
    return xenstore_number(bus->other_end, feature, 0) == 1;
}

/* All that the backend must know of the ring, in one transaction. */
static int tell_ring(const struct blkfront *f, unsigned transaction)
{
    const char *const path = f->bus->path;
    int rc = 0;
    if (f->ring.order)
        rc = xenstore_write_number(transaction, path, "ring-page-order", f->ring.order);
    for (unsigned i = 0; !rc && i < f->ring.granted; i++) {
        char name[16] = "ring-ref";
        if (f->ring.order)
            print_to(name, sizeof(name), "ring-ref%u", i);
        rc = xenstore_write_number(transaction, path, name, f->ring.grants[i]);
    }
    if (!rc)
        rc = xenstore_write_number(transaction, path, "event-channel", f->ring.port);
    if (!rc)
        rc = xenstore_write_in(transaction, path, "protocol", "x86_64-abi");
    if (!rc)
        rc = xenstore_write_number(transaction, path, "feature-persistent", 0);
    return rc;
}

static int publish(const struct blkfront *f)
{
    unsigned transaction;
    int rc;
    do {
        rc = xenstore_begin(&transaction);
        if (rc)
            return rc;
        rc = tell_ring(f, transaction);
        const int ended = xenstore_end(transaction, !rc);
        rc = rc ? rc : ended;
    } while (rc == -EAGAIN);
    return rc;
}

/* The backend waits: give it a ring. */
static int negotiate(struct blkfront *f)
{
    const uint64_t order = xenstore_number(f->bus->other_end, "max-ring-page-order", 0);
    int rc = blkfront_ring_make(&f->ring, MIN(order, (uint64_t)BLKFRONT_ORDER_MOST),
                                f->bus->other_end_id);
    if (rc)
        return rc;
    event_handle_port(vcpu_first(), f->ring.port, interrupt);
    rc = publish(f);
    if (!rc)
        xenbus_switch(f->bus, XenbusStateInitialised);
    return rc;
}

static unsigned segments_of(const struct blkfront *f)
{
    const uint64_t most = xenstore_number(f->bus->other_end, "feature-max-indirect-segments", 0);
    return most > BLKIF_MAX_SEGMENTS_PER_REQUEST ? MIN(most, (uint64_t)BLKFRONT_SEGMENTS_MOST)
                                                 : BLKIF_MAX_SEGMENTS_PER_REQUEST;
}

static bool is_sector_size(uint64_t size)
{
    return size >= SECTOR_SIZE && size <= PAGE_SIZE && !(size & (size - 1));
}

/* The backend has the ring, and says what the disk is like. */
static int connect(struct blkfront *f)
{
    const char *const other = f->bus->other_end;
    struct block_device *const d = f->disk;
    const uint64_t sectors = xenstore_number(other, "sectors", 0),
                   size = xenstore_number(other, "sector-size", SECTOR_SIZE),
                   physical = xenstore_number(other, "physical-sector-size", size);
    if (!sectors || sectors > SECTORS_MOST || !is_sector_size(size))
        return -EINVAL;
    d->sectors = sectors;
    d->sector_size = size;
    d->physical_size = is_sector_size(physical) ? physical : size;
    d->segments_most = segments_of(f);
    d->read_only = xenstore_number(other, "info", 0) & VDISK_READONLY;
    d->flushes = offers(f->bus, "feature-flush-cache");
    d->discards = offers(f->bus, "feature-discard");
    d->ops = &front_ops;
    d->object = f;
    if (block_find(d->device) || block_find_name(d->name))
        return -EEXIST;
    xenbus_switch(f->bus, XenbusStateConnected);
    f->registered = true;
    block_register(d);
    return 0;
}

/* ---- Beginning and end ---- */

static int probe(struct xenbus_device *bus)
{
    const uint64_t number = xenstore_number(bus->path, "virtual-device", ~0ul);
    if (number >= EXTENDED << 1)
        return -EINVAL;
    struct blkfront *const f = heap_alloc(sizeof(*f));
    struct block_device *const disk = f ? heap_alloc(sizeof(*disk)) : NULL;
    if (!disk) {
        heap_free(f);
        return -ENOMEM;
    }
    f->disk = disk;
    bus->object = f;
    f->bus = bus;
    f->ring.stopped = true;
    f->ring.handle = number & 0xffff;
    f->ring.name = f->disk->name;
    name_disk(f->disk, number);
    list_add(&f->link, &fronts);
    return 0;
}

/* No more requests; what can still be written is. */
static void end(struct blkfront *f)
{
    if (f->registered && !f->wrong && block_cache_sync(f->disk))
        print("%s: what was written last is lost\n", f->disk->name);
    unregister(f);
    if (f->ring.port)
        event_forget(vcpu_first(), f->ring.port);
    blkfront_ring_free(&f->ring);
}

static void changed(struct xenbus_device *bus, enum xenbus_state state)
{
    struct blkfront *const f = bus->object;
    int rc = 0;
    if (bus->state == XenbusStateClosed)
        return;
    if (!f->wrong && state == XenbusStateInitWait && bus->state == XenbusStateInitialising)
        rc = negotiate(f);
    if (!f->wrong && state == XenbusStateConnected && bus->state == XenbusStateInitialised)
        rc = connect(f);
    if (rc)
        print("%s: no disk: %d\n", f->disk->name, rc);
    if (!rc && !f->wrong && state != XenbusStateClosing && state != XenbusStateClosed &&
        state != XenbusStateUnknown)
        return;
    xenbus_switch(bus, XenbusStateClosing);
    end(f);
    xenbus_switch(bus, XenbusStateClosed);
}

static void remove(struct xenbus_device *bus)
{
    struct blkfront *const f = bus->object;
    end(f);
    list_remove(&f->link);
    if (!f->disk->ops) /* it has never been registered: nobody knows it */
        heap_free(f->disk);
    else
        f->disk->object = NULL;
    heap_free(f);
}

const struct xenbus_driver blkfront_driver = {
    .type = "vbd", .probe = probe, .changed = changed, .remove = remove};
