/*
 * The tree behind the store: finding, changing, walking.  See xenstore-tree.h for the idea.
 *
 * Everything here is bounded: a path by TREE_DEPTH, a node by TREE_NODE, all of them together by the accounts.
 * Nothing here knows who asks; permissions are data.
 */
#include "xenstore-tree.h"

#include "arch.h"
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

void account_init(struct tree_account *a, uint32_t limit, uint32_t node_limit)
{
    *a = (struct tree_account){.limit = limit, .node_limit = node_limit};
    list_init(&a->nodes);
}

void *account_alloc(struct tree_account *a, size_t size, int *rc)
{
    const uint32_t c = cost(size);

    *rc = -XEN_ENOSPC;
    if (c > a->limit || a->used > a->limit - c)
        return NULL;
    void *p = mem_alloc(size);
    *rc = p ? 0 : -XEN_ENOMEM;
    a->used += p ? c : 0;
    return p;
}

void account_free(struct tree_account *a, void *p, size_t size)
{
    if (!p)
        return;
    a->used -= cost(size);
    mem_free(p, size);
}

/* --- nodes ----------------------------------------------------------------------------------- */

static size_t node_size(size_t perms, size_t name, size_t value)
{
    return offsetof(struct tree_node, bytes) + perms * sizeof(struct tree_perm) + name + value;
}

static size_t size_of(const struct tree_node *n)
{
    return node_size(n->perms, n->name_length, n->value_length);
}

static size_t table_size(const struct tree_node *n)
{
    return sizeof(n->table[0]) << n->table_bits;
}

struct tree_node *tree_node_new(struct tree_account *a, const struct tree_node *instead,
                                const char *name, size_t name_length, const struct tree_content *c,
                                int *rc)
{
    const unsigned perms = c->perms->count;
    const size_t size = node_size(perms, name_length, c->length);
    const uint32_t free = instead && instead->account == a ? cost(size_of(instead)) : 0;

    *rc = -XEN_ENOSPC;
    if (size > TREE_NODE)
        return NULL;
    a->used -= free;
    struct tree_node *n = account_alloc(a, size, rc);
    a->used += free;
    if (!n)
        return NULL;
    n->account = a;
    n->next = n->prev = n;
    n->perms = (uint8_t)perms;
    n->name_length = (uint8_t)name_length;
    n->value_length = (uint16_t)c->length;
    memcpy(n->bytes, c->perms->perm, perms * sizeof(struct tree_perm));
    memcpy(n->bytes + perms * sizeof(struct tree_perm), name, name_length);
    if (c->length)
        memcpy(n->bytes + perms * sizeof(struct tree_perm) + name_length, c->value, c->length);
    return n;
}

static void table_drop(struct tree_node *n)
{
    if (n->table)
        account_free(n->account, n->table, table_size(n));
    n->table = NULL;
    n->table_bits = 0;
}

/* Nobody pays for it any more. */
static void disown(struct tree_node *n)
{
    n->account->used -= cost(size_of(n)) + (n->table ? cost(table_size(n)) : 0);
    if (n->counted) {
        list_remove(&n->owned);
        n->account->node_count--;
    }
    n->counted = false;
}

void tree_node_free(struct tree_node *n)
{
    ASSERT(!n->below && !n->above);
    table_drop(n);
    disown(n);
    mem_free(n, size_of(n));
}

void tree_node_own(struct tree_node *n, struct tree_account *a)
{
    disown(n);
    n->account = a;
    a->used += cost(size_of(n)) + (n->table ? cost(table_size(n)) : 0);
    a->node_count++;
    list_append(&a->nodes, &n->owned);
    n->counted = true;
}

/* --- names below a node ---------------------------------------------------------------------- */

#define FEW 8u /* so many neighbours are looked through */

/* Two names that differ in one part seldom have the same; a guest can see to it that they do: then it looks through
 * its own. */
static uint32_t name_hash(const char *name, size_t length)
{
    uint64_t h = length, word;

    for (; length >= sizeof(word); name += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, name, sizeof(word));
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 32;
    }
    while (length--)
        h = h * 31 + (uint8_t)*name++;
    h *= 0x9e3779b97f4a7c15ull;
    return (uint32_t)(h >> 32);
}

/* Where the table of @n has that name, or else the free place where it would be. */
static uint32_t table_place(const struct tree_node *n, const char *name, size_t length)
{
    const uint32_t mask = (1u << n->table_bits) - 1;
    uint32_t at = name_hash(name, length) & mask;

    for (const struct tree_node *c; (c = n->table[at]) != NULL; at = (at + 1) & mask)
        if (c->name_length == length && !memcmp(tree_name(c), name, length))
            break;
    return at;
}

static void table_put(struct tree_node *n, struct tree_node *child)
{
    n->table[table_place(n, tree_name(child), child->name_length)] = child;
}

