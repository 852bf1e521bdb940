/*
 * The fast paths: what a guest's kernel and its programs do to each other all the time turns round here, before C is
 * reached.  Each has a slow twin in C that serves every case.  A fast path asks first, having changed nothing, whether
 * anything is out of the ordinary; then the twin does it instead.  Who changes one changes the other:
 *
 *   here              twin                                          compared by
 *   fast_syscall      bounce.c: guest_syscall                       tests/guest: fast-paths, ways-in
 *   fast_iret         iret.c: hypercall_iret                        tests/guest: fast-paths, ways-out, iret
 *   fast_page_fault   traps.c: page_fault                           tests/guest: fast-paths, exceptions
 *
 * The image paravane-slow (meson.build) is linked without this file: there the twins do everything, and the same tests pass.
 *
 * Interrupts are off here throughout.  rbx holds the vCPU once it is known.
 */
#include "entry-macros.h"

#define HYPERVISOR_8_TIB -16 /* ours begins at -16 * 8 TiB and is 8 TiB long */

/* What lies on the stack of a page fault: rsi rdx rcx rax rbx error rip cs rflags rsp ss vcpu. */
#define P_RCX    16
#define P_ERROR  40
#define P_RIP    48
#define P_CS     56
#define P_RFLAGS 64
#define P_SP     72
#define P_SS     80

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
 *   In:    rcx = its vcpu_info, stack as in fast_page_fault; cs_mask: the bits of cs that the guest shall see; rdx is lost
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
 * The rest of fast_syscall.  @masked: the program runs with upcalls masked; the frame shows that beside cs, and as IF.
 *   In:    stack = rax rbx rip cs rflags rsp ss vcpu; rbx = vCPU, r11 = rflags
 */
.macro syscall_to_kernel masked
        cmpl    $0, VCPU_EXIT_WORK(%rbx)
        jne     slow_syscall
        mov     VCPU_DOMAIN(%rbx), %rax
        cmpl    $0, DOMAIN_SLOW_PATHS(%rax)
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
        .if     \masked
        mov     $1 << 32 | SEL_GUEST_CS64, %rcx
        touch   fault_syscall, mov %rcx, 24(%rax)
        mov     %r11, %rcx
        and     $~RFLAGS_IF, %rcx
        touch   fault_syscall, mov %rcx, 32(%rax)
        .else
        touch   fault_syscall, movq $SEL_GUEST_CS64, 24(%rax)
        touch   fault_syscall, mov %r11, 32(%rax)
        .endif
        mov     8 + S_RSP(%rsp), %rcx
        touch   fault_syscall, mov %rcx, 40(%rax)
        touch   fault_syscall, movq $SEL_GUEST_DS, 48(%rax)
        mov     VCPU_INFO(%rbx), %rcx
        and     $~SYSCALL_CLEARS, %r11
        testb   $1, VCPU_SYSCALL_MASKS(%rbx)
        jz      .Lsyscall_unmasked\@
        movb    $1, INFO_MASK(%rcx)
.Lsyscall_unmasked\@:
        mov     VCPU_SYSCALL_CALLBACK(%rbx), %rcx
        mov     8(%rsp), %rbx
        mov     %rax, 8(%rsp)
        pop     %rax
        prove_flags %r11d
        mov     (%rsp), %rsp
        sysretq
.endm

        .if     FAST_PATHS
        .text
/*
 * A program's SYSCALL, on to its kernel: seven words on the kernel's stack, kernel mode, and go.
 *   Twin:  guest_syscall (bounce.c); tests: fast-paths, ways-in
 *   In:    stack = rbx rip cs rflags rsp ss vcpu; rbx = vCPU, rcx = rip, r11 = rflags; user mode
 */
        .globl  fast_syscall
fast_syscall:
        push    %rax                                      /* stack = rax rbx rip cs rflags rsp ss vcpu */
        mov     VCPU_INFO(%rbx), %rax
        cmpw    $0, INFO_PENDING(%rax)                    /* neither pending nor masked */
        jne     .Lsyscall_masked
        syscall_to_kernel masked=0
