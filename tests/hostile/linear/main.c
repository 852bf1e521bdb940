/*
 * Wants: to write its own page tables without being looked at.
 *
 * A table may name itself, or another of its level, as if it were the table one level down: then
 * the tables show up as pages.  That is allowed for reading.  Were one such entry writable, by
 * whatever way it came to be (at once, by a change of flags alone, by a way round over two tables
 * that name each other, while one is not pinned), the guest would map any frame of the machine.
 * Tables of all four levels get entries that name tables of their own level, of the next and of the
 * one before, with flags by chance, by mmu_update and by a store that is emulated; after each
 * success every entry is looked at: a writable one, of a table in force, may only lead one level
 * down.
 *
 * Fails: an entry that names a table is writable only if that table is one level below, by its
 * role.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

#define EACH  4 /* tables of each level */
#define SLOTS 8 /* entries of each that we use */

static uint64_t *tables[5][EACH];
static bool pinned[5][EACH]; /* so its role is its level, and no other */
static struct chance chance;

static unsigned role_of(unsigned long mfn)
{
    for (unsigned level = 1; level <= 4; level++)
        for (unsigned k = 0; k < EACH; k++)
            if (pinned[level][k] && page_mfn(tables[level][k]) == mfn)
                return level;
    return 0;
}

/* Writable entries of tables in force that name tables in force, and not one level down. */
static unsigned bad_entries(void)
{
    unsigned bad = 0;

    for (unsigned level = 1; level <= 4; level++)
        for (unsigned k = 0; k < EACH; k++)
            for (unsigned i = 0; i < SLOTS; i++) {
                uint64_t e = tables[level][k][i];
                unsigned role = role_of(pte_mfn(e));
                bad += pinned[level][k] && e & PTE_P && e & PTE_W && role && role != level - 1;
            }
    return bad;
}

static long one(void)
{
    unsigned level = 1 + chance_below(&chance, 4), to = 1 + chance_below(&chance, 4),
             k = chance_below(&chance, EACH);
    uint64_t *table = tables[level][k], *target = tables[to][chance_below(&chance, EACH)];
    unsigned slot = chance_below(&chance, SLOTS);
    uint64_t entry = pte_of(page_mfn(target), chance_below(&chance, 3) ? PTE_RO : PTE_RW);
    long rc = -1;

    switch (chance_below(&chance, 6)) {
    case 0:
        rc = mmuext(MMUEXT_UNPIN_TABLE, page_mfn(table));
        pinned[level][k] = pinned[level][k] && rc;
        return rc;
    case 1:
        rc = mmuext(MMUEXT_PIN_L1_TABLE + level - 1, page_mfn(table));
        pinned[level][k] = pinned[level][k] || !rc;
        return rc;
    case 2: /* flags alone */
        return mmu_set(table_entry_ma(table, slot), table[slot] ^ PTE_W);
    case 3:
        if (TRAPS(*(volatile uint64_t *)&table[slot] = entry) == NO_TRAP)
            rc = 0;
        return rc;
    case 4:
        return mmu_set(table_entry_ma(table, slot), 0);
    default:
        return mmu_set(table_entry_ma(table, slot), entry);
    }
}

void guest_main(void)
{
    unsigned long done = 0, tries = 0;
    unsigned bad = 0;

    attack_begin("linear");
    chance = chance_of(0);
    for (unsigned level = 1; level <= 4; level++)
        for (unsigned k = 0; k < EACH; k++)
            tables[level][k] = table_alloc();
    while (!bad && attack_goes_on())
        for (unsigned i = 0; !bad && i < 100; i++, tries++)
            if (!one()) {
                done++;
                bad = bad_entries();
            }
    tap_note("%lu of %lu were done", done, tries);
    tap_is(bad, 0, "no table is writable through an entry of its own level");
}
