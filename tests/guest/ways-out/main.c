/*
 * Question: with which flags, selectors, bases and address does a program go on, whatever way its kernel lets it?
 *
 * The iret hypercall takes RFLAGS from a frame that the guest has written.  Everything in it that ring 3 may have is the guest's
 * own business: losing NT is seen by the program, losing RF makes a debugger stop at its breakpoint for ever.  What ring 3 may
 * not have (IOPL, VM, IF clear) has to stay behind.  There are four ways: IRET, SYSRET (VGCF_in_syscall), a hypercall's return,
 * and the start of a vCPU.
 *
 * Each flag is asked for on each way, and the first instructions on the other side look.  Expected is what the processor does
 * with the same word (Intel SDM volume 2, IRET, SYSRET, POPF), without IOPL, with IF set.
 */
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "user.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define CF  (1ul << 0)
#define PF  (1ul << 2)
#define AF  (1ul << 4)
#define ZF  (1ul << 6)
#define SF  (1ul << 7)
#define OF  (1ul << 11)
#define RF  (1ul << 16)
#define VM  (1ul << 17)
#define VIF (1ul << 19)
#define VIP (1ul << 20)
#define ID  (1ul << 21)
#define ONE (1ul << 1) /* always set */

#define ARITHMETIC (CF | PF | AF | ZF | SF | OF)

static const struct {
    const char *name;
    uint64_t set;
} flags[] = {
    {"no flag", 0},
    {"CF", CF},
    {"PF", PF},
    {"AF", AF},
    {"ZF", ZF},
    {"SF", SF},
    {"DF", RFLAGS_DF},
    {"OF", OF},
    {"IOPL", RFLAGS_IOPL},
    {"NT", RFLAGS_NT},
    {"RF", RF},
    {"VM", VM},
    {"AC", RFLAGS_AC},
    {"VIF", VIF},
    {"VIP", VIP},
    {"ID", ID},
    {"bits 3, 5, 15", 0x8028},
    {"the upper half", 0xffffffff00000000},
    {"all", ARITHMETIC | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RF | RFLAGS_AC | ID},
};
#define NR_FLAGS (sizeof(flags) / sizeof(flags[0]))

/* What ring 3 can have and PUSHF shows; TF, which does not end in a quiet look around, has its own test. */
#define SHOWN (ARITHMETIC | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | ID)

/* --- out by the iret hypercall --------------------------------------------------- */

/* Load @f with iret's own flags, @vgcf (VGCF_*).  Never returns. */
_Noreturn void leave(const struct trap_frame *f, uint64_t vgcf);
__asm__(".pushsection .text\n"
        "leave:\n\t"
        "push 168(%rdi); push 160(%rdi); push 152(%rdi); push 144(%rdi); push 136(%rdi)\n\t"
        "push %rsi; push 104(%rdi); push 32(%rdi); push 112(%rdi)\n\t"
        "mov 88(%rdi), %rbx; mov 80(%rdi), %rbp; mov 72(%rdi), %rsi; mov 56(%rdi), %r8; mov "
        "64(%rdi), %rdi\n\t"
        "mov $23, %eax\n\t"
        "syscall\n\t"
        "ud2\n"
        ".popsection");
_Static_assert(offsetof(struct trap_frame, rip) == 136 && offsetof(struct trap_frame, rcx) == 104 &&
                   offsetof(struct trap_frame, r11) == 32 &&
                   offsetof(struct trap_frame, rax) == 112,
               "leave");

static int leave_to(const struct trap_frame *f, uint64_t vgcf, const void *code, size_t length)
{
    memcpy(user_code_page(), code, length);
    return TRAPS(leave(f, vgcf));
}

USER_ASM(look64, "pushfq; pop %rbp; push %fs:0; pop %r12; push %gs:0; pop %r13; mov %cs, %r14d; "
                 "mov %ss, %r15d; ud2");
USER_ASM(look32, ".code32; pushfl; pop %ebp; ud2; .code64");

static const struct {
    const char *name, *code, *end;
    uint64_t vgcf;
    unsigned cs;
} outs[] = {
#define OUT(name, code, vgcf, cs)        \
    {                                    \
        name, code, code##_end, vgcf, cs \
    }
    OUT("to the user", look64, 0, FLAT_USER_CS64),
    OUT("to the user, in_syscall", look64, VGCF_in_syscall, FLAT_USER_CS64),
    OUT("to the user's 32-bit code", look32, 0, FLAT_USER_CS32),
    OUT("to the user's 32-bit code, in_syscall", look32, VGCF_in_syscall, FLAT_USER_CS32),
    OUT("to the kernel", look64, 0, KERNEL_CS),
    OUT("to the kernel, in_syscall", look64, VGCF_in_syscall, KERNEL_CS),
#undef OUT
};

