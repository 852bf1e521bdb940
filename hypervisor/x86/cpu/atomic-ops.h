/* The operations of atomic.h as the processor has them. */
#pragma once

#define atomic_read(p)           __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_read_acquire(p)   __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_set(p, v)         __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_set_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_add(p, v)         __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_sub(p, v)         __atomic_sub_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_or(p, v)          __atomic_fetch_or((p), (__typeof__(*(p)))(v), __ATOMIC_SEQ_CST)
#define atomic_and(p, v)         __atomic_fetch_and((p), (__typeof__(*(p)))(v), __ATOMIC_SEQ_CST)
#define atomic_exchange(p, v)    __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)

#define atomic_compare_exchange(p, expected, want) \
    __atomic_compare_exchange_n((p), (expected), (want), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* The compiler would load into a register first. */
#define atomic_equal(p, v)                                                               \
    ({                                                                                   \
        int equal_;                                                                      \
        const __typeof__(*(p)) with_ = (v);                                              \
        _Static_assert(sizeof(with_) == 2 || sizeof(with_) == 4, "words");               \
        if (sizeof(with_) == 2)                                                          \
            __asm__ volatile("cmpw %w2, %1" : "=@cce"(equal_) : "m"(*(p)), "ri"(with_)); \
        else                                                                             \
            __asm__ volatile("cmpl %k2, %1" : "=@cce"(equal_) : "m"(*(p)), "ri"(with_)); \
        equal_ != 0;                                                                     \
    })
