/*
 * Which domains have which disks of ours, by the store.
 *
 *      backend/vbd/3/51712/              a disk of domain 3, made by whoever makes domains
 *          params = /dev/vda             which disk of ours
 *          mode = w                      may it be written to
 *          frontend = /local/domain/3/device/vbd/51712
 *          online = 1                    0: it is to be taken away
 *          state                         ours
 *
 *      ours           the frontend's
 *      InitWait       Initialising   we have told what we can do
 *      Connected      Initialised    it has made rings; we serve them, and tell how large the disk is
 *      Closing        Closing        no more requests; those under way are ended
 *      Closed         Closed, or gone
 *
 * No script is waited for.  Whoever ends a disk sees the state Closed when nothing of the frontend's is held any more.
 * All of it is done in the task that hears watches, so one thing after the other.
 */
#include "drivers/blkback-store.h"

#include <xen/io/protocols.h>
#include <xen/io/xenbus.h>

#include "drivers/blkback.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "kernel/memory/heap.h"
#include "kernel/tasks/cpu.h"
#include "platform/xen/xenstore.h"

#define ROOT       "backend/vbd"
#define NAMES_SIZE 4096
#define READ_ONLY  VDISK_READONLY

/* A disk of a domain. */
struct vbd {
    struct list link;
    char path[XENSTORE_PATH_MAX];     /* ROOT/domain/name */
    char frontend[XENSTORE_PATH_MAX]; /* the other end's */
    domid_t domain;
    bool listed;    /* the store still has it */
    bool connected; /* @back serves it */
    enum xenbus_state state;
    struct xenstore_watch other_state;
    struct blkback back;
};

static struct list vbds = LIST_INIT(vbds);
static struct xenstore_watch root_watch;

/* A write into what whoever made it has removed would make it again. */
static bool is_listed(struct vbd *v)
{
    char text[XENSTORE_PATH_MAX];
    if (xenstore_read_in(XENSTORE_NO_TRANSACTION, v->path, "frontend", text, sizeof(text)) < 0)
        v->listed = false;
    return v->listed;
}

static void state_set(struct vbd *v, enum xenbus_state state)
{
    if (v->state == state)
        return;
    v->state = state;
    if (!is_listed(v))
        return;
    const int rc = xenstore_write_number(XENSTORE_NO_TRANSACTION, v->path, "state", state);
    if (rc && v->listed)
        print("%s: the store does not take state %d: %d\n", v->path, state, rc);
}

static void note(const struct vbd *v, const char *name, uint64_t value)
{
    const int rc = xenstore_write_number(XENSTORE_NO_TRANSACTION, v->path, name, value);
    if (rc && v->listed)
        print("%s/%s: the store does not take it: %d\n", v->path, name, rc);
}

/* Where toolstacks look for what is wrong with a device. */
static void complain(const struct vbd *v, const char *problem)
{
    char path[XENSTORE_PATH_MAX];
    print("%s: %s\n", v->path, problem);
    if (print_to(path, sizeof(path), "error/%s/error", v->path) + 1 < sizeof(path))
        (void)!xenstore_write(XENSTORE_NO_TRANSACTION, path, problem);
}

/* ---- The disk ---- */

/* The one that params names, with or without its directory; NULL: there is none that can be given to others. */
static struct block_device *find_disk(const struct vbd *v)
{
    char params[64];
    const char *name = params;
    if (xenstore_read_in(XENSTORE_NO_TRANSACTION, v->path, "params", params, sizeof(params)) <= 0)
        return NULL;
    if (!strncmp(name, "/dev/", 5))
        name += 5;
    struct block_device *const disk = block_find_name(name);
    return disk && disk->any_memory && disk->segments_most >= BLKIF_MAX_SEGMENTS_PER_REQUEST ? disk
                                                                                             : NULL;
}

static void cut_off(struct blkback *back)
{
    struct vbd *const v = container_of(back, struct vbd, back);
    xenstore_poke(&v->other_state); /* the rest is for the task that may ask the store */
}