#define FS_WORD        0xf5f5f5f5ul
#define GS_USER_WORD   0x65650003ul
#define GS_KERNEL_WORD 0x65650000ul
static uint64_t gs_kernel_word = GS_KERNEL_WORD;

static void check_iret(unsigned o, unsigned n)
{
    struct trap_frame f = user_frame();

    f.cs = outs[o].cs;
    f.rflags = flags[n].set | RFLAGS_IF | ONE;
    const int v = leave_to(&f, outs[o].vgcf, outs[o].code, (size_t)(outs[o].end - outs[o].code));
    event_disable();
    if (v != TRAP_UD) {
        tap_is(v, TRAP_UD, "iret %s, %s: the vector", outs[o].name, flags[n].name);
        return;
    }
    tap_is_hex(trap_last.rbp, (flags[n].set & SHOWN) | RFLAGS_IF | ONE, "iret %s, %s: the flags",
               outs[o].name, flags[n].name);
}

static void check_places(unsigned o)
{
    const bool is_user = outs[o].cs & 3, is_64 = outs[o].cs != FLAT_USER_CS32;
    struct trap_frame f = user_frame();

    f.cs = outs[o].cs;
    f.rcx = 0x1111, f.r11 = 0x2222, f.rax = 0x3333;
    const int v = leave_to(&f, outs[o].vgcf, outs[o].code, (size_t)(outs[o].end - outs[o].code));
    event_disable();
    if (v != TRAP_UD)
        return; /* said above */
    tap_is_hex(trap_last.rsp, USER_STACK_TOP, "iret %s: rsp", outs[o].name);
    tap_is_hex(trap_last.rax, 0x3333, "iret %s: rax", outs[o].name);
    if (!outs[o].vgcf)
        tap_ok(trap_last.rcx == 0x1111 && trap_last.r11 == 0x2222, "iret %s: rcx and r11",
               outs[o].name);
    if (!is_64)
        return;
    tap_is_hex(trap_last.r14 & 0xffff, FLAT_USER_CS64, "iret %s: cs", outs[o].name);
    tap_is_hex(trap_last.r15 & 0xffff, FLAT_USER_SS64, "iret %s: ss", outs[o].name);
    tap_is_hex(trap_last.r12, FS_WORD, "iret %s: FS base", outs[o].name);
    tap_is_hex(trap_last.r13, is_user ? GS_USER_WORD : GS_KERNEL_WORD, "iret %s: GS base",
               outs[o].name);
}

USER_ASM(nops, "nop; nop; ud2");

/* TF: one instruction, then #DB. */
static void check_step(unsigned o)
{
    struct trap_frame f = user_frame();

    f.cs = outs[o].cs;
    f.rflags = RFLAGS_TF | RFLAGS_IF | ONE;
    const int v = leave_to(&f, outs[o].vgcf, nops, (size_t)(nops_end - nops));
    event_disable();
    tap_is(v, TRAP_DB, "iret %s, TF: the vector", outs[o].name);
    /* SYSRET's own end counts as a step where emulators model it. */
    tap_ok(trap_last.rip == USER_CODE + 1 || (outs[o].vgcf && trap_last.rip == USER_CODE),
           "iret %s, TF: one instruction later", outs[o].name);
    tap_is_hex(trap_last.rflags & ~RF, RFLAGS_TF | RFLAGS_IF | ONE,
               "iret %s, TF: the frame shows it", outs[o].name);
}

/* RF: an execution breakpoint at the target is let go by. */
static void check_breakpoint(unsigned o)
{
    struct trap_frame f = user_frame();

    f.cs = outs[o].cs;
    hypercall_set_debugreg(0, USER_CODE);
    hypercall_set_debugreg(7, 1);
    f.rflags = RFLAGS_IF | ONE;
    tap_is(leave_to(&f, 0, nops, (size_t)(nops_end - nops)), TRAP_DB,
           "iret %s, a breakpoint at the target: hit", outs[o].name);
    tap_is_hex(trap_last.rip, USER_CODE, "iret %s, a breakpoint at the target: before it",
               outs[o].name);
    f.rflags |= RF;
    tap_is(leave_to(&f, 0, nops, (size_t)(nops_end - nops)), TRAP_UD,
           "iret %s, a breakpoint and RF: gone by", outs[o].name);
    hypercall_set_debugreg(7, 0);
    hypercall_set_debugreg(6, 0);
    event_disable();
}

/* --- out by a hypercall's return ------------------------------------------------- */

