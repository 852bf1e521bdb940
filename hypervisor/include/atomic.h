/* Atomic operations on plain integers, sequentially consistent (x86 gives no less for free). */
#pragma once

#include "types.h"

#define atomic_read(p)            __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_read_acquire(p)    __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_set(p, v)          __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_set_release(p, v)  __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_add(p, v)          __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_sub(p, v)          __atomic_sub_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_or(p, v)           __atomic_fetch_or((p), (__typeof__(*(p)))(v), __ATOMIC_SEQ_CST)
#define atomic_and(p, v)          __atomic_fetch_and((p), (__typeof__(*(p)))(v), __ATOMIC_SEQ_CST)
#define atomic_exchange(p, v)     __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define memory_barrier()          __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define compiler_barrier()        __asm__ volatile("" ::: "memory")

/* If *p == *expected store @want and return true; else load *p into *expected. */
#define atomic_compare_exchange(p, expected, want)                                               \
    __atomic_compare_exchange_n((p), (expected), (want), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

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
