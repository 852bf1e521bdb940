/*
 * Watches: who hears of a change.
 *
 * A watch hears of every change at or below its path that its domain may see: it may read the node, or the one above
 * it, as in xenstored.  So a change does not look for watches.  It looks at the few domains that its node's
 * permissions name, and asks each for the watches of the path and of those above it, which the domain keeps by their
 * hash:
 *
 *      /local/domain/1/device/vbd/768/state written, owner 1, reader 2:
 *          domain 1:  "/"?  "/local"?  "/local/domain"?  ...  "/local/domain/1/device/vbd/768/state"?
 *          domain 2:  the same
 *
 * That does not depend on how many domains and watches there are.  Only what everybody may read asks everybody, and
 * the domain that made it so pays for that: its next request is not looked at before all have heard, a domain at a
 * time, with preemption points (xenstore_tell).
 *
 * An event that says what another one already says is not kept.  The queue of a domain that does not read is bounded,
 * and so is what one other domain may have in it: who fills it up loses its own events.
 */
#include "arch.h"
#include "lib.h"
#include "refuse.h"
#include "xenstore-parts.h"

static uint32_t mix(uint32_t h)
{
    return (uint32_t)((h * 0x9e3779b97f4a7c15ull) >> 32);
}

static uint32_t text_hash(const char *text, size_t length)
{
    uint32_t h = 0;

    while (length--)
        h = h * 31 + (uint8_t)*text++;
    return mix(h);
}

/* --- events ---------------------------------------------------------------------------------- */

/* An event that waits and says the same? */
static bool event_waits(struct xenstore *s, const struct event *e)
{
    list_for_each(it, &s->hearing->event[e->hash % BUCKETS])
    {
        const struct event *other = list_entry(it, struct event, bucket);
        if (likely(other->hash != e->hash) || other->header.len != e->header.len)
            continue;
        const bool begun = &other->link == s->events.next && !s->replying && s->sent;
        if (!begun && !memcmp(other->text, e->text, e->header.len))
            return true;
    }
    return false;
}

static bool event_has_room(const struct xenstore *s, domid_t from)
{
    unsigned n = 0;

    if (s->event_count < EVENTS_OF_ONE)
        return true;
    if (s->event_count == EVENTS)
        return false;
    list_for_each(it, &s->events) n += list_entry(it, struct event, link)->from == from;
    return from == s->id || n < EVENTS_OF_ONE;
}

static struct event *event_new(struct xenstore *s, size_t size, domid_t from)
{
    const uint32_t limit = s->account.limit;
    struct event *e = NULL;
    int rc;

    if (size > sizeof(struct event) + XENSTORE_PAYLOAD_MAX || !event_has_room(s, from))
        return NULL;
    s->account.limit = MAX(limit, STORE_LIMIT);
    e = account_alloc(&s->account, size, &rc);
    s->account.limit = limit;
    return e;
}

/* Tell the guest that @w has seen a change at @path by domain @from. */
static void event_add(struct xenstore *s, const struct watch *w, const char *path, domid_t from)
{
    const size_t path_bytes = strlen(path) + 1,
                 size = sizeof(struct event) + path_bytes + w->token_length + 1;
    struct event *e = event_new(s, size, from);

    if (!e) {
        (void)refuse(STORE_EVENT_LOST, s->account.used);
        return;
    }
    e->size = (uint32_t)size;
    e->from = from;
    e->header = (struct xsd_sockmsg){.type = XS_WATCH_EVENT,
                                     .len = (uint32_t)(path_bytes + w->token_length + 1)};
    memcpy(e->text, path, path_bytes);
    memcpy(e->text + path_bytes, w->text + w->path_length + 1, w->token_length + 1u);
    e->hash = text_hash(e->text, e->header.len);
    if (event_waits(s, e)) {
        account_free(&s->account, e, size);
        return;
    }
    list_append(&s->events, &e->link);
    list_append(&s->hearing->event[e->hash % BUCKETS], &e->bucket);
    s->event_count++;
}

void event_free(struct xenstore *s, struct event *e)
{
    list_remove(&e->link);
    list_remove(&e->bucket);
    s->event_count--;
    account_free(&s->account, e, e->size);
}

void events_drop(struct xenstore *s)
{
    while (!list_empty(&s->events))
        event_free(s, list_entry(s->events.next, struct event, link));
}

/* --- one change ------------------------------------------------------------------------------ */

