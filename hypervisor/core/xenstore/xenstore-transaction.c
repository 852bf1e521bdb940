/*
 * What a request sees and changes: the tree itself, or in a transaction the tree as the transaction has it.
 *
 * A transaction keeps an entry for each node that it has looked at: the generation that the node had then (0: there
 * was none), and a copy, which it may change.  All others are the tree's.
 *
 *      entries:  /local/domain/2/a      seen 17   "old"             only read
 *                /local/domain/2/b      seen 19   "new"   changed   written
 *                /local/domain/2/c      seen 0    "x"     changed   made
 *                /local/domain/2        seen 16   ""                read, since "c" was made below it
 *                /local/domain/2/d      seen 12   none    changed   removed
 *
 * A node's generation changes when its value or its permissions are written and when a name below it comes or goes.
 * So the end is: EAGAIN if one of the nodes has another generation by now, or is gone, maybe with one above it, or has
 * come; else the changes are put into the tree, at once and without taking memory.  Two transactions about different
 * nodes do not disturb each other.  That is xenstored's way, too.
 */
#include "arch.h"
#include "lib.h"
#include "refuse.h"
#include "xenstore-parts.h"

/* --- permissions ----------------------------------------------------------------------------- */

/* A domain that came after permissions were given has nothing of them: they mean one that had its number before. */
static bool perm_lives(const struct tree_node *n, domid_t id)
{
    const struct xenstore *s = client_of(id);

    return !s || s->introduced <= n->generation;
}

void perms_now(const struct tree_node *n, struct tree_perms *p)
{
    const struct tree_perm *perm = tree_node_perms(n);

    p->perm[0] = perm[0];
    p->count = 1;
    for (unsigned i = 1; i < n->perms; i++)
        if (perm[i].id != DOMID_INVALID && perm_lives(n, perm[i].id))
            p->perm[p->count++] = perm[i];
}

unsigned perms_may(const struct tree_node *n, const struct xenstore *s)
{
    const struct tree_perm *perm = tree_node_perms(n);

    if (s->privileged)
        return TREE_READ | TREE_WRITE;
    if (s->introduced > n->generation)
        return perm[0].may;
    if (perm[0].id == s->id)
        return TREE_READ | TREE_WRITE;
    for (unsigned i = 1; i < n->perms; i++)
        if (perm[i].id == s->id)
            return perm[i].may;
    return perm[0].may;
}

/* @n is about to get another generation: what is dead is to stay so. */
static void perms_settle(struct tree_node *n)
{
    struct tree_perm *perm = tree_node_perms(n);

    for (unsigned i = 1; i < n->perms; i++)
        if (!perm_lives(n, perm[i].id))
            perm[i] = (struct tree_perm){DOMID_INVALID, 0};
}

/* What a node gets that @s makes below @n. */
static void perms_inherit(const struct xenstore *s, const struct tree_node *n, struct tree_perms *p)
{
    perms_now(n, p);
    if (!s->privileged)
        p->perm[0].id = s->id;
}

static void add_below(struct tree_node *above, struct tree_node *n)
{
    perms_settle(above);
    tree_add(above, n);
}

static void replace(struct tree_node *was, struct tree_node *n)
{
    if (store.root == was)
        store.root = n;
    tree_replace(was, n);
}

/* --- outside of a transaction ---------------------------------------------------------------- */

static int quota(const struct xenstore *s, int rc)
{
    return rc == -XEN_ENOSPC ? refuse(STORE_QUOTA, s->account.used) : rc;
}

/* May @s, which will own them, have so many nodes more? */
static bool nodes_ok(const struct xenstore *s, int more)
{
    return s->privileged || more <= 0 ||
           s->account.node_count + (unsigned)more <= s->account.node_limit;
}

static const struct tree_perms *or_old(const struct tree_perms *p, const struct tree_node *n,
                                       struct tree_perms *room)
{
    if (p)
        return p;
    perms_now(n, room);
    return room;
}

