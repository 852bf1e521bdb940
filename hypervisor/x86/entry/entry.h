/* Constants that C and assembly share.  Offsets of structures: asm-offsets.c. */
#pragma once

#define REGS_SYSCALL 0x100 /* guest_regs.vector: entered by SYSCALL, may leave by SYSRET */

#define SEL_LINUX_USER_CS 0x33

#define GATE_MASKS 4 /* trap_info.flags, "clear event enable" (xen/arch-x86/xen.h) */

/* Bits of rflags.  A handler of the guest's starts without AC, VM, RF, NT, TF, that of a system
 * call without DF, too; the iret hypercall drops IOPL, VM and three reserved ones (and all above
 * 31). */
#define RFLAGS_IF_BIT  9
#define HANDLER_CLEARS 0x74100
#define SYSCALL_CLEARS 0x74500
#define IRET_CLEARS    0x2b028
