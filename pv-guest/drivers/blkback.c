/*
 * Disks for other domains, by Xen's block protocol.
 *
 *      frontend's ring --copy--> blkback_io --map grants--> block_submit --> the disk's driver
 *                  ^                                                               |
 *                  '------answer <---------unmap grants <-----------done <---------'
 *
 * A request is copied before it is looked at, because whoever has written it can change it at any time.  Its grants are
 * mapped for devices only (GNTMAP_device_map): the hypervisor says at which machine address a page is and sees to it that it
 * stays, and the disk's driver takes that address.  Nothing is copied and no page table is changed.
 *
 * All that one event has brought is mapped by one call and the disk is told once; all that one interrupt of the disk has
 * finished is unmapped by one call, and each frontend is told once.
 *
 * A frontend that breaks the protocol (an index or a segment that cannot be, a page that is not granted) is cut off: no more is
 * taken from its rings.  What may be asked but cannot be done, such as sectors behind the end, is answered as an error.
 */
#define xen_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

#include "drivers/blkback.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>

#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/memory/heap.h"
#include "kernel/tasks/task.h"
#include "platform/platform.h"
#include "platform/xen/hardware.h"
#include "platform/xen/machine.h"

#define SECTORS_A_PAGE (PAGE_SIZE / SECTOR_SIZE)
#define OPS_MOST       128 /* of one call about grants */
#define ROUNDS_MOST    4   /* of answers and new requests in one interrupt */

/* What is to be done for a request, in this order. */
#define STEP_FLUSH_BEFORE 1
#define STEP_DATA         2
#define STEP_FLUSH_AFTER  4

struct blkback_io {
    struct block_request request;
    struct blkback_queue *queue;
    struct blkback_io *next; /* free; waiting to be begun; done */
    uint64_t id;
    uint8_t operation; /* as the answer names it */
    uint8_t steps;     /* left */
    int16_t status;
    unsigned mapped; /* of the grants */
    bool refused;    /* one of them was not mapped */
    grant_ref_t refs[BLKBACK_SEGMENTS_MOST];
    grant_handle_t handles[BLKBACK_SEGMENTS_MOST];
    struct block_segment segments[BLKBACK_SEGMENTS_MOST];
};

struct io_list {
    struct blkback_io *first, **end;
};

static struct io_list to_begin, all_done = {NULL, &all_done.first};
static struct list backs = LIST_INIT(backs);
static struct blkback_queue *queue_of_port[EVENT_PORTS];
static struct wait_queue work = WAIT_QUEUE_INIT(work);
static struct blkif_request_segment *indirect; /* a page, for those of one request */

static void pass(struct blkback_queue *q);

static void append(struct io_list *l, struct blkback_io *io)
{
    io->next = NULL;
    *l->end = io;
    l->end = &io->next;
}

static void cut_off(struct blkback *b, const char *problem)
{
    b->counters.errors++;
    if (b->problem)
        return;
    b->problem = problem;
    b->stopped = true;
    print("the disk %s of domain %u: %s; it is cut off\n", b->disk->name, b->frontend, problem);
    b->cut_off(b);
}

/* ---- Answers ---- */

static void unmap_call(struct gnttab_unmap_grant_ref *ops, unsigned count)
{
    if (!count)
        return;
    const long rc = hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, ops, count);
    for (unsigned i = 0; i < count; i++)
        if (rc || ops[i].status)
            panic("a grant that a disk has used cannot be unmapped: %ld, %d", rc, ops[i].status);
}

static void unmap_all(const struct blkback_io *first)
{
    static struct gnttab_unmap_grant_ref ops[OPS_MOST];
    unsigned count = 0;
    for (const struct blkback_io *io = first; io; io = io->next)
        for (unsigned i = 0; i < io->mapped; i++) {
            ops[count++] = (struct gnttab_unmap_grant_ref){
                .dev_bus_addr = io->segments[i].machine & PAGE_MASK, .handle = io->handles[i]};
            if (count == OPS_MOST) {
                unmap_call(ops, count);
                count = 0;
            }
        }
    unmap_call(ops, count);
}

