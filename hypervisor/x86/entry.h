/* Offsets that entry.S knows; each is asserted in traps.c against the structure it names. */
#pragma once

#define REGS_SYSCALL     0x100 /* guest_regs.vector: entered by SYSCALL, may leave by SYSRET */
#define VCPU_INFO        8
#define VCPU_EXIT_WORK   16
#define VCPU_KERNEL_MODE 20
#define VCPU_TRACE_NEXT  24
#define VCPU_TRACE       32
#define TRACE_RECORD     32   /* bytes */
#define TRACE_MASK       1023 /* of the whole ring */
#define TRACE_KIND       1    /* TRACE_HYPERCALL */
#define HYPERCALLS       64   /* HYPERCALL_LIMIT */
