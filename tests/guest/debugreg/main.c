/*
 * Question: do the debug registers belong to the guest, as far as is safe?
 *
 * A guest may watch its own addresses.  It may not watch the hypervisor's
 * (the trap would come in ring 0), nor set the reserved bits and GD of DR7.
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/features.h>
#include <xen/version.h>

COVERS_CALL(set_debugreg);
COVERS_CALL(get_debugreg);

static uint64_t watched;

static const struct {
    const char *name;
    int reg;
    uint64_t value;
    long expected;
    uint64_t reads;
} cases[] = {
    {"dr0, user half", 0, 0x1234, 0, 0x1234},
    {"dr1, kernel half", 1, 0xffffffff80001000, 0, 0xffffffff80001000},
    {"dr2, last page", 2, 0xfffffffffffff000, 0, 0xfffffffffffff000},
    {"dr3", 3, 0, 0, 0},
    {"dr0, the hypervisor", 0, 0xffff830000000000, -XEN_EPERM, 0x1234},
    {"dr0, the m2p table", 0, 0xffff800000000000, -XEN_EPERM, 0x1234},
    {"dr0, non-canonical", 0, 1ul << 63, -XEN_EPERM, 0x1234},
    {"dr4, an alias of dr6", 4, 0, 0, 0},
    {"dr5, an alias of dr7", 5, 0, 0, 0},
    {"dr6", 6, 0, 0, 0xffff0ff0},
    {"dr6, upper half", 6, 1ul << 32, -XEN_EINVAL, 0xffff0ff0},
    {"dr7", 7, 0, 0, 0x400},
    {"dr7, all off", 7, 0x400, 0, 0x400},
    {"dr7, upper half", 7, 1ul << 32, -XEN_EINVAL, 0x400},
    {"dr7, GD", 7, 0x2000, -XEN_EPERM, 0x400},
    {"dr7, an I/O breakpoint without CR4.DE", 7, 0x20001, -XEN_EPERM, 0x400},
    {"dr8", 8, 0, -XEN_ENODEV, 0},
    {"dr99", 99, 0, -XEN_ENODEV, 0},
};

static void test_cases(void)
{
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_is(hypercall_set_debugreg(cases[i].reg, cases[i].value), cases[i].expected, "set %s",
               cases[i].name);
        if (cases[i].reg < 4 || (cases[i].reg > 5 && cases[i].reg < 8))
            tap_is_hex(hypercall_get_debugreg(cases[i].reg), cases[i].reads, "get %s",
                       cases[i].name);
    }
    tap_is((long)hypercall_get_debugreg(8), -XEN_ENODEV, "get dr8");
    tap_is((long)hypercall_get_debugreg(-1), -XEN_ENODEV, "get dr-1");
}

static void watch_here(void)
{
    __asm__ volatile(".globl watched_instruction\nwatched_instruction: nop; nop");
}
extern char watched_instruction[];

static void test_watch(void)
{
    hypercall_set_debugreg(0, (uint64_t)&watched);
    hypercall_set_debugreg(6, 0);
    tap_is(hypercall_set_debugreg(7, 0x000d0001), 0, "watch 4 bytes for writes, local 0");
    tap_is(TRAPS(*(volatile uint32_t *)&watched = 1), TRAP_DB, "a store to them: #DB");
    tap_is_hex(hypercall_get_debugreg(6) & 0xf, 1, "DR6 names dr0");
    hypercall_set_debugreg(6, 0);
    tap_is(TRAPS((void)*(volatile uint32_t *)&watched), NO_TRAP, "a load from them: nothing");
    tap_is(hypercall_set_debugreg(7, 0), 0, "stop watching");
    tap_is(TRAPS(*(volatile uint32_t *)&watched = 2), NO_TRAP, "a store: nothing");

    hypercall_set_debugreg(1, (uint64_t)watched_instruction);
    tap_is(hypercall_set_debugreg(7, 4), 0, "break at an instruction, local 1");
    tap_is(TRAPS(watch_here()), TRAP_DB, "executing it: #DB");
    tap_is_hex(trap_last.rip, (uint64_t)watched_instruction, "rip is at the instruction");
    tap_is_hex(hypercall_get_debugreg(6) & 0xf, 2, "DR6 names dr1");
    hypercall_set_debugreg(7, 0);
    hypercall_set_debugreg(6, 0);
}

static unsigned steps;
static bool count_step(struct trap_frame *f)
{
    if (++steps == 3)
        f->rflags &= ~RFLAGS_TF;
    return true;
}

static void test_step(void)
{
    trap_handle(TRAP_DB, count_step);
    __asm__ volatile("pushf; orl $0x100, (%rsp); popf; nop; nop; nop; nop");
    trap_handle(TRAP_DB, NULL);
    tap_is(steps, 3, "single step: a handler lets three instructions go by one by one");
    tap_is_hex(hypercall_get_debugreg(6) & 0x4000, 0x4000, "single step: DR6.BS");
    hypercall_set_debugreg(6, 0);
}

/* A breakpoint that the hypervisor's own accesses hit, for a hypercall, is no cause that the next #DB may tell of. */
static void test_breakpoint_of_ring0(void)
{
    static xen_feature_info_t features;

    hypercall_set_debugreg(0, (uint64_t)&features);
    tap_is(hypercall_set_debugreg(7, 0x000f0001), 0, "ring 0: watch 4 bytes for reads and writes");
    tap_is(hypercall_xen_version(XENVER_get_features, &features), 0,
           "ring 0: a hypercall touches them");
    hypercall_set_debugreg(
        7, 0); /* the emulator tells of a hit once more while the breakpoint is there */
    hypercall_set_debugreg(6, 0);
    tap_is(TRAPS(__asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop; nop" ::
                                      : "memory")),
           TRAP_DB, "ring 0: a single step");
    tap_is_hex(hypercall_get_debugreg(6) & 0x400f, 0x4000, "ring 0: DR6 tells of the step alone");
    hypercall_set_debugreg(6, 0);
}

