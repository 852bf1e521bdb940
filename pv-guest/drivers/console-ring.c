/*
 * The console ring (<xen/io/console.h>): two byte rings in one page.
 *
 * Indices only grow; masked, they are positions.  We own in_cons and out_prod;
 * the other two are the backend's and are not trusted: a distance larger than
 * the ring counts as nothing to read and no room to write.
 */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/sched.h>

#include "drivers/console-ring.h"

static struct xencons_interface *ring;
static unsigned ring_port;

void console_ring_attach(void *page, unsigned port)
{
    ring = page;
    ring_port = port;
}

static void notify(void)
{
    struct evtchn_send send = {.port = ring_port};
    (void)hypercall_event_channel_op(EVTCHNOP_send, &send);
}

/* Room for output; waits, letting the backend run, until there is some. */
static size_t wait_for_room(void)
{
    for (;;) {
        const XENCONS_RING_IDX used =
            ring->out_prod - __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE);
        if (used < sizeof(ring->out))
            return sizeof(ring->out) - used;
        notify();
        (void)hypercall_sched_op(SCHEDOP_yield, NULL);
    }
}

void console_ring_write(const char *text, size_t size)
{
    if (!ring)
        return;
    while (size) {
        size_t room = wait_for_room();
        XENCONS_RING_IDX at = ring->out_prod;
        for (; room && size; room--, size--)
            ring->out[MASK_XENCONS_IDX(at++, ring->out)] = *text++;
        __atomic_store_n(&ring->out_prod, at, __ATOMIC_RELEASE);
        notify();
    }
}

size_t console_ring_read(char *to, size_t size)
{
    if (!ring)
        return 0;
    XENCONS_RING_IDX at = ring->in_cons;
    const XENCONS_RING_IDX there = __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE) - at;
    if (there > sizeof(ring->in))
        return 0;
    const size_t n = there < size ? there : size;
    for (size_t i = 0; i < n; i++)
        to[i] = ring->in[MASK_XENCONS_IDX(at++, ring->in)];
    __atomic_store_n(&ring->in_cons, at, __ATOMIC_RELEASE);
    if (n)
        notify();
    return n;
}
