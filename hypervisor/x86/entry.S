/*
 * Every way into the hypervisor and the two ways out.
 *
 *   SYSCALL ----> trampoline (per-CPU page) --> entry_syscall --+
 *   exceptions -> stub NN --> entry_common ---------------------+--> C --> exit_to_guest --> SYSRET or IRET
 *   NMI #DB #MC #DF -> stub --> entry_ist --> (vCPU's stack) ---+
 *
 * All build one layout, struct guest_regs (arch-vcpu.h), which ends at the top of the vCPU's stack:
 *
 *   rsp -> rdi rsi rdx r10 r8 r9 rax rbx rbp r12 r13 r14 r15 rcx r11 | vector error | rip cs rflags rsp ss | vcpu
 *          0                                                   112     120    128     136                 176
 *
 * Interrupts are off here throughout.  From the moment rbx holds the vCPU it keeps it to the end.
 */
#include "layout.h"
#include "entry.h"

#define R_RAX    48
#define R_RBP    64
#define R_VECTOR 120
#define R_RIP    136
#define R_CS     144
#define R_RFLAGS 152
#define R_RSP    160
#define R_SIZE   176

.macro save_gprs
        push    %r11
        push    %rcx
        push    %r15
        push    %r14
        push    %r13
        push    %r12
        push    %rbp
        push    %rbx
        push    %rax
        push    %r9
        push    %r8
        push    %r10
        push    %rdx
        push    %rsi
        push    %rdi
.endm

.macro restore_gprs
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %r10
        pop     %r8
        pop     %r9
        pop     %rax
        pop     %rbx
        pop     %rbp
        pop     %r12
        pop     %r13
        pop     %r14
        pop     %r15
        pop     %rcx
        pop     %r11
.endm

.macro fixup from, to
        .pushsection .fixup_table, "a"
        .balign 8
        .quad   \from, \to
        .popsection
.endm

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
        mov     %rsp, trampoline + PERCPU_DATA + 0(%rip)  /* every register is in use: spill */
        mov     trampoline + PERCPU_DATA + 8(%rip), %rsp
        push    $SEL_GUEST_DS
        push    trampoline + PERCPU_DATA + 0(%rip)
        push    %r11
        push    $SEL_GUEST_CS64
        push    %rcx
        jmp     *syscall_target(%rip)

        .balign 64
        .globl  trampoline_syscall32                      /* SYSCALL from compatibility mode: CSTAR */
trampoline_syscall32:
        mov     %rsp, trampoline + PERCPU_DATA + 0(%rip)
        mov     trampoline + PERCPU_DATA + 8(%rip), %rsp
        push    $SEL_GUEST_DS
        push    trampoline + PERCPU_DATA + 0(%rip)
        push    %r11
        push    $SEL_GUEST_CS32
        push    %rcx
        jmp     *syscall32_target(%rip)

        .balign 64
        .globl  trampoline_sysenter                       /* SYSENTER keeps neither rip nor rsp: both 0 */
trampoline_sysenter:
        mov     trampoline + PERCPU_DATA + 8(%rip), %rsp
        push    $SEL_GUEST_DS
        push    $0
        pushf
        push    $SEL_GUEST_CS64
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
 *   In:    stack = rip cs rflags rsp ss
 */
        .balign 16
entry_syscall:
        push    $0                                        /* error */
        push    $REGS_SYSCALL
        save_gprs
        mov     R_SIZE(%rsp), %rbx
        cmpb    $0, VCPU_KERNEL_MODE(%rbx)
        je      user_syscall
        mov     VCPU_TRACE_NEXT(%rbx), %ecx               /* the trace ring's oldest record (trace.h) */
        lea     VCPU_TRACE(%rbx, %rcx), %rbp
        add     $TRACE_RECORD, %ecx
        and     $TRACE_MASK, %ecx
        mov     %ecx, VCPU_TRACE_NEXT(%rbx)
        mov     %eax, 0(%rbp)
        movl    $TRACE_KIND, 4(%rbp)
        mov     %rdi, 8(%rbp)
        mov     %rsi, 16(%rbp)
        mov     %rbx, %rdi
        mov     %rsp, %rsi                                /* &regs->rdi: the six arguments */
        mov     hypercall_calls(%rip), %rcx
        cmp     $HYPERCALLS, %rax
        jae     hypercall_beyond
        call    *(%rcx, %rax, 8)
1:      mov     %rax, 24(%rbp)
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
        cmpb    $0, 1(%rcx)                               /* evtchn_upcall_mask */
        jne     2f
        cmpb    $0, (%rcx)                                /* evtchn_upcall_pending */
        jne     exit_event
2:      cmpl    $REGS_SYSCALL, R_VECTOR(%rsp)
        jne     exit_iret
        mov     R_RIP(%rsp), %rcx                         /* SYSRET to a non-canonical address faults in */
        mov     %rcx, %rax                                /* ring 0 on the guest's stack on some CPUs */
        shl     $16, %rax                                 /* (XSA-7): IRET then */
        sar     $16, %rax
        cmp     %rcx, %rax
        jne     exit_iret
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
        mov     R_RSP - 64(%rsp), %rsp
        sysretq

user_syscall:
        mov     %rbx, %rdi
        call    guest_syscall
        jmp     exit_to_guest
hypercall_beyond:
        call    hypercall_unserved
        jmp     1b
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
exit_iret_insn:
        iretq
        fixup   exit_iret_insn, iret_failed

/* The guest's cs, ss or rip was not to be returned to.  Registers are the guest's, rsp -> its rip slot. */
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
        push    $0
        push    $0                                        /* leave by IRET: cs is a 32-bit one */
        save_gprs
        mov     R_SIZE(%rsp), %rbx
        mov     %rbx, %rdi
        call    guest_syscall32
        jmp     exit_to_guest

entry_sysenter:
        push    $0
        push    $0
        save_gprs
        push    $2                                        /* NT survives SYSENTER and would make the */
        popf                                              /* next IRET a task switch (XSA-44)        */
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
entry_common:
        save_gprs
        cld
        testb   $3, R_CS(%rsp)
        jz      3f
        mov     R_SIZE(%rsp), %rbx
        mov     %rbx, %rdi
        mov     %rsp, %rsi
        call    trap_from_guest
        jmp     exit_to_guest
3:      mov     %rsp, %rdi
        call    trap_in_hypervisor
        restore_gprs
        add     $16, %rsp
        iretq

/*
 * Vectors with a stack of their own, because they can come where rsp is still the guest's.  From the guest, go on on the
 * vCPU's stack as if there had been no such stack; from the hypervisor, stay and tell current_vcpu() who runs.
 */
        .balign 16
entry_ist:
        push    %rax
        mov     %rsp, %rax
        and     $-PERCPU_STRIDE, %rax                     /* this CPU's area */
        testb   $3, 32(%rsp)                              /* rax vector error rip cs */
        jz      4f
        mov     PERCPU_DATA + 8(%rax), %rax               /* stack_top of the running vCPU */
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
4:      mov     PERCPU_DATA + 24(%rax), %rax              /* percpu.current */
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
