/* Pairing heaps against a search through all, and what one operation costs. */
#include "suite.h"
#include "heap.h"

#define NODES 300u

static struct heap_node node[NODES];
static bool inside[NODES];
static struct heap_node *root;

static void start(void)
{
    root = NULL;
    memset(node, 0, sizeof(node));
    memset(inside, 0, sizeof(inside));
}

TestSuite(heap, .init = start);

static struct heap_node *least(void)
{
    struct heap_node *first = NULL;

    for (unsigned i = 0; i < NODES; i++)
        if (inside[i] && (!first || heap_is_before(&node[i], first)))
            first = &node[i];
    return first;
}

/* Every link is there twice, nobody comes before his parent, and a walk visits each of them once. */
static void check(unsigned count)
{
    unsigned walked = 0;

    heap_for_each(n, root)
    {
        cr_assert(inside[n - node]);
        cr_assert(!n->next || n->next->prev == n);
        cr_assert(!n->child || n->child->prev == n);
        for (const struct heap_node *c = n->child; c; c = c->next)
            cr_assert(!heap_is_before(c, n));
        walked++;
    }
    assert_eq_long(walked, count);
    cr_assert(!root || (!root->next && !root->prev));
}

Test(heap, any_order_of_operations)
{
    struct random r = random_start(11);
    unsigned count = 0;
    uint32_t order = ~0u - 1000;

    for (unsigned step = 0; step < 30000; step++) {
        const unsigned i = random_below(&r, NODES);
        if (inside[i] && random_below(&r, 2)) {
            heap_remove(&root, &node[i]);
            inside[i] = false;
            count--;
        } else if (count && random_below(&r, 3) == 0) {
            cr_assert(root == least());
            inside[root - node] = false;
            heap_take_root(&root);
            count--;
        } else if (!inside[i]) {
            node[i].key = random_below(&r, 40); /* many are equal */
            node[i].order = order++;
            heap_insert(&root, &node[i]);
            inside[i] = true;
            count++;
        }
        cr_assert(root == least());
        if (step % 16 == 0)
            check(count);
    }
}

Test(heap, sorts)
{
    struct random r = random_start(12);
    uint64_t last = 0;

    for (unsigned i = 0; i < NODES; i++) {
        node[i].key = random_below(&r, 1000);
        heap_insert(&root, &node[i]);
    }
    for (unsigned i = 0; i < NODES; i++) {
        cr_assert(root->key >= last);
        last = root->key;
        heap_take_root(&root);
    }
    cr_assert(!root);
}

static unsigned children(const struct heap_node *n)
{
    unsigned count = 0;

    for (n = n->child; n; n = n->next)
        count++;
    return count;
}

/* To take a root away is to look at its children: many once, then half as many each time. */
Test(heap, dear_operations_pay_for_the_next)
{
    for (unsigned i = 0; i < NODES; i++) {
        node[i].key = i;
        heap_insert(&root, &node[i]);
    }
    unsigned looked_at = 0;
    for (unsigned before = NODES; root; before = children(root)) {
        cr_assert(children(root) <= before);
        looked_at += children(root);
        heap_take_root(&root);
        if (!root)
            break;
    }
    cr_assert(looked_at < 10 * NODES, "%u children", looked_at); /* log2(300) is 8.2 */
}