static void answer(const struct blkback_io *io)
{
    struct blkback_queue *const q = io->queue;
    /* Field by field: what lies between them is not ours to show. */
    blkif_response_t *const r = RING_GET_RESPONSE(&q->ring, q->ring.rsp_prod_pvt);
    r->id = io->id;
    r->operation = io->operation;
    r->status = io->status;
    q->ring.rsp_prod_pvt++;
    q->answered = true;
}

static void tell_frontend(struct blkback_queue *q)
{
    int notify;
    q->answered = false;
    if (q->back->stopped)
        return;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&q->ring, notify);
    if (!notify)
        return;
    struct evtchn_send send = {q->port};
    (void)hypercall_event_channel_op(EVTCHNOP_send, &send);
}

/* Tell the frontend what has been answered, and take what has been waiting for that. */
static void go_on(struct blkback_queue *q)
{
    if (!q->answered)
        return;
    tell_frontend(q);
    if (q->postponed || q->barrier)
        pass(q);
    if (!q->under_way)
        wait_wake(&q->back->idle);
}

/* Give back all that has been done. */
static void finish_round(void)
{
    struct blkback_io *const first = all_done.first;
    all_done = (struct io_list){NULL, &all_done.first};
    unmap_all(first);
    for (struct blkback_io *io = first, *next; io; io = next) {
        next = io->next;
        answer(io);
        io->next = io->queue->free;
        io->queue->free = io;
        io->queue->under_way--;
    }
    struct blkback *b;
    list_for_each(b, &backs, link)
    {
        for (unsigned i = 0; i < b->queue_count; i++)
            go_on(&b->queues[i]);
    }
}

/* At the end of an interrupt.  What can be done at once could go on like that for ever: the rest is left to worker(). */
static void finish(void)
{
    for (unsigned round = 0; all_done.first && round < ROUNDS_MOST; round++)
        finish_round();
    if (all_done.first)
        wait_wake(&work);
}

/* A task that takes its turns as all others do. */
static void worker(void)
{
    for (;;) {
        while (!all_done.first)
            wait_uninterruptible(&work);
        finish_round();
        platform_commit();
        sched_point();
    }
}

static void complete(struct blkback_io *io, int status)
{
    io->status = status == 0             ? BLKIF_RSP_OKAY
                 : status == -EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP
                                         : BLKIF_RSP_ERROR;
    if (status)
        io->queue->back->counters.errors++;
    if (io->queue->barrier == io) {
        io->queue->barrier = NULL;
        io->queue->postponed = true;
    }
    append(&all_done, io);
    event_defer(finish);
}

/* ---- Steps ---- */

static void next_step(struct blkback_io *io);

static void step_done(struct block_request *request)
{
    struct blkback_io *const io = container_of(request, struct blkback_io, request);
    if (request->status || !io->steps)
        complete(io, request->status);
    else
        next_step(io);
}

static void next_step(struct blkback_io *io)
{
    struct block_device *const disk = io->queue->back->disk;
    const unsigned step = io->steps & -io->steps;
    static const enum block_operation data[] = {[BLKIF_OP_READ] = BLOCK_READ,
                                                [BLKIF_OP_WRITE] = BLOCK_WRITE,
                                                [BLKIF_OP_WRITE_BARRIER] = BLOCK_WRITE,
                                                [BLKIF_OP_FLUSH_DISKCACHE] = BLOCK_WRITE,
                                                [BLKIF_OP_DISCARD] = BLOCK_DISCARD};
    io->steps &= ~step;
    io->request.operation = step == STEP_DATA ? data[io->operation] : BLOCK_FLUSH;
    /* What comes after others in a row is not waited for by anybody else: the disk is told by who began the first. */
    block_submit(disk, &io->request);
}

/* ---- Grants ---- */

