/*
 * A tree of named values with permissions: what a xenstore keeps for one domain.
 *
 * Nodes are never changed, only replaced.  A change makes new nodes from the place that changes up
 * to the root, and shares all others with the tree as it was:
 *
 *      was: root ---- local --- domain --- 1 --+-- name
 *                                              +-- memory --- target "65536"
 *      now: root' --- local' -- domain' -- 1' -+-- name              (the same node)
 *                                              +-- memory' -- target' "98304"
 *
 * So a transaction's snapshot is one reference, an aborted one leaves nothing to undo, and what a
 * commit changed is found by walking down wherever two trees do not share.
 *
 * Paths are absolute: "/", "/local/domain/1/name".  Sizes are bounded by a budget that the
 * tree's owner brings along.
 */
#pragma once

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

struct tree_node {
    uint32_t refs;
    uint32_t written; /* the change that made it, or last wrote its value or permissions */
    struct tree_node **child;
    uint16_t children, value_length;
    uint8_t name_length;
    bool implied; /* made because something below it was: no change that a watch hears of */
    struct tree_perms perms;
    char bytes[]; /* name, value */
};

/* How much memory may be taken, and how much is: in bytes as the allocator rounds them. */
struct tree_budget {
    uint32_t used, limit;
};

/* Zeroed; NULL and *@rc: -XEN_ENOSPC (budget), -XEN_ENOMEM. */
void *budget_alloc(struct tree_budget *b, size_t size, int *rc) must_check;
void budget_free(struct tree_budget *b, void *p, size_t size);

static inline const char *tree_value(const struct tree_node *n)
{
    return n->bytes + n->name_length;
}

/* A root without children, owned by domain 0, and nobody else's; NULL: no memory. */
struct tree_node *tree_new(struct tree_budget *b, int *rc) must_check;
struct tree_node *tree_get(struct tree_node *n);
void tree_put(struct tree_budget *b, struct tree_node *n);

/* Can @path, @length bytes, be the path of a node? */
bool tree_path_ok(const char *path, size_t length);
/* The node at @path, which is ok; or NULL, and *@nearest is the deepest that exists above it. */
const struct tree_node *tree_find(const struct tree_node *root, const char *path,
                                  const struct tree_node **nearest);

/* What a change puts at a path. */
struct tree_change {
    const char *value; /* NULL: leave it as it is */
    size_t length;
    const struct tree_perms
        *perms;      /* NULL: leave them; those of a new node come from the one above */
    domid_t owner;   /* whose a new node is, unless DOMID_SELF: then as the one above */
    uint32_t number; /* goes into tree_node.written */
};

/* The tree @root with @change at @path, nodes made on the way; the caller's reference on @root is
 * not touched.  0 and
 * *@now, a new reference; or -XEN_ENOSPC, -XEN_ENOMEM, and nothing has changed. */
int tree_set(struct tree_budget *b, struct tree_node *root, const char *path,
             const struct tree_change *change, struct tree_node **now) must_check;
/* The same without the node at @path, which exists and is not the root. */
int tree_remove(struct tree_budget *b, struct tree_node *root, const char *path,
                struct tree_node **now) must_check;

/*
 * What differs between two trees, a step at a time: a step looks at one child of one node.  Neither tree goes away
 * meanwhile.
 */
struct tree_pair {
    const struct tree_node *was, *now; /* of the same path; one of them may be NULL */
    unsigned next;                     /* child to look at: those of @was, then those of @now */
};

struct tree_diff {
    struct tree_pair level[TREE_DEPTH + 1]; /* from the roots down to where it is */
    unsigned levels;
    bool begun;
};

enum tree_step {
    DIFF_ON,            /* nothing to say; go on */
    DIFF_CHANGED,       /* the node at tree_diff_path() was written, made or removed */
    DIFF_BELOW_REMOVED, /* the same: it went away together with the one above it */
    DIFF_END,
};

void tree_diff_begin(struct tree_diff *f, const struct tree_node *was, const struct tree_node *now);
enum tree_step tree_diff_step(struct tree_diff *f);
/* The path of the node that the last step was about, terminated, into @to of TREE_PATH + 1 bytes.  Its length. */
size_t tree_diff_path(const struct tree_diff *f, char *to);
