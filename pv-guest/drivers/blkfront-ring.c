/* The ring of a virtual disk: requests to the backend, and its answers. */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>

#include "drivers/blkfront-ring.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/page.h"
#include "platform/platform.h"

#define SECTORS_OF(bytes) ((bytes) >> SECTOR_SHIFT)

/* What the backend has not given back is nobody's any more: neither the reference nor the page is used again. */
static bool take_back(grant_ref_t ref, struct page *page)
{
    if (grant_end(ref))
        return true;
    page_get(page);
    return false;
}

static struct page *page_of_segment(const struct block_segment *segment)
{
    return page_of_address(block_segment_address(segment));
}

/* ---- Slots ---- */

/* Take back what @slot has granted; false: the backend still has some of it. */
static bool slot_empty(struct blkfront_slot *slot)
{
    const struct block_request *const r = slot->request;
    bool good = true;
    for (unsigned i = 0; i < slot->grant_count; i++)
        good &= take_back(slot->grants[i], page_of_segment(&r->segments[i]));
    if (slot->indirect)
        good &= take_back(slot->table_ref, slot->table);
    if (slot->table)
        page_put(slot->table);
    slot->request = NULL;
    slot->grant_count = 0;
    slot->indirect = false;
    slot->table = NULL;
    return good;
}

static void slot_free(struct blkfront_ring *ring, struct blkfront_slot *slot)
{
    slot->next_free = ring->free_slot;
    ring->free_slot = slot - ring->slots;
}

/* Grant the segments of @slot's request, and say in @to where they are: 0, or -errno and some are granted. */
static int grant_segments(const struct blkfront_ring *ring, struct blkfront_slot *slot,
                          struct blkif_request_segment *to)
{
    const struct block_request *const r = slot->request;
    for (unsigned i = 0; i < r->segment_count; i++) {
        const struct block_segment *const s = &r->segments[i];
        const unsigned first = SECTORS_OF(s->machine % PAGE_SIZE);
        const int rc = grant_give(ring->other_end, mfn(s->machine >> PAGE_SHIFT),
                                  r->operation == BLOCK_WRITE, &slot->grants[i]);
        if (rc)
            return rc;
        slot->grant_count++;
        to[i] = (struct blkif_request_segment){.gref = slot->grants[i],
                                               .first_sect = first,
                                               .last_sect = first + SECTORS_OF(s->size) - 1};
    }
    return 0;
}

/* The request with its segments in a page of their own. */
static int fill_indirect(const struct blkfront_ring *ring, struct blkfront_slot *slot,
                         blkif_request_t *to)
{
    struct blkif_request_indirect *const q = (struct blkif_request_indirect *)to;
    slot->table = page_alloc_zero(PAGE_FOR_KERNEL);
    if (!slot->table)
        return -ENOMEM;
    int rc = grant_give(ring->other_end, mfn_of(page_number(slot->table)), true, &slot->table_ref);
    if (rc)
        return rc;
    slot->indirect = true;
    rc = grant_segments(ring, slot, page_address(slot->table));
    *q = (struct blkif_request_indirect){.operation = BLKIF_OP_INDIRECT,
                                         .indirect_op = slot->operation,
                                         .nr_segments = slot->request->segment_count,
                                         .id = slot - ring->slots,
                                         .sector_number = slot->request->sector,
                                         .handle = ring->handle,
                                         .indirect_grefs = {slot->table_ref}};
    return rc;
}

static int fill(const struct blkfront_ring *ring, struct blkfront_slot *slot, blkif_request_t *to)
{
    static const uint8_t operations[] = {[BLOCK_READ] = BLKIF_OP_READ,
                                         [BLOCK_WRITE] = BLKIF_OP_WRITE,
                                         [BLOCK_FLUSH] = BLKIF_OP_FLUSH_DISKCACHE,
                                         [BLOCK_DISCARD] = BLKIF_OP_DISCARD};
    const struct block_request *const r = slot->request;
    slot->operation = operations[r->operation];
    if (r->segment_count > BLKIF_MAX_SEGMENTS_PER_REQUEST)
        return fill_indirect(ring, slot, to);
    *to = (blkif_request_t){.operation = slot->operation,
                            .nr_segments = r->segment_count,
                            .handle = ring->handle,
                            .id = slot - ring->slots,
                            .sector_number = r->sector};
    if (r->operation == BLOCK_DISCARD) {
        struct blkif_request_discard *const discard = (struct blkif_request_discard *)to;
        discard->flag = 0;
        discard->nr_sectors = r->sectors;
    }
    return grant_segments(ring, slot, to->seg);
}

