/*
 * Where the hypervisor enters a test guest: the image's Xen notes, the first
 * instruction, and one stub for each way in.
 *
 * Every way in ends in the same frame, struct trap_frame (trap.h):
 *
 *      high   ss rsp rflags cs rip     pushed by the hypervisor
 *             error vector             pushed by it or by the stub
 *             rax ... r15              pushed by trap_common
 *      low    <- rdi, handed to trap_dispatch()
 *
 * The hypervisor's frame also holds rcx and r11 below rip (SYSRET may have
 * destroyed them); each stub pops them first.
 */

#define __ASSEMBLY__
#include <xen/elfnote.h>
#include <xen/arch-x86/xen.h>

#define VIRT_BASE 0xffffffff80000000
#define NR_STUBS 256
#define VECTOR_EVENT 256
#define VECTOR_FAILSAFE 257
#define VECTOR_SYSCALL 258
#define VECTOR_SYSCALL32 259
#define VECTOR_SYSENTER 260
#define VECTOR_NMI_CALLBACK 261
#define HYPERVISOR_IRET 23

#define FUNC(name) .globl name; .type name, @function; .balign 16; name:

.macro NOTE type:req, value:vararg
        .pushsection .note.xen, "a", @note
        .balign 4
        .long 4, 2f - 1f, \type
        .asciz "Xen"
1:      \value
2:      .balign 4
        .popsection
.endm

        NOTE XEN_ELFNOTE_GUEST_OS, .asciz "paravane-test"
        NOTE XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
        NOTE XEN_ELFNOTE_LOADER, .asciz "generic"
        NOTE XEN_ELFNOTE_VIRT_BASE, .quad VIRT_BASE
        NOTE XEN_ELFNOTE_ENTRY, .quad guest_entry
        NOTE XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page
        NOTE XEN_ELFNOTE_FEATURES, .asciz "!writable_page_tables|pae_pgdir_above_4gb"

        .section .text.start, "ax", @progbits
/* In: rsi = start_info.  The builder's stack is left alone: tests look at it. */
FUNC(guest_entry)
        rdtsc                             /* the benchmark's "first instruction" */
        shl     $32, %rdx
        or      %rdx, %rax
        mov     %rax, guest_entry_tsc(%rip)
        mov     %rsp, guest_entry_rsp(%rip)
        pushfq
        pop     guest_entry_rflags(%rip)
        lea     guest_stack_top(%rip), %rsp
        mov     %rsi, %rdi
        xor     %ebp, %ebp
        call    guest_start
        ud2

        .balign 4096
        .globl hypercall_page
hypercall_page:
        .skip   4096

        .text
/* One stub a vector, 16 bytes each, so that stub n is trap_stubs + 16 n. */
        .balign 16
        .globl trap_stubs
trap_stubs:
        vector = 0
        .rept NR_STUBS
        .balign 16
        pop     %rcx
        pop     %r11
        .if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)
        push    $0
        .endif
        push    $vector
        jmp     trap_common
        vector = vector + 1
        .endr

.macro CALLBACK name:req, vector:req
FUNC(\name)
        pop     %rcx
        pop     %r11
        push    $0
        push    $\vector
        jmp     trap_common
.endm
        CALLBACK trap_event_callback, VECTOR_EVENT
        CALLBACK trap_syscall_callback, VECTOR_SYSCALL
        CALLBACK trap_syscall32_callback, VECTOR_SYSCALL32
        CALLBACK trap_sysenter_callback, VECTOR_SYSENTER
        CALLBACK trap_nmi_callback, VECTOR_NMI_CALLBACK

/* Stack: rcx r11 ds es fs gs, then the usual frame. */
FUNC(trap_failsafe_callback)
        pop     %rcx
        pop     %r11
        pop     failsafe_selectors(%rip)
        pop     failsafe_selectors+8(%rip)
        pop     failsafe_selectors+16(%rip)
        pop     failsafe_selectors+24(%rip)
        push    $0
        push    $VECTOR_FAILSAFE

trap_common:
        cld
        push    %rax
        push    %rcx
        push    %rdx
        push    %rbx
        push    %rbp
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, %rdi
        call    trap_dispatch
        mov     %rsp, %rdi

/* In: rdi = struct trap_frame to load.  Never returns. */
FUNC(trap_return)
        mov     %rdi, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rbp
        pop     %rbx
        pop     %rdx
        pop     %rcx
        pop     %rax
        add     $8, %rsp                  /* vector                          */
        movq    $0, (%rsp)                /* error's slot: iret flags        */
        push    %rcx
        push    %r11
        push    %rax
        mov     $HYPERVISOR_IRET, %eax
        syscall
        ud2

/*
 * int trap_arm(void): like setjmp.  Returns NO_TRAP now, and once more with
 * the vector when the next unhandled trap arrives (trap_dispatch).
 */
FUNC(trap_arm)
        lea     trap_armed(%rip), %rdx
        mov     %rbx, 0(%rdx)
        mov     %rbp, 8(%rdx)
        mov     %r12, 16(%rdx)
        mov     %r13, 24(%rdx)
        mov     %r14, 32(%rdx)
        mov     %r15, 40(%rdx)
        mov     (%rsp), %rax
        mov     %rax, 48(%rdx)
        lea     8(%rsp), %rax
        mov     %rax, 56(%rdx)
        movq    $1, 64(%rdx)
        mov     $-1, %eax
        ret

/* In: rdi = function, rsi = its argument; the entry point of a second vCPU. */
FUNC(vcpu_entry)
        mov     %rdi, %rax
        mov     %rsi, %rdi
        xor     %ebp, %ebp
        call    *%rax
1:      mov     $29, %eax                 /* sched_op(yield): the caller ended */
        xor     %edi, %edi
        xor     %esi, %esi
        syscall
        jmp     1b

        .bss
        .balign 8
        .globl guest_entry_tsc, guest_entry_rsp, guest_entry_rflags, failsafe_selectors
guest_entry_tsc:        .quad 0
guest_entry_rsp:        .quad 0
guest_entry_rflags:     .quad 0
failsafe_selectors:     .quad 0, 0, 0, 0
        .balign 4096
        .skip   32768
        .globl guest_stack_top
guest_stack_top:
        .section .note.GNU-stack, "", @progbits
