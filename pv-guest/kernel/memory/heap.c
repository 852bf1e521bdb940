/*
 * The heap: pages cut into equal objects, one class per power of two.
 *
 * A class keeps a list of free objects only.  Pages are never given back by a
 * class: what the kernel once needed for small objects it will need again.
 * Objects of more than half a page are pages of their own.
 */
#include "heap.h"
#include "page.h"
#include "print.h"
#include "text.h"

#define HEAP_MIN_SHIFT 5
#define HEAP_MAX_SHIFT 11
#define HEAP_WHOLE     0xff /* heap_class of an object that has its own pages */

struct free_object {
    struct free_object *next;
};

static struct free_object *classes[HEAP_MAX_SHIFT + 1];

static unsigned shift_for(size_t size)
{
    unsigned shift = HEAP_MIN_SHIFT;
    while ((1ul << shift) < size)
        shift++;
    return shift;
}

static bool class_refill(unsigned shift)
{
    struct page *page = page_alloc(0);
    if (!page)
        return false;
    page->heap_class = shift;
    char *start = page_address(page);
    for (size_t at = PAGE_SIZE; at; at -= 1ul << shift) {
        struct free_object *o = (struct free_object *)(start + at - (1ul << shift));
        o->next = classes[shift];
        classes[shift] = o;
    }
    return true;
}

void *heap_alloc(size_t size)
{
    const unsigned shift = shift_for(size);
    if (shift > HEAP_MAX_SHIFT) {
        const unsigned order = shift <= PAGE_SHIFT ? 0 : shift - PAGE_SHIFT;
        if (order >= PAGE_ORDERS)
            return NULL;
        struct page *page = page_alloc(order);
        if (!page)
            return NULL;
        page->heap_class = HEAP_WHOLE;
        return memset(page_address(page), 0, PAGE_SIZE << order);
    }
    if (!classes[shift] && !class_refill(shift))
        return NULL;
    struct free_object *o = classes[shift];
    classes[shift] = o->next;
    return memset(o, 0, 1ul << shift);
}

void heap_free(void *object)
{
    if (!object)
        return;
    struct page *page = page_of_address(object);
    if (page->heap_class == HEAP_WHOLE) {
        page->heap_class = 0;
        page_put(page);
        return;
    }
    BUG_ON(page->heap_class < HEAP_MIN_SHIFT || page->heap_class > HEAP_MAX_SHIFT);
    struct free_object *o = object;
    o->next = classes[page->heap_class];
    classes[page->heap_class] = o;
}