static int rewrite(struct xenstore *s, struct readers *r, struct tree_node *n,
                   struct tree_content c)
{
    struct tree_perms old;
    int rc;

    c.perms = or_old(c.perms, n, &old);
    if (!c.value) {
        c.value = tree_value(n);
        c.length = n->value_length;
    }
    struct tree_account *a = account_of(c.perms->perm[0].id);
    struct tree_node *now = tree_node_new(a, n, tree_name(n), n->name_length, &c, &rc);
    if (!now)
        return quota(s, rc);
    readers_add(r, n);
    replace(n, now);
    tree_node_own(now, a);
    readers_add(r, now);
    readers_add(r, now->above);
    return 0;
}

/* The next name of a path, behind its slash; false at the end. */
static bool next_name(const char **path, const char **name, size_t *length)
{
    const char *at = *path;

    if (*at == '/')
        at++;
    *name = at;
    while (*at && *at != '/')
        at++;
    *path = at;
    *length = (size_t)(at - *name);
    return *length > 0;
}

/* Behind those names of @path that lead to @n. */
static const char *behind(const char *path, const struct tree_node *n)
{
    const char *name;
    size_t length;

    for (; n->above; n = n->above)
        (void)next_name(&path, &name, &length);
    return path;
}

static unsigned count_names(const char *path)
{
    const char *name;
    size_t length;
    unsigned n = 0;

    while (next_name(&path, &name, &length))
        n++;
    return n;
}

/* The nodes of the names in @path, one below the other, @c in the last: the first; NULL and *@rc. */
static struct tree_node *new_branch(struct tree_account *a, const char *path,
                                    const struct tree_content *c, const struct tree_content *empty,
                                    int *rc)
{
    struct tree_node *top = NULL, *last = NULL;
    const char *name;
    size_t length;

    while (next_name(&path, &name, &length)) {
        struct tree_node *n = tree_node_new(a, NULL, name, length, *path ? empty : c, rc);
        if (!n) {
            if (top)
                tree_free(top);
            return NULL;
        }
        if (last)
            tree_add(last, n);
        else
            top = n;
        last = n;
    }
    return top;
}

static int make(struct xenstore *s, struct readers *r, const char *path, struct tree_node *nearest,
                struct tree_content c)
{
    struct tree_perms inherited;
    const struct tree_content empty = {.perms = &inherited};
    int rc;

    perms_inherit(s, nearest, &inherited);
    if (!c.perms)
        c.perms = &inherited;
    const char *rest = behind(path, nearest);
    if (!nodes_ok(s, (int)count_names(rest)))
        return quota(s, -XEN_ENOSPC);
    struct tree_account *a = account_of(c.perms->perm[0].id);
    struct tree_node *top = new_branch(a, rest, &c, &empty, &rc);
    if (!top)
        return quota(s, rc);
    add_below(nearest, top);
    for (struct tree_node *n = top; n; n = n->below) {
        tree_node_own(n, account_of(tree_owner(n)));
        if (!n->below) {
            readers_add(r, n);
            readers_add(r, n->above);
        }
    }
    return 0;
}

static int set_now(struct xenstore *s, const char *path, const struct tree_content *c)
{
    struct telling *t = telling_new(path);
    struct tree_node *nearest, *n = tree_find(store.root, path, &nearest);

    if (!t)
        return -XEN_ENOMEM;
    int rc = n ? rewrite(s, &t->readers, n, *c) : make(s, &t->readers, path, nearest, *c);
    if (rc)
        telling_free(t);
    else
        telling_begin(s, t);
    return rc;
}

int access_found(struct xenstore *s, const char *path, const char *value,
                 const struct tree_perms *perms)
{
    const struct tree_content c = {value, strlen(value), perms};
    struct tree_node *nearest, *n = tree_find(store.root, path, &nearest);
    struct readers nobody = {.count = 0};

    return n ? rewrite(s, &nobody, n, c) : make(s, &nobody, path, nearest, c);
}

