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
    test_instructions();
}
