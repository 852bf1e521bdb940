/*
 * The audit of grants: G1 to G5 of grant-table.h, recounted from the handles.
 *
 * Each handle's part is taken off the pins of the entry that it names; what is left over nobody has.  Then it is put back.
 * Nobody else runs meanwhile (audit.c), and nothing is half done: whoever is put aside has no copy in progress, and waits for
 * a lock with nothing pinned that no handle has.  G2 is recounted for devices' pins (host mappings: I3 and I4), G3 on the
 * host alone, where guests do not write to their own bits.
 */
#include "arch.h"
#include "audit.h"
#include "grant-table.h"
#include "lib.h"
#include "maptrack.h"

#define PRINT_LIMIT 20u

static unsigned differences;

bool grant_audit_strict;

static void differ(const struct domain *d, uint32_t number, const char *what, uint64_t have,
                   uint64_t counted)
{
    if (differences++ < PRINT_LIMIT)
        printk("audit: domain %u, grant or handle %u, %s is %lx, counted %lx\n", d->id, number,
               what, (unsigned long)have, (unsigned long)counted);
}

/* --- while the audit counts ---------------------------------------------------------------------------- */

static void each_handle(struct domain *d, void (*act)(struct domain *, struct maptrack_entry *))
{
    const struct maptrack *m = d->grants ? d->grants->maptrack : NULL;

    for (uint32_t handle = 0; m && handle < m->limit; handle++)
        if (maptrack_at(m, handle)->flags && maptrack_at(m, handle)->granter)
            act(d, maptrack_at(m, handle));
}

static void count_handle(struct domain *d, struct maptrack_entry *e)
{
    struct grant_active *a = grant_active_of(e->granter->grants, e->ref);

    if (e->flags & GNTMAP_device_map)
        audit_count(mfn(a->mfn), !(e->flags & GNTMAP_readonly));
    if (a->mapper != d->id)
        differ(e->granter, e->ref, "G1: mapper", a->mapper, d->id);
    a->pins -= grant_pins_of(e->flags);
}

static void count_domain(struct domain *d)
{
    each_handle(d, count_handle);
}

static void count_foreign(uint16_t id)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        if (d->id == id && d->grants)
            d->grants->foreign++;
}

/* --- when it has counted ------------------------------------------------------------------------------- */

static void each_active(struct domain *d,
                        void (*act)(struct domain *, grant_ref_t, const struct grant_active *))
{
    const struct grant_table *t = d->grants;

    for (unsigned page = 0; t && t->active && page < ACTIVE_PAGES_MOST; page++)
        for (unsigned i = 0; t->active[page] && i < ACTIVE_PER_PAGE; i++)
            if (t->active[page][i].pins)
                act(d, page * ACTIVE_PER_PAGE + i, &t->active[page][i]);
}

static void compare_pins(struct domain *d, grant_ref_t ref, const struct grant_active *a)
{
    differ(d, ref, "G1: pins that no handle has", a->pins, 0);
}

static void put_back(struct domain *d, struct maptrack_entry *e)
{
    grant_active_of(e->granter->grants, e->ref)->pins += grant_pins_of(e->flags);
}

static void compare_entry(struct domain *d, grant_ref_t ref, const struct grant_active *a)
{
    const struct grant_table *t = d->grants;
    const struct page_info *pg = mfn_to_page(mfn(a->mfn));
    const uint16_t want = GTF_reading | (a->pins & PIN_WRITES ? GTF_writing : 0),
                   have = (t->version == 1 ? grant_entry_v1(t, ref)->flags
                                           : *grant_status_of(t, ref)) &
                          (GTF_reading | GTF_writing);

    if (a->pins / PIN_DEVICE_READ && (pg->owner != d->id || !page_state_refs(pg->state)))
        differ(d, ref, "G2: owner of the frame", pg->owner, d->id);
    /* A guest may write to these bits itself, to nobody's harm but its own. */
    if (grant_audit_strict && have != want)
        differ(d, ref, "G3: GTF bits", have, want);
}

static uint32_t host_maps; /* of others' grants, of the domain at hand */

static void count_host_map(struct domain *d, struct maptrack_entry *e)
{
    host_maps += e->granter != d && (e->flags & GNTMAP_host_map);
}

static void compare_domain(struct domain *d)
{
    uint32_t pinned = 0;

    if (!d->grants)
        return;
    host_maps = 0;
    each_handle(d, count_host_map);
    if (!domain_has(d, ROLE_CONTROL) && d->grants->foreign > host_maps)
        differ(d, 0, "G4: entries naming others' frames", d->grants->foreign, host_maps);
    d->grants->foreign = 0;
    for (unsigned page = 0; d->grants->active && page < ACTIVE_PAGES_MOST; page++)
        for (unsigned i = 0; d->grants->active[page] && i < ACTIVE_PER_PAGE; i++)
            pinned += d->grants->active[page][i].pins != 0;
    if (pinned != d->grants->pinned)
        differ(d, 0, "G1: pinned entries", d->grants->pinned, pinned);
}

/* G5: every free handle is on a list, once. */
static void compare_lists(const struct domain *d)
{
    const struct maptrack *m = d->grants ? d->grants->maptrack : NULL;
    uint32_t free = 0, listed = 0;

    for (uint32_t handle = 0; m && handle < m->limit; handle++)
        free += !maptrack_at(m, handle)->flags;
    for (unsigned i = 0; m && i < m->lists; i++) {
        uint32_t length = 0;
        for (uint32_t h = m->list[i].head; h != MAPTRACK_NONE && length <= m->limit;
             h = maptrack_at(m, h)->ref, length++)
            if (maptrack_at(m, h)->flags)
                differ(d, h, "G5: flags of a free handle", maptrack_at(m, h)->flags, 0);
        if (length != m->list[i].free)
            differ(d, i, "G5: length of a list", m->list[i].free, length);
        listed += length;
    }
    if (free != listed)
        differ(d, 0, "G5: free handles", listed, free);
}

static unsigned compare(void)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        each_active(d, compare_pins);
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        each_handle(d, put_back);
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        each_active(d, compare_entry);
        compare_domain(d);
        compare_lists(d);
    }
    const unsigned found = differences;
    differences = 0;
    return found;
}

void grant_audit_init(void)
{
    static struct audit_holder holder = {
        .count = count_domain, .foreign = count_foreign, .compare = compare};

    audit_register(&holder);
}
