/* The page allocator: buddies that merge, exhaustion, and a long random run against a model. */
#include "suite.h"

static void start(void)
{
    machine_start(1, 2048);
}

TestSuite(page_alloc, .init = start);

/* Every frame of [pg, pg + 2^order) is the hypervisor's, with no reference that could be added to. */
static void assert_block(const struct page_info *pg, unsigned order)
{
    cr_assert(page_to_mfn(pg).n % (1ull << order) == 0, "block of order %u at %lx", order,
              (unsigned long)page_to_mfn(pg).n);
    for (uint64_t i = 0; i < 1ull << order; i++) {
        assert_eq_long(pg[i].owner, OWNER_HYPERVISOR);
        assert_eq_long(page_state_refs(pg[i].state), 0);
    }
}

Test(page_alloc, blocks_are_aligned_and_ours)
{
    for (unsigned order = 0; order < 9; order++) {
        struct page_info *pg = page_alloc(order);
        cr_assert(pg, "order %u", order);
        assert_block(pg, order);
        page_free(pg, order);
    }
}

Test(page_alloc, never_hands_out_what_is_not_ram)
{
    struct page_info *pg;

    while ((pg = page_alloc(0))) {
        uint64_t m = page_to_mfn(pg).n;
        cr_assert(m >= 16 && m < 2048 &&
                  (m < machine.hole_first || m >= machine.hole_first + machine.hole_count));
    }
}

Test(page_alloc, freed_halves_merge_again)
{
    uint64_t all = page_free_count();
    struct page_info *list[2048];
    unsigned n = 0;

    /* All memory in single frames, then all back, every other one first: the big blocks are there
     * again. */
    for (struct page_info *pg; (pg = page_alloc(0));)
        list[n++] = pg;
    assert_eq_long(n, all);
    assert_eq_long(page_free_count(), 0);
    for (unsigned i = 0; i < n; i++)
        if (page_to_mfn(list[i]).n % 2)
            page_free(list[i], 0);
    cr_assert(!page_alloc(1), "no two neighbours are free");
    for (unsigned i = 0; i < n; i++)
        if (page_to_mfn(list[i]).n % 2 == 0)
            page_free(list[i], 0);
    assert_eq_long(page_free_count(), all);
    struct page_info *big = page_alloc(9);
    cr_assert(big, "single frames did not merge to 512");
    assert_block(big, 9);
}

Test(page_alloc, exhaustion_is_no_disaster)
{
    uint64_t all = page_free_count(), taken = 0;
    struct page_info *first = NULL;

    for (struct page_info *pg; (pg = page_alloc(3)); taken += 8)
        first = pg;
    cr_assert(!page_alloc(3));
    cr_assert(!page_alloc_zeroed(3));
    assert_eq_long(page_free_count(), all - taken);
    page_free(first, 3);
    cr_assert(page_alloc(3) == first);
}

Test(page_alloc, order_beyond_all_is_refused)
{
    for (unsigned order = 12; order < 80; order++)
        cr_assert(!page_alloc(order), "order %u", order);
}

Test(page_alloc, zeroed_is_zero)
{
    const uint8_t *p = page_alloc_zeroed(2);
    for (unsigned i = 0; i < 4 * PAGE_SIZE; i++)
        cr_assert(p[i] == 0, "byte %u", i);
}

Test(page_alloc, double_free_is_a_bug, .signal = SIGABRT)
{
    struct page_info *pg = page_alloc(0);
    page_free(pg, 0);
    page_free(pg, 0);
}

/* --- against a model: who has each frame
 * ------------------------------------------------------------------- */

#define HELD 200u

struct held {
    struct page_info *pg;
    unsigned order;
};

static void take(struct held *h, uint8_t *owner, unsigned order)
{
    h->pg = page_alloc(order);
    h->order = order;
    if (!h->pg)
        return;
    assert_block(h->pg, order);
    for (uint64_t i = 0; i < 1ull << order; i++) {
        uint64_t m = page_to_mfn(h->pg).n + i;
        cr_assert(!owner[m], "frame %lx handed out twice", (unsigned long)m);
        owner[m] = 1;
    }
}

static void give(struct held *h, uint8_t *owner)
{
    memset(mfn_to_virt(page_to_mfn(h->pg)), 0xee,
           PAGE_SIZE << h->order); /* its user wrote all over it */
    for (uint64_t i = 0; i < 1ull << h->order; i++)
        owner[page_to_mfn(h->pg).n + i] = 0;
    page_free(h->pg, h->order);
    h->pg = NULL;
}

Test(page_alloc, random_against_a_model)
{
    static uint8_t owner[2048];
    struct held held[HELD] = {0};
    struct random r = random_start(1);
    uint64_t all = page_free_count(), used = 0;

    for (unsigned step = 0; step < soak(20000); step++) {
        struct held *h = &held[random_below(&r, HELD)];
        if (h->pg) {
            used -= 1ull << h->order;
            give(h, owner);
        } else {
            take(h, owner, random_below(&r, 6));
            used += h->pg ? 1ull << h->order : 0;
        }
        assert_eq_long(page_free_count(), all - used);
    }
    for (unsigned i = 0; i < HELD; i++)
        if (held[i].pg)
            give(&held[i], owner);
    assert_eq_long(page_free_count(), all);
    cr_assert(page_alloc(9), "memory is as whole as it was");
}