static int remove_now(struct xenstore *s, const char *path)
{
    struct telling *t = telling_new(NULL);
    struct tree_node *nearest, *n = tree_find(store.root, path, &nearest);

    if (!t)
        return -XEN_ENOMEM;
    t->gone = n;
    t->gone_length = strlen(path);
    memcpy(t->path, path, t->gone_length + 1);
    telling_aim(t, t->path, t->gone_length, false);
    readers_add(&t->readers, n);
    readers_add(&t->readers, n->above);
    perms_settle(n->above);
    tree_take(n);
    t->node = tree_walk_first(n);
    telling_begin(s, t);
    return 0;
}

struct tree_node *transaction_orphan(struct xenstore *s)
{
    while (!list_empty(&s->account.nodes)) {
        struct tree_node *n = list_entry(s->account.nodes.next, struct tree_node, owned), *top = n;
        while (top->above)
            top = top->above;
        if (top == store.root)
            return n;
        tree_node_own(n, &store.others); /* whoever has taken it away will free it */
    }
    return NULL;
}

/* --- entries --------------------------------------------------------------------------------- */

static uint32_t path_hash(const char *path, size_t length)
{
    uint32_t h = 0;

    while (length--)
        h = h * 31 + (uint8_t)*path++;
    return (uint32_t)((h * 0x9e3779b97f4a7c15ull) >> 32);
}

static struct entry *entry_find(struct transaction *t, const char *path, size_t length)
{
    const uint32_t hash = path_hash(path, length);

    list_for_each(it, &t->bucket[hash % BUCKETS])
    {
        struct entry *e = list_entry(it, struct entry, bucket);
        if (e->hash == hash && e->length == length && !memcmp(e->path, path, length))
            return e;
    }
    return NULL;
}

static const char *last_name(const char *path, size_t length, size_t *name)
{
    const char *at = path + length;

    while (at > path && at[-1] != '/')
        at--;
    *name = (size_t)(path + length - at);
    return at;
}

/* @n as it is, or with another content, for a transaction of @s. */
static struct tree_node *copy(struct xenstore *s, const struct tree_node *n,
                              const struct tree_node *instead, struct tree_content c, int *rc)
{
    struct tree_perms perms;

    c.perms = or_old(c.perms, n, &perms);
    if (!c.value) {
        c.value = tree_value(n);
        c.length = n->value_length;
    }
    struct tree_node *again =
        tree_node_new(&s->account, instead, tree_name(n), n->name_length, &c, rc);
    if (again)
        again->generation = tree_generation();
    return again;
}

static struct entry *entry_new(struct xenstore *s, struct transaction *t, const char *path,
                               size_t length, int *rc)
{
    const size_t size = sizeof(struct entry) + length + 1;

    *rc = -XEN_ENOSPC;
    if (t->entries == TRANSACTION_NODES && !s->privileged)
        return NULL;
    struct entry *e = account_alloc(&s->account, size, rc);
    if (!e)
        return NULL;
    e->size = (uint32_t)size;
    e->hash = path_hash(path, length);
    e->length = (uint16_t)length;
    memcpy(e->path, path, length); /* and a 0 */
    e->depth = (uint16_t)count_names(e->path);
    list_append(&t->order, &e->link);
    list_append(&t->bucket[e->hash % BUCKETS], &e->bucket);
    t->entries++;
    return e;
}

static void entry_free(struct xenstore *s, struct transaction *t, struct entry *e)
{
    if (e->node)
        tree_node_free(e->node);
    list_remove(&e->link);
    list_remove(&e->bucket);
    t->entries--;
    account_free(&s->account, e, e->size);
}

