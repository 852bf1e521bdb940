/*
 * Level-1 tables of guests: what an entry that maps a frame holds, taken and given back entry by entry, and for a
 * whole table at once.  page-tables.c has the rules.
 */
#include "table-entries.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

static bool l1_flags_ok(const struct domain *d, pte_t e)
{
    uint64_t allowed = L1_ALLOWED | PTE_ADDR_MASK;
    if (domain_has(d, ROLE_HARDWARE))
        allowed |= L1_CACHE_BITS;
    return !(e.v & ~allowed);
}

/* Why did a frame not let itself be mapped?  The slow half of l1_get(). */
cold_ static int l1_refuse(const struct domain *d, const struct domain *owner, pte_t e)
{
    mfn_t m = pte_mfn(e);

    if ((e.v & PTE_ADDR_MASK) == PTE_ADDR_MASK)
        return refuse(ENTRY_NAMES_NO_FRAME, e.v);
    if (!mfn_valid(m) || atomic_read(&mfn_to_page(m)->owner) == OWNER_IO)
        return refuse(FRAME_NOT_RAM, m.n);
    const struct page_info *pg = mfn_to_page(m);
    if (atomic_read(&pg->owner) != owner->id || atomic_read(&pg->state) < PAGE_REF_ONE)
        return refuse(FRAME_NOT_OWNED, m.n, atomic_read(&pg->owner), owner->id);
    return refuse(ROLE_CONFLICT, m.n, page_state_type(atomic_read(&pg->state)),
                  page_state_count(atomic_read(&pg->state)));
}

/* Device memory: no frame, no counts; only for the hardware domain. */
static bool l1_device_ok(const struct domain *d, pte_t e)
{
    mfn_t m = pte_mfn(e);
    return domain_has(d, ROLE_HARDWARE) &&
           (!mfn_valid(m) || atomic_read(&mfn_to_page(m)->owner) == OWNER_IO) &&
           arch_device_frame_ok(m);
}

/* Take what present entry *@want holds.  The frame must be @owner's.  Of device memory that is read-only *@want loses the right to write. */
static noinline_ int l1_get(struct domain *d, struct domain *owner, pte_t *want)
{
    const pte_t e = *want;

    if (unlikely(e.v & ~(L1_ALLOWED | PTE_ADDR_MASK)) && !l1_flags_ok(d, e))
        return refuse(ENTRY_BITS_NOT_ALLOWED, e.v);

    mfn_t m = pte_mfn(e);
    if (likely(mfn_valid(m))) {
        struct page_info *pg = mfn_to_page(m);
        if (e.v & PTE_RW ? page_get_and_type(pg, owner, PAGE_TYPE_WRITABLE) == 0
                         : page_get_quick(pg, owner, owner->id))
            return 0;
    }
    if (l1_device_ok(d, e)) {
        if ((e.v & PTE_RW) && arch_device_frame_read_only(m))
            want->v &= ~(uint64_t)PTE_RW;
        return 0;
    }
    return l1_refuse(d, owner, e);
}

/* Give back what @e held.  TLBs may still know it: stamp. */
static inline void l1_put(pte_t e)
{
    mfn_t m = pte_mfn(e);
    if (unlikely(!mfn_valid(m)))
        return;
    struct page_info *pg = mfn_to_page(m);
    if (unlikely(atomic_read(&pg->owner) == OWNER_IO))
        return;
    tlb_stamp(pg);
    if (e.v & PTE_RW)
        page_put_mapped(pg, true);
    else
        page_put_mapped(pg, false);
}

/* l1_update() for what is not everyday: A and D kept, an entry that needs more than a look at a frame's state, a refusal. */
static noinline_ int l1_update_slow(struct domain *d, struct domain *owner, uint64_t *slot,
                                    pte_t want, enum ad_bits ad)
{
    pte_t old = pte(atomic_read(slot));

    if (pte_present(want)) {
        if (pte_change_is_soft(old, want)) {
            pte_store(slot, l1_adjust(want), ad);
            return 0;
        }
        int rc = l1_get(d, owner, &want);
        if (unlikely(rc))
            return rc;
        want = l1_adjust(want);
    }
    pte_store(slot, want, ad);
    if (pte_present(old))
        l1_put(old);
    return 0;
}

static noinline_ int l1_put_slow(pte_t e)
{
    l1_put(e);
    return 0;
}

static noinline_ int l1_reclaim(struct page_info *pg)
{
    page_reclaim(pg);
    return 0;
}

/* What l1_try_get() compares with. */
struct l1_taking {
    uint16_t id;
    struct frames frames;
    struct page_take read_only, writable;
};

static inline struct l1_taking l1_taking(uint16_t id)
{
    return (struct l1_taking){id, frames_all(), page_take(false), page_take(true)};
}

/* l1_get() for entries of the kind that most are, which have no cache bits, of frames of a domain whose lock is held.  False:
 * nothing taken, ask it. */
static inline __attribute__((always_inline)) bool l1_try_get(const struct l1_taking *t, pte_t e)
{
    struct page_info *pg;

    if (!FAST_PATHS || unlikely(!pte_frame(t->frames, e, &pg)))
        return false;
    return e.v & PTE_RW ? page_try_get_owned(pg, t->id, t->writable)
                        : page_try_get_owned(pg, t->id, t->read_only);
}

