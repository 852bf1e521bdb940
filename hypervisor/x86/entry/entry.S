/*
 * Every way into the hypervisor and the two ways out.
 *
 *   SYSCALL ----> trampoline (per-CPU page) --> entry_syscall --+
 *   exceptions -> stub NN --> entry_common ---------------------+--> C --> exit_to_guest --> SYSRET or IRET
 *   NMI #DB #MC #DF -> stub --> entry_ist --> (vCPU's stack) ---+
 *
 * A program's SYSCALL, the iret hypercall and a page fault turn round before C is reached unless something is unusual: fastpath.S.
 *
 * All build one layout, struct guest_regs (arch-vcpu.h), which ends at the top of the vCPU's stack:
 *
 *   rsp -> rdi rsi rdx r10 r8 r9 rax rbx rbp r12 r13 r14 r15 rcx r11 | vector error | rip cs rflags rsp ss | vcpu
 *          0                                                   112     120    128     136                 176
 *
 * Interrupts are off here throughout.  From the moment rbx holds the vCPU it keeps it to the end.
 */
#include "entry-macros.h"

/*
 * SYSCALL lands here, in a page that every CPU sees at an address of its own, followed by its struct percpu: so
 * rip-relative addressing finds per-CPU data without any register.  An NMI or a #DB (from MOV SS, with a breakpoint) may hit
 * any line: both bring their own stack.
 *   In:    rcx = guest rip, r11 = guest rflags, rsp = guest rsp (untrusted), IF = DF = TF = 0 by FMASK
 *   Out:   the five words that an interrupt would have pushed
 */
        .section .text.trampoline, "ax", @progbits
        .balign 4096
        .globl  trampoline
trampoline:
        mov     %rsp, trampoline + PERCPU_DATA + PERCPU_GUEST_RSP(%rip)  /* every register is in use: spill */
        mov     trampoline + PERCPU_DATA + PERCPU_STACK_TOP(%rip), %rsp
        push    $SEL_GUEST_DS
        push    trampoline + PERCPU_DATA + PERCPU_GUEST_RSP(%rip)
        push    %r11
        push    $SEL_GUEST_CS64
        push    %rcx
        jmp     *syscall_target(%rip)

        .balign 64
        .globl  trampoline_syscall32                      /* SYSCALL from compatibility mode: CSTAR */
trampoline_syscall32:
        mov     %rsp, trampoline + PERCPU_DATA + PERCPU_GUEST_RSP(%rip)
        mov     trampoline + PERCPU_DATA + PERCPU_STACK_TOP(%rip), %rsp
        push    $SEL_GUEST_DS
        push    trampoline + PERCPU_DATA + PERCPU_GUEST_RSP(%rip)
        push    %r11
        push    $SEL_GUEST_CS32
        push    %rcx
        jmp     *syscall32_target(%rip)

/*
 * SYSENTER keeps neither rip nor rsp: both 0.  It clears IF and VM and leaves every other flag as it is: a program's single step
 * becomes a #DB before each line until trap_in_hypervisor() finds them saved, NT waits for entry_sysenter.
 */
        .balign 64
        .globl  trampoline_sysenter, trampoline_sysenter_saved
trampoline_sysenter:
        mov     trampoline + PERCPU_DATA + PERCPU_STACK_TOP(%rip), %rsp
        push    $SEL_GUEST_DS
        push    $0
        pushf
trampoline_sysenter_saved:
        push    $3                                        /* no selector of anybody's: the handler knows its own */
        push    $0
        jmp     *sysenter_target(%rip)

        .balign 8
syscall_target:
        .quad   entry_syscall
syscall32_target:
        .quad   entry_syscall32
sysenter_target:
        .quad   entry_sysenter

        .text
/*
 * SYSCALL: a hypercall if the guest's kernel runs, else the guest's own system call.
 *   In:    stack = rip cs rflags rsp ss vcpu; rcx = rip, r11 = rflags
 */
        .balign 16
entry_syscall:
        push    %rbx                                      /* into the slot of the error code, which there is not */
        mov     S_VCPU(%rsp), %rbx
        cmpb    $0, VCPU_KERNEL_MODE(%rbx)
        .if     FAST_PATHS
        je      fast_syscall
        cmp     $HYPERCALL_IRET, %rax
        je      fast_iret
        .else
        je      program_syscall
        .endif
        .globl  hypercall
