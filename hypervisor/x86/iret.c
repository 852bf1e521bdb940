/*
 * The iret hypercall: the guest kernel returns from a frame of its own.
 *
 *   guest rsp -> rax r11 rcx flags rip cs rflags rsp ss        (struct iret_context)
 *
 * cs with RPL 3 means the guest's user mode.  The frame is the guest's to write: selectors get RPL 3, rflags loses what ring 3
 * must not set, and a target that cannot be reached ends in the failsafe callback (entry.S, iret_failed).
 */
#include "guest.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"

#define KEPT_CLEAR (RFLAGS_IOPL | RFLAGS_VM | RFLAGS_NT | RFLAGS_RF | 0xffffffff00008028ull)

long hypercall_iret(struct vcpu *v, const struct hypercall_args *a)
{
    struct guest_regs *regs = v->arch.regs;
    struct iret_context frame;

    if (unlikely(guest_read(&frame, guest_ptr(regs->rsp), sizeof(frame)))) {
        domain_crash(v->domain, RULE_CR_006, regs->rsp);
        return 0;
    }
    if ((frame.cs & 3) == 3) {
        if (unlikely(!v->arch.user_cr3)) {
            domain_crash(v->domain, RULE_CR_007, frame.rip);
            return 0;
        }
        guest_toggle_mode(v);
    }
    regs->rip = frame.rip;
    regs->cs = (uint16_t)frame.cs | 3;
    regs->rflags = (frame.rflags & ~KEPT_CLEAR) | RFLAGS_IF | 2;
    regs->rsp = frame.rsp;
    regs->ss = (uint16_t)frame.ss | 3;

    /* SYSRET loses rcx and r11, which is what a system call's caller expects; it also sets the flat selectors. */
    bool sysret = (frame.flags & VGCF_in_syscall) && ((frame.cs | 3) == SEL_GUEST_CS64 || (frame.cs | 3) == 0x33);
    regs->vector = sysret ? REGS_SYSCALL : 0;
    if (!sysret) {
        regs->rcx = frame.rcx;
        regs->r11 = frame.r11;
    }
    /* Events are open again exactly when the frame's IF says so; a pending one is delivered before the target's
     * first instruction, by exit_to_guest. */
    v->info->evtchn_upcall_mask = !(frame.rflags & RFLAGS_IF);
    return (long)frame.rax;
}
