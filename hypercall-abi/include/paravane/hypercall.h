/*
 * The hypercall wrappers that guests use: one inline function a call, typed.
 *
 * The convention (<xen/arch-x86/xen-x86_64.h>): number in rax, arguments in
 * rdi, rsi, rdx, r10, r8, r9; SYSCALL; result in rax.  SYSCALL itself destroys
 * rcx and r11, every other register survives.  A plain SYSCALL is what the
 * hypercall page holds, so a guest that never runs under anything but a PV
 * hypervisor can issue it directly and need no page.
 */
#pragma once

#include <stdint.h>

/* To whoever does not say which version they mean, Xen's headers give the numbers and structures of the
 * oldest: other calls. */
#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#endif
#include <xen/xen.h>
#if __XEN_INTERFACE_VERSION__ < 0x00040700
#error \
    "define __XEN_INTERFACE_VERSION__ as __XEN_LATEST_INTERFACE_VERSION__ before any of Xen's headers"
#endif

#define HYPERCALL_DESTROYS "rcx", "r11", "memory"

static inline long hypercall_raw(unsigned long number, unsigned long a1, unsigned long a2,
                                 unsigned long a3, unsigned long a4, unsigned long a5)
{
    register unsigned long r10 __asm__("r10") = a4;
    register unsigned long r8 __asm__("r8") = a5;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     : "0"(number)
                     : HYPERCALL_DESTROYS);
    return result;
}

#define HYPERCALL0(nr)       hypercall_raw((nr), 0, 0, 0, 0, 0)
#define HYPERCALL1(nr, a)    hypercall_raw((nr), (unsigned long)(a), 0, 0, 0, 0)
#define HYPERCALL2(nr, a, b) hypercall_raw((nr), (unsigned long)(a), (unsigned long)(b), 0, 0, 0)
#define HYPERCALL3(nr, a, b, c) \
    hypercall_raw((nr), (unsigned long)(a), (unsigned long)(b), (unsigned long)(c), 0, 0)
#define HYPERCALL4(nr, a, b, c, d)                                                  \
    hypercall_raw((nr), (unsigned long)(a), (unsigned long)(b), (unsigned long)(c), \
                  (unsigned long)(d), 0)

static inline long hypercall_set_trap_table(const struct trap_info *traps)
{
    return HYPERCALL1(__HYPERVISOR_set_trap_table, traps);
}

static inline long hypercall_mmu_update(const mmu_update_t *requests, unsigned count,
                                        unsigned *done, domid_t domain)
{
    return HYPERCALL4(__HYPERVISOR_mmu_update, requests, count, done, domain);
}

static inline long hypercall_set_gdt(const unsigned long *frames, unsigned entries)
{
    return HYPERCALL2(__HYPERVISOR_set_gdt, frames, entries);
}

static inline long hypercall_stack_switch(unsigned long ss, unsigned long sp)
{
    return HYPERCALL2(__HYPERVISOR_stack_switch, ss, sp);
}

static inline long hypercall_set_callbacks(unsigned long event, unsigned long failsafe,
                                           unsigned long syscall)
{
    return HYPERCALL3(__HYPERVISOR_set_callbacks, event, failsafe, syscall);
}

static inline long hypercall_fpu_taskswitch(int set)
{
    return HYPERCALL1(__HYPERVISOR_fpu_taskswitch, set);
}

static inline long hypercall_set_debugreg(int reg, unsigned long value)
{
    return HYPERCALL2(__HYPERVISOR_set_debugreg, reg, value);
}

static inline unsigned long hypercall_get_debugreg(int reg)
{
    return (unsigned long)HYPERCALL1(__HYPERVISOR_get_debugreg, reg);
}

static inline long hypercall_update_descriptor(uint64_t machine_address, uint64_t descriptor)
{
    return HYPERCALL2(__HYPERVISOR_update_descriptor, machine_address, descriptor);
}

static inline long hypercall_memory_op(unsigned cmd, void *arg)
{
    return HYPERCALL2(__HYPERVISOR_memory_op, cmd, arg);
}

static inline long hypercall_multicall(void *calls, unsigned count)
{
    return HYPERCALL2(__HYPERVISOR_multicall, calls, count);
}

static inline long hypercall_update_va_mapping(unsigned long va, uint64_t entry,
                                               unsigned long flags)
{
    return HYPERCALL3(__HYPERVISOR_update_va_mapping, va, entry, flags);
}

static inline long hypercall_set_timer_op(uint64_t deadline_ns)
{
    return HYPERCALL1(__HYPERVISOR_set_timer_op, deadline_ns);
}

static inline long hypercall_xen_version(int cmd, void *arg)
{
    return HYPERCALL2(__HYPERVISOR_xen_version, cmd, arg);
}

static inline long hypercall_console_io(int cmd, unsigned count, char *buffer)
{
    return HYPERCALL3(__HYPERVISOR_console_io, cmd, count, buffer);
}

static inline long hypercall_grant_table_op(unsigned cmd, void *arg, unsigned count)
{
    return HYPERCALL3(__HYPERVISOR_grant_table_op, cmd, arg, count);
}

static inline long hypercall_vm_assist(unsigned cmd, unsigned type)
{
    return HYPERCALL2(__HYPERVISOR_vm_assist, cmd, type);
}

static inline long hypercall_update_va_mapping_otherdomain(unsigned long va, uint64_t entry,
                                                           unsigned long flags, domid_t domain)
{
    return HYPERCALL4(__HYPERVISOR_update_va_mapping_otherdomain, va, entry, flags, domain);
}

static inline long hypercall_vcpu_op(int cmd, unsigned vcpu, void *arg)
{
    return HYPERCALL3(__HYPERVISOR_vcpu_op, cmd, vcpu, arg);
}

static inline long hypercall_set_segment_base(unsigned which, unsigned long base)
{
    return HYPERCALL2(__HYPERVISOR_set_segment_base, which, base);
}

static inline long hypercall_mmuext_op(const struct mmuext_op *ops, unsigned count, unsigned *done,
                                       domid_t domain)
{
    return HYPERCALL4(__HYPERVISOR_mmuext_op, ops, count, done, domain);
}

static inline long hypercall_sched_op(int cmd, void *arg)
{
    return HYPERCALL2(__HYPERVISOR_sched_op, cmd, arg);
}

static inline long hypercall_callback_op(int cmd, const void *arg)
{
    return HYPERCALL2(__HYPERVISOR_callback_op, cmd, arg);
}

static inline long hypercall_event_channel_op(int cmd, void *arg)
{
    return HYPERCALL2(__HYPERVISOR_event_channel_op, cmd, arg);
}

static inline long hypercall_physdev_op(int cmd, void *arg)
{
    return HYPERCALL2(__HYPERVISOR_physdev_op, cmd, arg);
}
