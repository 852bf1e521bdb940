/*
 * Copying to or from a process, whose memory may not be there.
 *
 * size_t user_copy_raw(void *to, const void *from, size_t size)
 *   In:  rdi, rsi, rdx; one of the first two is a process's
 *   Out: rax = bytes not copied, counted from the end
 * A page fault that cannot be mended continues at the fixup of its instruction.
 */
        .text
        .globl  user_copy_raw
        .balign 16
user_copy_raw:
        mov     %rdx, %rcx
        shr     $3, %rcx
        and     $7, %edx
1:      rep movsq
        mov     %edx, %ecx
2:      rep movsb
        mov     %rcx, %rax
        ret
3:      lea     (%rdx,%rcx,8), %rax       /* words left, and the odd bytes  */
        ret
4:      mov     %rcx, %rax
        ret

        .pushsection .fixup, "a", @progbits
        .quad   1b, 3b
        .quad   2b, 4b
        .popsection

        .section .note.GNU-stack, "", @progbits
