/* The fake machine's half of a vCPU and of a domain. */
#pragma once

#include "types.h"

struct arch_vcpu {
    uint64_t kernel_root, user_root; /* machine addresses of the L4 tables; 0: none */
    uint64_t rip, rsp, rsi;          /* arch_vcpu_set_entry */
    uint64_t segment_mfn[4];         /* frames held as descriptor tables (machine_hold_segment) */
    uint32_t segment_frames;
    uint32_t dumps;                          /* how often arch_dump_vcpu() was asked for it */
    uint64_t callback, xcr0, msr, xstate[8]; /* what is saved with it */
    uint8_t alive;
};

struct arch_domain {
    uint32_t hidden; /* features that it is not shown (arch_cpuid_limit) */
};
#define ARCH_DOMAIN_INIT \
    {                    \
        0                \
    }