static void check_hypercall(unsigned n)
{
    uint64_t seen;

    __asm__ volatile("push %1; popfq\n\t"
                     "mov $17, %%eax; mov $0, %%edi; mov $0, %%esi\n\t" /* xen_version */
                     "syscall\n\t"
                     "pushfq; pop %0\n\t"
                     "push $2; popfq"
                     : "=&r"(seen)
                     : "r"(flags[n].set)
                     : "rax", "rcx", "r11", "rdi", "rsi", "memory", "cc");
    tap_is_hex(seen, (flags[n].set & SHOWN) | RFLAGS_IF | ONE, "hypercall, %s: the flags",
               flags[n].name);
}

/* --- out by a vCPU's start ------------------------------------------------------- */

static volatile uint64_t started_with;

/* The new vCPU's work until it is told to stop: the page tables' lock is nearly always held. */
static volatile bool page_tables_busy = true;
static void keep_page_tables_busy(void)
{
    static mmu_update_t updates[8];
    const void *page = page_alloc();

    for (unsigned i = 0; i < 8; i++)
        updates[i] = (mmu_update_t){memory_entry_ma((unsigned long)page, 1) | MMU_NORMAL_PT_UPDATE,
                                    pte_of(page_mfn(page), PTE_RW)};
    while (page_tables_busy)
        hypercall_mmu_update(updates, 8, NULL, DOMID_SELF);
}

extern char new_vcpu[];
__asm__(".pushsection .text\n"
        "new_vcpu: pushfq; pop %rdi; push $2; popfq; call new_vcpu_main; ud2\n"
        ".popsection");

void new_vcpu_main(uint64_t rflags);
void new_vcpu_main(uint64_t rflags)
{
    started_with = rflags;
    keep_page_tables_busy();
    for (;;)
        hypercall_vcpu_op(VCPUOP_down, 1, NULL);
}

static void check_vcpu(void)
{
    static struct vcpu_guest_context context;
    char *stack = page_alloc();
    const uint64_t all =
        ARITHMETIC | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RF | VM | RFLAGS_AC | VIF | VIP | ID;

    context.flags = VGCF_in_kernel;
    context.user_regs.rip = (unsigned long)new_vcpu;
    context.user_regs.rsp = (unsigned long)stack + PAGE_SIZE;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.user_regs.rflags = all; /* IF is not among them */
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = (unsigned long)stack + PAGE_SIZE;
    context.ctrlreg[3] = xen_pfn_to_cr3(memory_root_mfn());
    context.event_callback_eip = (unsigned long)trap_event_callback;
    context.failsafe_callback_eip = (unsigned long)trap_failsafe_callback;
    tap_is(hypercall_vcpu_op(VCPUOP_initialise, 1, &context), 0, "a new vCPU: initialise");
    tap_is(hypercall_vcpu_op(VCPUOP_up, 1, NULL), 0, "a new vCPU: up");
    while (!started_with)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    tap_is_hex(started_with, (all & SHOWN) | RFLAGS_IF | ONE,
               "a new vCPU, all flags and no IF: the flags");
}

/* --- where to -------------------------------------------------------------------- */

/* The last page of the lower half, where the kernel may map something. */
#define LAST_PAGE 0x00007ffffffff000ul
#define BEYOND    0x0000800000000000ul

static const struct {
    const char *name, *code;
    unsigned length, vector;
    uint64_t rip;
} ends[] = {
    {"a nop", "\x90", 1, TRAP_GP, BEYOND},
    {"the first half of an instruction", "\x0f", 1, TRAP_GP, BEYOND - 1},
    {"a prefix", "\x48", 1, TRAP_GP, BEYOND - 1},
    {"hlt", "\xf4", 1, TRAP_GP, BEYOND - 1},
    {"ud2", "\x0f\x0b", 2, TRAP_UD, BEYOND - 2},
    {"half a forced cpuid", "\x0f\x0bxe", 4, TRAP_UD, BEYOND - 4},
    {"a hypercall", "\x0f\x05", 2, TRAP_GP, BEYOND},
    {"rdmsr", "\x0f\x32", 2, TRAP_GP, BEYOND},
};

static void check_ends(void)
{
    char *page = page_alloc();

    if (memory_map_at(LAST_PAGE, pte_of(page_mfn(page), PTE_RO)))
        tap_bail_out("cannot map the last page of the lower half");
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct trap_frame f = user_frame();
        f.cs = KERNEL_CS;
        f.rip = BEYOND - ends[i].length;
        f.rax = __HYPERVISOR_xen_version;
        f.rcx = 0x10; /* TSC, for rdmsr */
        memcpy(page + PAGE_SIZE - ends[i].length, ends[i].code, ends[i].length);
        const int v = TRAPS(trap_return(&f));
        event_disable();
        tap_is(v, ends[i].vector, "the last bytes of the lower half, %s: the vector", ends[i].name);
        tap_is_hex(trap_last.error, 0, "the last bytes of the lower half, %s: the error code",
                   ends[i].name);
        tap_is_hex(trap_last.rip, ends[i].rip, "the last bytes of the lower half, %s: rip",
                   ends[i].name);
    }
    struct trap_frame f = user_frame();
    f.rip = BEYOND;
    tap_is(USER_RUN(&f, nops), TRAP_GP, "iret to the user at an address that is none: the vector");
    tap_is_hex(trap_last.rip, BEYOND, "iret to the user at an address that is none: rip");
    tap_is_hex(trap_last.error, 0, "iret to the user at an address that is none: the error code");
}

