/*
 * The virtual address space, the same on every platform.
 *
 *   0000000000000000 .. 00007fffffffffff   the process (its own tables)
 *   ffff800000000000 .. ffff87ffffffffff   not ours: a PV hypervisor lives here (L4 slots 256-271)
 *   ffff880000000000 ..                    direct map: every page of RAM, at BASE + pfn * 4096
 *   ffffffff80000000 ..                    the kernel image
 *   ffffffffc0000000 ..                    a window onto devices and other domains
 *
 * A process begins with everything inside the first 512 GiB, so that one L3
 * table is enough for it: image at its linked address (or IMAGE_BASE when it
 * may be placed), heap behind it, mappings growing down from below the stack.
 *
 * Usable from assembly and from the linker script.
 */
#pragma once

#define KERNEL_BASE     0xffffffff80000000
#define DIRECT_MAP_BASE 0xffff880000000000
#define WINDOW_BASE     0xffffffffc0000000 /* as much as one L1 table has room for */
#define WINDOW_SIZE     0x0000000000200000

#define USER_START       0x0000000000001000 /* nothing maps page zero */
#define USER_END         0x00007ffffffff000
#define USER_STACK_TOP   0x0000007ffffff000
#define USER_STACK_SIZE  0x0000000000800000 /* RLIMIT_STACK decides, within what follows */
#define USER_STACK_LEAST 0x0000000000080000ul
#define USER_STACK_MOST  0x0000000040000000ul
#define USER_MAP_TOP     0x0000007fff000000 /* mmap searches downwards from here */
#define USER_IMAGE_BASE  0x0000000010000000

#define KERNEL_STACK_SIZE 16384
#define KERNEL_STACK_MASK 16383

/* struct frame, for entry code; static asserts in trap.c pin the C view. */
#define FRAME_VECTOR 120
#define FRAME_ERROR  128
#define FRAME_RIP    136
#define FRAME_SIZE   176

#define VECTOR_PAGE_FAULT 14
#define VECTOR_SYSCALL    256
#define VECTOR_EVENT      257
