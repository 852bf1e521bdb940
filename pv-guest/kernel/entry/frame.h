/*
 * The trap frame: everything a CPU held when it entered the kernel, on the
 * kernel stack.  Platforms build it in their entry code and consume it in
 * platform_return; between the two it is plain data.
 */
#pragma once

#include "base.h"

/* What a system call is given: rdi, rsi, rdx, r10, r8, r9. */
struct syscall_args {
    uint64_t arg[6];
};

struct frame {
    uint64_t r15, r14, r13, r12, r11;
    union {
        struct {
            uint64_t rdi, rsi, rdx, r10, r8, r9;
        };
        struct syscall_args args; /* in their place, so that nobody copies them */
    };
    uint64_t rbp, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error; /* a system call's number, while vector is VECTOR_SYSCALL */
    uint64_t rip, cs, rflags, rsp, ss;
};

#define RFLAGS_CF        (1u << 0)
#define RFLAGS_TF        (1u << 8)
#define RFLAGS_IF        (1u << 9)
#define RFLAGS_DF        (1u << 10)
#define RFLAGS_USER_MASK 0x40cd5u /* AC DF OF SF ZF AF PF CF TF(0x100) excluded: see signal.c */

/* Both platforms show a kernel's code selector with RPL 0 and a process's with 3. */
static inline bool frame_from_user(const struct frame *f)
{
    return (f->cs & 3) == 3;
}