static void cut(struct cut_path *c, const char *path, size_t length, bool exact)
{
    uint32_t h = 0;

    c->path = path;
    c->count = 0;
    for (size_t i = 0; i < length; i++) {
        const bool root = i == 1;
        if (!exact && path[0] == '/' && (root || (i && path[i] == '/'))) {
            c->cut[c->count].hash = mix(h);
            c->cut[c->count++].length = (uint32_t)i;
        }
        h = h * 31 + (uint8_t)path[i];
    }
    c->cut[c->count].hash = mix(h);
    c->cut[c->count++].length = (uint32_t)length;
}

/* Tell @s, if it watches. */
static void tell_client(struct xenstore *s, const struct cut_path *c, domid_t from)
{
    if (!s->watch_count)
        return;
    for (unsigned i = 0; i < c->count; i++) {
        const uint32_t length = c->cut[i].length;
        list_for_each(it, &s->hearing->watch[c->cut[i].hash % BUCKETS])
        {
            const struct watch *w = list_entry(it, struct watch, bucket);
            if (w->path_length == length && !memcmp(w->text, c->path, length))
                event_add(s, w, c->path + w->relative, from);
        }
    }
}

static bool readers_have(const struct readers *r, domid_t id)
{
    for (unsigned i = 0; i < r->count; i++)
        if (r->id[i] == id)
            return true;
    return false;
}

void readers_add(struct readers *r, const struct tree_node *n)
{
    struct tree_perms p;

    if (!n)
        return;
    perms_now(n, &p);
    r->everybody = r->everybody || p.perm[0].may & TREE_READ;
    for (unsigned i = 0; i < p.count; i++) {
        const bool reads = i == 0 || p.perm[i].may & TREE_READ;
        if (reads && r->count < ARRAY_SIZE(r->id) && !readers_have(r, p.perm[i].id))
            r->id[r->count++] = p.perm[i].id;
    }
}

/* --- telling --------------------------------------------------------------------------------- */

/* A part that was taken away has longer paths than its top. */
struct telling *telling_new(const char *path)
{
    const size_t length = path ? strlen(path) : 0,
                 size = sizeof(struct telling) + (path ? length : TREE_PATH) + 1;
    struct telling *t = mem_alloc(size);

    if (!t)
        return NULL;
    t->size = size;
    t->client = t->clients = &store.privileged;
    if (path) {
        memcpy(t->path, path, length + 1);
        telling_aim(t, t->path, length, false);
    }
    return t;
}

void telling_free(struct telling *t)
{
    if (t)
        mem_free(t, t->size);
}

void telling_aim(struct telling *t, const char *path, size_t length, bool exact)
{
    cut(&t->cut, path, length, exact);
    t->telling = true;
    t->exact = exact;
    t->reader = 0;
    t->readers = (struct readers){.count = 0};
    t->clients = NULL;
}

void telling_begin(struct xenstore *s, struct telling *t)
{
    ASSERT(!s->telling);
    s->telling = t;
}

static void tell_and_deliver(struct xenstore *writer, struct xenstore *to, const struct cut_path *c)
{
    const uint32_t had = to->event_count;

    tell_client(to, c, writer->id);
    if (to != writer && to->event_count != had)
        xenstore_deliver(to);
}

/* One domain more hears of the change; false: none is left. */
static bool tell_one(struct xenstore *s, struct telling *t)
{
    if (!t->clients) {
        t->clients = t->readers.everybody ? &store.clients : &store.privileged;
        t->client = t->clients->next;
    }
    if (!t->readers.everybody && t->reader < t->readers.count) {
        struct xenstore *to = client_of(t->readers.id[t->reader++]);
        if (to && !to->privileged)
            tell_and_deliver(s, to, &t->cut);
        return true;
    }
    if (t->client == t->clients)
        return false;
    struct xenstore *to = t->readers.everybody
                              ? list_entry(t->client, struct xenstore, link)
                              : list_entry(t->client, struct xenstore, privileged_link);
    t->client = t->client->next;
    tell_and_deliver(s, to, &t->cut);
    return true;
}

/* The next change of a transaction. */
static bool next_entry(struct telling *t)
{
    while (t->at != &t->t->order) {
        const struct entry *e = list_entry(t->at, struct entry, link);
        t->at = t->at->next;
        if (e->told) {
            telling_aim(t, e->path, e->length, e->exact);
            t->readers = e->readers;
            return true;
        }
    }
    return false;
}

/* The next node of what was taken away, which is freed when all have heard of it. */
static void free_told(struct telling *t)
{
    struct tree_node *n = t->node, *above = n->above;

    if (above)
        tree_take(n);
    tree_node_free(n);
    t->node = above ? tree_walk_first(above) : NULL;
}