static void map_call(struct gnttab_map_grant_ref *ops, struct blkback_io **of, unsigned count)
{
    if (!count)
        return;
    const long rc = hypercall_grant_table_op(GNTTABOP_map_grant_ref, ops, count);
    for (unsigned i = 0; i < count; i++) {
        struct blkback_io *const io = of[i];
        if (rc || ops[i].status) {
            io->refused = true;
            continue;
        }
        /* Those that could be mapped come first, to be unmapped again; whether all could, @refused says. */
        io->handles[io->mapped] = ops[i].handle;
        io->segments[io->mapped].machine =
            ops[i].dev_bus_addr | (io->refused ? 0 : io->segments[io->mapped].machine);
        io->mapped++;
    }
}

static void map_all(const struct io_list *list)
{
    static struct gnttab_map_grant_ref ops[OPS_MOST];
    static struct blkback_io *of[OPS_MOST];
    unsigned count = 0;
    for (struct blkback_io *io = list->first; io; io = io->next)
        for (unsigned i = 0; i < io->request.segment_count; i++) {
            ops[count] = (struct gnttab_map_grant_ref){
                .flags = GNTMAP_device_map | (io->operation == BLKIF_OP_READ ? 0 : GNTMAP_readonly),
                .ref = io->refs[i],
                .dom = io->queue->back->frontend,
                .status = GNTST_general_error};
            of[count++] = io;
            if (count == OPS_MOST) {
                map_call(ops, of, count);
                count = 0;
            }
        }
    map_call(ops, of, count);
}

/* Begin all that a pass has taken from a ring. */
static void begin_all(struct blkback *b)
{
    if (!to_begin.first)
        return;
    const struct io_list list = to_begin;
    map_all(&list);
    for (struct blkback_io *io = list.first, *next; io; io = next) {
        next = io->next;
        if (io->refused) {
            cut_off(b, "it names a page that is not granted");
            complete(io, -EIO);
        } else {
            next_step(io);
        }
    }
    block_kick(b->disk);
}

/* ---- Requests ---- */

static uint64_t *counter_of(struct blkback *b, uint8_t operation)
{
    return operation == BLKIF_OP_READ      ? &b->counters.rd_req
           : operation == BLKIF_OP_DISCARD ? &b->counters.ds_req
           : operation == BLKIF_OP_WRITE   ? &b->counters.wr_req
                                           : &b->counters.f_req;
}

/* The segments of @io, as they were copied; false: they cannot be. */
static bool take_segments(struct blkback_io *io, const struct blkif_request_segment *segments,
                          unsigned count)
{
    uint64_t sectors = 0;
    for (unsigned i = 0; i < count; i++) {
        const unsigned first = segments[i].first_sect, last = segments[i].last_sect;
        if (first > last || last >= SECTORS_A_PAGE)
            return false;
        io->refs[i] = segments[i].gref;
        io->segments[i] = (struct block_segment){.machine = first * SECTOR_SIZE,
                                                 .size = (last - first + 1) * SECTOR_SIZE};
        sectors += last - first + 1;
    }
    io->request.segment_count = count;
    io->request.sectors = sectors;
    struct blkback_counters *const c = &io->queue->back->counters;
    *(io->operation == BLKIF_OP_READ ? &c->rd_sect : &c->wr_sect) += sectors;
    return true;
}

/* Segments that are in pages of their own, which are granted, too: copied before they are looked at. */
static bool take_indirect(struct blkback_io *io, const blkif_request_indirect_t *r)
{
    const unsigned count = r->nr_segments;
    struct blkback *const b = io->queue->back;
    _Static_assert(BLKBACK_SEGMENTS_MOST * sizeof(*indirect) <= PAGE_SIZE, "they are in the first");
    if (!count || count > b->segments_most ||
        (r->indirect_op != BLKIF_OP_READ && r->indirect_op != BLKIF_OP_WRITE))
        return false;
    struct gnttab_copy copy = {
        .source = {.u.ref = r->indirect_grefs[0], .domid = b->frontend},
        .dest = {.u.gmfn = hardware_address(indirect) >> PAGE_SHIFT, .domid = DOMID_SELF},
        .len = (uint16_t)(count * sizeof(*indirect)),
        .flags = GNTCOPY_source_gref,
        .status = GNTST_general_error};
    if (hypercall_grant_table_op(GNTTABOP_copy, &copy, 1) || copy.status)
        return false;
    io->operation = r->indirect_op;
    io->request.sector = r->sector_number;
    return take_segments(io, indirect, count);
}