/* What comes behind it, up to the next free place, may have been put aside because of it: it is put again. */
static void table_take(struct tree_node *n, const struct tree_node *child)
{
    const uint32_t mask = (1u << n->table_bits) - 1;
    uint32_t at = table_place(n, tree_name(child), child->name_length);

    n->table[at] = NULL;
    for (struct tree_node *c; (c = n->table[at = (at + 1) & mask]) != NULL;) {
        n->table[at] = NULL;
        table_put(n, c);
    }
}

/* The table gets room for @n's children and one more, if they are not few; without memory there is none. */
static void table_grow(struct tree_node *n)
{
    unsigned bits = n->table_bits;
    int rc;

    if (n->children < FEW || (n->table && (n->children + 1) * 2 <= 1u << bits))
        return;
    table_drop(n);
    for (bits = 5; 1u << bits < (n->children + 1) * 2;)
        bits++;
    n->table = account_alloc(n->account, sizeof(n->table[0]) << bits, &rc);
    if (!n->table)
        return;
    n->table_bits = (uint8_t)bits;
    struct tree_node *c = n->below;
    for (unsigned i = n->children; i; i--, c = c->next)
        table_put(n, c);
}

struct tree_node *tree_child(const struct tree_node *n, const char *name, size_t length)
{
    if (n->table)
        return n->table[table_place(n, name, length)];
    struct tree_node *c = n->below;
    for (unsigned i = n->children; i; i--, c = c->next)
        if (c->name_length == length && !memcmp(tree_name(c), name, length))
            return c;
    return NULL;
}

/* --- changes --------------------------------------------------------------------------------- */

static uint64_t last_generation; /* the store's lock is held */

uint64_t tree_generation(void)
{
    return last_generation;
}

void tree_changed(struct tree_node *n)
{
    n->generation = ++last_generation;
}

void tree_add(struct tree_node *above, struct tree_node *n)
{
    table_grow(above);
    if (above->table)
        table_put(above, n);
    if (above->below) {
        n->next = above->below;
        n->prev = above->below->prev;
        n->prev->next = n->next->prev = n;
    } else {
        above->below = n;
    }
    n->above = above;
    above->children++;
    tree_changed(n);
    tree_changed(above);
}

void tree_take(struct tree_node *n)
{
    struct tree_node *above = n->above;

    if (above->table)
        table_take(above, n);
    if (above->below == n)
        above->below = n->next == n ? NULL : n->next;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = n;
    n->above = NULL;
    if (!--above->children)
        table_drop(above);
    tree_changed(above);
}

void tree_replace(struct tree_node *was, struct tree_node *n)
{
    struct tree_node *above = was->above;

    if (above) {
        if (above->table)
            above->table[table_place(above, tree_name(was), was->name_length)] = n;
        if (above->below == was)
            above->below = n;
        if (was->next != was) {
            n->next = was->next;
            n->prev = was->prev;
            n->next->prev = n->prev->next = n;
        }
    }
    n->above = above;
    n->below = was->below;
    n->children = was->children;
    if (was->table) {
        n->table = was->table;
        n->table_bits = was->table_bits;
        was->account->used -= cost(table_size(was));
        n->account->used += cost(table_size(n));
        was->table = NULL;
    }
    struct tree_node *c = n->below;
    for (unsigned i = n->children; i; i--, c = c->next)
        c->above = n;
    was->above = was->below = NULL;
    tree_node_free(was);
    tree_changed(n);
}

struct tree_node *tree_walk_first(struct tree_node *top)
{
    while (top->below)
        top = top->below;
    return top;
}

struct tree_node *tree_walk_up(const struct tree_node *top, const struct tree_node *n)
{
    if (n == top)
        return NULL;
    return n->next != n->above->below ? tree_walk_first(n->next) : n->above;
}

void tree_free(struct tree_node *top)
{
    for (struct tree_node *n = tree_walk_first(top), *above; n; n = above) {
        above = n->above;
        if (above)
            tree_take(n);
        tree_node_free(n);
        above = above ? tree_walk_first(above) : NULL;
    }
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

struct tree_node *tree_find(struct tree_node *root, const char *path, struct tree_node **nearest)
{
    struct tree_node *n = root;

    for (;;) {
        *nearest = n;
        if (*path == '/')
            path++;
        const char *name = path;
        while (*path && *path != '/')
            path++;
        if (path == name)
            return n;
        n = tree_child(n, name, (size_t)(path - name));
        if (!n)
            return NULL;
    }
}

size_t tree_path_below(const struct tree_node *top, const struct tree_node *n, char *to,
                       size_t length)
{
    const struct tree_node *way[TREE_DEPTH];
    unsigned names = 0;

    for (; n != top; n = n->above) {
        ASSERT(names < TREE_DEPTH);
        way[names++] = n;
    }
    if (length == 1 && to[0] == '/')
        length = 0;
    while (names) {
        n = way[--names];
        to[length++] = '/';
        memcpy(to + length, tree_name(n), n->name_length);
        length += n->name_length;
    }
    if (!length)
        to[length++] = '/';
    to[length] = '\0';
    return length;
}
