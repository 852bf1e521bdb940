/*
 * The CPU: its segments, where traps and system calls enter the kernel, and the
 * operations on one process's part of it.
 */
#include "kernel/lib/errno.h"
#include "kernel/entry/frame.h"
#include "kernel/memory/page.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "platform/native/machine.h"
#include "platform/platform.h"

const uint16_t platform_user_code = SEL_USER_CODE, platform_user_data = SEL_USER_DATA;

#define MSR_STAR      0xc0000081
#define MSR_LSTAR     0xc0000082
#define MSR_CSTAR     0xc0000083
#define MSR_FMASK     0xc0000084
#define MSR_FS_BASE   0xc0000100
#define MSR_GS_BASE   0xc0000101
#define MSR_HIDDEN_GS 0xc0000102 /* KERNEL_GS_BASE: what SWAPGS swaps in */

#define CR4_PGE        (1ul << 7)
#define CR4_OSFXSR     (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_SMEP       (1ul << 20)

#define RFLAGS_NT (1u << 14)
#define RFLAGS_AC (1u << 18)

/* Task-state segment: the stacks, and nothing else that matters in 64-bit mode. */
struct __attribute__((packed)) tss {
    uint32_t reserved0;
    uint64_t rsp0, rsp1, rsp2; /* for traps from a process: rsp0 */
    uint64_t reserved1;
    uint64_t ist[7]; /* for those that come on a stack of their own */
    uint64_t reserved2;
    uint16_t reserved3, io_map; /* beyond the limit: no port is a process's */
};

/**
 * struct processor - what one CPU has for itself.  System calls find it by the
 * hidden GS base, other code by the number in the task register.
 */
struct processor {
    uint64_t user_rsp; /* for three instructions of trap_syscall */
    uint32_t padding;
    struct tss tss;
    uint8_t nmi_stack[PAGE_SIZE] __attribute__((aligned(16)));
    uint8_t fault_stack[PAGE_SIZE] __attribute__((aligned(16)));
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct processor, user_rsp) == CPU_USER_RSP, "entry code");
_Static_assert(offsetof(struct processor, tss.rsp0) == CPU_RSP0, "entry code");

static struct processor boot_processor;
static struct processor *processors[CPU_MAX] = {&boot_processor};

unsigned cpu_number(void)
{
    uint16_t selector;
    __asm__("str %0" : "=r"(selector));
    return (selector - SEL_TSS) / 16;
}

int cpu_create(unsigned number)
{
    const size_t pages = PAGES_FOR(sizeof(struct processor));
    unsigned order = 0;
    while ((1ul << order) < pages)
        order++;
    struct page *page = page_alloc(order);
    if (!page)
        return -ENOMEM;
    processors[number] = page_address(page);
    memset(processors[number], 0, sizeof(struct processor));
    return 0;
}

/* ---- Segments ---------------------------------------------------------------------- */

static uint64_t gdt[SEL_TSS / 8 + 2 * CPU_MAX] = {
    [SEL_KERNEL_CODE / 8] = 0x00af9b000000ffff, [SEL_KERNEL_DATA / 8] = 0x00cf93000000ffff,
    [SEL_USER_CODE32 / 8] = 0x00cffb000000ffff, [SEL_USER_DATA / 8] = 0x00cff3000000ffff,
    [SEL_USER_CODE / 8] = 0x00affb000000ffff,
};

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    const void *base;
};

static void tss_describe(unsigned number, const struct tss *tss)
{
    const uint64_t base = (uintptr_t)tss, limit = sizeof(*tss) - 1;
    uint64_t *entry = &gdt[SEL_TSS / 8 + 2 * number];
    entry[0] = limit | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
    entry[1] = base >> 32;
}

static void segments_init(unsigned number)
{
    struct processor *processor = processors[number];
    struct tss *tss = &processor->tss;
    tss->ist[0] = (uintptr_t)processor->nmi_stack + PAGE_SIZE;
    tss->ist[1] = (uintptr_t)processor->fault_stack + PAGE_SIZE;
    tss->io_map = sizeof(*tss);
    tss_describe(number, tss);

    const struct table_pointer pointer = {sizeof(gdt) - 1, gdt};
    __asm__ volatile("lgdt %0" : : "m"(pointer));
    __asm__ volatile("mov %0, %%ss" : : "r"(SEL_KERNEL_DATA));
    __asm__ volatile("ltr %w0" : : "r"(SEL_TSS + 16 * number));
}

/* ---- Traps ------------------------------------------------------------------------- */

/* Exceptions as (vector, privilege from which INT n may raise it, stack: 0 is the task's). */
#define TRAP_LIST(TRAP) \
    TRAP(0, 0, 0)       \
    TRAP(1, 0, 0)       \
    TRAP(2, 0, 1)       \
    TRAP(3, 3, 0)       \
    TRAP(4, 3, 0)       \
    TRAP(5, 0, 0)       \
    TRAP(6, 0, 0)       \
    TRAP(7, 0, 0)       \
    TRAP(8, 0, 2)       \
    TRAP(10, 0, 0)      \
    TRAP(11, 0, 0)      \
    TRAP(12, 0, 0)      \
    TRAP(13, 0, 0) TRAP(14, 0, 0) TRAP(16, 0, 0) TRAP(17, 0, 0) TRAP(18, 0, 1) TRAP(19, 0, 0)

