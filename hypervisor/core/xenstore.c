/*
 * The xenstore of a domain that has no other: a ring in its memory, and what answers there.
 *
 *    guest: request --> req ring --evtchn_send--> served() --> message whole? --> answer()
 *                                                                                   |  tree
 *    guest <-- rsp ring <-- pump_out() <-- the reply, then watch events  <----------+
 *
 * Guests ask even if there is nobody to meet: GRUB waits for an answer before its prompt, Linux's
 * balloon driver and its shutdown handler live on two nodes.  So each domain gets a small store of
 * its own, with the nodes that xl writes for a guest without devices (standard_nodes).  No other
 * domain sees it: where guests are to meet, a domain with FUNCTION_XENSTORE serves a real one, and
 * this one stands back.
 *
 * The protocol is <xen/io/xs_wire.h>'s; errors and their order are Xen's xenstored's.  The tree is
 * xenstore-tree.c: it is never changed in place, so a transaction is a reference to the tree as it
 * was and one to the tree as the transaction has it.
 *
 * What the guest can cost us.  It works on its own time, in its event_channel_op, with its
 * evtchn_lock held. Indices are read once a call, so a call moves at most a ring's length each way
 * however fast another vCPU refills it.  A request is copied before anybody looks at it.  While a
 * reply or an event waits for room, no further request is read.  All that is kept comes out of a
 * budget (STORE_LIMIT), and nothing is allocated before the first request.  Indices that make no
 * sense end the service, as they do in xenstored, until the guest asks for reconnection.
 *
 * Guarded by the domain's evtchn_lock.
 */
#include "xenstore.h"

#include "arch.h"
#include "audit.h"
#include "builder.h"
#include "evtchn.h"
#include "lib.h"
#include "refuse.h"
#include "xenstore-tree.h"

#include <xen/io/xs_wire.h>

#define STORE_LIMIT   32768u /* bytes a guest's nodes, watches, transactions and events may take */
#define EVENT_RESERVE 4096u  /* of it, for events only */
#define WATCHES       128u   /* numbers as xenstored's */
#define TRANSACTIONS  10u
#define HOME_LIMIT    32u   /* "/local/domain/65535/" */
#define REL_PATH      2048u /* XENSTORE_REL_PATH_MAX */

struct watch {
    struct list link;
    uint32_t size;     /* of this structure */
    uint16_t relative; /* bytes of @path that the guest did not say */
    uint16_t path_length;
    uint16_t token_length;
    char text[]; /* path, 0, token, 0 */
};

struct event {
    struct list link;
    uint32_t size; /* of this structure */
    struct xsd_sockmsg header;
    char text[]; /* path, 0, token, 0 */
};

struct transaction {
    struct list link;
    uint32_t id;
    struct tree_node *was, *now;
};

struct xenstore {
    struct domain *domain;
    struct xenstore_domain_interface *ring;
    mfn_t console;
    uint32_t port, console_port;
    bool stopped; /* the ring makes no sense */

    struct tree_budget budget;
    struct tree_node *root; /* NULL until somebody asks */
    uint32_t changes;       /* how many there have been */
    struct list watches, transactions;
    uint32_t watch_count, transaction_count, last_transaction;

    /* The request that is coming in: HOME_LIMIT bytes of room, then the payload. */
    struct xsd_sockmsg request;
    uint32_t have; /* bytes of header and payload */
    char *payload;

    /* What is going out: the reply, then events. */
    struct xsd_sockmsg reply;
    char *reply_payload, reply_small[16];
    uint32_t sent; /* of the reply, or when there is none, of the first event */
    bool replying;
    struct list events;
};

/* --- who serves ------------------------------------------------------------------------------ */

static domid_t server = DOMID_SELF; /* DOMID_SELF: the hypervisor */

void xenstore_left_to(domid_t id)
{
    server = id;
}

bool xenstore_served(void)
{
    size_t length;
    const char *word = cmdline_get("store", &length);

    return server == DOMID_SELF && !(word && length == 2 && !strncmp(word, "no", 2));
}

domid_t xenstore_domain(void)
{
    return server == DOMID_SELF ? 0 : server;
}

/* --- the standard nodes ---------------------------------------------------------------------- */

static const char *home_of(const struct domain *d, char *to)
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
    for_each_vcpu (d, v) {
        snprintf(path, sizeof(path), "cpu/%u/availability", v->id);
        found(f, false, path, "online");
    }
    found(f, false, "memory", "%s", "");
    found(f, false, "memory/static-max", "%lu", d->max_pages * 4ul);
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

