/*
 * Which console this domain has: the first domain talks to the hypervisor's
 * serial line by hypercall, every other one through a ring in shared memory.
 */
#include <paravane/hypercall.h>

#include "drivers/console-io.h"
#include "drivers/console-ring.h"
#include "kernel/lib/layout.h"
#include "kernel/memory/page.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

static bool first_domain(void)
{
    return boot_info.flags & SIF_INITDOMAIN;
}

/* Until the direct map stands, the ring is where the builder mapped it. */
void console_init_early(void)
{
    if (first_domain() || !boot_info.console.domU.mfn)
        return;
    const pfn_t ring = pfn_of(mfn(boot_info.console.domU.mfn));
    console_ring_attach((void *)(KERNEL_BASE + (ring.n << PAGE_SHIFT)),
                        boot_info.console.domU.evtchn);
}

void console_init(void)
{
    if (first_domain()) {
        event_bind_virq(vcpu_this(), VIRQ_CONSOLE, console_interrupt);
        return;
    }
    if (!boot_info.console.domU.mfn)
        return;
    console_ring_attach(page_at(pfn_of(mfn(boot_info.console.domU.mfn))),
                        boot_info.console.domU.evtchn);
    event_handle(vcpu_this(), boot_info.console.domU.evtchn, console_interrupt);
}

void platform_console_write(const char *text, size_t size)
{
    if (first_domain())
        console_io_write(text, size);
    else
        console_ring_write(text, size);
}

size_t platform_console_read(char *to, size_t size)
{
    return first_domain() ? console_io_read(to, size) : console_ring_read(to, size);
}
