/*
 * Tables of guests at levels 2 to 4: an entry holds the table that it names.  Linear entries, which name a table
 * of their own level, are here, too: page-tables.c has the rules.
 */
#include "table-entries.h"
#include "guest-range.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

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

void upper_table_put(struct page_info *pg, int level, unsigned end)
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

int upper_table_get(struct domain *d, struct page_info *pg, int level)
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
    if (level == 4)
        arch_fill_l4(table);
    return 0;
}

int upper_table_update(struct domain *d, struct domain *owner, struct page_info *pg, unsigned slot,
                       pte_t want, enum ad_bits ad)
{
    const int level = page_state_type(atomic_read(&pg->state)) - PAGE_TYPE_L1 + 1;
    uint64_t *entry = (uint64_t *)mfn_to_virt(page_to_mfn(pg)) + slot;

    if (slot_is_ours(level, slot))
        return refuse(HYPERVISOR_SLOT, slot);
    if (owner != d)
        return refuse(TABLE_FOREIGN, level, owner->id);

    pte_t old = pte(*entry);
    if (pte_present(want)) {
        if (upper_flags_ok(want) && pte_change_is_soft(old, want)) {
            pte_store(entry, upper_adjust(level, want), ad);
            return 0;
        }
        int rc = upper_get(d, pg, level, slot, want);
        if (rc)
            return rc;
        want = upper_adjust(level, want);
    }
    pte_store(entry, want, ad);
    if (pte_present(old)) {
        /* Paging-structure caches may hold the old entry wherever this table is in use (XSA-286).  Its target was stamped,
         * but linear maps show tables through it: forget at once. */
        tlb_flush_cpus(atomic_read(&d->tlb_cpus));
        upper_put(pg, level, old);
    }
    return 0;
}
