/*
 * What the x86 half does to the running guest: exceptions, mode switches, emulation.
 * All of these act on the vCPU whose stack this is.
 */
#pragma once

#include "arch.h"

/* Exception vectors (Intel SDM volume 3, table 6-1). */
#define VECTOR_DE  0
#define VECTOR_DB  1
#define VECTOR_NMI 2
#define VECTOR_BP  3
#define VECTOR_UD  6
#define VECTOR_NM  7
#define VECTOR_DF  8
#define VECTOR_TS  10
#define VECTOR_NP  11
#define VECTOR_SS  12
#define VECTOR_GP  13
#define VECTOR_PF  14
#define VECTOR_MF  16
#define VECTOR_AC  17
#define VECTOR_MC  18
#define VECTOR_XM  19

#define PF_PRESENT BIT(0)
#define PF_WRITE   BIT(1)
#define PF_USER    BIT(2)
#define PF_RSVD    BIT(3)
#define PF_FETCH   BIT(4)

#define RFLAGS_TF   BIT(8)
#define RFLAGS_IF   BIT(9)
#define RFLAGS_DF   BIT(10)
#define RFLAGS_IOPL (BIT(12) | BIT(13))
#define RFLAGS_NT   BIT(14)
#define RFLAGS_RF   BIT(16)
#define RFLAGS_VM   BIT(17)
#define RFLAGS_AC   BIT(18)

/* --- x86/entry/bounce.c: into the guest kernel --- */

/* Deliver exception @vector to the guest's handler by building the ABI's frame on its kernel stack and pointing
 * the saved registers at the handler.  @error is pushed for the vectors that have one.  Crashes the
 * domain if there is no handler or no stack. */
void guest_exception(struct vcpu *v, unsigned vector, uint32_t error);
void guest_page_fault(struct vcpu *v, uint64_t address, uint32_t error);
/* `int n`, its gate's DPL already checked: as guest_exception, but no vector has an error code. */
void guest_software_interrupt(struct vcpu *v, unsigned vector);
void guest_event_upcall(struct vcpu *v);
void guest_syscall(struct vcpu *v); /* user mode executed SYSCALL */
void guest_failsafe(struct vcpu *v);

/* Switch between the guest's kernel and user mode: swapgs, CR3, v->kernel_mode. */
void guest_toggle_mode(struct vcpu *v);

/* --- x86/emulate/emulate.c: privileged instructions of the guest --- */

/* #GP: emulate if it is one of the instructions a PV kernel may execute; else deliver #GP(error). */
void emulate_privileged(struct vcpu *v, uint32_t error);
/* #UD: emulate CPUID behind the forced-emulation prefix; else deliver #UD. */
void emulate_undefined(struct vcpu *v);
/* #NM */
void fpu_device_not_available(struct vcpu *v);

/* Load what of @v's choices lives in CR4 and TSC_AUX (at context switch, after v->cpu is set). */
void control_restore(const struct vcpu *v);

/* Writable page tables: a guest kernel's plain store to its own L1 table. True if done (core/..., x86/emulate/emulate-pt.c). */
bool emulate_pagetable_write(struct vcpu *v, uint64_t address, uint32_t error);

/* Fetch up to @n instruction bytes at the guest's rip: how many could be read. */
unsigned guest_fetch(struct vcpu *v, uint8_t *bytes, unsigned n);

/* --- x86/vcpu/fpu.c --- */
int fpu_init_vcpu(struct vcpu *v); /* allocates the image */
void fpu_free_vcpu(struct vcpu *v);
void fpu_save(struct vcpu *v); /* v stops running on this CPU */
/* v starts running on this CPU; sets CR0.TS as the guest wants */
void fpu_restore(struct vcpu *v);
void fpu_probe(void); /* boot */

/* --- x86/virtual/debugreg.c --- */
void debugreg_save(struct vcpu *v);
void debugreg_restore(struct vcpu *v);
void debugreg_trap(struct vcpu *v); /* #DB: record DR6 for the guest */
void debugreg_reset(void);          /* #DB of ours: forget DR6 */

/* --- x86/vcpu/descriptors.c --- */
/* A new vCPU's view: no guest table, so every GDT page shows zeros (loading from there is #GP, as on Xen), no LDT. */
int descriptors_init_vcpu(struct vcpu *v) must_check;
int descriptors_set_gdt(struct vcpu *v, const uint64_t *mfns, unsigned entries);
void descriptors_release(struct vcpu *v); /* GDT and LDT frames back */
/* Show the page of @v's LDT that holds byte @offset.  False: there is none (the guest's fault); or, unless @may_wait,
 * somebody is busy with the domain's page tables.  A fault of ours must not wait: it may be part of a switch. */
bool descriptors_ldt_fault(struct vcpu *v, uint64_t offset, bool may_wait);
void descriptors_load_ldt(struct vcpu *v); /* at context switch: SEL_LDT of this CPU */
/* @v's kernel has other page tables now, and its LDT's addresses may lead elsewhere: look them up
 * anew.  Under the domain's mmu lock. */
void descriptors_ldt_forget(struct vcpu *v);
/* Check (and adjust: DPL) one descriptor for a guest table; false: not allowed. */
bool descriptor_sanitize(uint64_t *d);
/* A new vCPU's registers and views, in its area (arch_vcpu_init). 0 or -XEN_ENOMEM. */
int cpu_state_init(struct vcpu *v) must_check;

/* --- x86/virtual/cpuid.c, msr.c: policies --- */
struct cpuid_leaf {
    uint32_t a, b, c, d;
};
void cpuid_guest(struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out);
/* Of the leaf that this gave, without the features that a toolstack has taken away (arch_domain.features, which is not NULL). */
void cpuid_limit(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out);
void cpuid_probe(void);                           /* boot */
extern bool cpuid_has_fsgsbase, cpuid_has_rdtscp; /* and guests may have it */
extern bool cpuid_vendor_is_amd;                  /* or Hygon */
/* false: #GP(0) */
bool msr_guest_read(struct vcpu *v, uint32_t msr, uint64_t *value);
bool msr_guest_write(struct vcpu *v, uint32_t msr, uint64_t value);

/* --- x86/virtual/io.c --- */
/* Ports [@first, @first + @count) stay the hypervisor's: a hardware domain finds nothing there (boot). */
void io_claim(uint16_t first, unsigned count);

/* --- x86/memory/paging.c: the hypervisor's own mappings --- */
extern uint64_t *hypervisor_l4;
/* Map one 4 KiB page of the hypervisor's space; tables are made as needed.  0 or -XEN_ENOMEM. */
int hyp_map(uint64_t va, mfn_t m, uint64_t flags);
void hyp_unmap(uint64_t va);
/* The L1 entry of @va; tables are made as needed; NULL if out of memory. */
uint64_t *hyp_l1_entry(uint64_t va);
void *device_map(uint64_t maddr, uint64_t size); /* uncached, boot time */
