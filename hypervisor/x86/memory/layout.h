/*
 * The hypervisor's address space: L4 slots 256..271 of every page table.
 *
 *   slot  address              what                                          access
 *   256   0xffff800000000000   machine-to-phys, as guests see it             guest: read
 *   257   0xffff808000000000   machine-to-phys, same tables                  ours: read-write
 *   258   0xffff810000000000   frame table (struct page_info)                ours: read-write
 *   259   0xffff818000000000   vCPU areas: GDT and LDT views, stacks         ours: read-write
 *   260   0xffff820000000000   the image, per-CPU areas                      W^X
 *   261   0xffff828000000000   device registers (LAPIC, IO-APIC, ACPI)       ours: uncached
 *   262   0xffff830000000000   direct map of all RAM (to slot 271: 5 TiB)    ours: read-write, no execute
 *
 * All domains see the same sixteen slots, so an L4 table is filled by copying.
 * Used from C and from assembly.
 */
#pragma once

#define M2P_GUEST_VIRT   0xffff800000000000
#define M2P_VIRT         0xffff808000000000
#define FRAME_TABLE_VIRT 0xffff810000000000
#define VCPU_AREA_VIRT   0xffff818000000000
#define IMAGE_VIRT       0xffff820000000000 /* link address of physical IMAGE_PHYS */
#define PERCPU_VIRT      0xffff820040000000 /* struct percpu of CPU n at + n * PERCPU_STRIDE */
#define DEVICE_VIRT      0xffff828000000000
#define DIRECT_VIRT      0xffff830000000000
#define DIRECT_END       0xffff880000000000

#define AP_ENTRY_PHYS 0x1000 /* where other CPUs start, in real mode */
#define BOOT_MARK_PHYS \
    0x1ff8 /* nonzero: a boot was here since the machine was switched on (memory.c) */
/* 2 MiB: the image is mapped apart from the direct map's first superpage */
#define IMAGE_PHYS 0x200000

/* One vCPU's area. Pages 0-13 of the GDT are the guest's, page 14 is the physical CPU's (selectors 0xe000 up). */
#define VCPU_AREA_STRIDE 0x40000
#define VCPU_AREA_GDT    0x00000
#define VCPU_AREA_LDT    0x10000
#define VCPU_AREA_STACK  0x22000 /* 8 KiB, 8 KiB-aligned, unmapped pages below and above */
#define STACK_SIZE       0x2000

/* Top of every stack: struct guest_regs ends where this begins. */
#define STACK_TOP_RESERVE 16 /* struct vcpu *, padding */

/* Selectors: the ABI's flat ring-3 segments (<xen/arch-x86/xen-x86_64.h>) and ours, all in GDT page 14. */
#define SEL_GUEST_CS32 0xe023
#define SEL_GUEST_DS   0xe02b
#define SEL_GUEST_CS64 0xe033
#define SEL_HYP_CS     0xe008
#define SEL_HYP_DS     0xe010
#define SEL_TSS        0xe040 /* 16 bytes */
#define SEL_LDT        0xe050 /* 16 bytes */
#define GDT_LIMIT      0xefff
#define IDT_LIMIT      0xfff /* 256 gates */

/* One physical CPU's area: page 0 is the trampoline code (the same frame for all CPUs), page 1 struct percpu,
 * pages 2.. the IST stacks with guard pages between (x86/cpu/percpu.h). */
#define PERCPU_STRIDE  0x20000
#define PERCPU_DATA    0x1000
#define PERCPU_GDT     0x3000 /* the page shown as page 14 of every GDT that this CPU uses */
#define PERCPU_IST_NMI 0x6000 /* each 8 KiB, guard page(s) between */
#define PERCPU_IST_DF  0xa000
#define PERCPU_IST_MC  0xe000
#define PERCPU_IST_DB  0x12000
