/*
 * Question: is a page-table type earned by checking every entry, kept by a
 * pin, and given back completely?
 *
 * Each frame has one type and a count of its users.  Pinning takes one more
 * reference, after the table and everything below it were found valid.  If
 * entry 300 of 512 is bad, the 299 references taken before must all be given back:
 * one too few and a frame can never be used otherwise again, one too many and it
 * becomes writable while it is a page table.  A frame's type count cannot be
 * read, but it can be felt: a frame of type L1 refuses a writable mapping, and
 * a frame that is mapped writable refuses to become an L1.
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

COVERS_CALL(mmuext_op);
COVERS(mmuext_op, MMUEXT_PIN_L1_TABLE);
COVERS(mmuext_op, MMUEXT_PIN_L2_TABLE);
COVERS(mmuext_op, MMUEXT_PIN_L3_TABLE);
COVERS(mmuext_op, MMUEXT_PIN_L4_TABLE);
COVERS(mmuext_op, MMUEXT_UNPIN_TABLE);

#define FULL 512

static long pin(int level, const void *table)
{
    return mmuext(MMUEXT_PIN_L1_TABLE + level - 1, page_mfn(table));
}

static long unpin(const void *table)
{
    return mmuext(MMUEXT_UNPIN_TABLE, page_mfn(table));
}

/* A frame is free of types when it can be mapped writable and read-only at will. */
static bool is_free(void *page)
{
    return page_protect(page, PTE_RW) == 0 && page_protect(page, PTE_RO) == 0;
}

static void test_levels(void)
{
    for (int level = 1; level <= 4; level++) {
        uint64_t *t = table_alloc();
        tap_is(pin(level, t), 0, "an empty L%d: pin", level);
        tap_is(page_protect(t, PTE_RW), -XEN_EBUSY, "an empty L%d: no writable mapping", level);
        tap_is(pin(level, t), -XEN_EINVAL, "an empty L%d: pin twice", level);
        for (int other = 1; other <= 4; other++)
            if (other != level)
                tap_is(pin(other, t), -XEN_EINVAL, "an empty L%d: pin as L%d", level, other);
        tap_is(unpin(t), 0, "an empty L%d: unpin", level);
        tap_is(unpin(t), -XEN_EINVAL, "an empty L%d: unpin twice", level);
        tap_ok(is_free(t), "an empty L%d: free again", level);
        table_free(t);

        void *page = page_alloc();
        tap_is(pin(level, page), -XEN_EINVAL, "L%d: a page mapped writable", level);
        *(volatile char *)page = 1;
        page_free(page);
    }
}

static void test_tree(void)
{
    uint64_t *l1 = page_alloc(), *l2 = page_alloc(), *l3 = page_alloc(), *l4 = page_alloc();
    void *leaf = page_alloc();

    l1[5] = pte_of(page_mfn(leaf), PTE_RW);
    l2[6] = pte_of(page_mfn(l1), PTE_TABLE);
    l3[7] = pte_of(page_mfn(l2), PTE_TABLE);
    l4[8] = pte_of(page_mfn(l3), PTE_TABLE);
    page_protect(l4, PTE_RO);
    page_protect(l3, PTE_RO);
    page_protect(l2, PTE_RO);
    tap_is(pin(4, l4), -XEN_EINVAL, "tree: the L1 is mapped writable");
    tap_ok(is_free(l4) && is_free(l3) && is_free(l2),
           "tree: all three tables above are free again");
    tap_is(page_protect(l1, PTE_RO), 0, "tree: make the L1 read-only");
    tap_is(pin(4, l4), 0, "tree: pin");
    tap_is(page_protect(l1, PTE_RW), -XEN_EBUSY, "tree: the L1 has a type");
    tap_is(page_protect(l2, PTE_RW), -XEN_EBUSY, "tree: the L2 has a type");
    tap_is(page_protect(l3, PTE_RW), -XEN_EBUSY, "tree: the L3 has a type");
    tap_is(pin(1, leaf), -XEN_EINVAL, "tree: the leaf is writable");
    tap_is(pin(1, l1), 0, "tree: the L1 can be pinned by itself");
    tap_is(unpin(l4), 0, "tree: unpin");
    tap_is(page_protect(l1, PTE_RW), -XEN_EBUSY, "tree: the L1 keeps its own pin");
    tap_ok(is_free(l2) && is_free(l3) && is_free(l4), "tree: the others are free");
    tap_is(unpin(l1), 0, "tree: unpin the L1");
    tap_ok(is_free(l1), "tree: the L1 is free");
    tap_is(page_protect(leaf, PTE_RO), 0, "tree: the leaf can be made read-only");
    tap_is(pin(1, leaf), 0, "tree: the leaf lost its writable type");
    tap_is(unpin(leaf), 0, "tree: and gives the new one back");
    page_protect(leaf, PTE_RW);
    page_free(leaf);
    table_free(l1), table_free(l2), table_free(l3), table_free(l4);
}

