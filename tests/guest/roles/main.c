/*
 * Question: which roles has this domain?  It asks for what each may do and prints the answers; who runs it knows what they should be.
 * With wait=1 it ends when domain 1 has: the end of domain 0 is that of the machine.
 *
 * With messages=1 it takes interrupts that are messages until it gets no more.  With master=1 it lets the network card write to memory,
 * and ends; with after=N it says whether the card may when domain N has ended.
 */
#include "guest.h"
#include "pci.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>

/* -EINVAL: there is no such port; -ESRCH: no such domain. */
static bool exists(domid_t domain)
{
    struct evtchn_bind_interdomain op = {.remote_dom = domain, .remote_port = ~0u};

    return hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &op) != -XEN_ESRCH;
}

static void take_messages(void)
{
    struct physdev_get_free_pirq op = {.type = MAP_PIRQ_TYPE_MSI};
    unsigned n = 0;
    long rc;

    while (!(rc = hypercall_physdev_op(PHYSDEVOP_get_free_pirq, &op)))
        n++;
    tap_note("messages: %u, then %ld", n, rc);
}

enum { COMMAND = 4, MASTER = 4, CLASS = 0x0a, CLASS_NETWORK = 0x0200 };

static unsigned card_find(void)
{
    for (unsigned function = 0; function < 256; function += 8)
        if (config_read(function, CLASS, 2) == CLASS_NETWORK)
            return function;
    return 0;
}

static void say_master(void)
{
    const unsigned card = card_find();

    tap_note("master: %u", card ? config_read(card, COMMAND, 2) / MASTER % 2 : 77);
}

void guest_main(void)
{
    const domid_t after = (domid_t)guest_option("after", 0);
    struct physdev_map_pirq line = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 7, .pirq = 7};
    struct xen_platform_op cpu = {.cmd = XENPF_get_cpuinfo,
                                  .interface_version = XENPF_INTERFACE_VERSION};

    tap_note("role hardware: %ld", hypercall_physdev_op(PHYSDEVOP_map_pirq, &line));
    tap_note("role control: %ld",
             hypercall_raw(__HYPERVISOR_platform_op, (unsigned long)&cpu, 0, 0, 0, 0));
    while (guest_option("wait", 0) && exists(1))
        hypercall_sched_op(SCHEDOP_yield, NULL);
    const struct physdev_set_iopl ports = {.iopl = 1};
    if (guest_option("master", 0) || after)
        tap_note("ports: %ld", hypercall_physdev_op(PHYSDEVOP_set_iopl, (void *)&ports));
    if (guest_option("messages", 0))
        take_messages();
    if (guest_option("master", 0)) {
        config_write(card_find(), COMMAND, 2, config_read(card_find(), COMMAND, 2) | MASTER);
        say_master();
    }
    if (after) {
        while (exists(after))
            hypercall_sched_op(SCHEDOP_yield, NULL);
        say_master();
    }
    tap_ok(true, "it has asked");
}