/* The tree is there when this returns 0. */
static int open_tree(struct xenstore *s)
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

/* --- watches --------------------------------------------------------------------------------- */

/* An event that waits and says the same? */
static bool event_waits(struct xenstore *s, const struct event *e)
{
    list_for_each(it, &s->events)
    {
        const struct event *other = list_entry(it, struct event, link);
        const bool begun = it == s->events.next && !s->replying && s->sent;
        if (!begun && other->header.len == e->header.len &&
            !memcmp(other->text, e->text, e->header.len))
            return true;
    }
    return false;
}

/* Tell the guest that @w has seen a change at @path. */
static void event_add(struct xenstore *s, const struct watch *w, const char *path)
{
    const size_t path_bytes = strlen(path) + 1,
                 size = sizeof(struct event) + path_bytes + w->token_length + 1;
    int rc;

    s->budget.limit = STORE_LIMIT;
    struct event *e = budget_alloc(&s->budget, size, &rc);
    s->budget.limit = STORE_LIMIT - EVENT_RESERVE;
    if (!e) {
        (void)refuse(XS_009, s->budget.used);
        return;
    }
    e->size = (uint32_t)size;
    e->header = (struct xsd_sockmsg){.type = XS_WATCH_EVENT,
                                     .len = (uint32_t)(path_bytes + w->token_length + 1)};
    memcpy(e->text, path, path_bytes);
    memcpy(e->text + path_bytes, w->text + w->path_length + 1, w->token_length + 1u);
    if (event_waits(s, e))
        budget_free(&s->budget, e, size);
    else
        list_append(&s->events, &e->link);
}

/* Is @path at or below the watched one? */
static bool watch_covers(const struct watch *w, const char *path, size_t length)
{
    const size_t n = w->path_length;

    if (n == 1 && w->text[0] == '/')
        return true;
    return length >= n && !memcmp(path, w->text, n) && (path[n] == '/' || path[n] == '\0');
}

struct firing {
    struct xenstore *s;
    char *path; /* TREE_PATH + 1 bytes */
};

static void node_changed(void *context, const struct tree_place *at, bool below_removed)
{
    const struct firing *f = context;
    const size_t length = tree_path(at, f->path);

    list_for_each(it, &f->s->watches)
    {
        const struct watch *w = list_entry(it, struct watch, link);
        if (watch_covers(w, f->path, length) && (!below_removed || w->path_length == length))
            event_add(f->s, w, f->path + w->relative);
    }
}

/* The tree is @now from now on (its reference is ours); watches hear of the difference. */
static void replace_tree(struct xenstore *s, struct tree_node *now)
{
    struct firing f = {s, NULL};

    if (!list_empty(&s->watches)) {
        f.path = mem_alloc(TREE_PATH + 1);
        if (f.path)
            tree_diff(s->root, now, node_changed, &f);
        else
            (void)refuse(XS_009, s->budget.used);
    }
    mem_free(f.path, TREE_PATH + 1);
    tree_put(&s->budget, s->root);
    s->root = now;
}

static void watch_free(struct xenstore *s, struct watch *w)
{
    list_remove(&w->link);
    s->watch_count--;
    budget_free(&s->budget, w, w->size);
}

static void drop_watches(struct xenstore *s)
{
    while (!list_empty(&s->watches))
        watch_free(s, list_entry(s->watches.next, struct watch, link));
}

/* --- transactions ---------------------------------------------------------------------------- */

static struct transaction *transaction_of(struct xenstore *s, uint32_t id)
{
    list_for_each(it, &s->transactions)
    {
        struct transaction *t = list_entry(it, struct transaction, link);
        if (t->id == id)
            return t;
    }
    return NULL;
}

static void transaction_free(struct xenstore *s, struct transaction *t)
{
    list_remove(&t->link);
    s->transaction_count--;
    tree_put(&s->budget, t->was);
    tree_put(&s->budget, t->now);
    budget_free(&s->budget, t, sizeof(*t));
}

static void drop_transactions(struct xenstore *s)
{
    while (!list_empty(&s->transactions))
        transaction_free(s, list_entry(s->transactions.next, struct transaction, link));
}

/* --- requests -------------------------------------------------------------------------------- */

/* One request: whole, in our memory, and terminated by a 0 that is not the guest's. */
struct call {
    struct xenstore *s;
    struct transaction *t; /* NULL: outside of any */
    char *text;            /* behind HOME_LIMIT bytes of room */
    uint32_t length;
    const char *path; /* absolute, once path_of() has succeeded */
    uint32_t rest;    /* what follows the path and its 0: place and length */
    uint32_t rest_length;
};

