/*
 * Into the guest's kernel: exceptions, event upcalls, system calls, the failsafe callback.
 *
 * Each is delivered by writing a frame to the guest kernel's stack and pointing the saved registers at the handler.
 * From low addresses:
 *
 *      rcx r11 [error] rip cs+mask rflags rsp ss          (failsafe: rcx r11 ds es fs gs rip cs+mask ...)
 *
 * cs+mask: bits 0-15 the selector, RPL 0 when the kernel itself was interrupted; bits 32-39 the upcall mask as it was,
 * from which the guest restores it.  rflags shows IF as the opposite of the mask.
 *
 * A program's SYSCALL and a page fault seldom come here: fastpath.S delivers them itself unless something is unusual.
 */
#include "guest.h"
#include "evtchn.h"
#include "lib.h"
#include "machine.h"
#include "pte.h"
#include "refuse.h"
#include "sched.h"
#include "traps.h"

_Static_assert(HANDLER_CLEARS == (RFLAGS_AC | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT | RFLAGS_TF),
               "entry.h");
_Static_assert(SYSCALL_CLEARS == (HANDLER_CLEARS | RFLAGS_DF), "entry.h");

void guest_toggle_mode(struct vcpu *v)
{
    __asm__ volatile("swapgs" : : : "memory");
    v->kernel_mode ^= 1;
    /* No tick of the flush clock: to forget that this was a full flush only makes others flush more. */
    write_cr3(v->kernel_mode ? v->arch.kernel_cr3 : v->arch.user_cr3);
}

/* Store at @base + @offset of the guest's stack, whose range has been checked; a fault goes to label bad_stack. */
#define STACK_PUT(base, offset, value)                                          \
    __asm__ goto volatile("1: mov %0, %c2(%1)\n\t" FIXUP("1b", "%l[bad_stack]") \
                          :                                                     \
                          : "r"((uint64_t)(value)), "r"(base), "i"(offset)      \
                          : "memory"                                            \
                          : bad_stack)

struct bounce {
    uint64_t handler;
    bool masks;
    bool has_error;
    uint32_t error;
};

/* cs as the guest sees it: its kernel believes in ring 0. */
static inline uint64_t frame_cs(const struct vcpu *v, const struct guest_regs *regs, uint8_t mask)
{
    uint64_t cs = (uint16_t)regs->cs | (uint64_t)mask << 32;
    return v->kernel_mode ? cs & ~3ull : cs;
}

/* IF as the opposite of the mask; the guest runs with IF set and IOPL 0. */
static inline uint64_t frame_rflags(const struct vcpu *v, const struct guest_regs *regs,
                                    uint8_t mask)
{
    uint64_t flags = regs->rflags & ~((uint64_t)(mask != 0) << RFLAGS_IF_BIT);
    if (unlikely(v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl)))
        flags |= (uint64_t)v->arch.iopl << 12;
    return flags;
}

/* The frame's five last words, from @at + 16.  False: no stack there. */
static inline bool put_frame(const struct guest_regs *regs, uint64_t at, uint64_t cs,
                             uint64_t flags)
{
    STACK_PUT(at, 16, regs->rip);
    STACK_PUT(at, 24, cs);
    STACK_PUT(at, 32, flags);
    STACK_PUT(at, 40, regs->rsp);
    STACK_PUT(at, 48, regs->ss);
    return true;
bad_stack:
    return false;
}

/* In line in the two deliveries that happen all the time. */
static inline __attribute__((always_inline)) void
bounce_inline(struct vcpu *v, struct guest_regs *regs, struct bounce b)
{
    uint8_t mask = v->info->evtchn_upcall_mask;
    uint64_t cs = frame_cs(v, regs, mask), flags = frame_rflags(v, regs, mask);
    uint64_t sp = regs->rsp;

    if (unlikely(!v->kernel_mode)) {
        sp = v->arch.kernel_sp;
        guest_toggle_mode(v);
    }
    sp = (sp & ~15ull) - (b.has_error ? 64 : 56);
    if (unlikely(!guest_access_ok(sp, 64)))
        goto bad_stack;

    STACK_PUT(sp, 0, regs->rcx);
    STACK_PUT(sp, 8, regs->r11);
    if (b.has_error)
        STACK_PUT(sp, 16, b.error);
    if (unlikely(!put_frame(regs, b.has_error ? sp + 8 : sp, cs, flags)))
        goto bad_stack;

    if (b.masks)
        v->info->evtchn_upcall_mask = 1;
    regs->rip = b.handler;
    regs->cs = SEL_GUEST_CS64;
    regs->ss = SEL_GUEST_DS;
    regs->rsp = sp;
    regs->rflags &= ~(uint64_t)HANDLER_CLEARS;
    return;

bad_stack:
    domain_crash(v->domain, RULE_HANDLER_WITHOUT_STACK, sp);
}

static noinline_ void bounce(struct vcpu *v, struct guest_regs *regs, struct bounce b)
{
    bounce_inline(v, regs, b);
}

/* By SYSCALL or SYSENTER.  A kernel that knows them from the bare machine has its mask of flags
 * clear DF, and executes no CLD. */
static void bounce_call(struct vcpu *v, uint64_t handler, bool masks)
{
    bounce(v, v->arch.regs, (struct bounce){.handler = handler, .masks = masks});
    v->arch.regs->rflags &= ~RFLAGS_DF;
}

/* Of an exception: below 32. */
static inline bool vector_has_error(unsigned vector)
{
    return BIT(vector) & (BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) |
                          BIT(VECTOR_GP) | BIT(VECTOR_PF) | BIT(VECTOR_AC));
}

