/* The operations of atomic.h, with a call before each: another CPU may do something first (race.h).  Without a branch, which would
 * be counted as core's (tools/coverage). */
#pragma once

#include <stdbool.h>

void race_point(const volatile void *at, bool write);

/* clang-format off */
#define atomic_read(p)            (race_point((p), false), __atomic_load_n((p), __ATOMIC_RELAXED))
#define atomic_equal(p, v)        (atomic_read(p) == (v))
#define atomic_read_acquire(p)    (race_point((p), false), __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define atomic_set(p, v)          (race_point((p), true), __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define atomic_set_release(p, v)  (race_point((p), true), __atomic_store_n((p), (v), __ATOMIC_RELEASE))
#define atomic_add(p, v)          (race_point((p), true), __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST))
#define atomic_sub(p, v)          (race_point((p), true), __atomic_sub_fetch((p), (v), __ATOMIC_SEQ_CST))
#define atomic_or(p, v)           (race_point((p), true), __atomic_fetch_or((p), (__typeof__(*(p)))(v), __ATOMIC_SEQ_CST))
#define atomic_and(p, v)          (race_point((p), true), __atomic_fetch_and((p), (__typeof__(*(p)))(v), __ATOMIC_SEQ_CST))
#define atomic_exchange(p, v)     (race_point((p), true), __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST))
/* clang-format on */

#define atomic_compare_exchange(p, expected, want)                                      \
    (race_point((p), true), __atomic_compare_exchange_n((p), (expected), (want), false, \
                                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
