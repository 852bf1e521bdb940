/* What a first domain's processes reach the hypervisor by; and where they find the kernel's end of the store's ring. */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>

#include "drivers/blkfront.h"
#include "drivers/virtio-blk.h"
#include "kernel/files/file.h"
#include "kernel/lib/print.h"
#include "kernel/memory/page.h"
#include "kernel/tasks/task.h"
#include "platform/platform.h"
#include "platform/xen/devices.h"
#include "platform/xen/machine.h"
#include "platform/xen/xenbus.h"

static const struct platform_device first_domain[] = {
    {"privcmd", DEVICE(10, 60), &privcmd_ops},
    {"evtchn", DEVICE(10, 61), &evtchn_ops},
    {"gntdev", DEVICE(10, 62), &gntdev_ops},
    {NULL},
};
static const struct platform_device nothing[] = {{NULL}};

const struct platform_device *platform_devices(void)
{
    return boot_info.flags & SIF_INITDOMAIN ? first_domain : nothing;
}

/* The kernel does not use the ring; xenstored wants one that it can answer on. */
struct page *platform_store_page(unsigned *port)
{
    static struct page *page;
    static struct evtchn_alloc_unbound unbound = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    if (!(boot_info.flags & SIF_INITDOMAIN))
        return NULL;
    if (!page) {
        page = page_alloc_zero(PAGE_FOR_KERNEL);
        if (page && hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &unbound)) {
            page_put(page);
            page = NULL;
        }
    }
    *port = unbound.port;
    return page;
}

static void frontends(void)
{
    static const struct xenbus_driver *const drivers[] = {&blkfront_driver};
    xenbus_serve(drivers, ARRAY_SIZE(drivers));
}

void platform_disks_start(void)
{
    virtio_blk_start();
    struct task *const task = xenstore_attached() ? task_create_kernel("xenbus", frontends) : NULL;
    if (task)
        sched_ready(task);
}
