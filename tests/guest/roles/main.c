/*
 * Question: which roles has this domain?  It asks for what each may do and prints the answers; who runs it knows what they should be.
 */
#include "guest.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>
#include <xen/platform.h>

void guest_main(void)
{
    struct physdev_map_pirq line = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 7, .pirq = 7};
    struct xen_platform_op cpu = {.cmd = XENPF_get_cpuinfo,
                                  .interface_version = XENPF_INTERFACE_VERSION};

    tap_note("role hardware: %ld", hypercall_physdev_op(PHYSDEVOP_map_pirq, &line));
    tap_note("role control: %ld",
             hypercall_raw(__HYPERVISOR_platform_op, (unsigned long)&cpu, 0, 0, 0, 0));
    tap_ok(true, "it has asked");
}
