/*
 * The inline half of arch.h for fuzz-x86 and fuzz-frames: one CPU, one vCPU, some frames in an array, and a door that asks a model of the guest's
 * pages.  In the place of hypervisor/x86/cpu/arch-inline.h; all else of x86/ is the real thing.
 */
#pragma once

#include "atomic.h"
#include "domain.h"
#include "guest-range.h"
#include "layout.h"
#include "pte.h"
#include "percpu.h"

#define FUZZ_FRAMES 64u

extern uint8_t fuzz_memory[FUZZ_FRAMES][4096];
extern struct vcpu *fuzz_vcpu;
extern struct percpu fuzz_percpu;

static inline struct vcpu *current_vcpu(void)
{
    return fuzz_vcpu;
}

static inline unsigned this_cpu(void)
{
    return 0;
}

static inline struct percpu *this_percpu(void)
{
    return &fuzz_percpu;
}

static inline void *mfn_to_virt(mfn_t m)
{
    return fuzz_memory[m.n];
}

static inline void *maddr_to_virt(uint64_t maddr)
{
    return &fuzz_memory[0][0] + maddr;
}

static inline mfn_t virt_to_mfn(const void *p)
{
    return maddr_to_mfn((uint64_t)((const uint8_t *)p - &fuzz_memory[0][0]));
}

static inline uint64_t vcpu_kernel_root(const struct vcpu *v)
{
    return v->arch.kernel_cr3;
}

static inline uint64_t rdtsc(void)
{
    return __builtin_ia32_rdtsc();
}

struct tsc_scale {
    uint64_t base;
    uint32_t mul;
    int8_t shift;
};
extern struct tsc_scale tsc_scale;

static inline uint64_t arch_now(void)
{
    return 1000000;
}

static inline uint64_t arch_ticks(void)
{
    return 0;
}

static inline void arch_relax(void)
{
}

/* --- the door, as hypervisor/x86/memory/guest-access.h has it: the range is checked first --- */

/* 0, or -XEN_EFAULT: some byte is not there, or may not be written. */
must_check int fuzz_copy(void *to, const void *from, uint64_t va, size_t n);

static inline must_check int guest_read(void *to, guest_ptr_t from, size_t n)
{
    return guest_readable(from.va, n) ? fuzz_copy(to, NULL, from.va, n) : -XEN_EFAULT;
}

static inline must_check int guest_write(guest_ptr_t to, const void *from, size_t n)
{
    return guest_access_ok(to.va, n) ? fuzz_copy(NULL, from, to.va, n) : -XEN_EFAULT;
}

static inline must_check int guest_read_u64(uint64_t *to, guest_ptr_t from)
{
    return guest_read(to, from, sizeof(*to));
}

static inline bool arch_serial_ready(size_t n)
{
    return true;
}

/* Pairs (faulting instruction, where to go on): world.c looks there. */
#define FIXUP(fault, resume)                                                    \
    ".pushsection fuzz_fixups, \"aw\"\n\t.balign 8\n\t.quad " fault ", " resume \
    "\n\t.popsection\n\t"