static struct tree_node **tree_of(const struct call *c)
{
    return c->t ? &c->t->now : &c->s->root;
}

/* Room for a reply's payload, or NULL: no memory. */
static char *reply_room(struct xenstore *s, size_t length)
{
    s->reply_payload = length <= sizeof(s->reply_small) ? s->reply_small : mem_alloc(length);
    s->reply.len = s->reply_payload ? (uint32_t)length : 0;
    return s->reply_payload;
}

static int reply_text(struct xenstore *s, const char *text, size_t length)
{
    char *to = reply_room(s, length);

    if (!to)
        return -XEN_ENOMEM;
    memcpy(to, text, length);
    return 0;
}

static void reply_free(struct xenstore *s)
{
    if (s->reply_payload && s->reply_payload != s->reply_small)
        mem_free(s->reply_payload, s->reply.len);
    s->reply_payload = NULL;
    s->replying = false;
}

/* The first string of the request is a path: make it absolute, in the room in front of it. */
static int path_of(struct call *c)
{
    const size_t said = strnlen(c->text, c->length);
    const char *path = c->text;
    char home[HOME_LIMIT];

    if (said == c->length || said == 0)
        return refuse(XS_003, c->s->request.type, c->length);
    if (*path != '/') {
        const size_t n = strlen(home_of(c->s->domain, home));
        if (said > REL_PATH)
            return refuse(XS_004, said);
        c->path = memcpy(c->text - n, home, n);
    } else {
        c->path = path;
    }
    if (!tree_path_ok(c->path, (size_t)(path + said - c->path)))
        return refuse(XS_004, said);
    c->rest = (uint32_t)said + 1;
    c->rest_length = c->length - c->rest;
    return 0;
}

/* The same, and nothing follows it. */
static int only_path(struct call *c)
{
    int rc = path_of(c);

    if (!rc && c->rest_length)
        rc = refuse(XS_003, c->s->request.type, c->length);
    return rc;
}

static const char perm_letter[] = "nrwb"; /* by TREE_READ | TREE_WRITE */

/* What may domain @id do with @n? */
static unsigned may(const struct tree_node *n, domid_t id)
{
    const struct tree_perms *p = &n->perms;

    if (p->perm[0].id == id)
        return TREE_READ | TREE_WRITE;
    for (unsigned i = 1; i < p->count; i++)
        if (p->perm[i].id == id)
            return p->perm[i].may;
    return p->perm[0].may;
}

/* The node at the call's path, if the guest may do @what there; or NULL and *@rc.  That nothing is
 * there may only be learned by who might do it above. */
static const struct tree_node *node_for(struct call *c, unsigned what, int *rc)
{
    const struct tree_node *nearest, *n = tree_find(*tree_of(c), c->path, &nearest);

    if (!(may(n ?: nearest, c->s->domain->id) & what)) {
        *rc = refuse(XS_005, c->s->request.type);
        return NULL;
    }
    *rc = n ? 0 : -XEN_ENOENT;
    return n;
}

static const struct tree_node *node_to_read(struct call *c, int *rc)
{
    *rc = only_path(c);
    return *rc ? NULL : node_for(c, TREE_READ, rc);
}

/* Commit @rc, the answer of tree_set() or tree_remove(): @now is the call's tree. */
static int changed(struct call *c, int rc, struct tree_node *now)
{
    if (rc == -XEN_ENOSPC)
        return refuse(XS_006, c->s->budget.used);
    if (rc)
        return rc;
    if (c->t) {
        tree_put(&c->s->budget, c->t->now);
        c->t->now = now;
    } else {
        replace_tree(c->s, now);
    }
    return 0;
}

static int set_node(struct call *c, struct tree_change *change)
{
    struct tree_node *now = NULL;

    change->owner = c->s->domain->id;
    change->number = ++c->s->changes;
    int rc = tree_set(&c->s->budget, *tree_of(c), c->path, change, &now);
    return changed(c, rc, now);
}

static int answer_read(struct call *c)
{
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);

    return n ? reply_text(c->s, tree_value(n), n->value_length) : rc;
}

/* The names below a node, each with its 0: how many bytes; copied if @to. */
static size_t list_names(const struct tree_node *n, char *to)
{
    size_t at = 0;

    for (unsigned i = 0; i < n->children; i++) {
        const size_t length = n->child[i]->name_length;
        if (to) {
            memcpy(to + at, n->child[i]->bytes, length);
            to[at + length] = '\0';
        }
        at += length + 1;
    }
    return at;
}