/* Put @request into the ring: false if there is no slot, or no memory or grant, for it now. */
static bool enter(struct blkfront_ring *ring, struct block_request *request)
{
    blkif_request_t filled;
    if (ring->free_slot == ring->slot_count)
        return false;
    struct blkfront_slot *const slot = &ring->slots[ring->free_slot];
    slot->request = request;
    if (fill(ring, slot, &filled)) {
        if (!slot_empty(slot)) /* it has never been told of them */
            print("%s: the backend uses what was not given to it\n", ring->name);
        return false;
    }
    ring->free_slot = slot->next_free;
    ring->under_way++;
    ring->shared->ring[ring->requests++ % ring->slot_count].req = filled;
    return true;
}

void blkfront_ring_submit(struct blkfront_ring *ring, struct block_request *request)
{
    if (ring->stopped)
        block_done(request, -EIO);
    else if (!list_empty(&ring->waiting) || !enter(ring, request))
        list_add(&request->link, &ring->waiting);
}

/* Those that wait go into the ring, as far as they can. */
static void enter_waiting(struct blkfront_ring *ring)
{
    while (!list_empty(&ring->waiting)) {
        struct block_request *const r = list_entry(ring->waiting.next, struct block_request, link);
        list_remove(&r->link);
        if (enter(ring, r))
            continue;
        if (ring->under_way) { /* their end will make room */
            list_add_first(&r->link, &ring->waiting);
            break;
        }
        block_done(r, -EIO);
    }
}

void blkfront_ring_push(struct blkfront_ring *ring)
{
    if (ring->stopped)
        return;
    if (!ring->under_way)
        enter_waiting(ring);
    const RING_IDX old = ring->pushed, now = ring->requests;
    if (old == now)
        return;
    ring->pushed = now;
    __atomic_store_n(&ring->shared->req_prod, now, __ATOMIC_SEQ_CST);
    /* The backend says at which request it wants to be told. */
    const RING_IDX wanted = __atomic_load_n(&ring->shared->req_event, __ATOMIC_SEQ_CST);
    if ((RING_IDX)(now - wanted) < (RING_IDX)(now - old)) {
        struct evtchn_send send = {.port = ring->port};
        (void)hypercall_event_channel_op(EVTCHNOP_send, &send);
    }
}

/* ---- Answers ---- */

static int status_of(const blkif_response_t *answer)
{
    return answer->status == BLKIF_RSP_OKAY         ? 0
           : answer->status == BLKIF_RSP_EOPNOTSUPP ? -EOPNOTSUPP
                                                    : -EIO;
}

/* NULL, or what is wrong with @answer. */
static const char *take_answer(struct blkfront_ring *ring, const blkif_response_t *answer)
{
    if (answer->id >= ring->slot_count || !ring->slots[answer->id].request)
        return "the backend answers what was not asked";
    struct blkfront_slot *const slot = &ring->slots[answer->id];
    if (answer->operation != slot->operation &&
        !(slot->indirect && answer->operation == BLKIF_OP_INDIRECT))
        return "the backend answers another operation than was asked";
    struct block_request *const request = slot->request;
    ring->under_way--;
    const bool good = slot_empty(slot);
    slot_free(ring, slot);
    block_done(request, good ? status_of(answer) : -EIO);
    return good ? NULL : "the backend keeps memory that it has answered for";
}

