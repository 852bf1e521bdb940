/*
 * A domain's grant table from birth to death: its frames, its version.
 *
 * A table starts with one frame (512 entries of version 1), and grows when the guest asks for more.  The frames
 * are the hypervisor's, mapped by the guest like shared_info; entries 0 and 1 are Xen's reserved ones for
 * console and xenstore.  What says who uses an entry is made when somebody first does (grant-entry.c).
 */
#include "grant-table.h"
#include "arch.h"
#include "lib.h"
#include "maptrack.h"
#include "refuse.h"
#include "sched.h"

int grant_table_init(struct domain *d)
{
    struct grant_table *t = mem_alloc(sizeof(*t));

    if (!t)
        return -XEN_ENOMEM;
    t->lock = (spinlock_t)SPINLOCK_INIT(GRANT);
    t->max_frames =
        MIN(MAX(cmdline_number("gnttab_max_frames", GRANT_FRAMES_MOST), 1ul), GRANT_FRAMES_MOST);
    t->max_maptrack_frames =
        MIN(MAX(cmdline_number("gnttab_max_maptrack_frames", MAPTRACK_FRAMES_MOST), 1ul),
            MAPTRACK_FRAMES_MOST);
    t->version = 1;
    t->max_version = 2;
    t->frame[0] = page_alloc_shared(d);
    if (!t->frame[0]) {
        mem_free(t, sizeof(*t));
        return -XEN_ENOMEM;
    }
    t->frames = 1;
    t->entries = GRANTS_PER_FRAME_V1;
    atomic_set_release(&d->grants, t); /* whole: the domain can be named already */
    return 0;
}

int grant_table_limit(struct domain *d, int32_t frames, int32_t maptrack_frames, unsigned version)
{
    struct grant_table *t = d->grants;

    if (!frames || frames > (int64_t)t->max_frames ||
        maptrack_frames > (int64_t)t->max_maptrack_frames)
        return refuse(CREATE_GRANT_LIMIT, (uint32_t)frames, (uint32_t)maptrack_frames);
    if (!version || version > t->max_version)
        return refuse(CREATE_GRANT_VERSION, version);
    if (frames > 0)
        t->max_frames = (uint32_t)frames;
    if (maptrack_frames >= 0)
        t->max_maptrack_frames = (uint32_t)maptrack_frames;
    t->max_version = (uint8_t)version;
    return 0;
}

void grant_table_seed(struct domain *d, unsigned ref, domid_t backend, mfn_t frame)
{
    grant_entry_v1_t *e = grant_entry_v1(d->grants, ref);

    e->domid = backend;
    e->frame = (uint32_t)frame.n;
    e->flags = GTF_permit_access;
}

/* --- the end ------------------------------------------------------------------------------------------ */

/* What handle entry @e holds, when its host mapping is gone already. */
static void entry_release(struct maptrack_entry *e)
{
    const struct grant_table *t = e->granter->grants;

    if (e->flags & GNTMAP_device_map)
        page_put_mapped(mfn_to_page(mfn(grant_active_of(t, e->ref)->mfn)),
                        !(e->flags & GNTMAP_readonly));
    grant_unpin(e->granter->grants, e->ref, grant_pins_of(e->flags));
    domain_put(e->granter);
    e->granter = NULL; /* and the entry is nobody's, on no list */
    e->flags = MAPTRACK_TAKEN;
}

void grant_table_release(struct domain *d)
{
    struct maptrack *m = d->grants ? d->grants->maptrack : NULL;

    if (!m)
        return;
    for (uint32_t handle = 0; handle < m->limit; handle++) {
        if (maptrack_at(m, handle)->flags)
            entry_release(maptrack_at(m, handle));
        if (handle % 64 == 63)
            (void)preempt_point();
    }
    d->grants->maptrack = NULL;
    maptrack_destroy(m);
}

static void active_destroy(struct grant_table *t)
{
    for (unsigned i = 0; t->active && i < ACTIVE_PAGES_MOST; i++) {
        if (t->active[i])
            page_free_virt(t->active[i], 0);
        t->active[i] = NULL;
    }
    if (t->active)
        mem_free(t->active, ACTIVE_PAGES_MOST * sizeof(t->active[0]));
}

bool grant_table_is_alone(const struct domain *d)
{
    const struct grant_table *t = d->grants;

    for (uint32_t i = 0; t && i < t->frames; i++)
        if (!page_shared_is_alone(t->frame[i]))
            return false;
    for (uint32_t i = 0; t && i < t->status_frames; i++)
        if (!page_shared_is_alone(t->status[i]))
            return false;
    return true;
}