static int answer_directory(struct call *c)
{
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);

    if (!n)
        return rc;
    const size_t bytes = list_names(n, NULL);
    if (bytes > XENSTORE_PAYLOAD_MAX)
        return refuse(XS_008, bytes);
    char *to = reply_room(c->s, bytes);
    if (!to)
        return -XEN_ENOMEM;
    (void)list_names(n, to);
    return 0;
}

static int answer_get_perms(struct call *c)
{
    char text[TREE_PERMS * 8]; /* "b65535" and its 0 each */
    size_t bytes = 0;
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);

    if (!n)
        return rc;
    for (unsigned i = 0; i < n->perms.count; i++) {
        const struct tree_perm *p = &n->perms.perm[i];
        bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes, "%c%u", perm_letter[p->may],
                                  p->id) +
                 1;
    }
    return reply_text(c->s, text, bytes);
}

static int answer_write(struct call *c)
{
    int rc = path_of(c);

    if (rc)
        return rc;
    (void)node_for(c, TREE_WRITE, &rc);
    if (rc && rc != -XEN_ENOENT)
        return rc;
    return set_node(c, &(struct tree_change){.value = c->text + c->rest, .length = c->rest_length});
}

static int answer_mkdir(struct call *c)
{
    int rc = only_path(c);

    if (rc)
        return rc;
    if (node_for(c, TREE_WRITE, &rc) || rc != -XEN_ENOENT)
        return rc;
    return set_node(c, &(struct tree_change){.value = ""});
}

static int answer_rm(struct call *c)
{
    const struct tree_node *nearest;
    struct tree_node *now = NULL;
    int rc = only_path(c);

    if (rc)
        return rc;
    if (!node_for(c, TREE_WRITE, &rc)) {
        if (rc != -XEN_ENOENT)
            return rc;
        /* Gone already is fine, if only the last name is missing. */
        char *last = strrchr(c->path, '/');
        *last = '\0';
        return tree_find(*tree_of(c), c->path, &nearest) ? 0 : -XEN_ENOENT;
    }
    if (!c->path[1])
        return refuse(XS_004, 1);
    c->s->changes++;
    rc = tree_remove(&c->s->budget, *tree_of(c), c->path, &now);
    return changed(c, rc, now);
}

/* "r5": false if it is no such thing. */
static bool read_perm(const char *text, struct tree_perm *p)
{
    const char *letter = *text ? strchr(perm_letter, *text) : NULL;
    char *end;

    if (!letter || text[1] < '0' || text[1] > '9')
        return false;
    const unsigned long id = strtoul(text + 1, &end, 10);
    p->may = (uint16_t)(letter - perm_letter);
    p->id = (domid_t)id;
    return !*end && id < DOMID_FIRST_RESERVED;
}

static int read_perms(const struct call *c, struct tree_perms *perms)
{
    const char *at = c->text + c->rest, *end = at + c->rest_length;

    perms->count = 0;
    while (at < end) {
        const size_t n = strnlen(at, (size_t)(end - at));
        if (perms->count == TREE_PERMS)
            return refuse(XS_006, perms->count);
        if (at + n == end || !read_perm(at, &perms->perm[perms->count++]))
            return refuse(XS_003, c->s->request.type, c->length);
        at += n + 1;
    }
    return perms->count ? 0 : refuse(XS_003, c->s->request.type, c->length);
}

/* The owner's right, and nobody gives a node away. */
static int answer_set_perms(struct call *c)
{
    const domid_t me = c->s->domain->id;
    struct tree_perms perms;
    int rc = path_of(c);

    if (!rc)
        rc = read_perms(c, &perms);
    if (rc)
        return rc;
    const struct tree_node *n = node_for(c, TREE_WRITE, &rc);
    if (!n)
        return rc;
    if (n->perms.perm[0].id != me || perms.perm[0].id != me)
        return refuse(XS_005, c->s->request.type);
    return set_node(c, &(struct tree_change){.perms = &perms});
}

/* A number as the only string of the request. */
static int only_number(const struct call *c, unsigned long *n)
{
    char *end;

    if (!c->length || strnlen(c->text, c->length) != c->length - 1 || c->length == 1)
        return refuse(XS_003, c->s->request.type, c->length);
    *n = strtoul(c->text, &end, 10);
    return *end ? refuse(XS_003, c->s->request.type, c->length) : 0;
}

static int answer_get_domain_path(struct call *c)
{
    char path[HOME_LIMIT];
    unsigned long id;
    int rc = only_number(c, &id);

    if (rc)
        return rc;
    snprintf(path, sizeof(path), "/local/domain/%u", (unsigned)(domid_t)id);
    return reply_text(c->s, path, strlen(path) + 1);
}

