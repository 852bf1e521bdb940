/*
 * The shortest handlers that do the work: what they cost is part of every
 * number, so they are counted here and written down.
 *
 * Stack at entry: rcx r11 [error] rip cs rflags rsp ss (the hypervisor's frame).
 * iret's frame:   rax r11 rcx flags rip cs rflags rsp ss.
 */
#define FUNC(name) .globl name; .type name, @function; .balign 16; name:

        .text

/* Back to the interrupted code with every register intact: 7 instructions. */
.macro RETURN
        push    $0                        /* flags: no fast return           */
        push    %rcx
        push    %r11
        push    %rax
        mov     $23, %eax
        syscall
.endm

/* #UD: skip the two bytes. */
FUNC(bench_skip_2)
        pop     %rcx
        pop     %r11
        addq    $2, (%rsp)
        RETURN

/* #BP: rip is behind the instruction already. */
FUNC(bench_return)
        pop     %rcx
        pop     %r11
        RETURN

/* #PF: drop the error code, skip a load of 3 bytes. */
FUNC(bench_skip_3_error)
        pop     %rcx
        pop     %r11
        add     $8, %rsp
        addq    $3, (%rsp)
        RETURN

/* #PF: map the page at rdi with the entry in rsi, go on at the same instruction. */
FUNC(bench_map_error)
        pop     %rcx
        pop     %r11
        add     $8, %rsp
        push    %rcx
        push    %r11
        push    %rax
        mov     $2, %edx                  /* UVMF_INVLPG | UVMF_LOCAL        */
        mov     $14, %eax                 /* update_va_mapping               */
        syscall
        pop     %rax
        pop     %r11
        pop     %rcx
        RETURN

/* #NM: clear TS, go on at the same instruction. */
FUNC(bench_fpu)
        pop     %rcx
        pop     %r11
        push    %rcx
        push    %r11
        push    %rax
        push    %rdi
        xor     %edi, %edi
        mov     $5, %eax                  /* fpu_taskswitch(0)               */
        syscall
        pop     %rdi
        pop     %rax
        pop     %r11
        pop     %rcx
        RETURN

/* SYSCALL from user mode; rdi = 0 ends the run. */
FUNC(bench_syscall)
        test    %edi, %edi
        jz      bench_user_done
        pop     %rcx
        pop     %r11
        push    $0x100                    /* VGCF_in_syscall: rcx, r11 are dead */
        push    %rcx
        push    %r11
        push    %rax
        mov     $23, %eax
        syscall

/* An event: acknowledge the way any kernel does, and note when it came. */
FUNC(bench_event)
        push    %rax
        push    %rdx
        rdtsc
        shl     $32, %rdx
        or      %rdx, %rax
        mov     %rax, bench_event_tsc(%rip)
        mov     bench_vcpu_info(%rip), %rax
        movb    $0, (%rax)                /* evtchn_upcall_pending           */
        movq    $0, 8(%rax)               /* evtchn_pending_sel              */
        mov     bench_pending_word(%rip), %rdx
        movq    $0, (%rdx)
        incq    bench_events(%rip)
        pop     %rdx
        pop     %rax
        pop     %rcx
        pop     %r11
        RETURN

/* bench_user_enter(frame): run it; returns when its syscall says rdi = 0. */
FUNC(bench_user_enter)
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, bench_saved_rsp(%rip)
        jmp     trap_return
bench_user_done:
        mov     bench_saved_rsp(%rip), %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/* void bench_iret(unsigned long n): n times from the kernel to the next line of itself. */
FUNC(bench_iret)
1:      mov     %rsp, %rdx
        push    $0xe02b
        push    %rdx
        push    $2
        push    $0xe030
        lea     2f(%rip), %rdx
        push    %rdx
        push    $0x100
        push    %rcx
        push    %r11
        push    %rax
        mov     $23, %eax
        syscall
2:      dec     %rdi
        jnz     1b
        ret

        .bss
        .balign 8
        .globl bench_events, bench_event_tsc, bench_vcpu_info, bench_pending_word
bench_events:           .quad 0
bench_event_tsc:        .quad 0
bench_vcpu_info:        .quad 0
bench_pending_word:     .quad 0
bench_saved_rsp:        .quad 0
        .section .note.GNU-stack, "", @progbits
