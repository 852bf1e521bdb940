/*
 * Handles of mapped grants: pages of entries, and free lists.
 *
 * Each vCPU has a list of its own, so that two that map do not wait for each other.  A handle that is freed goes to the list of
 * the vCPU that frees it; a vCPU whose list is empty makes a page of new ones, and at the limit takes from the longest.
 */
#include "maptrack.h"
#include "arch.h"
#include "lib.h"
#include "sched.h"

static struct maptrack *maptrack_create(const struct domain *d)
{
    struct maptrack *m = mem_alloc(sizeof(*m) + d->max_vcpus * sizeof(m->list[0]));

    if (!m)
        return NULL;
    m->lock = (spinlock_t)SPINLOCK_INIT(MAPTRACK);
    m->lists = d->max_vcpus;
    m->pages_most = d->grants->max_maptrack_frames;
    m->page = mem_alloc(m->pages_most * sizeof(m->page[0]));
    if (!m->page) {
        maptrack_destroy(m);
        return NULL;
    }
    for (unsigned i = 0; i < m->lists; i++)
        m->list[i] = (struct maptrack_list){.lock = SPINLOCK_INIT(MAPTRACK), .head = MAPTRACK_NONE};
    return m;
}

void maptrack_destroy(struct maptrack *m)
{
    if (m->page) {
        for (uint32_t i = 0; i < m->limit / MAPTRACK_PER_PAGE; i++) {
            page_free_virt(m->page[i], 0);
            if (i % 64 == 63)
                (void)preempt_point();
        }
        mem_free(m->page, m->pages_most * sizeof(m->page[0]));
    }
    mem_free(m, sizeof(*m) + m->lists * sizeof(m->list[0]));
}

/* The domain's, made if need be; NULL: no memory. */
static noinline_ struct maptrack *maptrack_make(struct domain *d)
{
    struct maptrack *m = maptrack_create(d), *other = NULL;

    if (!m || atomic_compare_exchange(&d->grants->maptrack, &other, m))
        return m;
    maptrack_destroy(m); /* another vCPU was faster */
    return other;
}

static inline uint32_t list_pop(struct maptrack *m, struct maptrack_list *l)
{
    spin_lock(&l->lock);
    const uint32_t handle = l->head;
    if (handle != MAPTRACK_NONE) {
        l->head = maptrack_at(m, handle)->ref;
        l->free--;
    }
    spin_unlock(&l->lock);
    return handle;
}

/* Entries @first to @last, @count of them, are a chain. */
static inline void list_push(struct maptrack *m, struct maptrack_list *l, uint32_t first,
                             uint32_t last, uint32_t count)
{
    spin_lock(&l->lock);
    maptrack_at(m, last)->ref = l->head;
    l->head = first;
    l->free += count;
    spin_unlock(&l->lock);
}

/* A page of new handles for @l; false: at the limit, or no memory. */
static bool maptrack_grow(struct maptrack *m, struct maptrack_list *l)
{
    if (atomic_read(&m->limit) / MAPTRACK_PER_PAGE >= m->pages_most)
        return false;
    struct maptrack_entry *page = page_alloc_zeroed(0);
    if (!page)
        return false;

    spin_lock(&m->lock);
    const uint32_t first = m->limit;
    const bool room = first / MAPTRACK_PER_PAGE < m->pages_most;
    if (room) {
        for (uint32_t i = 0; i < MAPTRACK_PER_PAGE; i++)
            page[i].ref = first + i + 1;
        m->page[first / MAPTRACK_PER_PAGE] = page;
        atomic_set_release(&m->limit, first + MAPTRACK_PER_PAGE); /* now others may look at it */
    }
    spin_unlock(&m->lock);
    if (room)
        list_push(m, l, first, first + MAPTRACK_PER_PAGE - 1, MAPTRACK_PER_PAGE);
    else
        page_free_virt(page, 0);
    return room;
}

/* Up to a page's worth, half of what is on the longest list, for @l. */
static void maptrack_share(struct maptrack *m, struct maptrack_list *l)
{
    struct maptrack_list *from = &m->list[0];

    for (unsigned i = 1; i < m->lists; i++)
        if (atomic_read(&m->list[i].free) > atomic_read(&from->free))
            from = &m->list[i];

    spin_lock(&from->lock);
    const uint32_t count = MIN((from->free + 1) / 2, MAPTRACK_PER_PAGE), first = from->head;
    uint32_t last = first;
    for (uint32_t i = 1; i < count; i++)
        last = maptrack_at(m, last)->ref;
    if (count) {
        from->head = maptrack_at(m, last)->ref;
        from->free -= count;
    }
    spin_unlock(&from->lock);
    if (count) /* nobody else knows them: no two lists are locked at once */
        list_push(m, l, first, last, count);
}

/* @l is empty. */
static noinline_ uint32_t list_refill(struct maptrack *m, struct maptrack_list *l)
{
    if (!maptrack_grow(m, l))
        maptrack_share(m, l);
    return list_pop(m, l);
}

struct maptrack_entry *maptrack_new(struct vcpu *v, uint32_t *handle)
{
    struct maptrack *m = atomic_read_acquire(&v->domain->grants->maptrack);

    if (unlikely(!m)) {
        m = maptrack_make(v->domain);
        if (!m)
            return NULL;
    }
    *handle = list_pop(m, &m->list[v->id]);
    if (unlikely(*handle == MAPTRACK_NONE))
        *handle = list_refill(m, &m->list[v->id]);
    return likely(*handle != MAPTRACK_NONE) ? maptrack_at(m, *handle) : NULL;
}

void maptrack_free(struct vcpu *v, struct maptrack_entry *e, uint32_t handle)
{
    struct maptrack *m = v->domain->grants->maptrack;

    atomic_set(&e->flags, 0);
    list_push(m, &m->list[v->id], handle, handle, 1);
}
