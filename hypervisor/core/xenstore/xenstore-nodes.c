/*
 * What a guest finds in its store: the nodes that xl writes for one without devices.
 *
 * Their permissions are xl's, too: most belong to domain 0 and the guest reads them; where a guest
 * is to answer, the node is its own.
 */
#include "xenstore-parts.h"

#include "arch.h"
#include "domain-config.h"
#include "lib.h"

const char *xenstore_home(const struct domain *d, char *to)
{
    snprintf(to, HOME_LIMIT, "/local/domain/%u/", d->id);
    return to;
}

static struct tree_perms perms_of(domid_t owner, domid_t reader)
{
    struct tree_perms p = {.perm = {{owner, 0}, {reader, TREE_READ}}, .count = 2};

    if (owner == reader)
        p.count = 1;
    return p;
}

/* While the standard nodes are written; guest_owns as xl has it. */
struct founding {
    struct xenstore *s;
    int rc;
};

static void found(struct founding *f, bool guest_owns, const char *name, const char *format, ...)
    printf_like(4, 5);

static void found(struct founding *f, bool guest_owns, const char *name, const char *format, ...)
{
    struct xenstore *s = f->s;
    char path[96], value[64];
    va_list args;

    if (f->rc)
        return;
    if (name[0] == '/')
        string_copy(path, name, sizeof(path));
    else
        snprintf(path, sizeof(path), "/local/domain/%u%s%s", s->domain->id, *name ? "/" : "", name);
    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);

    const domid_t id = s->domain->id;
    const struct tree_perms perms = perms_of(guest_owns ? id : 0, id);
    const struct tree_change c = {value, strlen(value), &perms, DOMID_SELF, s->changes};
    struct tree_node *now;
    f->rc = tree_set(&s->budget, s->root, path, &c, &now);
    if (!f->rc) {
        tree_put(&s->budget, s->root);
        s->root = now;
    }
}

static void found_vm(struct founding *f, const struct domain_config *c)
{
    char uuid[40], path[64];
    const uint8_t *h = c->handle;

    snprintf(uuid, sizeof(uuid),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", h[0], h[1],
             h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14],
             h[15]);
    snprintf(path, sizeof(path), "/vm/%s", uuid);
    found(f, false, "vm", "%s", path);
    found(f, false, path, "%s", "");
    snprintf(path, sizeof(path), "/vm/%s/name", uuid);
    found(f, false, path, "%s", c->name);
    snprintf(path, sizeof(path), "/vm/%s/uuid", uuid);
    found(f, false, path, "%s", uuid);
}

/* What a guest may write in is its own; the rest it reads. */
static void found_directories(struct founding *f)
{
    static const char *const theirs[] = {"control/shutdown",
                                         "control/feature-poweroff",
                                         "control/feature-reboot",
                                         "control/feature-suspend",
                                         "control/sysrq",
                                         "data",
                                         "drivers",
                                         "feature",
                                         "attr",
                                         "error"};

    found(f, false, "device", "%s", "");
    found(f, false, "control", "%s", "");
    found(f, false, "control/platform-feature-multiprocessor-suspend", "1");
    found(f, false, "control/platform-feature-xs_reset_watches", "1");
    for (unsigned i = 0; i < ARRAY_SIZE(theirs); i++)
        found(f, true, theirs[i], "%s", "");
}

/* As xl for a guest without devices. */
static void found_nodes(struct founding *f)
{
    const struct xenstore *s = f->s;
    const struct domain *d = s->domain;
    char path[32];

    found(f, false, "", "%s", "");
    found(f, false, "name", "%s", d->name);
    found(f, false, "domid", "%u", d->id);
    if (d->config)
        found_vm(f, d->config);
    found(f, false, "cpu", "%s", "");
    for_each_vcpu(d, v) {
        snprintf(path, sizeof(path), "cpu/%u/availability", v->id);
        found(f, false, path, "online");
    }
    found(f, false, "memory", "%s", "");
    found(f, false, "memory/static-max", "%lu", atomic_read(&d->max_pages) * 4ul);
    found(f, false, "memory/target", "%lu",
          d->config ? d->config->memory / 1024 : d->tot_pages * 4ul);
    found(f, false, "console", "%s", "");
    found(f, false, "console/ring-ref", "%lu", (unsigned long)s->console.n);
    found(f, false, "console/port", "%u", s->console_port);
    found(f, false, "store", "%s", "");
    found(f, false, "store/ring-ref", "%lu", (unsigned long)virt_to_mfn(s->ring).n);
    found(f, false, "store/port", "%u", s->port);
    found_directories(f);
}

int xenstore_open_tree(struct xenstore *s)
{
    struct founding f = {.s = s};

    if (s->root)
        return 0;
    s->root = tree_new(&s->budget, &f.rc);
    if (f.rc)
        return f.rc;
    found_nodes(&f);
    if (f.rc) {
        tree_put(&s->budget, s->root);
        s->root = NULL;
    }
    return f.rc;
}
