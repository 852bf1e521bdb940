/*
 * Watches and transactions of a domain's store.
 *
 * A watch hears of every change at or below its path; which nodes a change, or a whole transaction,
 * has touched is what differs between two trees.  There may be 128 watches and hundreds of nodes: they are told a few at a
 * time (xenstore_tell), from the beginning of the two trees each time, which do not change.  An event that says what another one already says
 * is not kept, so a guest that does not read has at most one for each watch and node.
 */
#include "xenstore-parts.h"

#include "lib.h"
#include "refuse.h"

static uint32_t text_hash(const char *text, uint32_t length)
{
    uint32_t h = length;

    while (length--)
        h = h * 31 + (uint8_t)*text++;
    return h;
}

/* An event that waits and says the same? */
static bool event_waits(struct xenstore *s, const struct event *e)
{
    list_for_each(it, &s->events)
    {
        const struct event *other = list_entry(it, struct event, link);
        if (likely(other->hash != e->hash) || other->header.len != e->header.len)
            continue;
        const bool begun = it == s->events.next && !s->replying && s->sent;
        if (!begun && !memcmp(other->text, e->text, e->header.len))
            return true;
    }
    return false;
}

/* Tell the guest that @w has seen a change at @path. */
static void event_add(struct xenstore *s, const struct watch *w, const char *path)
{
    const size_t path_bytes = strlen(path) + 1,
                 size = sizeof(struct event) + path_bytes + w->token_length + 1;
    struct event *e = NULL;
    int rc;

    s->budget.limit = STORE_LIMIT;
    if (size <= sizeof(struct event) + XENSTORE_PAYLOAD_MAX)
        e = budget_alloc(&s->budget, size, &rc);
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
    e->hash = text_hash(e->text, e->header.len);
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
    uint32_t at, from, end; /* pairs of (node, watch): how many there were, and which ones are due */
};

static void node_changed(void *context, const struct tree_place *at, bool below_removed)
{
    struct firing *f = context;
    uint32_t pair = f->at;

    f->at += f->s->watch_count;
    if (f->at <= f->from || pair >= f->end)
        return;
    const size_t length = tree_path(at, f->path);
    list_for_each(it, &f->s->watches)
    {
        const struct watch *w = list_entry(it, struct watch, link);
        const bool due = pair >= f->from && pair < f->end;
        pair++;
        if (due && watch_covers(w, f->path, length) && (!below_removed || w->path_length == length))
            event_add(f->s, w, f->path + w->relative);
    }
}

void xenstore_tell_nobody(struct xenstore *s)
{
    if (s->told)
        tree_put(&s->budget, s->told);
    s->told = NULL;
    s->tell_at = 0;
}

bool xenstore_tell(struct xenstore *s, uint32_t pairs)
{
    struct firing f = {.s = s, .from = s->tell_at, .end = s->tell_at + pairs};

    if (!s->told)
        return false;
    f.path = mem_alloc(TREE_PATH + 1);
    if (f.path)
        tree_diff(s->told, s->root, node_changed, &f);
    else
        (void)refuse(XS_009, s->budget.used);
    mem_free(f.path, TREE_PATH + 1);
    s->tell_at = f.end;
    if (f.at > f.end)
        return true;
    xenstore_tell_nobody(s);
    return false;
}

void xenstore_replace_tree(struct xenstore *s, struct tree_node *now)
{
    while (xenstore_tell(s, TELL_ALL)) /* of the change before: nothing is left, but for a write from outside */
        ;
    if (list_empty(&s->watches))
        tree_put(&s->budget, s->root);
    else
        s->told = s->root;
    s->root = now;
}

struct watch *watch_find(struct xenstore *s, const char *path, const char *token)
{
    list_for_each(it, &s->watches)
    {
        struct watch *w = list_entry(it, struct watch, link);
        if (!strcmp(w->text, path) && !strcmp(w->text + w->path_length + 1, token))
            return w;
    }
    return NULL;
}

int watch_add(struct xenstore *s, const char *path, size_t relative, const char *token)
{
    const size_t path_length = strlen(path), token_length = strlen(token),
                 size = sizeof(struct watch) + path_length + token_length + 2;
    int rc;

    if (s->watch_count == WATCHES)
        return refuse(XS_007, WATCHES);
    struct watch *w = budget_alloc(&s->budget, size, &rc);
    if (!w)
        return rc == -XEN_ENOSPC ? refuse(XS_006, s->budget.used) : rc;
    w->size = (uint32_t)size;
    w->relative = (uint16_t)relative;
    w->path_length = (uint16_t)path_length;
    w->token_length = (uint16_t)token_length;
    memcpy(w->text, path, path_length + 1);
    memcpy(w->text + path_length + 1, token, token_length + 1);
    list_append(&s->watches, &w->link);
    s->watch_count++;
    event_add(s, w, w->text + relative);
    return 0;
}

void watch_free(struct xenstore *s, struct watch *w)
{
    list_remove(&w->link);
    s->watch_count--;
    budget_free(&s->budget, w, w->size);
}

void watches_drop(struct xenstore *s)
{
    while (!list_empty(&s->watches))
        watch_free(s, list_entry(s->watches.next, struct watch, link));
}

void events_drop(struct xenstore *s)
{
    while (!list_empty(&s->events)) {
        struct event *e = list_entry(s->events.next, struct event, link);
        list_remove(&e->link);
        budget_free(&s->budget, e, e->size);
    }
}

/* --- transactions ---------------------------------------------------------------------------- */

struct transaction *transaction_find(struct xenstore *s, uint32_t id)
{
    list_for_each(it, &s->transactions)
    {
        struct transaction *t = list_entry(it, struct transaction, link);
        if (t->id == id)
            return t;
    }
    return NULL;
}

struct transaction *transaction_start(struct xenstore *s, int *rc)
{
    struct transaction *t = NULL;

    *rc = -XEN_ENOSPC;
    if (s->transaction_count < TRANSACTIONS)
        t = budget_alloc(&s->budget, sizeof(*t), rc);
    if (!t) {
        *rc = *rc == -XEN_ENOSPC ? refuse(XS_006, s->transaction_count) : *rc;
        return NULL;
    }
    do
        s->last_transaction++;
    while (!s->last_transaction || transaction_find(s, s->last_transaction));
    t->id = s->last_transaction;
    t->was = tree_get(s->root);
    t->now = tree_get(s->root);
    list_append(&s->transactions, &t->link);
    s->transaction_count++;
    return t;
}

void transaction_free(struct xenstore *s, struct transaction *t)
{
    list_remove(&t->link);
    s->transaction_count--;
    tree_put(&s->budget, t->was);
    tree_put(&s->budget, t->now);
    budget_free(&s->budget, t, sizeof(*t));
}

void transactions_drop(struct xenstore *s)
{
    while (!list_empty(&s->transactions))
        transaction_free(s, list_entry(s->transactions.next, struct transaction, link));
}
