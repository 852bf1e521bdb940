/*
 * Grant tables (core/grants): who may use which of a domain's frames, and who does.
 *
 *     granter                                      mapper
 *     frame[]      shared entries: what the        maptrack   handles: what it has mapped, of whom
 *                  guest says, and GTF bits           |
 *     status[]     version 2: the GTF bits            | ref
 *     active[]     what is in use: <------------------+
 *                  frame, mapper, four counts
 *
 * A host mapping is an ordinary page-table entry: its references to the frame belong to the entry (I3, I4 of page.h),
 * whoever removes it.  A device mapping's belong to the handle.  A handle also holds a reference to the granter, whose
 * table thereby outlives it.  Pins (the counts) keep the granter from thinking that a frame is unused: that is all they
 * do.
 *
 * G1  The pins of an active entry = the parts of all handles that name it, and of copies in progress.
 * G2  While an entry is pinned its frame has a reference, and is the granter's; unless the granter gave the frame up
 *     although GTF_reading was set.
 * G3  The shared entry has GTF_reading if the entry is pinned, GTF_writing if it is pinned for writing.
 * G4  A domain without the control role has no more L1 entries naming others' frames than host mappings of others'
 *     grants (fewer: it may overwrite them, and then the handle stays).
 * G5  A handle has no flags if and only if it is on one free list; the lists' lengths are true.
 *
 * Recounted by core/grants/grant-audit.c; broken on purpose in tests/host/test-grants.c.
 */
#pragma once

#include "domain.h"

#include <xen/grant_table.h>

/* How often a table's entry is pinned: four counts, each refused from PIN_FULL's bit on. */
#define PIN_HOST_READ    0x00000001u
#define PIN_HOST_WRITE   0x00000100u
#define PIN_DEVICE_READ  0x00010000u
#define PIN_DEVICE_WRITE 0x01000000u
#define PIN_WRITES       0xff00ff00u
#define PIN_FULL         0x80808080u

/* What a mapping with @flags (GNTMAP_*) is in its entry's counts. */
static inline uint32_t grant_pins_of(uint32_t flags)
{
    const unsigned shift = flags & GNTMAP_readonly ? 0 : 8;

    return (flags & GNTMAP_host_map ? PIN_HOST_READ << shift : 0) +
           (flags & GNTMAP_device_map ? PIN_DEVICE_READ << shift : 0);
}

/* An entry that is, or was, in use.  All but @pins is valid while it is pinned, and fixed; guarded by the table's
 * lock. */
struct grant_active {
    uint32_t pins;
    uint32_t mfn;
    domid_t mapper;
    uint16_t start,
        length; /* the part of the frame that may be copied: version 2's sub-page grants */
};

#define GRANT_FRAMES_MOST      64u /* how many a domain may have at most */
#define MAPTRACK_FRAMES_MOST   1024u
#define ACTIVE_PER_PAGE        (PAGE_SIZE / sizeof(struct grant_active))
#define GRANTS_PER_FRAME_V1    (PAGE_SIZE / sizeof(grant_entry_v1_t))
#define GRANTS_PER_FRAME_V2    (PAGE_SIZE / sizeof(grant_entry_v2_t))
#define GRANT_STATUS_PER_FRAME (PAGE_SIZE / sizeof(grant_status_t))
#define ACTIVE_PAGES_MOST      (GRANT_FRAMES_MOST * GRANTS_PER_FRAME_V1 / ACTIVE_PER_PAGE)
#define STATUS_FRAMES_MOST     (GRANT_FRAMES_MOST * GRANTS_PER_FRAME_V2 / GRANT_STATUS_PER_FRAME)

struct maptrack;

/*
 * A domain's table.  Pages of entries never go before the domain does, status frames only when it is back at version 1.
 * @change is held by whoever grows the table or switches its version; what others may see of that changes under @lock.
 */
struct grant_table {
    mutex_t change;
    spinlock_t lock;
    uint8_t version, max_version;
    uint32_t entries; /* references below this exist */
    uint32_t
        fast; /* those of them that grant_pin_fast() serves: none in version 2, nor before @active */
    uint32_t pinned; /* entries that are */
    uint32_t frames; /* how many exist */
    uint32_t status_frames;
    uint32_t max_frames, max_maptrack_frames;
    uint32_t foreign; /* the audit's: L1 entries of the domain that name others' frames */
    struct grant_active *
        *active; /* ACTIVE_PAGES_MOST pages, made when an entry is first pinned; or NULL */
    struct maptrack *maptrack;      /* made with its first handle; or NULL (atomic) */
    void *frame[GRANT_FRAMES_MOST]; /* hypervisor pages shared with the guest */
    grant_status_t *status[STATUS_FRAMES_MOST];
};

/* --- a table's life (grant-table.c) ------------------------------------------------------------------- */

/* 0 or -XEN_ENOMEM: one frame; everything else when it is used. */
int grant_table_init(struct domain *d) must_check;
/* @d, which has stopped, lets go of all grants of others (device mappings' frames, pins).  After its page tables have
 * gone, so that no granter is told "unused" of what is still mapped.  A preemption point; again does nothing. */
