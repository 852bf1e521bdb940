/*
 * The tree behind a xenstore: finding, changing, comparing.  See xenstore-tree.h for the idea.
 *
 * Everything here is bounded: a path by TREE_DEPTH (so recursion is, too), a node by TREE_NODE, all
 * of them together by the budget.  Nothing here knows who asks; permissions are data.
 */
#include "xenstore-tree.h"

#include "lib.h"
#include "page.h"

/* --- memory ---------------------------------------------------------------------------------- */

#define SMALLEST 64u

/* What the slabs really take: powers of two, and a page for more than 1 KiB. */
static uint32_t cost(size_t size)
{
    uint32_t c = SMALLEST;

    while (c < size)
        c *= 2;
    return c > PAGE_SIZE / 4 && c < PAGE_SIZE ? (uint32_t)PAGE_SIZE : c;
}

void *budget_alloc(struct tree_budget *b, size_t size, int *rc)
{
    const uint32_t c = cost(size);

    *rc = -XEN_ENOSPC;
    if (c > b->limit || b->used > b->limit - c)
        return NULL;
    void *p = mem_alloc(size);
    *rc = p ? 0 : -XEN_ENOMEM;
    b->used += p ? c : 0;
    return p;
}

void budget_free(struct tree_budget *b, void *p, size_t size)
{
    if (!p)
        return;
    b->used -= cost(size);
    mem_free(p, size);
}

/* --- nodes ----------------------------------------------------------------------------------- */

static size_t node_size(size_t name, size_t value)
{
    return offsetof(struct tree_node, bytes) + name + value;
}

struct tree_node *tree_get(struct tree_node *n)
{
    n->refs++;
    return n;
}

/* Recursion ends: a tree is at most TREE_DEPTH deep. */
void tree_put(struct tree_budget *b, struct tree_node *n)
{
    if (!n || --n->refs)
        return;
    for (unsigned i = 0; i < n->children; i++)
        tree_put(b, n->child[i]);
    budget_free(b, n->child, n->children * sizeof(n->child[0]));
    budget_free(b, n, node_size(n->name_length, n->value_length));
}

static struct tree_node *node_new(struct tree_budget *b, const char *name, size_t name_length,
                                  const char *value, size_t value_length, int *rc)
{
    const size_t size = node_size(name_length, value_length);

    *rc = -XEN_ENOSPC;
    if (size > TREE_NODE)
        return NULL;
    struct tree_node *n = budget_alloc(b, size, rc);
    if (!n)
        return NULL;
    n->refs = 1;
    n->name_length = (uint8_t)name_length;
    n->value_length = (uint16_t)value_length;
    memcpy(n->bytes, name, name_length);
    if (value_length)
        memcpy(n->bytes + name_length, value, value_length);
    return n;
}

struct tree_node *tree_new(struct tree_budget *b, int *rc)
{
    struct tree_node *n = node_new(b, "", 0, "", 0, rc);

    if (n)
        n->perms = (struct tree_perms){.count = 1};
    return n;
}

/* @n once more, with room for @children; the value is @c's if it has one. */
static struct tree_node *node_again(struct tree_budget *b, const struct tree_node *n,
                                    const struct tree_change *c, unsigned children, int *rc)
{
    const bool fresh = c && c->value;
    struct tree_node *again =
        node_new(b, n->bytes, n->name_length, fresh ? c->value : tree_value(n),
                 fresh ? c->length : n->value_length, rc);

    if (!again)
        return NULL;
    again->written = n->written;
    again->implied = n->implied;
    again->perms = n->perms;
    if (children) {
        again->child = budget_alloc(b, children * sizeof(again->child[0]), rc);
        if (!again->child) {
            tree_put(b, again);
            return NULL;
        }
        again->children = (uint16_t)children;
    }
    return again;
}

/*
 * @n once more, with @now in the place of @was among its children: NULL for none, so that one is
 * added at the end, or taken away.  The reference on @now becomes the new node's; on failure it is
 * dropped.
 */
static struct tree_node *with_child(struct tree_budget *b, const struct tree_node *n,
                                    const struct tree_node *was, struct tree_node *now, int *rc)
{
    const unsigned children = n->children - !!was + !!now;
    unsigned at = 0;
    struct tree_node *again = node_again(b, n, NULL, children, rc);

    if (!again) {
        tree_put(b, now);
        return NULL;
    }
    for (unsigned i = 0; i < n->children; i++) {
        if (n->child[i] != was)
            again->child[at++] = tree_get(n->child[i]);
        else if (now)
            again->child[at++] = now;
    }
    if (!was)
        again->child[at] = now;
    return again;
}

