/* What a first domain's processes reach the hypervisor by; and where they find the kernel's end of the store's ring. */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>

#include "drivers/blkback-store.h"
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

/* No message but answers to the store's client is of interest. */
static void nobody(unsigned type, unsigned number, const char *text, size_t length)
{
}

/* The first domain's kernel and its programs share the ring: what the kernel asks waits there until xenstored runs. */
static bool attach_store(void)
{
    unsigned port;
    struct page *const page = xenstore_attached() ? NULL : platform_store_page(&port);
    if (page)
        xenstore_attach(page_address(page), port, nobody);
    return xenstore_attached();
}

static void devices_serve(void)
{
    static const struct xenbus_driver *const drivers[] = {&blkfront_driver};
    blkback_store_watch();
    xenbus_serve(drivers, ARRAY_SIZE(drivers));
}

void platform_disks_start(void)
{
    virtio_blk_start();
    struct task *const task = attach_store() ? task_create_kernel("xenbus", devices_serve) : NULL;
    if (task)
        sched_ready(task);
}