/* The top itself was told of before it was taken away. */
static bool next_gone(struct telling *t)
{
    if (t->node->above) {
        const size_t length = tree_path_below(t->gone, t->node, t->path, t->gone_length);
        telling_aim(t, t->path, length, true);
        readers_add(&t->readers, t->node);
        readers_add(&t->readers, t->node->above);
    }
    free_told(t);
    return true;
}

/* The next change; false: all is told. */
static bool next_change(struct telling *t)
{
    if (t->t)
        return next_entry(t);
    return t->node && next_gone(t);
}

static void tell_end(struct xenstore *s)
{
    struct telling *t = s->telling;

    s->telling = NULL;
    if (t->t)
        transaction_free(s, t->t);
    telling_free(t);
}

bool xenstore_tell(struct xenstore *s)
{
    struct telling *t = s->telling;

    if (!t)
        return false;
    do {
        if (t->telling)
            t->telling = tell_one(s, t);
        else if (!next_change(t)) {
            tell_end(s);
            break;
        }
    } while (!xenstore_piece_over(s));
    return true;
}

void xenstore_tell_special(const char *path, domid_t from)
{
    struct cut_path c;

    cut(&c, path, strlen(path), true);
    list_for_each(it, &store.privileged)
    {
        struct xenstore *to = list_entry(it, struct xenstore, privileged_link);
        tell_client(to, &c, from);
        xenstore_deliver(to);
    }
}

static void telling_forget(struct telling *t, struct xenstore *s)
{
    if (t && (t->client == &s->link || t->client == &s->privileged_link))
        t->client = t->client->next;
}

void tellings_forget(struct xenstore *s)
{
    list_for_each(it, &store.clients)
        telling_forget(list_entry(it, struct xenstore, link)->telling, s);
    telling_forget(store_tool.telling, s);
}

/* --- watches --------------------------------------------------------------------------------- */

static struct hearing *hearing_of(struct xenstore *s, int *rc)
{
    *rc = 0;
    if (s->hearing)
        return s->hearing;
    s->hearing = account_alloc(&s->account, sizeof(*s->hearing), rc);
    for (unsigned i = 0; s->hearing && i < BUCKETS; i++) {
        list_init(&s->hearing->watch[i]);
        list_init(&s->hearing->event[i]);
    }
    return s->hearing;
}

struct watch *watch_find(struct xenstore *s, const char *path, const char *token)
{
    const size_t path_length = strlen(path), token_length = strlen(token);

    if (!s->hearing)
        return NULL;
    list_for_each(it, &s->hearing->watch[text_hash(path, path_length) % BUCKETS])
    {
        struct watch *w = list_entry(it, struct watch, bucket);
        if (w->path_length == path_length && w->token_length == token_length &&
            !memcmp(w->text, path, path_length) &&
            !memcmp(w->text + path_length + 1, token, token_length))
            return w;
    }
    return NULL;
}

int watch_add(struct xenstore *s, const char *path, size_t relative, const char *token)
{
    const size_t path_length = strlen(path), token_length = strlen(token),
                 size = sizeof(struct watch) + path_length + token_length + 2;
    struct watch *w = NULL;
    int rc;

    if (s->watch_count == WATCHES && !s->privileged)
        return refuse(STORE_WATCHES_TOO_MANY, WATCHES);
    if (hearing_of(s, &rc))
        w = account_alloc(&s->account, size, &rc);
    if (!w)
        return rc == -XEN_ENOSPC ? refuse(STORE_QUOTA, s->account.used) : rc;
    w->size = (uint32_t)size;
    w->relative = (uint16_t)relative;
    w->path_length = (uint16_t)path_length;
    w->token_length = (uint16_t)token_length;
    memcpy(w->text, path, path_length + 1);
    memcpy(w->text + path_length + 1, token, token_length + 1);
    list_append(&s->watches, &w->link);
    list_append(&s->hearing->watch[text_hash(path, path_length) % BUCKETS], &w->bucket);
    s->watch_count++;
    event_add(s, w, w->text + relative, s->id);
    return 0;
}

void watch_free(struct xenstore *s, struct watch *w)
{
    list_remove(&w->link);
    list_remove(&w->bucket);
    s->watch_count--;
    account_free(&s->account, w, w->size);
}

void watches_drop(struct xenstore *s)
{
    while (!list_empty(&s->watches))
        watch_free(s, list_entry(s->watches.next, struct watch, link));
}
