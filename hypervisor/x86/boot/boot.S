/*
 * From the loader to C: multiboot 1 puts us at boot_entry in 32-bit protected mode without paging.  We build
 * the smallest page tables that reach the image, the low gigabyte and the direct map, enter long mode,
 * and jump to the high half.  x86/memory/paging.c replaces these tables at once.
 *
 * QEMU's loader takes ELF64 files only through the header's address fields (flag 16): it copies the file
 * linearly to image_start's physical address.
 */
#include "layout.h"

#define PHYS(symbol) (symbol - IMAGE_VIRT + IMAGE_PHYS)

#define MULTIBOOT_MAGIC  0x1badb002
#define MULTIBOOT_LOADED 0x2badb002
#define MULTIBOOT_FLAGS  0x00010003     /* modules on pages, memory map, address fields */

#define TABLE       0x003               /* present, writable */
#define SUPERPAGE   0x083               /* and 2 MiB */

#define CR0_START   0x80010033          /* PG WP NE ET MP PE */
#define CR4_START   0x00000020          /* PAE */
#define MSR_EFER    0xc0000080
#define EFER_START  0x00000900          /* NXE, LME */
#define MSR_FS_BASE 0xc0000100

#define COM1        0x3f8
#define MULTIBOOT_CMDLINE   4           /* flag: word 4 is the command line */
#define VERDICT_CANNOT_BOOT 0x34        /* hypercall-abi/hyperlaunch.md */
#define EXIT_WORD_LENGTH    13

        .section .multiboot, "a"
        .balign 8
        .globl  multiboot_header
multiboot_header:
        .long   MULTIBOOT_MAGIC
        .long   MULTIBOOT_FLAGS
        .long   -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
        .long   PHYS(multiboot_header)
        .long   PHYS(image_start)
        .long   PHYS(data_end)
        .long   PHYS(bss_end)
        .long   PHYS(boot_entry)

/*
 * In:    eax = MULTIBOOT_LOADED, ebx = physical address of the multiboot information
 *        flat 32-bit segments, paging and interrupts off
 * Out:   hypervisor_main(ebx) in the high half; never returns
 * Stack: none until long mode
 */
        .section .text.boot, "ax"
        .code32
        .globl  boot_entry
boot_entry:
        cli
        cld
        xor     %ebp, %ebp
        mov     $PHYS(no_multiboot), %esi
        cmp     $MULTIBOOT_LOADED, %eax
        jne     boot_stop
        mov     %ebx, %ebp                /* cpuid destroys ebx             */

        mov     $1, %eax
        cpuid
        mov     $PHYS(no_pae), %esi
        bt      $6, %edx
        jnc     boot_stop
        mov     $PHYS(no_msr), %esi
        bt      $5, %edx
        jnc     boot_stop
        mov     $PHYS(no_cmov), %esi      /* C may use it anywhere          */
        bt      $15, %edx
        jnc     boot_stop
        mov     $PHYS(no_long_mode), %esi
        mov     $0x80000000, %eax
        cpuid
        cmp     $0x80000001, %eax
        jb      boot_stop
        mov     $0x80000001, %eax
        cpuid
        bt      $29, %edx                 /* long mode                      */
        jnc     boot_stop
        mov     $PHYS(no_nx), %esi
        bt      $20, %edx                 /* no-execute                     */
        jnc     boot_stop

        /* The image, then identity and direct map of the first gigabyte. */
        mov     $PHYS(boot_pd_image), %edi
        mov     $(IMAGE_PHYS + SUPERPAGE), %eax
        mov     $4, %ecx
1:      mov     %eax, (%edi)
        add     $0x200000, %eax
        add     $8, %edi
        loop    1b
        mov     $PHYS(boot_pd_low), %edi
        mov     $SUPERPAGE, %eax
        mov     $512, %ecx
1:      mov     %eax, (%edi)
        add     $0x200000, %eax
        add     $8, %edi
        loop    1b
        movl    $PHYS(boot_pd_image) + TABLE, PHYS(boot_pdpt_image)
        movl    $PHYS(boot_pd_low) + TABLE, PHYS(boot_pdpt_low)
        movl    $PHYS(boot_pdpt_low) + TABLE, PHYS(boot_pml4)
        movl    $PHYS(boot_pdpt_image) + TABLE, PHYS(boot_pml4) + 260 * 8
        movl    $PHYS(boot_pdpt_low) + TABLE, PHYS(boot_pml4) + 262 * 8

        mov     $CR4_START, %eax
        mov     %eax, %cr4
        mov     $PHYS(boot_pml4), %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        mov     $EFER_START, %eax
        xor     %edx, %edx
        wrmsr
        mov     $CR0_START, %eax
        mov     %eax, %cr0
        lgdt    PHYS(boot_gdt_pointer)
        ljmp    $8, $PHYS(boot_long_mode)

/*
 * Says a message on the serial line and ends the machine as cannot_boot() would.
 *   In:    esi = physical address of the message, ebp = multiboot information or 0
 */
boot_stop:
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
        jmp     boot_stop

