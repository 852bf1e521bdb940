/*
 * The one door to guest memory: instructions that may fault, each with the place where it goes on then.
 */
#pragma once

#include "guest-range.h"

/* Pairs (faulting instruction, where to go on) in section .fixup_table; the page-fault and
 * protection-fault handlers look there when ring 0 faults (x86/entry/traps.c). */
#define FIXUP(fault, resume)                                                    \
    ".pushsection .fixup_table, \"a\"\n\t.balign 8\n\t.quad " fault ", " resume \
    "\n\t.popsection\n\t"

/* 0, or -XEN_EFAULT: some byte is the hypervisor's, or not mapped. What was copied before the fault stays. */
static inline must_check int guest_copy_unchecked_(void *to, const void *from, size_t n)
{
    size_t words = n / 8, bytes = n % 8;

    __asm__ goto volatile("1: rep movsq\n\t" FIXUP("1b", "%l[fault]")
                          : "+D"(to), "+S"(from), "+c"(words)
                          :
                          : "memory"
                          : fault);
    if (__builtin_constant_p(n) && n % 8 == 0)
        return 0;
    __asm__ goto volatile("1: rep movsb\n\t" FIXUP("1b", "%l[fault]")
                          : "+D"(to), "+S"(from), "+c"(bytes)
                          :
                          : "memory"
                          : fault);
    return 0;
fault:
    return -XEN_EFAULT;
}

static inline must_check int guest_read(void *to, guest_ptr_t from, size_t n)
{
    if (unlikely(!guest_readable(from.va, n)))
        return -XEN_EFAULT;
    return guest_copy_unchecked_(to, (const void *)from.va, n);
}

static inline must_check int guest_write(guest_ptr_t to, const void *from, size_t n)
{
    if (unlikely(!guest_access_ok(to.va, n)))
        return -XEN_EFAULT;
    return guest_copy_unchecked_((void *)to.va, from, n);
}

/* For batches whose whole range has been checked with guest_readable(). */
static inline must_check int guest_read_checked(void *to, guest_ptr_t from, size_t n)
{
    return guest_copy_unchecked_(to, (const void *)from.va, n);
}

static inline must_check int guest_write_u64_checked(guest_ptr_t to, uint64_t value)
{
    __asm__ goto volatile("1: mov %0, %1\n\t" FIXUP("1b", "%l[fault]")
                          :
                          : "r"(value), "m"(*(uint64_t *)to.va)
                          : "memory"
                          : fault);
    return 0;
fault:
    return -XEN_EFAULT;
}

/* May these @n bytes be read, of a list whose range has been checked with guest_range_ok()?  For: */
static inline bool guest_list_readable(guest_ptr_t at, size_t n)
{
    return likely(!linear_windows_exist) || guest_readable(at.va, n);
}

/* Word @i at @from; what it reads has been checked. */
static inline __attribute__((always_inline)) must_check int
guest_read_word_checked(uint64_t *to, guest_ptr_t from, unsigned i)
{
    uint64_t value;

    __asm__ goto volatile("1: mov %1, %0\n\t" FIXUP("1b", "%l[fault]")
                          : "=&r"(value)
                          : "m"(((const uint64_t *)from.va)[i])
                          :
                          : fault);
    *to = value;
    return 0;
fault:
    return -XEN_EFAULT;
}

#define GUEST_WORD(bits, suffix)                                                           \
    static inline must_check int guest_read_u##bits(uint##bits##_t *to, guest_ptr_t from)  \
    {                                                                                      \
        uint##bits##_t value;                                                              \
        if (unlikely(!guest_readable(from.va, bits / 8)))                                  \
            return -XEN_EFAULT;                                                            \
        __asm__ goto volatile("1: mov" suffix " (%1), %0\n\t" FIXUP("1b", "%l[fault]")     \
                              : "=&r"(value)                                               \
                              : "r"(from.va)                                               \
                              :                                                            \
                              : fault);                                                    \
        *to = value;                                                                       \
        return 0;                                                                          \
    fault:                                                                                 \
        return -XEN_EFAULT;                                                                \
    }                                                                                      \
    static inline must_check int guest_write_u##bits(guest_ptr_t to, uint##bits##_t value) \
    {                                                                                      \
        if (unlikely(!guest_access_ok(to.va, bits / 8)))                                   \
            return -XEN_EFAULT;                                                            \
        __asm__ goto volatile("1: mov" suffix " %0, (%1)\n\t" FIXUP("1b", "%l[fault]")     \
                              :                                                            \
                              : "r"(value), "r"(to.va)                                     \
                              : "memory"                                                   \
                              : fault);                                                    \
        return 0;                                                                          \
    fault:                                                                                 \
        return -XEN_EFAULT;                                                                \
    }
GUEST_WORD(64, "q")
GUEST_WORD(32, "l")
#undef GUEST_WORD
