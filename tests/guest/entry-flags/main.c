/*
 * Question: which bits may a present entry of each level have?
 *
 * Every bit that a guest may set in a page-table entry is a decision.  PSE in
 * an L2 would map 2 MiB that nobody counted; the reserved address bits would
 * fault in the hypervisor's name; cache attributes are for domains with
 * devices.  The table below asks for each bit at each level, once as a new
 * entry and once as a change of flags alone, which XSA-148 and XSA-182 are
 * about.
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>

#define OK    0
#define BAD   (-XEN_EINVAL)
#define IOMEM (-XEN_EPERM) /* an address that is no RAM is a question of I/O memory rights */

static const struct {
    const char *name;
    uint64_t bits;
    long expected[5]; /* by level */
} cases[] = {
    {"none", 0, {0, OK, OK, OK, OK}},
    {"RW", PTE_W, {0, OK, OK, OK, OK}},
    {"US", PTE_U, {0, OK, OK, OK, OK}},
    {"A", PTE_A, {0, OK, OK, OK, OK}},
    {"D", PTE_D, {0, OK, OK, OK, OK}},
    {"AVAIL 9", 1ul << 9, {0, OK, OK, OK, OK}},
    {"AVAIL 10", 1ul << 10, {0, OK, OK, OK, OK}},
    {"AVAIL 11", 1ul << 11, {0, OK, OK, OK, OK}},
    {"bit 52", 1ul << 52, {0, OK, OK, OK, OK}},
    {"bit 53", 1ul << 53, {0, OK, OK, OK, OK}},
    {"bit 58", 1ul << 58, {0, OK, OK, OK, OK}},
    {"bit 62", 1ul << 62, {0, OK, OK, OK, OK}},
    {"NX", PTE_NX, {0, OK, OK, OK, OK}},
    {"G", PTE_G, {0, OK, BAD, BAD, BAD}},
    {"bit 7 (PSE)", PTE_PSE, {0, 1, BAD, BAD, BAD}},
    {"PWT", PTE_PWT, {0, 1, BAD, BAD, BAD}},
    {"PCD", PTE_PCD, {0, 1, BAD, BAD, BAD}},
    {"address bit 51", 1ul << 51, {0, IOMEM, BAD, BAD, BAD}},
    {"address bit 48", 1ul << 48, {0, IOMEM, BAD, BAD, BAD}},
};

static uint64_t *tables[5];
static void *leaf;

static unsigned long target(int level)
{
    return level == 1 ? page_mfn(leaf) : page_mfn(tables[level - 1]);
}

void guest_main(void)
{
    leaf = page_alloc();
    for (int level = 1; level <= 4; level++) {
        tables[level] = table_alloc();
        mmuext(MMUEXT_PIN_L1_TABLE + level - 1, page_mfn(tables[level]));
    }

    for (int level = 1; level <= 4; level++)
        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            uint64_t ma = table_entry_ma(tables[level], 9);
            uint64_t pte = pte_of(target(level), PTE_P | cases[i].bits);

            /* Cache attributes in an L1 are a matter of the domain's devices:
             * the first domain has them. */
            long expected = cases[i].expected[level] == 1 ? guest_is_first() ? OK : BAD
                                                          : cases[i].expected[level];
            tap_is(mmu_set(ma, pte), expected, "L%d, %s: a new entry", level, cases[i].name);
            mmu_set(ma, pte_of(target(level), PTE_P));
            tap_is(mmu_set(ma, pte), expected, "L%d, %s: a change of flags", level, cases[i].name);
            mmu_set(ma, 0);
            tap_is(mmu_set(ma, pte & ~PTE_P), 0, "L%d, %s: not present", level, cases[i].name);
            tap_is_hex(tables[level][9], pte & ~PTE_P, "L%d, %s: not present reads back", level,
                       cases[i].name);
            tap_is(mmu_set(ma, 0), 0, "L%d, %s: removed", level, cases[i].name);
        }

    for (int level = 4; level >= 1; level--) {
        tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(tables[level])), 0, "L%d: unpin", level);
        tap_is(page_protect(tables[level], PTE_RW), 0, "L%d: no reference was left", level);
    }
}
