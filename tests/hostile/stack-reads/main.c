/*
 * Wants: words of memory that only ring 0 may read.
 *
 * QEMU 7.2 makes the stack accesses of far RET, IRET and far CALL with ring 0's rights, in every
 * ring: the error code of the #GP that follows is a word of whatever the stack pointer named.  That
 * is the emulator's hole, open to every program below any kernel and any hypervisor there
 * (SECURITY.md), and closed in processors.  So what is read is said and not judged.  Judged is what
 * is ours: that these accesses, which fault in ring 0's half, are the guest's faults and never the
 * hypervisor's.
 *
 * Fails on a processor; here it only fails to stop anybody.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

USER_ASM(user_far_return, "mov %rax, %rsp; rex.w lret");
USER_ASM(user_iret, "mov %rax, %rsp; iretq");

void guest_main(void)
{
    static const uint64_t places[] = {0xffff800000000000, 0xffff820000000000, 0xffff830000000000,
                                      0xffff87fffffff000, 0x7ffffffffff0,     0x800000000000};
    struct chance c = chance_of(0);
    unsigned long read = 0, tries = 0;

    attack_begin("stack-reads");
    user_init();
    while (attack_goes_on())
        for (unsigned i = 0; i < 20; i++, tries++) {
            struct trap_frame f = user_frame();
            f.rax = places[chance_below(&c, 6)] + chance_below(&c, 1u << 30);
            int v = chance_below(&c, 2) ? USER_RUN(&f, user_far_return) : USER_RUN(&f, user_iret);
            read += v == TRAP_GP && (trap_last.error & ~3ul);
        }
    tap_note("emulator: %lu of %lu accesses told a word of the hypervisor's memory", read, tries);
}
