/*
 * The store's ring (<xen/io/xs_wire.h>): requests out, replies and watch events in, two byte rings in one page.
 *
 * Indices only grow; masked, they are positions.  We own req_prod and rsp_cons; the other two are the store's and are
 * not trusted: a distance larger than the ring counts as nothing to read and no room to write.
 */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>

#include "drivers/xenstore-ring.h"
#include "kernel/lib/text.h"

static struct xenstore_domain_interface *ring;
static unsigned ring_port;
static xenstore_message_fn give_message;

/* The message that is coming: it may be longer than the ring. */
static struct {
    struct xsd_sockmsg head;
    size_t have; /* bytes of head and text */
    char text[XENSTORE_TEXT_MAX + 1];
} coming;

void xenstore_ring_attach(void *page, unsigned port, xenstore_message_fn message)
{
    ring = page;
    ring_port = port;
    give_message = message;
}

static void notify(void)
{
    struct evtchn_send send = {.port = ring_port};
    (void)hypercall_event_channel_op(EVTCHNOP_send, &send);
}

static XENSTORE_RING_IDX put(XENSTORE_RING_IDX at, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ring->req[MASK_XENSTORE_IDX(at++)] = ((const char *)bytes)[i];
    return at;
}

bool xenstore_ring_send(unsigned type, unsigned request, unsigned transaction,
                        const char *const strings[], unsigned count, bool open)
{
    struct xsd_sockmsg head = {.type = type, .req_id = request, .tx_id = transaction};
    if (!ring)
        return false;
    for (unsigned i = 0; i < count; i++)
        head.len += strlen(strings[i]) + !(open && i + 1 == count);
    const XENSTORE_RING_IDX used =
        ring->req_prod - __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE);
    if (used > sizeof(ring->req) || sizeof(head) + head.len > sizeof(ring->req) - used)
        return false;
    XENSTORE_RING_IDX at = put(ring->req_prod, &head, sizeof(head));
    for (unsigned i = 0; i < count; i++)
        at = put(at, strings[i], strlen(strings[i]) + !(open && i + 1 == count));
    __atomic_store_n(&ring->req_prod, at, __ATOMIC_RELEASE);
    notify();
    return true;
}

/* One more byte of what is coming. */
static void take(char c)
{
    const size_t at = coming.have++, head = sizeof(coming.head);
    if (at < head)
        ((char *)&coming.head)[at] = c;
    else if (at - head < XENSTORE_TEXT_MAX)
        coming.text[at - head] = c;
    if (coming.have < head || coming.have < head + coming.head.len)
        return;
    coming.have = 0;
    if (coming.head.len > XENSTORE_TEXT_MAX)
        return;
    coming.text[coming.head.len] = 0;
    give_message(coming.head.type, coming.head.req_id, coming.text, coming.head.len);
}

void xenstore_ring_interrupt(void)
{
    const XENSTORE_RING_IDX there = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE);
    XENSTORE_RING_IDX at = ring->rsp_cons;
    if (there == at || there - at > sizeof(ring->rsp))
        return;
    while (at != there) {
        const char c = ring->rsp[MASK_XENSTORE_IDX(at++)];
        __atomic_store_n(&ring->rsp_cons, at, __ATOMIC_RELEASE);
        take(c);
    }
    notify(); /* there may be more that had no room */
}
