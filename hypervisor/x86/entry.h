/* Offsets that entry.S knows; each is asserted in traps.c against the structure it names. */
#pragma once

#define REGS_SYSCALL     0x100 /* guest_regs.vector: entered by SYSCALL, may leave by SYSRET */
#define VCPU_DOMAIN      0
#define VCPU_INFO        8
#define VCPU_EXIT_WORK   16
#define VCPU_KERNEL_MODE 20
#define VCPU_TRACE_NEXT  24
#define VCPU_TRACE       32
#define TRACE_RECORD     32   /* bytes */
#define TRACE_MASK       1023 /* of the whole ring */
#define TRACE_KIND       1    /* TRACE_HYPERCALL */
#define TRACE_KIND_TRAP  2    /* TRACE_TRAP */
#define HYPERCALLS       64   /* HYPERCALL_LIMIT */

#define VCPU_ARCH             (VCPU_TRACE + TRACE_MASK + 1)
#define VCPU_KERNEL_CR3       (VCPU_ARCH + 0)
#define VCPU_USER_CR3         (VCPU_ARCH + 8)
#define VCPU_KERNEL_SP        (VCPU_ARCH + 16)
#define VCPU_TRAPS            (VCPU_ARCH + 24)
#define VCPU_SYSCALL_CALLBACK (VCPU_ARCH + 32)
#define VCPU_SYSCALL_MASKS    (VCPU_ARCH + 40)
#define VCPU_NMI_MASKED       (VCPU_ARCH + 91)

#define DOMAIN_DETOURS 0

#define INFO_PENDING 0 /* in struct vcpu_info */
#define INFO_MASK    1
#define INFO_CR2     16

#define GATE_SIZE    16 /* in the trap table */
#define GATE_FLAGS   1
#define GATE_ADDRESS 8
#define GATE_MASKS   4 /* trap_info.flags: the gate masks event upcalls */

#define HYPERCALL_IRET    23
#define IN_SYSCALL        0x100 /* VGCF_in_syscall */
#define SEL_LINUX_USER_CS 0x33

/* Bits of rflags.  A handler of the guest's starts without AC, VM, RF, NT, TF, that of a system
 * call without DF, too; the iret hypercall drops IOPL, VM and three reserved ones (and all above
 * 31). */
#define RFLAGS_IF_BIT  9
#define HANDLER_CLEARS 0x74100
#define SYSCALL_CLEARS 0x74500
#define IRET_CLEARS    0x2b028
