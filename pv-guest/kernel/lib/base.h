/*
 * What every file of the kernel may assume: sizes, small arithmetic, boxed frame numbers.
 *
 * A page frame number (pfn_t) counts the pages that this kernel was given, from
 * zero on.  What the machine calls the same page is nobody's business outside
 * platform/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (~(PAGE_SIZE - 1))

typedef struct {
    unsigned long n;
} pfn_t;

static inline pfn_t pfn(unsigned long n)
{
    return (pfn_t){n};
}

/* A set of CPUs: bit n is CPU n. */
typedef uint64_t cpus_t;
#define CPU_MAX  64
#define CPUS_ALL (~(cpus_t)0) /* whichever there are */

#define ARRAY_SIZE(a)   (sizeof(a) / sizeof((a)[0]))
#define ROUND_UP(x, n)  (((x) + (n)-1) & ~((__typeof__(x))(n)-1))
#define PAGES_FOR(size) (((size) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define UNUSED     __attribute__((unused))
#define NORETURN   __attribute__((noreturn))
#define MUST_CHECK __attribute__((warn_unused_result))