void grant_table_destroy(struct domain *d)
{
    struct grant_table *t = d->grants;

    if (!t)
        return;
    grant_table_release(d);
    while (t->frames)
        page_unshare(d, t->frame[--t->frames]);
    while (t->status_frames)
        page_unshare(d, t->status[--t->status_frames]);
    (void)preempt_point();
    active_destroy(t);
    (void)preempt_point();
    d->grants = NULL;
    mem_free(t, sizeof(*t));
}

/* --- growing ------------------------------------------------------------------------------------------- */

static uint32_t entries_of(uint8_t version, uint32_t frames)
{
    return frames * (version == 1 ? GRANTS_PER_FRAME_V1 : GRANTS_PER_FRAME_V2);
}

uint32_t grant_status_frames_for(uint32_t frames)
{
    const uint32_t per = GRANT_STATUS_PER_FRAME / GRANTS_PER_FRAME_V2;

    return (frames + per - 1) / per;
}

static bool status_grow(struct domain *d, uint32_t want) REQUIRES(&d->grants->change)
{
    struct grant_table *t = d->grants;

    while (t->status_frames < want) {
        t->status[t->status_frames] = page_alloc_shared(d);
        if (!t->status[t->status_frames])
            return false;
        atomic_set(&t->status_frames, t->status_frames + 1);
    }
    return true;
}

/* A frame more, its status frame first: with the new number of entries others may name them. */
static bool grow_one(struct domain *d) REQUIRES(&d->grants->change)
{
    struct grant_table *t = d->grants;

    if (t->version == 2 && !status_grow(d, grant_status_frames_for(t->frames + 1)))
        return false;
    t->frame[t->frames] = page_alloc_shared(d);
    if (!t->frame[t->frames])
        return false;
    spin_lock(&t->lock);
    atomic_set(&t->frames, t->frames + 1);
    t->entries = entries_of(t->version, t->frames);
    grant_table_fast_set(t);
    spin_unlock(&t->lock);
    return true;
}

bool grant_table_grow(struct domain *d, uint32_t want)
{
    struct grant_table *t = d->grants;
    bool grown = want <= t->max_frames;

    if (atomic_read(&t->frames) >= want)
        return true;
    mutex_lock(&d->grants->change);
    while (grown && t->frames < want)
        grown = grow_one(d);
    mutex_unlock(&d->grants->change);
    return grown;
}

/* --- versions ------------------------------------------------------------------------------------------ */

/* Entries that survive a switch: the toolstack made them, and their users may have them mapped. */
#define RESERVED GNTTAB_NR_RESERVED_ENTRIES

/* What both versions can say of an entry. */
struct plain_entry {
    uint16_t flags; /* with the GTF bits */
    domid_t domid;
    uint64_t frame;
};

static void plain_read(const struct grant_table *t, struct plain_entry *plain)
{
    for (grant_ref_t ref = 0; ref < RESERVED; ref++) {
        struct plain_entry *p = &plain[ref];
        if (t->version == 1) {
            const grant_entry_v1_t *e = grant_entry_v1(t, ref);
            *p = (struct plain_entry){atomic_read(&e->flags), atomic_read(&e->domid),
                                      atomic_read(&e->frame)};
        } else {
            const grant_entry_v2_t *e = grant_entry_v2(t, ref);
            *p = (struct plain_entry){atomic_read(&e->hdr.flags), atomic_read(&e->hdr.domid),
                                      atomic_read(&e->full_page.frame)};
            p->flags |= atomic_read(grant_status_of(t, ref));
        }
    }
}

static void plain_write(struct grant_table *t, const struct plain_entry *plain)
{
    const uint16_t bits = GTF_reading | GTF_writing;

    for (grant_ref_t ref = 0; ref < RESERVED; ref++) {
        const struct plain_entry *p = &plain[ref];
        if (t->version == 1) {
            *grant_entry_v1(t, ref) = (grant_entry_v1_t){p->flags, p->domid, (uint32_t)p->frame};
        } else {
            *grant_entry_v2(t, ref) = (grant_entry_v2_t){
                .full_page = {{(uint16_t)(p->flags & ~bits), p->domid}, 0, p->frame}};
            *grant_status_of(t, ref) = p->flags & bits;
        }
    }
}