hypercall:
        push    $REGS_SYSCALL
        save_gprs rbx=64(%rsp)
        .if     FAST_PATHS                                /* hypercall_dispatch(), in line */
        movzbl  VCPU_TRACE_NEXT(%rbx), %ecx               /* the trace ring's oldest record (trace.h) */
        addb    $TRACE_STEP, VCPU_TRACE_NEXT(%rbx)
        lea     VCPU_TRACE(%rbx, %rcx, TRACE_UNIT), %rbp
        mov     %eax, RECORD_WHAT(%rbp)
        movl    $TRACE_HYPERCALL, RECORD_KIND(%rbp)
        mov     %rdi, RECORD_A(%rbp)
        mov     %rsi, RECORD_B(%rbp)
        mov     %rbx, %rdi
        mov     %rsp, %rsi                                /* &regs->rdi: the six arguments */
        mov     hypercall_calls(%rip), %rcx
        cmp     $HYPERCALL_LIMIT, %rax
        jae     hypercall_beyond
        call    *(%rcx, %rax, 8)
1:      mov     %rax, RECORD_C(%rbp)
        .else
        mov     %rbx, %rdi
        mov     %rax, %rsi
        mov     %rsp, %rdx
        call    hypercall_dispatch
        .endif
        mov     %rax, R_RAX(%rsp)
        .if     AUDIT_ALWAYS
        call    audit_always
        .endif

/*
 * The one way out.
 *   In:    rbx = vCPU, rsp -> its regs; r12-r15 as the guest's unless vector != REGS_SYSCALL
 */
        .globl  exit_to_guest
exit_to_guest:
        cmpl    $0, VCPU_EXIT_WORK(%rbx)
        jne     exit_slow
        mov     VCPU_INFO(%rbx), %rcx
        cmpb    $0, INFO_PENDING(%rcx)
        je      2f
        cmpb    $0, INFO_MASK(%rcx)
        je      exit_event
2:      cmpl    $REGS_SYSCALL, R_VECTOR(%rsp)
        jne     exit_iret
        mov     R_RIP(%rsp), %rcx                         /* SYSRET to a non-canonical address faults in */
        unless_canonical %rcx, %rax, exit_iret            /* ring 0 on the guest's stack on some CPUs (XSA-7) */
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %r10
        pop     %r8
        pop     %r9
        pop     %rax
        mov     R_RBP - 56(%rsp), %rbp                    /* r12-r15 were preserved by C */
        pop     %rbx
        mov     R_RFLAGS - 64(%rsp), %r11
        prove_flags %r11d
        mov     R_RSP - 64(%rsp), %rsp
        sysretq

        .if     FAST_PATHS
hypercall_beyond:
        call    hypercall_unserved
        jmp     1b
        .endif
exit_slow:
        mov     %rbx, %rdi
        call    exit_work
        jmp     exit_to_guest
exit_event:
        mov     %rbx, %rdi
        call    guest_event_upcall
        jmp     exit_to_guest

        .globl  exit_iret
exit_iret:
        restore_gprs
        add     $16, %rsp
        prove_flags 16(%rsp)
exit_iret_insn:
        iretq
        fixup   exit_iret_insn, iret_failed

/*
 * A program's SYSCALL, on to its kernel.
 *   In:    stack = rbx rip cs rflags rsp ss vcpu; rbx = vCPU, rcx = rip or lost, r11 = rflags; user mode
 */
        .globl  program_syscall
program_syscall:
        mov     S_RIP(%rsp), %rcx
        push    $REGS_SYSCALL
        save_gprs rbx=64(%rsp)
        mov     %rbx, %rdi
        call    guest_syscall
        jmp     exit_to_guest

/* The guest's cs, ss or rip was not to be returned to.  Registers are the guest's, rsp -> its rip slot. */
        .globl  iret_failed
iret_failed:
        push    $0
        push    $0
        save_gprs
        mov     R_SIZE(%rsp), %rbx
        mov     %rbx, %rdi
        call    guest_iret_failed
        jmp     exit_to_guest

        .balign 16
entry_syscall32:
        own_flags 16(%rsp)
        push    $0
        push    $0                                        /* leave by IRET: cs is a 32-bit one */
        save_gprs
        mov     R_SIZE(%rsp), %rbx
        mov     %rbx, %rdi
        call    guest_syscall32
        jmp     exit_to_guest

entry_sysenter:
        own_flags 16(%rsp)
        push    $0
        push    $0
        save_gprs
        push    $2                                        /* NT would make the next IRET a task switch (XSA-44), DF */
        popf                                              /* string instructions run downwards                     */
        mov     R_SIZE(%rsp), %rbx
        mov     %rbx, %rdi
        call    guest_sysenter
        jmp     exit_to_guest