static void take_discard(struct blkback_io *io, const blkif_request_discard_t *r)
{
    io->request.sector = r->sector_number;
    io->request.sectors = r->nr_sectors;
    if (io->queue->back->read_only)
        complete(io, -EROFS);
    else if (r->flag & BLKIF_DISCARD_SECURE)
        complete(io, -EOPNOTSUPP);
    else
        append(&to_begin, io);
}

/* Reads and writes, and what else has segments: false: they cannot be. */
static bool take_data(struct blkback_io *io, const blkif_request_t *r)
{
    const bool may_be_empty = r->operation == BLKIF_OP_FLUSH_DISKCACHE;
    struct blkback_queue *const q = io->queue;
    io->request.sector = r->sector_number;
    if (r->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST || (!r->nr_segments && !may_be_empty) ||
        !take_segments(io, r->seg, r->nr_segments))
        return false;
    if (r->operation == BLKIF_OP_FLUSH_DISKCACHE)
        io->steps = STEP_FLUSH_BEFORE | (r->nr_segments ? STEP_DATA : 0);
    if (r->operation == BLKIF_OP_WRITE_BARRIER) {
        io->steps = STEP_FLUSH_BEFORE | STEP_DATA | STEP_FLUSH_AFTER;
        q->barrier = io;
        q->barrier_waits = true;
    }
    return true;
}

/* One request, copied from the ring. */
static void take(struct blkback_queue *q, const blkif_request_t *r)
{
    struct blkback *const b = q->back;
    struct blkback_io *const io = q->free;
    bool good = true;
    q->free = io->next;
    q->under_way++;
    io->id = r->id; /* at the same place in all three kinds */
    io->operation = r->operation;
    io->steps = STEP_DATA;
    io->mapped = 0;
    io->refused = false;
    io->request.segment_count = 0;
    switch (r->operation) {
    case BLKIF_OP_READ:
    case BLKIF_OP_WRITE:
    case BLKIF_OP_WRITE_BARRIER:
    case BLKIF_OP_FLUSH_DISKCACHE:
        good = take_data(io, r);
        break;
    case BLKIF_OP_INDIRECT:
        good = take_indirect(io, (const blkif_request_indirect_t *)r);
        break;
    case BLKIF_OP_DISCARD:
        take_discard(io, (const blkif_request_discard_t *)r);
        ++*counter_of(b, BLKIF_OP_DISCARD);
        return;
    default:
        complete(io, -EOPNOTSUPP);
        return;
    }
    ++*counter_of(b, io->operation);
    if (!good) {
        cut_off(b, "it has made a request whose segments cannot be");
        complete(io, -EIO);
    } else if (b->read_only && io->operation != BLKIF_OP_READ && io->request.segment_count) {
        complete(io, -EROFS);
    } else if (io != q->barrier) {
        append(&to_begin, io);
    }
}

_Static_assert(offsetof(blkif_request_t, id) == offsetof(blkif_request_indirect_t, id) &&
                   offsetof(blkif_request_t, id) == offsetof(blkif_request_discard_t, id),
               "the id of a request is at one place");

/* Take what is in the ring, as far as there is room.  True: there may be more, at once. */
static bool take_some(struct blkback_queue *q)
{
    struct blkback *const b = q->back;
    const RING_IDX there = __atomic_load_n(&q->ring.sring->req_prod, __ATOMIC_ACQUIRE);
    int more;
    if (RING_REQUEST_PROD_OVERFLOW(&q->ring, there)) {
        cut_off(b, "it has made more requests than the ring has room for");
        return false;
    }
    while (q->ring.req_cons != there && q->free && !q->barrier && !b->stopped) {
        blkif_request_t r;
        RING_COPY_REQUEST(&q->ring, q->ring.req_cons, &r);
        q->ring.req_cons++;
        take(q, &r);
    }
    q->postponed = !q->free || q->barrier;
    if (q->postponed || b->stopped)
        return false;
    RING_FINAL_CHECK_FOR_REQUESTS(&q->ring, more);
    return more;
}

