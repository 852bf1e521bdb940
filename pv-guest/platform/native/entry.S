/*
 * Into the kernel and out again, on the bare machine.
 *
 * An exception or interrupt makes the CPU push, on the kernel stack,
 *
 *      ss, rsp, rflags, cs, rip, [error code]  <- rsp
 *
 * The stubs add what is missing of struct frame (kernel/entry/frame.h) and meet in
 * enter.  SYSCALL pushes nothing, not even changes the stack, so its entry
 * builds the same picture by hand.
 *
 * GS is the process's even in the kernel: the hidden base holds this CPU's block
 * (struct processor) and is swapped in for the three instructions that need it.  So
 * no other entry has to ask whether it must swap, the hard question of every
 * kernel that keeps GS for itself.
 */
#include "platform/native/layout.h"

#define FUNC(name) .globl name; .balign 16; name:

.macro TRAP vector
FUNC(trap_\vector)
        push    $0                        /* no error code                  */
        push    $\vector
        jmp     enter
.endm
.macro TRAP_ERROR vector
FUNC(trap_\vector)
        push    $\vector
        jmp     enter
.endm

/* These arrive on a stack of their own, whatever was going on, and nothing returns from them. */
.macro TRAP_FATAL vector, error
FUNC(trap_\vector)
        .ifc \error, none
        push    $0
        .endif
        push    $\vector
        jmp     enter_fatal
.endm

.macro PUSH_REGISTERS
        push    %rax
        push    %rbx
        push    %rcx
        push    %rbp
        push    %r9
        push    %r8
        push    %r10
        push    %rdx
        push    %rsi
        push    %rdi
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        cld
        mov     %rsp, %rdi
        xor     %ebp, %ebp
.endm

        .text
        TRAP       0
        TRAP       1
        TRAP_FATAL 2, none
        TRAP       3
        TRAP       4
        TRAP       5
        TRAP       6
        TRAP       7
        TRAP_FATAL 8, pushed
        TRAP_ERROR 10
        TRAP_ERROR 11
        TRAP_ERROR 12
        TRAP_ERROR 14
        TRAP       16
        TRAP_ERROR 17
        TRAP_FATAL 18, none
        TRAP       19
        TRAP       257

/*
 * #GP.  If it was platform_return's iretq that the CPU refused, because the
 * process's rip is no address, the fault is the process's: show it as such.
 *   In:  rsp -> error, rip, cs, rflags, rsp, ss; that rsp is where iretq stood
 */
FUNC(trap_13)
        cmpq    $return_iret, 8(%rsp)
        jne     1f
        mov     32(%rsp), %rsp            /* -> the process's rip, cs, ...  */
        push    $0
1:      push    $13
        jmp     enter

/*
 * SYSCALL from a process.
 *   In:  rax = number, rcx = rip, r11 = rflags; rsp is still the process's;
 *        interrupts are masked (MSR_FMASK)
 */
FUNC(trap_syscall)
        swapgs
        mov     %rsp, %gs:CPU_USER_RSP
        mov     %gs:CPU_RSP0, %rsp
        push    $SEL_USER_DATA
        push    %gs:CPU_USER_RSP
        swapgs
        push    %r11
        push    $SEL_USER_CODE
        push    %rcx
        push    %rax                      /* error = number, for restarts   */
        push    $VECTOR_SYSCALL
        /* fall through */

/*
 * All stubs meet here.
 *   In:    rsp -> vector, error, rip, cs, rflags, rsp, ss
 *   Out:   trap_handle(frame), then as platform_return(frame)
 *   Stack: struct frame; the CPU aligned it to 16 before pushing ss
 */
enter:
        PUSH_REGISTERS
        call    trap_handle
        jmp     return

/*
 * void platform_return(struct frame *)
 *   In:  rdi = frame
 *   Out: never.  A system call goes back by SYSRET, which has lost rcx and r11
 *        anyway.  Not with a rip that is no address: SYSRET would fault in ring
 *        0 on the process's stack.
 */
FUNC(platform_return)
        mov     %rdi, %rsp
return:
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %r10
        pop     %r8
        pop     %r9
        pop     %rbp
        pop     %rcx
        pop     %rbx
        pop     %rax                      /* rsp -> vector, error, rip ...  */
        cmpq    $VECTOR_SYSCALL, (%rsp)
        jne     1f
        cmpl    $0x7fff, 20(%rsp)         /* rip's upper half               */
        ja      1f
        mov     16(%rsp), %rcx
        mov     32(%rsp), %r11
        mov     40(%rsp), %rsp
        sysretq
1:      add     $16, %rsp
return_iret:
        iretq

/*
 * SYSCALL from a 32-bit code segment: nothing is served there.  To the process
 * it looks like an instruction that does not exist.
 */
FUNC(trap_syscall32)
        swapgs
        mov     %rsp, %gs:CPU_USER_RSP
        mov     %gs:CPU_RSP0, %rsp
        push    $SEL_USER_DATA
        push    %gs:CPU_USER_RSP
        swapgs
        push    %r11
        push    $SEL_USER_CODE32
        push    %rcx
        push    $0
        push    $6
        jmp     enter

        .balign 16
enter_fatal:
        PUSH_REGISTERS
        call    trap_fatal
        ud2

/*
 * Another CPU waits until this one has forgotten its translations.  It holds
 * the kernel's lock, so this must not ask for that, as trap_handle would.
 */
FUNC(trap_flush)
        push    %rax
        push    %rcx
        push    %rdx
        push    %rdi
        push    %rsi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbp
        mov     %rsp, %rbp
        and     $-16, %rsp
        cld
        call    smp_flush_interrupt
        mov     %rbp, %rsp
        pop     %rbp
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rsi
        pop     %rdi
        pop     %rdx
        pop     %rcx
        pop     %rax
        iretq

/* What the local APIC or a masked PIC raised by mistake. */
FUNC(trap_spurious)
        iretq

        .section .note.GNU-stack, "", @progbits
