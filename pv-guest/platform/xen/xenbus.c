/* Devices that other domains serve: finding them in the store, and following the state of their other ends. */
#include "platform/xen/xenbus.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "kernel/memory/heap.h"

#define BUSES_MOST 4
#define NAMES_SIZE 2048

/* The devices of one driver. */
struct bus {
    const struct xenbus_driver *driver;
    struct list devices;
    struct xenstore_watch watch;
};
static struct bus buses[BUSES_MOST];
static char names[NAMES_SIZE]; /* of those of one bus */

void xenbus_switch(struct xenbus_device *device, enum xenbus_state state)
{
    if (device->state == state)
        return;
    device->state = state;
    const int rc = xenstore_write_number(XENSTORE_NO_TRANSACTION, device->path, "state", state);
    if (rc && device->listed)
        print("%s: the store does not take state %d: %d\n", device->path, state, rc);
}

static void other_changed(struct xenstore_watch *watch, const char *path)
{
    struct xenbus_device *const d = container_of(watch, struct xenbus_device, other_state);
    d->driver->changed(d,
                       (enum xenbus_state)xenstore_number(watch->path, NULL, XenbusStateUnknown));
}

/* Who is at the other end: 0 or -errno. */
static int find_other_end(struct xenbus_device *d)
{
    const long rc = xenstore_read_in(XENSTORE_NO_TRANSACTION, d->path, "backend", d->other_end,
                                     sizeof(d->other_end));
    const uint64_t id = xenstore_number(d->path, "backend-id", ~0ul);
    if (rc < 0 || id >= DOMID_SELF)
        return rc < 0 ? (int)rc : -EINVAL;
    d->other_end_id = id;
    const size_t length =
        print_to(d->other_state.path, XENSTORE_PATH_MAX, "%s/state", d->other_end);
    return length + 1 < XENSTORE_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static void forget(struct xenbus_device *d)
{
    list_remove(&d->link);
    heap_free(d);
}

static void add(struct bus *bus, const char *name)
{
    struct xenbus_device *const d = heap_alloc(sizeof(*d));
    if (!d)
        return;
    d->driver = bus->driver;
    d->listed = true;
    text_copy(d->name, name, sizeof(d->name));
    print_to(d->path, sizeof(d->path), "device/%s/%s", bus->driver->type, name);
    d->other_state.changed = other_changed;
    list_add(&d->link, &bus->devices);
    d->state = (enum xenbus_state)xenstore_number(d->path, "state", XenbusStateUnknown);
    int rc = d->state == XenbusStateInitialising ? find_other_end(d) : -EAGAIN;
    if (!rc)
        rc = d->driver->probe(d);
    if (!rc) {
        rc = xenstore_watch(&d->other_state);
        if (rc)
            d->driver->remove(d);
    }
    if (!rc)
        return;
    if (rc != -EAGAIN) /* else it is not all there yet, or has been ended */
        print("%s: no device: %d\n", d->path, rc);
    forget(d);
}

static struct xenbus_device *find(struct bus *bus, const char *name)
{
    struct xenbus_device *d;
    list_for_each(d, &bus->devices, link)
    {
        if (!strcmp(d->name, name))
            return d;
    }
    return NULL;
}

/* Which devices are there now? */
static void scan(struct xenstore_watch *watch, const char *path)
{
    struct bus *const bus = container_of(watch, struct bus, watch);
    struct xenbus_device *d, *after;
    long length = xenstore_directory(XENSTORE_NO_TRANSACTION, watch->path, names, sizeof(names));
    if (length == -ENOENT)
        length = 0;
    if (length < 0)
        return;
    list_for_each(d, &bus->devices, link) d->listed = false;
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        d = find(bus, name);
        if (d)
            d->listed = true;
        else if (*name && strlen(name) < sizeof(d->name))
            add(bus, name);
    }
    list_for_each_safe(d, after, &bus->devices, link)
    {
        if (d->listed)
            continue;
        xenstore_unwatch(&d->other_state);
        d->driver->remove(d);
        forget(d);
    }
}

void xenbus_serve(const struct xenbus_driver *const drivers[], unsigned count)
{
    BUG_ON(count > BUSES_MOST);
    for (unsigned i = 0; i < count; i++) {
        struct bus *const bus = &buses[i];
        bus->driver = drivers[i];
        list_init(&bus->devices);
        print_to(bus->watch.path, sizeof(bus->watch.path), "device/%s", drivers[i]->type);
        bus->watch.changed = scan;
        const int rc = xenstore_watch(&bus->watch);
        if (rc)
            print("%s cannot be watched: %d\n", bus->watch.path, rc);
    }
    xenstore_serve();
}
