/*
 * Small objects of the hypervisor: power-of-two slabs of one page each.
 *
 * A page is cut into equal objects; free objects are chained through their first word.  Pages are
 * returned to the page allocator when their last object is freed, so that a leak shows
 * as a missing frame in the audit after a domain is destroyed.
 */
#include "arch.h"
#include "lib.h"
#include "list.h"
#include "page.h"

#define SMALLEST_SHIFT 6
#define LARGEST_SHIFT  11
#define CLASSES        (LARGEST_SHIFT - SMALLEST_SHIFT + 1)

/* At the start of every slab page; the first object(s) make room for it. */
struct slab {
    struct list link; /* among the pages of this class with a free object */
    void *free;
    uint32_t used, shift;
};

static struct {
    spinlock_t lock;
    struct list partial[CLASSES];
    bool ready;
} slabs = {.lock = SPINLOCK_INIT(SLABS)};

static unsigned size_shift(size_t size)
{
    unsigned shift = SMALLEST_SHIFT;
    while ((1ul << shift) < size)
        shift++;
    return shift;
}

static unsigned size_order(size_t size)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < size)
        order++;
    return order;
}

/* LARGEST_SHIFT objects leave room for one only beside the header: still half a page better than a whole one. */
static struct slab *slab_create(unsigned shift)
{
    struct slab *s = page_alloc_zeroed(0);
    if (!s)
        return NULL;
    size_t size = 1ul << shift;
    s->shift = shift;
    for (size_t at = ROUND_UP(sizeof(*s), size); at + size <= PAGE_SIZE; at += size) {
        void **object = (void **)((char *)s + at);
        *object = s->free;
        s->free = object;
    }
    return s;
}

void *mem_alloc(size_t size)
{
    if (size > 1ul << LARGEST_SHIFT)
        return page_alloc_zeroed(size_order(size));
    if (unlikely(page_alloc_is_short()))
        return NULL;

    unsigned shift = size_shift(size);
    struct list *partial = &slabs.partial[shift - SMALLEST_SHIFT];
    spin_lock(&slabs.lock);
    if (!slabs.ready) {
        for (unsigned i = 0; i < CLASSES; i++)
            list_init(&slabs.partial[i]);
        slabs.ready = true;
    }
    if (list_empty(partial)) {
        struct slab *fresh = slab_create(shift);
        if (!fresh) {
            spin_unlock(&slabs.lock);
            return NULL;
        }
        list_append(partial, &fresh->link);
    }
    struct slab *s = list_entry(partial->next, struct slab, link);
    void **object = s->free;
    s->free = *object;
    s->used++;
    if (!s->free)
        list_remove(&s->link);
    spin_unlock(&slabs.lock);
    memset(object, 0, 1ul << shift);
    return object;
}

void mem_free(void *p, size_t size)
{
    if (!p)
        return;
    if (size > 1ul << LARGEST_SHIFT) {
        page_free_virt(p, size_order(size));
        return;
    }
    struct slab *s = (struct slab *)((uintptr_t)p & PAGE_MASK);
    spin_lock(&slabs.lock);
    ASSERT(s->shift == size_shift(size) && s->used > 0);
    if (!s->free)
        list_append(&slabs.partial[s->shift - SMALLEST_SHIFT], &s->link);
    *(void **)p = s->free;
    s->free = p;
    bool empty = --s->used == 0;
    if (empty)
        list_remove(&s->link);
    spin_unlock(&slabs.lock);
    if (empty)
        page_free_virt(s, 0);
}
