/*
 * The heap: pages cut into equal objects, one class per power of two.
 *
 * Each page has a list of its free objects, a reference for each of the others and
 * one of the heap's own.  A class has the pages with free objects.  A page whose objects are all free goes back, but for one of each class:
 * what one user made the kernel need is there for everybody afterwards.
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

/* The pages of each class that have a free object, and whether one of them has nothing but free objects. */
#define CLASS(shift) [shift] = LIST_INIT(classes[shift])
static struct list classes[HEAP_MAX_SHIFT + 1] = {CLASS(5), CLASS(6),  CLASS(7), CLASS(8),
                                                  CLASS(9), CLASS(10), CLASS(11)};
static unsigned empty[HEAP_MAX_SHIFT + 1];

static unsigned shift_for(size_t size)
{
    return size <= 1u << HEAP_MIN_SHIFT ? HEAP_MIN_SHIFT : 64 - __builtin_clzl(size - 1);
}

static bool class_refill(unsigned shift)
{
    struct page *page = page_alloc(0);
    if (!page)
        return false;
    page->heap_class = shift;
    page->heap_free = NULL;
    char *start = page_address(page);
    for (size_t at = PAGE_SIZE; at; at -= 1ul << shift) {
        struct free_object *o = (struct free_object *)(start + at - (1ul << shift));
        o->next = page->heap_free;
        page->heap_free = o;
    }
    list_add(&page->link, &classes[shift]);
    empty[shift]++;
    return true;
}

static void *whole_pages(unsigned shift)
{
    const unsigned order = shift <= PAGE_SHIFT ? 0 : shift - PAGE_SHIFT;
    struct page *page = order < PAGE_ORDERS ? page_alloc(order) : NULL;
    if (!page)
        return NULL;
    page->heap_class = HEAP_WHOLE;
    return memset(page_address(page), 0, PAGE_SIZE << order);
}

void *heap_alloc(size_t size)
{
    const unsigned shift = shift_for(size);
    if (shift > HEAP_MAX_SHIFT)
        return whole_pages(shift);
    struct list *const class = &classes[shift];
    if (list_empty(class) && !class_refill(shift))
        return NULL;
    struct page *page = list_entry(class->next, struct page, link);
    struct free_object *o = page->heap_free;
    page->heap_free = o->next;
    if (page->refs++ == 1)
        empty[shift]--;
    if (!page->heap_free)
        list_remove(&page->link);
    return memset(o, 0, 1ul << shift);
}

void *heap_alloc_for(enum page_user user, size_t size)
{
    return page_available(user) ? heap_alloc(size) : NULL;
}

/* The last object of @page has been freed: it goes, if there is another such page. */
static void page_emptied(struct page *page)
{
    const unsigned shift = page->heap_class;
    if (!empty[shift]) {
        empty[shift] = 1;
        return;
    }
    list_remove(&page->link);
    page->heap_class = 0;
    page_put(page);
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
    BUG_ON(page->heap_class < HEAP_MIN_SHIFT || page->heap_class > HEAP_MAX_SHIFT ||
           page->refs == 1);
    struct free_object *o = object;
    o->next = page->heap_free;
    page->heap_free = o;
    if (!o->next)
        list_add_first(&page->link, &classes[page->heap_class]);
    if (--page->refs == 1)
        page_emptied(page);
}
