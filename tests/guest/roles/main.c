/*
 * Question: which roles has this domain?  It asks for what each may do and prints the answers; who runs it knows what they should be.
 * With wait=1 it ends when domain 1 has: the end of domain 0 is that of the machine.
 */
#include "guest.h"
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

void guest_main(void)
{
    struct physdev_map_pirq line = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 7, .pirq = 7};
    struct xen_platform_op cpu = {.cmd = XENPF_get_cpuinfo,
                                  .interface_version = XENPF_INTERFACE_VERSION};

    tap_note("role hardware: %ld", hypercall_physdev_op(PHYSDEVOP_map_pirq, &line));
    tap_note("role control: %ld",
             hypercall_raw(__HYPERVISOR_platform_op, (unsigned long)&cpu, 0, 0, 0, 0));
    while (guest_option("wait", 0) && exists(1))
        hypercall_sched_op(SCHEDOP_yield, NULL);
    tap_ok(true, "it has asked");
}
