/*
 * The nodes of disks, as xl writes them for a vbd: what a frontend and a backend find each other by.
 *
 *     /local/domain/F/device/vbd/51712/           the frontend's, read by the backend's domain
 *         backend, backend-id, virtual-device, device-type, state = 1
 *     /local/domain/B/backend/vbd/F/51712/        the backend's, read by the frontend's domain
 *         frontend, frontend-id, params, mode, dev, type, device-type, removable, bootable, online = 1, state = 1
 *
 * They come when both domains are there, whichever is the last, and go with either.  The states are written last: who
 * hears of one finds all the others.
 */
#include "xenstore-parts.h"

#include "domain-config.h"
#include "lib.h"

#define PATH_ROOM 96u

/* One end of a disk, while its nodes are written. */
struct end {
    char path[PATH_ROOM];
    struct tree_perms perms;
    int rc;
};

static void end_begin(struct end *e, domid_t owner, domid_t reader)
{
    e->perms = (struct tree_perms){.perm = {{owner, 0}, {reader, TREE_READ}}, .count = 2};
    e->rc = access_found(&store_tool, e->path, "", &e->perms);
}

static void put(struct end *e, const char *name, const char *format, ...) printf_like(3, 4);

static void put(struct end *e, const char *name, const char *format, ...)
{
    char path[PATH_ROOM + 24], value[PATH_ROOM];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    snprintf(path, sizeof(path), "%s/%s", e->path, name);
    e->rc = e->rc ?: access_found(&store_tool, path, value, &e->perms);
}

static void name_ends(domid_t front, const struct domain_disk *disk, struct end *f, struct end *b)
{
    snprintf(f->path, PATH_ROOM, "/local/domain/%u/device/vbd/%u", front, disk->number);
    snprintf(b->path, PATH_ROOM, "/local/domain/%u/backend/vbd/%u/%u", disk->backend, front,
             disk->number);
}

/* All but the states. */
static int write_ends(domid_t front, const struct domain_disk *disk, struct end *f, struct end *b)
{
    end_begin(b, disk->backend, front);
    put(b, "frontend", "%s", f->path);
    put(b, "frontend-id", "%u", front);
    put(b, "params", "%s", disk->params);
    put(b, "mode", "%s", disk->writable ? "w" : "r");
    put(b, "dev", "%s", disk->name);
    put(b, "type", "phy");
    put(b, "device-type", "disk");
    put(b, "removable", "0");
    put(b, "bootable", "1");
    put(b, "online", "1");
    end_begin(f, front, disk->backend);
    put(f, "backend", "%s", b->path);
    put(f, "backend-id", "%u", disk->backend);
    put(f, "virtual-device", "%u", disk->number);
    put(f, "device-type", "disk");
    return b->rc ?: f->rc;
}

static int write_state(const struct end *e)
{
    char path[PATH_ROOM + 8];

    snprintf(path, sizeof(path), "%s/state", e->path);
    int rc = access_set(&store_tool, NULL, path, "1", 1, &e->perms);
    xenstore_tell_all(&store_tool);
    return rc;
}

/* Are all of its nodes there?  The backend's state is the last. */
static bool disk_is_there(domid_t front, const struct domain_disk *disk)
{
    struct tree_node *nearest;
    struct end f, b;
    char path[PATH_ROOM + 8];

    name_ends(front, disk, &f, &b);
    snprintf(path, sizeof(path), "%s/state", b.path);
    return store.root && tree_find(store.root, path, &nearest);
}

/* False: it cannot be done. */
static bool disk_comes(struct xenstore *front, const struct domain_disk *disk)
{
    struct xenstore *back = client_of(disk->backend);
    struct end f, b;

    if (!back)
        return false;
    const domid_t id = front->id;
    name_ends(id, disk, &f, &b);
    int rc = xenstore_found(front) ?: xenstore_found(back) ?: write_ends(id, disk, &f, &b);
    rc = rc ?: write_state(&f);
    if (!rc && client_of(disk->backend))
        rc = write_state(&b);
    if (rc)
        printk("d%u: no room in the store for its disk %s\n", id, disk->name);
    return !rc;
}

/* A disk that @s serves and whose nodes are not there yet; NULL: none. */
static const struct domain_disk *next_served(const struct xenstore *s, struct xenstore **front)
{
    list_for_each(it, &store.clients)
    {
        *front = list_entry(it, struct xenstore, link);
        const struct domain_config *c = (*front)->domain->config;
        for (unsigned i = 0; c && i < c->disk_count; i++)
            if (c->disks[i].backend == s->id && !disk_is_there((*front)->id, &c->disks[i]))
                return &c->disks[i];
    }
    return NULL;
}

/* Others may come and go while watches are told; @s stays, it is being built. */
void xenstore_devices_come(struct xenstore *s)
{
    const struct domain_config *c = s->domain->config;
    const struct domain_disk *disk;
    struct xenstore *front;

    for (unsigned i = 0; c && i < c->disk_count; i++)
        (void)disk_comes(s, &c->disks[i]);
    while ((disk = next_served(s, &front)) != NULL && disk_comes(front, disk))
        ;
}

/* @s goes: what others have of its disks. */
void xenstore_devices_go(struct xenstore *s)
{
    const struct domain_config *c = s->domain->config;
    struct end f, b;

    for (unsigned i = 0; c && i < c->disk_count; i++) {
        name_ends(s->id, &c->disks[i], &f, &b);
        xenstore_remove(s, b.path);
    }
}
