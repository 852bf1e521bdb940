/*
 * Numbers that native's assembly, linker script and C share: where the image
 * lies, the descriptor table's order, the interrupt vectors.
 */
#pragma once

#include "kernel/lib/layout.h"

#define IMAGE_PHYS  0x100000                   /* the image's first byte, in physical memory */
#define IMAGE_BASE  (KERNEL_BASE + IMAGE_PHYS) /* and where it runs */
#define AP_START    0x8000                     /* where other CPUs begin, in real mode */
#define DEVICE_BASE 0xffffffffc0000000         /* device registers and firmware tables */

/* The descriptor table.  SYSCALL and SYSRET demand this order; the numbers are
 * those that Linux programs know. */
#define SEL_KERNEL_CODE 0x10
#define SEL_KERNEL_DATA 0x18
#define SEL_USER_CODE32 0x23
#define SEL_USER_DATA   0x2b
#define SEL_USER_CODE   0x33
#define SEL_TSS         0x40 /* of CPU 0; the next ones follow, 16 bytes each */

/* Interrupts: all in one word of the local APIC's in-service register. */
#define INTERRUPT_TIMER    0x20
#define INTERRUPT_SERIAL   0x21
#define INTERRUPT_KICK     0x22 /* from another CPU: look around */
#define INTERRUPT_FLUSH    0x23 /* from another CPU: forget translations */
#define INTERRUPT_OLD_PIC  0x30 /* to 0x3f: what the masked PICs may still raise */
#define INTERRUPT_SPURIOUS 0xff

#define MULTIBOOT_LOADED 0x36d76289 /* what a Multiboot 2 loader leaves in eax */

/* struct processor, for entry code; static asserts in cpu.c pin the C view. */
#define CPU_USER_RSP 0
#define CPU_RSP0     16

#define CR0_KERNEL 0x80050033 /* PG AM WP NE ET MP PE */
#define CR4_START  0x00000020 /* PAE */
#define MSR_EFER   0xc0000080
#define EFER_START 0x00000101 /* LME SCE */
#define EFER_NXE   0x00000800
