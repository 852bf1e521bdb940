/*
 * Each exception that a program can raise: the signal, its code and address, the vector, the error code and where.  In 64-bit programs
 * also from 32-bit code, which a far call enters.
 */
#include "runtime.h"
#include <linux/mman.h>

#define CODE(name, text) \
    void name(void);     \
    __asm__(".globl " #name "\n" #name ":\n" text "\nret\n")

CODE(divide_by_zero, "xor %ecx, %ecx; mov $7, %eax; xor %edx, %edx; nop; div %ecx");
CODE(divide_too_much, "mov $1, %ecx; mov $7, %edx; div %ecx");
CODE(software_breakpoint, "nop; int3");
CODE(software_breakpoint_long, "nop; .byte 0xcd, 3");
CODE(icebp, "nop; .byte 0xf1");
CODE(undefined, "nop; ud2");
CODE(undefined_lock, "nop; .byte 0xf0; nop");
CODE(halt, "nop; hlt");
CODE(clear_interrupts, "nop; cli");
CODE(set_interrupts, "nop; sti");
CODE(read_port, "mov $0x80, %edx; in %dx, %al");
CODE(write_port, "out %al, $0x80");
CODE(string_port, "mov $0x80, %edx; outsb");
CODE(read_cr0, "nop; .byte 0x0f, 0x20, 0xc0");
CODE(read_dr7, "nop; .byte 0x0f, 0x21, 0xf8");
CODE(read_msr, "mov $0xc0000080, %ecx; rdmsr");
CODE(write_msr, "mov $0xc0000080, %ecx; wrmsr");
CODE(clear_task, "nop; clts");
CODE(invalidate, "nop; invlpg (" SP ")");
CODE(write_back, "nop; wbinvd");
CODE(load_table, "nop; .byte 0x0f, 0x01, 0x14, 0x24"); /* lgdt (" SP ") */
CODE(load_ldt, "xor %eax, %eax; lldt %ax");
CODE(monitor, "nop; .byte 0x0f, 0x01, 0xc8");
CODE(vm_call, "nop; .byte 0x0f, 0x01, 0xc1");
CODE(vmm_call, "nop; .byte 0x0f, 0x01, 0xd9");
CODE(set_extended, "xor %ecx, %ecx; xor %edx, %edx; mov $1, %eax; .byte 0x0f, 0x01, 0xd1");
CODE(interrupt_0, "int $0");
CODE(interrupt_1, "int $1");
CODE(interrupt_2, "int $2");
CODE(interrupt_4, "int $4");
CODE(interrupt_6, "int $6");
CODE(interrupt_8, "int $8");
CODE(interrupt_13, "int $13");
CODE(interrupt_14, "int $14");
CODE(interrupt_32, "int $32");
CODE(interrupt_127, "int $127");
CODE(interrupt_129, "int $129");
CODE(interrupt_255, "int $255");
CODE(read_nothing, "xor %eax, %eax; mov 0x10(%eax), %eax");
CODE(write_nothing, "xor %eax, %eax; mov %eax, 0x20(%eax)");
CODE(write_code, "lea write_code, %eax; orb $0, (%eax)");
CODE(write_far, "mov $0x7ffff000, %eax; movl $0, 0xabc(%eax)");
CODE(jump_nowhere, "xor %eax, %eax; jmp *" AX);
CODE(segment_tss, "mov $0x40, %eax; mov %eax, %ds");
CODE(segment_code, "mov $0x10, %eax; mov %eax, %es");
CODE(segment_kernel, "mov $0x18, %eax; mov %eax, %fs");
CODE(segment_beyond, "mov $0xfff8, %eax; mov %eax, %gs");
CODE(segment_ldt, "mov $0x7, %eax; mov %eax, %es");
CODE(stack_null, "xor %eax, %eax; mov %eax, %ss");
CODE(stack_code, "mov $0x23, %eax; mov %eax, %ss");
CODE(stack_beyond, "mov $0xfffb, %eax; mov %eax, %ss");
CODE(x87_division,
     "fninit; push $0x37b; fldcw (" SP "); pop " AX "; fldz; fld1; fdiv %st(1), %st; fwait");
CODE(sse_division, "push $0x1d80; ldmxcsr (" SP "); pop " AX
                   "; xorps %xmm0, %xmm0; xorps %xmm1, %xmm1; divps %xmm1, %xmm0");
CODE(alignment, "pushf; orl $0x40000, (" SP "); popf; mov 1(" SP "), %eax; nop");
CODE(fxsave_unaligned, "fxsave -1019(" SP ")");
CODE(aligned_move, "movaps 1(" SP "), %xmm0");
CODE(long_instruction, ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, "
                       "0x66, 0x66, 0x66, 0x66; nop");
CODE(far_jump_kernel, "push $0x10; push $0; " LRET);
CODE(far_jump_tss, "push $0x43; push $0; " LRET);
CODE(iret_kernel, "pushf; push $0x10; push $0; " IRET);
CODE(sysexit, "nop; .byte 0x0f, 0x35");
CODE(sysret, "nop; .byte 0x0f, 0x07");
CODE(swapgs, "nop; .byte 0x0f, 0x01, 0xf8");
CODE(stack_overflow, "mov %esp, %eax; mov $0x1000, %esp; push " AX);
#ifdef __i386__
CODE(overflow, "mov $0x7fffffff, %eax; add $1, %eax; into");
CODE(no_overflow, "xor %eax, %eax; into");
CODE(bounds, "push $9; push $3; mov $12, %eax; bound %eax, (" SP "); add $8, %esp");
CODE(within_bounds, "push $9; push $3; mov $5, %eax; bound %eax, (" SP "); add $8, %esp");
CODE(far_call_beyond, ".byte 0x9a; .long 0; .word 0xfffb");
CODE(far_jump_data, ".byte 0xea; .long 0; .word 0x2b");
CODE(virtual_8086,
     "pushf; orl $0x20000, (" SP "); popf; pushf; pop " AX "; test $0x20000, %eax; jz 1f; ud2; 1:");
CODE(undefined_in_64, "aaa; daa; das; aas; pusha; popa; .byte 0xd6");
#define CODE_IN_32 0
#else
CODE(undefined_push, ".byte 0x06"); /* push %es */
CODE(undefined_into, ".byte 0xce");
CODE(read_high, "mov $0x800000000000, %rax; mov (%rax), %rax");
CODE(read_kernel, "mov $0xffffffff81000000, %rax; mov (%rax), %rax");
CODE(read_hypervisor, "mov $0xffff830000000000, %rax; mov (%rax), %rax");
CODE(write_machine_table, "mov $0xffff800000000000, %rax; mov %rax, (%rax)");
CODE(stack_high, "mov %rsp, %rax; mov $0x800000000000, %rsp; push %rax");
CODE(jump_high, "mov $0x800000000000, %rax; jmp *%rax");
CODE(jump_kernel, "mov $0xffffffff81000000, %rax; jmp *%rax");

/* 32-bit code of a 64-bit program: a far call to it, and its far return. */
extern char code32_divide[], code32_overflow[], code32_undefined[], code32_breakpoint[],
    code32_halt[], code32_read[], code32_null[], code32_bound[], code32_interrupt[], code32_icebp[],
    code32_int80[], code32_port[], code32_segment[], code32_sysenter[], code32_syscall[];
__asm__(".code32\n"
        "code32_divide: xor %ecx, %ecx; mov $1, %eax; cltd; div %ecx; lret\n"
        "code32_overflow: mov $0x7fffffff, %eax; add $1, %eax; into; lret\n"
        "code32_undefined: ud2; lret\n"
        "code32_breakpoint: int3; lret\n"
        "code32_halt: hlt; lret\n"
        "code32_read: push %ss; pop %ds; xor %eax, %eax; mov 0x44(%eax), %eax; lret\n"
        "code32_null: xor %eax, %eax; mov 0x44(%eax), %eax; lret\n"
        "code32_bound: push $9; push $3; mov $12, %eax; bound %eax, (%esp); lret\n"
        "code32_interrupt: int $0x33; lret\n"
        "code32_icebp: .byte 0xf1; lret\n"
        "code32_int80: mov $1000, %eax; int $0x80; ud2\n"
        "code32_port: in $0x71, %al; lret\n"
        "code32_segment: mov $0xfff3, %eax; mov %eax, %es; lret\n"
        "code32_sysenter: mov $20, %eax; mov %esp, %ebp; sysenter; lret\n"
        "code32_syscall: mov $20, %eax; mov %esp, %ebp; syscall; lret\n"
        ".code64\n");

static word *low_stack;
word low_sp;

void far_call(void);
__asm__(".globl far_call\n"
        "far_call: push %rbx; push %rbp; mov %rsp, %rbx; mov low_sp, %rsp; lcall *far_target_at; "
        "mov %rbx, %rsp; pop %rbp; pop %rbx; ret\n"
        ".data\n"
        "far_target_at: .long 0; .word 0x23\n"
        ".text\n");
extern struct __attribute__((packed)) {
    uint32_t offset;
    uint16_t selector;
} far_target_at;

static void run_code32(void)
{
    static const struct {
        const char *name;
        char *code;
    } codes[] = {
        /* clang-format off */
        {"divide", code32_divide},       {"overflow", code32_overflow},   {"undefined", code32_undefined},
        {"breakpoint", code32_breakpoint}, {"halt", code32_halt},         {"read", code32_read},
        {"read by a null segment", code32_null},
        {"bound", code32_bound},         {"interrupt", code32_interrupt}, {"icebp", code32_icebp},
        {"a call by INT 0x80", code32_int80}, {"port", code32_port},      {"segment", code32_segment},
        {"sysenter", code32_sysenter},   {"syscall", code32_syscall},
        /* clang-format on */
    };

    catch_faults();
    low_stack = map_memory(65536, 0);
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == code32_syscall && !is_amd()) /* calls.c says why */
            continue;
        low_sp = (word)low_stack + 65536 - 64;
        far_target_at.offset = (uint32_t)(word)codes[i].code;
        if (try_code(far_call))
            say_caught(codes[i].name, codes[i].code);
        else
            say("%s: comes back\n", codes[i].name);
    }
}
#define CODE_IN_32 1
#endif

