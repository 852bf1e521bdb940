/*
 * Words that everything else is written in: boxed numbers, small macros, BUG().
 *
 *   mfn_t         machine frame number: a 4 KiB frame of real RAM
 *   pfn_t         pseudo-physical frame number: what a guest calls its n-th frame
 *   guest_ptr_t   an address in the running guest's address space; never a C pointer.
 *                 Only guest-access.h (guest_read() and its kin) turns one into memory.
 *   pte_t         one page-table entry (pte.h)
 *
 * A machine address ("maddr") is a plain uint64_t in bytes, time is uint64_t in
 * nanoseconds of system time unless a name says otherwise.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/errno.h>

typedef struct {
    uint64_t n;
} mfn_t;

typedef struct {
    uint64_t n;
} pfn_t;

typedef struct {
    uint64_t va;
} guest_ptr_t;

typedef struct {
    uint64_t v;
} pte_t;

#define MAX_CPUS 64 /* physical; CPU sets are one uint64_t */

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (~(PAGE_SIZE - 1))

static inline mfn_t mfn(uint64_t n)
{
    return (mfn_t){n};
}

static inline pfn_t pfn(uint64_t n)
{
    return (pfn_t){n};
}

static inline guest_ptr_t guest_ptr(uint64_t va)
{
    return (guest_ptr_t){va};
}

static inline guest_ptr_t guest_ptr_add(guest_ptr_t p, uint64_t bytes)
{
    return (guest_ptr_t){p.va + bytes};
}

static inline mfn_t maddr_to_mfn(uint64_t maddr)
{
    return mfn(maddr >> PAGE_SHIFT);
}

static inline uint64_t mfn_to_maddr(mfn_t m)
{
    return m.n << PAGE_SHIFT;
}

#define MFN_NONE (~0ull) /* "no frame": compares unequal to every real one */

/* 0: the slow twin of every fast path does all the work (fastpath.S; the image paravane-slow). */
#ifndef FAST_PATHS
#define FAST_PATHS 1
#endif

#define likely(x)                     __builtin_expect(!!(x), 1)
#define unlikely(x)                   __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                     ((a) < (b) ? (a) : (b))
#define MAX(a, b)                     ((a) > (b) ? (a) : (b))
#define ROUND_UP(x, to)               (((x) + (to)-1) / (to) * (to))
#define ROUND_DOWN(x, to)             ((x) / (to) * (to))
#define BIT(n)                        (1ull << (n))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define must_check                    __attribute__((warn_unused_result))
#define noreturn_                     __attribute__((noreturn))
#define cold_                         __attribute__((cold, noinline))
/* keeps the caller's short path free of its registers */
#define noinline_ __attribute__((noinline))
/* A compiler makes a wide constant anew at each use: one that a loop compares with is to stay in a register. */
#define KEEP(constant)    __asm__("" : "+r"(constant))
#define always_inline_    inline __attribute__((always_inline))
#define printf_like(f, a) __attribute__((format(printf, f, a)))

/* Our own mistake: prints every CPU's state and ends the machine.  No guest input may reach one. */
noreturn_ void bug(const char *file, int line, const char *what);
#define BUG()        bug(__FILE__, __LINE__, "BUG")
#define ASSERT(cond) ((cond) ? (void)0 : bug(__FILE__, __LINE__, #cond))
