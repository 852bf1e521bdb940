/*
 * Guest page tables: what an entry may say, and what each present entry holds.
 *
 * A guest writes its page tables only through us.  Every present entry of a validated table holds
 *
 *   L1 entry, read-only     a reference to the frame it maps
 *   L1 entry, writable      a reference and a WRITABLE type reference
 *   L2, L3, L4 entry        a reference and a type reference L1, L2, L3 to the table it names
 *   linear entry            a reference and a type reference of its own level (below); none when it names
 *                           its own table
 *
 * A frame cannot be WRITABLE and a page table at once (page.h), so no guest can write to a table behind our back:
 * that is invariant I2, and the whole of memory safety hangs from it.
 *
 * Linear (recursive) tables: an entry of an Ln table may name an Ln table, read-only.  One step deep: a table that
 * is named linearly may not itself name others so, and vice versa (XSA-240), except that any may name itself.  page_info.linear
 * counts both directions by its sign.
 */
#include "page-tables.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"
#include "tlb.h"

/* Bits that a guest's entry may have besides the address. */
#define ENTRY_ALLOWED \
    (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_AVAIL | PTE_AVAIL_HIGH | PTE_NX)
#define L1_ALLOWED    (ENTRY_ALLOWED | PTE_G)
#define L1_CACHE_BITS (PTE_PWT | PTE_PCD | PTE_PAT) /* only with device memory to map */

/* Bits that may change without looking at the entry again: they give no access that was not checked. */
#define SOFT_BITS (PTE_A | PTE_D | PTE_AVAIL | PTE_AVAIL_HIGH | PTE_NX | PTE_G | PTE_US)

/* --- level 1 ------------------------------------------------------------------------------------------- */

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

static inline void pte_store(uint64_t *slot, pte_t want, bool preserve_ad)
{
    if (likely(!preserve_ad)) {
        atomic_exchange(slot, want.v); /* the old one is to be stamped: tlb.h */
        return;
    }
    /* The CPU may set A and D at any moment: carry them over in the same exchange. */
    uint64_t old = atomic_read(slot);
    while (!atomic_compare_exchange(slot, &old, want.v | (old & (PTE_A | PTE_D))))
        ;
}

/* l1_update() for what is not everyday: A and D kept, an entry that needs more than a look at a frame's state, a refusal. */
static noinline_ int l1_update_slow(struct domain *d, struct domain *owner, uint64_t *slot,
                                    pte_t want, bool preserve_ad)
{
    pte_t old = pte(atomic_read(slot));

    if (pte_present(want)) {
        if (pte_present(old) && !((old.v ^ want.v) & ~SOFT_BITS)) {
            pte_store(slot, l1_adjust(want), preserve_ad);
            return 0;
        }
        int rc = l1_get(d, owner, &want);
        if (unlikely(rc))
            return rc;
        want = l1_adjust(want);
    }
    pte_store(slot, want, preserve_ad);
    if (pte_present(old))
        l1_put(old);
    return 0;
}