static void pass(struct blkback_queue *q)
{
    to_begin = (struct io_list){NULL, &to_begin.first};
    while (!q->barrier && !q->back->stopped && take_some(q))
        ;
    if (q->barrier && q->barrier_waits && q->under_way == 1) {
        q->barrier_waits = false;
        append(&to_begin, q->barrier);
    }
    begin_all(q->back);
}

static void interrupt(unsigned port)
{
    pass(queue_of_port[port]);
}

/* ---- Beginning and end ---- */

/* What all of them have in common is made for the first. */
static int begin_work(void)
{
    if (indirect)
        return 0;
    struct page *const page = page_alloc_zero(PAGE_FOR_KERNEL);
    struct task *const task = page ? task_create_kernel("blkback", worker) : NULL;
    if (!task) {
        if (page)
            page_put(page);
        return -ENOMEM;
    }
    indirect = page_address(page);
    sched_ready(task);
    return 0;
}

int blkback_init(struct blkback *back)
{
    const int rc = begin_work();
    if (rc)
        return rc;
    back->segments_most = MIN(back->disk->segments_most, (unsigned)BLKBACK_SEGMENTS_MOST);
    wait_init(&back->idle);
    list_add(&back->link, &backs);
    return 0;
}

static bool make_ios(struct blkback_queue *q)
{
    q->ios = heap_alloc(BLKBACK_IOS * sizeof(*q->ios));
    for (unsigned i = 0; q->ios && i < BLKBACK_IOS; i++) {
        struct blkback_io *const io = &q->ios[i];
        io->queue = q;
        io->request.segments = io->segments;
        io->request.done = step_done;
        io->next = q->free;
        q->free = io;
    }
    return q->ios;
}

static int bind(struct blkback_queue *q, unsigned remote_port)
{
    struct evtchn_bind_interdomain bind = {.remote_dom = q->back->frontend,
                                           .remote_port = remote_port};
    const long rc = hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &bind);
    if (rc)
        return (int)rc;
    if (bind.local_port >= EVENT_PORTS) {
        struct evtchn_close close = {bind.local_port};
        (void)hypercall_event_channel_op(EVTCHNOP_close, &close);
        return -ENOSPC;
    }
    q->port = bind.local_port;
    return 0;
}

int blkback_add_queue(struct blkback *back, const grant_ref_t *refs, unsigned pages, unsigned port)
{
    struct blkback_queue *const q = &back->queues[back->queue_count];
    BUG_ON(back->queue_count == BLKBACK_QUEUES_MOST);
    *q = (struct blkback_queue){.back = back};
    int rc = make_ios(q) ? grant_view_map(&q->view, back->frontend, refs, pages) : -ENOMEM;
    if (!rc) {
        blkif_sring_t *const shared_ring = q->view.address;
        /* Who comes after another backend goes on where that has stopped. */
        BACK_RING_ATTACH(&q->ring, shared_ring,
                         __atomic_load_n(&shared_ring->rsp_prod, __ATOMIC_ACQUIRE),
                         pages * PAGE_SIZE);
        rc = bind(q, port);
    }
    if (rc) {
        grant_view_unmap(&q->view);
        heap_free(q->ios);
        return rc;
    }
    back->queue_count++;
    queue_of_port[q->port] = q;
    event_handle_port(vcpu_first(), q->port, interrupt);
    pass(q); /* what was there before */
    finish();
    return 0;
}

void blkback_stop(struct blkback *back)
{
    back->stopped = true;
    for (unsigned i = 0; i < back->queue_count; i++) {
        struct blkback_queue *const q = &back->queues[i];
        struct evtchn_close close = {q->port};
        event_forget(vcpu_first(), q->port);
        (void)hypercall_event_channel_op(EVTCHNOP_close, &close);
        while (q->under_way)
            wait_uninterruptible(&back->idle);
    }
    for (; back->queue_count; back->queue_count--) {
        struct blkback_queue *const q = &back->queues[back->queue_count - 1];
        grant_view_unmap(&q->view);
        heap_free(q->ios);
    }
    list_remove(&back->link);
}
