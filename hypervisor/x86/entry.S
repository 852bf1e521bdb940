/*
 * Every way into the hypervisor and the two ways out.
 *
 *   SYSCALL ----> trampoline (per-CPU page) --> entry_syscall --+
 *   exceptions -> stub NN --> entry_common ---------------------+--> C --> exit_to_guest --> SYSRET or IRET
 *   NMI #DB #MC #DF -> stub --> entry_ist --> (vCPU's stack) ---+
 *
 * What a guest's kernel and its programs do to each other all the time turns round before C is reached: a program's SYSCALL
 * (fast_syscall), the iret hypercall (fast_iret), a page fault (entry_page_fault).  Each asks first, having changed nothing,
 * whether anything is out of the ordinary; then the C that serves every case (bounce.c, iret.c) does it instead.
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

/* Offsets in struct guest_regs. */
#define R_RAX    48
#define R_RBP    64
#define R_VECTOR 120
#define R_RIP    136
#define R_CS     144
#define R_RFLAGS 152
#define R_RSP    160
#define R_SS     168
#define R_SIZE   176

/* What lies on the stack of the fast paths: rbx rip cs rflags rsp ss vcpu. */
#define S_RIP    8
#define S_CS     16
#define S_RFLAGS 24
#define S_RSP    32
#define S_SS     40
#define S_VCPU   48

/* And of a page fault: rsi rdx rcx rax rbx error rip cs rflags rsp ss vcpu. */
#define P_RCX    16
#define P_ERROR  40
#define P_RIP    48
#define P_CS     56
#define P_RFLAGS 64
#define P_SP     72
#define P_SS     80
#define P_VCPU   88

/* The frame of the iret hypercall: struct iret_context. */
#define F_RAX    0
#define F_R11    8
#define F_RCX    16
#define F_FLAGS  24
#define F_RIP    32
#define F_CS     40
#define F_RFLAGS 48
#define F_RSP    56
#define F_SS     64

#define VECTOR_PF  14
#define PF_PRESENT 1 /* bits of its error code */
#define PF_WRITE   2
#define PF_USER    4
#define PF_RSVD    8

#define RFLAGS_IF   (1 << RFLAGS_IF_BIT)
#define RFLAGS_IOPL 0x3000
#define RFLAGS_VM   0x20000

#define HYPERVISOR_8_TIB -16 /* ours begins at -16 * 8 TiB and is 8 TiB long */

.macro save_gprs rbx=%rbx
        push    %r11
        push    %rcx
        push    %r15
        push    %r14
        push    %r13
        push    %r12
        push    %rbp
        push    \rbx
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

/* An instruction that touches guest memory, and where to go on if it faults. */
.macro touch resume, insn:vararg
.Ltouch\@:
        \insn
        fixup   .Ltouch\@, \resume
.endm

/* Is \va the hypervisor's?  (What is not canonical faults when it is touched.) */
.macro if_ours va, scratch, then
        mov     \va, \scratch
        sar     $43, \scratch
        cmp     $HYPERVISOR_8_TIB, \scratch
        je      \then
.endm

.macro unless_canonical va, scratch, then
        mov     $1 << 47, \scratch
        add     \va, \scratch
        shr     $48, \scratch
        jnz     \then
.endm

/*
 * The guest's rflags, once saved, have IF set, IOPL 0 and VM clear.  Ring 3 cannot change these three while they are so; a way in
 * that may bring something else (SYSENTER clears IF; an emulator may have let a program into virtual-8086 mode, ring3-probe.c)
 * makes them so first thing, and so every way out finds them.  SYSCALL from 64-bit code, which that mode is not, cannot.  A build
 * with checks looks once more, last thing: prove_flags.
 */
.macro own_flags where
        andl    $~(RFLAGS_IOPL | RFLAGS_VM), \where
        orl     $RFLAGS_IF, \where
.endm
.macro prove_flags where
        .if     EXIT_CHECKS
        testl   $RFLAGS_IOPL | RFLAGS_VM, \where
        jnz     .Lbad\@
        testl   $RFLAGS_IF, \where
        jnz     .Lgood\@
