/*
 * Exceptions and interrupts: from the guest, from ourselves, and the last look before going back.
 */
#include "arch.h"
#include "evtchn.h"
#include "guest.h"
#include "hypercall.h"
#include "lib.h"
#include "machine.h"
#include "refuse.h"
#include "runstate.h"
#include "sched.h"
#include "trace.h"
#include "traps.h"

static inline uint64_t read_cr2(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

/* --- from ourselves ------------------------------------------------------------------------------------- */

struct fixup {
    uint64_t fault, resume;
};
extern const struct fixup fixup_table_start[], fixup_table_end[];

/* An instruction that may fault on guest memory or guest selectors did: go on at its other exit. */
static bool fixup_apply(struct guest_regs *regs)
{
    for (const struct fixup *f = fixup_table_start; f < fixup_table_end; f++) {
        if (f->fault == regs->rip) {
            regs->rip = f->resume;
            return true;
        }
    }
    return false;
}

/* Is @address in @v's view of its LDT?  Then a segment load, ours or the guest's, touched a page of it that is not shown. */
static bool in_ldt_view(const struct vcpu *v, uint64_t address, uint64_t *offset)
{
    *offset = address - v->arch.area - VCPU_AREA_LDT;
    return !v->is_idle && address >= v->arch.area + VCPU_AREA_LDT && *offset < 0x10000;
}

/* End @v's domain, without going back to where we came from. */
static noreturn_ void guest_registers_lost(struct vcpu *v)
{
    domain_crash(v->domain, RULE_ICEBP_ON_HELD_BREAKPOINT);
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "mov %1, %%rbx\n\t"
                     "jmp exit_to_guest"
                     :
                     : "r"(v->arch.regs), "r"(v)
                     : "memory");
    __builtin_unreachable();
}

/*
 * #DB in ring 0 is always the guest's doing: a breakpoint that a MOV SS held back until our first
 * instruction (XSA-260), one on memory that we touch for it, or a single step over SYSENTER.  We go
 * on, and leave nothing in DR6 for whoever looks next.
 *
 * A second one while the stack of #DB is in use would overwrite the first.  None comes by itself: the
 * gate clears TF; an enabled breakpoint is never on memory of ours (debugreg.c), and nothing but that
 * is touched before entry_ist has left that stack, or here.  But a MOV SS may hold back a trap that
 * comes behind an ICEBP, which is a #DB, too: should a processor deliver it at the first instruction
 * of our handler, the registers of the guest that did this are lost, and with them the guest.
 */
static void debug_trap_of_ours(struct guest_regs *regs)
{
    debugreg_reset();
    if (regs->rip - idt_entry[VECTOR_DB] < IDT_STUB_SIZE)
        guest_registers_lost(current_vcpu());
    /* While SYSENTER's flags are not saved yet, TF is still the guest's to find among them. */
    const uint64_t at = (regs->rip - PERCPU_VIRT) % PERCPU_STRIDE;
    if (regs->rip < PERCPU_VIRT || at < (uint64_t)(trampoline_sysenter - trampoline) ||
        at >= (uint64_t)(trampoline_sysenter_saved - trampoline))
        regs->rflags &= ~RFLAGS_TF;
}

void trap_in_hypervisor(struct guest_regs *regs)
{
    unsigned vector = (unsigned)regs->vector;
    uint64_t offset;

    if (vector >= 32) {
        interrupt(vector);
        return;
    }
    if (vector == VECTOR_PF && in_ldt_view(current_vcpu(), read_cr2(), &offset) &&
        descriptors_ldt_fault(current_vcpu(), offset, false))
        return;
    if (vector == VECTOR_NMI) {
        nmi_arrived(false);
        return;
    }
    if (vector == VECTOR_MC)
        machine_check(regs);
    if (vector == VECTOR_DB) {
        debug_trap_of_ours(regs);
        return;
    }
    if (fixup_apply(regs)) {
        current_vcpu()->arch.fault_vector = (uint8_t)vector;
        current_vcpu()->arch.fault_error = (uint16_t)regs->error;
        return;
    }
    hypervisor_fault(regs, read_cr2());
}

/*
 * A segment of @v's LDT was loaded, byte @offset of the view, and the page was not shown.  Show it, and it can be loaded again;
 * or else the guest gets the fault, at the address by which it knows its LDT.
 */
