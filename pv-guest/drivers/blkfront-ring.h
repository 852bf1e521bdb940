/*
 * The ring of a virtual disk: requests to the backend, and its answers (<xen/io/blkif.h>).
 *
 * The pages of the ring are ours, granted to the backend, which may write anything into them at any time.  So all that
 * counts is kept outside: what has been asked, by whom, and how far each side is.  What the ring says is copied, then
 * judged.  An answer that nobody can give, of a request that there is not, once too often, ends the use of the ring.
 */
#pragma once

#include <xen/io/blkif.h>

#include "kernel/block/block.h"
#include "platform/xen/grant.h"

#define BLKFRONT_ORDER_MOST    2 /* pages of the ring, and the requests in it: 32 << order */
#define BLKFRONT_SLOTS_MOST    (32u << BLKFRONT_ORDER_MOST)
#define BLKFRONT_SEGMENTS_MOST 32 /* of a request */

/* A request in the ring, whose number is that of the slot; of none if @request is NULL. */
struct blkfront_slot {
    struct block_request *request;
    uint8_t operation; /* BLKIF_OP_* */
    bool indirect;     /* the segments are in... */
    struct page *table;
    grant_ref_t table_ref;
    unsigned grant_count; /* of the segments */
    grant_ref_t grants[BLKFRONT_SEGMENTS_MOST];
    unsigned next_free;
};

/**
 * struct blkfront_ring - what we know of the ring.
 *
 * I1  Slots below @slot_count are in the free list or have a request; @under_way counts those that have one.
 * I2  requests - answers = under_way: the backend owes so many answers and no more.
 */
struct blkfront_ring {
    const char *name;
    struct blkif_sring *shared;
    unsigned order, other_end, port, handle;
    bool indirect; /* the backend takes requests with their segments in a table */
    grant_ref_t grants[1 << BLKFRONT_ORDER_MOST];
    unsigned granted; /* pages of the ring */
    RING_IDX requests, pushed, answers;
    unsigned slot_count, free_slot, under_way; /* free_slot: slot_count if there is none */
    struct blkfront_slot *slots;
    struct list waiting; /* requests for which there was no slot, grant or page */
    bool stopped;
};

/* Make the ring of 1 << @order pages, its grants and its port for domain @other_end: 0, or -errno and nothing is left. */
MUST_CHECK int blkfront_ring_make(struct blkfront_ring *ring, unsigned order, unsigned other_end);
/* Free all of it; what the backend does not let go of stays with it.  Every request is answered -EIO. */
void blkfront_ring_free(struct blkfront_ring *ring);
void blkfront_ring_submit(struct blkfront_ring *ring, struct block_request *request);
/* Let the backend see what has been submitted. */
void blkfront_ring_push(struct blkfront_ring *ring);
/* Take the answers that are there; NULL, or what is wrong with them: the ring must be used no longer. */
MUST_CHECK const char *blkfront_ring_answers(struct blkfront_ring *ring);
/* Answer all requests, and all to come, with -EIO. */
void blkfront_ring_stop(struct blkfront_ring *ring);