.Lbad\@:
        ud2
.Lgood\@:
        .endif
.endm

/* The guest's mode, and with it GS base and page tables.  In: rbx = vCPU, whose CR3 there is. */
.macro enter_kernel scratch
        mov     VCPU_KERNEL_CR3(%rbx), \scratch
        mov     \scratch, %cr3
        swapgs
        movb    $1, VCPU_KERNEL_MODE(%rbx)
.endm
.macro enter_user scratch
        mov     VCPU_USER_CR3(%rbx), \scratch
        mov     \scratch, %cr3
        swapgs
        movb    $0, VCPU_KERNEL_MODE(%rbx)
.endm

/*
 * A page fault's eight words at rsi: rcx r11 error rip cs+mask rflags rsp ss (bounce.c says why).
 * The lowest word comes first: a frame that begins below our half and ends in it stops at an address that is not canonical.
 *   In:    rcx = its vcpu_info, stack as in entry_page_fault; cs_mask: the bits of cs that the guest shall see; rdx is lost
 */
.macro page_fault_frame resume, cs_mask
        mov     P_RCX(%rsp), %rdx
        touch   \resume, mov %rdx, 0(%rsi)
        mov     P_CS(%rsp), %edx
        .if     \cs_mask != ~0
        and     $\cs_mask, %edx
        .endif
        touch   \resume, mov %rdx, 32(%rsi)
        movzbl  INFO_MASK(%rcx), %edx
        touch   \resume, mov %dl, 36(%rsi)
        shl     $RFLAGS_IF_BIT, %edx                      /* the guest runs with IF set and IOPL 0: show */
        xor     P_RFLAGS(%rsp), %edx                      /* IF as the opposite of the mask              */
        touch   \resume, mov %rdx, 40(%rsi)
        touch   \resume, mov %r11, 8(%rsi)
        mov     P_ERROR(%rsp), %edx
        touch   \resume, mov %rdx, 16(%rsi)
        mov     P_RIP(%rsp), %rdx
        touch   \resume, mov %rdx, 24(%rsi)
        mov     P_SP(%rsp), %rdx
        touch   \resume, mov %rdx, 48(%rsi)
        mov     P_SS(%rsp), %rdx
        touch   \resume, mov %rdx, 56(%rsi)
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

/*
 * SYSENTER keeps neither rip nor rsp: both 0.  It clears IF and VM and leaves every other flag as it is: a program's single step
 * becomes a #DB before each line until trap_in_hypervisor() finds them saved, NT waits for entry_sysenter.
 */
        .balign 64
        .globl  trampoline_sysenter, trampoline_sysenter_saved
trampoline_sysenter:
        mov     trampoline + PERCPU_DATA + 8(%rip), %rsp
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
        je      fast_syscall
        cmp     $HYPERCALL_IRET, %rax
        je      fast_iret
hypercall:
        push    $REGS_SYSCALL
        save_gprs rbx=64(%rsp)
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
        prove_flags 16(%rsp)
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

/*
 * A program's SYSCALL, on to its kernel: seven words on the kernel's stack, kernel mode, and go.  In C: guest_syscall.
 *   In:    stack = rbx rip cs rflags rsp ss vcpu; rbx = vCPU, rcx = rip, r11 = rflags; user mode
 */
