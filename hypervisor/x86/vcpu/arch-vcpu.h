/*
 * The x86 half of a vCPU and of a domain, and the one trap-frame layout.
 */
#pragma once

#include "pit.h"
#include "types.h"

struct page_info;
#include <xen/arch-x86/xen.h>

/*
 * What lies at the top of a vCPU's hypervisor stack while the hypervisor runs for it: the guest's registers.
 * The six hypercall arguments come first, so that &regs->rdi is a struct hypercall_args.
 *
 *   high   ss rsp rflags cs rip   <- what an interrupt pushes; SYSCALL entry pushes the same
 *          error                  <- pushed by the CPU or 0
 *          vector                 <- by the stub; REGS_SYSCALL for SYSCALL
 *          r11 rcx r15 r14 r13 r12 rbp rbx rax
 *   low    r9 r8 r10 rdx rsi rdi  <- rsp of the handler, 16-aligned: 22 slots
 */
struct guest_regs {
    uint64_t rdi, rsi, rdx, r10, r8, r9;
    uint64_t rax, rbx, rbp, r12, r13, r14, r15, rcx, r11;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct guest_regs) == 176, "22 slots, 16-aligned");
#include "entry.h" /* REGS_SYSCALL */

struct arch_vcpu {
    /* Hot. */
    uint64_t kernel_cr3, user_cr3; /* machine addresses of the L4 tables; 0: none */
    uint64_t kernel_sp;            /* stack_switch */
    struct trap_info *traps;       /* 256 entries, one page */
    uint64_t syscall_callback;     /* 0: none */
    /* CALLBACKF_mask_events */
    uint8_t syscall_masks, failsafe_masks, syscall32_masks, sysenter_masks;
    uint64_t event_callback, failsafe_callback;
    uint64_t syscall32_callback, sysenter_callback; /* 0: none */
    uint64_t kernel_ss;                             /* stack_switch */
    uint8_t ts;                                     /* the guest set CR0.TS */
    uint8_t iopl;                                   /* physdev set_iopl: 0..3 */
    uint8_t fpu_dirty;                              /* the FPU registers may differ from @fpu */
    uint8_t nmi_masked;      /* from an NMI's delivery to the next iret hypercall */
    uint8_t nmi_waits;       /* one came meanwhile */
    uint8_t fault_vector;    /* of the last fault of ours that had a fixup... */
    uint16_t fault_error;    /* ... and its error code */
    struct guest_regs *regs; /* at the top of its stack */

    /* Context switch (x86/vcpu/vcpu.c). */
    uint64_t hyp_sp;   /* saved stack pointer while not running */
    uint64_t area;     /* virtual address of its vCPU area */
    uint64_t *area_pt; /* its 64 L1 entries */
    uint32_t area_index;
    uint32_t gdt_cpu;        /* whose page 14 its GDT view shows; ~0: none */
    uint16_t ds, es, fs, gs; /* selectors, while not running */
    uint8_t bad_selectors;   /* one of them could not be loaded: tell the guest (failsafe) */
    /* active and swapped-out GS base, while not running */
    uint64_t fs_base, gs_base, gs_base_other;

    /* Descriptor tables (x86/vcpu/descriptors.c). */
    uint64_t gdt_mfn[14];
    uint32_t gdt_frames, gdt_entries;
    uint64_t ldt_base;
    uint32_t ldt_entries;
    uint32_t ldt_mapped; /* bit per LDT page shown in the view */

    /* Control registers, debug registers, ports, FPU (x86/emulate/emulate.c, debugreg.c, fpu.c). */
    uint64_t cr4; /* the guest's view */
    uint64_t xcr0;
    uint64_t dr[4], dr6, dr7;
    /* I/O breakpoints that the guest reads back and the CPU never sees */
    uint64_t dr7_io;
    uint64_t msr_kept[3]; /* MCG_STATUS, MC0_CTL2, MC1_CTL2: x86/virtual/msr.c */
    uint32_t tsc_aux;
    uint32_t fpu_cpu; /* CPU that last loaded @fpu; ~0: none */
    guest_ptr_t iobitmap;
    uint32_t iobitmap_ports; /* 0: none */
    void *fpu;               /* XSAVE or FXSAVE image */
};

struct arch_domain {
    struct pit pit;     /* of a domain without real ports */
    uint32_t *features; /* words of them that it is shown, if not all (cpuid.c); or NULL */
    /* Which lines it has mapped, and which numbers are kept for it; under lines.c's lock. */
    uint64_t lines, lines_reserved;
    uint32_t pci_address; /* what it has written to port 0xcf8 (pci.c) */
    /* Where it is told which pirqs want their EOI (pirq.c), or NULL; an EOI unmasks the port, too. */
    struct page_info *eoi_map;
    bool eoi_unmasks;
};
#define ARCH_DOMAIN_INIT                     \
    {                                        \
        .pit = {.lock = SPINLOCK_INIT(PIT) } \
    }