const char *blkfront_ring_answers(struct blkfront_ring *ring)
{
    const char *wrong = NULL;
    RING_IDX there = __atomic_load_n(&ring->shared->rsp_prod, __ATOMIC_ACQUIRE);
    while (!ring->stopped && there != ring->answers) {
        if ((RING_IDX)(there - ring->answers) > ring->under_way)
            return "the backend gives more answers than there are requests";
        for (; !wrong && !ring->stopped && ring->answers != there; ring->answers++) {
            blkif_response_t answer;
            memcpy(&answer, &ring->shared->ring[ring->answers % ring->slot_count].rsp,
                   sizeof(answer));
            __asm__ volatile("" : "+m"(answer)); /* the copy is what is judged */
            wrong = take_answer(ring, &answer);
        }
        if (wrong)
            return wrong;
        /* Tell us of the next one; it may be there by now. */
        __atomic_store_n(&ring->shared->rsp_event, ring->answers + 1, __ATOMIC_SEQ_CST);
        there = __atomic_load_n(&ring->shared->rsp_prod, __ATOMIC_SEQ_CST);
    }
    if (!ring->stopped) {
        enter_waiting(ring);
        blkfront_ring_push(ring);
    }
    return NULL;
}

void blkfront_ring_stop(struct blkfront_ring *ring)
{
    ring->stopped = true;
    for (unsigned i = 0; i < ring->slot_count; i++) {
        struct blkfront_slot *const slot = &ring->slots[i];
        struct block_request *const request = slot->request;
        if (!request)
            continue;
        (void)slot_empty(slot);
        slot_free(ring, slot);
        ring->under_way--;
        block_done(request, -EIO);
    }
    while (!list_empty(&ring->waiting)) {
        struct block_request *const r = list_entry(ring->waiting.next, struct block_request, link);
        list_remove(&r->link);
        block_done(r, -EIO);
    }
}

/* ---- Beginning and end ---- */

static int make_port(struct blkfront_ring *ring)
{
    struct evtchn_alloc_unbound unbound = {.dom = DOMID_SELF, .remote_dom = ring->other_end};
    const long rc = hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &unbound);
    if (rc)
        return rc;
    ring->port = unbound.port;
    return ring->port < EVENT_PORTS ? 0 : -ENOSPC;
}

static void close_port(struct blkfront_ring *ring)
{
    struct evtchn_close close = {.port = ring->port};
    if (ring->port)
        (void)hypercall_event_channel_op(EVTCHNOP_close, &close);
    ring->port = 0;
}

int blkfront_ring_make(struct blkfront_ring *ring, unsigned order, unsigned other_end)
{
    list_init(&ring->waiting);
    ring->stopped = false;
    ring->order = order;
    ring->other_end = other_end;
    ring->slot_count = 32u << order;
    struct page *const pages = page_alloc(order);
    ring->slots = pages ? heap_alloc(ring->slot_count * sizeof(*ring->slots)) : NULL;
    if (pages)
        ring->shared = page_address(pages);
    if (!ring->slots) {
        blkfront_ring_free(ring);
        return -ENOMEM;
    }
    memset(ring->shared, 0, PAGE_SIZE << order);
    SHARED_RING_INIT(ring->shared);
    ring->free_slot = ring->slot_count;
    for (unsigned i = ring->slot_count; i-- > 0;)
        slot_free(ring, &ring->slots[i]);
    int rc = make_port(ring);
    for (unsigned i = 0; !rc && i < 1u << order; i++) {
        rc = grant_give(other_end, mfn_of(pfn(page_number(pages).n + i)), false, &ring->grants[i]);
        ring->granted += !rc;
    }
    if (rc)
        blkfront_ring_free(ring);
    return rc;
}

void blkfront_ring_free(struct blkfront_ring *ring)
{
    bool ours = true;
    if (ring->slots)
        blkfront_ring_stop(ring);
    close_port(ring);
    while (ring->granted)
        ours &= grant_end(ring->grants[--ring->granted]);
    if (ring->shared && ours)
        page_put(page_of_address(ring->shared));
    heap_free(ring->slots);
    ring->shared = NULL;
    ring->slots = NULL;
    ring->slot_count = 0;
    ring->stopped = true;
}
