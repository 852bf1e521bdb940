/*
 * The iret hypercall: the guest kernel returns from a frame of its own.
 *
 *   guest rsp -> rax r11 rcx flags rip cs rflags rsp ss        (struct iret_context)
 *
 * cs with RPL 3 means the guest's user mode.  The frame is the guest's to write: selectors get RPL 3, rflags loses what ring 3
 * must not set, and a target that cannot be reached ends in the failsafe callback (entry.S, iret_failed).
 *
 * Most never come here: fast_iret (fastpath.S) does the same, unless the frame cannot be read, an event waits to be delivered, or
 * something else is unusual.
 */
#include "guest.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"
#include "traps.h"

#define KEPT_CLEAR (0xffffffff00000000ull | IRET_CLEARS)
_Static_assert(IRET_CLEARS == (RFLAGS_IOPL | RFLAGS_VM | 0x8028), "entry.h");

/* Word @n of the frame at @at, whose range has been checked; a fault goes to label unreadable. */
#define FRAME_WORD(at, field)                                                        \
    ({                                                                               \
        uint64_t word_;                                                              \
        __asm__ goto volatile("1: mov %c2(%1), %0\n\t" FIXUP("1b", "%l[unreadable]") \
                              : "=&r"(word_)                                         \
                              : "r"(at), "i"(offsetof(struct iret_context, field))   \
                              :                                                      \
                              : unreadable);                                         \
        word_;                                                                       \
    })

/* May this return leave by SYSRET?  It loses rcx and r11, which is what a system call's caller expects, and sets the
 * flat selectors: right for those, and for Linux's 0x33, which Xen treats so. */
static inline bool leaves_by_sysret(uint64_t flags, uint64_t cs)
{
    return (flags & VGCF_in_syscall) &&
           ((cs | 3) == SEL_GUEST_CS64 || (cs | 3) == SEL_LINUX_USER_CS);
}

long hypercall_iret(struct vcpu *v, const struct hypercall_args *a)
{
    struct guest_regs *regs = v->arch.regs;
    const uint64_t at = regs->rsp;

    /* The registers are overwritten word by word: if a later word cannot be read, the domain ends anyway. */
    if (unlikely(!guest_readable(at, sizeof(struct iret_context))))
        goto unreadable;
    const uint64_t rax = FRAME_WORD(at, rax), flags = FRAME_WORD(at, flags),
                   cs = FRAME_WORD(at, cs);
    regs->vector = REGS_SYSCALL;
    if (!leaves_by_sysret(flags, cs)) {
        regs->vector = 0;
        regs->rcx = FRAME_WORD(at, rcx);
        regs->r11 = FRAME_WORD(at, r11);
    }
    const uint64_t rflags = FRAME_WORD(at, rflags);
    regs->rip = FRAME_WORD(at, rip);
    regs->ss = (uint16_t)FRAME_WORD(at, ss) | 3;
    regs->rsp = FRAME_WORD(at, rsp);
    regs->cs = (uint16_t)cs | 3;
    regs->rflags = (rflags & ~KEPT_CLEAR) | RFLAGS_IF | 2;

    if (unlikely(v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl)))
        v->arch.iopl = rflags >> 12 & 3;
    if ((cs & 3) == 3) {
        if (unlikely(!v->arch.user_cr3)) {
            domain_crash(v->domain, RULE_IRET_WITHOUT_USER_ROOT, regs->rip);
            return 0;
        }
        guest_toggle_mode(v);
    }
    /* Events are open again exactly when the frame's IF says so; a pending one is delivered before the target's
     * first instruction, by exit_to_guest. */
    v->info->evtchn_upcall_mask = !(rflags & RFLAGS_IF);
    if (unlikely(v->arch.nmi_masked))
        guest_nmi_returned(v);
    return (long)rax;

unreadable:
    domain_crash(v->domain, RULE_IRET_FRAME_UNREADABLE, at);
    return 0;
}
