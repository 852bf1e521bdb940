/*
 * One entry of a grant table: judged, pinned, unpinned.
 *
 * The shared entry lies in memory that its guest writes to at any time, from any CPU.  So what was read is what is
 * judged and used, never the word again; and what is set in it is set by an exchange with what was judged (version 1),
 * or set first and then looked at again (version 2, whose GTF bits lie elsewhere).  A guest that keeps changing the
 * word has its entry refused: no loop here waits for it.
 *
 *   version 1     flags, domid: one word of 32 bits          frame: 32 bits
 *                 GTF_reading, GTF_writing in flags
 *   version 2     flags, domid: one word of 32 bits          frame: 64 bits; page_off, length: 32 bits
 *                 GTF_reading, GTF_writing in the status word
 */
#include "grant-table.h"
#include "arch.h"
#include "grant-fast.h"
#include "lib.h"
#include "refuse.h"

#define TRIES 5 /* exchanges with a word that changes */

/* A mapping is of a whole frame. */
#define TYPE_OF_MAP  (GTF_type_mask | GTF_sub_page)
#define TYPE_OF_COPY GTF_type_mask

/* What a pin is asked of. */
struct request {
    grant_ref_t ref;
    domid_t mapper;
    uint16_t type; /* TYPE_OF_* */
    bool writes;
    /* Nobody has it pinned: the entry has to name the mapper, and be of the right type. */
    bool fresh;
};

/* Does a shared entry's first word allow it?  GNTST_*. */
static int16_t judge(const struct request *r, uint32_t word)
{
    if (r->fresh && ((word & r->type) != GTF_permit_access || (domid_t)(word >> 16) != r->mapper))
        return deny(GRANT_NOT_PERMITTED, GNTST_general_error, r->ref, word & 0xffff, word >> 16);
    if (r->writes && (word & GTF_readonly))
        return deny(GRANT_READ_ONLY, GNTST_general_error, r->ref);
    return GNTST_okay;
}

static int16_t mark_v1(uint32_t *word, const struct request *r)
{
    const uint32_t bits = r->writes ? GTF_reading | GTF_writing : GTF_reading;
    uint32_t seen = atomic_read(word);

    for (unsigned tries = 0; tries < TRIES; tries++) {
        int16_t status = judge(r, seen);
        if (unlikely(status))
            return status;
        if (likely(atomic_compare_exchange(word, &seen, seen | bits)))
            return GNTST_okay;
    }
    return deny(GRANT_ENTRY_UNSTABLE, GNTST_general_error, r->ref);
}

/* The bits are set, visible to all, before the word is judged once more: whoever takes a grant back changes the word
 * first and looks at the bits then, so one of the two sees the other.  *seen: the word that was judged last. */
static int16_t mark_v2(const uint32_t *word, grant_status_t *s, const struct request *r,
                       uint32_t *seen)
{
    *seen = atomic_read(word);
    int16_t status = judge(r, *seen);

    if (unlikely(status))
        return status;
    atomic_or(s, r->writes ? GTF_reading | GTF_writing : GTF_reading);
    *seen = atomic_read(word);
    status = judge(r, *seen);
    if (unlikely(status)) /* what others' pins stand for stays: reading, if it was pinned */
        atomic_and(s, r->fresh ? ~(GTF_reading | GTF_writing) : ~GTF_writing);
    return status;
}

void grant_unmark_v2(const struct grant_table *t, grant_ref_t ref, uint16_t bits)
{
    atomic_and(grant_status_of(t, ref), (uint16_t)~bits);
}

/* The frame that an entry names; MFN_NONE if that is none that there could be. */
static uint64_t plausible_frame(uint64_t frame)
{
    return frame < max_mfn ? frame : MFN_NONE;
}

static uint64_t read_v1(const struct grant_table *t, grant_ref_t ref, struct grant_active *a)
{
    a->start = 0;
    a->length = PAGE_SIZE;
    return plausible_frame(atomic_read(&grant_entry_v1(t, ref)->frame));
}

/* @a's part, and the frame: @sub_page only a part of it. */
static uint64_t read_v2(const struct grant_table *t, grant_ref_t ref, struct grant_active *a,
                        bool sub_page)
{
    const grant_entry_v2_t *e = grant_entry_v2(t, ref);

    a->start = sub_page ? atomic_read(&e->sub_page.page_off) : 0;
    a->length = sub_page ? atomic_read(&e->sub_page.length) : PAGE_SIZE;
    return plausible_frame(atomic_read(sub_page ? &e->sub_page.frame : &e->full_page.frame));
}

static noinline_ int16_t pin_v2(const struct grant_table *t, const struct request *r,
                                struct grant_active *a, uint64_t *frame)
{
    uint32_t seen;
    int16_t status = mark_v2((const uint32_t *)&grant_entry_v2(t, r->ref)->hdr,
                             grant_status_of(t, r->ref), r, &seen);

    if (!status && r->fresh)
        *frame = read_v2(t, r->ref, a, seen & GTF_sub_page);
    return status;
}

