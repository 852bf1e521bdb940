/* Offsets that entry.S knows; each is asserted in traps.c against the structure it names. */
#pragma once

#define REGS_SYSCALL     0x100 /* guest_regs.vector: entered by SYSCALL, may leave by SYSRET */
#define VCPU_INFO        8
#define VCPU_EXIT_WORK   16
#define VCPU_KERNEL_MODE 20
