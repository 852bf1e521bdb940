/*
 * Question: does a line of interrupts reach the domain that has bound it, and is it refused to all others?
 *
 * The device is the keyboard's controller, ISA interrupt 1: told to, it behaves as if a key had been pressed.  Each time that is an event
 * on the port to which the line is bound; and nobody gets a line that is not mapped, that is bound already, that the hypervisor
 * uses itself, or without the hardware role.
 */
#include "clock.h"
#include "event.h"
#include "guest.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>
#include <xen/sched.h>

COVERS(physdev_op, PHYSDEVOP_map_pirq);
COVERS(physdev_op, PHYSDEVOP_unmap_pirq);
COVERS(physdev_op, PHYSDEVOP_setup_gsi);
COVERS(physdev_op, PHYSDEVOP_alloc_irq_vector);
COVERS(physdev_op, PHYSDEVOP_eoi);
COVERS(physdev_op, PHYSDEVOP_irq_status_query);
COVERS(event_channel_op, EVTCHNOP_bind_pirq);

enum { KEYBOARD_LINE = 1, SERIAL_LINE = 4, FREE_LINE = 7 };
#define SECOND 1000000000ull

static void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

static uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

/* As if a key had been pressed.  Reading its code is the acknowledgement. */
static void press(void)
{
    outb(0x64, 0xd2);
    outb(0x60, 0x1e);
}

static void acknowledge(void)
{
    (void)inb(0x60);
}

static long map(domid_t domain, int type, int index, int *pirq)
{
    struct physdev_map_pirq op = {.domid = domain, .type = type, .index = index, .pirq = *pirq};
    long rc = hypercall_physdev_op(PHYSDEVOP_map_pirq, &op);
    *pirq = op.pirq;
    return rc;
}

static long bind(unsigned pirq, evtchn_port_t *port)
{
    struct evtchn_bind_pirq op = {.pirq = pirq};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_pirq, &op);
    *port = op.port;
    return rc;
}

static long eoi(unsigned irq)
{
    struct physdev_eoi op = {.irq = irq};
    return hypercall_physdev_op(PHYSDEVOP_eoi, &op);
}

static long setup(int gsi)
{
    struct physdev_setup_gsi op = {.gsi = gsi};
    return hypercall_physdev_op(PHYSDEVOP_setup_gsi, &op);
}

static long unmap(int pirq)
{
    struct physdev_unmap_pirq op = {.domid = DOMID_SELF, .pirq = pirq};
    return hypercall_physdev_op(PHYSDEVOP_unmap_pirq, &op);
}

/* Waits until @port is pending, some seconds at most. */
static bool arrives(evtchn_port_t port)
{
    const uint64_t end = clock_ns() + 20 * SECOND;

    while (!event_pending(port) && clock_ns() < end)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    return event_pending(port);
}

static void test_refusals(void)
{
    struct physdev_irq vector = {.irq = KEYBOARD_LINE};
    evtchn_port_t port;
    int pirq = -1;

    tap_is(map(DOMID_SELF, MAP_PIRQ_TYPE_GSI, 100000, &pirq), guest_role(-XEN_EINVAL),
           "map: no line 100000");
    pirq = -1;
    tap_is(map(DOMID_SELF, MAP_PIRQ_TYPE_GSI, -5, &pirq), guest_role(-XEN_EINVAL),
           "map: no line -5");
    pirq = -1;
    tap_is(map(DOMID_SELF, 99, KEYBOARD_LINE, &pirq), guest_role(-XEN_EINVAL), "map: no type 99");
    pirq = -1;
    tap_is(map(77, MAP_PIRQ_TYPE_GSI, KEYBOARD_LINE, &pirq), guest_role(-XEN_ESRCH),
           "map: no domain 77");
    tap_is(bind(KEYBOARD_LINE, &port), -XEN_EPERM, "bind: not mapped");
    tap_is(bind(~0u, &port), -XEN_EINVAL, "bind: no such pirq");
    tap_is(eoi(FREE_LINE), -XEN_EINVAL, "eoi: not mapped");
    tap_is(unmap(FREE_LINE), guest_role(-XEN_EINVAL), "unmap: not mapped");
    tap_is(setup(-1), guest_role(-XEN_EINVAL), "setup_gsi: no line -1");
    tap_is(hypercall_physdev_op(PHYSDEVOP_alloc_irq_vector, &vector), guest_role(0), "a vector");
    if (guest_is_first())
        tap_is((long)vector.vector, KEYBOARD_LINE, "a vector: the number of the line");
    pirq = KEYBOARD_LINE;
    tap_is(map(DOMID_SELF, MAP_PIRQ_TYPE_GSI, KEYBOARD_LINE, &pirq), guest_role(0), "map");
    tap_is(pirq, KEYBOARD_LINE, "map: it has the number of the line");
}

static void test_bound(evtchn_port_t port)
{
    struct physdev_irq_status_query query = {.irq = KEYBOARD_LINE};
    struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
    evtchn_port_t second;
    int pirq = SERIAL_LINE;

    tap_is(bind(KEYBOARD_LINE, &second), -XEN_EEXIST, "bind: bound already");
    tap_is(setup(KEYBOARD_LINE), -XEN_EEXIST, "setup_gsi: bound already");
    tap_is(event_status(port, &status), 0, "status");
    tap_is((long)status.status, EVTCHNSTAT_pirq, "status: a physical interrupt");
    tap_is((long)status.u.pirq, KEYBOARD_LINE, "status: its number");
    tap_is(hypercall_physdev_op(PHYSDEVOP_irq_status_query, &query), 0, "irq_status_query");
    tap_is((long)query.flags, XENIRQSTAT_needs_eoi, "irq_status_query: wants its EOI");
    tap_is(map(DOMID_SELF, MAP_PIRQ_TYPE_GSI, SERIAL_LINE, &pirq), 0, "map the serial line's");
    tap_is(bind(SERIAL_LINE, &second), -XEN_EBUSY, "bind: the serial line's is the hypervisor's");
}

static void test_arrival(void)
{
    evtchn_port_t port;

    tap_is(setup(KEYBOARD_LINE), 0, "setup_gsi");
    tap_is(bind(KEYBOARD_LINE, &port), 0, "bind");
    test_bound(port);
    acknowledge();
    outb(0x64, 0x60);
    outb(0x60, 0x41); /* its interrupt is on */
    for (int i = 1; i <= 3; i++) {
        press();
        tap_ok(arrives(port), "interrupt %d arrives", i);
        event_clear(port);
        acknowledge();
        tap_is(eoi(KEYBOARD_LINE), 0, "eoi");
    }
    tap_is(event_close(port), 0, "close");
    tap_is(bind(KEYBOARD_LINE, &port), 0, "bind again");
    press();
    tap_ok(arrives(port), "it arrives again");
    acknowledge();
    tap_is(event_close(port), 0, "close again");
    tap_is(unmap(KEYBOARD_LINE), 0, "unmap");
    tap_is(unmap(KEYBOARD_LINE), -XEN_EINVAL, "unmap: not mapped any more");
    tap_is(bind(KEYBOARD_LINE, &port), -XEN_EPERM, "bind: not mapped any more");
}

void guest_main(void)
{
    struct physdev_set_iopl level = {.iopl = 1};

    event_init();
    hypercall_physdev_op(PHYSDEVOP_set_iopl, &level);
    test_refusals();
    if (guest_is_first())
        test_arrival();
}