.Lsyscall_masked:
        cmpw    $0x100, INFO_PENDING(%rax)                /* masked, by 1, and nothing pending */
        jne     slow_syscall
        syscall_to_kernel masked=1

fault_syscall:
        enter_user %rax
slow_syscall:
        pop     %rax
        jmp     program_syscall

/*
 * The iret hypercall, to either mode: the frame's words are read once each, all of them before anything changes.  The
 * trace ring keeps only those that the twin does.
 *   Twin:  hypercall_iret (iret.c); tests: fast-paths, ways-out, iret
 *   In:    stack = rbx rip cs rflags rsp ss vcpu; rbx = vCPU, rax = HYPERCALL_IRET; kernel mode
 *   Frame: rax r11 rcx flags rip cs rflags rsp ss, at the guest's rsp
 */
        .globl  fast_iret
fast_iret:
        mov     S_RSP(%rsp), %rax
        if_ours %rax, %rcx, slow_iret
        mov     VCPU_DOMAIN(%rbx), %rcx
        cmpl    $0, DOMAIN_SLOW_PATHS(%rcx)
        jne     slow_iret
        cmpl    $0, VCPU_EXIT_WORK(%rbx)
        jne     slow_iret
        mov     VCPU_INFO(%rbx), %r11
        cmpb    $0, INFO_PENDING(%r11)                    /* the upcall may have to come first */
        jne     slow_iret
        cmpb    $0, VCPU_NMI_MASKED(%rbx)                 /* the end of an NMI handler */
        jne     slow_iret
        touch   slow_iret, testl $IN_SYSCALL, F_FLAGS(%rax)
        jnz     .Liret_sysret

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
        jnz     .Liret_flags
        cmpq    $0, VCPU_USER_CR3(%rbx)
        je      slow_iret
.Liret_flags:
        touch   slow_iret, mov F_RFLAGS(%rax), %eax       /* the last word: nothing fails from here on */
        test    $RFLAGS_IF, %eax
        setz    INFO_MASK(%r11)
        and     $~IRET_CLEARS, %eax
        or      $RFLAGS_IF | 2, %eax
        mov     %rax, 24 + S_RFLAGS(%rsp)
        test    $3, %cl
        jnz     .Liret_registers
        enter_user %rcx
.Liret_registers:
        pop     %rax
        pop     %r11
        pop     %rcx
        pop     %rbx
        prove_flags 16(%rsp)
fast_iret_insn:
        iretq
        fixup   fast_iret_insn, iret_failed

        /* Back from a system call: rcx and r11 are lost, selectors flat (iret.c, leaves_by_sysret). */
.Liret_sysret:
        touch   slow_iret, movzwl F_CS(%rax), %ecx
        mov     %ecx, %r11d
        or      $3, %r11d
        cmp     $SEL_GUEST_CS64, %r11d
        je      .Lsysret_mode
        cmp     $SEL_LINUX_USER_CS, %r11d
        jne     slow_iret
.Lsysret_mode:
        not     %ecx
        test    $3, %cl                                   /* as above */
        jnz     .Lsysret_frame
        cmpq    $0, VCPU_USER_CR3(%rbx)
        je      slow_iret
.Lsysret_frame:
        push    %rcx
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
        jnz     .Lsysret_registers
        enter_user %rax
.Lsysret_registers:
        pop     %rax
        prove_flags %r11d
        mov     16(%rsp), %rbx
        mov     (%rsp), %rsp
        sysretq

/*
 * As entry_syscall found things, wherever we were, but for rip, cs and ss, which may be the frame's already: the twin sets all
 * of them, or the domain ends.  rax still says where the frame is, and that is the guest's rsp.
 */