/* The entry of a path; NULL and *@rc. */
static struct entry *entry_of(struct xenstore *s, struct transaction *t, const char *path,
                              size_t length, int *rc)
{
    struct entry *e = entry_find(t, path, length);
    struct tree_node *nearest;

    if (e)
        return e;
    e = entry_new(s, t, path, length, rc);
    if (!e)
        return NULL;
    const struct tree_node *n = tree_find(store.root, e->path, &nearest);
    if (!n)
        return e;
    e->seen = n->generation;
    e->node = copy(s, n, NULL, (struct tree_content){NULL}, rc);
    if (!e->node) {
        entry_free(s, t, e);
        return NULL;
    }
    return e;
}

/* --- finding --------------------------------------------------------------------------------- */

/* The path above: its length. */
static size_t length_above(const char *path, size_t length)
{
    while (length > 1 && path[length - 1] != '/')
        length--;
    return length > 1 ? length - 1 : 1;
}

static const struct tree_node *find_in(struct xenstore *s, struct transaction *t, const char *path,
                                       const struct tree_node **nearest, int *rc)
{
    size_t length = strlen(path);
    struct entry *e = entry_of(s, t, path, length, rc);
    const struct tree_node *n = e ? e->node : NULL;

    *rc = e ? 0 : quota(s, *rc);
    while (!*rc && !e->node) {
        length = length_above(path, length);
        e = entry_of(s, t, path, length, rc);
        *rc = e ? 0 : quota(s, *rc);
    }
    *nearest = e ? e->node : NULL;
    return n;
}

const struct tree_node *access_find(struct xenstore *s, struct transaction *t, const char *path,
                                    const struct tree_node **nearest, int *rc)
{
    struct tree_node *above;

    if (t)
        return find_in(s, t, path, nearest, rc);
    const struct tree_node *n = tree_find(store.root, path, &above);
    *rc = 0;
    *nearest = above;
    return n;
}

/* "path/name" into the scratch room; its length. */
static size_t join(const char *path, const struct tree_node *n)
{
    const size_t length = strlen(path);

    if (length + 1 + n->name_length > TREE_PATH)
        return 0;
    memcpy(store.scratch, path, length + 1);
    const size_t slash = path[length - 1] == '/' ? 0 : 1;
    store.scratch[length] = '/';
    memcpy(store.scratch + length + slash, tree_name(n), n->name_length);
    store.scratch[length + slash + n->name_length] = '\0';
    return length + slash + n->name_length;
}

/* Those of the tree which the transaction has not removed, and then those which it has made. */
static void names_in(struct transaction *t, const char *path,
                     void (*each)(void *to, const char *name, size_t length), void *to)
{
    struct tree_node *nearest, *n = tree_find(store.root, path, &nearest);
    const size_t length = strlen(path);

    if (n) {
        struct tree_node *c = n->below;
        for (unsigned i = n->children; i; i--, c = c->next) {
            const struct entry *e = entry_find(t, store.scratch, join(path, c));
            if (!e || e->node)
                each(to, tree_name(c), c->name_length);
        }
    }
    list_for_each(it, &t->order)
    {
        const struct entry *e = list_entry(it, struct entry, link);
        size_t name_length;
        if (e->node && e->length > 1 && length_above(e->path, e->length) == length &&
            !memcmp(e->path, path, length)) {
            const char *name = last_name(e->path, e->length, &name_length);
            if (!n || !tree_child(n, name, name_length))
                each(to, name, name_length);
        }
    }
}

void access_names(struct transaction *t, const char *path, const struct tree_node *n,
                  void (*each)(void *to, const char *name, size_t length), void *to)
{
    if (t) {
        names_in(t, path, each, to);
        return;
    }
    struct tree_node *c = n->below;
    for (unsigned i = n->children; i; i--, c = c->next)
        each(to, tree_name(c), c->name_length);
}

/* --- changing -------------------------------------------------------------------------------- */

static int rewrite_in(struct xenstore *s, struct entry *e, const struct tree_content *c)
{
    int rc;
    struct tree_node *now = copy(s, e->node, e->node, *c, &rc);

    if (!now)
        return quota(s, rc);
    tree_node_free(e->node);
    e->node = now;
    e->changed = e->told = true;
    e->exact = false;
    return 0;
}

