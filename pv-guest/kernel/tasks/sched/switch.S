/*
 * From one task's kernel stack to another's.
 *
 * void context_switch(uint64_t *save_sp, uint64_t load_sp)
 *   In:    rdi = where the running task's stack pointer goes, rsi = the next one's
 *   Out:   returns on the other stack, in whoever called this there
 *   Stack: rbx, rbp, r12-r15 below the return address; sched.c builds the same
 *          picture for a new task, with task_begin as the return address
 */
        .text
        .globl  context_switch
        .balign 16
context_switch:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, (%rdi)
        mov     %rsi, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

        .section .note.GNU-stack, "", @progbits