static void test_hypervisor_slots(void)
{
    uint64_t *l4 = page_alloc();

    for (unsigned slot = 256; slot < 272; slot++)
        l4[slot] = 0xdead001;
    page_protect(l4, PTE_RO);
    tap_is(pin(4, l4), 0, "an L4 with rubbish in the hypervisor's slots: pin");
    tap_ok(l4[256] == *memory_entry(0xffff800000000000, 4) || !l4[256],
           "the m2p slot is filled as in the running root, or blank");
    tap_ok(l4[261] != 0xdead001, "the rubbish is gone");
    tap_is(unpin(l4), 0, "an L4 with rubbish in the hypervisor's slots: unpin");
    table_free(l4);
}

/* An L1 of 511 good entries and one bad one, whose place moves. */
static void test_restore(void)
{
    static const unsigned places[] = {0, 1, 255, 300, 511};
    const struct {
        const char *name;
        uint64_t entry;
        long expected;
    } bad[] = {
        {"a page table mapped writable", pte_of(memory_root_mfn(), PTE_RW), -XEN_EBUSY},
        {"a frame beyond memory", pte_of(0xffffffffff, PTE_RO), -XEN_EINVAL},
        {"a frame of the hypervisor's", pte_of(0x100, PTE_RO), -XEN_EBUSY},
        {"reserved address bits", pte_of(page_mfn(page_alloc()), PTE_RO) | 1ul << 51, -XEN_EPERM},
    };
    uint64_t *l1 = page_alloc();
    void *target = page_alloc();

    for (unsigned b = 0; b < sizeof(bad) / sizeof(bad[0]); b++)
        for (unsigned p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
            page_protect(l1, PTE_RW);
            for (unsigned i = 0; i < FULL; i++)
                l1[i] = pte_of(page_mfn(target), PTE_RW);
            l1[places[p]] = bad[b].entry;
            page_protect(l1, PTE_RO);
            tap_is(pin(1, l1), bad[b].expected, "%s at entry %u: pin", bad[b].name, places[p]);
            page_protect(target, PTE_RO);
            tap_ok(is_free(l1) && pin(1, target) == 0 && unpin(target) == 0,
                   "%s at entry %u: all references are back", bad[b].name, places[p]);
            page_protect(target, PTE_RW);
        }

    page_protect(l1, PTE_RW);
    for (unsigned i = 0; i < FULL; i++)
        l1[i] = pte_of(page_mfn(target), PTE_RW);
    page_protect(l1, PTE_RO);
    page_protect(target, PTE_RO);
    tap_is(pin(1, l1), 0, "512 writable entries: pin");
    tap_is(pin(1, target), -XEN_EINVAL, "512 writable entries: the target is writable");
    tap_is(mmu_set(table_entry_ma(l1, 3), 0), 0, "remove one");
    tap_is(pin(1, target), -XEN_EINVAL, "511 writable entries: still");
    tap_is(unpin(l1), 0, "511 writable entries: unpin");
    tap_is(pin(1, target), 0, "none: the target can be an L1");
    unpin(target);
    page_protect(target, PTE_RW);
    table_free(l1);
    page_free(target);
}