/* Version 1 has neither entries of other kinds nor frames above 16 TiB. */
static int plain_check(const struct plain_entry *plain, uint32_t version)
{
    for (grant_ref_t ref = 0; version == 1 && ref < RESERVED; ref++) {
        const unsigned type = plain[ref].flags & GTF_type_mask;
        if (type == GTF_transitive || (type == GTF_permit_access && plain[ref].frame >> 32))
            return refuse(GRANT_ENTRY_NOT_VERSION_1, ref, plain[ref].flags, plain[ref].frame);
    }
    return 0;
}

/* Is an entry beyond the reserved ones in use? */
static bool others_pinned(const struct grant_table *t) REQUIRES(&t->lock)
{
    uint32_t reserved = 0;

    for (grant_ref_t ref = 0; ref < RESERVED; ref++)
        if (t->active && t->active[0])
            reserved += grant_active_of(t, ref)->pins != 0;
    return t->pinned > reserved;
}

/*
 * The status frames are the guest's to map.  Back at version 1 it must not have any: each is taken out of its reach,
 * or, if one is mapped, none is (true: taken).
 */
static bool status_take(struct grant_table *t)
{
    for (uint32_t i = 0; i < t->status_frames; i++)
        if (!page_shared_take(t->status[i])) {
            while (i-- > 0)
                page_shared_restore(t->status[i]);
            return false;
        }
    return true;
}

static void status_free(struct grant_table *t)
{
    while (t->status_frames) {
        atomic_set(&t->status_frames, t->status_frames - 1);
        page_free_virt(t->status[t->status_frames], 0);
    }
}

/* Everything is cleared, so that no entry means something that nobody wrote. */
static int version_switch(struct grant_table *t, uint32_t version) REQUIRES(&t->lock)
{
    struct plain_entry plain[RESERVED];

    if (others_pinned(t))
        return refuse(GRANT_TABLE_IN_USE, t->version, t->pinned);
    plain_read(t, plain);
    int rc = plain_check(plain, version);
    if (rc)
        return rc;
    if (version == 1 && !status_take(t))
        return refuse(GRANT_STATUS_MAPPED);
    for (uint32_t i = 0; i < t->frames; i++)
        memset(t->frame[i], 0, PAGE_SIZE);
    t->version = (uint8_t)version;
    t->entries = entries_of(t->version, t->frames);
    grant_table_fast_set(t);
    plain_write(t, plain);
    return 0;
}

int grant_table_set_version(struct domain *d, uint32_t version)
{
    struct grant_table *t = d->grants;
    int rc = 0;

    if (version > t->max_version)
        return refuse(GRANT_VERSION_LIMIT, t->max_version);
    mutex_lock(&d->grants->change);
    if (version != t->version) {
        if (version == 2 && !status_grow(d, grant_status_frames_for(t->frames)))
            rc = refuse(GRANT_STATUS_NO_MEMORY);
        if (!rc) {
            spin_lock(&t->lock);
            rc = version_switch(t, version);
            spin_unlock(&t->lock);
        }
        /* Those of a switch to version 2 that was refused, too: nobody was told where they are, but somebody may have
         * guessed. */
        if (t->version == 1 && (!rc || status_take(t)))
            status_free(t);
    }
    mutex_unlock(&d->grants->change);
    return rc;
}

/* --- two entries change places ------------------------------------------------------------------------- */

static bool is_pinned(const struct grant_table *t, grant_ref_t ref) REQUIRES(&t->lock)
{
    return t->active && t->active[ref / ACTIVE_PER_PAGE] && grant_active_of(t, ref)->pins;
}

static int16_t swap(struct grant_table *t, grant_ref_t a, grant_ref_t b) REQUIRES(&t->lock)
{
    if (a >= t->entries || b >= t->entries)
        return deny(GRANT_REF_RANGE, GNTST_bad_gntref, a >= t->entries ? a : b, t->entries);
    if (a == b)
        return GNTST_okay;
    if (is_pinned(t, a) || is_pinned(t, b))
        return deny(GRANT_SWAP_IN_USE, GNTST_eagain, is_pinned(t, a) ? a : b);
    if (t->version == 1) {
        const grant_entry_v1_t e = *grant_entry_v1(t, a);
        *grant_entry_v1(t, a) = *grant_entry_v1(t, b);
        *grant_entry_v1(t, b) = e;
    } else {
        const grant_entry_v2_t e = *grant_entry_v2(t, a);
        *grant_entry_v2(t, a) = *grant_entry_v2(t, b);
        *grant_entry_v2(t, b) = e;
    }
    return GNTST_okay;
}

int16_t grant_table_swap(struct grant_table *t, grant_ref_t a, grant_ref_t b)
{
    spin_lock(&t->lock);
    int16_t status = swap(t, a, b);
    spin_unlock(&t->lock);
    return status;
}