static int answer_is_introduced(struct call *c)
{
    unsigned long id;
    int rc = only_number(c, &id);

    return rc
               ?: reply_text(c->s,
                             id == 0 || id == c->s->domain->id || id == DOMID_SELF ? "T" : "F", 2);
}

/* --- requests: watches and transactions --- */

/* A watch's two strings: the path, absolute or one of the special ones, and the token. */
static int watch_strings(struct call *c, const char **token)
{
    if (c->length && c->text[0] == '@') {
        const size_t said = strnlen(c->text, c->length);
        if (said == c->length || said > REL_PATH)
            return refuse(XS_003, c->s->request.type, c->length);
        c->path = c->text;
        c->rest = (uint32_t)said + 1;
        c->rest_length = c->length - c->rest;
    } else {
        int rc = path_of(c);
        if (rc)
            return rc;
    }
    *token = c->text + c->rest;
    if (!c->rest_length || strnlen(*token, c->rest_length) != c->rest_length - 1)
        return refuse(XS_003, c->s->request.type, c->length);
    return 0;
}

static struct watch *watch_find(struct xenstore *s, const char *path, const char *token)
{
    list_for_each(it, &s->watches)
    {
        struct watch *w = list_entry(it, struct watch, link);
        if (!strcmp(w->text, path) && !strcmp(w->text + w->path_length + 1, token))
            return w;
    }
    return NULL;
}

static int watch_add(struct call *c, const char *token)
{
    struct xenstore *s = c->s;
    const size_t path = strlen(c->path), size = sizeof(struct watch) + path + c->rest_length + 1;
    int rc;
    struct watch *w = budget_alloc(&s->budget, size, &rc);

    if (!w)
        return rc == -XEN_ENOSPC ? refuse(XS_006, s->budget.used) : rc;
    w->size = (uint32_t)size;
    w->relative = (uint16_t)(c->path < c->text ? c->text - c->path : 0);
    w->path_length = (uint16_t)path;
    w->token_length = (uint16_t)(c->rest_length - 1);
    memcpy(w->text, c->path, path + 1);
    memcpy(w->text + path + 1, token, c->rest_length);
    list_append(&s->watches, &w->link);
    s->watch_count++;
    event_add(s, w, w->text + w->relative); /* a watch begins with an event */
    return 0;
}

static int answer_watch(struct call *c)
{
    const char *token;
    int rc = watch_strings(c, &token);

    if (rc)
        return rc;
    if (watch_find(c->s, c->path, token))
        return -XEN_EEXIST;
    if (c->s->watch_count == WATCHES)
        return refuse(XS_007, WATCHES);
    return watch_add(c, token);
}

static int answer_unwatch(struct call *c)
{
    const char *token;
    int rc = watch_strings(c, &token);

    if (rc)
        return rc;
    struct watch *w = watch_find(c->s, c->path, token);
    if (!w)
        return -XEN_ENOENT;
    watch_free(c->s, w);
    return 0;
}

static int answer_reset_watches(struct call *c)
{
    drop_watches(c->s);
    drop_transactions(c->s);
    return 0;
}

static int answer_transaction_start(struct call *c)
{
    struct xenstore *s = c->s;
    int rc;
    char text[12];

    if (c->t)
        return -XEN_EBUSY;
    if (s->transaction_count == TRANSACTIONS)
        return refuse(XS_006, TRANSACTIONS);
    struct transaction *t = budget_alloc(&s->budget, sizeof(*t), &rc);
    if (!t)
        return rc == -XEN_ENOSPC ? refuse(XS_006, s->budget.used) : rc;
    do
        s->last_transaction++;
    while (!s->last_transaction || transaction_of(s, s->last_transaction));
    t->id = s->last_transaction;
    t->was = tree_get(s->root);
    t->now = tree_get(s->root);
    list_append(&s->transactions, &t->link);
    s->transaction_count++;
    snprintf(text, sizeof(text), "%u", t->id);
    return reply_text(s, text, strlen(text) + 1);
}

/* One that has only read saw one state of the tree, whatever happened since.  One that has written
 * may go in only if nothing happened: its tree becomes everybody's. */
static int answer_transaction_end(struct call *c)
{
    struct xenstore *s = c->s;
    struct transaction *t = c->t;
    int rc = 0;

    if (c->length != 2 || c->text[1] || (c->text[0] != 'T' && c->text[0] != 'F'))
        return refuse(XS_003, s->request.type, c->length);
    if (!t)
        return -XEN_ENOENT;
    if (c->text[0] == 'T' && t->now != t->was) {
        if (s->root == t->was)
            replace_tree(s, tree_get(t->now));
        else
            rc = -XEN_EAGAIN;
    }
    transaction_free(s, t);
    return rc;
}