/* Every call below is the last thing done, so that the everyday case needs no stack. */
int l1_update(struct domain *d, struct domain *owner, uint64_t *slot, pte_t want, enum ad_bits ad)
{
    const pte_t old = pte(atomic_read(slot));
    struct page_info *pg;

    if (!FAST_PATHS)
        return l1_update_slow(d, owner, slot, want, ad);
    if (unlikely(ad == AD_KEPT))
        return l1_update_slow(d, owner, slot, want, AD_KEPT);
    if (pte_present(want)) {
        if (pte_change_is_soft(old, want)) {
            atomic_set(slot, l1_adjust(want).v);
            return 0;
        }
        const struct l1_taking taking = l1_taking(d->id);
        if (unlikely(owner != d) || unlikely(want.v & L1_CACHE_BITS) ||
            unlikely(!l1_try_get(&taking, want)))
            return l1_update_slow(d, owner, slot, want, AD_AS_GIVEN);
        /* visible to all before the clock is read: tlb.h */
        atomic_exchange(slot, l1_adjust(want).v);
    } else {
        atomic_exchange(slot, want.v);
    }
    if (!pte_present(old))
        return 0;
    if (unlikely(!pte_frame(frames_all(), old, &pg)) ||
        unlikely(atomic_equal(&pg->owner, OWNER_IO)) || unlikely(!tlb_try_stamp(pg)))
        return l1_put_slow(old);
    return likely((old.v & PTE_RW ? atomic_sub(&pg->state, PAGE_REF_ONE + 1)
                                  : atomic_sub(&pg->state, PAGE_REF_ONE)) >= PAGE_REF_ONE)
               ? 0
               : l1_reclaim(pg);
}

int l1_compare_exchange(struct domain *d, uint64_t *slot, uint64_t expected, pte_t want)
{
    const pte_t old = pte(expected);
    const bool soft = pte_change_is_soft(old, want);

    const struct l1_taking taking = l1_taking(d->id);

    if (pte_present(want) && !soft && ((want.v & L1_CACHE_BITS) || !l1_try_get(&taking, want))) {
        int rc = l1_get(d, d, &want);
        if (rc)
            return rc;
    }
    if (unlikely(!atomic_compare_exchange(slot, &expected, l1_adjust(want).v))) {
        if (pte_present(want) && !soft)
            l1_put(want);
        return -XEN_EAGAIN;
    }
    if (pte_present(old) && !soft)
        l1_put(old);
    return 0;
}

uint64_t *l1_slot_at(const struct domain *d, uint64_t maddr)
{
    const mfn_t m = maddr_to_mfn(maddr);

    /* The lock keeps the role, and the role the frame. */
    return maddr % sizeof(uint64_t) == 0 && mfn_valid(m) &&
                   page_is_table_of(mfn_to_page(m), d->id, PAGE_TYPE_L1)
               ? maddr_to_virt(maddr)
               : NULL;
}

#define SLOW_SPAN 32u /* entries that take longer than most, between two preemption points */

/* The last reference to a frame was an entry of a table that is given up: freeing takes long, and there may be 512. */
static noinline_ void l1_reclaim_preempt(struct page_info *pg)
{
    page_reclaim(pg);
    (void)preempt_point();
}

/* l1_put() for an entry of a table that is given up: no CPU could come to it any more when the flush clock showed @since. */
static inline void l1_table_put_entry(struct frames frames, pte_t e, uint32_t since)
{
    struct page_info *pg;

    if (unlikely(!pte_frame(frames, e, &pg)) || unlikely(pg->owner == OWNER_IO))
        return;
    tlb_stamp_since(pg, since);
    /* Two constants: a number made from the bit would cost each of 512 entries three instructions. */
    if (unlikely((e.v & PTE_RW ? atomic_sub(&pg->state, PAGE_REF_ONE + 1)
                               : atomic_sub(&pg->state, PAGE_REF_ONE)) < PAGE_REF_ONE))
        l1_reclaim_preempt(pg);
}

void l1_table_put(uint64_t *table, unsigned end)
{
    const uint32_t since = atomic_read(&tlb_clock);
    const struct frames frames = frames_all();

    for (unsigned i = next_group(table, 0); i < end; i = next_group(table, i + GROUP)) {
        const uint64_t *last = &table[MIN(i + GROUP, end)];
        for (const uint64_t *e = &table[i]; e < last; e++)
            if (*e & PTE_P)
                l1_table_put_entry(frames, pte(*e), since);
    }
}

/* l1_table_get() for an entry that is not of the kind that most are; @slow counts those. */
static noinline_ int l1_table_get_slow(struct domain *d, uint64_t *e, unsigned *slow)
{
    pte_t want = pte(*e);

    if (++*slow % SLOW_SPAN == 0)
        (void)preempt_point(); /* a change of role flushes TLBs */
    int rc = l1_get(d, d, &want);
    if (likely(!rc))
        *e = l1_adjust(want).v;
    return rc;
}

int l1_table_get(struct domain *d, uint64_t *table)
{
    struct l1_taking taking = l1_taking(d->id);
    unsigned slow = 0;

    KEEP(taking.writable.least);
    KEEP(taking.writable.zeros);
    KEEP(taking.writable.add);

    for (unsigned i = next_group(table, 0); i < PT_ENTRIES; i = next_group(table, i + GROUP)) {
        for (uint64_t *e = &table[i]; e < &table[i + GROUP]; e++) {
            if (likely((*e & (PTE_P | PTE_US | L1_CACHE_BITS)) == (PTE_P | PTE_US))
                    ? likely(l1_try_get(&taking, pte(*e)))
                    : !(*e & PTE_P))
                continue;
            int rc = l1_table_get_slow(d, e, &slow);
            if (unlikely(rc)) {
                l1_table_put(table, (unsigned)(e - table));
                return rc;
            }
        }
    }
    return 0;
}