/* --- paths ----------------------------------------------------------------------------------- */

static bool name_byte_ok(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '@';
}

bool tree_path_ok(const char *path, size_t length)
{
    unsigned names = 0, bytes = 0;

    if (length == 0 || length > TREE_PATH || path[0] != '/')
        return false;
    if (length == 1)
        return true;
    for (size_t i = 1; i < length; i++) {
        if (path[i] == '/') {
            if (bytes == 0)
                return false;
            bytes = 0;
            continue;
        }
        if (!name_byte_ok(path[i]) || ++bytes > TREE_NAME || (bytes == 1 && ++names > TREE_DEPTH))
            return false;
    }
    return bytes > 0;
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

static struct tree_node *child_named(const struct tree_node *n, const char *name, size_t length)
{
    for (unsigned i = 0; i < n->children; i++)
        if (n->child[i]->name_length == length && !memcmp(n->child[i]->bytes, name, length))
            return n->child[i];
    return NULL;
}

const struct tree_node *tree_find(const struct tree_node *root, const char *path,
                                  const struct tree_node **nearest)
{
    const struct tree_node *n = root;
    const char *name;
    size_t length;

    while (next_name(&path, &name, &length)) {
        *nearest = n;
        n = child_named(n, name, length);
        if (!n)
            return NULL;
    }
    *nearest = n;
    return n;
}

/* --- changes --------------------------------------------------------------------------------- */

/* The nodes on the way to a path, and the names of those that are missing. */
struct way {
    const struct tree_node *node[TREE_DEPTH + 1]; /* node[0] is the root */
    const char *name[TREE_DEPTH + 1];
    uint8_t length[TREE_DEPTH + 1];
    unsigned nodes, names; /* how many of each there are, the root counted in both */
};

static void find_way(const struct tree_node *root, const char *path, struct way *w)
{
    const char *name;
    size_t length;

    w->node[0] = root;
    w->nodes = w->names = 1;
    while (next_name(&path, &name, &length)) {
        const struct tree_node *n =
            w->nodes == w->names ? child_named(w->node[w->nodes - 1], name, length) : NULL;
        if (n)
            w->node[w->nodes++] = n;
        w->name[w->names] = name;
        w->length[w->names++] = (uint8_t)length;
    }
}

static void new_perms(struct tree_node *n, const struct tree_node *above,
                      const struct tree_change *c)
{
    n->perms = above->perms;
    if (c->owner != DOMID_SELF)
        n->perms.perm[0].id = c->owner;
    n->written = c->number;
}

/* @above, which is new, with @part as its only child; takes over both references. */
static struct tree_node *hang_below(struct tree_budget *b, struct tree_node *above,
                                    struct tree_node *part, int *rc)
{
    struct tree_node *with = with_child(b, above, NULL, part, rc);

    tree_put(b, above);
    return with;
}

/* The way's last node, as @c wants it, below the others that are missing: one subtree, for the
 * deepest that exists. */
static struct tree_node *new_part(struct tree_budget *b, const struct way *w,
                                  const struct tree_change *c, int *rc)
{
    const struct tree_node *deepest = w->node[w->nodes - 1];
    unsigned at = w->names - 1;
    struct tree_node *part =
        node_new(b, w->name[at], w->length[at], c->value, c->value ? c->length : 0, rc);

    if (part)
        new_perms(part, deepest, c);
    if (part && c->perms)
        part->perms = *c->perms;
    while (part && --at >= w->nodes) {
        struct tree_node *above = node_new(b, w->name[at], w->length[at], NULL, 0, rc);
        if (!above) {
            tree_put(b, part);
            return NULL;
        }
        new_perms(above, deepest, c);
        above->implied = true;
        part = hang_below(b, above, part, rc);
    }
    return part;
}

/* The way's last node, which exists, as @c wants it. */
static struct tree_node *changed_part(struct tree_budget *b, const struct way *w,
                                      const struct tree_change *c, int *rc)
{
    const struct tree_node *n = w->node[w->nodes - 1];
    struct tree_node *part = node_again(b, n, c, n->children, rc);

    if (!part)
        return NULL;
    for (unsigned i = 0; i < n->children; i++)
        part->child[i] = tree_get(n->child[i]);
    part->written = c->number;
    part->implied = false;
    if (c->perms)
        part->perms = *c->perms;
    return part;
}

/* New nodes up to the root, now that @part takes the place of the way's node number @at (or is
 * added below the last). */
static struct tree_node *replace_up(struct tree_budget *b, const struct way *w, unsigned at,
                                    struct tree_node *part, int *rc)
{
    while (at > 0) {
        at--;
        const struct tree_node *was = at + 1 < w->nodes ? w->node[at + 1] : NULL;
        part = with_child(b, w->node[at], was, part, rc);
        if (!part)
            return NULL;
    }
    return part;
}

int tree_set(struct tree_budget *b, struct tree_node *root, const char *path,
             const struct tree_change *change, struct tree_node **now)
{
    struct way w;
    int rc = 0;

    find_way(root, path, &w);
    const bool exists = w.nodes == w.names;
    struct tree_node *part =
        exists ? changed_part(b, &w, change, &rc) : new_part(b, &w, change, &rc);
    if (part)
        part = replace_up(b, &w, exists ? w.nodes - 1 : w.nodes, part, &rc);
    *now = part;
    return part ? 0 : rc;
}

int tree_remove(struct tree_budget *b, struct tree_node *root, const char *path,
                struct tree_node **now)
{
    struct way w;
    int rc = 0;

    find_way(root, path, &w);
    ASSERT(w.nodes == w.names && w.nodes > 1); /* the caller has looked */
    *now = replace_up(b, &w, w.nodes - 1, NULL, &rc);
    return *now ? 0 : rc;
}

/* --- differences ----------------------------------------------------------------------------- */

/* The child of @n that is called as @like is: most often it has the same place. */
static const struct tree_node *same_name(const struct tree_node *n, const struct tree_node *like,
                                         unsigned guess)
{
    if (guess < n->children && n->child[guess]->name_length == like->name_length &&
        !memcmp(n->child[guess]->bytes, like->bytes, like->name_length))
        return n->child[guess];
    return child_named(n, like->bytes, like->name_length);
}

void tree_diff_begin(struct tree_diff *f, const struct tree_node *was, const struct tree_node *now)
{
    f->level[0] = (struct tree_pair){was, now, 0};
    f->levels = was == now ? 0 : 1;
    f->begun = false;
}

static void descend(struct tree_diff *f, const struct tree_node *was, const struct tree_node *now)
{
    ASSERT(f->levels < ARRAY_SIZE(f->level));
    f->level[f->levels++] = (struct tree_pair){was, now, 0};
}

/* Number @i of what was below @l is still there: nothing is to be said now.  Else it is gone, with all below. */
static enum tree_step step_was(struct tree_diff *f, const struct tree_pair *l, unsigned i)
{
    const struct tree_node *n = l->was->child[i];

    if (l->now && same_name(l->now, n, i))
        return DIFF_ON;
    const bool with_parent = !l->now;
    descend(f, n, NULL);
    return with_parent ? DIFF_BELOW_REMOVED : DIFF_CHANGED;
}

static enum tree_step step_now(struct tree_diff *f, const struct tree_pair *l, unsigned i)
{
    const struct tree_node *n = l->now->child[i], *was = l->was ? same_name(l->was, n, i) : NULL;

    if (was == n)
        return DIFF_ON;
    descend(f, was, n);
    return (was ? was->written != n->written : !n->implied) ? DIFF_CHANGED : DIFF_ON;
}

enum tree_step tree_diff_step(struct tree_diff *f)
{
    if (!f->levels)
        return DIFF_END;
    struct tree_pair *l = &f->level[f->levels - 1];
    if (!f->begun) {
        f->begun = true;
        return l->was->written != l->now->written ? DIFF_CHANGED : DIFF_ON;
    }
    const unsigned i = l->next++, gone = l->was ? l->was->children : 0;
    if (i < gone)
        return step_was(f, l, i);
    if (l->now && i - gone < l->now->children)
        return step_now(f, l, i - gone);
    f->levels--;
    return DIFF_ON;
}

size_t tree_diff_path(const struct tree_diff *f, char *to)
{
    char *end = to;

    for (unsigned i = 1; i < f->levels; i++) {
        const struct tree_node *n = f->level[i].now ?: f->level[i].was;
        *end++ = '/';
        memcpy(end, n->bytes, n->name_length);
        end += n->name_length;
    }
    if (end == to)
        *end++ = '/';
    *end = '\0';
    return (size_t)(end - to);
}
