/*
 * Wants: to have a program's fault taken for its kernel's.
 *
 * The processor marks a page fault of ring 3 as user's (U), except where an instruction reaches for
 * a descriptor, and on QEMU 7.2 for the stacks of IRET, far RET and far CALL: those accesses are
 * the supervisor's, also for a program.  A guest's kernel that gets U = 0 with a fault of user mode
 * takes it for a fault of its own and dies: an unprivileged program stops its system.
 *
 * Fails: a fault that comes from the guest's user mode has U set, whatever made the access.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "user.h"

USER_ASM(user_iret, "mov $0x10000, %rsp; iretq");
USER_ASM(user_far_return, "mov $0x10000, %rsp; lretq");
USER_ASM(user_far_call, "mov $0x10000, %rsp; push $0; push $0; rex.w lcall *(%rsp)");
USER_ASM(user_load, "mov $0x10000, %rsp; pop %rax");

void guest_main(void)
{
    static const struct {
        const char *name, *code;
    } cases[] = {{"IRET", user_iret},
                 {"far RET", user_far_return},
                 {"far CALL", user_far_call},
                 {"POP", user_load}};

    user_init();
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trap_frame f = user_frame();
        int v = user_run(&f, cases[i].code, 32);
        if (v == TRAP_PF)
            tap_is_hex(trap_last.error & PF_USER, PF_USER,
                       "%s of a program: the fault is user mode's", cases[i].name);
    }
    attack_again();
}
