/*
 * Wants: a table whose counts say less than what refers to it.
 *
 * To validate a tree of tables takes long; it is done piece by piece, and put aside when somebody
 * else's turn has come.  In between another vCPU of the domain pins the same tree, or a part of it,
 * takes the pin away, or changes an entry of a table that is half done (XSA-45, 58, 290, 299, 310).
 * All vCPUs do that here to one tree, of which one leaf by chance is bad, so that validation fails
 * half-way as often as not.  Then all pins are dropped, and every table has to become an ordinary
 * page again.
 *
 * Fails: who changes a table holds its lock or its role; what was put aside keeps a reference; what
 * fails gives back exactly what it took.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <stddef.h>
#include <paravane/hypercall.h>
#include <xen/sched.h>

#define LEAVES 8
#define VCPUS  4

static uint64_t *l4, *l3, *l2, *l1[LEAVES];
static void *data;
static volatile unsigned round,
    stop_round = ~0u;                 /* nobody touches the tables once they are equal */
static volatile unsigned seen[VCPUS]; /* the last round in which each has stopped */

static unsigned long pick_table(struct chance *c, unsigned *level)
{
    unsigned which = chance_below(c, 3 + LEAVES);

    *level = which == 0 ? 4 : which == 1 ? 3 : which == 2 ? 2 : 1;
    return page_mfn(which == 0 ? l4 : which == 1 ? l3 : which == 2 ? l2 : l1[which - 3]);
}

static void disturb(struct chance *c)
{
    unsigned level;
    const unsigned long mfn = pick_table(c, &level), slot = chance_below(c, 512);

    switch (chance_below(c, 5)) {
    case 0:
        mmuext(MMUEXT_PIN_L1_TABLE + level - 1, mfn);
        break;
    case 1:
        mmuext(MMUEXT_UNPIN_TABLE, mfn);
        break;
    case 2: /* a leaf that may not be: a table, writable */
        mmu_set(table_entry_ma(l1[chance_below(c, LEAVES)], slot), pte_of(page_mfn(l3), PTE_RW));
        break;
    case 3:
        mmu_set(table_entry_ma(l1[chance_below(c, LEAVES)], slot), pte_of(page_mfn(data), PTE_RW));
        break;
    default:
        mmu_set(table_entry_ma(l2, chance_below(c, LEAVES)),
                pte_of(page_mfn(l1[chance_below(c, LEAVES)]), PTE_TABLE));
    }
}

static void disturb_all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    for (;;) {
        while (stop_round == round) {
            seen[vcpu] = round;
            hypercall_sched_op(SCHEDOP_yield, NULL);
        }
        disturb(&c);
    }
}

static void fill(void)
{
    for (unsigned k = 0; k < LEAVES; k++)
        for (unsigned i = 0; i < 512; i++)
            l1[k][i] = i % 8 ? pte_of(page_mfn(data), PTE_RW) : 0;
    for (unsigned k = 0; k < LEAVES; k++)
        l2[k] = pte_of(page_mfn(l1[k]), PTE_TABLE);
    l3[0] = pte_of(page_mfn(l2), PTE_TABLE);
    l4[0] = pte_of(page_mfn(l3), PTE_TABLE);
}

static void for_all(long (*function)(uint64_t *table), unsigned *failed)
{
    *failed += function(l4) != 0;
    *failed += function(l3) != 0;
    *failed += function(l2) != 0;
    for (unsigned k = 0; k < LEAVES; k++)
        *failed += function(l1[k]) != 0;
}

static long unpin(uint64_t *table)
{
    return mmuext(MMUEXT_UNPIN_TABLE, page_mfn(table));
}

static long open(uint64_t *table)
{
    return page_protect(table, PTE_RW);
}

static long seal(uint64_t *table)
{
    return page_protect(table, PTE_RO);
}

void guest_main(void)
{
    struct chance c = chance_of(0);
    unsigned stuck = 0, ignored = 0;

    attack_begin("pin-race");
    data = page_alloc();
    l4 = page_alloc(), l3 = page_alloc(), l2 = page_alloc();
    for (unsigned k = 0; k < LEAVES; k++)
        l1[k] = page_alloc();
    fill();
    for_all(seal, &stuck);
    attack_vcpus(VCPUS, disturb_all);
    for (round = 1; !stuck && attack_goes_on(); round++) {
        for (unsigned i = 0; i < 200; i++)
            disturb(&c);
        stop_round = round;
        for (unsigned v = 1; v < VCPUS; v++)
            while (seen[v] != round)
                hypercall_sched_op(SCHEDOP_yield, NULL);
        for_all(unpin, &ignored); /* most have no pin */
        for_all(open, &stuck);
        fill();
        for_all(seal, &stuck);
    }
    tap_note("%u rounds", round);
    tap_is(stuck, 0, "without pins every table is an ordinary page again");
}
