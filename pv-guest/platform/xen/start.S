/*
 * What the domain builder reads (the notes), where it enters, and the page it
 * fills with hypercall stubs.
 */
#include <xen/elfnote.h>
#include "kernel/lib/layout.h"

#define NOTE(type, kind, ...)                      \
        .align  4;                                 \
        .long   4, 7002f - 7001f, type;            \
        .asciz  "Xen";                             \
7001:   kind    __VA_ARGS__;                       \
7002:   .align  4

        .pushsection .note.Xen, "a", @note
        NOTE(XEN_ELFNOTE_GUEST_OS,       .asciz, "paravane")
        NOTE(XEN_ELFNOTE_GUEST_VERSION,  .asciz, "0.1")
        NOTE(XEN_ELFNOTE_XEN_VERSION,    .asciz, "xen-3.0")
        NOTE(XEN_ELFNOTE_VIRT_BASE,      .quad,  KERNEL_BASE)
        NOTE(XEN_ELFNOTE_PADDR_OFFSET,   .quad,  0)
        NOTE(XEN_ELFNOTE_ENTRY,          .quad,  start)
        NOTE(XEN_ELFNOTE_HYPERCALL_PAGE, .quad,  hypercall_page)
        NOTE(XEN_ELFNOTE_FEATURES,       .asciz, "pae_pgdir_above_4gb")
        NOTE(XEN_ELFNOTE_PAE_MODE,       .asciz, "yes")
        NOTE(XEN_ELFNOTE_LOADER,         .asciz, "generic")
        NOTE(XEN_ELFNOTE_MOD_START_PFN,  .long,  1)
        .popsection

/*
 * The first instruction of the guest.
 *   In:  rsi = struct start_info *, the builder's page tables, no traps yet
 *   Out: never; boot_start calls kernel_start
 */
        .section .text.start, "ax"
        .globl  start
start:
        cld
        lea     boot_stack_top(%rip), %rsp
        xor     %ebp, %ebp
        mov     %rsi, %rdi
        call    boot_start
        ud2

/* 128 stubs of 32 bytes, written by the hypervisor; entry.S jumps to that of iret. */
        .text
        .balign 4096
        .globl  hypercall_page
hypercall_page:
        .fill   4096, 1, 0x90

        .bss
        .balign KERNEL_STACK_SIZE
boot_stack:
        .skip   KERNEL_STACK_SIZE
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
