/*
 * Disks: requests for sectors, between those who make them and those who serve them.
 *
 *      programs (/dev/xvda) ---> block-cache.c ---> block_submit ---> a driver's submit
 *      file systems -----------/                /                       |
 *      a backend ------------------------------'      request->done <---'
 *
 * A driver fills in a struct block_device and registers it.  Memory is named by the addresses that the machine's
 * devices use, so that a request can be for memory which is not this kernel's; whoever makes the request sees to it that
 * the memory stays until it is done.  All of this is called with the kernel's lock held, and nothing of it sleeps but what
 * says so.
 */
#pragma once

#include "list.h"
#include "wait.h"

struct block_device;
struct page;

#define SECTOR_SHIFT 9
#define SECTOR_SIZE  512ul

enum block_operation {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,  /* all that has been written is on the disk when this is done; no sectors */
    BLOCK_DISCARD /* nobody needs the content of these sectors any more; no segments */
};

/* Memory: whole sectors, within one page. */
struct block_segment {
    uint64_t machine; /* machine address */
    uint32_t size;    /* bytes */
};

/*
 * A request.  It belongs to the driver from block_submit until @done is called, once, with the result in @status: 0, -EIO,
 * -EROFS, -EINVAL or -EOPNOTSUPP.  @done is called in the middle of an interrupt, or of block_submit itself; it may
 * submit requests, and it must not sleep.
 */
struct block_request {
    struct list link; /* the driver's */
    enum block_operation operation;
    uint64_t sector, sectors; /* of 512 bytes, whatever the device's are */
    const struct block_segment *segments;
    unsigned segment_count;
    int status;
    void (*done)(struct block_request *request);
};

struct block_ops {
    /* Begin @request, which has been looked through, or keep it until there is room. */
    void (*submit)(struct block_device *device, struct block_request *request);
    /* No more requests for now: tell the other side what has been begun.  NULL: submit does. */
    void (*kick)(struct block_device *device);
};

/**
 * struct block_device - a disk.
 *
 * I1  It is never freed: files and mounts may know it when it is long gone.
 * I2  Once @gone, every request ends with -EIO, those under way, too.
 */
struct block_device {
    struct list link;
    char name[16];    /* in /dev */
    unsigned device;  /* DEVICE(major, minor) */
    uint64_t sectors; /* of 512 bytes */
    unsigned
        sector_size; /* a request is for a multiple of so many bytes: a power of two, 512 to 4096 */
    unsigned physical_size;   /* what the disk writes at once, for programs that ask */
    unsigned segments_most;   /* of a request, at least 1 */
    bool any_memory;          /* segments can be of memory that is not this kernel's */
    bool read_only, discards; /* what it can do */
    bool flushes;             /* it may keep what it has written in memory, until BLOCK_FLUSH */
    bool gone;
    const struct block_ops *ops;
    void *object; /* of ops */

    /* block-cache.c */
    struct list cached, dirty;
    unsigned long cached_count, dirty_count, under_way;
    uint64_t read_next; /* the page that who reads one after the other would read now */
    int write_error;    /* of a page whose writer does not know yet */
    struct wait_queue changed;
};

/* From now on there is this disk, in /dev, too.  Its name and number must not be those of another one. */
void block_register(struct block_device *device);
/* It is gone (I2); the driver ends what is under way. */
void block_unregister(struct block_device *device);
/* The one with this number, or name; NULL: there is none. */
struct block_device *block_find(unsigned device);
struct block_device *block_find_name(const char *name);
/* All of them, in the order in which they came, and those that are gone. */
extern struct list block_devices;
/* For those who wait until there is one. */
extern struct wait_queue block_arrived;

/*
 * Hand @request to @device.  What the device cannot have been asked is answered at once: sectors that it does not have,
 * segments that are not whole sectors or too many, writing to what is read-only.
 */
void block_submit(struct block_device *device, struct block_request *request);
/* After the last of some requests. */
void block_kick(struct block_device *device);
/* Make a request and sleep until it is done: its status. */
MUST_CHECK int block_do(struct block_device *device, enum block_operation operation,
                        uint64_t sector, uint64_t sectors, const struct block_segment *segments,
                        unsigned count);
/* @request has been served, or cannot be. */
static inline void block_done(struct block_request *request, int status)
{
    request->status = status;
    request->done(request);
}

/* @size bytes at @offset of a page of this kernel's... */
struct block_segment block_segment(const struct page *page, unsigned offset, unsigned size);
/* ...and where they are for this kernel, if it is one. */
void *block_segment_address(const struct block_segment *segment);