/* Tell what we can do. */
static void prepare(struct vbd *v)
{
    char mode[8] = "r";
    struct block_device *const disk = find_disk(v);
    if (!disk) {
        complain(v, "there is no such disk, or it cannot be shared");
        return;
    }
    (void)!xenstore_read_in(XENSTORE_NO_TRANSACTION, v->path, "mode", mode, sizeof(mode));
    v->back = (struct blkback){.frontend = v->domain,
                               .disk = disk,
                               .read_only = mode[0] != 'w' || disk->read_only,
                               .cut_off = cut_off};
    note(v, "feature-flush-cache", 1);
    note(v, "feature-barrier", 1);
    note(v, "feature-discard", disk->discards && !v->back.read_only);
    note(v, "feature-persistent", 0);
    note(v, "feature-max-indirect-segments",
         MIN(disk->segments_most, (unsigned)BLKBACK_SEGMENTS_MOST));
    note(v, "max-ring-page-order", BLKBACK_RING_ORDER_MOST);
    note(v, "multi-queue-max-queues", MIN(cpu_count, (unsigned)BLKBACK_QUEUES_MOST));
    (void)!xenstore_write_in(XENSTORE_NO_TRANSACTION, v->path, "hotplug-status", "connected");
    state_set(v, XenbusStateInitWait);
}

/* ---- Rings ---- */

/* Queue @index of @count, as the frontend tells it: NULL, or what is wrong. */
static const char *add_queue(struct vbd *v, unsigned index, unsigned count, unsigned order)
{
    char dir[XENSTORE_PATH_MAX], name[16] = "ring-ref";
    grant_ref_t refs[1 << BLKBACK_RING_ORDER_MOST];
    const bool many = xenstore_number(v->frontend, "ring-page-order", ~0ul) != ~0ul;
    print_to(dir, sizeof(dir), count > 1 ? "%s/queue-%u" : "%s", v->frontend, index);
    for (unsigned i = 0; i < 1u << order; i++) {
        if (many && order)
            print_to(name, sizeof(name), "ring-ref%u", i);
        const uint64_t ref = xenstore_number(dir, name, ~0ul);
        if (ref > UINT32_MAX)
            return "it does not tell where its ring is";
        refs[i] = (grant_ref_t)ref;
    }
    const uint64_t port = xenstore_number(dir, "event-channel", ~0ul);
    if (port > UINT32_MAX)
        return "it does not tell its event channel";
    const int rc = blkback_add_queue(&v->back, refs, 1u << order, (unsigned)port);
    return !rc             ? NULL
           : rc == -ENOMEM ? "there is no memory for its ring"
                           : "its ring is not granted, or its event channel is not for us";
}

static const char *add_queues(struct vbd *v)
{
    char protocol[16] = XEN_IO_PROTO_ABI_NATIVE;
    const uint64_t count = xenstore_number(v->frontend, "multi-queue-num-queues", 1);
    const uint64_t order = xenstore_number(v->frontend, "ring-page-order", 0);
    const char *problem = NULL;
    (void)!xenstore_read_in(XENSTORE_NO_TRANSACTION, v->frontend, "protocol", protocol,
                            sizeof(protocol));
    if (strcmp(protocol, XEN_IO_PROTO_ABI_NATIVE))
        return "it speaks another protocol than x86_64-abi";
    if (!count || count > BLKBACK_QUEUES_MOST || order > BLKBACK_RING_ORDER_MOST)
        return "it has made more queues, or larger ones, than were offered";
    if (blkback_init(&v->back))
        return "there is no memory for it";
    v->connected = true;
    for (unsigned i = 0; !problem && i < count; i++)
        problem = add_queue(v, i, (unsigned)count, (unsigned)order);
    return problem;
}

static void write_counters(const struct vbd *v)
{
#define X(name) note(v, "statistics/" #name, v->back.counters.name);
    BLKBACK_COUNTERS(X)
#undef X
}

static void disconnect(struct vbd *v)
{
    if (!v->connected)
        return;
    blkback_stop(&v->back);
    v->connected = false;
    if (is_listed(v))
        write_counters(v);
}

static void connect(struct vbd *v)
{
    const struct block_device *const disk = v->back.disk;
    const char *const problem = disk->gone ? "the disk is gone" : add_queues(v);
    if (problem) {
        complain(v, problem);
        disconnect(v);
        state_set(v, XenbusStateClosing);
        return;
    }
    note(v, "sectors", disk->sectors);
    note(v, "info", v->back.read_only ? READ_ONLY : 0);
    note(v, "sector-size", disk->sector_size);
    note(v, "physical-sector-size", MAX(disk->physical_size, disk->sector_size));
    state_set(v, XenbusStateConnected);
}

/* ---- What happens ---- */

static bool is_online(const struct vbd *v)
{
    return xenstore_number(v->path, "online", 1);
}

