/*
 * Question: is the guest's user mode a world of its own?
 *
 * Both modes of a PV guest run in ring 3; the hypervisor keeps them apart by
 * switching page tables, stacks and GS bases.  From user mode everything that
 * enters the kernel builds its frame on the kernel's stack, with the user's
 * selectors and RPL 3.  A SYSCALL from user mode is a system call of the
 * guest's own, never a hypercall.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/version.h>

USER_ASM(user_syscall,
         "mov $17, %eax; xor %edi, %edi; mov $2, %r10d; syscall; mov $99, %eax; syscall");
USER_ASM(user_ud2, "nop; ud2");
USER_ASM(user_read_null, "mov 0x10, %rax");
USER_ASM(user_write_code, "mov %eax, 0x400800");
USER_ASM(user_jump_data, "mov $0x401000, %eax; jmp *%rax");
USER_ASM(user_read_kernel, "mov $0xffffffff80100000, %rax; mov (%rax), %rbx");
USER_ASM(user_write_kernel, "mov $0xffffffff80100000, %rax; mov %rbx, (%rax)");
USER_ASM(user_read_m2p, "mov $0xffff800000000000, %rax; mov (%rax), %rbx; syscall");
USER_ASM(user_read_hypervisor, "mov $0xffff830000000000, %rax; mov (%rax), %rbx");
USER_ASM(user_div, "xor %edx, %edx; xor %ecx, %ecx; mov $1, %eax; div %ecx");
USER_ASM(user_hlt, "hlt");
USER_ASM(user_cli, "cli");
USER_ASM(user_in, "in $0x80, %al");
USER_ASM(user_mov_cr3, "mov %cr3, %rax");
USER_ASM(user_rdmsr, "mov $0xc0000080, %ecx; rdmsr");
USER_ASM(user_noncanonical, "mov $0x800000000000, %rax; mov (%rax), %rbx");
USER_ASM(user_int3, "int3");
USER_ASM(user_step, "pushf; orl $0x100, (%rsp); popf; nop; nop");
USER_ASM(user_iret_hypercall, "mov $23, %eax; syscall");

static const struct {
    const char *name, *code;
    size_t length;
    int vector;
    long error; /* -1: none */
    long rip;   /* offset in the page */
    uint64_t address;
} faults[] = {
#define CASE(name, code, ...)       \
    {                               \
        name, code, 32, __VA_ARGS__ \
    }
    CASE("ud2", user_ud2, TRAP_UD, 0, 1, 0),
    CASE("load near NULL", user_read_null, TRAP_PF, PF_USER, 0, 0x10),
    CASE("store to its read-only code", user_write_code, TRAP_PF, PF_USER | PF_WRITE | PF_PRESENT,
         0, 0x400800),
    CASE("jump to its data", user_jump_data, TRAP_PF, PF_USER | PF_FETCH | PF_PRESENT, 0x1000,
         0x401000),
    CASE("load from the kernel", user_read_kernel, TRAP_PF, PF_USER, 7, 0xffffffff80100000),
    CASE("store to the kernel", user_write_kernel, TRAP_PF, PF_USER | PF_WRITE, 7,
         0xffffffff80100000),
    CASE("load from the hypervisor", user_read_hypervisor, TRAP_PF, -1, 10, 0xffff830000000000),
    CASE("divide by zero", user_div, TRAP_DE, 0, 9, 0),
    CASE("hlt", user_hlt, TRAP_GP, 0, 0, 0),
    CASE("cli", user_cli, TRAP_GP, 0, 0, 0),
    CASE("in", user_in, TRAP_GP, 0, 0, 0),
    CASE("mov from cr3", user_mov_cr3, TRAP_GP, 0, 0, 0),
    CASE("rdmsr", user_rdmsr, TRAP_GP, 0, 5, 0),
    CASE("load from a non-canonical address", user_noncanonical, TRAP_GP, 0, 10, 0),
    CASE("int3", user_int3, TRAP_BP, 0, 1, 0),
    CASE("single step", user_step, TRAP_DB, 0, -1, 0),
#undef CASE
};

static uint64_t entry_stack, entry_kernel_mask;
static bool look(struct trap_frame *f)
{
    entry_stack = (uint64_t)(f + 1);
    entry_kernel_mask = event_vcpu_info(0)->evtchn_upcall_mask;
    return false;
}

