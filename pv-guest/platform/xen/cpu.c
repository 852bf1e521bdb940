/* The virtual CPU: entering processes, sleeping, identifying itself, ending. */
#include <paravane/hypercall.h>
#include <xen/sched.h>

#include "kernel/print.h"
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
