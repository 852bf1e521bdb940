/*
 * Watches and transactions of a domain's store.
 *
 * A watch hears of every change at or below its path; which nodes a change, or a whole transaction,
 * has touched is what differs between two trees.  There may be 128 watches and hundreds of nodes: they are told one
 * by one until the time of a piece is over (xenstore_tell); the walk through the two trees, which do not change, stands still
 * meanwhile.  An event that says what another one already says is not kept, so a guest that does not read has at most one for
 * each watch and node.
 */
#include "xenstore-parts.h"

#include "arch.h"
#include "lib.h"
#include "refuse.h"

/* Two texts that differ in one part seldom have the same; a guest can see to it that they do: then they are compared. */
static uint32_t text_hash(const char *text, uint32_t length)
{
    uint64_t h = length, word;

    for (; length >= sizeof(word); text += sizeof(word), length -= (uint32_t)sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 32;
    }
    while (length--)
        h = h * 31 + (uint8_t)*text++;
    return (uint32_t)(h ^ h >> 32);
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
        (void)refuse(STORE_EVENT_LOST, s->budget.used);
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

void xenstore_tell_nobody(struct xenstore *s)
{
    struct telling *t = s->telling;

    if (!t)
        return;
    s->telling = NULL;
    tree_put(&s->budget, t->was);
    mem_free(t, sizeof(*t));
}

/* The next watch, if it has seen what the walk has come to. */
static void tell_one(struct xenstore *s, struct telling *t)
{
    const struct watch *w = list_entry(t->watch, struct watch, link);

    t->watch = t->watch->next;
    if (watch_covers(w, t->path, t->length) && (!t->below_removed || w->path_length == t->length))
        event_add(s, w, t->path + w->relative);
}

/* False: all is told. */
static bool tell_on(struct xenstore *s, struct telling *t)
{
    const enum tree_step step = tree_diff_step(&t->diff);

    if (step == DIFF_CHANGED || step == DIFF_BELOW_REMOVED) {
        t->length = tree_diff_path(&t->diff, t->path);
        t->below_removed = step == DIFF_BELOW_REMOVED;
        t->watch = s->watches.next;
    }
    return step != DIFF_END;
}

bool xenstore_tell(struct xenstore *s)
{
    struct telling *t = s->telling;

    if (!t)
        return false;
    do {
        if (t->watch != &s->watches)
            tell_one(s, t);
        else if (!tell_on(s, t)) {
            xenstore_tell_nobody(s);
            break;
        }
    } while (!xenstore_piece_over(s));
    return true;
}

void xenstore_replace_tree(struct xenstore *s, struct tree_node *now)
{
    struct tree_node *was = s->root;

    ASSERT(!s->telling);
    s->root = now;
    if (!list_empty(&s->watches))
        s->telling = mem_alloc(sizeof(*s->telling));
    if (s->telling) {
        s->telling->was = was;
        s->telling->watch = &s->watches;
        tree_diff_begin(&s->telling->diff, was, now);
        return;
    }
    if (!list_empty(&s->watches))
        (void)refuse(STORE_EVENT_LOST, s->budget.used);
    tree_put(&s->budget, was);
}

struct watch *watch_find(struct xenstore *s, const char *path, const char *token)
{
    const size_t path_length = strlen(path), token_length = strlen(token);

    list_for_each(it, &s->watches)
    {
        struct watch *w = list_entry(it, struct watch, link);
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
    int rc;

    if (s->watch_count == WATCHES)
        return refuse(STORE_WATCHES_TOO_MANY, WATCHES);
    struct watch *w = budget_alloc(&s->budget, size, &rc);
    if (!w)
        return rc == -XEN_ENOSPC ? refuse(STORE_QUOTA, s->budget.used) : rc;
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
        *rc = *rc == -XEN_ENOSPC ? refuse(STORE_QUOTA, s->transaction_count) : *rc;
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
