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

/* One word of the frame, whose range has been checked; false if it faults. */
static inline bool frame_load(uint64_t *to, uint64_t at)
{
    uint64_t word;
    __asm__ goto volatile("1: mov (%1), %0\n\t" FIXUP("1b", "%l[fault]") : "=&r"(word) : "r"(at) : : fault);
    *to = word;
    return true;
fault:
    return false;
}

/* Nine loads: quicker than a copy. */
static inline bool frame_read(struct iret_context *f, uint64_t at)
{
    return frame_load(&f->rax, at) && frame_load(&f->r11, at + 8) && frame_load(&f->rcx, at + 16) &&
           frame_load(&f->flags, at + 24) && frame_load(&f->rip, at + 32) && frame_load(&f->cs, at + 40) &&
           frame_load(&f->rflags, at + 48) && frame_load(&f->rsp, at + 56) && frame_load(&f->ss, at + 64);
}

long hypercall_iret(struct vcpu *v, const struct hypercall_args *a)
{
    struct guest_regs *regs = v->arch.regs;
    struct iret_context frame;

    if (unlikely(!guest_range_ok(regs->rsp, sizeof(frame)) || !frame_read(&frame, regs->rsp))) {
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
