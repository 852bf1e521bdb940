/* Small objects: alignment, zeroes, exhaustion, and pages that come back. */
#include "suite.h"

static void start(void)
{
    machine_start(1, 1024);
}

TestSuite(slab, .init = start);

Test(slab, objects_of_every_size_are_zero_and_apart)
{
    static const size_t size[] = {1,    8,    63,   64,   65,   128,  500,
                                  1024, 1025, 2048, 2049, 4096, 4097, 20000};
    uint64_t free = page_free_count();

    for (unsigned i = 0; i < ARRAY_SIZE(size); i++) {
        uint8_t *a = mem_alloc(size[i]), *b = mem_alloc(size[i]);
        cr_assert(a && b && a != b, "size %zu", size[i]);
        cr_assert((uintptr_t)a % 64 == 0);
        cr_assert(a + size[i] <= b || b + size[i] <= a, "size %zu overlap", size[i]);
        for (size_t k = 0; k < size[i]; k++)
            cr_assert(a[k] == 0 && b[k] == 0, "size %zu byte %zu", size[i], k);
        memset(a, 0xff, size[i]);
        memset(b, 0xff, size[i]);
        mem_free(a, size[i]);
        mem_free(b, size[i]);
    }
    assert_eq_long(page_free_count(), free);
}

Test(slab, reused_object_is_zero_again)
{
    uint8_t *keep = mem_alloc(100), *a = mem_alloc(100);
    memset(a, 0xff, 100);
    mem_free(a, 100);
    uint8_t *b = mem_alloc(100);
    cr_assert(b == a);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(b[i] == 0);
    (void)keep;
}

Test(slab, exhaustion_gives_null_and_recovers)
{
    void *last = NULL, *p;

    while ((p = mem_alloc(2048)))
        last = p;
    cr_assert(!mem_alloc(4096));
    mem_free(last, 2048);
    cr_assert(mem_alloc(64));
}

Test(slab, null_is_freed_quietly)
{
    mem_free(NULL, 64);
}

Test(slab, wrong_size_is_a_bug, .signal = SIGABRT)
{
    void *p = mem_alloc(64);
    mem_free(p, 1000);
}

#define OBJECTS 500u

Test(slab, random_against_a_model)
{
    struct {
        uint8_t *p;
        size_t size;
        uint8_t fill;
    } object[OBJECTS] = {0};
    struct random r = random_start(2);
    uint64_t free = page_free_count();

    for (unsigned step = 0; step < soak(30000); step++) {
        unsigned i = random_below(&r, OBJECTS);
        if (!object[i].p) {
            object[i].size = 1 + random_below(&r, random_below(&r, 4) ? 300 : 5000);
            object[i].p = mem_alloc(object[i].size);
            object[i].fill = (uint8_t)random_next(&r);
            if (object[i].p)
                memset(object[i].p, object[i].fill, object[i].size);
            continue;
        }
        for (size_t k = 0; k < object[i].size; k++)
            cr_assert(object[i].p[k] == object[i].fill, "step %u: somebody wrote to object %u",
                      step, i);
        mem_free(object[i].p, object[i].size);
        object[i].p = NULL;
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        mem_free(object[i].p, object[i].size);
    assert_eq_long(page_free_count(), free);
}
