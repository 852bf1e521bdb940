/*
 * A guest that keeps its own numbers in every vector register, and looks whether they stay: for
 * tests with several guests on one CPU.  AVX where CPUID has it, else SSE; x87, MXCSR and, every
 * other round, CR0.TS too.
 */
#include "guest.h"
#include "console.h"

#include <paravane/hypercall.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/sched.h>

#define ROUNDS 20000u

static uint8_t want[16][32], got[16][32];
static bool avx;

static bool has_avx(void)
{
    uint32_t a = 1, b, c = 0, d;

    __asm__ volatile(XEN_CPUID : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 26 & 1) || !(c >> 28 & 1))
        return false;
    uint64_t cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1ul << 18));
    __asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
    return true;
}

#define EACH(R) \
    R(0) R(1) R(2) R(3) R(4) R(5) R(6) R(7) R(8) R(9) R(10) R(11) R(12) R(13) R(14) R(15)

static void load(void)
{
#define YMM(n) __asm__ volatile("vmovdqu %0, %%ymm" #n : : "m"(want[n]));
#define XMM(n) __asm__ volatile("movdqu %0, %%xmm" #n : : "m"(want[n]));
    if (avx) {
        EACH(YMM)
    } else {
        EACH(XMM)
    }
#undef YMM
#undef XMM
}

static void store(void)
{
#define YMM(n) __asm__ volatile("vmovdqu %%ymm" #n ", %0" : "=m"(got[n]));
#define XMM(n) __asm__ volatile("movdqu %%xmm" #n ", %0" : "=m"(got[n]));
    if (avx) {
        EACH(YMM)
    } else {
        EACH(XMM)
    }
#undef YMM
#undef XMM
}

/* The next numbers: from the frame of shared_info, which no two domains share. */
static uint64_t next(void)
{
    static uint64_t state;
    if (!state)
        state = guest_info->shared_info | 1;
    state = state * 6364136223846793005ul + 1442695040888963407ul;
    return state >> 16;
}

static bool round(unsigned n)
{
    const uint32_t mxcsr = 0x1f80 | (n & 3) << 13;
    uint32_t mxcsr_now;
    uint64_t integer = next(), integer_now;

    for (unsigned i = 0; i < sizeof(want); i++)
        ((uint8_t *)want)[i] = (uint8_t)next();
    load();
    __asm__ volatile("ldmxcsr %0; fninit; fildq %1" : : "m"(mxcsr), "m"(integer));
    for (volatile unsigned i = 0; i < 2000; i++)
        ;
    if (n % 4 == 0)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    if (n % 2) {
        hypercall_fpu_taskswitch(1);
        hypercall_sched_op(SCHEDOP_yield, NULL);
        hypercall_fpu_taskswitch(0);
    }
    store();
    __asm__ volatile("stmxcsr %0; fistpq %1" : "=m"(mxcsr_now), "=m"(integer_now));
    bool same = mxcsr_now == mxcsr && integer_now == integer;
    for (unsigned i = 0; i < sizeof(want); i++)
        if (i % 32 < (avx ? 32 : 16))
            same = same && ((uint8_t *)want)[i] == ((uint8_t *)got)[i];
    return same;
}

void guest_main(void)
{
    unsigned wrong = 0;

    avx = has_avx();
    for (unsigned n = 0; n < ROUNDS; n++)
        wrong += !round(n);
    console_printf("vectors: %s, %u of %u rounds wrong\n", avx ? "AVX" : "SSE", wrong, ROUNDS);
}
