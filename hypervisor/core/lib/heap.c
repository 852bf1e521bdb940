/* Pairing heaps: the parts that are not a few instructions (heap.h). */
#include "heap.h"

/* In pairs from the left, then the pairs from the right: that keeps the trees flat. */
struct heap_node *heap_meld_siblings(struct heap_node *first)
{
    struct heap_node *pairs = NULL, *root;

    while (first) {
        struct heap_node *a = first, *b = a->next;
        first = b ? b->next : NULL;
        if (b)
            a = heap_meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    root = pairs;
    pairs = pairs->next;
    while (pairs) {
        struct heap_node *n = pairs;
        pairs = n->next;
        root = heap_meld(root, n);
    }
    root->prev = root->next = NULL;
    return root;
}

void heap_cut(struct heap_node **root, struct heap_node *n)
{
    struct heap_node *orphans = n->child ? heap_meld_siblings(n->child) : NULL;

    if (n->prev->child == n)
        n->prev->child = n->next;
    else
        n->prev->next = n->next;
    if (n->next)
        n->next->prev = n->prev;
    if (orphans)
        *root = heap_meld(*root, orphans);
}

struct heap_node *heap_next(const struct heap_node *n)
{
    if (n->child)
        return n->child;
    while (!n->next) {
        while (n->prev && n->prev->child != n) /* to the first of the siblings */
            n = n->prev;
        n = n->prev; /* their parent */
        if (!n)
            return NULL;
    }
    return n->next;
}