static int answer_privileged(struct call *c)
{
    return refuse(XS_005, c->s->request.type);
}

/* --- dispatch -------------------------------------------------------------------------------- */

static int (*const answer[])(struct call *c) = {
    [XS_CONTROL] = answer_privileged,
    [XS_DIRECTORY] = answer_directory,
    [XS_READ] = answer_read,
    [XS_GET_PERMS] = answer_get_perms,
    [XS_WATCH] = answer_watch,
    [XS_UNWATCH] = answer_unwatch,
    [XS_TRANSACTION_START] = answer_transaction_start,
    [XS_TRANSACTION_END] = answer_transaction_end,
    [XS_INTRODUCE] = answer_privileged,
    [XS_RELEASE] = answer_privileged,
    [XS_GET_DOMAIN_PATH] = answer_get_domain_path,
    [XS_WRITE] = answer_write,
    [XS_MKDIR] = answer_mkdir,
    [XS_RM] = answer_rm,
    [XS_SET_PERMS] = answer_set_perms,
    [XS_IS_DOMAIN_INTRODUCED] = answer_is_introduced,
    [XS_RESUME] = answer_privileged,
    [XS_SET_TARGET] = answer_privileged,
    [XS_RESET_WATCHES] = answer_reset_watches,
};

/* The names that go over the wire. */
static const char *error_name(int rc)
{
    switch (-rc) {
    case XEN_EACCES:
        return "EACCES";
    case XEN_EEXIST:
        return "EEXIST";
    case XEN_ENOENT:
        return "ENOENT";
    case XEN_ENOMEM:
        return "ENOMEM";
    case XEN_ENOSPC:
        return "ENOSPC";
    case XEN_ENOSYS:
        return "ENOSYS";
    case XEN_EBUSY:
        return "EBUSY";
    case XEN_EAGAIN:
        return "EAGAIN";
    case XEN_E2BIG:
        return "E2BIG";
    default:
        return "EINVAL";
    }
}

static int dispatch(struct call *c)
{
    const struct xsd_sockmsg *m = &c->s->request;

    if (m->type >= ARRAY_SIZE(answer) || !answer[m->type])
        return refuse(XS_010, m->type);
    int rc = open_tree(c->s);
    if (rc)
        return rc;
    c->t = m->tx_id ? transaction_of(c->s, m->tx_id) : NULL;
    if (m->tx_id && !c->t)
        return -XEN_ENOENT;
    return answer[m->type](c);
}

/* The request is whole: prepare its reply. */
static void handle(struct xenstore *s)
{
    struct call c = {.s = s, .text = s->payload + HOME_LIMIT, .length = s->request.len};

    s->reply = s->request;
    s->reply.len = 0;
    int rc = dispatch(&c);
    if (rc) {
        reply_free(s);
        s->reply.type = XS_ERROR;
        rc = reply_text(s, error_name(rc), strlen(error_name(rc)) + 1);
    } else if (!s->reply_payload) {
        rc = reply_text(s, "OK", 3);
    }
    s->replying = true;
    s->sent = 0;
}

/* --- the ring -------------------------------------------------------------------------------- */

/* One half of the ring, as found in one look: @at is ours, @room bytes may be moved. */
struct half {
    char *bytes;
    uint32_t at, room;
};

static uint32_t move_in(struct half *h, void *to, uint32_t want)
{
    const uint32_t n = MIN(want, h->room);

    for (uint32_t i = 0; i < n; i++)
        ((char *)to)[i] = atomic_read(&h->bytes[MASK_XENSTORE_IDX(h->at + i)]);
    h->at += n;
    h->room -= n;
    return n;
}

static uint32_t move_out(struct half *h, const void *from, uint32_t want)
{
    const uint32_t n = MIN(want, h->room);

    for (uint32_t i = 0; i < n; i++)
        h->bytes[MASK_XENSTORE_IDX(h->at + i)] = ((const char *)from)[i];
    h->at += n;
    h->room -= n;
    return n;
}

/* As much of a message as there is room for; true when it is out. */
static bool send_message(struct half *h, const struct xsd_sockmsg *header, const char *payload,
                         uint32_t *sent)
{
    if (*sent < sizeof(*header))
        *sent += move_out(h, (const char *)header + *sent, (uint32_t)sizeof(*header) - *sent);
    if (*sent >= sizeof(*header))
        *sent += move_out(h, payload + (*sent - sizeof(*header)),
                          header->len - (*sent - (uint32_t)sizeof(*header)));
    if (*sent < sizeof(*header) + header->len)
        return false;
    *sent = 0;
    return true;
}

