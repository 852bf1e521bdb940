/* Hypercalls that x86/ serves: on this machine they are refused, changing nothing. */
#include "arch.h"
#include "hypercall.h"

#define REFUSED(name)                                                     \
    long hypercall_##name(struct vcpu *v, const struct hypercall_args *a) \
    {                                                                     \
        return -XEN_ENOSYS;                                               \
    }

REFUSED(set_trap_table)
REFUSED(set_gdt)
REFUSED(stack_switch)
REFUSED(set_callbacks)
REFUSED(fpu_taskswitch)
REFUSED(set_debugreg)
REFUSED(get_debugreg)
REFUSED(update_descriptor)
REFUSED(iret)
REFUSED(set_segment_base)
REFUSED(callback_op)
REFUSED(physdev_op)
REFUSED(nmi_op)
REFUSED(arch_0)

/* A descriptor table is good if its first descriptor is: enough to have one that is refused. */
int arch_segment_page_validate(uint64_t *descriptors)
{
    return descriptors[0] == 0 ? 0 : -XEN_EINVAL;
}

int arch_vcpu_set_ldt(struct vcpu *v, uint64_t base, unsigned entries)
{
    return 0;
}