#define TRAP_DECLARE(vector, privilege, stack) extern const char trap_##vector[];
TRAP_LIST(TRAP_DECLARE)
extern const char trap_257[], trap_flush[], trap_spurious[], trap_syscall[], trap_syscall32[];

struct gate {
    uint64_t low, high;
};
static struct gate idt[256] __attribute__((aligned(16)));

/* Interrupt gates all: entering masks interrupts. */
static void gate_set(unsigned vector, const char *handler, unsigned privilege, unsigned stack)
{
    const uint64_t at = (uintptr_t)handler;
    idt[vector].low = (at & 0xffff) | SEL_KERNEL_CODE << 16 | (uint64_t)stack << 32 |
                      (0x8eul | privilege << 5) << 40 | (at >> 16 & 0xffff) << 48;
    idt[vector].high = at >> 32;
}

static void gates_init(void)
{
#define TRAP_GATE(vector, privilege, stack) gate_set(vector, trap_##vector, privilege, stack);
    TRAP_LIST(TRAP_GATE)
    gate_set(INTERRUPT_TIMER, trap_257, 0, 0);
    gate_set(INTERRUPT_SERIAL, trap_257, 0, 0);
    gate_set(INTERRUPT_KICK, trap_257, 0, 0);
    gate_set(INTERRUPT_FLUSH, trap_flush, 0, 0);
    for (unsigned i = 0; i < 16; i++)
        gate_set(INTERRUPT_OLD_PIC + i, trap_spurious, 0, 0);
    gate_set(INTERRUPT_SPURIOUS, trap_spurious, 0, 0);
}

NORETURN void trap_fatal(const struct frame *frame);

/*
 * NMI, double fault, machine check: no task to blame, perhaps no stack left to
 * work on.  An NMI may be the word of a CPU that panics.
 */
void trap_fatal(const struct frame *frame)
{
    const uint64_t vector = frame->vector;
    if (vector == 2 && smp_stopped())
        halt();
    panic_frame(frame, vector == 2   ? "non-maskable interrupt"
                       : vector == 8 ? "double fault: is the kernel stack used up?"
                                     : "machine check");
}

static void system_calls_init(unsigned number)
{
    /* SYSRET adds 8 and 16 to its half, SYSCALL 0 and 8. */
    msr_write(MSR_STAR, (uint64_t)SEL_USER_CODE32 << 48 | (uint64_t)SEL_KERNEL_CODE << 32);
    msr_write(MSR_LSTAR, (uintptr_t)trap_syscall);
    msr_write(MSR_CSTAR, (uintptr_t)trap_syscall32);
    msr_write(MSR_FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
    msr_write(MSR_HIDDEN_GS, (uintptr_t)processors[number]);
}

/* Bit @bit of register @which (0 is eax) that CPUID leaf @leaf gives; false without that leaf. */
static bool cpu_has(uint32_t leaf, unsigned which, unsigned bit)
{
    uint32_t regs[4] = {leaf & 0x80000000};
    platform_cpuid(regs);
    if (regs[0] < leaf)
        return false;
    regs[0] = leaf;
    regs[2] = 0;
    platform_cpuid(regs);
    return regs[which] & 1u << bit;
}

static void control_init(void)
{
    uint64_t cr4;
    if (!cpu_has(0x80000001, 3, 20))
        panic("this CPU has no no-execute pages");
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE);
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (cpu_has(7, 1, 7))
        cr4 |= CR4_SMEP;
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}

void cpu_init(unsigned number)
{
    if (number == 0)
        gates_init();
    segments_init(number);
    const struct table_pointer pointer = {sizeof(idt) - 1, idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    system_calls_init(number);
    control_init();
}

/* ---- The seam ---------------------------------------------------------------------- */

uintptr_t platform_fault_address(void)
{
    uintptr_t address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    return address;
}

void platform_kernel_stack(void *top)
{
    processors[cpu_number()]->tss.rsp0 = (uintptr_t)top;
}

void platform_user_bases(uint64_t fs, uint64_t gs)
{
    msr_write(MSR_FS_BASE, fs);
    msr_write(MSR_GS_BASE, gs);
}

/* Almost always they are null already: looking is cheap, loading is not. */
void platform_user_selectors_clear(void)
{
    unsigned ds, es, fs, gs;
    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
                     : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    if (ds | es | fs | gs)
        __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" : : "r"(0));
}

void platform_cpuid(uint32_t regs[4])
{
    __asm__ volatile("cpuid" : "+a"(regs[0]), "=b"(regs[1]), "+c"(regs[2]), "=d"(regs[3]));
}

void platform_interrupts_take(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

#define CPUID_1_ECX_XSAVE (1u << 26)
#define CR4_OSXSAVE       (1ul << 18)

uint64_t platform_fpu_enable(uint64_t wanted)
{
    uint32_t leaf[4] = {1}, state[4] = {0xd};
    uint64_t cr4;

    platform_cpuid(leaf);
    if (!(leaf[2] & CPUID_1_ECX_XSAVE))
        return 0;
    platform_cpuid(state); /* leaf 13, edx:eax: what XCR0 may hold */
    wanted &= (uint64_t)state[3] << 32 | state[0];
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE));
    __asm__ volatile("xsetbv" : : "a"((uint32_t)wanted), "d"((uint32_t)(wanted >> 32)), "c"(0));
    return wanted;
}