2:      test    %ebp, %ebp                /* debug-exit=0xPORT?             */
        jz      6f
        testb   $MULTIBOOT_CMDLINE, (%ebp)
        jz      6f
        mov     16(%ebp), %ebx
3:      mov     %ebx, %esi
        mov     $PHYS(exit_word), %edi
        mov     $EXIT_WORD_LENGTH, %ecx
        repe cmpsb
        je      4f
        cmpb    $0, (%ebx)
        je      6f
        inc     %ebx
        jmp     3b
4:      xor     %edx, %edx
5:      lodsb
        or      $0x20, %al                /* digits stay, letters turn low  */
        sub     $'0', %al
        cmp     $9, %al
        jbe     7f
        sub     $('a' - '0' - 10), %al
        cmp     $10, %al
        jb      8f
        cmp     $15, %al
        ja      8f
7:      shl     $4, %edx
        or      %al, %dl
        jmp     5b
8:      mov     $VERDICT_CANNOT_BOOT, %al
        out     %al, %dx
6:      hlt
        jmp     6b

        .code64
boot_long_mode:
        movabs  $boot_high, %rax
        jmp     *%rax
boot_high:
        xor     %eax, %eax
        mov     %eax, %ss
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs

        mov     $MSR_FS_BASE, %ecx        /* libfdt.a looks for its canary  */
        lea     stack_canary(%rip), %rax  /* at fs:0x28                     */
        mov     %rax, %rdx
        shr     $32, %rdx
        wrmsr

        lea     boot_stack + STACK_SIZE - STACK_TOP_RESERVE(%rip), %rsp
        lea     boot_vcpu(%rip), %rax
        mov     %rax, (%rsp)              /* current_vcpu() works from here */
        mov     %ebp, %edi
        xor     %ebp, %ebp
        call    hypervisor_main
        ud2

        .section .rodata.boot, "a"
no_multiboot:
        .asciz  "(PV) cannot boot: the loader does not speak multiboot 1\r\n"
no_long_mode:
        .asciz  "(PV) cannot boot: this CPU has no long mode: it is not a 64-bit one (feature lm)\r\n"
no_nx:
        .asciz  "(PV) cannot boot: this CPU has no no-execute pages (feature nx)\r\n"
no_pae:
        .asciz  "(PV) cannot boot: this CPU has no physical address extension (feature pae)\r\n"
no_cmov:
        .asciz  "(PV) cannot boot: this CPU has no conditional moves (feature cmov)\r\n"
no_msr:
        .asciz  "(PV) cannot boot: this CPU has no model-specific registers (feature msr)\r\n"
exit_word:
        .ascii  "debug-exit=0x"
        .balign 8
boot_gdt:
        .quad   0
        .quad   0x00af9b000000ffff        /* 0x08: 64-bit code, ring 0      */
boot_gdt_pointer:
        .word   15
        .long   PHYS(boot_gdt)

/*
 * The other CPUs start here, from a copy at AP_ENTRY_PHYS: from real mode straight into long mode on tables that map this
 * page one to one beside the hypervisor's part (smp.c).  Nothing in the copy is ever written: two CPUs may be here at once, and
 * one may come at any time.
 *   In:    real mode, cs:ip = the page, interrupts off
 *   Out:   ap_high; never returns
 */
        .section .rodata.ap, "a"
        .balign 16
        .globl  ap_entry, ap_entry_end
        .code16
ap_entry:
        cli
        cld
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   ap_gdt_pointer - ap_entry
        mov     $CR4_START, %eax
        mov     %eax, %cr4
        mov     $PHYS(ap_l4), %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        mov     $EFER_START, %eax
        xor     %edx, %edx
        wrmsr
        mov     $CR0_START, %eax
        mov     %eax, %cr0
        ljmpl   $8, $(AP_ENTRY_PHYS + ap_long_mode - ap_entry)
        .code64
ap_long_mode:
        xor     %eax, %eax
        mov     %eax, %ss
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        movabs  $ap_high, %rax
        jmp     *%rax
        .balign 8
ap_gdt:
        .quad   0
        .quad   0x00af9b000000ffff
ap_gdt_pointer:
        .word   15
        .long   AP_ENTRY_PHYS + ap_gdt - ap_entry
ap_entry_end:

/*
 * In:    long mode on ap_l4, interrupts off
 * Out:   ap_main() on the CPU's idle stack; never returns
 * Stack: none until it is found by the APIC ID
 */
        .section .text.boot, "ax"
ap_high:
        mov     $1, %eax
        cpuid
        shr     $24, %ebx                 /* initial APIC ID                */
        lea     ap_stack(%rip), %rax
        mov     (%rax,%rbx,8), %rsp
        test    %rsp, %rsp
        jz      1f
        xor     %ebp, %ebp
        call    ap_main
        ud2
1:      hlt                               /* nobody started it              */
        jmp     1b

        .section .boot_only, "aw", @nobits
        .balign 4096
        .globl  boot_pml4
boot_pml4:
        .fill   4096
boot_pdpt_low:
        .fill   4096
boot_pdpt_image:
        .fill   4096
boot_pd_low:
        .fill   4096
boot_pd_image:
        .fill   4096

        .section .note.GNU-stack, "", @progbits
