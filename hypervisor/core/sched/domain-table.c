/*
 * The table of domains: which there are, by number, and references to them.
 *
 * Their life, from domain_create() to the end, is core/domain's; it lists them here and takes them off again.  A
 * domain is freed by whoever lets go of the last reference, with the function that its maker has put into it.
 */
#include "domain.h"
#include "arch.h"

#define BUCKETS   64u
#define ROLES_ANY 0 /* those without any, too */

struct domain idle_domain = {
    .id = DOMID_IDLE, .is_idle = true, .max_vcpus = MAX_CPUS, .name = "idle", .refs = 1};

/* Guarded by lock; lookups are short and rare enough (none on a hot path) for one lock. */
static struct {
    spinlock_t lock;
    struct domain *bucket[BUCKETS];
    unsigned count;
} domains = {.lock = SPINLOCK_INIT(DOMAINS)};

/* Numbers of domains that are built again: while they are not there nobody else gets them.  Guarded by the same
 * lock. */
static uint64_t kept_numbers[DOMID_FIRST_RESERVED / 64 + 1];

static struct domain **bucket_find(domid_t id)
{
    struct domain **at = &domains.bucket[id % BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

enum table_range { VISIBLE_ONES, ALL_OF_THEM };

static inline struct domain *table_get(domid_t id, enum table_range which, uint32_t refs)
{
    spin_lock(&domains.lock);
    struct domain *d = *bucket_find(id);
    if (d && which == VISIBLE_ONES && !d->visible)
        d = NULL;
    if (d)
        atomic_add(&d->refs, refs);
    spin_unlock(&domains.lock);
    return d;
}

struct domain *domain_get_refs(domid_t id, uint32_t count)
{
    return table_get(id, VISIBLE_ONES, count);
}

struct domain *domain_get(domid_t id)
{
    return domain_get_refs(id, 1);
}

struct domain *domain_get_owner(domid_t id)
{
    return table_get(id, ALL_OF_THEM, 1);
}

void domain_put(struct domain *d)
{
    if (atomic_sub(&d->refs, 1) == 0)
        d->free(d);
}

struct domain *domain_get_from_with(unsigned id, uint16_t roles)
{
    struct domain *best = NULL;

    spin_lock(&domains.lock);
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        if (d->visible && d->id >= id && (!best || d->id < best->id) &&
            (roles == ROLES_ANY || domain_has(d, roles)))
            best = d;
    if (best)
        atomic_add(&best->refs, 1);
    spin_unlock(&domains.lock);
    return best;
}

struct domain *domain_get_from(unsigned id)
{
    return domain_get_from_with(id, ROLES_ANY);
}

struct domain *domain_next(const struct domain *d)
{
    unsigned i = 0;

    if (d) {
        if (d->next)
            return d->next;
        i = d->id % BUCKETS + 1;
    }
    for (; i < BUCKETS; i++)
        if (domains.bucket[i])
            return domains.bucket[i];
    return NULL;
}

bool domain_list(struct domain *d)
{
    spin_lock(&domains.lock);
    struct domain **at = bucket_find(d->id);
    bool unique = !*at;
    if (unique) {
        *at = d;
        domains.count++;
    }
    spin_unlock(&domains.lock);
    return unique;
}

bool domain_number_free(domid_t id)
{
    spin_lock(&domains.lock);
    const bool none = !*bucket_find(id) && !(kept_numbers[id / 64] & BIT(id % 64));
    spin_unlock(&domains.lock);
    return none;
}

void domain_number_keep(domid_t id, bool keep)
{
    spin_lock(&domains.lock);
    if (keep)
        kept_numbers[id / 64] |= BIT(id % 64);
    else
        kept_numbers[id / 64] &= ~BIT(id % 64);
    spin_unlock(&domains.lock);
}

bool domain_is_hidden(domid_t id)
{
    spin_lock(&domains.lock);
    const struct domain *d = *bucket_find(id);
    const bool hidden = d && !d->visible && atomic_read(&d->refs) == 1;
    spin_unlock(&domains.lock);
    return hidden;
}

bool domain_hide(struct domain *d)
{
    spin_lock(&domains.lock);
    d->visible = false;
    const bool alone = atomic_read(&d->refs) == 1;
    spin_unlock(&domains.lock);
    return alone;
}

unsigned domain_unlist(struct domain *d)
{
    spin_lock(&domains.lock);
    *bucket_find(d->id) = d->next;
    unsigned left = --domains.count;
    spin_unlock(&domains.lock);
    return left;
}

void domain_show(struct domain *d)
{
    spin_lock(&domains.lock);
    d->visible = true;
    spin_unlock(&domains.lock);
}
