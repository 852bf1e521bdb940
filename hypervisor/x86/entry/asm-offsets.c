/*
 * What assembly knows of C: asm-offsets.h is made of this file's assembly output (make-asm-offsets), each line
 * of which that begins with "#define" becomes one of the header's.
 */
#include "domain.h"
#include "guest.h"
#include "hypercall.h"
#include "percpu.h"
#include "trace.h"

#define CONSTANT(name, value)     __asm__("\n#define " #name " %c0" : : "i"(value))
#define OFFSET(name, type, field) CONSTANT(name, offsetof(type, field))

void asm_offsets(void)
{
    OFFSET(R_RAX, struct guest_regs, rax);
    OFFSET(R_RBP, struct guest_regs, rbp);
    OFFSET(R_VECTOR, struct guest_regs, vector);
    OFFSET(R_RIP, struct guest_regs, rip);
    OFFSET(R_CS, struct guest_regs, cs);
    OFFSET(R_RFLAGS, struct guest_regs, rflags);
    OFFSET(R_RSP, struct guest_regs, rsp);
    OFFSET(R_SS, struct guest_regs, ss);
    CONSTANT(R_SIZE, sizeof(struct guest_regs));

    OFFSET(VCPU_DOMAIN, struct vcpu, domain);
    OFFSET(VCPU_INFO, struct vcpu, info);
    OFFSET(VCPU_EXIT_WORK, struct vcpu, exit_work);
    OFFSET(VCPU_KERNEL_MODE, struct vcpu, kernel_mode);
    OFFSET(VCPU_TRACE_NEXT, struct vcpu, trace.next);
    OFFSET(VCPU_TRACE, struct vcpu, trace.record);
    OFFSET(VCPU_KERNEL_CR3, struct vcpu, arch.kernel_cr3);
    OFFSET(VCPU_USER_CR3, struct vcpu, arch.user_cr3);
    OFFSET(VCPU_KERNEL_SP, struct vcpu, arch.kernel_sp);
    OFFSET(VCPU_TRAPS, struct vcpu, arch.traps);
    OFFSET(VCPU_SYSCALL_CALLBACK, struct vcpu, arch.syscall_callback);
    OFFSET(VCPU_SYSCALL_MASKS, struct vcpu, arch.syscall_masks);
    OFFSET(VCPU_NMI_MASKED, struct vcpu, arch.nmi_masked);
    OFFSET(DOMAIN_SLOW_PATHS, struct domain, slow_paths);

    OFFSET(PERCPU_GUEST_RSP, struct percpu, guest_rsp);
    OFFSET(PERCPU_STACK_TOP, struct percpu, stack_top);
    OFFSET(PERCPU_CURRENT, struct percpu, current);

    CONSTANT(TRACE_UNIT, TRACE_UNIT);
    CONSTANT(TRACE_STEP, TRACE_STEP);
    CONSTANT(TRACE_HYPERCALL, TRACE_HYPERCALL);
    CONSTANT(TRACE_TRAP, TRACE_TRAP);
    OFFSET(RECORD_WHAT, struct trace_record, what);
    OFFSET(RECORD_KIND, struct trace_record, kind);
    OFFSET(RECORD_A, struct trace_record, a);
    OFFSET(RECORD_B, struct trace_record, b);
    OFFSET(RECORD_C, struct trace_record, c);

    OFFSET(INFO_PENDING, struct vcpu_info, evtchn_upcall_pending);
    OFFSET(INFO_MASK, struct vcpu_info, evtchn_upcall_mask);
    OFFSET(INFO_CR2, struct vcpu_info, arch.cr2);

    CONSTANT(GATE_SIZE, sizeof(struct trap_info));
    OFFSET(GATE_FLAGS, struct trap_info, flags);
    OFFSET(GATE_ADDRESS, struct trap_info, address);
}

void asm_constants(void)
{
    CONSTANT(RFLAGS_IF, RFLAGS_IF);
    CONSTANT(RFLAGS_IOPL, RFLAGS_IOPL);
    CONSTANT(RFLAGS_VM, RFLAGS_VM);
    CONSTANT(VECTOR_PF, VECTOR_PF);
    CONSTANT(PF_PRESENT, PF_PRESENT);
    CONSTANT(PF_WRITE, PF_WRITE);
    CONSTANT(PF_USER, PF_USER);
    CONSTANT(PF_RSVD, PF_RSVD);

    CONSTANT(HYPERCALL_LIMIT, HYPERCALL_LIMIT);
    CONSTANT(HYPERCALL_IRET, __HYPERVISOR_iret);
    CONSTANT(IN_SYSCALL, VGCF_in_syscall);
    OFFSET(F_RAX, struct iret_context, rax);
    OFFSET(F_R11, struct iret_context, r11);
    OFFSET(F_RCX, struct iret_context, rcx);
    OFFSET(F_FLAGS, struct iret_context, flags);
    OFFSET(F_RIP, struct iret_context, rip);
    OFFSET(F_CS, struct iret_context, cs);
    OFFSET(F_RFLAGS, struct iret_context, rflags);
    OFFSET(F_RSP, struct iret_context, rsp);
    OFFSET(F_SS, struct iret_context, ss);
}
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_mask) ==
                   offsetof(struct vcpu_info, evtchn_upcall_pending) + 1,
               "fastpath.S: one look at both");
_Static_assert(offsetof(struct guest_regs, rax) == 48 &&
                   offsetof(struct guest_regs, vector) == 120 &&
                   offsetof(struct guest_regs, rip) == 136,
               "entry-macros.h: save_gprs");
_Static_assert((int64_t)HYPERVISOR_VIRT_START_ >> 43 == -16 &&
                   (int64_t)(HYPERVISOR_VIRT_END_ - 1) >> 43 == -16,
               "fastpath.S: HYPERVISOR_8_TIB");
