/*
 * Disks for other domains, by Xen's block protocol (<xen/io/blkif.h>): rings of requests whose memory is granted
 * (blkback.c).  Who has which disk is said in the store (blkback-store.c).
 */
#pragma once

#include <stdint.h>
#include <xen/grant_table.h>
#include <xen/io/blkif.h>

#include "kernel/block/block.h"
#include "platform/xen/grant-view.h"

#define BLKBACK_SEGMENTS_MOST   64 /* of a request */
#define BLKBACK_RING_ORDER_MOST 4
#define BLKBACK_QUEUES_MOST     4
#define BLKBACK_IOS             32 /* requests of a queue that are under way at once */

struct blkback_io;
struct blkback;

/* What has been asked and answered, as Linux counts it. */
#define BLKBACK_COUNTERS(X) \
    X(rd_req)               \
    X(wr_req)               \
    X(f_req)                \
    X(ds_req)               \
    X(rd_sect)              \
    X(wr_sect)              \
    X(errors)

struct blkback_counters {
#define X(name) uint64_t name;
    BLKBACK_COUNTERS(X)
#undef X
};

struct blkback_queue {
    struct blkback *back;
    blkif_back_ring_t ring;
    struct grant_view view;
    unsigned port;
    struct blkback_io *ios, *free;
    unsigned under_way;
    struct blkback_io *barrier; /* nothing is taken from the ring until it is done... */
    bool barrier_waits;         /* ...and it is begun when nothing else is under way */
    bool answered;              /* there are answers that the frontend does not know of */
    bool postponed;             /* there may be more in the ring than has been taken */
};

/**
 * struct blkback - a disk that another domain has.
 *
 * I1  Requests under way hold the grants that they name, and nothing else does.
 * I2  Once it is @stopped, nothing is taken from the rings.
 */
struct blkback {
    struct list link;
    domid_t frontend;
    struct block_device *disk;
    bool read_only, stopped;
    const char *problem; /* why it was cut off; NULL: it was not */
    unsigned segments_most;
    unsigned queue_count;
    struct blkback_queue queues[BLKBACK_QUEUES_MOST];
    struct blkback_counters counters;
    struct wait_queue idle;
    void (*cut_off)(struct blkback *back); /* called once, in an interrupt, when @problem is set */
};

/* Prepare @back, whose frontend, disk, read_only and cut_off are set, and the rest zero: 0 or -ENOMEM. */
MUST_CHECK int blkback_init(struct blkback *back);
/* Begin to serve a ring of @pages pages, granted as @refs, whose other end has event channel @port: 0 or -errno. */
MUST_CHECK int blkback_add_queue(struct blkback *back, const grant_ref_t *refs, unsigned pages,
                                 unsigned port);
/* Take no more requests, wait until those under way are done, and let go of the rings. */
void blkback_stop(struct blkback *back);