void grant_table_release(struct domain *d);
void grant_table_destroy(struct domain *d); /* nobody else has a reference to @d */
/* Pre-fill entry @ref of the first frame: @backend may map @frame. Before the domain runs. */
void grant_table_seed(struct domain *d, unsigned ref, domid_t backend, mfn_t frame);
/* Have at least @want frames, and in version 2 their status frames.  False: more than the limit, or no memory.  Takes
 * @d's mmu lock. */
bool grant_table_grow(struct domain *d, uint32_t want) must_check;
/* Status frames for @frames frames of version 2. */
uint32_t grant_status_frames_for(uint32_t frames);
/* Nobody but the hypervisor refers to the frames of @d's table. */
bool grant_table_is_alone(const struct domain *d);
/* @d, which nobody else can find yet, has no more frames than these (less than 0: as many as others) and no later
 * version than @version.  0 or -XEN_EINVAL. */
int grant_table_limit(struct domain *d, int32_t frames, int32_t maptrack_frames,
                      unsigned version) must_check;
/* GNTTABOP_set_version for the running domain: 0, -EBUSY, -ERANGE, -ENOMEM.  The table is emptied but for the reserved
 * entries. */
int grant_table_set_version(struct domain *d, uint32_t version) must_check;
/* GNTTABOP_swap_grant_ref: GNTST_*. */
int16_t grant_table_swap(struct grant_table *t, grant_ref_t a, grant_ref_t b) must_check;

/* A refusal whose answer is a status in the operation's structure (GNTST_*), not an errno. */
#define deny(rule, status, ...) ((void)refuse(rule, ##__VA_ARGS__), (int16_t)(status))

/* --- pins (grant-entry.c) ----------------------------------------------------------------------------- */

/* What a pinned entry lets its user have. */
struct grant_part {
    mfn_t mfn;
    uint16_t start, length;
    bool fresh; /* nobody had it pinned before: its frame was named just now */
};

/*
 * Pin entry @ref of @t for domain @mapper, @pins being what to add to the counts: GNTST_*.  The shared entry is judged
 * if nobody has it pinned, or nobody for writing and this one wants that; what was judged last is what counts, and its
 * GTF bits are set in few tries.  @reach: what the caller can use.  No reference to the frame is taken: whoever uses it
 * takes one, as from the granter.  Takes @t->lock.
 */
enum grant_reach { GRANT_ANY_PART, GRANT_WHOLE_FRAME };
int16_t grant_pin(struct grant_table *t, grant_ref_t ref, domid_t mapper, uint32_t pins,
                  enum grant_reach reach, struct grant_part *part) must_check;
/* Undo it, when nothing reaches the frame any more that was pinned: no entry, no TLB. */
void grant_unpin(struct grant_table *t, grant_ref_t ref, uint32_t pins);
/* The active entry of @ref, which is pinned. */
static inline struct grant_active *grant_active_of(const struct grant_table *t, grant_ref_t ref)
{
    return &t->active[ref / ACTIVE_PER_PAGE][ref % ACTIVE_PER_PAGE];
}
/* Shared entries; @ref < t->entries.  Guests write to them at any time. */
static inline grant_entry_v1_t *grant_entry_v1(const struct grant_table *t, grant_ref_t ref)
{
    return (grant_entry_v1_t *)t->frame[ref / GRANTS_PER_FRAME_V1] + ref % GRANTS_PER_FRAME_V1;
}
static inline grant_entry_v2_t *grant_entry_v2(const struct grant_table *t, grant_ref_t ref)
{
    return (grant_entry_v2_t *)t->frame[ref / GRANTS_PER_FRAME_V2] + ref % GRANTS_PER_FRAME_V2;
}
static inline grant_status_t *grant_status_of(const struct grant_table *t, grant_ref_t ref)
{
    return &t->status[ref / GRANT_STATUS_PER_FRAME][ref % GRANT_STATUS_PER_FRAME];
}

/* Clear GTF bits of entry @ref. */
void grant_unmark_v2(const struct grant_table *t, grant_ref_t ref, uint16_t bits);
static inline void grant_unmark(const struct grant_table *t, grant_ref_t ref, uint16_t bits)
{
    if (likely(t->version == 1))
        atomic_and((uint32_t *)grant_entry_v1(t, ref), ~(uint32_t)bits);
    else
        grant_unmark_v2(t, ref, bits);
}

/* The version, the entries or @active of @t have changed. */
static inline void grant_table_fast_set(struct grant_table *t) REQUIRES(&t->lock)
{
    t->fast = t->version == 1 && t->active ? t->entries : 0;
}

/* --- the operations (grant-map.c, grant-copy.c) -------------------------------------------------------- */

long grant_map(struct vcpu *v, guest_ptr_t ops, unsigned count);
long grant_unmap(struct vcpu *v, guest_ptr_t ops, unsigned count);
long grant_unmap_and_replace(struct vcpu *v, guest_ptr_t ops, unsigned count);
long grant_copy(struct vcpu *v, guest_ptr_t ops, unsigned count);

/* --- the audit (grant-audit.c) ------------------------------------------------------------------------- */

void grant_audit_init(void);    /* at boot */
extern bool grant_audit_strict; /* for tests, whose guests leave GTF bits alone: G3, too */

/* --- who maps the frames of another domain's table (grant-resource.c) --- */

void grant_resource_init(void); /* at boot */
