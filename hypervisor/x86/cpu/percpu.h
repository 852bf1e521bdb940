/*
 * What belongs to one physical CPU (at PERCPU_VIRT + cpu * PERCPU_STRIDE + PERCPU_DATA).
 *
 * The SYSCALL entry finds it by rip-relative addressing: page 0 of the area is the same code frame mapped
 * once for each CPU, and page 1, right behind it, is this structure.  No GS base is needed: both belong to the guest.
 */
#pragma once

#include "layout.h"
#include "types.h"

struct vcpu;

struct __attribute__((packed)) tss64 {
    uint32_t reserved0;
    uint64_t rsp0, rsp1, rsp2;
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_bitmap;
};

struct percpu {
    /* Used by the SYSCALL trampoline (entry.S). */
    uint64_t guest_rsp; /* spill slot */
    uint64_t stack_top; /* of the running vCPU: where ss is pushed first */
    struct vcpu *current;
    struct vcpu *idle;
    uint32_t id, apic_id;
    struct domain *root_domain; /* whose L4 is in CR3; NULL: the hypervisor's own */
    struct vcpu *fpu_owner;
    uint64_t flush_wanted;   /* atomic: how often other CPUs have asked for a flush */
    uint64_t flush_done;     /* how many of these requests are served; written by this CPU only */
    uint64_t flush_sleepers; /* atomic: CPUs that halt until one of them is served */
    uint32_t audit_wrong;    /* the last arch_audit_cpus(): bits AUDIT_WRONG_* */
    uint64_t audit_cr3;      /* and what it found in CR3 */
    uint64_t cr4, xcr0;      /* last loaded: skip needless loads */
    uint32_t tsc_aux;        /* likewise */
    uint64_t gdt_mfn;        /* frame of PERCPU_GDT */
    uint64_t timer_deadline;
    struct tss64 tss __attribute__((aligned(16)));
};
_Static_assert(sizeof(struct percpu) <= 4096, "one page");

static inline struct percpu *percpu_of(unsigned cpu)
{
    return (struct percpu *)(PERCPU_VIRT + (uint64_t)cpu * PERCPU_STRIDE + PERCPU_DATA);
}