/* cs or ss of an LDT whose page is not there: a page fault at the descriptor, as if the program had loaded it. */
#define NO_LDT (6ul << 39)

static void check_absent_ldt(void)
{
    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = NO_LDT, .arg2.nr_ents = 512};
    static const struct {
        const char *name;
        uint16_t cs, ss;
        uint64_t error;
    } cases[] = {
        {"cs of the user", 9 << 3 | 7, FLAT_USER_SS, PF_USER},
        {"ss of the user", FLAT_USER_CS64, 9 << 3 | 7, PF_USER},
        {"ss of the kernel", KERNEL_CS, 9 << 3 | 7, 0},
    };

    tap_is(hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF), 0, "an LDT that is not there: set");
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trap_frame f = user_frame();
        f.cs = cases[i].cs;
        f.ss = cases[i].ss;
        const int v = USER_RUN(&f, nops);
        event_disable();
        tap_is(v, TRAP_PF, "an LDT that is not there, %s: the vector", cases[i].name);
        tap_is_hex(trap_last_cr2, NO_LDT + 9 * 8, "an LDT that is not there, %s: the address",
                   cases[i].name);
        tap_is_hex(trap_last.error, cases[i].error, "an LDT that is not there, %s: the error code",
                   cases[i].name);
        tap_is_hex(trap_last.rip, USER_CODE, "an LDT that is not there, %s: rip", cases[i].name);
    }
    op.arg2.nr_ents = 0;
    hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

/*
 * An LDT page is shown when the CPU first asks for a descriptor in it, which takes the lock of the page tables; an IRET whose ss
 * is there must not fail because another vCPU holds that lock.
 */
static void check_busy_ldt(void)
{
    static uint64_t ldt[512] __attribute__((aligned(4096)));
    struct mmuext_op none = {.cmd = MMUEXT_SET_LDT};
    struct mmuext_op op = {
        .cmd = MMUEXT_SET_LDT, .arg1.linear_addr = (unsigned long)ldt, .arg2.nr_ents = 512};
    unsigned wrong = 0;

    ldt[1] = 0x00cff3000000fffful; /* data */
    tap_is(page_protect(ldt, PTE_RO), 0, "an LDT while page tables are busy: its page");
    for (unsigned round = 0; round < 200; round++) {
        struct trap_frame f = user_frame();
        hypercall_mmuext_op(&none, 1, NULL, DOMID_SELF);
        hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF);
        f.ss = 1 << 3 | 7;
        const int v = USER_RUN(&f, nops);
        if (v != TRAP_UD && !wrong++)
            tap_note("round %u: vector %d, error %lx, at %lx", round, v, trap_last.error,
                     trap_last_cr2);
    }
    event_disable();
    hypercall_mmuext_op(&none, 1, NULL, DOMID_SELF);
    tap_is(wrong, 0, "an LDT while page tables are busy: every iret to a segment of it succeeds");
    page_tables_busy = false;
}

/* ---------------------------------------------------------------------------------- */

void guest_main(void)
{
    user_init();
    *(uint64_t *)((char *)user_data_page() + 8) = FS_WORD;
    *(uint64_t *)((char *)user_data_page() + 16) = GS_USER_WORD;
    hypercall_set_segment_base(SEGBASE_FS, USER_DATA + 8);
    hypercall_set_segment_base(SEGBASE_GS_USER, USER_DATA + 16);
    hypercall_set_segment_base(SEGBASE_GS_KERNEL, (uint64_t)&gs_kernel_word);
    for (unsigned o = 0; o < sizeof(outs) / sizeof(outs[0]); o++) {
        for (unsigned n = 0; n < NR_FLAGS; n++)
            check_iret(o, n);
        check_places(o);
        check_step(o);
        if (!outs[o].vgcf)
            check_breakpoint(o);
    }
    for (unsigned n = 0; n < NR_FLAGS; n++)
        check_hypercall(n);
    if (vcpu_have(2, "a new vCPU"))
        check_vcpu();
    check_ends();
    check_absent_ldt();
    check_busy_ldt();
}
