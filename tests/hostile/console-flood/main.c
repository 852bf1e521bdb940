/*
 * Wants: the console's line, and what lies behind the console's buffers.
 *
 * A guest's output goes through a ring whose indices it owns, line by line into one buffer of the
 * hypervisor's, out over one serial line.  Lines longer than any buffer, without an end, with
 * control bytes; indices that run ahead, backwards, or change while they are read; two vCPUs and
 * three domains at once.  Each byte that is sent waits for the line: who waits for whom?
 *
 * Fails: an index is read once and bounded, what a ring may give at a time is bounded, the line is
 * no lock that a guest can hold, and a domain that floods has to wait for itself.
 */
#include "attack.h"
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/io/console.h>

static volatile struct xencons_interface *ring;
static evtchn_port_t port;
static volatile bool done;

static void scramble(struct chance *c)
{
    switch (chance_below(c, 6)) {
    case 0:
        ring->out_prod = (XENCONS_RING_IDX)chance_next(c);
        break;
    case 1:
        ring->out_cons = (XENCONS_RING_IDX)chance_next(c);
        break;
    case 2:
        ring->in_cons = (XENCONS_RING_IDX)chance_next(c);
        break;
    case 3:
        ring->in_prod = (XENCONS_RING_IDX)chance_next(c);
        break;
    default: /* a long line without an end */
        ring->out_prod = ring->out_cons + chance_below(c, sizeof(ring->out) + 1);
    }
    event_send(port);
}

static void flood(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    while (!done) {
        scramble(&c);
        attack_nap(chance_below(&c, 200000));
    }
}

void guest_main(void)
{
    struct chance c = chance_of(0);

    ring = memory_of_mfn(guest_info->console.domU.mfn);
    port = guest_info->console.domU.evtchn;
    for (unsigned i = 0; i < sizeof(ring->out); i++)
        ring->out[i] = "no line of mine ends here; \t\b"[i % 29];
    attack_vcpus(2, flood);
    while (attack_goes_on()) {
        scramble(&c);
        attack_nap(chance_below(&c, 200000));
    }
    done = true;
    /* A ring that is whole again, for the end. */
    ring->out_prod = ring->out_cons;
}