/* The reply, then the events; true if nothing is left to send. */
static bool pump_out(struct xenstore *s, struct half *out)
{
    if (s->replying) {
        if (!send_message(out, &s->reply, s->reply_payload, &s->sent))
            return false;
        reply_free(s);
    }
    while (!list_empty(&s->events)) {
        struct event *e = list_entry(s->events.next, struct event, link);
        if (!send_message(out, &e->header, e->text, &s->sent))
            return false;
        list_remove(&e->link);
        budget_free(&s->budget, e, e->size);
    }
    return true;
}

static void request_free(struct xenstore *s)
{
    if (s->payload)
        mem_free(s->payload, HOME_LIMIT + s->request.len + 1);
    s->payload = NULL;
    s->have = 0;
}

static void stop(struct xenstore *s, uint32_t why)
{
    s->stopped = true;
    atomic_set(&s->ring->error, why);
    request_free(s);
}

/* More of the request; true when it is whole. */
static bool pump_in(struct xenstore *s, struct half *in)
{
    struct xsd_sockmsg *m = &s->request;

    if (s->have < sizeof(*m)) {
        s->have += move_in(in, (char *)m + s->have, (uint32_t)sizeof(*m) - s->have);
        if (s->have < sizeof(*m))
            return false;
        if (m->len > XENSTORE_PAYLOAD_MAX) {
            (void)refuse(XS_002, m->len);
            stop(s, XENSTORE_ERROR_PROTO);
            return false;
        }
    }
    if (!s->payload)
        s->payload = mem_alloc(HOME_LIMIT + m->len + 1); /* zeroed */
    if (!s->payload)
        return false; /* until there is memory again */
    const uint32_t at = s->have - (uint32_t)sizeof(*m);
    s->have += move_in(in, s->payload + HOME_LIMIT + at, m->len - at);
    return s->have == sizeof(*m) + m->len;
}

/* Each index is read once.  False if they make no sense. */
static bool look(struct xenstore *s, struct half *in, struct half *out)
{
    struct xenstore_domain_interface *r = s->ring;
    const uint32_t req_prod = atomic_read_acquire(&r->req_prod),
                   rsp_cons = atomic_read_acquire(&r->rsp_cons);

    *in = (struct half){r->req, atomic_read(&r->req_cons), 0};
    *out = (struct half){r->rsp, atomic_read(&r->rsp_prod), 0};
    if (req_prod - in->at > XENSTORE_RING_SIZE || out->at - rsp_cons > XENSTORE_RING_SIZE) {
        (void)refuse(XS_001, req_prod - in->at, out->at - rsp_cons);
        stop(s, XENSTORE_ERROR_RINGIDX);
        return false;
    }
    in->room = req_prod - in->at;
    out->room = XENSTORE_RING_SIZE - (out->at - rsp_cons);
    return true;
}

static void forget_connection(struct xenstore *s)
{
    request_free(s);
    reply_free(s);
    s->sent = 0;
    while (!list_empty(&s->events)) {
        struct event *e = list_entry(s->events.next, struct event, link);
        list_remove(&e->link);
        budget_free(&s->budget, e, e->size);
    }
    drop_watches(s);
    drop_transactions(s);
}

/* The guest wants to begin again, with an empty ring. */
static void reconnect(struct xenstore *s)
{
    struct xenstore_domain_interface *r = s->ring;

    forget_connection(s);
    s->stopped = false;
    atomic_set(&r->req_cons, 0u);
    atomic_set(&r->req_prod, 0u);
    atomic_set(&r->rsp_cons, 0u);
    atomic_set(&r->rsp_prod, 0u);
    atomic_set(&r->error, (uint32_t)XENSTORE_ERROR_NONE);
    atomic_set_release(&r->connection, (uint32_t)XENSTORE_CONNECTED);
    evtchn_set_pending(s->domain, s->port);
}

/* Move what can be moved, answer what is whole. */
static void serve(struct xenstore *s)
{
    struct half in, out;

    if (s->stopped || !look(s, &in, &out))
        return;
    const uint32_t req = in.at, rsp = out.at;
    while (pump_out(s, &out) && pump_in(s, &in)) {
        handle(s);
        request_free(s);
    }
    atomic_set_release(&s->ring->rsp_prod, out.at);
    atomic_set_release(&s->ring->req_cons, in.at);
    if (in.at != req || out.at != rsp)
        evtchn_set_pending(s->domain, s->port);
}