fast_syscall:
        push    %rax                                      /* stack = rax rbx rip cs rflags rsp ss vcpu */
        mov     VCPU_INFO(%rbx), %rax
        cmpw    $0, INFO_PENDING(%rax)                    /* neither pending nor masked: the frame shows IF */
        jne     slow_syscall
        cmpl    $0, VCPU_EXIT_WORK(%rbx)
        jne     slow_syscall
        mov     VCPU_DOMAIN(%rbx), %rax
        cmpl    $0, DOMAIN_DETOURS(%rax)
        jne     slow_syscall
        cmpq    $0, VCPU_SYSCALL_CALLBACK(%rbx)           /* checked when registered: canonical */
        je      slow_syscall
        mov     VCPU_KERNEL_SP(%rbx), %rax
        and     $-16, %rax
        sub     $56, %rax
        if_ours %rax, %rcx, slow_syscall
        enter_kernel %rcx
        mov     8 + S_RIP(%rsp), %rcx
        touch   fault_syscall, mov %rcx, 0(%rax)          /* as SYSCALL left them: rcx = rip, */
        touch   fault_syscall, mov %r11, 8(%rax)          /* r11 = rflags                     */
        touch   fault_syscall, mov %rcx, 16(%rax)
        touch   fault_syscall, movq $SEL_GUEST_CS64, 24(%rax)
        touch   fault_syscall, mov %r11, 32(%rax)
        mov     8 + S_RSP(%rsp), %rcx
        touch   fault_syscall, mov %rcx, 40(%rax)
        touch   fault_syscall, movq $SEL_GUEST_DS, 48(%rax)
        mov     VCPU_INFO(%rbx), %rcx
        and     $~SYSCALL_CLEARS, %r11
        testb   $1, VCPU_SYSCALL_MASKS(%rbx)
        jz      5f
        movb    $1, INFO_MASK(%rcx)
5:      mov     VCPU_SYSCALL_CALLBACK(%rbx), %rcx
        mov     8(%rsp), %rbx
        mov     %rax, 8(%rsp)
        pop     %rax
        prove_flags %r11d
        mov     (%rsp), %rsp
        sysretq

fault_syscall:
        enter_user %rax
slow_syscall:
        pop     %rax
        mov     S_RIP(%rsp), %rcx
        push    $REGS_SYSCALL
        save_gprs rbx=64(%rsp)
        mov     %rbx, %rdi
        call    guest_syscall
        jmp     exit_to_guest

/*
 * The iret hypercall, to either mode: the frame's words are read once each, all of them before anything changes.  In C:
 * hypercall_iret; the trace ring keeps only those.
 *   In:    stack = rbx rip cs rflags rsp ss vcpu; rbx = vCPU, rax = HYPERCALL_IRET; kernel mode
 *   Frame: rax r11 rcx flags rip cs rflags rsp ss, at the guest's rsp
 */
fast_iret:
        mov     S_RSP(%rsp), %rax
        if_ours %rax, %rcx, slow_iret
        mov     VCPU_DOMAIN(%rbx), %rcx
        cmpl    $0, DOMAIN_DETOURS(%rcx)
        jne     slow_iret
        cmpl    $0, VCPU_EXIT_WORK(%rbx)
        jne     slow_iret
        mov     VCPU_INFO(%rbx), %r11
        cmpb    $0, INFO_PENDING(%r11)                    /* the upcall may have to come first */
        jne     slow_iret
        cmpb    $0, VCPU_NMI_MASKED(%rbx)                 /* the end of an NMI handler */
        jne     slow_iret
        touch   slow_iret, testl $IN_SYSCALL, F_FLAGS(%rax)
        jnz     6f

        /* Every register comes from the frame: leave by IRET, whose five words lie ready. */
        touch   slow_iret, movzwl F_SS(%rax), %ecx
        or      $3, %ecx
        mov     %rcx, S_SS(%rsp)
        touch   slow_iret, push F_RCX(%rax)
        touch   slow_iret, push F_R11(%rax)
        touch   slow_iret, push F_RAX(%rax)               /* stack = rax r11 rcx rbx rip cs rflags rsp ss vcpu */
        touch   slow_iret, mov F_RIP(%rax), %rcx
        mov     %rcx, 24 + S_RIP(%rsp)
        touch   slow_iret, mov F_RSP(%rax), %rcx
        mov     %rcx, 24 + S_RSP(%rsp)
        touch   slow_iret, movzwl F_CS(%rax), %ecx
        mov     %rcx, 24 + S_CS(%rsp)
        orb     $3, 24 + S_CS(%rsp)
        not     %ecx
        test    $3, %cl                                   /* was its RPL 3?  Else the kernel itself goes on */
        jnz     4f
        cmpq    $0, VCPU_USER_CR3(%rbx)
        je      slow_iret
