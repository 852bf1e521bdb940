/*
 * The notes of the image, its first instruction, the ways into it and to a program (../abi.md).
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include <xen/arch-x86/xen.h>

#define VIRT_BASE 0xffffffff80000000

.macro note type, value:vararg
        .pushsection .note.Xen, "a", @note
        .balign 4
        .long   4, 2f - 1f, \type
        .asciz  "Xen"
1:      \value
2:      .balign 4
        .popsection
.endm

        note    XEN_ELFNOTE_GUEST_OS, .asciz "hello"
        note    XEN_ELFNOTE_LOADER, .asciz "generic"
        note    XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
        note    XEN_ELFNOTE_VIRT_BASE, .quad VIRT_BASE
        note    XEN_ELFNOTE_PADDR_OFFSET, .quad 0
        note    XEN_ELFNOTE_ENTRY, .quad start

        .text
        .globl  start, breakpoint_entry, event_entry, syscall_entry, enter_program, program
/* In: rsi = start_info, rsp = end of the boot stack. */
start:
        mov     %rsi, %rdi
        call    hello_main
        ud2

/*
 * In:  rsp -> rcx r11 rip cs rflags rsp ss, as the hypervisor has pushed them
 * Out: by iret, which wants rax r11 rcx flags before these five
 */
.macro way_in handler
        pop     %rcx
        pop     %r11
        push    $0
        push    %rcx
        push    %r11
        push    %rax
        push    %rdx
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        cld
        call    \handler
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rdx
        mov     $__HYPERVISOR_iret, %eax
        syscall
.endm

breakpoint_entry:
        way_in  breakpoint
event_entry:
        way_in  event

/* A program's SYSCALL: the same frame, on the stack that stack_switch named.  We do not go back. */
syscall_entry:
        mov     %rax, %rdi
        mov     24(%rsp), %rsi                    /* cs, and the mask above it */
        call    system_call
        ud2

/* In: rdi = a program's first instruction, rsi = its stack.  cs with RPL 3 means user mode. */
enter_program:
        push    $FLAT_USER_SS
        push    %rsi
        push    $0x202                            /* rflags: IF, so upcalls are open */
        push    $FLAT_USER_CS
        push    %rdi
        push    $0                                /* flags */
        push    $0                                /* rcx   */
        push    $0                                /* r11   */
        push    $0                                /* rax   */
        mov     $__HYPERVISOR_iret, %eax
        syscall

/* The program, copied to a page of its own. */
program:
        mov     $42, %eax
        syscall
        ud2

        .section .note.GNU-stack, "", @progbits
