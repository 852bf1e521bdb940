/*
 * What the machine does before any hypervisor: a multiboot kernel that prints
 * the TSC it finds.  The boot row subtracts it.
 */
#define COM1 0x3f8
        .code32
        .section .text.start, "ax", @progbits
        .balign 4
        .long   0x1badb002, 0, -0x1badb002 /* multiboot 1 header             */
        .globl  base_entry
base_entry:
        rdtsc
        mov     $base_stack_top, %esp
        mov     %eax, %esi
        mov     %edx, %edi
        mov     $base_text, %ebx
1:      mov     (%ebx), %al
        test    %al, %al
        jz      2f
        call    base_put
        inc     %ebx
        jmp     1b
2:      mov     %edi, %ecx                /* 16 hexadecimal digits           */
        call    base_hex
        mov     %esi, %ecx
        call    base_hex
        mov     $'\n', %al
        call    base_put
3:      hlt
        jmp     3b

base_hex:
        mov     $8, %ebp
1:      rol     $4, %ecx
        mov     %ecx, %eax
        and     $15, %eax
        mov     base_digits(%eax), %al
        call    base_put
        dec     %ebp
        jnz     1b
        ret

base_put:
        mov     $COM1, %edx
        out     %al, (%dx)
        ret

base_text:
        .asciz  "bench: base = 0x"
base_digits:
        .ascii  "0123456789abcdef"
        .bss
        .skip   256
base_stack_top:
        .section .note.GNU-stack, "", @progbits
