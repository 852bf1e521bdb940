/*
 * A user program of one page: its own L4, one code page, one data page, one
 * stack page, all reachable by the kernel too.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "trap.h"

#define USER_CODE      0x400000ul
#define USER_DATA      0x401000ul
#define USER_STACK_TOP 0x403000ul

/* Build the user's L4, pin it, make it the user base, set a kernel stack. */
void user_init(void);
unsigned long user_root_mfn(void);
/* The kernel's stack while the user runs: where frames from user mode are built. */
unsigned long user_kernel_stack_top(void);
void *user_code_page(void), *user_data_page(void); /* the kernel's view */

/* Registers of a fresh run: rip at USER_CODE, rsp at USER_STACK_TOP, upcalls on, the rest 0. */
struct trap_frame user_frame(void);
/* Copy @code in, run it in user mode from @frame until anything enters the kernel; its vector. */
int user_run(const struct trap_frame *frame, const void *code, size_t length);

/* The machine code of an asm block, for user_run(): USER_ASM(name, "instructions"). */
#define USER_ASM(name, text)                \
    extern const char name[], name##_end[]; \
    __asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection")
#define USER_RUN(frame, name) user_run((frame), (name), (size_t)((name##_end) - (name)))
