/*
 * Split virtqueues: how requests get to a virtio device and back (virtqueue.c).
 *
 * A request is a chain of descriptors, each naming memory by machine address.  It is made by virtqueue_begin, a
 * virtqueue_put for each piece, and virtqueue_end.
 */
#pragma once

#include "kernel/lib/base.h"

#define VIRTQUEUE_SIZE_MOST 128 /* so that a queue fits in a page */

/* Of the features that a device may have, those that queues know of. */
#define VIRTIO_F_INDIRECT_DESC (1ul << 28)
#define VIRTIO_F_EVENT_IDX     (1ul << 29)

struct virtq_desc;
struct virtq_avail;
struct virtq_used;

/**
 * struct virtqueue - a queue of requests.
 *
 * I1  owner[head] is not NULL exactly while the device has the chain that begins with descriptor @head.
 * I2  The free descriptors are a chain from @free by @next; @free_count says how many.
 * I3  What the device can write, the ring of used chains, is believed only as far as I1 allows.
 *
 * A queue that is @broken takes no more requests, and gives none back: the device has said what cannot be.
 */
struct virtqueue {
    struct virtq_desc *descriptors;
    struct virtq_avail *available;
    struct virtq_used *used;
    unsigned size;
    bool indirect, event_index, broken;
    uint16_t free, free_count;
    uint16_t made;     /* chains that have been made available, ever */
    uint16_t notified; /* of those, what the device has been asked about */
    uint16_t seen;     /* used chains that have been taken, ever */
    uint16_t next[VIRTQUEUE_SIZE_MOST];
    void *owner[VIRTQUEUE_SIZE_MOST];
    uint16_t last[VIRTQUEUE_SIZE_MOST]; /* of each chain, by its head */

    /* Tables of indirect descriptors, one for each head that has ever needed one, and how many each has room for. */
    struct virtq_desc *tables[VIRTQUEUE_SIZE_MOST];
    uint16_t room[VIRTQUEUE_SIZE_MOST];

    /* The chain that is being made. */
    struct virtq_desc *table; /* NULL: not an indirect one */
    uint16_t head, at, put, count;
};

/* Make @q a queue of @size, a power of two up to VIRTQUEUE_SIZE_MOST, in @page, which is zeroes. */
void virtqueue_init(struct virtqueue *q, void *page, unsigned size, uint64_t features);

/* Begin a chain of @count descriptors, at most as many as the queue has; its number, below @size, or -ENOSPC. */
MUST_CHECK int virtqueue_begin(struct virtqueue *q, unsigned count);
/* The next piece; those that the device writes come last. */
void virtqueue_put(struct virtqueue *q, uint64_t machine, uint32_t size, bool device_writes);
/* It is complete, and @owner's, who is not NULL. */
void virtqueue_end(struct virtqueue *q, void *owner);
/* Does the device want to be told of what has been made available since this was asked last? */
bool virtqueue_wants_notify(struct virtqueue *q);

/*
 * A chain that the device has done: its owner, its number in *@head and in *@written how many bytes the device says it has
 * written.  NULL: there is none, or the queue is broken.
 */
void *virtqueue_take(struct virtqueue *q, unsigned *head, uint32_t *written);
/* Have the device interrupt for what comes after those that have been taken; false: there are some already. */
bool virtqueue_wait(struct virtqueue *q);
/* The device has been reset and has nothing any more: a chain that it had, or NULL; to be repeated. */
void *virtqueue_take_back(struct virtqueue *q);
