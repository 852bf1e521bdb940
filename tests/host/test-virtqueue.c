/*
 * Question: can a device that lies make pv-guest's virtqueues believe it?
 *
 * The queue is drivers/virtqueue.c as it is in the kernel.  The device writes random numbers into the ring of used chains,
 * most of them right.  Whatever it writes, a chain comes back once for each time that it was handed over, or the queue is broken
 * and gives back nothing more but what the device still had; no descriptor is lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/virtqueue.h"
#include "kernel/lib/print.h"
#include "kernel/memory/heap.h"
#include "platform/xen/hardware.h"

#define ROUNDS 3000
#define STEPS  200

void *heap_alloc(size_t size)
{
    return calloc(1, size);
}

void heap_free(void *object)
{
    free(object);
}

uint64_t hardware_address(const void *pointer)
{
    return (uintptr_t)pointer;
}

void panic(const char *format, ...)
{
    printf("not ok 1 - panic: %s\n1..1\n", format);
    exit(1);
}

static void check(bool right, const char *what)
{
    if (!right)
        panic(what);
}

static unsigned held[VIRTQUEUE_SIZE_MOST]; /* what the device has, by head: how many descriptors */
static unsigned long broken, taken;

static void hand_over(struct virtqueue *q)
{
    const unsigned count = 1 + (unsigned)rand() % 20;
    const int head = virtqueue_begin(q, count);
    if (head < 0)
        return;
    check(head < (int)q->size && !held[head], "a chain begins where another one does");
    for (unsigned i = 0; i < count; i++)
        virtqueue_put(q, i, i, i > count / 2);
    virtqueue_end(q, &held[head]);
    held[head] = count;
}

/* The used ring as the standard has it: flags, index, then pairs of words. */
static void answer(struct virtqueue *q)
{
    uint16_t *const index = (uint16_t *)q->used + 1;
    uint32_t *const ring = (uint32_t *)q->used + 1;
    unsigned id = (unsigned)rand() % q->size;
    for (unsigned i = 0; i < q->size && !held[id]; i++)
        id = (id + 1) % q->size;
    if (!held[id] && rand() % 8)
        return;
    ring[2 * (*index % q->size)] = rand() % 40 ? id : (unsigned)rand();
    ring[2 * (*index % q->size) + 1] = (unsigned)rand();
    *index += rand() % 60 ? 1 : (uint16_t)rand();
}

static void take(struct virtqueue *q)
{
    unsigned head;
    uint32_t written;
    void *owner;
    while ((owner = virtqueue_take(q, &head, &written))) {
        check(head < q->size && held[head] && owner == &held[head],
              "a chain comes back that nobody had");
        held[head] = 0;
        taken++;
    }
}

static void one_round(struct virtqueue *q, void *page, unsigned size, uint64_t features)
{
    memset(page, 0, PAGE_SIZE);
    memset(held, 0, sizeof(held));
    virtqueue_init(q, page, size, features);
    for (unsigned i = 0; i < STEPS && !q->broken; i++) {
        hand_over(q);
        if (rand() % 2)
            answer(q);
        take(q);
        (void)virtqueue_wants_notify(q);
        (void)virtqueue_wait(q);
    }
    broken += q->broken;
    check(!q->broken || virtqueue_begin(q, 1) < 0, "a broken queue takes a chain");
    unsigned *owner;
    while ((owner = virtqueue_take_back(q))) {
        check(*owner, "what is taken back had not been handed over");
        *owner = 0;
    }
    for (unsigned i = 0; i < size; i++)
        check(!held[i], "a chain is lost");
    check(q->free_count == size, "a descriptor is lost");
    for (unsigned i = 0; i < size; i++)
        heap_free(q->tables[i]);
}

int main(void)
{
    static struct virtqueue q;
    void *const page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    srand(1);
    for (unsigned i = 0; i < ROUNDS; i++)
        one_round(&q, page, 4u << rand() % 6,
                  (i & 1 ? VIRTIO_F_INDIRECT_DESC : 0) | (i & 2 ? VIRTIO_F_EVENT_IDX : 0));
    free(page);
    check(broken > ROUNDS / 10 && taken > ROUNDS, "the device lied too little, or too much");
    printf(
        "ok 1 - a device that lies in %lu of %u lives gets nothing, %lu chains came back\n1..1\n",
        broken, ROUNDS, taken);
    return 0;
}
