/*
 * A tree of named values with permissions, and who pays for it: what the store of all domains is made of.
 *
 *        root -- local -- domain -+- 1 -+- name   "a"             a node knows the one above it, and those below:
 *                                 |     +- device -- vbd ...      as a ring of neighbours, and where there are more
 *                                 +- 2 -+- name   "b"             than a few as a table, too
 *
 * To find, add or take away a node costs the same however many there are: a table is found by the hash of a name, and
 * has room for twice as many.  A part that is taken away stays whole, out of everybody's sight, until each of its
 * nodes is freed.
 *
 * Paths are absolute: "/", "/local/domain/1/name".  Sizes are bounded; the memory of a node, and the node itself,
 * count for its account.
 */
#pragma once

#include "list.h"
#include "types.h"

#define TREE_DEPTH 16u   /* names in a path */
#define TREE_NAME  255u  /* bytes in a name */
#define TREE_NODE  2048u /* bytes of a node: name, value and what goes with them */
#define TREE_PATH  3072u /* XENSTORE_ABS_PATH_MAX */
#define TREE_PERMS 5u    /* of a node: its owner's and four more */

#define TREE_READ  1u
#define TREE_WRITE 2u

/* The first is the owner, who may do all, with what everybody may do who is not listed. */
struct tree_perm {
    domid_t id;
    uint16_t may; /* TREE_READ | TREE_WRITE */
};

struct tree_perms {
    struct tree_perm perm[TREE_PERMS];
    uint16_t count; /* at least 1 */
};

/* Who pays: memory in bytes as the allocator rounds them, and nodes that are in the tree. */
struct tree_account {
    uint32_t used, limit;
    uint32_t node_count, node_limit;
    struct list nodes; /* tree_node.owned */
};

struct tree_node {
    struct tree_node
        *above; /* NULL: the root, the top of a part that was taken away, or not in yet */
    struct tree_node *next, *prev; /* neighbours: a ring */
    struct tree_node *below;       /* the first of them */
    struct tree_node *
        *table; /* the same by name, 1 << @table_bits places; NULL: a few, or no memory */
    struct list owned;
    struct tree_account *account; /* pays for the memory */
    uint64_t generation; /* of what it holds and which names are below it; 0: it is not in a tree */
    uint32_t children;
    uint16_t value_length;
    uint8_t name_length;
    uint8_t perms;
    uint8_t table_bits;
    bool counted;                             /* in @account's list of nodes */
    char bytes[] __attribute__((aligned(4))); /* permissions, name, value */
};

void account_init(struct tree_account *a, uint32_t limit, uint32_t node_limit);
/* Zeroed; NULL and *@rc: -XEN_ENOSPC (the account's limit), -XEN_ENOMEM. */
void *account_alloc(struct tree_account *a, size_t size, int *rc) must_check;
void account_free(struct tree_account *a, void *p, size_t size);

static inline struct tree_perm *tree_node_perms(const struct tree_node *n)
{
    return (struct tree_perm *)(uintptr_t)n->bytes;
}

static inline const char *tree_name(const struct tree_node *n)
{
    return n->bytes + n->perms * sizeof(struct tree_perm);
}

static inline const char *tree_value(const struct tree_node *n)
{
    return tree_name(n) + n->name_length;
}

static inline domid_t tree_owner(const struct tree_node *n)
{
    return tree_node_perms(n)[0].id;
}

/* What a node is to hold. */
struct tree_content {
    const char *value;
    size_t length;
    const struct tree_perms *perms;
};

/* One that is in no tree; @a pays, but not for @instead (or NULL), whose place it will take.  NULL and *@rc:
 * -XEN_ENOSPC, -XEN_ENOMEM. */
struct tree_node *tree_node_new(struct tree_account *a, const struct tree_node *instead,
                                const char *name, size_t name_length, const struct tree_content *c,
                                int *rc) must_check;
/* @n, which has nothing below it and none above. */
void tree_node_free(struct tree_node *n);
/* @a pays for @n, and counts it. */
void tree_node_own(struct tree_node *n, struct tree_account *a);

/* The last below @above, which changes, from now on. */
void tree_add(struct tree_node *above, struct tree_node *n);
/* Out of the tree, with all below it; the one above changes.  @n is not the root. */
void tree_take(struct tree_node *n);
/* @n, which is new, in the place of @was, and all that is below that; @was is freed. */
void tree_replace(struct tree_node *was, struct tree_node *n);
/* The last generation there is. */
uint64_t tree_generation(void);
/* Something about @n has changed: it gets a generation that no node had before. */
void tree_changed(struct tree_node *n);
/* The node after @n in a walk through @top that comes to what is below first; NULL: @top was the last. */
struct tree_node *tree_walk_up(const struct tree_node *top, const struct tree_node *n);
/* Where that walk begins. */
struct tree_node *tree_walk_first(struct tree_node *top);
/* Free @top, which has none above it, and all below it. */
void tree_free(struct tree_node *top);

/* Can @path, @length bytes, be the path of a node? */
bool tree_path_ok(const char *path, size_t length);
/* The node at @path, which is ok; or NULL, and *@nearest is the deepest that exists above it. */
struct tree_node *tree_find(struct tree_node *root, const char *path, struct tree_node **nearest);
/* The one of that name directly below @n, or NULL. */
struct tree_node *tree_child(const struct tree_node *n, const char *name, size_t length);
/* The path of @n, terminated, into @to of TREE_PATH + 1 bytes, if @top, which it is or is below, has the path @to
 * now, of @length bytes.  Its length. */
size_t tree_path_below(const struct tree_node *top, const struct tree_node *n, char *to,
                       size_t length);