slow_iret:
        or      $STACK_SIZE - 1, %rsp
        sub     $STACK_TOP_RESERVE - 1 + S_VCPU, %rsp
        mov     %rax, S_RSP(%rsp)
        mov     S_RIP(%rsp), %rcx
        mov     S_RFLAGS(%rsp), %r11
        mov     $HYPERCALL_IRET, %eax
        jmp     hypercall

/*
 * A page fault, on to the guest's handler: eight words on its kernel's stack.
 *   Twin:  page_fault (traps.c); tests: fast-paths, exceptions
 *   In:    stack = error rip cs rflags rsp ss vcpu (the latter if from the guest)
 */
        .balign 16
        .globl  fast_page_fault
fast_page_fault:
        testb   $3, 16(%rsp)                              /* cs */
        jz      .Lfault_of_ours
        push    %rbx
        mov     56(%rsp), %rbx                            /* vCPU */
        cmpb    $0, VCPU_KERNEL_MODE(%rbx)
        je      .Lfault_direct
        cmpl    $PF_PRESENT | PF_WRITE | PF_USER, 8(%rsp) /* a write of its kernel's to what it may only read: perhaps */
        jne     .Lfault_direct                            /* to a page table, which we emulate                         */
not_fast_page_fault:
        pop     %rbx
.Lfault_of_ours:
        push    $VECTOR_PF
        jmp     entry_common

.Lfault_direct:
        testl   $RFLAGS_VM, 32(%rsp)                      /* entry_common knows that mode */
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
        cmpl    $0, DOMAIN_SLOW_PATHS(%rax)
        jne     slow_page_fault
        mov     VCPU_TRAPS(%rbx), %rax
        cmpq    $0, VECTOR_PF * GATE_SIZE + GATE_ADDRESS(%rax)
        je      slow_page_fault
        mov     %cr2, %rax
        if_ours %rax, %rdx, slow_page_fault               /* the view of an LDT, perhaps */
        testl   $PF_RSVD, P_ERROR(%rsp)
        jnz     slow_page_fault
        cmpb    $0, VCPU_KERNEL_MODE(%rbx)
        jne     .Lfault_in_kernel

        orl     $PF_USER, P_ERROR(%rsp)                   /* clear where the CPU reads for a program: descriptors */
        mov     VCPU_KERNEL_SP(%rbx), %rsi
        and     $-16, %rsi
        sub     $64, %rsi
        if_ours %rsi, %rdx, slow_page_fault
        enter_kernel %rdx
        page_fault_frame fault_page_fault, ~0
        jmp     .Lfault_to_handler

.Lfault_in_kernel:
        mov     P_SP(%rsp), %rsi
        and     $-16, %rsi
        sub     $64, %rsi
        if_ours %rsi, %rdx, slow_page_fault
        andl    $~PF_USER, P_ERROR(%rsp)                  /* the guest's kernel thinks that it runs in ring 0 */
        page_fault_frame fault_page_fault_kernel, ~3

.Lfault_to_handler:
        mov     %rax, INFO_CR2(%rcx)
        mov     VCPU_TRAPS(%rbx), %rdx
        testb   $GATE_MASKS, VECTOR_PF * GATE_SIZE + GATE_FLAGS(%rdx)
        jz      .Lfault_unmasked
        movb    $1, INFO_MASK(%rcx)
.Lfault_unmasked:
        movzbl  VCPU_TRACE_NEXT(%rbx), %ecx
        addb    $TRACE_STEP, VCPU_TRACE_NEXT(%rbx)
        lea     VCPU_TRACE(%rbx, %rcx, TRACE_UNIT), %rdx
        movl    $VECTOR_PF, RECORD_WHAT(%rdx)
        movl    $TRACE_TRAP, RECORD_KIND(%rdx)
        mov     %rax, RECORD_B(%rdx)
        mov     P_RIP(%rsp), %rax
        mov     %rax, RECORD_A(%rdx)
        mov     P_ERROR(%rsp), %eax
        mov     %rax, RECORD_C(%rdx)
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

        .endif
        .section .note.GNU-stack, "", @progbits
