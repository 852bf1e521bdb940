/*
 * Question: which gates does set_trap_table accept, and how does `int n` reach
 * them?
 *
 * A PV guest has no IDT; it hands over a list of (vector, DPL and flags,
 * selector, address) ended by an entry with address 0.  `int n` is checked
 * against the gate's DPL by software: a hardware IDT entry for n has DPL 0, so
 * the instruction faults, and the hypervisor takes it from there.  The guest
 * kernel counts as ring 1 there, so that a gate of DPL 0 is for exceptions
 * only, and its user as ring 3.  Only int 0x80, int3 and into have gates that
 * ring 3 may use directly.
 *
 * QEMU 7.2 pushes n * 16 + 2 instead of n * 8 + 2 for a refused `int n` in long mode.  A
 * hypervisor that believes the error code, as Xen does, finds the wrong gate
 * there; one that reads the instruction finds the right one.  The tests below
 * named "int n" expect what hardware gives.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>

COVERS_CALL(set_trap_table);

#define INT(n) __asm__ volatile("int %0" : : "i"(n) : "memory")

static void test_table(void)
{
    static struct trap_info t[3];
    unsigned long stub = trap_stub(0x50);

    tap_is(hypercall_set_trap_table((void *)0x1000), -XEN_EFAULT, "an unmapped table");
    tap_is(hypercall_set_trap_table((void *)0xffff830000000000), -XEN_EFAULT,
           "a table of the hypervisor's");
    t[0] = (struct trap_info){0x50, 1, FLAT_KERNEL_CS, 1ul << 63};
    tap_is(hypercall_set_trap_table(t), -XEN_EINVAL, "a non-canonical address");
    t[0] = (struct trap_info){0x50, 1, FLAT_KERNEL_CS, 0x0000800000000000};
    tap_is(hypercall_set_trap_table(t), -XEN_EINVAL, "the first non-canonical address");
    t[0] = (struct trap_info){0x50, 1, FLAT_KERNEL_CS, stub};
    tap_is(hypercall_set_trap_table(t), 0, "one entry");
    tap_is(TRAPS(INT(0x50)), 0x50, "int n reaches the gate");
    t[0] = (struct trap_info){0x50, 1, 0, trap_stub(0x51)};
    tap_is(hypercall_set_trap_table(t), 0, "a null selector is accepted");
    tap_is(TRAPS(INT(0x50)), 0x51, "int n reaches the new gate");
    t[0] = (struct trap_info){0x50, 1, FLAT_KERNEL_CS, 0};
    tap_is(hypercall_set_trap_table(t), 0, "an entry with address 0 ends the list");
    tap_is(TRAPS(INT(0x50)), 0x51, "int n still reaches it");
    t[0] = (struct trap_info){0x50, 1, FLAT_KERNEL_CS, stub};
    t[1] = (struct trap_info){0x52, 1, FLAT_KERNEL_CS, 1ul << 63};
    tap_is(hypercall_set_trap_table(t), -XEN_EINVAL, "a bad second entry");
    tap_is(TRAPS(INT(0x50)), 0x50, "int n: the first entry stays applied");

    tap_is(hypercall_set_trap_table(NULL), 0, "NULL clears all");
    trap_restore_gates();
    tap_is(TRAPS(INT(0x50)), TRAP_GP, "int n, a cleared gate: #GP");
    tap_is_hex(trap_last.error, 0x50 * 8 + 2, "int n, a cleared gate: error code names the vector");
}

static void test_frame(void)
{
    event_vcpu_info(0)->evtchn_upcall_mask = 1;
    trap_gate(0x80, 0, trap_stub(0x80));
    TRAPS(INT(0x80));
    tap_is_hex(trap_last.cs & 0xffff, KERNEL_CS, "frame: cs without RPL");
    tap_is_hex(trap_last.cs >> 32, 1, "frame: bits 32-39 of cs hold the upcall mask, set");
    tap_is_hex(trap_last.ss, KERNEL_SS, "frame: ss");
    tap_is_hex(trap_last.rflags & RFLAGS_IF, 0, "frame: IF is clear while upcalls are masked");
    tap_is_hex(*(uint16_t *)(trap_last.rip - 2), 0x80cd, "frame: rip behind the instruction");

    event_vcpu_info(0)->evtchn_upcall_mask = 0;
    TRAPS(INT(0x80));
    tap_is_hex(trap_last.cs >> 32, 0, "frame: the upcall mask, clear");
    tap_is_hex(trap_last.rflags & RFLAGS_IF, RFLAGS_IF, "frame: IF is set");
    event_vcpu_info(0)->evtchn_upcall_mask = 1;
}

static uint8_t mask_in_handler;
static bool note_mask(struct trap_frame *f)
{
    mask_in_handler = event_vcpu_info(0)->evtchn_upcall_mask;
    return true;
}

static void test_mask_flag(void)
{
    static const struct {
        unsigned flags;
        uint8_t expected;
        const char *name;
    } gates[] = {
        {0, 0, "flags 0 leave upcalls on"},
        {4, 1, "flag 4 masks upcalls"},
        {3, 0, "DPL 3 leaves upcalls on"},
        {7, 1, "DPL 3 with flag 4 masks upcalls"},
    };

    trap_handle(0x80, note_mask);
    for (unsigned i = 0; i < 4; i++) {
        trap_gate(0x80, gates[i].flags, trap_stub(0x80));
        event_vcpu_info(0)->evtchn_upcall_mask = 0;
        INT(0x80);
        tap_is(mask_in_handler, gates[i].expected, "%s", gates[i].name);
        tap_is(event_vcpu_info(0)->evtchn_upcall_mask, 0, "%s: the return restores", gates[i].name);
    }
    event_vcpu_info(0)->evtchn_upcall_mask = 1;
    trap_handle(0x80, NULL);
}

USER_ASM(user_int50, "int $0x50; ud2");
USER_ASM(user_int80, "int $0x80; ud2");
USER_ASM(user_int3, "int3; ud2");
USER_ASM(user_int3_long, ".byte 0xcd, 3; ud2");

static void test_dpl(void)
{
    struct trap_frame f = user_frame();

    for (unsigned dpl = 0; dpl < 4; dpl++) {
        trap_gate(0x50, dpl, trap_stub(0x50));
        tap_is(TRAPS(INT(0x50)), dpl ? 0x50 : TRAP_GP, "int n, DPL %u: %s the kernel", dpl,
               dpl ? "open to" : "shut to");
        tap_is(USER_RUN(&f, user_int50), dpl == 3 ? 0x50 : TRAP_GP, "int n, DPL %u: %s the user",
               dpl, dpl == 3 ? "open to" : "shut to");
        if (dpl < 3) {
            tap_is_hex(trap_last.error, 0x50 * 8 + 2, "int n, DPL %u: the #GP's error code", dpl);
            tap_is_hex(trap_last.rip, USER_CODE, "int n, DPL %u: the #GP's rip", dpl);
        } else {
            tap_is_hex(trap_last.rip, USER_CODE + 2, "int n, DPL %u: rip behind int", dpl);
            tap_is_hex(trap_last.cs & 0xffff, FLAT_USER_CS, "int n, DPL %u: cs", dpl);
        }
    }

    trap_restore_gates();
    tap_is(USER_RUN(&f, user_int80), TRAP_GP, "int 0x80 without a gate: #GP");
    tap_is_hex(trap_last.error, 0x402, "int 0x80 without a gate: error code");
    tap_is_hex(trap_last.rip, USER_CODE, "int 0x80 without a gate: rip");
    trap_gate(0x80, 3, trap_stub(0x80));
    tap_is(USER_RUN(&f, user_int80), 0x80, "int 0x80 from the user");
    tap_is_hex(trap_last.rip, USER_CODE + 2, "int 0x80: rip behind it");
    tap_is(TRAPS(INT(0x80)), 0x80, "int 0x80 from the kernel");

    tap_is(USER_RUN(&f, user_int3), TRAP_BP, "int3 from the user");
    tap_is_hex(trap_last.rip, USER_CODE + 1, "int3: rip behind it");
    tap_is(USER_RUN(&f, user_int3_long), TRAP_BP, "int 3 of two bytes from the user");
    trap_gate(TRAP_BP, 0, trap_stub(TRAP_BP));
    tap_is(USER_RUN(&f, user_int3_long), TRAP_BP, "int 3 with DPL 0: breakpoints are always open");
}

static void test_all_vectors(void)
{
    for (unsigned v = 0x20; v < 0x100; v += 0x1f) {
        trap_gate(v, 1, trap_stub(v));
        static uint8_t code[3] __attribute__((section(".data"))) = {0xcd, 0, 0xc3};
        code[1] = v;
        tap_is(TRAPS(((void (*)(void))code)()), v, "int n, n is 0x%x", v);
    }
}

void guest_main(void)
{
    user_init();
    test_table();
    test_frame();
    test_mask_flag();
    test_dpl();
    trap_restore_gates();
    test_all_vectors();
}