/* The node of an entry that has none. */
static int make_node(struct xenstore *s, struct transaction *t, struct entry *e,
                     const struct tree_content *c)
{
    size_t length;
    const char *name = last_name(e->path, e->length, &length);
    int rc;

    e->node = tree_node_new(&s->account, NULL, name, length, c, &rc);
    if (!e->node)
        return quota(s, rc);
    e->node->generation = tree_generation();
    e->changed = true;
    t->nodes++;
    return 0;
}

/* All that are missing down to @path. */
static int make_in(struct xenstore *s, struct transaction *t, const char *path,
                   const struct tree_node *nearest, struct tree_content c)
{
    struct tree_perms inherited;
    unsigned missing = 0;
    int rc = 0;

    perms_inherit(s, nearest, &inherited);
    const struct tree_content empty = {.perms = &inherited};
    if (!c.perms)
        c.perms = &inherited;
    size_t length = strlen(path);
    for (size_t at = length; !entry_find(t, path, at)->node; at = length_above(path, at))
        missing++;
    if (!nodes_ok(s, t->nodes + (int)missing))
        return quota(s, -XEN_ENOSPC);
    for (size_t at = length; missing && !rc; missing--, at = length_above(path, at))
        rc = make_node(s, t, entry_find(t, path, at), at == length ? &c : &empty);
    struct entry *e = entry_find(t, path, length);
    e->told = true;
    e->exact = false;
    t->failed = t->failed || rc;
    return rc;
}

static int set_in(struct xenstore *s, struct transaction *t, const char *path,
                  const struct tree_content *c)
{
    const struct tree_node *nearest;
    int rc;
    const struct tree_node *n = find_in(s, t, path, &nearest, &rc);

    if (rc)
        return rc;
    return n ? rewrite_in(s, entry_find(t, path, strlen(path)), c)
             : make_in(s, t, path, nearest, *c);
}

int access_set(struct xenstore *s, struct transaction *t, const char *path, const char *value,
               size_t length, const struct tree_perms *perms)
{
    const struct tree_content c = {value, length, perms};

    return t ? set_in(s, t, path, &c) : set_now(s, path, &c);
}

static void remove_entry(struct transaction *t, struct entry *e, bool exact)
{
    if (!e->node)
        return;
    tree_node_free(e->node);
    e->node = NULL;
    e->changed = e->told = true;
    e->exact = exact;
    t->nodes--;
}

/* Entries for all that is below @top in the tree. */
static int entries_below(struct xenstore *s, struct transaction *t, const char *path,
                         const struct tree_node *top)
{
    unsigned nodes = 0;

    for (const struct tree_node *n = tree_walk_first((struct tree_node *)(uintptr_t)top); n != top;
         n = tree_walk_up(top, n)) {
        const size_t length = strlen(path);
        memcpy(store.scratch, path, length);
        int rc;
        if (++nodes > TRANSACTION_NODES && !s->privileged)
            return quota(s, -XEN_ENOSPC);
        if (!entry_of(s, t, store.scratch, tree_path_below(top, n, store.scratch, length), &rc))
            return quota(s, rc);
    }
    return 0;
}

static int remove_in(struct xenstore *s, struct transaction *t, const char *path)
{
    struct tree_node *nearest;
    const struct tree_node *top = tree_find(store.root, path, &nearest);
    const size_t length = strlen(path);
    int rc = top ? entries_below(s, t, path, top) : 0;

    if (rc)
        return rc;
    list_for_each(it, &t->order)
    {
        struct entry *e = list_entry(it, struct entry, link);
        if (e->length > length && e->path[length] == '/' && !memcmp(e->path, path, length))
            remove_entry(t, e, true);
    }
    remove_entry(t, entry_find(t, path, length), false);
    return 0;
}

int access_remove(struct xenstore *s, struct transaction *t, const char *path)
{
    return t ? remove_in(s, t, path) : remove_now(s, path);
}