static const struct {
    const char *name;
    void (*code)(void);
} codes[] = {
/* clang-format off */
#define ROW(name) {#name, name}
    ROW(divide_by_zero), ROW(divide_too_much), ROW(software_breakpoint), ROW(software_breakpoint_long), ROW(icebp),
    ROW(undefined), ROW(undefined_lock), ROW(halt), ROW(clear_interrupts), ROW(set_interrupts), ROW(read_port),
    ROW(write_port), ROW(string_port), ROW(read_cr0), ROW(read_dr7), ROW(read_msr), ROW(write_msr), ROW(clear_task),
    ROW(invalidate), ROW(write_back), ROW(load_table), ROW(load_ldt), ROW(monitor), ROW(vm_call), ROW(vmm_call),
    ROW(set_extended), ROW(interrupt_0), ROW(interrupt_1), ROW(interrupt_2), ROW(interrupt_4), ROW(interrupt_6),
    ROW(interrupt_8), ROW(interrupt_13), ROW(interrupt_14), ROW(interrupt_32), ROW(interrupt_127), ROW(interrupt_129),
    ROW(interrupt_255), ROW(read_nothing), ROW(write_nothing), ROW(write_code), ROW(write_far), ROW(jump_nowhere),
    ROW(segment_tss), ROW(segment_code), ROW(segment_kernel), ROW(segment_beyond), ROW(segment_ldt), ROW(stack_null),
    ROW(stack_code), ROW(stack_beyond), ROW(x87_division), ROW(sse_division), ROW(alignment), ROW(fxsave_unaligned),
    ROW(aligned_move), ROW(long_instruction), ROW(far_jump_kernel), ROW(far_jump_tss), ROW(iret_kernel), ROW(sysexit),
    ROW(sysret), ROW(swapgs), ROW(stack_overflow),
#ifdef __i386__
    ROW(overflow), ROW(no_overflow), ROW(bounds), ROW(within_bounds), ROW(far_call_beyond), ROW(far_jump_data),
    ROW(virtual_8086), ROW(undefined_in_64),
#else
    ROW(undefined_push), ROW(undefined_into), ROW(read_high), ROW(read_kernel), ROW(read_hypervisor),
    ROW(write_machine_table), ROW(stack_high), ROW(jump_high), ROW(jump_kernel),
#endif
    /* clang-format on */
};

static void run_codes(void)
{
    catch_faults();
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (try_code(codes[i].code))
            say_caught(codes[i].name, (const void *)codes[i].code);
        else
            say("%s: no fault\n", codes[i].name);
        __asm__ volatile("fninit");
    }
}

const struct experiment exception_experiments[] = {
    {"exception ", run_codes},
#if CODE_IN_32
    {"exception of 32-bit code: ", run_code32},
#endif
    {0},
};