static void test_restore_deep(void)
{
    uint64_t *l1 = table_alloc(), *l2 = page_alloc(), *l3 = page_alloc();

    l2[0] = pte_of(page_mfn(l1), PTE_TABLE);
    l2[1] = pte_of(page_mfn(l1), PTE_TABLE);
    l2[511] = pte_of(memory_root_mfn(), PTE_TABLE);
    l3[0] = pte_of(page_mfn(l2), PTE_TABLE);
    page_protect(l2, PTE_RO);
    page_protect(l3, PTE_RO);
    tap_is(pin(3, l3), -XEN_EINVAL, "an L2 with an L4 below it: pin the L3");
    tap_ok(is_free(l1) && is_free(l2) && is_free(l3), "an L2 with an L4 below it: all are free");

    /* The same L1 twice in one L2, then twice under two L2s. */
    page_protect(l2, PTE_RW);
    l2[511] = 0;
    page_protect(l2, PTE_RO);
    tap_is(pin(3, l3), 0, "one L1 in two entries: pin");
    tap_is(mmu_set(table_entry_ma(l2, 0), 0), 0, "one L1 in two entries: remove one");
    tap_is(page_protect(l1, PTE_RW), -XEN_EBUSY, "one L1 in two entries: it is still in use");
    tap_is(mmu_set(table_entry_ma(l2, 1), 0), 0, "one L1 in two entries: remove the other");
    tap_ok(is_free(l1), "one L1 in two entries: it is free");
    tap_is(unpin(l3), 0, "unpin the L3");
    table_free(l1), table_free(l2), table_free(l3);
}

static void test_in_use(void)
{
    uint64_t *l1 = table_alloc(), *l2 = page_alloc();
    l2[1] = pte_of(page_mfn(l1), PTE_TABLE);
    page_protect(l2, PTE_RO);

    pin(2, l2);
    tap_is(pin(2, l1), -XEN_EINVAL, "an L1 in use: pin as L2");
    tap_is(pin(1, l1), 0, "an L1 in use: pin");
    tap_is(unpin(l1), 0, "an L1 in use: unpin");
    tap_is(page_protect(l1, PTE_RW), -XEN_EBUSY, "an L1 in use: still a table");
    unpin(l2);
    tap_ok(is_free(l1) && is_free(l2), "both are free");
    table_free(l1), table_free(l2);
}

static void test_bad_frames(void)
{
    for (int level = 1; level <= 4; level++) {
        unsigned cmd = MMUEXT_PIN_L1_TABLE + level - 1;
        tap_is(mmuext(cmd, 0xffffffffff), -XEN_EINVAL, "L%d: a frame beyond memory", level);
        tap_is(mmuext(cmd, 0x100), -XEN_EINVAL, "L%d: a frame of the hypervisor's", level);
        tap_is(mmuext(cmd, ~0ul), -XEN_EINVAL, "L%d: frame ~0", level);
        tap_is(mmuext(cmd, guest_info->shared_info >> PAGE_SHIFT), -XEN_EINVAL,
               "L%d: the shared info page", level);
    }
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, 0xffffffffff), -XEN_EINVAL, "unpin a frame beyond memory");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, 0x100), -XEN_EINVAL, "unpin a frame of the hypervisor's");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, guest_info->shared_info >> PAGE_SHIFT), -XEN_EINVAL,
           "unpin the shared info page");
}

void guest_main(void)
{
    unsigned before = memory_free_pages();
    test_levels();
    test_tree();
    test_hypervisor_slots();
    test_restore_deep();
    test_in_use();
    tap_is(memory_free_pages(), before, "every page came back");
    test_restore();
    test_bad_frames();
}
