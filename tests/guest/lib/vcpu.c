/* VCPUOP_initialise takes a whole register context; ours is the flat one this kernel started with.
 */
#include "vcpu.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/vcpu.h>

void vcpu_entry(void);

bool vcpu_have(unsigned count, const char *what)
{
    const bool have = hypercall_vcpu_op(VCPUOP_is_up, count - 1, NULL) != -XEN_ENOENT;
    if (!have)
        tap_skip("this domain has too few vCPUs", "%s", what);
    return have;
}

long vcpu_start(unsigned id, void (*function)(void *), void *argument)
{
    static struct vcpu_guest_context context;
    char *stack = page_alloc();

    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.user_regs.rip = (unsigned long)vcpu_entry;
    context.user_regs.rdi = (unsigned long)function;
    context.user_regs.rsi = (unsigned long)argument;
    context.user_regs.rsp = (unsigned long)stack + PAGE_SIZE;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.user_regs.rflags = 0;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = (unsigned long)stack + PAGE_SIZE;
    context.ctrlreg[3] = xen_pfn_to_cr3(memory_root_mfn());
    context.event_callback_eip = (unsigned long)trap_event_callback;
    context.failsafe_callback_eip = (unsigned long)trap_failsafe_callback;

    long rc = hypercall_vcpu_op(VCPUOP_initialise, id, &context);
    return rc ? rc : hypercall_vcpu_op(VCPUOP_up, id, NULL);
}
