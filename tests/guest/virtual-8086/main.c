/*
 * Question: can a program get anything from virtual-8086 mode, where an emulator has it?
 *
 * In 64-bit mode there is no such mode: IRETD in ring 3 ignores VM in the flags that it
 * pops.  QEMU's TCG (7.2) does not: the program goes to virtual-8086 mode, with IOPL and
 * IF as it likes.  What then raises an exception comes into ring 0 with a paragraph number
 * where a code selector belongs.  A hypervisor that looks at its low two bits only takes
 * the program for itself, and one that hands IOPL and IF on gives it the machine's ports
 * and the CPU for ever.
 *
 * Each case runs a few bytes of real-mode code at one of the four kinds of segment, with
 * IOPL 3 and IF clear (a loop there would have the CPU for ever, and no hypervisor could
 * change that, so the one that waits for the timer has IF set), and looks at the flags with which
 * the guest's handler runs, and at what its frame says.  Where the machine has no such mode every
 * case is skipped.
 *
 * For Paravane alone: Xen 4.17 stops with a fatal trap.
 */
#include "clock.h"
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>

#define RFLAGS_VM (1ul << 17)
#define SEGMENT   0x1000u /* plus 0..3: what would be the privilege level of a selector */
#define OFFSET    0x200u

USER_ASM(user_iretd, "iretl");

static const struct {
    const char *name, *code;
    unsigned length, vector;
    uint64_t flags; /* more of them */
} cases[] = {
    {"hlt", "\xf4", 1, TRAP_GP, 0},
    {"ud2", "\x0f\x0b", 2, TRAP_UD, 0},
    {"int3", "\xcc", 1, TRAP_BP, 0},
    {"a single step", "\x90\x90", 2, TRAP_DB, RFLAGS_TF},
    {"a load from nowhere", "\xa1\x00\x00", 3, TRAP_PF, 0},
    {"int 0x80", "\xcd\x80", 2, TRAP_GP, 0},
    {"syscall", "\x0f\x05", 2, TRAP_UD, 0},
    {"sysenter", "\x0f\x34", 2, TRAP_GP, 0},
    {"a loop, until the timer", "\xeb\xfe", 2, TRAP_EVENT, RFLAGS_IF},
};

static uint64_t handler_flags;
static bool look(struct trap_frame *f)
{
    (void)f;
    __asm__ volatile("pushfq; pop %0" : "=r"(handler_flags));
    return false;
}

static void run_case(unsigned n, unsigned low)
{
    const char *name = cases[n].name;
    const unsigned cs = SEGMENT + low;
    char *code = (char *)(cs * 16ul + OFFSET);
    /* ip cs flags sp ss es ds fs gs */
    const uint32_t flags = RFLAGS_VM | RFLAGS_IOPL | 2 | (uint32_t)cases[n].flags;
    const uint32_t frame[9] = {OFFSET, cs, flags, 0x100, 0x3000 + low, 0, 0x5000, 0, 0};
    struct trap_frame f = user_frame();

    memcpy(code, cases[n].code, cases[n].length);
    memcpy((char *)user_data_page() + 0x100, frame, sizeof(frame));
    f.rsp = USER_DATA + 0x100;
    handler_flags = 0;
    if (cases[n].vector == TRAP_EVENT)
        hypercall_set_timer_op(clock_ns() + 1000000);
    const int v = USER_RUN(&f, user_iretd);
    hypercall_set_timer_op(0);
    event_disable();

    if (v == TRAP_GP && trap_last.error == (cs & ~3u)) {
        tap_skip("no virtual-8086 mode here", "%s, cs %u: the vector", name, low);
        return;
    }
    tap_is(v, cases[n].vector, "%s, cs %u: the vector", name, low);
    tap_is_hex(handler_flags & (RFLAGS_IF | RFLAGS_IOPL | RFLAGS_VM), RFLAGS_IF,
               "%s, cs %u: the handler's flags", name, low);
    tap_is_hex(trap_last.rflags & (RFLAGS_IF | RFLAGS_IOPL | RFLAGS_VM), RFLAGS_IF,
               "%s, cs %u: the frame's flags", name, low);
    tap_is(trap_last.cs & 3, 3, "%s, cs %u: the frame says ring 3", name, low);
    tap_is(trap_last.ss & 3, 3, "%s, cs %u: so does its ss", name, low);
}

void guest_main(void)
{
    evtchn_port_t port;

    user_init();
    if (memory_map_at(SEGMENT * 16ul, pte_of(page_mfn(page_alloc()), PTE_RW)))
        tap_bail_out("cannot map the real-mode code");
    event_bind_virq(VIRQ_TIMER, 0, &port);
    event_unmask_bit(port);
    for (unsigned v = 0; v < TRAP_COUNT; v++)
        if (v != TRAP_NMI)
            trap_handle(v, look);
    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++)
        for (unsigned low = 0; low < 4; low++)
            run_case(n, low);
}