4:      touch   slow_iret, mov F_RFLAGS(%rax), %eax       /* the last word: nothing fails from here on */
        test    $RFLAGS_IF, %eax
        setz    INFO_MASK(%r11)
        and     $~IRET_CLEARS, %eax
        or      $RFLAGS_IF | 2, %eax
        mov     %rax, 24 + S_RFLAGS(%rsp)
        test    $3, %cl
        jnz     5f
        enter_user %rcx
5:      pop     %rax
        pop     %r11
        pop     %rcx
        pop     %rbx
        prove_flags 16(%rsp)
fast_iret_insn:
        iretq
        fixup   fast_iret_insn, iret_failed

        /* Back from a system call: rcx and r11 are lost, selectors flat (iret.c, leaves_by_sysret). */
6:      touch   slow_iret, movzwl F_CS(%rax), %ecx
        mov     %ecx, %r11d
        or      $3, %r11d
        cmp     $SEL_GUEST_CS64, %r11d
        je      7f
        cmp     $SEL_LINUX_USER_CS, %r11d
        jne     slow_iret
7:      not     %ecx
        test    $3, %cl                                   /* as above */
        jnz     7f
        cmpq    $0, VCPU_USER_CR3(%rbx)
        je      slow_iret
7:      push    %rcx
        touch   slow_iret, push F_RSP(%rax)
        touch   slow_iret, push F_RAX(%rax)               /* stack = rax rsp ~cs rbx rip cs rflags rsp ss vcpu */
        touch   slow_iret, mov F_RIP(%rax), %rcx
        unless_canonical %rcx, %r11, slow_iret            /* XSA-7 again */
        touch   slow_iret, mov F_RFLAGS(%rax), %r11d      /* the last word: nothing fails from here on */
        mov     VCPU_INFO(%rbx), %rax
        test    $RFLAGS_IF, %r11d
        setz    INFO_MASK(%rax)
        and     $~IRET_CLEARS, %r11d
        or      $RFLAGS_IF | 2, %r11d
        testb   $3, 16(%rsp)
        jnz     8f
        enter_user %rax
8:      pop     %rax
        prove_flags %r11d
        mov     16(%rsp), %rbx
        mov     (%rsp), %rsp
        sysretq

/* As entry_syscall found things, wherever we were: rax still says where the frame is, and that is the guest's rsp. */
slow_iret:
        or      $STACK_SIZE - 1, %rsp
        sub     $STACK_TOP_RESERVE - 1 + S_VCPU, %rsp
        mov     %rax, S_RSP(%rsp)
        mov     S_RIP(%rsp), %rcx
        mov     S_RFLAGS(%rsp), %r11
        mov     $HYPERCALL_IRET, %eax
        jmp     hypercall

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
 * A page fault, on to the guest's handler: eight words on its kernel's stack.  In C: page_fault (traps.c).
 *   In:    stack = error rip cs rflags rsp ss vcpu (the latter if from the guest)
 */
        .balign 16
entry_page_fault:
        testb   $3, 16(%rsp)                              /* cs */
        jz      1f
        push    %rbx
        mov     56(%rsp), %rbx                            /* vCPU */
        cmpb    $0, VCPU_KERNEL_MODE(%rbx)
        je      2f
        cmpl    $PF_PRESENT | PF_WRITE | PF_USER, 8(%rsp) /* a write of its kernel's to what it may only read: perhaps */
        jne     2f                                        /* to a page table, which we emulate                         */
not_fast_page_fault:
        pop     %rbx
1:      push    $VECTOR_PF
        jmp     entry_common

