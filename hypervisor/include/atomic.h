/* Atomic operations on plain integers, sequentially consistent (x86 gives no less for free). */
#pragma once

#include "types.h"

/*
 *   atomic_read(p), atomic_read_acquire(p), atomic_set(p, v), atomic_set_release(p, v)
 *   atomic_equal(p, v)                                    atomic_read(p) == v, for 16 and 32 bits
 *   atomic_add(p, v), atomic_sub(p, v)                    the new value
 *   atomic_or(p, v), atomic_and(p, v), atomic_exchange(p, v)     the old one
 *   atomic_compare_exchange(p, &expected, want)           if *p == expected store @want and true; else load *p into expected
 *
 * By include path: x86/, or tests/host/machine/, where other CPUs are let in before each.
 */
#include "atomic-ops.h"

#define memory_barrier()   __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define compiler_barrier() __asm__ volatile("" ::: "memory")

/* Bits of a guest-visible bitmap of 64-bit words; true if the bit was set before. */
static inline bool atomic_test_and_set_bit(uint64_t *map, unsigned bit)
{
    return atomic_or(&map[bit / 64], BIT(bit % 64)) & BIT(bit % 64);
}

static inline bool atomic_test_and_clear_bit(uint64_t *map, unsigned bit)
{
    return atomic_and(&map[bit / 64], ~BIT(bit % 64)) & BIT(bit % 64);
}

static inline bool atomic_test_bit(const uint64_t *map, unsigned bit)
{
    return atomic_read(&map[bit / 64]) & BIT(bit % 64);
}
