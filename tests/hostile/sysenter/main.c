/*
 * Wants: a CPU for ever.  Ring 3 with RFLAGS.IF = 0 is never interrupted.
 *
 * SYSENTER clears IF and saves no flags; who handles it has to invent the flags of the caller, and
 * what is pushed after the instruction has IF = 0.  The same program tries it from 64-bit code and
 * through the 32-bit segment, where the processor's makers disagree whether it exists at all, with
 * and without a callback registered; then it computes without any hypercall, and the others shall
 * not notice.
 *
 * Fails: every way back to ring 3 sets IF.
 */
#include "attack.h"
#include "guest.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/callback.h>

#define HOG_ROUNDS 3000000 /* of an empty loop, without a hypercall */

USER_ASM(user_sysenter, "sysenter");
/* Into the flat 32-bit segment, then the same. */
USER_ASM(user_compat, "mov $0x402800, %rsp; push $0xe023; lea 1f(%rip), %rax; push %rax; lretq\n"
                      ".code32\n1: sysenter\n.code64");

static uint64_t flags_now(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    return flags;
}

static void hog(const char *where)
{
    tap_ok(flags_now() & RFLAGS_IF, "IF is set %s", where);
    for (volatile unsigned i = 0; i < HOG_ROUNDS; i++)
        ;
}

static bool on_trap(struct trap_frame *f)
{
    hog("in the handler");
    return false;
}

void guest_main(void)
{
    const struct callback_register callback = {.type = CALLBACKTYPE_sysenter,
                                               .address = (unsigned long)trap_sysenter_callback};
    struct chance c = chance_of(0);
    struct trap_frame f;

    user_init();
    if (chance_below(&c, 2))
        hypercall_callback_op(CALLBACKOP_register, &callback);
    trap_handle(TRAP_GP, on_trap);
    trap_handle(TRAP_UD, on_trap);
    trap_handle(TRAP_SYSENTER, on_trap);
    f = user_frame();
    if (chance_below(&c, 2))
        USER_RUN(&f, user_compat);
    else
        USER_RUN(&f, user_sysenter);
    hog("after it");
    attack_again();
}