/* A vCPU's first moment: its stack holds a struct guest_regs and nothing else. */
        .globl  vcpu_first_run
vcpu_first_run:
        mov     R_SIZE(%rsp), %rbx
        mov     %rbx, %rdi
        call    vcpu_load_state
        call    sched_tail                                /* as schedule() does when it comes back */
        jmp     exit_to_guest

        .globl  idle_first_run
idle_first_run:
        call    idle_loop
        ud2

/*
 * Exceptions and interrupts.
 *   In:    stack = vector error rip cs rflags rsp ss; interrupted: the guest, or the hypervisor at a fixup, a
 *          preemption point or in idle
 */
        .balign 16
        .globl  entry_common
entry_common:
        save_gprs
        cld
        testl   $RFLAGS_VM, R_RFLAGS(%rsp)                /* then what cs holds is no selector */
        jnz     from_vm86
        testb   $3, R_CS(%rsp)
        jz      3f
2:      mov     R_SIZE(%rsp), %rbx
        mov     %rbx, %rdi
        mov     %rsp, %rsi
        call    trap_from_guest
        cmpl    $0, VCPU_EXIT_WORK(%rbx)                  /* exit_to_guest, but never by SYSRET */
        jne     exit_slow
        mov     VCPU_INFO(%rbx), %rcx
        cmpb    $0, INFO_PENDING(%rcx)
        je      exit_iret
        jmp     exit_to_guest
3:      mov     %rsp, %rdi
        call    trap_in_hypervisor
        restore_gprs
        add     $16, %rsp
        iretq

/* No processor runs virtual-8086 code here; an emulator may.  Go on as if a program with such selectors had run in ring 3. */
from_vm86:
        own_flags R_RFLAGS(%rsp)
        orb     $3, R_CS(%rsp)
        orb     $3, R_SS(%rsp)
        jmp     2b

/*
 * Vectors with a stack of their own, because they can come where rsp is still the guest's.  From the guest, go on on the
 * vCPU's stack as if there had been no such stack; from the hypervisor, stay and tell current_vcpu() who runs.
 */
        .balign 16
entry_ist:
        push    %rax
        mov     %rsp, %rax
        and     $-PERCPU_STRIDE, %rax                     /* this CPU's area */
        testl   $RFLAGS_VM, 40(%rsp)                      /* rax vector error rip cs rflags */
        jnz     2f
        testb   $3, 32(%rsp)
        jz      4f
2:      mov     PERCPU_DATA + PERCPU_STACK_TOP(%rax), %rax /* stack_top of the running vCPU */
        xchg    %rax, %rsp                                /* rax -> saved rax, vector, ... */
        push    56(%rax)                                  /* ss     */
        push    48(%rax)                                  /* rsp    */
        push    40(%rax)                                  /* rflags */
        push    32(%rax)                                  /* cs     */
        push    24(%rax)                                  /* rip    */
        push    16(%rax)                                  /* error  */
        push    8(%rax)                                   /* vector */
        mov     (%rax), %rax
        jmp     entry_common
4:      mov     PERCPU_DATA + PERCPU_CURRENT(%rax), %rax
        push    %rbx
        lea     8(%rsp), %rbx
        and     $-STACK_SIZE, %rbx
        mov     %rax, STACK_SIZE - STACK_TOP_RESERVE(%rbx)
        pop     %rbx
        pop     %rax
        jmp     entry_common

/*
 * switch_stacks(&prev->hyp_sp, next->hyp_sp): C's callee-saved registers are the whole context.
 */
        .globl  switch_stacks
switch_stacks:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, (%rdi)
        mov     %rsi, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/* 256 stubs and the table of their addresses, born together. */
        .macro  stub vector
        .balign 16
stub_\vector:
        .if     FAST_PATHS && \vector == VECTOR_PF
        jmp     fast_page_fault
        .else
        .if     \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30
        .else
        push    $0
        .endif
        push    $\vector
        .if     \vector == 1 || \vector == 2 || \vector == 8 || \vector == 18
        jmp     entry_ist
        .else
        jmp     entry_common
        .endif
        .endif
        .pushsection .rodata.idt_entry, "a"
        .quad   stub_\vector
        .popsection
        .endm

        .pushsection .rodata.idt_entry, "a"
        .balign 8
        .globl  idt_entry
idt_entry:
        .popsection

        .altmacro
        .macro  stubs
        .set    i, 0
        .rept   256
        stub    %i
        .set    i, i + 1
        .endr
        .endm
        stubs

        .section .note.GNU-stack, "", @progbits