/* The frontend is in @other, or we have been poked. */
static void follow(struct vbd *v, enum xenbus_state other)
{
    if (v->connected && v->back.problem) {
        complain(v, v->back.problem);
        disconnect(v);
        state_set(v, XenbusStateClosing);
    }
    switch (other) {
    case XenbusStateInitialising:
        if (v->state == XenbusStateInitialising || (v->state == XenbusStateClosed && is_online(v)))
            prepare(v);
        break;
    case XenbusStateInitialised:
    case XenbusStateConnected:
        if (v->state == XenbusStateInitialising)
            prepare(v); /* whoever was here before us has left a frontend that waits */
        if (v->state == XenbusStateInitWait)
            connect(v);
        break;
    case XenbusStateClosing: /* it may still ask, for what it has to write before it ends */
        state_set(v, XenbusStateClosing);
        break;
    case XenbusStateUnknown:
    case XenbusStateClosed:
        disconnect(v);
        state_set(v, XenbusStateClosed);
        break;
    default:
        break;
    }
}

static void other_changed(struct xenstore_watch *watch, const char *path)
{
    struct vbd *const v = container_of(watch, struct vbd, other_state);
    follow(v, (enum xenbus_state)xenstore_number(watch->path, NULL, XenbusStateUnknown));
}

/* ---- Which there are ---- */

static struct vbd *find(unsigned domain, const char *path)
{
    struct vbd *v;
    list_for_each(v, &vbds, link)
    {
        if (v->domain == domain && !strcmp(v->path, path))
            return v;
    }
    return NULL;
}

static void forget(struct vbd *v)
{
    list_remove(&v->link);
    heap_free(v);
}

static void add(unsigned domain, const char *path)
{
    char frontend[XENSTORE_PATH_MAX];
    if (xenstore_read_in(XENSTORE_NO_TRANSACTION, path, "frontend", frontend, sizeof(frontend)) <=
        0)
        return; /* it is not all there yet: that is told, too */
    struct vbd *const v = heap_alloc(sizeof(*v));
    if (!v)
        return;
    text_copy(v->path, path, sizeof(v->path));
    text_copy(v->frontend, frontend, sizeof(v->frontend));
    v->domain = (domid_t)domain;
    v->listed = true;
    v->state = XenbusStateInitialising;
    v->other_state.changed = other_changed;
    list_add(&v->link, &vbds);
    const size_t length =
        print_to(v->other_state.path, sizeof(v->other_state.path), "%s/state", frontend);
    if (length + 1 >= sizeof(v->other_state.path) || xenstore_watch(&v->other_state)) {
        print("%s: its frontend cannot be watched\n", path);
        forget(v);
    }
}

/* The names below @path, into @names: how many bytes. */
static size_t list_names(const char *path, char *names)
{
    const long length = xenstore_directory(XENSTORE_NO_TRANSACTION, path, names, NAMES_SIZE);
    return length < 0 ? 0 : (size_t)length;
}

static void scan_domain(unsigned domain, const char *dir, char *names)
{
    const size_t length = list_names(dir, names);
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        char path[XENSTORE_PATH_MAX];
        if (print_to(path, sizeof(path), "%s/%s", dir, name) + 1 >= sizeof(path))
            continue;
        struct vbd *const v = find(domain, path);
        if (v)
            v->listed = true;
        else
            add(domain, path);
    }
}

static void scan(void)
{
    static char domains[NAMES_SIZE], names[NAMES_SIZE];
    const size_t length = list_names(ROOT, domains);
    struct vbd *v, *after;
    list_for_each(v, &vbds, link) v->listed = false;
    for (const char *name = domains; name < domains + length; name += strlen(name) + 1) {
        char dir[XENSTORE_PATH_MAX];
        const char *at = name;
        const unsigned long domain = text_number(&at, 10);
        if (*at || at == name || domain >= DOMID_FIRST_RESERVED)
            continue;
        print_to(dir, sizeof(dir), ROOT "/%lu", domain);
        scan_domain((unsigned)domain, dir, names);
    }
    list_for_each_safe(v, after, &vbds, link)
    {
        if (v->listed)
            continue;
        xenstore_unwatch(&v->other_state);
        disconnect(v);
        forget(v);
    }
}

/* Something at @path, below ROOT, has changed: most often a node that we have written, or will read when we need it. */
static void root_changed(struct xenstore_watch *watch, const char *path)
{
    const char *last = path;
    unsigned depth = 0;
    for (const char *at = path + MIN(strlen(path), strlen(ROOT)); *at; at++)
        if (*at == '/') {
            depth++;
            last = at + 1;
        }
    if (depth < 3 || !strcmp(last, "frontend"))
        scan();
}

void blkback_store_watch(void)
{
    text_copy(root_watch.path, ROOT, sizeof(root_watch.path));
    root_watch.changed = root_changed;
    if (xenstore_watch(&root_watch))
        print("disks cannot be shared: " ROOT " cannot be watched\n");
}
