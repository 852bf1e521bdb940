/*
 * /dev/xen/evtchn: event channels that belong to processes.
 *
 * Who opens the file binds ports by ioctl, each of which is masked when it is signalled and then stands in what read
 * gives; writing its number lets it be signalled again, whether it has been read or not.  Closing the file closes its
 * ports.
 */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>

#include "kernel/files/file.h"
#include "kernel/lib/errno.h"
#include "kernel/memory/heap.h"
#include "kernel/signals/notice.h"
#include "kernel/tasks/identity/credentials.h"
#include "platform/platform.h"
#include "platform/xen/devices.h"
#include "platform/xen/machine.h"

#define BIND_VIRQ        DEVICE_COMMAND('E', 0, 4)
#define BIND_INTERDOMAIN DEVICE_COMMAND('E', 1, 8)
#define BIND_UNBOUND     DEVICE_COMMAND('E', 2, 4)
#define UNBIND           DEVICE_COMMAND('E', 3, 4)
#define NOTIFY           DEVICE_COMMAND('E', 4, 4)
#define RESET            DEVICE_COMMAND('E', 5, 0)

/**
 * struct listener - one open file.
 *
 * I1  A port is in @signalled at most once, and masked then; so there is room for all.
 */
struct listener {
    unsigned first, count;
    uint32_t signalled[EVENT_PORTS];
    struct wait_queue changed;
};

static struct listener *owners[EVENT_PORTS];

static void signalled(unsigned port)
{
    struct listener *l = owners[port];
    event_mask(port);
    l->signalled[(l->first + l->count++) % EVENT_PORTS] = port;
    wait_wake(&l->changed);
    wait_wake(&poll_wait);
    notice();
}

/* @port, which has just been bound, is @l's: its number, or -errno if it cannot be. */
static long adopt(struct listener *l, long rc, unsigned port)
{
    if (rc)
        return rc;
    if (port >= EVENT_PORTS) {
        struct evtchn_close close = {port};
        (void)hypercall_event_channel_op(EVTCHNOP_close, &close);
        return -ENOSPC;
    }
    owners[port] = l;
    event_handle_port(vcpu_first(), port, signalled);
    return port;
}

static long bind_virq(struct listener *l, unsigned virq)
{
    struct evtchn_bind_virq bind = {.virq = virq};
    const long rc = hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind);
    return adopt(l, rc, bind.port);
}

static long bind_interdomain(struct listener *l, unsigned domain, unsigned port)
{
    struct evtchn_bind_interdomain bind = {.remote_dom = domain, .remote_port = port};
    const long rc = hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &bind);
    return adopt(l, rc, bind.local_port);
}

static long bind_unbound(struct listener *l, unsigned domain)
{
    struct evtchn_alloc_unbound bind = {.dom = DOMID_SELF, .remote_dom = domain};
    const long rc = hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &bind);
    return adopt(l, rc, bind.port);
}

static bool owns(const struct listener *l, unsigned port)
{
    return port < EVENT_PORTS && owners[port] == l;
}

static void forget_signal(struct listener *l, unsigned port)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < l->count; i++) {
        const uint32_t other = l->signalled[(l->first + i) % EVENT_PORTS];
        if (other != port)
            l->signalled[(l->first + kept++) % EVENT_PORTS] = other;
    }
    l->count = kept;
}

static long unbind(struct listener *l, unsigned port)
{
    struct evtchn_close close = {port};
    if (!owns(l, port))
        return port < EVENT_PORTS ? -ENOTCONN : -EINVAL;
    event_forget(vcpu_first(), port);
    (void)hypercall_event_channel_op(EVTCHNOP_close, &close);
    owners[port] = NULL;
    forget_signal(l, port);
    return 0;
}

static long notify(const struct listener *l, unsigned port)
{
    struct evtchn_send send = {port};
    if (!owns(l, port))
        return -ENOTCONN;
    (void)hypercall_event_channel_op(EVTCHNOP_send, &send);
    return 0;
}

static long evtchn_ioctl(struct file *file, unsigned command, user_t arg)
{
    struct listener *const l = file->object;
    uint32_t a[2] = {0};
    const size_t size = command >> 16; /* DEVICE_COMMAND */
    if (command != BIND_VIRQ && command != BIND_INTERDOMAIN && command != BIND_UNBOUND &&
        command != UNBIND && command != NOTIFY && command != RESET)
        return -ENOTTY;
    if (size && user_read(a, arg, size))
        return -EFAULT;
    switch (command) {
    case BIND_VIRQ:
        return bind_virq(l, a[0]);
    case BIND_INTERDOMAIN:
        return bind_interdomain(l, a[0], a[1]);
    case BIND_UNBOUND:
        return bind_unbound(l, a[0]);
    case UNBIND:
        return unbind(l, a[0]);
    case NOTIFY:
        return notify(l, a[0]);
    default:
        l->count = 0;
        return 0;
    }
}

static long evtchn_read(struct file *file, user_t to, size_t size)
{
    struct listener *const l = file->object;
    size_t done = 0;
    size &= ~(sizeof(uint32_t) - 1);
    if (!size)
        return 0;
    while (!l->count) {
        const int rc = file->flags & O_NONBLOCK ? -EAGAIN : wait_until(&l->changed, FOREVER);
        if (rc)
            return rc;
    }
    for (; l->count && done < size; done += sizeof(uint32_t)) {
        if (user_write(to + done, &l->signalled[l->first], sizeof(uint32_t)))
            return done ? (long)done : -EFAULT;
        l->first = (l->first + 1) % EVENT_PORTS;
        l->count--;
    }
    return done;
}

static long evtchn_write(struct file *file, user_t from, size_t size)
{
    struct listener *const l = file->object;
    size_t done = 0;
    size = MIN(size & ~(sizeof(uint32_t) - 1), PAGE_SIZE);
    for (uint32_t port; done < size; done += sizeof(port)) {
        if (user_read(&port, from + done, sizeof(port)))
            return done ? (long)done : -EFAULT;
        if (!owns(l, port))
            continue;
        forget_signal(l, port); /* I1 */
        event_unmask(port);
    }
    return done;
}

static int evtchn_poll(struct file *file)
{
    const struct listener *const l = file->object;
    return POLLOUT | (l->count ? POLLIN : 0);
}

static long evtchn_open(struct file *file)
{
    if (!access_capable(CAP_SYS_ADMIN))
        return -EPERM;
    struct listener *l = heap_alloc_for(PAGE_FOR_FILE, sizeof(*l));
    if (!l)
        return -ENOMEM;
    wait_init(&l->changed);
    file->object = l;
    return 0;
}

static void evtchn_release(struct file *file)
{
    struct listener *const l = file->object;
    for (unsigned port = 0; l && port < EVENT_PORTS; port++)
        if (owns(l, port))
            (void)unbind(l, port);
    heap_free(l);
}

const struct file_ops evtchn_ops = {
    .open = evtchn_open,
    .read = evtchn_read,
    .write = evtchn_write,
    .poll = evtchn_poll,
    .ioctl = evtchn_ioctl,
    .release = evtchn_release,
    .no_offset = true,
};
