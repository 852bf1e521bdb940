/* The virtual CPU: entering processes, sleeping, identifying itself, ending. */
#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/version.h>

#include "kernel/lib/print.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

uintptr_t platform_fault_address(void)
{
    return vcpu_this()->info->arch.cr2;
}

void platform_kernel_stack(void *top)
{
    queue_call(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, (unsigned long)top);
}

void platform_user_bases(uint64_t fs, uint64_t gs)
{
    queue_call(__HYPERVISOR_set_segment_base, SEGBASE_FS, fs);
    queue_call(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER, gs);
}

/* Almost always they are null already: looking is cheap, loading is not. */
void platform_user_selectors_clear(void)
{
    unsigned ds, es, fs, gs;
    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
                     : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    if (ds | es | fs)
        __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs" : : "r"(0));
    if (gs)
        queue_call(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0);
}

void platform_cpuid(uint32_t regs[4])
{
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid"
                     : "+a"(regs[0]), "=b"(regs[1]), "+c"(regs[2]), "=d"(regs[3]));
}

#define CPUID_1_ECX_XSAVE (1u << 26)
#define CR4_OSXSAVE       (1ul << 18)

uint64_t platform_fpu_enable(uint64_t wanted)
{
    uint32_t leaf[4] = {1}, state[4] = {0xd};
    uint64_t cr4;

    platform_cpuid(leaf);
    if (!(leaf[2] & CPUID_1_ECX_XSAVE))
        return 0;
    platform_cpuid(state); /* leaf 13, edx:eax: what XCR0 may hold */
    wanted &= (uint64_t)state[3] << 32 | state[0];
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE));
    __asm__ volatile("xsetbv" : : "a"((uint32_t)wanted), "d"((uint32_t)(wanted >> 32)), "c"(0));
    return wanted;
}

void platform_interrupts_take(void)
{
    struct vcpu_info *const v = vcpu_this()->info;
    if (!__atomic_load_n(&v->evtchn_upcall_pending, __ATOMIC_RELAXED))
        return;
    __atomic_store_n(&v->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
    (void)hypercall_xen_version(XENVER_version, NULL);
    __atomic_store_n(&v->evtchn_upcall_mask, 1, __ATOMIC_SEQ_CST);
}

void platform_idle(void)
{
    (void)hypercall_sched_op(SCHEDOP_block, NULL);
    /* Block has unmasked, and what woke us has been handled by now. */
    __atomic_store_n(&vcpu_this()->info->evtchn_upcall_mask, 1, __ATOMIC_SEQ_CST);
}

void platform_shutdown(enum shutdown_reason reason)
{
    static const unsigned reasons[] = {
        [SHUTDOWN_AS_POWEROFF] = SHUTDOWN_poweroff,
        [SHUTDOWN_AS_REBOOT] = SHUTDOWN_reboot,
        [SHUTDOWN_AS_CRASH] = SHUTDOWN_crash,
    };
    struct sched_shutdown s = {.reason = reasons[reason]};
    for (;;)
        (void)hypercall_sched_op(SCHEDOP_shutdown, &s);
}