static void test_syscall(void)
{
    struct trap_frame f = user_frame();

    trap_handle(TRAP_SYSCALL, look);
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL,
           "syscall: enters the kernel, not the hypervisor");
    trap_handle(TRAP_SYSCALL, NULL);
    tap_is_hex(entry_stack, user_kernel_stack_top(), "syscall: the frame is on the kernel's stack");
    tap_is(trap_last.rax, 17, "syscall: rax is the user's");
    tap_is(trap_last.r10, 2, "syscall: r10 is the user's");
    tap_is_hex(trap_last.rip, USER_CODE + 15, "syscall: rip behind it");
    tap_is_hex(trap_last.rcx, trap_last.rip, "syscall: rcx is rip");
    tap_is_hex(trap_last.r11 & RFLAGS_IF, RFLAGS_IF, "syscall: r11 is rflags");
    tap_is_hex(trap_last.rsp, USER_STACK_TOP, "syscall: rsp is the user's");
    tap_is_hex(trap_last.cs & 0xffff, FLAT_USER_CS, "syscall: cs");
    tap_is_hex(trap_last.ss, FLAT_USER_SS, "syscall: ss");

    struct trap_frame again = trap_last;
    again.rax = 55;
    tap_is(TRAPS(trap_return(&again)), TRAP_SYSCALL, "the user goes on behind its syscall");
    tap_is(trap_last.rax, 99, "to the next one");
    tap_is(USER_RUN(&f, user_iret_hypercall), TRAP_SYSCALL,
           "the number of iret means nothing there");
}

static void test_faults(void)
{
    struct trap_frame f = user_frame();

    for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        tap_is(user_run(&f, faults[i].code, faults[i].length), faults[i].vector, "%s: vector",
               faults[i].name);
        if (faults[i].error >= 0)
            tap_is_hex(trap_last.error, faults[i].error, "%s: error code", faults[i].name);
        if (faults[i].rip >= 0)
            tap_is_hex(trap_last.rip, USER_CODE + faults[i].rip, "%s: rip", faults[i].name);
        if (faults[i].address)
            tap_is_hex(trap_last_cr2, faults[i].address, "%s: address", faults[i].name);
        tap_is_hex(trap_last.cs & 0xffff, FLAT_USER_CS, "%s: cs", faults[i].name);
    }
    hypercall_set_debugreg(6, 0);
    USER_RUN(&f, user_read_m2p);
    tap_ok(trap_last.vector == TRAP_SYSCALL || trap_last.vector == TRAP_PF,
           "load from the m2p table: allowed or a fault, no more");
}

USER_ASM(user_spin, "1: incq 0x401000; jmp 1b");

/* An event interrupts user mode and finds the kernel's stack. */
static void test_event(void)
{
    struct trap_frame f = user_frame();
    evtchn_port_t timer;

    trap_handler_t *upcall = trap_handle(TRAP_EVENT, look);
    event_bind_virq(VIRQ_TIMER, 0, &timer);
    event_unmask_bit(timer);
    hypercall_set_timer_op(0);
    /* A tick that comes here already, between the two clears or before the user's first instruction, is not the one. */
    int trap = NO_TRAP;
    *(volatile uint64_t *)user_data_page() = 0;
    for (int tries = 0; tries < 5 && *(volatile uint64_t *)user_data_page() == 0; tries++) {
        event_vcpu_info(0)->evtchn_upcall_pending = 0;
        event_clear(timer);
        trap = USER_RUN(&f, user_spin);
    }
    tap_is(trap, TRAP_EVENT, "an event (the periodic tick) interrupts a spinning user");
    tap_is_hex(entry_stack, user_kernel_stack_top(), "event: the frame is on the kernel's stack");
    tap_is(entry_kernel_mask, 1, "event: upcalls are off in the handler");
    tap_is_hex(trap_last.cs & 0xffff, FLAT_USER_CS, "event: cs");
    tap_ok(*(uint64_t *)user_data_page() > 0, "the user had run");
    trap_handle(TRAP_EVENT, upcall);
    event_close(timer);
}

static void test_roots(void)
{
    struct trap_frame f = user_frame();

    /* The kernel's own root may serve the user, too. */
    tap_is(mmuext(MMUEXT_NEW_USER_BASEPTR, memory_root_mfn()), 0, "the kernel's root as user base");
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL, "the user runs on it");
    tap_is(mmuext(MMUEXT_NEW_USER_BASEPTR, user_root_mfn()), 0, "its own root again");
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL, "the user runs on that");

    /* Unmapping the user's code in the shared L3 shows at once after a flush. */
    uint64_t *l1 = memory_entry(USER_CODE, 1);
    uint64_t pte = *l1;
    mmu_set(memory_entry_ma(USER_CODE, 1), 0);
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0);
    tap_is(TRAPS(trap_return(&f)), TRAP_PF, "the user's code is unmapped: #PF");
    tap_is_hex(trap_last.error, PF_USER | PF_FETCH, "a user fetch");
    mmu_set(memory_entry_ma(USER_CODE, 1), pte);
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0);
    f = user_frame();
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL, "mapped again, it runs");
}

void guest_main(void)
{
    user_init();
    test_syscall();
    test_faults();
    test_event();
    test_roots();
}