/* The guest has signalled its port; evtchn_lock is held. */
static void served(struct domain *d, uint32_t port)
{
    struct xenstore *s = d->store;

    if (!s)
        return;
    if (atomic_read(&s->ring->connection) == XENSTORE_RECONNECT)
        reconnect(s);
    else
        serve(s);
}

/* --- domains come and go --------------------------------------------------------------------- */

long xenstore_attach(struct domain *d, mfn_t ring, mfn_t console, uint32_t console_port)
{
    struct xenstore *s = mem_alloc(sizeof(*s));

    if (!s)
        return -XEN_ENOMEM;
    long port = evtchn_alloc_hypervisor(d, served);
    int rc = port < 0 ? (int)port : page_get_and_type(mfn_to_page(ring), d, PAGE_TYPE_WRITABLE);
    if (rc) {
        mem_free(s, sizeof(*s)); /* the port goes with the domain */
        return rc;
    }
    s->domain = d;
    s->ring = mfn_to_virt(ring);
    s->console = console;
    s->port = (uint32_t)port;
    s->console_port = console_port;
    s->budget.limit = STORE_LIMIT - EVENT_RESERVE;
    list_init(&s->watches);
    list_init(&s->transactions);
    list_init(&s->events);
    s->ring->server_features = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;
    d->store = s;
    return port;
}

void xenstore_detach(struct domain *d)
{
    spin_lock(&d->evtchn_lock);
    struct xenstore *s = d->store;
    d->store = NULL;
    spin_unlock(&d->evtchn_lock);
    if (!s)
        return;
    forget_connection(s);
    tree_put(&s->budget, s->root);
    ASSERT(s->budget.used == 0);
    page_put_and_type(mfn_to_page(virt_to_mfn(s->ring)));
    mem_free(s, sizeof(*s));
}

mfn_t xenstore_ring_frame(const struct domain *d)
{
    return d->store ? virt_to_mfn(d->store->ring) : mfn(MFN_NONE);
}

/* --- from outside ---------------------------------------------------------------------------- */

/* The path of a node of @s in full, checked, in @to of TREE_PATH + 1 bytes. */
static int full_path(const struct xenstore *s, const char *path, char *to)
{
    char home[HOME_LIMIT];

    *home = '\0';
    if (*path != '/')
        (void)home_of(s->domain, home);
    if (strlen(path) > REL_PATH)
        return -XEN_EINVAL;
    snprintf(to, TREE_PATH + 1, "%s%s", home, path);
    return tree_path_ok(to, strlen(to)) ? 0 : -XEN_EINVAL;
}

static int write_node(struct xenstore *s, const char *path, const char *value)
{
    const struct tree_change c = {value, strlen(value), NULL, DOMID_SELF, ++s->changes};
    struct tree_node *now;
    int rc = tree_set(&s->budget, s->root, path, &c, &now);

    if (rc)
        return rc;
    replace_tree(s, now);
    if (!s->stopped)
        serve(s); /* events go out */
    return 0;
}

static int print_node(struct xenstore *s, const char *path)
{
    const struct tree_node *nearest, *n = tree_find(s->root, path, &nearest);

    if (!n)
        return -XEN_ENOENT;
    printk("%s = \"", path);
    for (unsigned i = 0; i < n->value_length; i++) {
        const char c = tree_value(n)[i];
        printk_more("%c", c >= ' ' && c <= '~' ? c : '.');
    }
    printk_more("\"\n");
    for (unsigned i = 0; i < n->children; i++)
        printk("  %.*s\n", n->child[i]->name_length, n->child[i]->bytes);
    return 0;
}

static int on_node(struct domain *d, const char *path, const char *value)
{
    char *full = mem_alloc(TREE_PATH + 1);

    if (!full)
        return -XEN_ENOMEM;
    spin_lock(&d->evtchn_lock);
    struct xenstore *s = d->store;
    int rc = s ? open_tree(s) : -XEN_ENOSYS;
    if (!rc)
        rc = full_path(s, path, full);
    if (!rc)
        rc = value ? write_node(s, full, value) : print_node(s, full);
    spin_unlock(&d->evtchn_lock);
    mem_free(full, TREE_PATH + 1);
    return rc;
}

int xenstore_write(struct domain *d, const char *path, const char *value)
{
    return on_node(d, path, value);
}

int xenstore_print(struct domain *d, const char *path)
{
    return on_node(d, path, NULL);
}
