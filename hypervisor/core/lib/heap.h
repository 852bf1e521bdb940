/*
 * Pairing heaps: the least of many, without memory of their own (core/lib/heap.c).
 *
 * A tree in which no child comes before its parent; two trees are merged by hanging the later root below the earlier.
 *
 *        root --> 3                     prev of a first child is its parent;
 *                 |  child              next and prev of the others are its siblings
 *                 7 <--> 4 <--> 9
 *                        |
 *                        5
 *
 * To insert is one comparison and one link, whatever the length.  To take the root away merges its children, in pairs: that
 * is dear once for many that were inserted since, and O(log n) in the long run.
 *
 * Nothing here locks.  A root is NULL when nobody is in the heap.
 */
#pragma once

#include "types.h"

struct heap_node {
    uint64_t key;            /* least first */
    struct heap_node *child; /* the first of them */
    struct heap_node *next, *prev;
    uint32_t order; /* of equal keys: less goes first, modulo 2^32; 0 for those who do not mind */
};

/* Merge a list of siblings, at least one, into one tree; its root. */
struct heap_node *heap_meld_siblings(struct heap_node *first);
/* Take away @n, which is not the root. */
void heap_cut(struct heap_node **root, struct heap_node *n);

static inline bool heap_is_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key < b->key || (a->key == b->key && (int32_t)(a->order - b->order) < 0);
}

/* Merge two trees whose roots have no siblings: the new root. */
static inline struct heap_node *heap_meld(struct heap_node *a, struct heap_node *b)
{
    if (heap_is_before(b, a)) {
        struct heap_node *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    a->child = b;
    return a;
}

/* Add @n, which is in no heap and has its key and order. */
static inline void heap_insert(struct heap_node **root, struct heap_node *n)
{
    n->child = n->next = n->prev = NULL;
    *root = *root ? heap_meld(*root, n) : n;
}

static inline void heap_take_root(struct heap_node **root)
{
    struct heap_node *child = (*root)->child;

    *root = unlikely(child) ? heap_meld_siblings(child) : NULL;
}

static inline void heap_remove(struct heap_node **root, struct heap_node *n)
{
    if (likely(n == *root))
        heap_take_root(root);
    else
        heap_cut(root, n);
}

/* All, each behind its parent, in no other order: the one behind @n, or NULL. */
struct heap_node *heap_next(const struct heap_node *n);
#define heap_for_each(it, root) for (struct heap_node *it = (root); it; it = heap_next(it))