void guest_exception(struct vcpu *v, unsigned vector, uint32_t error)
{
    struct guest_regs *regs = v->arch.regs;
    const struct trap_info *gate = &v->arch.traps[vector];

    if (unlikely(!gate->address)) {
        domain_crash(v->domain, RULE_EXCEPTION_WITHOUT_HANDLER, vector, regs->rip, error);
        return;
    }
    bounce_inline(v, regs,
                  (struct bounce){.handler = gate->address,
                                  .masks = gate->flags & GATE_MASKS,
                                  .has_error = vector_has_error(vector),
                                  .error = error});
}

void guest_software_interrupt(struct vcpu *v, unsigned vector)
{
    struct guest_regs *regs = v->arch.regs;
    const struct trap_info *gate = &v->arch.traps[vector];

    if (unlikely(!gate->address)) {
        domain_crash(v->domain, RULE_EXCEPTION_WITHOUT_HANDLER, vector, regs->rip, 0);
        return;
    }
    bounce(v, regs, (struct bounce){.handler = gate->address, .masks = gate->flags & GATE_MASKS});
}

void guest_page_fault(struct vcpu *v, uint64_t address, uint32_t error)
{
    struct guest_regs *regs = v->arch.regs;
    const struct trap_info *gate = &v->arch.traps[VECTOR_PF];

    v->info->arch.cr2 = address;
    if (unlikely(!gate->address)) {
        domain_crash(v->domain, RULE_PAGE_FAULT_WITHOUT_HANDLER, address, regs->rip, error);
        return;
    }
    bounce(v, regs,
           (struct bounce){.handler = gate->address,
                           .masks = gate->flags & GATE_MASKS,
                           .has_error = true,
                           .error = error});
}

void guest_event_upcall(struct vcpu *v)
{
    if (unlikely(!v->arch.event_callback)) {
        domain_crash(v->domain, RULE_EVENT_WITHOUT_CALLBACK);
        return;
    }
    bounce_inline(v, v->arch.regs,
                  (struct bounce){.handler = v->arch.event_callback, .masks = true});
}

void guest_syscall(struct vcpu *v)
{
    struct guest_regs *regs = v->arch.regs;

    if (unlikely(!v->arch.syscall_callback)) {
        regs->rip -= 2; /* as if the instruction did not exist */
        regs->vector = VECTOR_UD;
        guest_exception(v, VECTOR_UD, 0);
        return;
    }
    bounce_call(v, v->arch.syscall_callback, v->arch.syscall_masks);
}

void guest_syscall32(struct vcpu *v)
{
    struct guest_regs *regs = v->arch.regs;

    if (!v->arch.syscall32_callback) {
        regs->rip -= 2;
        guest_exception(v, VECTOR_UD, 0);
        return;
    }
    bounce_call(v, v->arch.syscall32_callback, v->arch.syscall32_masks);
}

void guest_sysenter(struct vcpu *v)
{
    if (!v->arch.sysenter_callback) {
        guest_exception(v, VECTOR_GP, 0);
        return;
    }
    bounce_call(v, v->arch.sysenter_callback, v->arch.sysenter_masks);
}

void guest_nmi(struct vcpu *v)
{
    const struct trap_info *gate = &v->arch.traps[VECTOR_NMI];

    if (v->arch.nmi_masked) {
        v->arch.nmi_waits = 1;
        return;
    }
    if (!gate->address)
        return;
    v->arch.nmi_masked = 1;
    bounce(v, v->arch.regs,
           (struct bounce){.handler = gate->address, .masks = gate->flags & GATE_MASKS});
}

/* --- the failsafe callback: a return to the guest, or a reload of its selectors, failed ----------------------- */

#define READ_SELECTOR(name)                                 \
    ({                                                      \
        uint16_t s_;                                        \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(s_)); \
        s_;                                                 \
    })

void guest_failsafe(struct vcpu *v)
{
    struct guest_regs *regs = v->arch.regs;
    uint8_t mask = v->info->evtchn_upcall_mask;
    uint64_t cs = frame_cs(v, regs, mask), flags = frame_rflags(v, regs, mask);
    uint64_t frame[11] = {regs->rcx, regs->r11, v->arch.ds, v->arch.es, v->arch.fs, v->arch.gs,
                          regs->rip, cs,        flags,      regs->rsp,  regs->ss};

    regs->vector = 0;
    if (!v->arch.bad_selectors) {
        frame[2] = READ_SELECTOR(ds);
        frame[3] = READ_SELECTOR(es);
        frame[4] = READ_SELECTOR(fs);
        frame[5] = READ_SELECTOR(gs);
    }
    v->arch.bad_selectors = 0;
    if (!v->arch.failsafe_callback) {
        domain_crash(v->domain, RULE_FAILSAFE_WITHOUT_CALLBACK, regs->rip, regs->cs);
        return;
    }
    uint64_t sp = v->kernel_mode ? regs->rsp & ~15ull : v->arch.kernel_sp & ~15ull;
    if (!v->kernel_mode)
        guest_toggle_mode(v);
    sp -= sizeof(frame);
    if (guest_write(guest_ptr(sp), frame, sizeof(frame))) {
        domain_crash(v->domain, RULE_HANDLER_WITHOUT_STACK, sp);
        return;
    }
    if (v->arch.failsafe_masks)
        v->info->evtchn_upcall_mask = 1;
    regs->rip = v->arch.failsafe_callback;
    regs->cs = SEL_GUEST_CS64;
    regs->ss = SEL_GUEST_DS;
    regs->rsp = sp;
    regs->rflags &= ~(uint64_t)HANDLER_CLEARS;
}
