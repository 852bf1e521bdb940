/*
 * Split virtqueues: how requests get to a virtio device and back ("Virtual I/O Device (VIRTIO) Version 1.1", 2.6).
 *
 * Three arrays in one page, all by machine address:
 *
 *      descriptors   available ring            used ring
 *      +-------+     +------------------+      +----------------------+
 *      |   0   |<-.  | flags, index     |      | flags, index         |
 *      |   1   |  |  | heads of chains, |      | heads of chains that |
 *      |  ...  |  '--| we write it      |      | are done, and bytes  |
 *      |       |     | event: tell us   |      | event: tell it when  |
 *      +-------+     | when used gets   |      | available gets here  |
 *                    | here             |      | (the device's page)  |
 *                    +------------------+      +----------------------+
 *
 * Indices only grow, modulo 2^16; modulo the queue's size they are positions.  A long chain is a table of its own, to which
 * one descriptor points (indirect), so that it takes one place only.
 */
#include "drivers/virtqueue.h"

#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "kernel/memory/heap.h"
#include "platform/xen/hardware.h"

struct virtq_desc {
    uint64_t address;
    uint32_t size;
    uint16_t flags, next;
};

#define DESC_NEXT     1
#define DESC_WRITE    2
#define DESC_INDIRECT 4

struct virtq_avail {
    uint16_t flags, index, ring[];
};

struct virtq_used_element {
    uint32_t id, size;
};

struct virtq_used {
    uint16_t flags, index;
    struct virtq_used_element ring[];
};

#define USED_NO_NOTIFY 1

_Static_assert(VIRTQUEUE_SIZE_MOST * sizeof(struct virtq_desc) + /* descriptors */
                       6 + VIRTQUEUE_SIZE_MOST * 2 +
                       2 + /* available, and what is lost by aligning */
                       6 + VIRTQUEUE_SIZE_MOST * sizeof(struct virtq_used_element) <=
                   PAGE_SIZE,
               "a queue fits in a page");

#define DIRECT_MOST 3 /* longer chains have a table, if the device knows such */
#define ROOM_LEAST  16

/* Where the other side says up to where it need not be told; behind the end of each ring. */
static uint16_t *used_event(const struct virtqueue *q)
{
    return &q->available->ring[q->size];
}

static uint16_t *available_event(const struct virtqueue *q)
{
    return (uint16_t *)&q->used->ring[q->size];
}

void virtqueue_init(struct virtqueue *q, void *page, unsigned size, uint64_t features)
{
    memset(q, 0, sizeof(*q));
    q->size = size;
    q->indirect = features & VIRTIO_F_INDIRECT_DESC;
    q->event_index = features & VIRTIO_F_EVENT_IDX;
    q->descriptors = page;
    q->available = (struct virtq_avail *)&q->descriptors[size];
    q->used = (struct virtq_used *)ROUND_UP((uintptr_t)(used_event(q) + 1), 4ul);
    for (unsigned i = 0; i < size; i++)
        q->next[i] = (uint16_t)(i + 1);
    q->free_count = (uint16_t)size;
}

/* ---- To the device ---- */

/* A table for a chain of @count that begins with @head. */
static struct virtq_desc *table_for(struct virtqueue *q, unsigned head, unsigned count)
{
    if (q->room[head] >= count)
        return q->tables[head];
    unsigned room = ROOM_LEAST;
    while (room < count)
        room *= 2;
    /* The heap's objects of up to a page lie within one. */
    struct virtq_desc *const table = heap_alloc(room * sizeof(*table));
    if (!table)
        return NULL;
    heap_free(q->tables[head]);
    q->tables[head] = table;
    q->room[head] = (uint16_t)room;
    return table;
}

int virtqueue_begin(struct virtqueue *q, unsigned count)
{
    if (q->broken || !count || count > q->size || !q->free_count)
        return -ENOSPC;
    q->table = q->indirect && count > DIRECT_MOST ? table_for(q, q->free, count) : NULL;
    if (!q->table && count > q->free_count)
        return -ENOSPC;
    q->head = q->at = q->free;
    q->count = (uint16_t)count;
    q->put = 0;
    return q->head;
}

void virtqueue_put(struct virtqueue *q, uint64_t machine, uint32_t size, bool device_writes)
{
    BUG_ON(q->put == q->count);
    if (q->put && !q->table)
        q->at = q->next[q->at];
    const bool last = ++q->put == q->count;
    struct virtq_desc *const d = q->table ? &q->table[q->put - 1] : &q->descriptors[q->at];
    d->address = machine;
    d->size = size;
    d->flags = (device_writes ? DESC_WRITE : 0) | (last ? 0 : DESC_NEXT);
    d->next = q->table ? q->put : q->next[q->at];
}

void virtqueue_end(struct virtqueue *q, void *owner)
{
    BUG_ON(q->put != q->count || q->owner[q->head]);
    if (q->table)
        q->descriptors[q->head] = (struct virtq_desc){.address = hardware_address(q->table),
                                                      .size = q->count * sizeof(*q->table),
                                                      .flags = DESC_INDIRECT};
    q->free = q->next[q->at];
    q->free_count -= q->table ? 1 : q->count;
    q->last[q->head] = q->at;
    q->owner[q->head] = owner;
    q->available->ring[q->made % q->size] = q->head;
    q->made++;
    /* The chain before the index: the device may look at any time. */
    __atomic_store_n(&q->available->index, q->made, __ATOMIC_RELEASE);
}

bool virtqueue_wants_notify(struct virtqueue *q)
{
    const uint16_t before = q->notified;
    q->notified = q->made;
    if (q->broken || before == q->made)
        return false;
    /* Our index before its question: else both could miss the other's. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!q->event_index)
        return !(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & USED_NO_NOTIFY);
    const uint16_t wanted = __atomic_load_n(available_event(q), __ATOMIC_RELAXED);
    return (uint16_t)(q->made - wanted - 1) < (uint16_t)(q->made - before);
}

/* ---- And back ---- */

/* The chain that begins with @head is free. */
static void *release(struct virtqueue *q, unsigned head)
{
    void *const owner = q->owner[head];
    unsigned count = 1;
    for (unsigned at = head; at != q->last[head]; at = q->next[at])
        count++;
    q->next[q->last[head]] = q->free;
    q->free = (uint16_t)head;
    q->free_count += (uint16_t)count;
    q->owner[head] = NULL;
    return owner;
}

void *virtqueue_take(struct virtqueue *q, unsigned *head, uint32_t *written)
{
    const uint16_t there = __atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE);
    if (q->broken || there == q->seen)
        return NULL;
    const struct virtq_used_element *const e = &q->used->ring[q->seen % q->size];
    const uint32_t id = __atomic_load_n(&e->id, __ATOMIC_RELAXED);
    *written = __atomic_load_n(&e->size, __ATOMIC_RELAXED);
    if ((uint16_t)(there - q->seen) > q->size || id >= q->size || !q->owner[id]) {
        q->broken = true;
        return NULL;
    }
    q->seen++;
    *head = id;
    return release(q, id);
}

bool virtqueue_wait(struct virtqueue *q)
{
    if (q->event_index)
        __atomic_store_n(used_event(q), q->seen, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return q->broken || __atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE) == q->seen;
}

void *virtqueue_take_back(struct virtqueue *q)
{
    for (unsigned head = 0; head < q->size; head++)
        if (q->owner[head])
            return release(q, head);
    return NULL;
}