/* The reference that was taken for @want came when its frame had just changed hands. */
static noinline_ int l1_update_again(struct domain *d, struct domain *owner, uint64_t *slot,
                                     pte_t want)
{
    page_put_mapped(mfn_to_page(pte_mfn(want)), true);
    return l1_update_slow(d, owner, slot, want, false);
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

/* Every call below is the last thing done, so that the everyday case needs no stack. */
int l1_update(struct domain *d, struct domain *owner, uint64_t *slot, pte_t want, bool preserve_ad)
{
    const pte_t old = pte(atomic_read(slot));

    if (!FAST_PATHS)
        return l1_update_slow(d, owner, slot, want, preserve_ad);
    if (unlikely(preserve_ad))
        return l1_update_slow(d, owner, slot, want, true);
    if (pte_present(want)) {
        if (pte_present(old) && !((old.v ^ want.v) & ~SOFT_BITS)) {
            atomic_set(slot, l1_adjust(want).v);
            return 0;
        }
        const mfn_t m = pte_mfn(want);
        struct page_info *pg = mfn_to_page(m);
        if (unlikely((want.v & (PTE_RW | L1_CACHE_BITS)) != PTE_RW || !mfn_valid(m) ||
                     !page_try_get_mapped(pg, owner->id, true)))
            return l1_update_slow(d, owner, slot, want, false);
        if (unlikely(atomic_read(&pg->owner) != owner->id))
            return l1_update_again(d, owner, slot, want);
        /* visible to all before the clock is read: tlb.h */
        atomic_exchange(slot, l1_adjust(want).v);
    } else {
        atomic_exchange(slot, want.v);
    }
    if (!pte_present(old))
        return 0;
    const mfn_t m = pte_mfn(old);
    struct page_info *pg = mfn_to_page(m);
    if (unlikely(!(old.v & PTE_RW) || !mfn_valid(m) || atomic_equal(&pg->owner, OWNER_IO) ||
                 !tlb_try_stamp(pg)))
        return l1_put_slow(old);
    return likely(atomic_sub(&pg->state, PAGE_REF_ONE + 1) >= PAGE_REF_ONE) ? 0 : l1_reclaim(pg);
}

/* l1_get() for entries of the kind that most are, in line; false: nothing taken, ask it. */
static inline bool l1_try_get(pte_t e, uint16_t id)
{
    const mfn_t m = pte_mfn(e);
    struct page_info *pg = mfn_to_page(m);

    if (unlikely((e.v & (PTE_RW | PTE_US | L1_CACHE_BITS)) != (PTE_RW | PTE_US) || !mfn_valid(m) ||
                 !page_try_get_mapped(pg, id, true)))
        return false;
    if (likely(atomic_read(&pg->owner) == id))
        return true;
    page_put_mapped(pg, true);
    return false;
}

int l1_compare_exchange(struct domain *d, uint64_t *slot, uint64_t expected, pte_t want)
{
    const pte_t old = pte(expected);
    const bool soft = pte_present(want) && pte_present(old) && !((old.v ^ want.v) & ~SOFT_BITS);

    if (pte_present(want) && !soft && !l1_try_get(want, d->id)) {
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

/*
 * Most tables are sparse: look at many slots at a time, first four groups and then one.
 */
#define GROUP   8
#define ANY8(e) ((e)[0] | (e)[1] | (e)[2] | (e)[3] | (e)[4] | (e)[5] | (e)[6] | (e)[7])

/* The first group of @table at or behind slot @i (a multiple of GROUP) with a present entry; PT_ENTRIES: none. */
static inline __attribute__((always_inline)) unsigned next_group(const uint64_t *table, unsigned i)
{
    for (; i < PT_ENTRIES; i += GROUP) {
        const uint64_t *e = &table[i];
        if (i % (4 * GROUP) == 0 &&
            !((ANY8(e) | ANY8(e + 8) | ANY8(e + 16) | ANY8(e + 24)) & PTE_P))
            i += 3 * GROUP;
        else if (ANY8(e) & PTE_P)
            break;
    }
    return i;
}

#define SLOW_SPAN 32u /* entries that take longer than most, between two preemption points */

/* The last reference to a frame was an entry of a table that is given up: freeing takes long, and there may be 512. */
static noinline_ void l1_reclaim_preempt(struct page_info *pg)
{
    page_reclaim(pg);
    (void)preempt_point();
}

/* l1_put() for an entry of a table that is given up: no CPU could come to it any more when the flush clock showed @since. */
static inline void l1_table_put_entry(pte_t e, uint32_t since)
{
    mfn_t m = pte_mfn(e);
    if (unlikely(!mfn_valid(m)))
        return;
    struct page_info *pg = mfn_to_page(m);
    if (unlikely(pg->owner == OWNER_IO))
        return;
    tlb_stamp_since(pg, since);
    /* Two constants: a number made from the bit would cost each of 512 entries three instructions. */
    if (unlikely((e.v & PTE_RW ? atomic_sub(&pg->state, PAGE_REF_ONE + 1)
                               : atomic_sub(&pg->state, PAGE_REF_ONE)) < PAGE_REF_ONE))
        l1_reclaim_preempt(pg);
}

static void l1_table_put(uint64_t *table, unsigned end)
{
    const uint32_t since = atomic_read(&tlb_clock);

    for (unsigned i = next_group(table, 0); i < end; i = next_group(table, i + GROUP)) {
        const uint64_t *last = &table[MIN(i + GROUP, end)];
        for (const uint64_t *e = &table[i]; e < last; e++)
            if (*e & PTE_P)
                l1_table_put_entry(pte(*e), since);
    }
}

static int l1_table_get(struct domain *d, uint64_t *table)
{
    const uint16_t id = d->id;
    unsigned slow = 0;

    for (unsigned i = next_group(table, 0); i < PT_ENTRIES; i = next_group(table, i + GROUP)) {
        for (uint64_t *e = &table[i]; e < &table[i + GROUP]; e++) {
            pte_t want = pte(*e);
            if (!pte_present(want))
                continue;
            if (likely(l1_try_get(want, id)))
                continue;
            if (++slow % SLOW_SPAN == 0)
                (void)preempt_point(); /* a change of role flushes TLBs */
            int rc = l1_get(d, d, &want);
            if (unlikely(rc)) {
                l1_table_put(table, (unsigned)(e - table));
                return rc;
            }
            *e = l1_adjust(want).v;
        }
    }
    return 0;
}

/* --- levels 2 to 4 --------------------------------------------------------------------------------------- */

static inline pte_t upper_adjust(int level, pte_t e)
{
    if (pte_present(e))
        e.v |= level == 4 ? PTE_US | PTE_A : PTE_US;
    return e;
}

static inline bool upper_flags_ok(pte_t e)
{
    return !(e.v & ~(ENTRY_ALLOWED | PTE_ADDR_MASK));
}

static bool slot_is_ours(int level, unsigned slot)
{
    return level == 4 && slot >= HYPERVISOR_SLOT_FIRST && slot <= HYPERVISOR_SLOT_LAST;
}

/* Move @pg.linear by @step if it has, or gets, the sign of @step. */
static bool linear_move(struct page_info *pg, int step)
{
    int now = pg->linear;
    if (step > 0 ? now < 0 || now == INT16_MAX : now > 0 || now == INT16_MIN)
        return false;
    pg->linear = (int16_t)(now + step);
    return true;
}

/* Entry @e, slot @slot of table @table (of @level), names a table of @level itself: allow it by the rules above. */
static int linear_get(struct domain *d, struct page_info *table, int level, unsigned slot, pte_t e)
{
    struct page_info *target = mfn_to_page(pte_mfn(e));

    if (e.v & PTE_RW)
        return refuse(LINEAR_WRITABLE, pte_mfn(e).n, level);
    if (level == 4)
        linear_window_shut(d, slot);
    if (target == table)
        return 0;
    /* Only a table that is validated already: validating one of our own level could go on for ever. */
    if (!(atomic_read(&target->state) & PAGE_VALIDATED))
        return refuse(TABLE_BELOW_INVALID, pte_mfn(e).n, level - 1,
                      page_state_type(atomic_read(&target->state)));
    if (!linear_move(table, -1))
        return refuse(LINEAR_TOO_DEEP, pte_mfn(e).n);
    if (!linear_move(target, +1)) {
        table->linear++;
        return refuse(LINEAR_TOO_DEEP, pte_mfn(e).n);
    }
    int rc = page_get_and_type(target, d, page_type_of_level(level));
    if (rc) {
        table->linear++;
        target->linear--;
        return refuse(TABLE_BELOW_INVALID, pte_mfn(e).n, level - 1,
                      page_state_type(atomic_read(&target->state)));
    }
    return 0;
}

static int upper_get(struct domain *d, struct page_info *table, int level, unsigned slot, pte_t e)
{
    mfn_t m = pte_mfn(e);

    if (!upper_flags_ok(e))
        return refuse(UPPER_ENTRY_BITS_NOT_ALLOWED, e.v, level);
    struct page_info *target = mfn_to_page(m);
    uint64_t state = mfn_valid(m) ? page_state_of(target, d->id) : 0;
    if (!state)
        return refuse(TABLE_BELOW_INVALID, m.n, level - 1, ~0ul);
    if (page_state_type(state) == page_type_of_level(level) && page_state_count(state))
        return linear_get(d, table, level, slot, e);

    int rc = page_get_and_type(target, d, page_type_of_level(level - 1));
    /* Its own entry's refusal has been recorded; a role conflict has not. */
    if (rc == -XEN_EINVAL && page_state_count(state) &&
        page_state_type(state) != page_type_of_level(level - 1))
        return refuse(TABLE_BELOW_INVALID, m.n, level - 1, page_state_type(state));
    return rc;
}

static void upper_put(struct page_info *table, int level, pte_t e)
{
    struct page_info *target = mfn_to_page(pte_mfn(e));

    if (target == table)
        return;
    tlb_stamp(target);
    if (page_state_type(atomic_read(&target->state)) == page_type_of_level(level)) {
        target->linear--;
        table->linear++;
    }
    page_put_and_type(target);
}

static void upper_table_put(struct page_info *pg, int level, unsigned end)
{
    uint64_t *table = mfn_to_virt(page_to_mfn(pg));

    for (unsigned i = next_group(table, 0); i < end; i = next_group(table, i + GROUP)) {
        for (unsigned slot = i; slot < MIN(i + GROUP, end); slot++) {
            if (!(table[slot] & PTE_P) || slot_is_ours(level, slot))
                continue;
            upper_put(pg, level, pte(table[slot]));
            (void)preempt_point();
        }
    }
}

static int upper_table_get(struct domain *d, struct page_info *pg, int level)
{
    uint64_t *table = mfn_to_virt(page_to_mfn(pg));

    for (unsigned i = next_group(table, 0); i < PT_ENTRIES; i = next_group(table, i + GROUP)) {
        for (unsigned slot = i; slot < i + GROUP; slot++) {
            if (!(table[slot] & PTE_P) || slot_is_ours(level, slot))
                continue;
            int rc = upper_get(d, pg, level, slot, pte(table[slot]));
            if (rc) {
                upper_table_put(pg, level, slot);
                return rc;
            }
            table[slot] = upper_adjust(level, pte(table[slot])).v;
            (void)preempt_point();
        }
    }
    return 0;
}

/* --- whole tables ---------------------------------------------------------------------------------------- */

int page_table_validate(struct domain *d, struct page_info *pg, int level)
{
    int rc;

    if (level == 1)
        rc = l1_table_get(d, mfn_to_virt(page_to_mfn(pg)));
    else
        rc = upper_table_get(d, pg, level);
    if (rc == 0 && level == 4)
        arch_fill_l4(mfn_to_virt(page_to_mfn(pg)));
    return rc;
}

void page_table_invalidate(struct page_info *pg, int level)
{
    if (level == 1)
        l1_table_put(mfn_to_virt(page_to_mfn(pg)), PT_ENTRIES);
    else
        upper_table_put(pg, level, PT_ENTRIES);
}

int page_table_update(struct domain *d, struct domain *owner, struct page_info *pg, unsigned slot,
                      pte_t want, bool preserve_ad)
{
    int level = page_state_type(atomic_read(&pg->state)) - PAGE_TYPE_L1 + 1;
    uint64_t *entry = (uint64_t *)mfn_to_virt(page_to_mfn(pg)) + slot;

    if (level == 1)
        return l1_update(d, owner, entry, want, preserve_ad);
    if (slot_is_ours(level, slot))
        return refuse(HYPERVISOR_SLOT, slot);
    if (owner != d)
        return refuse(TABLE_FOREIGN, level, owner->id);

    pte_t old = pte(*entry);
    if (pte_present(want)) {
        if (pte_present(old) && upper_flags_ok(want) && !((old.v ^ want.v) & ~SOFT_BITS)) {
            pte_store(entry, upper_adjust(level, want), preserve_ad);
            return 0;
        }
        int rc = upper_get(d, pg, level, slot, want);
        if (rc)
            return rc;
        want = upper_adjust(level, want);
    }
    pte_store(entry, want, preserve_ad);
    if (pte_present(old)) {
        /* Paging-structure caches may hold the old entry wherever this table is in use (XSA-286).  Its target was stamped,
         * but linear maps show tables through it: forget at once. */
        tlb_flush_cpus(atomic_read(&d->tlb_cpus));
        upper_put(pg, level, old);
    }
    return 0;
}

/* The entry of @va in the table of @level that @e names. */
static inline uint64_t *table_slot(pte_t e, uint64_t va, int level)
{
    return (uint64_t *)((char *)maddr_to_virt(e.v & PTE_ADDR_MASK) +
                        pt_index(va, level) * sizeof(uint64_t));
}

/* A linear entry of an L4 leads to an L4 again, and its slots of ours on to our own tables. */
static inline bool walks_into_ours(pte_t e, uint64_t va, int level)
{
    return unlikely(pt_index(va, level) - HYPERVISOR_SLOT_FIRST <=
                    HYPERVISOR_SLOT_LAST - HYPERVISOR_SLOT_FIRST) &&
           page_state_type(atomic_read(&mfn_to_page(pte_mfn(e))->state)) == PAGE_TYPE_L4;
}

static noinline_ uint64_t *l1_slot_slow(const struct vcpu *v, uint64_t va)
{
    pte_t e = pte(*table_slot(pte(vcpu_kernel_root(v)), va, 4));
    if (!pte_present(e) || walks_into_ours(e, va, 3))
        return NULL;
    e = pte(*table_slot(e, va, 3));
    if (!pte_present(e) || walks_into_ours(e, va, 2))
        return NULL;
    e = pte(*table_slot(e, va, 2));
    /* Through a linear entry one arrives at a table of a higher level: that is not an L1 slot. */
    if (!pte_present(e) ||
        page_state_type(atomic_read(&mfn_to_page(pte_mfn(e))->state)) != PAGE_TYPE_L1)
        return NULL;
    return table_slot(e, va, 1);
}

uint64_t *l1_slot(const struct vcpu *v, uint64_t va)
{
    if (unlikely(!guest_access_ok(va, 1)))
        return NULL;
    /* No L4 table names one: no walk can come upon our slots. */
    if (!FAST_PATHS || unlikely(linear_windows_exist))
        return l1_slot_slow(v, va);
    pte_t e = pte(((const uint64_t *)maddr_to_virt(vcpu_kernel_root(v)))[pt_index(va, 4)]);
    if (!pte_present(e))
        return NULL;
    e = pte(*table_slot(e, va, 3));
    if (!pte_present(e))
        return NULL;
    e = pte(*table_slot(e, va, 2));
    if (!pte_present(e) || (atomic_read(&mfn_to_page(pte_mfn(e))->state) & PAGE_TYPE_MASK) !=
                               (uint64_t)PAGE_TYPE_L1 << PAGE_TYPE_SHIFT)
        return NULL;
    return table_slot(e, va, 1);
}

/* --- pins and roots ---------------------------------------------------------------------------------------- */

int page_table_pin(struct domain *d, struct domain *owner, mfn_t m, int level)
{
    struct page_info *pg = mfn_to_page(m);
    uint64_t state = mfn_valid(m) ? page_state_of(pg, owner->id) : 0;
    if (!state)
        return refuse(PIN_FRAME_NOT_OWNED, m.n);
    int rc = page_get_and_type(pg, owner, page_type_of_level(level));
    if (rc) {
        if (page_state_count(state) && page_state_type(state) != page_type_of_level(level))
            return refuse(PIN_ROLE_CONFLICT, m.n, level, page_state_type(state));
        return rc;
    }
    if (atomic_or(&pg->state, PAGE_PINNED) & PAGE_PINNED) {
        page_put_and_type(pg);
        return refuse(PINNED_ALREADY, m.n);
    }
    return 0;
}

int page_table_unpin(struct domain *d, mfn_t m)
{
    struct page_info *pg = mfn_to_page(m);
    uint64_t state = mfn_valid(m) ? page_state_of(pg, d->id) : 0;
    if (unlikely(!(state & PAGE_PINNED)))
        return state ? refuse(NOT_PINNED, m.n) : refuse(PIN_FRAME_NOT_OWNED, m.n);
    /* The lock keeps the pin, and the pin the frame. */
    atomic_and(&pg->state, ~PAGE_PINNED);
    page_put_and_type(pg);
    return 0;
}

cold_ static int root_refuse(const struct domain *d, mfn_t l4, int rc)
{
    uint64_t state = mfn_valid(l4) ? page_state_of(mfn_to_page(l4), d->id) : 0;
    if (!state)
        return refuse(PIN_FRAME_NOT_OWNED, l4.n);
    if (page_state_count(state) && page_state_type(state) != PAGE_TYPE_L4)
        return refuse(PIN_ROLE_CONFLICT, l4.n, 4, page_state_type(state));
    return rc; /* the entry's own refusal */
}

static inline int root_get(struct domain *d, mfn_t l4)
{
    int rc = mfn_valid(l4) ? page_get_and_type(mfn_to_page(l4), d, PAGE_TYPE_L4) : -XEN_EINVAL;

    return likely(!rc) ? 0 : root_refuse(d, l4, rc);
}

/* No stamp: each load of CR3 makes the CPU forget what it knew by the root before, and no CR3 has this one on behalf of the
 * vCPU that gives it up. */
static void root_put(uint64_t cr3)
{
    if (!cr3)
        return;
    page_put_and_type(mfn_to_page(maddr_to_mfn(cr3)));
}

int vcpu_load_root(struct vcpu *v, mfn_t l4)
{
    mutex_lock(&v->domain->mmu);
    int rc = root_get(v->domain, l4);
    if (rc == 0)
        vcpu_set_kernel_root(v, mfn_to_maddr(l4));
    mutex_unlock(&v->domain->mmu);
    return rc;
}

int vcpu_new_root(struct vcpu *v, mfn_t l4)
{
    uint64_t old = vcpu_kernel_root(v);

    /* numbers of frames: as addresses those from 2^52 on would look like others */
    if (maddr_to_mfn(old).n != l4.n) {
        int rc = root_get(v->domain, l4);
        if (rc)
            return rc;
        vcpu_set_kernel_root(v, mfn_to_maddr(l4));
    } else {
        old = 0;
    }
    arch_load_root(v);
    root_put(old);
    return 0;
}

int vcpu_new_user_root(struct vcpu *v, mfn_t l4)
{
    uint64_t old = vcpu_user_root(v);

    if (maddr_to_mfn(old).n == l4.n)
        return 0;
    if (l4.n) {
        int rc = root_get(v->domain, l4);
        if (rc)
            return rc;
    }
    vcpu_set_user_root(v, mfn_to_maddr(l4));
    root_put(old);
    return 0;
}

void vcpu_drop_roots(struct vcpu *v)
{
    root_put(vcpu_kernel_root(v));
    root_put(vcpu_user_root(v));
    vcpu_set_kernel_root(v, 0);
    vcpu_set_user_root(v, 0);
}
