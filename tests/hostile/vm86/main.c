/*
 * Wants: ring 0, by a mode that long mode does not have.
 *
 * IRETD of a 64-bit program pops 32 bits of flags.  A processor ignores VM among them; QEMU 7.2
 * enters virtual-8086 mode, with IOPL and IF from the same word.  There selectors are only numbers:
 * cs & 3 says nothing about the ring, so an exception with low bits 00 passes for one of the
 * hypervisor's own (the machine ends), or is "returned" from into ring 0 at an address that the
 * program chose; and IOPL 3 with IF 0 stays in force in the guest's handler: every port is open,
 * and the CPU never interrupted.
 *
 * Fails: an entry that finds VM set is the guest's, whatever its cs; IOPL is 0 and IF 1 on every
 * way to a handler.
 */
#include "attack.h"
#include "clock.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>

#define RFLAGS_VM (1u << 17)
#define IP        0x200

USER_ASM(user_iretd, "mov $0x401100, %esp; iretl");

static bool on_trap(struct trap_frame *f)
{
    uint64_t flags;

    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    tap_ok(!(flags & RFLAGS_IOPL), "IOPL is 0 in the handler");
    tap_ok(flags & RFLAGS_IF, "IF is 1 in the handler");
    return false;
}

/* The frame that the program's IRETD pops: ip cs flags sp ss, and four segments for vm86. */
static void frame_fill(uint16_t cs, uint32_t flags)
{
    uint32_t *frame = (uint32_t *)((char *)user_data_page() + 0x100);
    const uint32_t words[] = {IP, cs, flags, 0x401800, cs | 3, 0, 0, 0, 0};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        frame[i] = words[i];
}

void guest_main(void)
{
    static const uint16_t selectors[] = {0x1003, 0x1000, 0xe008, 0xe030, 0x1001, 0x1002};
    struct chance c = chance_of(0);
    uint16_t cs = selectors[chance_below(&c, 6)];
    const bool wait = chance_below(&c, 2); /* for an interrupt; else HLT, which faults */

    if (!attack_goes_on())
        guest_shutdown(SHUTDOWN_poweroff);
    user_init();
    for (unsigned v = 0; v < 32; v++)
        if (v != TRAP_NMI)
            trap_handle(v, on_trap);
    const unsigned long linear = cs * 16ul + IP;
    uint8_t *code = page_alloc();
    if (memory_map_at(linear & ~(PAGE_SIZE - 1), pte_of(page_mfn(code), PTE_RO)))
        tap_bail_out("no page for the 16-bit code");
    code[linear % PAGE_SIZE] = wait ? 0xeb : 0xf4;
    code[linear % PAGE_SIZE + 1] = 0xfe;
    frame_fill(cs,
               RFLAGS_VM | 2 | (chance_below(&c, 2) ? RFLAGS_IOPL : 0) | (wait ? RFLAGS_IF : 0));
    if (wait)
        hypercall_set_timer_op(clock_ns() + 3000000);
    struct trap_frame f = user_frame();
    USER_RUN(&f, user_iretd);
    attack_again();
}