/* --- the end --------------------------------------------------------------------------------- */

static bool entry_holds(const struct entry *e)
{
    struct tree_node *nearest, *n = tree_find(store.root, e->path, &nearest);

    return (n ? n->generation : 0) == e->seen;
}

static void put_removal(struct entry *e)
{
    struct tree_node *nearest, *n = tree_find(store.root, e->path, &nearest);

    readers_add(&e->readers, n);
    readers_add(&e->readers, n->above);
    perms_settle(n->above);
    tree_take(n);
    tree_node_free(n); /* what was below it has gone before */
}

static void put_node(struct entry *e)
{
    struct tree_node *nearest, *n = tree_find(store.root, e->path, &nearest), *now = e->node;

    e->node = NULL;
    perms_settle(now);
    readers_add(&e->readers, n);
    if (n)
        replace(n, now);
    else
        add_below(nearest, now);
    tree_node_own(now, account_of(tree_owner(now)));
    readers_add(&e->readers, now);
    readers_add(&e->readers, now->above);
}

/* First what goes, from below; then what comes, from above. */
static void put_all(struct transaction *t)
{
    for (unsigned depth = TREE_DEPTH; depth; depth--)
        list_for_each(it, &t->order)
        {
            struct entry *e = list_entry(it, struct entry, link);
            if (e->changed && e->depth == depth && e->seen && !e->node)
                put_removal(e);
        }
    for (unsigned depth = 0; depth <= TREE_DEPTH; depth++)
        list_for_each(it, &t->order)
        {
            struct entry *e = list_entry(it, struct entry, link);
            if (e->changed && e->depth == depth && e->node)
                put_node(e);
            else if (e->depth == depth && !e->seen && !e->node)
                e->told = false; /* made and removed again */
        }
}

static int may_commit(const struct xenstore *s, const struct transaction *t)
{
    if (t->failed)
        return -XEN_ENOMEM;
    list_for_each(
        it, &t->order) if (!entry_holds(list_entry(it, struct entry, link))) return -XEN_EAGAIN;
    return nodes_ok(s, t->nodes) ? 0 : quota(s, -XEN_ENOSPC);
}

static void leave_list(struct xenstore *s, struct transaction *t)
{
    list_remove(&t->link);
    s->transaction_count--;
}

int transaction_commit(struct xenstore *s, struct transaction *t)
{
    struct telling *telling = telling_new("/");

    if (!telling)
        return -XEN_ENOMEM;
    int rc = may_commit(s, t);
    if (rc) {
        telling_free(telling);
        transaction_drop(s, t);
        return rc;
    }
    leave_list(s, t);
    put_all(t);
    telling->telling = false;
    telling->t = t;
    telling->at = t->order.next;
    telling_begin(s, telling);
    return 0;
}

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
        t = account_alloc(&s->account, sizeof(*t), rc);
    if (!t) {
        *rc = *rc == -XEN_ENOSPC ? refuse(STORE_QUOTA, s->transaction_count) : *rc;
        return NULL;
    }
    do
        s->last_transaction++;
    while (!s->last_transaction || transaction_find(s, s->last_transaction));
    t->id = s->last_transaction;
    list_init(&t->order);
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&t->bucket[i]);
    list_append(&s->transactions, &t->link);
    s->transaction_count++;
    return t;
}

/* @t, which is in no list any more. */
void transaction_free(struct xenstore *s, struct transaction *t)
{
    while (!list_empty(&t->order))
        entry_free(s, t, list_entry(t->order.next, struct entry, link));
    account_free(&s->account, t, sizeof(*t));
}

void transaction_drop(struct xenstore *s, struct transaction *t)
{
    leave_list(s, t);
    transaction_free(s, t);
}

void transactions_drop(struct xenstore *s)
{
    while (!list_empty(&s->transactions))
        transaction_drop(s, list_entry(s->transactions.next, struct transaction, link));
}