/* MOV SS holds a breakpoint's trap back until the next instruction is done; the one that enters the hypervisor does not lose it,
 * and does not harm whoever is entered (XSA-260).  Emulators do not hold it back. */
extern uint16_t watched_ss;
uint16_t watched_ss __attribute__((aligned(8))) = FLAT_KERNEL_SS;

#define MOV_SS_THEN(text)                                          \
    TRAPS(__asm__ volatile("mov watched_ss(%%rip), %%ss; " text :: \
                               : "rax", "rcx", "rdi", "rsi", "r11", "memory"))

static void check_mov_ss(int vector, const char *then)
{
    tap_ok(vector == TRAP_DB || vector == TRAP_BP || vector == TRAP_UD,
           "mov ss, %s: one of the two traps comes", then);
    tap_is_hex(hypercall_get_debugreg(6) & 1, 1, "mov ss, %s: DR6 names dr0", then);
    hypercall_set_debugreg(6, 0);
}

static void test_mov_ss(void)
{
    __asm__ volatile("" : "+m"(watched_ss));
    hypercall_set_debugreg(0, (uint64_t)&watched_ss);
    tap_is(hypercall_set_debugreg(7, 0x00070001), 0, "mov ss: watch 2 bytes for reads and writes");
    check_mov_ss(MOV_SS_THEN("nop"), "nop");
    check_mov_ss(MOV_SS_THEN("int3"), "int3");
    check_mov_ss(MOV_SS_THEN(".byte 0xf1"), "icebp");
    check_mov_ss(MOV_SS_THEN("mov $17, %%eax; syscall"), "a move and a hypercall");
    check_mov_ss(MOV_SS_THEN("syscall"), "a hypercall");
    hypercall_set_debugreg(7, 0);
}

static void test_instructions(void)
{
    uint64_t v = 0;

    hypercall_set_debugreg(2, 0x2468);
    tap_is(TRAPS(__asm__ volatile("mov %%dr2, %0" : "=r"(v))), NO_TRAP, "MOV from DR2 is emulated");
    tap_is_hex(v, 0x2468, "MOV from DR2 reads the guest's value");
    tap_is(TRAPS(__asm__ volatile("mov %0, %%dr2"
                                  :
                                  : "r"(0x1357ul))),
           NO_TRAP, "MOV to DR2 is emulated");
    tap_is_hex(hypercall_get_debugreg(2), 0x1357, "MOV to DR2 writes it");
    tap_is(TRAPS(__asm__ volatile("mov %0, %%dr2"
                                  :
                                  : "r"(0xffff830000000000))),
           TRAP_GP, "MOV to DR2 of a hypervisor address: #GP");
    tap_is(TRAPS(__asm__ volatile("mov %%dr7, %0" : "=r"(v))), NO_TRAP, "MOV from DR7 is emulated");
    tap_is_hex(v, 0x400, "MOV from DR7");
}

void guest_main(void)
{
    test_cases();
    test_watch();
    test_step();
    test_breakpoint_of_ring0();
    test_mov_ss();
    test_instructions();
}
