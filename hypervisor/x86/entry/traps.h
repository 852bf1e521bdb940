/* What entry.S calls, and what traps.c needs of its neighbours. */
#pragma once

#include "domain.h"

void trap_from_guest(struct vcpu *v, struct guest_regs *regs);
void trap_in_hypervisor(struct guest_regs *regs);
void exit_work(struct vcpu *v);
void guest_iret_failed(struct vcpu *v);

void guest_syscall32(struct vcpu *v);
void guest_sysenter(struct vcpu *v);
/* Deliver an NMI now, or when the guest comes back from the one that it is in; without a handler it is lost. */
void guest_nmi(struct vcpu *v);
/* nmi.c: the guest's kernel has come back from an NMI. */
cold_ void guest_nmi_returned(struct vcpu *v);
/* The machine's NMI; @may_look: no lock is held here.  Else nmi_look() is called when that is so. */
void nmi_arrived(bool may_look);
void nmi_look(void);
/* machine-check.c */
noreturn_ void machine_check(const struct guest_regs *regs);

void interrupt(unsigned vector); /* lapic.c: vectors from 32 */

/* dump.c: our own fault, or one that nobody survives: everything we know, then the machine ends. */
noreturn_ void hypervisor_fault(const struct guest_regs *regs, uint64_t cr2);
extern const char image_text_start[], image_text_end[]; /* paravane.lds */

/* vcpu.c */
void vcpu_load_state(struct vcpu *v);
/* This CPU looks at its own CR3, GDTR and IDTR (I10 of page.h), and leaves what it found in its struct percpu. */
void vcpu_audit_cpu(void);
extern uint32_t vcpu_audit_wanted; /* atomic: whoever serves a request to flush does so */
void vcpu_retry_selectors(struct vcpu *v);

/* entry.S: C's callee-saved registers and the stack pointer to *@save, those at @load are in force. */
void switch_stacks(uint64_t *save, uint64_t load);
/* entry.S: where a new vCPU's stack is switched to for the first time. */
void vcpu_first_run(void);
void idle_first_run(void);
