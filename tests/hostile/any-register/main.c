/*
 * Wants: a #GP in ring 0, or a register of the machine's.
 *
 * RDMSR, WRMSR, XSETBV and the control and debug registers trap, and the hypervisor may then touch
 * the real one for the guest.  A register that this processor lacks, a value that it refuses (a
 * non-canonical base, a reserved bit, a combination that XCR0 cannot have), a debug address with a
 * mask that stretches into ring 0's half: each would fault in ring 0 or stay in force there
 * (XSA-12, 54, 165, 193, 293, 333, 444).
 *
 * Fails: what is not listed is #GP for the guest; what is listed is checked before it reaches the
 * machine.
 */
#include "attack.h"
#include "guest.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

static const uint32_t msrs[] = {
    0x10,       0x1b,       0x8b,       0x174,      0x175,      0x176,      0x179,      0x1a0,
    0x1d9,      0x277,      0x2ff,      0x3f1,      0x48,       0x49,       0x10a,      0x122,
    0x6e0,      0x800,      0x80b,      0x830,      0xda0,      0xc0000080, 0xc0000081, 0xc0000082,
    0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103, 0xc0010015, 0xc0011019, 0xc001101a,
    0xc001101b, 0xc0011027, 0xc0011029, 0x40000000, 0x40000001,
};

static uint64_t pick_value(struct chance *c)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   0x7ffffffff000,
                                   0x800000000000,
                                   0xffff7fffffffffff,
                                   0xffff800000000000,
                                   0xffff830000000000,
                                   ~0ul};

    return chance_below(c, 3) ? odd[chance_below(c, 8)] : chance_next(c);
}

static void msr(struct chance *c)
{
    uint32_t number = chance_below(c, 4) ? msrs[chance_below(c, sizeof(msrs) / sizeof(msrs[0]))]
                                         : (uint32_t)chance_next(c);
    uint64_t value = pick_value(c);
    uint32_t low, high;

    if (chance_below(c, 2)) {
        (void)TRAPS(__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number)));
        return;
    }
    (void)TRAPS(
        __asm__ volatile("wrmsr"
                         :
                         : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))));
}

static void control(struct chance *c)
{
    uint64_t value = pick_value(c), cr4;

    switch (chance_below(c, 4)) {
    case 0:
        (void)TRAPS(__asm__ volatile("mov %%cr4, %0" : "=r"(cr4)));
        value = cr4 ^ 1ul << chance_below(c, 32);
        (void)TRAPS(__asm__ volatile("mov %0, %%cr4" : : "r"(value)));
        break;
    case 1:
        (void)TRAPS(__asm__ volatile("mov %0, %%cr0"
                                     :
                                     : "r"(0x80050033 ^ 1ul << chance_below(c, 32))));
        hypercall_fpu_taskswitch(0);
        break;
    case 2:
        (void)TRAPS(__asm__ volatile("mov %0, %%cr8" : : "r"(value)));
        break;
    default:
        (void)TRAPS(__asm__ volatile("xsetbv"
                                     :
                                     : "c"(chance_below(c, 3)), "a"((uint32_t)value), "d"(0)));
    }
}

static unsigned watched; /* addresses of the hypervisor's */

/* Where a breakpoint may be set, it is set on nothing that anybody executes or touches. */
static void debug(struct chance *c)
{
    unsigned reg = chance_below(c, 8);
    uint64_t value = pick_value(c);

    if (!hypercall_set_debugreg(reg, value) && reg < 4)
        watched += value >= HYPERVISOR_VIRT_START && value < HYPERVISOR_VIRT_END;
    hypercall_set_debugreg(7, 0);
}

static void base(struct chance *c)
{
    hypercall_set_segment_base(chance_below(c, 5), pick_value(c));
    (void)TRAPS(__asm__ volatile("wrfsbase %0" : : "r"(pick_value(c))));
    (void)TRAPS(__asm__ volatile("wrgsbase %0" : : "r"(pick_value(c))));
}

void guest_main(void)
{
    struct chance c = chance_of(0);
    static void (*const kinds[])(struct chance * c) = {msr, msr, control, debug, base};

    attack_begin("any-register");
    while (attack_goes_on())
        for (unsigned i = 0; i < 50; i++)
            kinds[chance_below(&c, 5)](&c);
    tap_is(watched, 0, "no debug register has an address of the hypervisor's");
}
