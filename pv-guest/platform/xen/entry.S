/*
 * Into the kernel and out again, as a PV guest.
 *
 * The hypervisor enters the kernel by pushing, on the kernel stack,
 *
 *      ss, rsp, rflags, cs, rip, [error code,] r11, rcx  <- rsp
 *
 * and jumping to a handler.  rcx and r11 are there because the hypervisor gets
 * here by SYSRET, which needs them.  All stubs turn this into struct frame
 * (kernel/entry/frame.h), which has room for exactly these two extra words where
 * vector and error belong, and meet in enter.
 *
 * In cs the selector is 16 bits; bits 32-39 hold the upcall mask that was in
 * force, which rflags.IF tells as well, so the handler may ignore it.
 */
#define __ASSEMBLY__
#include <xen/xen.h>
#include "kernel/lib/layout.h"


#define FUNC(name) .globl name; .balign 16; name:

/*
 * Vectors without an error code: rcx's slot becomes vector, r11's becomes error.
 * Vectors with one: rcx's slot disappears, r11's becomes vector.
 */
.macro TRAP vector
FUNC(trap_\vector)
        mov     (%rsp), %rcx
        mov     8(%rsp), %r11
        movq    $0, 8(%rsp)
        movq    $\vector, (%rsp)
        jmp     enter
.endm
.macro TRAP_ERROR vector
FUNC(trap_\vector)
        mov     (%rsp), %rcx
        mov     8(%rsp), %r11
        add     $8, %rsp
        movq    $\vector, (%rsp)
        jmp     enter
.endm

        .text
        TRAP       0
        TRAP       1
        TRAP       2
        TRAP       3
        TRAP       4
        TRAP       5
        TRAP       6
        TRAP       7
        TRAP_ERROR 8
        TRAP_ERROR 10
        TRAP_ERROR 11
        TRAP_ERROR 12
        TRAP_ERROR 13
        TRAP_ERROR 14
        TRAP       16
        TRAP_ERROR 17
        TRAP       18
        TRAP       19
        TRAP       VECTOR_EVENT

/*
 * SYSCALL from a process.
 *   In: as above without error code; rcx's slot = rip, r11's = rflags,
 *       rax = number; events masked (CALLBACKF_mask_events)
 */
FUNC(trap_syscall)
        mov     (%rsp), %rcx
        mov     8(%rsp), %r11
        mov     %rax, 8(%rsp)             /* error = number, for restarts   */
        movq    $VECTOR_SYSCALL, (%rsp)
        /* fall through */

/*
 * All stubs meet here.
 *   In:    rsp -> vector, error, rip, cs, rflags, rsp, ss
 *   Out:   trap_handle(frame), then platform_return(frame)
 *   Stack: struct frame; the hypervisor aligned it to 16 before pushing ss
 */
        .balign 16
enter:
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
        mov     %rsp, %rbx
        and     $-16, %rsp
        call    trap_handle
        mov     %rbx, %rdi
        /* fall through */

/*
 * void platform_return(struct frame *)
 *   In:    rdi = frame
 *   Out:   never; the iret hypercall pops rax, r11, rcx, flags, rip, cs,
 *          rflags, rsp, ss.  Its stub pushes the first three itself.
 */
FUNC(platform_return)
        mov     %rdi, %rsp
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
        je      1f
        add     $8, %rsp                  /* error's slot carries flags:    */
        movq    $0, (%rsp)                /* 0 restores rcx and r11 as well */
        jmp     hypercall_page + __HYPERVISOR_iret * 32
1:      add     $8, %rsp                  /* a system call has lost them    */
        movq    $VGCF_IN_SYSCALL, (%rsp)  /* anyway: SYSRET will do         */
        jmp     hypercall_page + __HYPERVISOR_iret * 32

/*
 * The hypervisor could not load a data segment on the way back to a process:
 * its selector is bad.  It tells the kernel instead of the process.
 *   In:    rsp -> rcx, r11, ds, es, fs, gs, rip, cs, rflags, rsp, ss
 *   Out:   continues there with null selectors
 */
FUNC(trap_failsafe)
        mov     (%rsp), %rcx
        mov     8(%rsp), %r11
        add     $48, %rsp                 /* the bad selectors are dropped  */
        push    $0                        /* flags                          */
        jmp     hypercall_page + __HYPERVISOR_iret * 32

        .section .note.GNU-stack, "", @progbits