/* Judge the shared entry, mark it, and note in @a what it names if that is not known yet. */
static int16_t entry_pin(struct grant_table *t, const struct request *r, struct grant_active *a)
{
    uint64_t frame = 0;
    int16_t status;

    if (likely(t->version == 1)) {
        status = mark_v1((uint32_t *)grant_entry_v1(t, r->ref), r);
        if (!status && r->fresh)
            frame = read_v1(t, r->ref, a);
    } else {
        status = pin_v2(t, r, a, &frame);
    }
    if (unlikely(status) || !r->fresh)
        return status;
    if (unlikely(frame == MFN_NONE)) {
        grant_unmark(t, r->ref, GTF_reading | GTF_writing);
        return deny(GRANT_FRAME_NOT_GRANTERS, GNTST_bad_page, r->ref);
    }
    a->mfn = (uint32_t)frame;
    a->mapper = r->mapper;
    return GNTST_okay;
}

/*
 * No page of active entries covers @r->ref yet.  A first look, which decides nothing, keeps those who were granted
 * nothing from making the granter's table grow; then the page is made, without the lock.  True: look again.
 */
static noinline_ bool active_make(struct grant_table *t, const struct request *r, int16_t *status)
    REQUIRES(&t->lock)
{
    const uint32_t *word = t->version == 1 ? (const uint32_t *)grant_entry_v1(t, r->ref)
                                           : (const uint32_t *)&grant_entry_v2(t, r->ref)->hdr;

    *status = judge(r, atomic_read(word));
    if (*status)
        return false;
    spin_unlock(&t->lock);
    struct grant_active *page = page_alloc_zeroed(0);
    struct grant_active **pages =
        atomic_read(&t->active) ? NULL : mem_alloc(ACTIVE_PAGES_MOST * sizeof(*pages));
    spin_lock(&t->lock);
    if (!t->active && pages) {
        t->active = pages;
        pages = NULL;
        grant_table_fast_set(t);
    }
    if (page && t->active && !t->active[r->ref / ACTIVE_PER_PAGE]) {
        t->active[r->ref / ACTIVE_PER_PAGE] = page;
        page = NULL;
    }
    if (page)
        page_free_virt(page, 0);
    if (pages)
        mem_free(pages, ACTIVE_PAGES_MOST * sizeof(*pages));
    if (t->active && t->active[r->ref / ACTIVE_PER_PAGE])
        return true;
    *status = deny(GRANT_NO_MEMORY, GNTST_no_space, r->ref);
    return false;
}

/* The active entry of @r->ref; NULL: refused, *status says how. */
static inline struct grant_active *active_get(struct grant_table *t, const struct request *r,
                                              int16_t *status) REQUIRES(&t->lock)
{
    /* Between two looks the table may have been given another version, and other entries. */
    do {
        if (unlikely(r->ref >= t->entries)) {
            *status = deny(GRANT_REF_RANGE, GNTST_bad_gntref, r->ref, t->entries);
            return NULL;
        }
        if (likely(t->active && t->active[r->ref / ACTIVE_PER_PAGE]))
            return grant_active_of(t, r->ref);
    } while (active_make(t, r, status));
    return NULL;
}

/* grant_pin() for every case, and with every refusal. */
static int16_t pin(struct grant_table *t, grant_ref_t ref, domid_t mapper, uint32_t pins,
                   enum grant_reach reach, struct grant_part *part) REQUIRES(&t->lock)
{
    struct request r = {.ref = ref,
                        .mapper = mapper,
                        .type = reach == GRANT_WHOLE_FRAME ? TYPE_OF_MAP : TYPE_OF_COPY,
                        .writes = pins & PIN_WRITES,
                        .fresh = true};
    int16_t status = GNTST_okay;
    struct grant_active *a = active_get(t, &r, &status);

    if (unlikely(!a))
        return status;
    r.fresh = !a->pins;
    if (a->pins && unlikely(a->mapper != mapper || (a->pins & PIN_FULL) ||
                            (reach == GRANT_WHOLE_FRAME && (a->start || a->length != PAGE_SIZE))))
        return deny(GRANT_PINNED_OTHERWISE, GNTST_general_error, ref, a->mapper, a->pins);
    if (r.fresh || (r.writes && !(a->pins & PIN_WRITES))) {
        status = entry_pin(t, &r, a);
        if (unlikely(status))
            return status;
    }
    t->pinned += r.fresh;
    a->pins += pins;
    *part = (struct grant_part){mfn(a->mfn), a->start, a->length, r.fresh};
    return GNTST_okay;
}

int16_t grant_pin(struct grant_table *t, grant_ref_t ref, domid_t mapper, uint32_t pins,
                  enum grant_reach reach, struct grant_part *part)
{
    spin_lock(&t->lock);
    const int16_t status = pin(t, ref, mapper, pins, reach, part);
    spin_unlock(&t->lock);
    return status;
}

void grant_unpin(struct grant_table *t, grant_ref_t ref, uint32_t pins)
{
    grant_unpin_fast(t, grant_active_of(t, ref), ref, pins);
}
