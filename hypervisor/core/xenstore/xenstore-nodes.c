/*
 * What a guest finds in its store: the nodes that xl writes for one without devices.
 *
 * Their permissions are xl's, too: most belong to domain 0 and the guest reads them; where a guest is to answer, the
 * node is its own.
 */
#include "xenstore-parts.h"

#include "arch.h"
#include "domain-config.h"
#include "lib.h"

#define HOMES "/local/domain/"

const char *xenstore_home(domid_t id, char *to)
{
    snprintf(to, HOME_LIMIT, HOMES "%u/", id);
    return to;
}

bool xenstore_vm(const struct xenstore *s, char *to)
{
    const struct domain_config *c = s->domain->config;

    if (!c)
        return false;
    static const uint8_t none[sizeof(c->handle)];
    uint8_t h[sizeof(c->handle)];
    memcpy(h, c->handle, sizeof(h));
    if (!memcmp(
            h, none,
            sizeof(h))) { /* one that was given no UUID has its number there: it is not another's */
        h[14] = (uint8_t)(s->id >> 8);
        h[15] = (uint8_t)s->id;
    }
    snprintf(to, VM_LIMIT,
             "/vm/%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", h[0], h[1],
             h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14],
             h[15]);
    return true;
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
        snprintf(path, sizeof(path), HOMES "%u%s%s", s->id, *name ? "/" : "", name);
    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);

    const struct tree_perms perms = perms_of(guest_owns ? s->id : 0, s->id);
    f->rc = access_found(&store_tool, path, value, &perms);
}

static void found_vm(struct founding *f, const char *name)
{
    char vm[VM_LIMIT], path[VM_LIMIT + 8];

    if (!xenstore_vm(f->s, vm))
        return;
    found(f, false, "vm", "%s", vm);
    found(f, false, vm, "%s", "");
    snprintf(path, sizeof(path), "%s/name", vm);
    found(f, false, path, "%s", name);
    snprintf(path, sizeof(path), "%s/uuid", vm);
    found(f, false, path, "%s", vm + strlen("/vm/"));
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
    found_vm(f, d->config ? d->config->name : "");
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

/* Nobody is told: it was not there for anybody. */
static void unfound(const struct xenstore *s)
{
    char path[2][VM_LIMIT] = {"", ""};

    (void)xenstore_home(s->id, path[0]);
    path[0][strlen(path[0]) - 1] = '\0';
    (void)xenstore_vm(s, path[1]);
    for (unsigned i = 0; i < 2; i++) {
        struct tree_node *nearest,
            *n = path[i][0] ? tree_find(store.root, path[i], &nearest) : NULL;
        if (n) {
            tree_take(n);
            tree_free(n);
        }
    }
}

static int found_root(void)
{
    const struct tree_perms perms = {.count = 1};
    const struct tree_content c = {.perms = &perms};
    int rc = 0;

    if (store.root)
        return 0;
    store.root = tree_node_new(&store.others, NULL, "", 0, &c, &rc);
    if (store.root)
        tree_node_own(store.root, &store.others);
    return rc;
}

int xenstore_found(struct xenstore *s)
{
    struct founding f = {.s = s};

    if (s->founded)
        return 0;
    f.rc = found_root();
    if (f.rc)
        return f.rc;
    found_nodes(&f);
    if (f.rc) {
        unfound(s);
        return f.rc;
    }
    s->founded = true;
    store.unfounded--;
    return 0;
}

void xenstore_found_at(const char *path)
{
    char *end;

    if (!store.unfounded || strncmp(path, HOMES, strlen(HOMES)) != 0)
        return;
    const unsigned long id = strtoul(path + strlen(HOMES), &end, 10);
    struct xenstore *s =
        id < DOMID_FIRST_RESERVED && (*end == '/' || !*end) ? client_of((domid_t)id) : NULL;
    if (s)
        (void)!xenstore_found(s); /* then it is not there */
}