2:      testl   $RFLAGS_VM, 32(%rsp)                      /* entry_common knows that mode */
        jnz     not_fast_page_fault
        push    %rax
        push    %rcx
        push    %rdx
        push    %rsi                                      /* stack = rsi rdx rcx rax rbx error rip cs rflags rsp ss vcpu */
        mov     VCPU_INFO(%rbx), %rcx
        cmpb    $0, INFO_PENDING(%rcx)
        jne     slow_page_fault
        cmpb    $1, INFO_MASK(%rcx)
        ja      slow_page_fault
        cmpl    $0, VCPU_EXIT_WORK(%rbx)
        jne     slow_page_fault
        mov     VCPU_DOMAIN(%rbx), %rax
        cmpl    $0, DOMAIN_DETOURS(%rax)
        jne     slow_page_fault
        mov     VCPU_TRAPS(%rbx), %rax
        cmpq    $0, VECTOR_PF * GATE_SIZE + GATE_ADDRESS(%rax)
        je      slow_page_fault
        mov     %cr2, %rax
        if_ours %rax, %rdx, slow_page_fault               /* the view of an LDT, perhaps */
        testl   $PF_RSVD, P_ERROR(%rsp)
        jnz     slow_page_fault
        cmpb    $0, VCPU_KERNEL_MODE(%rbx)
        jne     5f

        orl     $PF_USER, P_ERROR(%rsp)                   /* clear where the CPU reads for a program: descriptors */
        mov     VCPU_KERNEL_SP(%rbx), %rsi
        and     $-16, %rsi
        sub     $64, %rsi
        if_ours %rsi, %rdx, slow_page_fault
        enter_kernel %rdx
        page_fault_frame fault_page_fault, ~0
        jmp     6f

5:      mov     P_SP(%rsp), %rsi
        and     $-16, %rsi
        sub     $64, %rsi
        if_ours %rsi, %rdx, slow_page_fault
        andl    $~PF_USER, P_ERROR(%rsp)                  /* the guest's kernel thinks that it runs in ring 0 */
        page_fault_frame fault_page_fault_kernel, ~3

6:      mov     %rax, INFO_CR2(%rcx)
        mov     VCPU_TRAPS(%rbx), %rdx
        testb   $GATE_MASKS, VECTOR_PF * GATE_SIZE + GATE_FLAGS(%rdx)
        jz      7f
        movb    $1, INFO_MASK(%rcx)
7:      mov     VCPU_TRACE_NEXT(%rbx), %ecx
        lea     VCPU_TRACE(%rbx, %rcx), %rdx
        add     $TRACE_RECORD, %ecx
        and     $TRACE_MASK, %ecx
        mov     %ecx, VCPU_TRACE_NEXT(%rbx)
        movl    $VECTOR_PF, 0(%rdx)
        movl    $TRACE_KIND_TRAP, 4(%rdx)
        mov     %rax, 16(%rdx)
        mov     P_RIP(%rsp), %rax
        mov     %rax, 8(%rdx)
        mov     P_ERROR(%rsp), %eax
        mov     %rax, 24(%rdx)
        mov     VCPU_TRAPS(%rbx), %rdx
        mov     VECTOR_PF * GATE_SIZE + GATE_ADDRESS(%rdx), %rdx
        mov     %rdx, P_RIP(%rsp)
        movq    $SEL_GUEST_CS64, P_CS(%rsp)
        andl    $~HANDLER_CLEARS, P_RFLAGS(%rsp)
        mov     %rsi, P_SP(%rsp)
        movq    $SEL_GUEST_DS, P_SS(%rsp)
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rax
        pop     %rbx
        add     $8, %rsp
        prove_flags 16(%rsp)
        iretq                                             /* to addresses checked when registered: does not fail */

fault_page_fault:
        enter_user %rdx
fault_page_fault_kernel:
        mov     %rax, %cr2                                /* ours came between */
slow_page_fault:
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rax
        pop     %rbx
        push    $VECTOR_PF
        jmp     entry_common

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
2:      mov     PERCPU_DATA + 8(%rax), %rax               /* stack_top of the running vCPU */
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
        .if     \vector == VECTOR_PF
        jmp     entry_page_fault
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