static void ldt_fault(struct vcpu *v, uint64_t offset, uint32_t error)
{
    const uint64_t address = v->arch.ldt_base + offset;

    if (descriptors_ldt_fault(v, offset, true))
        return;
    if (!va_canonical(address))
        guest_exception(v, VECTOR_GP, (uint32_t)offset | 4); /* a selector of the LDT */
    else
        guest_page_fault(v, address,
                         (error & ~(uint32_t)(PF_USER | PF_RSVD)) | (v->kernel_mode ? 0 : PF_USER));
}

/* IRET to the guest raised a fault: its cs, ss or rip was not to be returned to.  The guest gets the same fault, as if its first
 * instruction there had raised it; or the IRET is tried again, if an LDT page only was not shown yet. */
void guest_iret_failed(struct vcpu *v)
{
    const unsigned vector = v->arch.fault_vector;
    uint64_t offset;

    if (vector == VECTOR_PF && in_ldt_view(v, read_cr2(), &offset))
        ldt_fault(v, offset, v->arch.fault_error);
    else if (vector == VECTOR_PF)
        guest_failsafe(v); /* nowhere that the guest knows of */
    else
        guest_exception(v, vector, v->arch.fault_error);
}

/* --- from the guest ------------------------------------------------------------------------------------- */

static noinline_ void page_fault(struct vcpu *v, struct guest_regs *regs, uint64_t address)
{
    /* The CPU leaves U clear when it reads descriptors for a program. */
    uint32_t error = (uint32_t)regs->error | PF_USER;
    uint64_t offset;

    if (unlikely(address >= HYPERVISOR_VIRT_START_ && address < HYPERVISOR_VIRT_END_) &&
        in_ldt_view(v, address, &offset)) {
        ldt_fault(v, offset, error);
        return;
    }

    if (v->kernel_mode) {
        /* Its kernel thinks that it runs in ring 0. */
        error &= ~PF_USER;
        if ((error & (PF_PRESENT | PF_WRITE | PF_RSVD)) == (PF_PRESENT | PF_WRITE) &&
            emulate_pagetable_write(v, address, error))
            return;
    }
    guest_page_fault(v, address, error & ~PF_RSVD);
}

static noinline_ void debug_trap(struct vcpu *v)
{
    debugreg_trap(v);
    guest_exception(v, VECTOR_DB, 0);
}

static noinline_ noreturn_ void beyond_help(const struct guest_regs *regs)
{
    if (regs->vector == VECTOR_MC)
        machine_check(regs);
    hypervisor_fault(regs, read_cr2());
}

/* Every call here is the last thing done: no stack is needed. */
void trap_from_guest(struct vcpu *v, struct guest_regs *regs)
{
    unsigned vector = (unsigned)regs->vector;

    if (vector >= 32) {
        interrupt(vector);
        return;
    }

    struct trace_record *r = trace_next(&v->trace, TRACE_TRAP, vector);
    r->a = regs->rip;
    r->b = 0;
    r->c = regs->error;
    switch (vector) {
    case VECTOR_PF:
        r->b = read_cr2();
        page_fault(v, regs, r->b);
        return;
    case VECTOR_GP:
        emulate_privileged(v, (uint32_t)regs->error);
        return;
    case VECTOR_UD:
        emulate_undefined(v);
        return;
    case VECTOR_NM:
        fpu_device_not_available(v);
        return;
    case VECTOR_DB:
        debug_trap(v);
        return;
    case VECTOR_NMI: /* the machine's, not the guest's */
        nmi_arrived(true);
        return;
    case VECTOR_MC:
    case VECTOR_DF:
        beyond_help(regs);
    default: /* we have no business with it */
        guest_exception(v, vector, (uint32_t)regs->error);
    }
}

/* --- the last look --------------------------------------------------------------------------------------- */

/* exit_to_guest found v->exit_work set: do it.  Called again until nothing is left. */
void exit_work(struct vcpu *v)
{
    uint32_t work = atomic_exchange(&v->exit_work, 0);

    if (work & EXIT_DYING) {
        for (;;)
            schedule();
    }
    if (work & EXIT_RESCHEDULE)
        schedule();
    if (work & EXIT_RUNSTATE)
        vcpu_publish_areas(v);
    if (work & EXIT_FAILSAFE)
        vcpu_retry_selectors(v);
    if (work & EXIT_NMI)
        guest_nmi(v);
}
