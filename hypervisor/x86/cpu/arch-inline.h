/*
 * The inline half of arch.h on x86: current vCPU, direct map, time; and the one door to guest memory.
 */
#pragma once

#include "atomic.h"
#include "domain.h"
#include "guest-access.h"
#include "layout.h"
#include "pte.h"
#include "percpu.h"

/* A few thousand instructions, about what a sleep and a wake-up cost. */
#define ARCH_MUTEX_LOOKS 100u

static inline struct vcpu *current_vcpu(void)
{
    uint64_t sp;
    __asm__("mov %%rsp, %0" : "=r"(sp));
    return *(struct vcpu **)((sp & -(uint64_t)STACK_SIZE) + STACK_SIZE - STACK_TOP_RESERVE);
}

static inline unsigned this_cpu(void)
{
    return current_vcpu()->cpu;
}

static inline struct percpu *this_percpu(void)
{
    return percpu_of(this_cpu());
}

static inline void *mfn_to_virt(mfn_t m)
{
    return (void *)(DIRECT_VIRT + mfn_to_maddr(m));
}

static inline void *maddr_to_virt(uint64_t maddr)
{
    return (void *)(DIRECT_VIRT + maddr);
}

static inline mfn_t virt_to_mfn(const void *p)
{
    return maddr_to_mfn((uint64_t)p - DIRECT_VIRT);
}

/* Roots of a vCPU's page tables: machine addresses of L4 tables, 0 for none. */
static inline uint64_t vcpu_kernel_root(const struct vcpu *v)
{
    return v->arch.kernel_cr3;
}

static inline uint64_t vcpu_user_root(const struct vcpu *v)
{
    return v->arch.user_cr3;
}

static inline void vcpu_set_kernel_root(struct vcpu *v, uint64_t root)
{
    v->arch.kernel_cr3 = root;
}

static inline void vcpu_set_user_root(struct vcpu *v, uint64_t root)
{
    v->arch.user_cr3 = root;
}

/* While the guest's user mode has its own root loaded: its kernel's view, for the door below; and back. */
static inline void arch_view_kernel(const struct vcpu *v)
{
    if (!v->kernel_mode)
        __asm__ volatile("mov %0, %%cr3" : : "r"(v->arch.kernel_cr3) : "memory");
}

static inline void arch_view_back(const struct vcpu *v)
{
    if (!v->kernel_mode)
        __asm__ volatile("mov %0, %%cr3" : : "r"(v->arch.user_cr3) : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

/* TSC to ns: ((tsc - base) << shift) * mul >> 32, the pvclock formula (x86/cpu/time.c calibrates). */
struct tsc_scale {
    uint64_t base;
    uint32_t mul;
    int8_t shift;
};
extern struct tsc_scale tsc_scale;

static inline uint64_t tsc_to_ns(uint64_t tsc)
{
    uint64_t delta = tsc - tsc_scale.base;
    delta = tsc_scale.shift < 0 ? delta >> -tsc_scale.shift : delta << tsc_scale.shift;
    return (uint64_t)((unsigned __int128)delta * tsc_scale.mul >> 32);
}

static inline uint64_t arch_now(void)
{
    return tsc_to_ns(rdtsc());
}

static inline uint64_t arch_ticks(void)
{
    return rdtsc();
}

void arch_serve_flush(void);

static inline void cpu_pause(void)
{
    __asm__ volatile("pause");
}

static inline void arch_relax(void)
{
    const struct percpu *p = this_percpu();

    cpu_pause();
    if (unlikely(atomic_read(&p->flush_wanted) != p->flush_done))
        arch_serve_flush();
}

/* The serial line takes @n bytes, 16 at most, without a wait; or it makes no sense to wait for it any more. */
extern uint32_t serial_room;
bool serial_look(void);

static inline bool arch_serial_ready(size_t n)
{
    return serial_room >= n || serial_look();
}
