/*
 * From the loader to C.
 *
 * QEMU's -kernel (and any other PVH loader) finds the note below and enters
 * start32 in 32-bit protected mode without paging; GRUB finds the Multiboot 2
 * header and enters start32_multiboot the same way.  The first page tables are
 * constants: they map the first gigabyte three times, one to one for the step
 * into paging, at the direct map, and at KERNEL_BASE.  boot.c replaces them.
 */
#include <xen/elfnote.h>
#include "platform/native/layout.h"

#define PHYS(symbol) (symbol - KERNEL_BASE)

#define TABLE     0x003 /* present, writable */
#define LARGE     0x083 /* and 2 MiB */
#define COM1      0x3f8

#define MULTIBOOT_MAGIC 0xe85250d6

        .pushsection .note.Xen, "a", @note
        .align  4
        .long   4, 4, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   PHYS(start32)
        .long   4, 9, XEN_ELFNOTE_GUEST_OS /* for those who start it */
        .asciz  "Xen"
        .asciz  "paravane"
        .align  4
        .popsection

        .section .text.start, "ax"
        .balign 8
header:
        .long   MULTIBOOT_MAGIC, 0        /* 32-bit x86                     */
        .long   header_end - header
        .long   -(MULTIBOOT_MAGIC + header_end - header)
        .short  0, 0                      /* no tags                        */
        .long   8
header_end:

/*
 * The first instruction.
 *   In:  ebx = physical address of struct hvm_start_info, or of Multiboot's
 *        list, and then eax says so; flat segments, paging and interrupts off
 *   Out: never; boot_start(ebx, eax) on the boot stack
 */
        .code32
        .globl  start32, start32_multiboot
start32:
        xor     %eax, %eax
start32_multiboot:
        cli
        cld
        mov     %ebx, %ebp                /* cpuid destroys both            */
        mov     %eax, %edi
        mov     $PHYS(no_long_mode), %esi
        mov     $0x80000000, %eax
        cpuid
        cmp     $0x80000001, %eax
        jb      stop
        mov     $0x80000001, %eax
        cpuid
        bt      $29, %edx                 /* long mode                      */
        jnc     stop
        mov     $CR4_START, %eax
        mov     %eax, %cr4
        mov     $PHYS(boot_l4), %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        mov     $EFER_START, %eax
        xor     %edx, %edx
        wrmsr
        mov     $CR0_KERNEL, %eax
        mov     %eax, %cr0
        lgdt    PHYS(boot_gdt_pointer)
        ljmp    $SEL_KERNEL_CODE, $PHYS(long_mode)

/* Say what esi points to on the serial line, and end the machine. */
stop:
        lodsb
        test    %al, %al
        jz      2f
        mov     %al, %bl
        mov     $COM1 + 5, %dx
1:      in      %dx, %al                  /* an absent UART reads 0xff      */
        test    $0x20, %al
        jz      1b
        mov     %bl, %al
        mov     $COM1, %dx
        out     %al, %dx
        jmp     stop
2:      hlt
        jmp     2b

        .code64
long_mode:
        movabs  $high, %rax
        jmp     *%rax
high:
        xor     %eax, %eax
        mov     %eax, %ss
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        lea     boot_stack_top(%rip), %rsp
        mov     %edi, %esi
        mov     %ebp, %edi
        xor     %ebp, %ebp
        call    boot_start
        ud2

/*
 * The other CPUs begin here, in a copy of this at AP_START (smp.c).
 *   In:  real mode, cs:ip = the copy, interrupts off
 *   Out: never; smp_start_cpu on *ap_stack
 */
        .section .rodata.start, "a"
        .globl  ap_start, ap_start_end
        .balign 16
        .code16
ap_start:
        cli
        cld
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   ap_gdt_pointer - ap_start
        mov     $CR4_START, %eax
        mov     %eax, %cr4
        mov     $PHYS(boot_l4), %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        mov     $(EFER_START | EFER_NXE), %eax
        xor     %edx, %edx
        wrmsr
        mov     $CR0_KERNEL, %eax
        mov     %eax, %cr0
        ljmpl   $SEL_KERNEL_CODE, $(AP_START + ap_long_mode - ap_start)
        .code64
ap_long_mode:
        movabs  $ap_high, %rax
        jmp     *%rax
ap_gdt_pointer:
        .word   23
        .long   PHYS(boot_gdt)
ap_start_end:

        .section .text.start, "ax"
ap_high:
        xor     %eax, %eax
        mov     %eax, %ss
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     ap_root(%rip), %rax       /* the boot's tables do not reach */
        mov     %rax, %cr3                /* every stack                    */
        mov     ap_stack(%rip), %rsp
        xor     %ebp, %ebp
        call    smp_start_cpu
        ud2

        .section .rodata.start, "a"
no_long_mode:
        .asciz  "pv-guest: this CPU has no 64-bit mode\r\n"
        .balign 8
boot_gdt:
        .quad   0, 0
        .quad   0x00af9b000000ffff        /* 0x10: 64-bit code, ring 0      */
boot_gdt_pointer:
        .word   23
        .long   PHYS(boot_gdt)

        .section .data.start, "aw"
        .balign 4096
boot_l4:
        .quad   PHYS(boot_l3_low) + TABLE
        .fill   271, 8, 0
        .quad   PHYS(boot_l3_low) + TABLE /* 272: DIRECT_MAP_BASE           */
        .fill   238, 8, 0
        .quad   PHYS(boot_l3_high) + TABLE
boot_l3_low:
        .quad   PHYS(boot_l2) + TABLE
        .fill   511, 8, 0
boot_l3_high:
        .fill   510, 8, 0
        .quad   PHYS(boot_l2) + TABLE     /* 510: KERNEL_BASE               */
        .quad   0
boot_l2:
        .set    at, 0
        .rept   512
        .quad   at + LARGE
        .set    at, at + 0x200000
        .endr

        .bss
        .balign KERNEL_STACK_SIZE
boot_stack:
        .skip   KERNEL_STACK_SIZE
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
